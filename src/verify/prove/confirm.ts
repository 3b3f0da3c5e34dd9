/**
 * What the interpreter makes of a frame, with flow tables of any size, which it reads from their columns. The symbolic
 * machine has no part in it.
 */
import { type Flow, Interpreter, type Outcome } from "../../openflow/index.ts";
import type { Program } from "./program.ts";

/** So many frames are run before the tables are made ready for many. */
const FEW = 50;

/** The interpreter of a program: nothing is made ready for it before there is a frame. */
export class Confirming {
  readonly #program: Program;
  #interpreter: Interpreter | null = null;
  #frames = 0;

  constructor(program: Program) {
    this.#program = program;
  }

  run(inPort: number, frame: Uint8Array): Outcome {
    const count = this.#frames++;
    if (this.#interpreter === null || count === FEW) {
      const { flows, groups } = this.#program;
      this.#interpreter = new Interpreter(flows, { groups: [...groups.values()], isForFew: count < FEW });
    }
    return this.#interpreter.run(inPort, frame);
  }
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
