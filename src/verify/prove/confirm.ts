/**
 * What the interpreter makes of a frame, with flow tables of any size, which it reads from their columns. The symbolic
 * machine has no part in it.
 */
import { type Flow, Interpreter, type Outcome } from "../../openflow/index.ts";
import type { Program } from "./program.ts";

/** The interpreter of a program. */
export function interpreterOf(program: Program): Interpreter {
  return new Interpreter(program.flows, { groups: [...program.groups.values()] });
}

/** True when two outcomes are the same to everybody outside: outputs in order, and packet-ins but for expired TTLs. */
export function sameOutcome(a: Outcome, b: Outcome): boolean {
  const text = ({ outputs, packetIns }: Outcome): string =>
    JSON.stringify([
      outputs.map(({ port, frame }) => [port, [...frame]]),
      packetIns
        .filter(({ reason }) => reason !== "invalid_ttl")
        .map(({ reason, frame }) => [reason, [...frame]]),
    ]);
  return text(a) === text(b);
}

/** The flows that a frame went through. */
export const chainOf = ({ tables }: Outcome): Flow[] =>
  tables.flatMap(({ flow }) => (flow === null ? [] : [flow]));
