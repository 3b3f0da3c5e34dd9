/**
 * From two sides to a report: the proof, the cookies, and all that people need beside them (names of ports, summaries
 * of frames, where in the intent a flow comes from, the command that shows it again).
 */
import { canonicalText, type FlowColumns, matchWords, parseFlow } from "../openflow/index.ts";
import type { VerifyBehaviour, VerifyReport, VerifySide, VerifyStep } from "../report/index.ts";
import {
  type Behaviour,
  compareCookies,
  type FlowLine,
  type Proof,
  type ProofOptions,
  prove,
  type Unknown,
} from "../verify/index.ts";
import { formatHex, summarize } from "../wire/index.ts";
import type { Side } from "./sides.ts";

/** Pairs of flows with different cookies that are shown. */
const COOKIES_SHOWN = 10;

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
  const cookies = options.isStrictAboutCookies ? compareCookies(a.flows, b.flows, COOKIES_SHOWN) : null;
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
    differences: proof.differences.map(difference => ({
      ...shown(difference.inPort, difference.frame, [a, b]),
      what: wordsFor(difference.what),
      affected: difference.affected,
      a: behaviourOf(a, difference.a, nameOf),
      b: behaviourOf(b, difference.b, nameOf),
    })),
    ambiguous: proof.ambiguous.map(({ side, inPort, frame, flows }) => {
      const one = side === "a" ? a : b;
      return { side, ...shown(inPort, frame, [one]), flows: [stepOf(one, flows[0]), stepOf(one, flows[1])] };
    }),
    unknown,
    cookies,
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
  { outputs, packetIns, flows }: Behaviour,
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
    flows: flows.map(line => stepOf(side, line)),
  };
}

function stepOf(side: Side, { file, line, text }: FlowLine): VerifyStep {
  const { flow } = parseFlow(text, { file, line }, { ports: side.ports.numbers, lenient: true });
  if (flow === null) throw new Error(`assertion: ${file}:${line} was read before`);
  const { words, unplaced } = matchWords(flow);
  const tests = words.map(({ word, mask, value }) => `${word}/${mask}=${value}`);
  const rest = unplaced.map(({ field, value, mask }) => `${field.name}=${value}/${mask}`);
  return {
    file,
    line,
    text: text.trim(),
    origin: side.placeOf(line),
    match: [flow.table, flow.priority, ...tests, ...rest].join(),
    actions: canonicalText(flow.actions),
    priority: flow.priority,
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
