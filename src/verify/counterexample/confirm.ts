/**
 * Confirms a difference: runs a frame through the interpreter with both flow tables and compares the
 * outcomes. The interpreter reads tables of any size from their columns. It shares no code with the symbolic
 * machine beyond compiled steps.
 */
import {
  ACCOMPANYING_WORDS,
  type Effects,
  type EnteringState,
  type Flow,
  Interpreter,
  KEY,
  type Outcome,
  type Tracker,
} from "../../openflow/index.ts";
import type { Ignored } from "../product/event-order.ts";
import type { Program } from "../symbolic/compiled-tables.ts";
import { isTunnel, TUNNEL_WORDS } from "../symbolic/entering.ts";
import { NO_PORT_KINDS, type PortKinds } from "../symbolic/input-space.ts";

/** After this number of frames, the interpreter indexes the tables. */
const FEW = 50;
/** Parsed flows to cache: if a million flows are wrong, frames meet each of them once. */
const KEPT_FLOWS = 256;

/** The interpreter of a program; created for the first frame. */
export class ConfirmingInterpreter {
  readonly #program: Program;
  #interpreter: Interpreter | null = null;
  #frames = 0;

  constructor(program: Program) {
    this.#program = program;
  }

  run(inPort: number, frame: Uint8Array, entering: EnteringState, tracker: Tracker): Outcome {
    const count = this.#frames++;
    if (this.#interpreter === null || count === FEW) {
      const { flows, groups, ovs } = this.#program;
      this.#interpreter = new Interpreter(flows, {
        groups: [...groups.values()],
        isForFew: count < FEW,
        keptFlows: KEPT_FLOWS,
        ovs,
      });
    }
    return this.#interpreter.run(inPort, frame, null, entering, tracker);
  }
}

/** Which parts of two outcomes are compared. */
export interface ComparisonRules {
  readonly ignored: ReadonlySet<Ignored>;
  readonly ports: PortKinds;
}

const EVERYTHING: ComparisonRules = { ignored: new Set(), ports: NO_PORT_KINDS };

type Output = Outcome["outputs"][number];

/** Whether a word of ACCOMPANYING_WORDS is compared for an output. */
function counts(word: number, port: number, { ignored, ports }: ComparisonRules): boolean {
  if (word === KEY.skbPriority) return !ignored.has("queue");
  if (word === KEY.pktMark) return !ignored.has("mark");
  return !TUNNEL_WORDS.includes(word) || isTunnel(ports, port) !== false;
}

/** The accompanying words of an output; zero for those that are not compared. */
export function accompanying(output: Output, by: ComparisonRules = EVERYTHING): number[] {
  const { port, state } = output;
  return ACCOMPANYING_WORDS.map((word, index) => (counts(word, port, by) ? (state?.[index] ?? 0) : 0));
}

function isSame(a: ArrayLike<number>, b: ArrayLike<number>): boolean {
  if (a.length !== b.length) return false;
  for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) return false;
  return true;
}

type PacketIn = Outcome["packetIns"][number];
type Other = Effects["others"][number];

/** The comparable part of an outcome: outputs, packet-ins and certain effects. */
interface Certain {
  readonly outputs: readonly Output[];
  readonly packetIns: readonly PacketIn[];
  readonly others: readonly Other[];
}

function certainOf({ outputs, packetIns, others }: Effects, { ignored }: ComparisonRules): Certain {
  const isCounted = ({ effect }: Other): boolean =>
    effect === "learns" || (effect === "samples" && !ignored.has("sample"));
  return {
    outputs: ignored.has("order") ? [...outputs].sort((a, b) => a.port - b.port) : outputs,
    packetIns: packetIns.filter(({ isExpired }) => !isExpired && !ignored.has("packet-in")),
    others: others.filter(isCounted).sort((a, b) => (a.key < b.key ? -1 : 1)),
  };
}

const sameOutput = (a: Output, b: Output, by: ComparisonRules): boolean =>
  a.port === b.port &&
  isSame(a.frame, b.frame) &&
  ((a.state === null && b.state === null) || isSame(accompanying(a, by), accompanying(b, by)));

const samePacketIn = (a: PacketIn, b: PacketIn): boolean =>
  a.reason === b.reason &&
  a.id === b.id &&
  a.maxBytes === b.maxBytes &&
  a.userdata === b.userdata &&
  isSame(a.state, b.state) &&
  isSame(a.frame, b.frame);

const sameEffect = (a: Other, b: Other): boolean => a.effect === b.effect && a.key === b.key;

const sameLists = <T>(a: readonly T[], b: readonly T[], same: (a: T, b: T) => boolean): boolean =>
  a.length === b.length && a.every((one, index) => same(one, b[index]!));

const sameCertain = (a: Certain, b: Certain, by: ComparisonRules): boolean =>
  sameLists(a.outputs, b.outputs, (one, other) => sameOutput(one, other, by)) &&
  sameLists(a.packetIns, b.packetIns, samePacketIn) &&
  sameLists(a.others, b.others, sameEffect);

/** The elements of `some` that `others` lacks; duplicates are counted. */
function without<T>(some: readonly T[], others: readonly T[], same: (a: T, b: T) => boolean): T[] {
  const left = [...others];
  return some.filter(one => {
    const at = left.findIndex(other => same(one, other));
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  });
}

const putsOut = ({ others }: Effects): Other[] => others.filter(({ effect }) => effect === "puts out");

/** True if two outcomes are equal for every observer. False if one is undecided. */
export function sameOutcome(a: Outcome, b: Outcome, by: ComparisonRules = EVERYTHING): boolean {
  if (a.effects === null || b.effects === null) return false;
  const isUncertain = ({ effect }: Other): boolean => effect === "puts out" || effect === "tracks";
  const [left, right] = [a.effects.others.filter(isUncertain), b.effects.others.filter(isUncertain)];
  return (
    sameLists(left, right, (one, other) => sameEffect(one, other) && one.after === other.after) &&
    sameCertain(certainOf(a.effects, by), certainOf(b.effects, by), by)
  );
}

/**
 * True if two outcomes differ in every state of the switch, or in some state on which one side alone
 * depends: NORMAL outputs something in some state, ct and meters let packets pass in some.
 */
export function surelyDiffer(a: Outcome, b: Outcome, by: ComparisonRules = EVERYTHING): boolean {
  if (a.effects === null || b.effects === null) return false;
  const [left, right] = [certainOf(a.effects, by), certainOf(b.effects, by)];
  const [ofA, ofB] = [putsOut(a.effects), putsOut(b.effects)];
  const [extraA, extraB] = [without(ofA, ofB, sameEffect), without(ofB, ofA, sameEffect)];
  if (extraA.length === 0 && extraB.length === 0) return !sameCertain(left, right, by);
  if (extraA.length > 0 && extraB.length > 0) return false;
  const [more, less] = extraA.length > 0 ? [left, right] : [right, left];
  return (
    without(less.outputs, more.outputs, (one, other) => sameOutput(one, other, by)).length === 0 &&
    without(less.packetIns, more.packetIns, samePacketIn).length === 0 &&
    without(less.others, more.others, sameEffect).length === 0
  );
}

/** The flows that matched a frame, in order. */
export const chainOf = ({ tables }: Outcome): Flow[] =>
  tables.flatMap(({ flow }) => (flow === null ? [] : [flow]));
