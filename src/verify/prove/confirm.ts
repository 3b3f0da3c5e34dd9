/**
 * What the interpreter makes of a frame, with flow tables of any size, which it reads from their columns. The symbolic
 * machine has no part in it.
 */
import {
  ACCOMPANYING_WORDS,
  type Effects,
  type EnteringState,
  type Flow,
  Interpreter,
  KEY,
  type Outcome,
} from "../../openflow/index.ts";
import type { Ignored } from "./compare.ts";
import { isTunnel, TUNNEL_WORDS } from "./entering.ts";
import type { Program } from "./program.ts";
import { NO_PORT_KINDS, type PortKinds } from "./space.ts";

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

  run(inPort: number, frame: Uint8Array, entering: EnteringState): Outcome {
    const count = this.#frames++;
    if (this.#interpreter === null || count === FEW) {
      const { flows, groups } = this.#program;
      this.#interpreter = new Interpreter(flows, { groups: [...groups.values()], isForFew: count < FEW });
    }
    return this.#interpreter.run(inPort, frame, null, entering);
  }
}

/** What two outcomes are compared by. */
export interface Yardstick {
  readonly ignored: ReadonlySet<Ignored>;
  readonly ports: PortKinds;
}

const EVERYTHING: Yardstick = { ignored: new Set(), ports: NO_PORT_KINDS };

type Output = Outcome["outputs"][number];

/** Whether a word of ACCOMPANYING_WORDS counts for an output. */
function counts(word: number, port: number, { ignored, ports }: Yardstick): boolean {
  if (word === KEY.skbPriority) return !ignored.has("queue");
  if (word === KEY.pktMark) return !ignored.has("mark");
  return !TUNNEL_WORDS.includes(word) || isTunnel(ports, port) !== false;
}

/** Words of an output that go along with its bytes, those that do not count as zero. */
export function accompanying(output: Output, by: Yardstick = EVERYTHING): number[] {
  const { port, state } = output;
  return ACCOMPANYING_WORDS.map((word, index) => (counts(word, port, by) ? (state?.[index] ?? 0) : 0));
}

const hexOf = (bytes: Uint8Array): string => Array.from(bytes, byte => byte.toString(16)).join(".");

/** What counts of an outcome, a text for each event: frames that leave, what the controller gets, and all else. */
function textsOf({ outputs, packetIns, others }: Effects, by: Yardstick) {
  const isOrdered = !by.ignored.has("order");
  const sent = isOrdered ? outputs : [...outputs].sort((a, b) => a.port - b.port);
  const known = packetIns.filter(({ isExpired }) => !isExpired && !by.ignored.has("packet-in"));
  const silent = others.filter(({ effect }) => effect === "learns" || effect === "samples");
  return {
    outputs: sent.map(output => `${output.port} ${hexOf(output.frame)} ${accompanying(output, by)}`),
    packetIns: known.map(
      ({ reason, id, maxBytes, userdata, state, frame }) =>
        `${reason} ${id} ${maxBytes} ${userdata} ${state} ${hexOf(frame)}`,
    ),
    silent: silent
      .filter(({ effect }) => effect === "learns" || !by.ignored.has("sample"))
      .map(({ effect, key }) => `${effect} ${key}`)
      .sort(),
    puts: others.filter(({ effect }) => effect === "puts out").map(({ key }) => key),
    tracks: others.filter(({ effect }) => effect === "tracks").map(({ key, after }) => `${after} ${key}`),
  };
}

/** True when two outcomes are the same to everybody outside. Undecided ones are not. */
export function sameOutcome(a: Outcome, b: Outcome, by: Yardstick = EVERYTHING): boolean {
  if (a.effects === null || b.effects === null) return false;
  return JSON.stringify(textsOf(a.effects, by)) === JSON.stringify(textsOf(b.effects, by));
}

/** Those of `some` that are not in `others`, one for one. */
function without(some: readonly string[], others: readonly string[]): string[] {
  const left = [...others];
  return some.filter(one => {
    const at = left.indexOf(one);
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  });
}

/**
 * True when two outcomes differ whatever the switch's own state is, or in some state of it that one side alone depends on:
 * NORMAL puts out something in some state, ct and meters let packets pass in some.
 */
export function surelyDiffer(a: Outcome, b: Outcome, by: Yardstick = EVERYTHING): boolean {
  if (a.effects === null || b.effects === null) return false;
  const [left, right] = [textsOf(a.effects, by), textsOf(b.effects, by)];
  const definite = ({ outputs, packetIns, silent }: ReturnType<typeof textsOf>): string =>
    JSON.stringify([outputs, packetIns, silent]);
  const [extraA, extraB] = [without(left.puts, right.puts), without(right.puts, left.puts)];
  if (extraA.length === 0 && extraB.length === 0) return definite(left) !== definite(right);
  if (extraA.length > 0 && extraB.length > 0) return false;
  const [more, less] = extraA.length > 0 ? [left, right] : [right, left];
  return [
    [less.outputs, more.outputs],
    [less.packetIns, more.packetIns],
    [less.silent, more.silent],
  ].every(([some, others]) => without(some!, others!).length === 0);
}

/** The flows that a frame went through. */
export const chainOf = ({ tables }: Outcome): Flow[] =>
  tables.flatMap(({ flow }) => (flow === null ? [] : [flow]));
