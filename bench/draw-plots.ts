/**
 * `npm run plots`: draws the plots of docs/performance.md from the figures in docs/performance.json, with
 * vega-lite. `slash32 bench --docs` writes that file and then runs this script. It measures nothing, and is
 * not part of the published program. Usage: draw-plots.ts [FOLDER], the folder of performance.json (default:
 * docs).
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type LoggerInterface, parse, View } from "vega";
import { compile, type TopLevelSpec } from "vega-lite";
import { ROOT } from "./paths.ts";
import { type Plot, plotsOf, withPlots } from "./plots.ts";
import { benchOf } from "./result.ts";

/** Every warning about a specification is an error: vega-lite would draw something else. */
const STRICT: LoggerInterface = {
  level: () => STRICT,
  error: message => fail(message),
  warn: message => fail(message),
  info: () => STRICT,
  debug: () => STRICT,
};

function fail(message: unknown): never {
  throw new Error(`vega-lite: ${message}`);
}

const escaped = (text: string): string => text.replace(/[&<>"]/g, sign => `&#${sign.charCodeAt(0)};`);

/** The plot as SVG, with its title and description as text. */
export async function svgOf({ title, description, spec }: Plot): Promise<string> {
  const { spec: compiled } = compile(spec as unknown as TopLevelSpec, { logger: STRICT });
  const view = new View(parse(compiled), { renderer: "none" });
  const svg = await view.toSVG();
  view.finalize();
  const words = `<title>${escaped(title)}</title><desc>${escaped(description)}</desc>`;
  return `${svg.replace(/^<svg /, '<svg role="img" ').replace(/>/, `>${words}`)}\n`;
}

/**
 * Draws all plots into `FOLDER/performance`, removes plots without figures, and updates the links of the
 * page.
 */
export async function drawPlots(docs: string): Promise<void> {
  const plots = plotsOf(benchOf(readFileSync(join(docs, "performance.json"), "utf8")));
  const folder = join(docs, "performance");
  mkdirSync(folder, { recursive: true });
  for (const old of readdirSync(folder).filter(name => name.endsWith(".svg"))) rmSync(join(folder, old));
  for (const plot of plots) writeFileSync(join(folder, plot.file), await svgOf(plot));
  const page = join(docs, "performance.md");
  writeFileSync(page, withPlots(readFileSync(page, "utf8"), plots));
}

if (process.argv[1] === import.meta.filename) await drawPlots(process.argv[2] ?? join(ROOT, "docs"));
