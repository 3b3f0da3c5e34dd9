/**
 * Which flows a difference is due to, all of them: one label wrong in 300 routes is one class of frames and 300 rows. For
 * each pair of states the hits are compared from the first one on, element by element of their row sets; the first two
 * flows that differ are a row. Every row is confirmed by itself: a frame that takes just these flows goes through the
 * interpreter with both tables. A row for which there is no such frame is not listed, as nothing can show it.
 */
import { meaningText, type Outcome } from "../../openflow/index.ts";
import { type FlowPair, type FlowPairs, NO_FLOW } from "../findings.ts";
import { countElements, elementsOf } from "../paths/ambiguity.ts";
import type { Path } from "../paths/path-condition.ts";
import type { Pair } from "../product/lockstep.ts";
import type { Program } from "../symbolic/compiled-tables.ts";
import { isRowSet, isSingleFlow } from "../symbolic/slot-values.ts";
import type { Hit } from "../symbolic/state.ts";
import { chainOf } from "./confirm.ts";
import type { Input, Solver } from "./find-input.ts";

/** Rows without repetition: one is known by the flow that the other side lacks, or by both where both count. */
export class DifferingRows implements FlowPairs {
  readonly #seen = new Set<number>();
  readonly #open = new Set<number>();
  #a = new Int32Array(8);
  #b = new Int32Array(8);
  #names = new Float64Array(8);
  count = 0;
  readonly #programs: readonly [Program, Program];

  constructor(programs: readonly [Program, Program]) {
    this.#programs = programs;
  }

  get openCount(): number {
    return this.#open.size;
  }

  has(name: number): boolean {
    return this.#seen.has(name);
  }

  add(name: number, a: number, b: number): void {
    if (this.count === this.#a.length) {
      this.#a = grown(this.#a, new Int32Array(2 * this.count));
      this.#b = grown(this.#b, new Int32Array(2 * this.count));
      this.#names = grown(this.#names, new Float64Array(2 * this.count));
    }
    this.#names[this.count] = name;
    this.#a[this.count] = a;
    this.#b[this.count++] = b;
    this.#seen.add(name);
    this.#open.delete(name);
  }

  /** Puts the rows in the order of the flows: those that a lacks first. */
  sort(): void {
    const names = this.#names;
    const order = new Uint32Array(this.count).map((_, index) => index);
    order.sort((left, right) => names[left]! - names[right]!);
    this.#a = Int32Array.from(order, index => this.#a[index]!);
    this.#b = Int32Array.from(order, index => this.#b[index]!);
    this.#names = Float64Array.from(order, index => names[index]!);
  }

  leaveOpen(name: number): void {
    if (!this.#seen.has(name)) this.#open.add(name);
  }

  at(index: number): FlowPair {
    const [a, b] = [this.#a[index]!, this.#b[index]!];
    return { a, b, missing: missingOf(this.#programs, a, b) };
  }

  nameAt(index: number): number {
    return this.#names[index]!;
  }
}

function grown<T extends Int32Array | Float64Array>(from: T, to: T): T {
  to.set(from);
  return to;
}

const priorityOf = ({ flows }: Program, flow: number): number =>
  flow === NO_FLOW ? -1 : (flows.shapeOf(flow)?.model ?? flows.flow(flow)).priority;

/** Whether the flow of the higher priority, which only one side takes, is there on the other side at all. */
function missingOf([left, right]: readonly [Program, Program], a: number, b: number): "a" | "b" | null {
  if (priorityOf(left, a) >= priorityOf(right, b))
    return a === NO_FLOW || right.hasMatchOf(left.flows.shapedFlow(a)) ? null : "b";
  return left.hasMatchOf(right.flows.shapedFlow(b)) ? null : "a";
}

/** What two flows have in common when their words are the same: null when that cannot be said of their shapes. */
type Alignment = readonly { readonly a: number; readonly b: number }[] | null;

/** Whether flows of two tables say the same. Flows of two shapes that were compared once are compared by their words. */
export class SameFlows {
  readonly #programs: readonly [Program, Program];
  readonly #alignments = new Map<string, Alignment>();

  constructor(programs: readonly [Program, Program]) {
    this.#programs = programs;
  }

  are(a: number, b: number): boolean {
    if (a === NO_FLOW || b === NO_FLOW) return a === b;
    const [left, right] = this.#programs.map(({ flows }) => flows) as [Program["flows"], Program["flows"]];
    const alignment = this.#alignment(a, b);
    if (alignment === null) return meaningText(left.flow(a)) === meaningText(right.flow(b));
    return alignment.every(words => left.valueAt(a, words.a) === right.valueAt(b, words.b));
  }

  #alignment(a: number, b: number): Alignment {
    const [left, right] = this.#programs.map(({ flows }) => flows) as [Program["flows"], Program["flows"]];
    const [one, other] = [left.shapeOf(a), right.shapeOf(b)];
    if (one === null || other === null) return null;
    const name = `${one.id} ${other.id}`;
    let known = this.#alignments.get(name);
    if (known === undefined) {
      known = this.#align(a, b);
      this.#alignments.set(name, known);
    }
    return known;
  }

  /** Puts b's values into a's shape: when that is b's flow, equal words are equal flows. */
  #align(a: number, b: number): Alignment {
    const [left, right] = this.#programs.map(({ flows }) => flows) as [Program["flows"], Program["flows"]];
    const slotsOf = (flows: Program["flows"], flow: number) =>
      flows.shapeOf(flow)!.slots.filter(({ leaf }) => leaf.of !== "cookie");
    const [ofA, ofB] = [slotsOf(left, a), slotsOf(right, b)];
    if (ofA.length !== ofB.length) return null;
    const places = new Map<number, number>();
    for (const { leaf, at, words } of ofA) {
      const twin = ofB.find(
        slot => slot.words === words && JSON.stringify(slot.leaf) === JSON.stringify(leaf),
      );
      if (twin === undefined) return null;
      for (let word = 0; word < words; word++) places.set(at + word, twin.at + word);
    }
    const mixed = left.shapedFlow(a, at => {
      const place = places.get(at);
      return place === undefined ? left.valueAt(a, at) : right.valueAt(b, place);
    });
    if (meaningText(mixed) !== meaningText(right.flow(b))) return null;
    return [...places].map(([own, others]) => ({ a: own, b: others }));
  }
}

/** What a frame of an input does on both sides; null where that cannot be said. */
export type Run = (pair: Pair, input: Input, minBytes: number) => readonly [Outcome, Outcome] | null;

/** Elements of row sets that a search is restricted to, by the outermost rowSet. */
type Chosen = ReadonlyMap<number, Int32Array>;

/** Inputs of one row that are tried before it counts as open. */
const TRIES = 4;
/** More flows than these make names that are no whole numbers any more. */
const MAX_FLOWS = 2 ** 26;

/** The outermost rowSet that a rowSet became part of. */
function rootOf(rowSet: number, path: Path): number {
  const joinMap = path.joinMaps.get(rowSet);
  return joinMap === undefined ? rowSet : rootOf(joinMap.rowSet, path);
}

/** A hit on a path: a flow alone, or a flow for each element of a row set. */
interface Flows {
  /** Null: the same flow for every element. */
  readonly root: number | null;
  /** By index into the elements of the root on the path. */
  readonly flowAt: (index: number) => number;
}

function flowsOf(hit: Hit | undefined, path: Path): Flows {
  const slotValues = hit?.slotValues;
  if (slotValues === undefined) return { root: null, flowAt: () => NO_FLOW };
  if (isRowSet(slotValues)) {
    const element = elementsOf(slotValues.rowSet, path);
    return { root: rootOf(slotValues.rowSet, path), flowAt: index => slotValues.flowOf(element(index)) };
  }
  const flow = isSingleFlow(slotValues) ? slotValues.flow : NO_FLOW;
  return { root: null, flowAt: () => flow };
}

/** One row that may be wrong, and where in the chain of hits it is. */
interface Suspect {
  readonly at: number;
  readonly a: number;
  readonly b: number;
  /** The elements that its frames are restricted to, and the one of a row set that is this row; null where there is none. */
  readonly chosen: Chosen;
  readonly element: { readonly root: number; readonly value: number } | null;
}

export class RowFinder {
  readonly #programs: readonly [Program, Program];
  readonly #same: SameFlows;
  readonly #solver: Solver;
  readonly #run: Run;

  constructor(programs: readonly [Program, Program], solver: Solver, run: Run) {
    this.#programs = programs;
    this.#same = new SameFlows(programs);
    this.#solver = solver;
    this.#run = run;
  }

  /** Adds the rows of a path on which two states differ. */
  find(rows: DifferingRows, pair: Pair, path: Path, minBytes: number): void {
    let base: Input | null = null;
    const isKnown = (a: number, b: number): boolean => rows.has(this.#nameOf(a, b));
    for (const suspect of this.#suspects(pair, path, isKnown)) {
      path.budget.step();
      const name = this.#nameOf(suspect.a, suspect.b);
      if (rows.has(name)) continue;
      const moved = base === null ? null : movedTo(path, base, suspect);
      if (moved !== null && this.#isShown(pair, suspect, moved, minBytes)) {
        rows.add(name, suspect.a, suspect.b);
        continue;
      }
      const found = this.#search(pair, path, suspect, minBytes);
      if (found === "open") rows.leaveOpen(name);
      else if (found !== null) {
        base = found;
        rows.add(name, suspect.a, suspect.b);
      }
    }
  }

  /** An input that shows a row; null when there is none. */
  #search(pair: Pair, path: Path, suspect: Suspect, minBytes: number): Input | "open" | null {
    const elements = new Map([...path.elements, ...suspect.chosen]);
    const { element } = suspect;
    if (element !== null) elements.set(element.root, Int32Array.of(element.value));
    const own = path.with({ elements });
    for (let skip = 0; skip < TRIES; skip++) {
      const search = this.#solver.find(own, skip);
      if (search.input === null) return skip === 0 && search.isProof ? null : "open";
      if (this.#isShown(pair, suspect, search.input, minBytes)) return search.input;
    }
    return "open";
  }

  /** Whether the frame of an input takes the two flows, and comes out differently. */
  #isShown(pair: Pair, { at, a, b }: Suspect, input: Input, minBytes: number): boolean {
    const outcomes = this.#run(pair, input, minBytes);
    if (outcomes === null) return false;
    return [a, b].every((flow, side) => {
      const taken = chainOf(outcomes[side]!)[at];
      if (flow === NO_FLOW) return taken === undefined;
      return taken?.source.line === this.#programs[side]!.flows.lineOf(flow);
    });
  }

  /** A row is known by the flow of the higher priority, which the other side does not take, or by both. */
  #nameOf(a: number, b: number): number {
    const [ofA, ofB] = [priorityOf(this.#programs[0], a), priorityOf(this.#programs[1], b)];
    return (ofA >= ofB ? a + 1 : 0) * MAX_FLOWS + (ofB >= ofA ? b + 1 : 0);
  }

  /** Every row at which the two states part on a path, but for those of row sets that are known already. */
  *#suspects(pair: Pair, path: Path, isKnown: (a: number, b: number) => boolean): Generator<Suspect> {
    let chosen: Chosen = new Map();
    const length = Math.max(pair.a.hits.length, pair.b.hits.length);
    for (let at = 0; at < length; at++) {
      const [left, right] = [flowsOf(pair.a.hits[at], path), flowsOf(pair.b.hits[at], path)];
      const roots = [...new Set([left.root, right.root].filter(root => root !== null))];
      if (roots.length === 0) {
        const [a, b] = [left.flowAt(0), right.flowAt(0)];
        if (this.#same.are(a, b)) continue;
        yield { at, a, b, chosen, element: null };
        return;
      }
      if (roots.length > 1) {
        yield* this.#independent(at, [left, right], path, chosen);
        return;
      }
      const [root] = roots as [number];
      const elements = path.elements.get(root)!;
      const allowed = chosen.get(root);
      const alike: number[] = [];
      let isDifferent = false;
      for (let index = 0; index < elements.length; index++) {
        if (allowed !== undefined && !isIn(allowed, elements[index]!)) continue;
        const [a, b] = [left.flowAt(index), right.flowAt(index)];
        if (this.#same.are(a, b)) {
          alike.push(elements[index]!);
          continue;
        }
        isDifferent = true;
        if (!isKnown(a, b)) yield { at, a, b, chosen, element: { root, value: elements[index]! } };
      }
      if (alike.length === 0) return;
      if (isDifferent) chosen = new Map(chosen).set(root, Int32Array.from(alike));
    }
    // Both took the same flows: a group or a port makes the difference, for the flows that were taken last.
    yield* this.#last(pair, path, chosen, length - 1);
  }

  *#last(pair: Pair, path: Path, chosen: Chosen, at: number): Generator<Suspect> {
    if (at < 0) return;
    const flows = flowsOf(pair.a.hits[at], path);
    const twins = flowsOf(pair.b.hits[at], path);
    if (flows.root === null || flows.root !== twins.root) {
      yield { at, a: flows.flowAt(0), b: twins.flowAt(0), chosen, element: null };
      return;
    }
    const allowed = chosen.get(flows.root);
    for (const [index, value] of path.elements.get(flows.root)!.entries()) {
      if (allowed !== undefined && !isIn(allowed, value)) continue;
      const element = { root: flows.root, value };
      yield { at, a: flows.flowAt(index), b: twins.flowAt(index), chosen, element };
    }
  }

  /** Both sides hit row sets that have nothing to do with each other: each row of each is one. */
  *#independent(
    at: number,
    [left, right]: readonly [Flows, Flows],
    path: Path,
    chosen: Chosen,
  ): Generator<Suspect> {
    for (const [own, isLeft] of [
      [left, true],
      [right, false],
    ] as const) {
      const elements = path.elements.get(own.root!)!;
      const other = isLeft ? right.root! : left.root!;
      const both = new Map(chosen).set(other, path.elements.get(other)!.subarray(0, 1));
      for (let index = 0; index < elements.length; index++) {
        const [a, b] = isLeft ? [own.flowAt(index), right.flowAt(0)] : [left.flowAt(0), own.flowAt(index)];
        yield { at, a, b, chosen: both, element: { root: own.root!, value: elements[index]! } };
      }
    }
  }
}

/** How many rows of the table were hit alike where a difference is due to one of them; 0: not by rows. */
export function countAlike(pair: Pair): number {
  const counts = [pair.a, pair.b].flatMap(({ hits }) =>
    hits.flatMap(({ slotValues }) =>
      isRowSet(slotValues) ? [countElements(slotValues.rowSet, pair.path)] : [],
    ),
  );
  return Math.max(0, ...counts);
}

/** Whether a list in ascending order has a value. */
function isIn(sorted: Int32Array, value: number): boolean {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return sorted[low] === value;
}

/** An input with other elements of the row sets, and all else as it was: whether it is on the path is for others to see. */
function movedTo(path: Path, base: Input, { element }: Suspect): Input {
  const elements = new Map(base.elements);
  if (element !== null) elements.set(element.root, element.value);
  const words = new Map<number, number>();
  for (const [{ extraction, word }, columnEqualities] of path.columnEqualities) {
    let value = base.valueOf(extraction, word);
    for (const { mask, column } of columnEqualities) {
      const { values, rowSet } = path.resolve(column);
      value = ((value & ~mask) | (values[elements.get(rowSet)!]! & mask)) >>> 0;
    }
    words.set(extraction * MAX_WORDS + word, value);
  }
  return {
    formats: base.formats,
    elements,
    valueOf: (extraction, word) => words.get(extraction * MAX_WORDS + word) ?? base.valueOf(extraction, word),
  };
}

/** More than a key has. */
const MAX_WORDS = 1024;
