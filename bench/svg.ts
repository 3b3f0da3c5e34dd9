/**
 * The few shapes that a plot is made of, as text of SVG 1.1: a page with title and caption, scales, axes, marks. It
 * knows nothing of what is plotted. The page brings its own ground and both themes, so that it can be read wherever
 * it is shown; the colours are those of Okabe and Ito, or darker, and no two series differ by colour alone.
 */

/** Colours by class: on a light and on a dark ground. */
export const PALETTE: Readonly<Record<string, { readonly light: string; readonly dark: string }>> = {
  ground: { light: "#ffffff", dark: "#0d1117" },
  ink: { light: "#1f2328", dark: "#f0f6fc" },
  faint: { light: "#59636e", dark: "#9198a1" },
  grid: { light: "#d1d9e0", dark: "#3d444d" },
  a: { light: "#0072b2", dark: "#56b4e9" },
  b: { light: "#c04f00", dark: "#e69f00" },
  c: { light: "#007a5a", dark: "#2dbe8d" },
  d: { light: "#a34a86", dark: "#e08fc0" },
};
export const SERIES = ["a", "b", "c", "d"] as const;

function themeStyle(theme: "light" | "dark"): string {
  const of = (name: string): string => PALETTE[name]![theme];
  const series = SERIES.map(name => `.${name}{fill:${of(name)};stroke:${of(name)}}`).join("");
  return `.ground{fill:${of("ground")}}text{fill:${of("ink")}}.faint{fill:${of("faint")}}.grid{stroke:${of("grid")}}.axis{stroke:${of("faint")}}.ink{stroke:${of("ink")}}${series}.hollow{fill:${of("ground")}}`;
}

const STYLE = [
  "svg{font:12px system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif}",
  "text{stroke:none}.big{font-size:16px;font-weight:600}.head{font-weight:600}.small{font-size:11px}",
  "line,path{stroke-width:1.5}.grid,.axis{stroke-width:1}.line{stroke-width:2}.dashed{stroke-dasharray:5 4}",
  ".pale{fill-opacity:.5}.target{stroke-width:3}",
  themeStyle("light"),
  `@media(prefers-color-scheme:dark){${themeStyle("dark")}}`,
  // Last, as a series gives its shapes both.
  ".line{fill:none}.bar{stroke:none}",
].join("");

/** Text as it may stand in an element or between quotes. */
export function escapeXml(text: string): string {
  return text.replace(/[&<>"]/g, sign => `&#${sign.charCodeAt(0)};`);
}

/** At most one decimal, for coordinates: the same on every machine. */
export function at(value: number): string {
  return String(Number(value.toFixed(1)));
}

/** `<name …>children</name>`; numbers are coordinates, texts are escaped, children are not. */
export function element(
  name: string,
  attributes: Readonly<Record<string, string | number>>,
  ...children: readonly string[]
): string {
  const list = Object.entries(attributes).map(
    ([key, value]) => ` ${key}="${typeof value === "number" ? at(value) : escapeXml(value)}"`,
  );
  const open = `<${name}${list.join("")}`;
  return children.length === 0 ? `${open}/>` : `${open}>${children.join("")}</${name}>`;
}

export function line(x1: number, y1: number, x2: number, y2: number, style: string): string {
  return element("path", { class: style, d: `M${at(x1)} ${at(y1)}L${at(x2)} ${at(y2)}` });
}

export type Anchor = "start" | "middle" | "end";

export function text(x: number, y: number, words: string, anchor: Anchor = "start", style = ""): string {
  const optional = {
    ...(anchor === "start" ? {} : { "text-anchor": anchor }),
    ...(style === "" ? {} : { class: style }),
  };
  return element("text", { x, y, ...optional }, escapeXml(words));
}

/** Shapes by series, round their middle, all of about the same size: `r` is half of it. */
const SHAPES: readonly ((r: number) => string)[] = [
  r => `m-${r} 0a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0-${2 * r} 0z`,
  r => `m-${r}-${r}h${2 * r}v${2 * r}h-${2 * r}z`,
  r => `m0-${r + 1}l${r + 1} ${2 * r + 1}h-${2 * r + 2}z`,
  r => `m0-${r + 1}l${r + 1} ${r + 1}l-${r + 1} ${r + 1}l-${r + 1}-${r + 1}z`,
];

export interface Mark {
  /** Its shape and colour. */
  readonly series: number;
  readonly x: number;
  readonly y: number;
  readonly isHollow?: boolean;
  /** Half its size in pixels. */
  readonly r?: number;
  /** Where its whisker begins and ends. */
  readonly from?: readonly [number, number];
  readonly to?: readonly [number, number];
  /** What a pointer over it is told. */
  readonly words?: string;
}

/** A mark with its whisker, in one path: there are many of them. */
export function mark({ series, x, y, isHollow = false, r = 4, from, to, words }: Mark): string {
  const whisker =
    from === undefined || to === undefined ? "" : `M${at(from[0])} ${at(from[1])}L${at(to[0])} ${at(to[1])}`;
  const d = `${whisker}M${at(x)} ${at(y)}${SHAPES[series]!(r)}`;
  const title = words === undefined ? [] : [element("title", {}, escapeXml(words))];
  return element("path", { class: `${SERIES[series]}${isHollow ? " hollow" : ""}`, d }, ...title);
}

// ── Scales ─────────────────────────────────────────────────────────────────────────────────────────────────

export type Scale = (value: number) => number;

/** From 0…max to pixels. */
export function linear(max: number, from: number, to: number): Scale {
  return value => from + (value / max) * (to - from);
}

/** From least…greatest, both above 0, to pixels. */
export function logarithmic(least: number, greatest: number, from: number, to: number): Scale {
  const span = Math.log(greatest / least);
  return value => from + (Math.log(value / least) / span) * (to - from);
}

/** 0 and round numbers up to the first that is not below `max`: the last is where the axis ends. */
export function ticks(max: number): number[] {
  const rough = max / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map(factor => factor * power).find(size => size >= rough)!;
  return Array.from({ length: Math.ceil(max / step - 1e-9) + 1 }, (_, index) =>
    Number((index * step).toPrecision(6)),
  );
}

// ── The page ───────────────────────────────────────────────────────────────────────────────────────────────

export interface Page {
  readonly width: number;
  readonly height: number;
  readonly title: string;
  /** For people who do not see it. */
  readonly description: string;
  /** Where and when, at the foot. */
  readonly caption: readonly string[];
}

/** Pixels above and below what is drawn: title, caption. */
export const HEAD_PIXELS = 40;
export const CAPTION_LINE_PIXELS = 15;

/** A whole file; `shapes` are drawn from y = HEAD_PIXELS on. */
export function page(
  { width, height, title, description, caption }: Page,
  shapes: readonly string[],
): string {
  const foot = caption.map((words, index) =>
    text(16, height - 10 - (caption.length - 1 - index) * CAPTION_LINE_PIXELS, words, "start", "faint small"),
  );
  const attributes = {
    xmlns: "http://www.w3.org/2000/svg",
    viewBox: `0 0 ${at(width)} ${at(height)}`,
    width,
    height,
    role: "img",
    "aria-labelledby": "title desc",
  };
  const body = [
    element("title", { id: "title" }, escapeXml(title)),
    element("desc", { id: "desc" }, escapeXml(description)),
    element("style", {}, STYLE),
    element("rect", { class: "ground", width, height, rx: 6 }),
    text(16, 26, title, "start", "big"),
    ...shapes,
    ...foot,
  ];
  return `${element("svg", attributes, "\n", body.join("\n"), "\n")}\n`;
}
