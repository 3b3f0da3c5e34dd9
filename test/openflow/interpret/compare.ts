/**
 * The interpreter held against a real switch, frame by frame: outputs of each port in their order, packet-ins
 * in theirs. What the interpreter calls unknown or ambiguous is not compared, but counted.
 */

import {
  type Flow,
  Interpreter,
  type InterpreterOptions,
  type Outcome,
  parseFlows,
} from "../../../src/openflow/index.ts";
import type { Answer, Input, PrivateSwitch } from "../../ovs/private-switch.ts";

export const hexOf = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("hex");

/** LOCAL has no wire that anybody could listen to. */
const LOCAL = 65534;

/** An answer as lines: outputs by port, each port's in order; then the packet-ins. */
export function linesOf({
  outputs,
  packetIns,
}: {
  readonly outputs: readonly Pick<Outcome["outputs"][number], "port" | "frame">[];
  readonly packetIns: readonly Pick<Outcome["packetIns"][number], "reason" | "frame">[];
}): string[] {
  const seen = outputs.filter(({ port }) => port !== LOCAL);
  const ports = [...new Set(seen.map(({ port }) => port))].sort((a, b) => a - b);
  return [
    ...ports.flatMap(port =>
      seen.filter(one => one.port === port).map(({ frame }) => `${port} ${hexOf(frame)}`),
    ),
    ...packetIns.map(
      ({ reason, frame }) => `${reason === "invalid_ttl" ? reason : "action"} ${hexOf(frame)}`,
    ),
  ];
}

export const linesOfAnswer = ({ outputs, packetIns }: Answer): string[] => linesOf({ outputs, packetIns });

/** Flows of lines that must be right. */
export function flowsOf(lines: readonly string[]): readonly Flow[] {
  const { flows, problems } = parseFlows(lines.join("\n"), "flows");
  const errors = problems.filter(({ level }) => level === "error");
  if (errors.length > 0) throw new Error(errors.map(({ line, message }) => `${line}: ${message}`).join("\n"));
  return flows;
}

export interface Compared {
  frames: number;
  undecided: number;
  /**
   * Frames on which the switch answered otherwise when it had forgotten all others: its cache had served them
   * the answer for another frame (Open vSwitch masks too little for some MPLS actions). The fresh answer is
   * the right one.
   */
  stale: number;
  /** Each with the frame, both answers and the way through the tables. */
  differences: string[];
}

const same = (outcome: Outcome, answer: Answer): boolean =>
  linesOf(outcome).join() === linesOfAnswer(answer).join();

function describe({ inPort, frame }: Input, outcome: Outcome, answer: Answer): string {
  return [
    `in_port ${inPort}: ${hexOf(frame)}`,
    ...outcome.tables.map(({ table, flow }) => `    ${table}: ${flow?.text ?? "no flow"}`),
    `  interpreter: ${outcome.errors}`,
    ...linesOf(outcome).map(line => `    ${line}`),
    "  switch:",
    ...linesOfAnswer(answer).map(line => `    ${line}`),
  ].join("\n");
}

/**
 * Installs the flows on the switch, whose ports and groups are there already, and runs the frames through both.
 * `ours` are other flows for the interpreter, for canaries.
 */
export async function compare(
  sw: PrivateSwitch,
  lines: readonly string[],
  inputs: readonly Input[],
  options: InterpreterOptions = {},
  ours: readonly string[] = lines,
): Promise<Compared> {
  const text = lines.join("\n");
  await sw.replaceFlows(text);
  const interpreter = new Interpreter(flowsOf(ours), options);
  const answers = await sw.sendMany(inputs);
  const compared: Compared = { frames: inputs.length, undecided: 0, stale: 0, differences: [] };
  for (const [index, input] of inputs.entries()) {
    const outcome = interpreter.run(input.inPort, input.frame);
    if (outcome.verdict === "unknown" || outcome.verdict === "ambiguous") compared.undecided++;
    else if (!same(outcome, answers[index]!)) {
      // Replacing the flows empties the caches.
      await sw.replaceFlows(text);
      const answer = await sw.send(input.inPort, input.frame);
      if (same(outcome, answer)) compared.stale++;
      else compared.differences.push(describe(input, outcome, answer));
    }
  }
  return compared;
}
