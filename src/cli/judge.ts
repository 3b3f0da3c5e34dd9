/**
 * From two sides to a report: the proof, the cookies, and all that people need beside them (names of ports, summaries
 * of frames, where in the intent a flow comes from, the command that shows it again).
 */
import { canonicalText, type FlowColumns, matchWords, parseFlow } from "../openflow/index.ts";
import {
  type Compared,
  plural,
  type VerifyBehaviour,
  type VerifyPlace,
  type VerifyReport,
  type VerifyRows,
  type VerifySide,
  type VerifyStep,
} from "../report/index.ts";
import {
  type Behaviour,
  type CookieMismatches,
  compareCookies,
  type FlowLine,
  type FlowPairs,
  type Proof,
  type ProofOptions,
  prove,
  type Unknown,
} from "../verify/index.ts";
import { formatHex, summarize } from "../wire/index.ts";
import type { Side } from "./sides.ts";

export interface JudgeOptions extends ProofOptions {
  readonly isStrictAboutCookies: boolean;
}

/** A report, and the frames in it as bytes. */
export interface Judgement {
  readonly report: VerifyReport;
  readonly proof: Proof;
}

export function judge(type: VerifyReport["type"], a: Side, b: Side, options: JudgeOptions): Judgement {
  const proof = prove({ flows: a.flows, groups: a.groups }, { flows: b.flows, groups: b.groups }, options);
  const cookies = options.isStrictAboutCookies ? compareCookies(a.flows, b.flows) : null;
  const unknown = [
    ...proof.unknown.map(one => withSide(one, a, b)),
    ...unsteady(a, "a"),
    ...unsteady(b, "b"),
  ];
  const nameOf = (port: number): string | null => a.ports.nameOf(port) ?? b.ports.nameOf(port);
  const shown = (inPort: number, frame: Uint8Array, sides: readonly Side[]) => {
    const hex = formatHex(frame);
    const replay = sides.map(side => side.trace(inPort, hex)).join("; ");
    return { inPort, inPortName: nameOf(inPort), hex, summary: summarize(frame), replay };
  };
  const report: VerifyReport = {
    type,
    verdict: verdictOf(proof, unknown.length > 0, cookies !== null && cookies.count > 0),
    classes: proof.classes,
    packets: proof.packets,
    seconds: proof.seconds,
    a: sideOf(a, proof.flows.a),
    b: sideOf(b, proof.flows.b),
    compared: comparedOf(a, b, options),
    differences: proof.differences.map(difference => ({
      ...shown(difference.inPort, difference.frame, [a, b]),
      what: wordsFor(difference.what),
      affected: difference.affected,
      a: behaviourOf(a, difference.a, nameOf),
      b: behaviourOf(b, difference.b, nameOf),
      rows: rowsOf(difference.rows, a, b),
      alike: difference.alike,
    })),
    isComplete: proof.isComplete,
    ambiguous: proof.ambiguous.map(({ side, inPort, frame, flows }) => {
      const one = side === "a" ? a : b;
      return { side, ...shown(inPort, frame, [one]), flows: [stepOf(one, flows[0]), stepOf(one, flows[1])] };
    }),
    unknown,
    cookies: cookies === null ? null : cookiesOf(cookies, a, b),
  };
  return { report, proof };
}

/** What differs outweighs what is unknown: it was shown with a frame. */
function verdictOf(proof: Proof, isUnknown: boolean, haveCookiesDiffer: boolean): VerifyReport["verdict"] {
  if (proof.verdict === "different" || haveCookiesDiffer) return "different";
  if (proof.verdict === "ambiguous") return "ambiguous";
  return isUnknown ? "unknown" : proof.verdict;
}

/** What both sides were at together has a line and no side: it is the one whose flow there says so. */
function withSide(unknown: Unknown, a: Side, b: Side): Unknown {
  const { feature, line, side } = unknown;
  if (side !== null || line === 0) return unknown;
  const [isA, isB] = [a, b].map(({ flows }) => textAt(flows, line)?.includes(feature) === true);
  if (isA === isB) return unknown;
  return { feature, line, side: isA ? "a" : "b" };
}

/** The text of the flow of a line, or null. */
function textAt(flows: FlowColumns, line: number): string | null {
  let low = 0;
  let high = flows.count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (flows.lineOf(middle) < line) low = middle + 1;
    else high = middle;
  }
  return low < flows.count && flows.lineOf(low) === line ? flows.flow(low).text : null;
}

const unsteady = ({ isSteady }: Side, side: "a" | "b"): Proof["unknown"] =>
  isSteady ? [] : [{ feature: "flows that changed while they were read", line: 0, side }];

const sideOf = ({ name, kind, leftOut, unread, isSteady }: Side, flows: number): VerifySide => ({
  name,
  kind,
  flows,
  leftOut,
  unread,
  isSteady,
});

function behaviourOf(
  side: Side,
  { outputs, packetIns, errors, flows }: Behaviour,
  nameOf: (port: number) => string | null,
): VerifyBehaviour {
  return {
    outputs: outputs.map(({ port, frame }) => ({
      port,
      portName: nameOf(port),
      hex: formatHex(frame),
      summary: summarize(frame),
    })),
    packetIns: packetIns.map(({ reason, frame }) => ({ reason, hex: formatHex(frame) })),
    errors,
    flows: flows.map(line => stepOf(side, line)),
  };
}

/** A flow of an intent is at the line of what it is for; the line that it was compiled to is called that. */
function placeOf(side: Side, { file, line, text }: FlowLine): VerifyPlace {
  const plain = { text: text.trim() };
  if (side.kind !== "intent") return { ...plain, file, line, compiledLine: null, origin: null };
  const origin = side.placeOf(line);
  return { ...plain, file: origin?.file ?? file, line: origin?.line ?? 0, compiledLine: line, origin };
}

/** The rows of a difference, read from their lines when they are asked for. */
function rowsOf(pairs: FlowPairs, a: Side, b: Side): VerifyRows {
  const placeAt = (side: Side, flow: number): VerifyPlace | null => {
    if (flow < 0) return null;
    const { flows } = side;
    return placeOf(side, { file: flows.file, line: flows.lineOf(flow), text: flows.textOf(flow) });
  };
  return {
    count: pairs.count,
    openCount: pairs.openCount,
    nameAt: index => pairs.nameAt(index),
    at(index) {
      const pair = pairs.at(index);
      return { a: placeAt(a, pair.a), b: placeAt(b, pair.b), missing: pair.missing };
    },
  };
}

const cookiesOf = ({ count, at }: CookieMismatches, a: Side, b: Side): VerifyReport["cookies"] => ({
  count,
  at(index) {
    const pair = at(index);
    return { a: placeOf(a, pair.a), b: placeOf(b, pair.b) };
  },
});

/** What the proof compares of a frame (docs/proof.md). */
const INCLUDED = [
  "the ports by which a frame leaves, in their order",
  "the bytes of each frame that leaves",
  "packet-ins, their reason and their bytes, but for those of expired TTLs",
];

function comparedOf(a: Side, b: Side, { isStrictAboutCookies }: JudgeOptions): Compared {
  const byOption = new Map<string, number>();
  for (const { by, flows } of [...a.leftOut, ...b.leftOut]) byOption.set(by, (byOption.get(by) ?? 0) + flows);
  const leftOut = [...byOption].map(([by, flows]) => `${plural(flows, "flow")} left out by ${by}`);
  const unread = a.unread + b.unread;
  if (unread > 0) leftOut.push(`${plural(unread, "flow")} that --lenient left out as unreadable`);
  return { included: [...INCLUDED, ...(isStrictAboutCookies ? ["cookies"] : [])], leftOut };
}

function stepOf(side: Side, { file, line, text, clauses }: FlowLine): VerifyStep {
  const { flow } = parseFlow(text, { file, line }, { ports: side.ports.numbers, lenient: true });
  if (flow === null) throw new Error(`assertion: ${file}:${line} was read before`);
  const { words, unplaced } = matchWords(flow);
  const tests = words.map(({ word, mask, value }) => `${word}/${mask}=${value}`);
  const rest = unplaced.map(({ field, value, mask }) => `${field.name}=${value}/${mask}`);
  return {
    ...placeOf(side, { file, line, text }),
    match: [flow.table, flow.priority, ...tests, ...rest].join(),
    actions: canonicalText(flow.actions),
    priority: flow.priority,
    ...(clauses === undefined ? {} : { clauses: clauses.map(one => placeOf(side, one)) }),
  };
}

/** The proof's word for what differs, in words; b is measured by a. */
const WORDS: Readonly<Record<string, string>> = {
  "an output too many": "b puts out what a does not",
  "an output too few": "b does not put out what a does",
  "a packet-in too many": "b sends a packet-in that a does not send",
  "a packet-in too few": "b does not send a packet-in that a sends",
  port: "the output port differs",
  "number of labels": "the number of labels differs",
  type: "the Ethernet type differs",
  checksum: "the checksum differs",
};

function wordsFor(what: string): string {
  const only = /^(.*) in ([ab]) only$/.exec(what);
  if (only !== null) return `only ${only[2]} runs ${only[1]}`;
  return WORDS[what] ?? `${what} ${what.includes(", ") ? "differ" : "differs"}`;
}
