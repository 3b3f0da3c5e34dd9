/**
 * What the text of an input leaves open, and so the verdict on it: a dump of OpenFlow 1.0 shows less than
 * the switch has, some masks are never printed, and a port's name may stand for a port whose number is
 * written elsewhere. A difference counts only if it stays one however such things are.
 */
import { type Effects, type FlowColumns, Interpreter, type Outcome } from "../openflow/index.ts";
import type { Difference, Proof } from "../verify/index.ts";
import type { Side } from "./verify-inputs.ts";

const FULL_DUMP = "ovs-ofctl -O OpenFlow15,OpenFlow13 dump-flows BRIDGE";

/** Something that keeps a proof from saying all. */
export interface Doubt {
  readonly feature: string;
  readonly side: "a" | "b" | null;
  readonly line: number;
  /** What is known beside it, and what to do. */
  readonly note: string;
}

export interface DoubtOptions {
  /** --of10: what OpenFlow 1.0 shows is all that is asked. */
  readonly isOf10Enough: boolean;
  /** Why names and numbers of ports may be the same; null when they cannot. */
  readonly clash: string | null;
}

/** A proof in which only those differences are left that are certain, and what is in doubt. */
export interface Weighed {
  readonly proof: Proof;
  readonly doubts: readonly Doubt[];
  /** What limits the verdict "equal", when that was asked for: `as far as OpenFlow 1.0 shows`. */
  readonly extent: string | null;
}

/** A dump of OpenFlow 1.0, which hides and renames. */
const isOf10 = ({ kind, flows }: Pick<Side, "kind" | "flows">): boolean =>
  kind !== "intent" && flows.origin.isPrinted && flows.origin.version === "OpenFlow10";

/** Instructions and masks that OpenFlow 1.0 does not show of another side's flow. */
const HIDDEN_IN_10 = /write_actions\(|clear_actions|\bmeter:|set_field:[^,()]*\/[^,()]*->/;

/** Proves again, with other flows on each side. */
export type ProveAgain = (a: FlowColumns, b: FlowColumns) => Proof;

/** Judges the differences of a proof by what is in doubt. */
export function weighed(proof: Proof, a: Side, b: Side, options: DoubtOptions, again: ProveAgain): Weighed {
  const doubts: Doubt[] = [];
  const found = proof.differences.length;
  const result = (kept: readonly Difference[], extent: string | null): Weighed => ({
    proof: kept.length === found ? proof : withDifferences(proof, kept),
    doubts,
    extent,
  });
  if (options.clash !== null) {
    const note =
      found === 0
        ? "no difference found if they are different ports"
        : "a and b differ if they are different ports";
    doubts.push({ feature: options.clash, side: null, line: 0, note });
    return result([], null);
  }
  const sides = [["a", a] as const, ["b", b] as const];
  const of10 = sides.filter(([, side]) => isOf10(side));
  const readings = new Readings(a, b);
  const certain =
    of10.length === 0 ? proof.differences : proof.differences.filter(one => readings.isCertain(one));
  for (const [letter, side] of sides) {
    const line = side.flows.unprintedMask;
    if (line > 0 && certain.length === 0)
      doubts.push({ feature: "a mask that is not printed", side: letter, line, note: UNPRINTED });
  }
  if (of10.length === 0 || certain.length > 0) return result(certain, null);
  const isAlike =
    found === 0 ? proof.verdict === "equal" : again(pushedOf(a), pushedOf(b)).verdict === "equal";
  if (isAlike && options.isOf10Enough) {
    const equal = { ...proof, differences: [], verdict: "equal" as const };
    return { proof: equal, doubts, extent: "as far as OpenFlow 1.0 shows" };
  }
  for (const [letter, side] of of10) {
    const shown = isAlike
      ? "no difference in the part that it shows"
      : found === 0
        ? "no difference found in the part that it shows"
        : "no difference except where it may show push_vlan as mod_vlan_vid";
    const mixed =
      of10.length === 1 && (letter === "a" ? b : a).kind !== "intent"
        ? "; the other dump has another version"
        : "";
    const note = `${shown}${mixed}; for a full dump run ${FULL_DUMP}, or accept this with --of10`;
    doubts.push({ feature: "openflow10-dump", side: letter, line: side.flows.origin.line, note });
  }
  return result(certain, null);
}

const pushedOf = (side: Side): FlowColumns => (isOf10(side) ? side.readPushed() : null) ?? side.flows;

const UNPRINTED = "Open vSwitch prints tun_gbp_flags, tun_erspan_* and gtpu_* without their masks";

/** A proof without some of its differences: it then says no more than that others were not found. */
function withDifferences(proof: Proof, differences: readonly Difference[]): Proof {
  const isAll = proof.verdict === "different" && differences.length === 0;
  const verdict = isAll ? (proof.ambiguous.length > 0 ? "ambiguous" : "unknown") : proof.verdict;
  return { ...proof, differences, verdict };
}

/**
 * Dumps of OpenFlow 1.0 read in the two ways that they may mean: `mod_vlan_vid` sets the VLAN of a tagged
 * frame, or was a push_vlan and a set_field, which pushes another tag. On frames without a tag the two are
 * one.
 */
class Readings {
  readonly #a: Side;
  readonly #b: Side;
  readonly #pushed = new Map<Side, Interpreter | null>();

  constructor(a: Side, b: Side) {
    this.#a = a;
    this.#b = b;
  }

  /** Whether a frame is treated differently in each way of reading. */
  isCertain(difference: Difference): boolean {
    const [one, other] = [isOf10(this.#a), isOf10(this.#b)];
    // The other side may do what this one has and does not show.
    if (one !== other) {
      const full = one ? difference.b : difference.a;
      if (full.flows.some(({ text }) => HIDDEN_IN_10.test(text))) return false;
    }
    const ways = ([side, behaviour]: readonly [Side, Effects]): Effects[] => {
      const pushed = isOf10(side) ? this.#pushedOutcome(side, difference) : null;
      return pushed === null ? [behaviour] : [behaviour, pushed];
    };
    const [left, right] = [ways([this.#a, difference.a]), ways([this.#b, difference.b])];
    return left.every(l => right.every(r => !isSameOutput(l, r)));
  }

  #pushedOutcome(side: Side, { inPort, frame, state }: Difference): Effects | null {
    let interpreter = this.#pushed.get(side);
    if (interpreter === undefined) {
      const flows = side.readPushed();
      interpreter = flows === null ? null : new Interpreter(flows, { groups: side.groups });
      this.#pushed.set(side, interpreter);
    }
    return interpreter?.run(inPort, frame, null, state).effects ?? null;
  }
}

function isSameOutput(a: Pick<Effects, "outputs">, b: Pick<Effects, "outputs">): boolean {
  const keyOf = ({ port, frame }: Outcome["outputs"][number]): string =>
    `${port}:${Buffer.from(frame).toString("hex")}`;
  const [left, right] = [a.outputs.map(keyOf).sort(), b.outputs.map(keyOf).sort()];
  return left.length === right.length && left.every((one, at) => one === right[at]);
}

/** `read as OpenFlow 1.3+`: a text that says nothing of its version. */
export function readAs(sides: readonly Side[]): string[] {
  const isOpen = ({ kind, flows }: Side): boolean => kind === "dump" && flows.origin.version === null;
  return sides.some(isOpen) ? ["read as OpenFlow 1.3+"] : [];
}
