/**
 * What the interpreter makes of a frame, with flow tables of any size, which it reads from their columns. The symbolic
 * machine has no part in it.
 */
import { type Flow, Interpreter, type Outcome } from "../../openflow/index.ts";
import type { Program } from "./program.ts";

/** So many frames are run before the tables are made ready for many. */
const FEW = 50;
/** Flows that are kept ready: when a million rows are wrong, frames meet each of them once. */
const KEPT_FLOWS = 256;

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
      this.#interpreter = new Interpreter(flows, {
        groups: [...groups.values()],
        isForFew: count < FEW,
        keptFlows: KEPT_FLOWS,
      });
    }
    return this.#interpreter.run(inPort, frame);
  }
}

/** True when two outcomes are the same to everybody outside: outputs in order, and packet-ins but for expired TTLs. */
export function sameOutcome(a: Outcome, b: Outcome): boolean {
  const told = ({ packetIns }: Outcome) => packetIns.filter(({ reason }) => reason !== "invalid_ttl");
  const [left, right] = [told(a), told(b)];
  return (
    a.outputs.length === b.outputs.length &&
    left.length === right.length &&
    a.outputs.every(
      ({ port, frame }, i) => port === b.outputs[i]!.port && isSame(frame, b.outputs[i]!.frame),
    ) &&
    left.every(({ reason, frame }, i) => reason === right[i]!.reason && isSame(frame, right[i]!.frame))
  );
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) return false;
  return true;
}

/** The flows that a frame went through. */
export const chainOf = ({ tables }: Outcome): Flow[] =>
  tables.flatMap(({ flow }) => (flow === null ? [] : [flow]));
