/**
 * What verify and diff found, as JSON, text and findings. Differences come one by one from the proof; people want
 * causes, so those whose ways part at the same two flows are told together, the first of them in full. Pure functions
 * of plain data.
 */
import { type Finding, type Findings, type Location, ruleOf, type Step, type Way } from "./finding.ts";
import { count, type Palette } from "./text.ts";

export interface VerifySide {
  readonly name: string;
  readonly kind: "intent" | "dump" | "bridge";
  readonly flows: number;
  /** Flows that options left out, and those that cannot be read. */
  readonly leftOut: number;
  readonly unread: number;
  /** False for a bridge that changed while it was read. */
  readonly isSteady: boolean;
}

/** A flow that a frame met. */
export interface VerifyStep extends Step {
  /** The part of the intent that it is for; null where there is none. */
  readonly origin: Location | null;
  /** Table, priority and match, and actions, in a spelling of ours: equal texts mean the same. */
  readonly match: string;
  readonly actions: string;
  readonly priority: number;
}

export interface VerifyBehaviour {
  readonly outputs: readonly {
    readonly port: number;
    readonly portName: string | null;
    readonly hex: string;
    readonly summary: string;
  }[];
  readonly packetIns: readonly { readonly reason: string; readonly hex: string }[];
  readonly flows: readonly VerifyStep[];
}

interface Shown {
  readonly inPort: number;
  readonly inPortName: string | null;
  readonly hex: string;
  readonly summary: string;
  /** A shell line that shows the frame's way. */
  readonly replay: string;
}

export interface VerifyDifference extends Shown {
  readonly what: string;
  readonly affected: string;
  readonly a: VerifyBehaviour;
  readonly b: VerifyBehaviour;
}

export interface VerifyAmbiguity extends Shown {
  readonly side: "a" | "b";
  readonly flows: readonly [VerifyStep, VerifyStep];
}

export interface VerifyUnknown {
  readonly feature: string;
  /** 0 where no line is to blame. */
  readonly line: number;
  readonly side: "a" | "b" | null;
}

/** Two flows that say the same but for their cookies. */
export interface CookiePair {
  readonly a: Step;
  readonly b: Step;
}

export interface VerifyReport {
  readonly type: "verify" | "diff";
  readonly verdict: "equal" | "different" | "ambiguous" | "unknown";
  readonly classes: number;
  readonly packets: string;
  readonly seconds: number;
  readonly a: VerifySide;
  readonly b: VerifySide;
  readonly differences: readonly VerifyDifference[];
  readonly ambiguous: readonly VerifyAmbiguity[];
  readonly unknown: readonly VerifyUnknown[];
  /** Null when cookies were not looked at. */
  readonly cookies: { readonly count: number; readonly shown: readonly CookiePair[] } | null;
}

// ── JSON ────────────────────────────────────────────────────────────────────────────────────────────────────────

const stepObject = ({ file, line, text, origin }: VerifyStep): object => ({
  file,
  line,
  text,
  ...(origin === null ? {} : { intent: { file: origin.file, line: origin.line } }),
});

const behaviourObject = ({ outputs, packetIns, flows }: VerifyBehaviour): object => ({
  outputs: outputs.map(({ port, portName, hex }) => ({
    port,
    ...(portName === null ? {} : { port_name: portName }),
    frame: hex,
  })),
  packet_ins: packetIns.map(({ reason, hex }) => ({ reason, frame: hex })),
  flows: flows.map(stepObject),
});

const frameObject = ({ inPort, inPortName, hex }: Shown): object => ({
  in_port: inPort,
  ...(inPortName === null ? {} : { in_port_name: inPortName }),
  frame: hex,
});

const differenceObject = (difference: VerifyDifference): object => ({
  ...frameObject(difference),
  what: difference.what,
  a: behaviourObject(difference.a),
  b: behaviourObject(difference.b),
  affected: difference.affected,
  replay: difference.replay,
});

const ambiguityObject = (ambiguity: VerifyAmbiguity): object => ({
  ...frameObject(ambiguity),
  side: ambiguity.side,
  flows: ambiguity.flows.map(stepObject),
  replay: ambiguity.replay,
});

const sideObject = ({ name, kind, leftOut, unread, isSteady }: VerifySide): object => ({
  name,
  kind,
  ...(leftOut === 0 ? {} : { left_out: leftOut }),
  ...(unread === 0 ? {} : { unread }),
  ...(kind === "bridge" ? { steady: isSteady } : {}),
});

const bare = ({ file, line, text }: Step): object => ({ file, line, text });

/** The JSON object of docs' contract: one line, no line end. */
export function verifyJson(report: VerifyReport): string {
  const { type, verdict, classes, packets, seconds, a, b, cookies } = report;
  return JSON.stringify({
    type,
    schema: 1,
    verdict,
    classes,
    packets,
    flows: { a: a.flows, b: b.flows },
    seconds: Number(seconds.toFixed(6)),
    differences: report.differences.map(differenceObject),
    unknown: report.unknown,
    ambiguous: report.ambiguous.map(ambiguityObject),
    ...(cookies === null
      ? {}
      : {
          cookies: {
            count: cookies.count,
            pairs: cookies.shown.map(pair => ({ a: bare(pair.a), b: bare(pair.b) })),
          },
        }),
    sides: { a: sideObject(a), b: sideObject(b) },
  });
}

/** A line each for what was found, and the whole object last. */
export function verifyNdjson(report: VerifyReport): string {
  const line = (type: string, object: object): string => JSON.stringify({ type, schema: 1, ...object });
  return [
    ...report.differences.map(one => line("difference", differenceObject(one))),
    ...report.ambiguous.map(one => line("ambiguous", ambiguityObject(one))),
    ...report.unknown.map(one => line("unknown", one)),
    verifyJson(report),
  ].join("\n");
}

// ── Causes ──────────────────────────────────────────────────────────────────────────────────────────────────────

interface Cause {
  readonly first: VerifyDifference;
  readonly count: number;
  /** Where the ways part: the index of the first flow that the two do not share. */
  readonly at: number;
}

const isSame = (a: VerifyStep | undefined, b: VerifyStep | undefined): boolean =>
  a !== undefined && b !== undefined && a.match === b.match && a.actions === b.actions;

function partingOf({ a, b }: VerifyDifference): number {
  let at = 0;
  while (at < a.flows.length && isSame(a.flows[at], b.flows[at])) at++;
  return at;
}

/**
 * The flow or flows to which a parting of ways is due: the one of the higher priority, which the other side does not
 * take, or both where priorities are equal.
 */
function dueTo(left: VerifyStep | undefined, right: VerifyStep | undefined): (VerifyStep | null)[] {
  const above = (left?.priority ?? -1) - (right?.priority ?? -1);
  return [above >= 0 ? (left ?? null) : null, above <= 0 ? (right ?? null) : null];
}

/** Differences by the flows that they are due to, those that say most first. */
function causesOf(differences: readonly VerifyDifference[]): Cause[] {
  const causes = new Map<string, Cause>();
  for (const difference of differences) {
    const at = partingOf(difference);
    const due = dueTo(difference.a.flows[at], difference.b.flows[at]);
    const name = JSON.stringify(due.map(step => [step?.match, step?.actions]));
    const known = causes.get(name);
    causes.set(name, {
      first: known?.first ?? difference,
      count: (known?.count ?? 0) + 1,
      at: known?.at ?? at,
    });
  }
  return [...causes.values()].sort((a, b) => b.count - a.count);
}

const grouped = (text: string): string => text.replace(/\d{4,}/g, digits => count(Number(digits)));

const plural = (number: number, one: string): string => `${count(number)} ${one}${number === 1 ? "" : "s"}`;

const titleOf = ({ first, count: times }: Cause): string => {
  const others = times === 1 ? "" : `, and ${plural(times - 1, "more difference")} from the same flows`;
  return `${first.what}: ${grouped(first.affected)}${others}`;
};

/** Why the ways part, in one line. */
function reasonOf({ first, at }: Cause): string {
  const [left, right] = [first.a.flows[at], first.b.flows[at]];
  if (left === undefined && right === undefined) return "both take the same flows; groups or ports differ";
  if (left?.match === right?.match) return "both have a flow with this match, and its actions differ";
  const [ofA, ofB] = dueTo(left, right);
  if (ofB === null) return "b has not the flow that a takes, or it matches less";
  if (ofA === null) return "a has not the flow that b takes, or it matches less";
  return "the two take different flows of one priority";
}

// ── Text ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** `equal: …`: the verdict and what it means, in one line. */
export function verifyHeadline(report: VerifyReport): string {
  const { verdict, a, b, differences, ambiguous, unknown, cookies } = report;
  if (verdict === "equal") return `equal: ${a.name} and ${b.name} do the same with every frame on every port`;
  if (verdict === "ambiguous") {
    const where = [...new Set(ambiguous.map(({ side }) => report[side].name))].join(" and ");
    return `ambiguous: what ${where} does with some frames depends on which flow was installed first`;
  }
  if (verdict === "unknown") {
    const reasons = plural(unknown.length, "reason");
    return `unknown: no difference between ${a.name} and ${b.name} was found, but not all could be decided (${reasons})`;
  }
  if (differences.length === 0)
    return `different: ${plural(cookies?.count ?? 0, "cookie")} of ${a.name} and ${b.name}, and nothing else`;
  const causes = causesOf(differences).length;
  const found = `${plural(differences.length, "difference")} with ${plural(causes, "cause")}`;
  return `different: ${found} between ${a.name} and ${b.name}`;
}

/** What was compared, a line each. */
export function verifyFacts(report: VerifyReport): string[] {
  const { a, b, classes, packets, seconds } = report;
  const side = (letter: string, { name, kind, flows, leftOut, unread, isSteady }: VerifySide): string =>
    [
      `${letter}: ${name}, ${kind}, ${plural(flows, "flow")}`,
      ...(leftOut === 0 ? [] : [`${count(leftOut)} left out as asked`]),
      ...(unread === 0 ? [] : [`${count(unread)} that cannot be read`]),
      ...(isSteady ? [] : ["changed while it was read"]),
    ].join(", ");
  const time = seconds < 1 ? `${(seconds * 1000).toFixed(0)} ms` : `${seconds.toFixed(2)} s`;
  const told = `${plural(classes, "class").replace(/classs$/, "classes")} of frames, ${packets} flow keys, ${time}`;
  return [side("a", a), side("b", b), told];
}

const portText = (port: number, name: string | null): string =>
  name === null ? `${port}` : `${name} (${port})`;

/** A flow of an intent has no line there: the part that it is for has, and it has one among the compiled flows. */
function placeText({ file, line, origin }: VerifyStep, { kind }: VerifySide): string {
  if (kind !== "intent") return `${file}:${line}`;
  return `${origin === null ? file : `${origin.file}:${origin.line}`}, compiled line ${line}`;
}

function endsOf({ outputs, packetIns }: VerifyBehaviour): string[] {
  const ends = outputs.map(({ port, portName, summary }) => `out ${portText(port, portName)}: ${summary}`);
  ends.push(...packetIns.map(({ reason }) => `packet-in ${reason}`));
  return ends.length === 0 ? ["drop"] : ends;
}

function behaviourLines(
  letter: string,
  side: VerifySide,
  behaviour: VerifyBehaviour,
  at: number,
  paint: Palette,
) {
  const [end, ...more] = endsOf(behaviour);
  return [
    `   ${paint.bold(letter)}  ${end}`,
    ...more.map(line => `      ${line}`),
    ...behaviour.flows.map((step, index) => {
      const mark = index === at ? paint.red("≠") : " ";
      return `    ${mark}   ${paint.dim(`${placeText(step, side)}:`)} ${ruleOf(step.text)}`;
    }),
  ];
}

const frameLines = ({ inPort, inPortName, summary, hex }: Shown, paint: Palette): string[] => [
  `   in ${portText(inPort, inPortName)}: ${summary}`,
  `      ${paint.dim(hex)}`,
];

const replayLine = ({ replay }: Shown, paint: Palette): string => `   ${paint.cyan("$")}  ${replay}`;

function causeLines(cause: Cause, index: number, { a, b }: VerifyReport, paint: Palette): string[] {
  const { first, at } = cause;
  return [
    "",
    `${index + 1}. ${paint.bold(titleOf(cause))}`,
    `   ${reasonOf(cause)}`,
    ...frameLines(first, paint),
    ...behaviourLines("a", a, first.a, at, paint),
    ...behaviourLines("b", b, first.b, at, paint),
    replayLine(first, paint),
  ];
}

const COLORS = { equal: "green", different: "red", ambiguous: "red", unknown: "yellow" } as const;

/** For people: the verdict, then causes, overlaps, what is unknown. */
export function verifyText(report: VerifyReport, paint: Palette): string {
  const { verdict, differences, ambiguous, unknown, cookies } = report;
  const lines = [
    paint[COLORS[verdict]](verifyHeadline(report)),
    ...verifyFacts(report).map(fact => `  ${fact}`),
  ];
  for (const [index, cause] of causesOf(differences).entries())
    lines.push(...causeLines(cause, index, report, paint));
  for (const one of ambiguous) {
    lines.push("", `${paint.red("ambiguous")} in ${report[one.side].name}: ${AMBIGUOUS}`);
    const flows = one.flows.map(step => `      ${placeText(step, report[one.side])}: ${ruleOf(step.text)}`);
    lines.push(...frameLines(one, paint), ...flows);
    lines.push(replayLine(one, paint));
  }
  if (cookies !== null && cookies.count > 0) {
    lines.push("", `${paint.red("cookies")} differ in ${plural(cookies.count, "flow")}`);
    for (const { a, b } of cookies.shown)
      lines.push(...[a, b].map(({ file, line, text }) => `      ${file}:${line}: ${text}`));
  }
  if (unknown.length > 0) lines.push("");
  for (const one of unknown) lines.push(`${paint.yellow("unknown")} ${unknownText(one, report)}`);
  return `${lines.join("\n")}\n`;
}

const AMBIGUOUS = "two flows of one priority match this frame and do different things";

function unknownText({ feature, line, side }: VerifyUnknown, report: VerifyReport): string {
  if (side === null) return line === 0 ? feature : `${feature}, line ${line}`;
  return line === 0 ? `${report[side].name}: ${feature}` : `${report[side].name}:${line}: ${feature}`;
}

// ── Findings ────────────────────────────────────────────────────────────────────────────────────────────────────

const start = ({ name }: VerifySide): Location => ({ file: name, line: 1 });

/** A step at a line that is there: of an intent that of the part that the flow is for. */
function stepOf({ file, line, text, origin }: VerifyStep, { kind }: VerifySide): Step {
  if (kind !== "intent") return { file, line, text };
  return { ...(origin ?? { file, line: 1 }), text: `compiled line ${line}: ${text}` };
}

const wayOf = (letter: string, side: VerifySide, behaviour: VerifyBehaviour): Way => ({
  title: `${letter}, ${side.name}`,
  steps: behaviour.flows.map(step => stepOf(step, side)),
  end: endsOf(behaviour).join("; "),
});

const originsOf = (steps: readonly VerifyStep[]): Finding["related"] =>
  steps.flatMap(({ origin, text }) =>
    origin === null ? [] : [{ ...origin, message: `what this flow is for: ${ruleOf(text)}` }],
  );

function causeFinding(cause: Cause, { a, b }: VerifyReport): Finding {
  const { first, at } = cause;
  const [left, right] = [first.a.flows[at], first.b.flows[at]];
  const last = right ?? first.b.flows.at(-1);
  const frame = `in_port ${portText(first.inPort, first.inPortName)}, frame ${first.hex} (${first.summary})`;
  const taken =
    left === undefined || a.kind === "intent" ? [] : [{ ...stepOf(left, a), message: "what a takes" }];
  return {
    rule: "difference",
    level: "error",
    title: titleOf(cause),
    details: [reasonOf(cause), frame, `replay: ${first.replay}`],
    place: last === undefined ? start(b) : stepOf(last, b),
    related: [...originsOf([...first.a.flows, ...first.b.flows]), ...taken],
    ways: [wayOf("a", a, first.a), wayOf("b", b, first.b)],
    key: [first.what, ruleOf(left?.text ?? ""), ruleOf(right?.text ?? "")].join("\n"),
  };
}

function ambiguityFinding(one: VerifyAmbiguity, report: VerifyReport): Finding {
  const side = report[one.side];
  const [first, second] = one.flows.map(step => stepOf(step, side)) as [Step, Step];
  return {
    rule: "ambiguous",
    level: "error",
    title: `${AMBIGUOUS}: lines ${one.flows[0].line} and ${one.flows[1].line}`,
    details: [
      `in_port ${portText(one.inPort, one.inPortName)}, frame ${one.hex} (${one.summary})`,
      `replay: ${one.replay}`,
    ],
    place: first,
    related: [{ ...second, message: "the other flow" }, ...originsOf(one.flows)],
    ways: [{ title: `${one.side}, ${side.name}`, steps: [first, second], end: "" }],
    key: one.flows.map(({ text }) => ruleOf(text)).join("\n"),
  };
}

function unknownFinding(one: VerifyUnknown, report: VerifyReport): Finding {
  const { name } = report[one.side ?? "b"];
  return {
    rule: "unknown",
    level: "warning",
    title: `not decided: ${one.feature}`,
    details: [],
    place: { file: name, line: Math.max(1, one.line) },
    related: [],
    ways: [],
    key: `${one.side} ${one.feature}`,
  };
}

function cookieFinding({ a, b }: CookiePair): Finding {
  return {
    rule: "cookie",
    level: "error",
    title: "cookies differ",
    details: [`a: ${a.text}`, `b: ${b.text}`],
    place: { file: b.file, line: b.line },
    related: [],
    ways: [],
    key: ruleOf(b.text),
  };
}

/** The same for the other reports, the worst first. */
export function verifyFindings(report: VerifyReport, version: string): Findings {
  const { type, a, b, seconds, differences, ambiguous, unknown, cookies } = report;
  return {
    command: type,
    version,
    headline: verifyHeadline(report),
    facts: verifyFacts(report),
    seconds,
    findings: [
      ...causesOf(differences).map(cause => causeFinding(cause, report)),
      ...ambiguous.map(one => ambiguityFinding(one, report)),
      ...(cookies?.shown ?? []).map(cookieFinding),
      ...unknown.map(one => unknownFinding(one, report)),
    ],
    checked: `${a.name} and ${b.name} do the same with every frame`,
  };
}
