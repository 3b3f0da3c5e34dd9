/**
 * Finds the causes of a difference: all pairs of flows at which a and b diverge. One wrong label in each of
 * 300 routes is one packet class and 300 rows. For a pair of states, the matched flows are compared from the
 * first one on, element by element of their row sets; the first two flows that differ are a row. Each row is
 * confirmed separately: the interpreter runs a frame that matches just these flows. A row without such a
 * frame is not listed.
 */
import { meaningText, type Outcome } from "../../openflow/index.ts";
import { type FlowPair, type FlowPairs, NO_FLOW } from "../findings.ts";
import { countElements, elementsOf } from "../paths/matched-flows.ts";
import type { Path } from "../paths/path-condition.ts";
import type { Pair } from "../product/lockstep.ts";
import type { Program } from "../symbolic/compiled-tables.ts";
import { isRowSet, isSingleFlow } from "../symbolic/slot-values.ts";
import { Subtable } from "../symbolic/sorted-subtable.ts";
import type { Hit } from "../symbolic/state.ts";
import type { Atom } from "../symbolic/terms.ts";
import { chainOf } from "./confirm.ts";
import type { Input, Solver } from "./find-input.ts";

/** Pairs of flows without duplicates, identified by the flow that the other side lacks, or by both. */
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

  /** Sorts the pairs in the order of the flows: those that a lacks first. */
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
  flow === NO_FLOW ? -1 : (flows.templateOf(flow)?.model ?? flows.flow(flow)).priority;

/** The side that lacks the higher-priority flow altogether; null if it has that flow. */
function missingOf([left, right]: readonly [Program, Program], a: number, b: number): "a" | "b" | null {
  if (priorityOf(left, a) >= priorityOf(right, b))
    return a === NO_FLOW || right.hasMatchOf(left.flows.filledFlow(a)) ? null : "b";
  return left.hasMatchOf(right.flows.filledFlow(b)) ? null : "a";
}

/**
 * Corresponding words of two flows: the flows are equal if these words are. Null if their line templates do
 * not correspond.
 */
type Alignment = readonly { readonly a: number; readonly b: number }[] | null;

/**
 * Whether flows of two tables are equal. Flows of known pairs of line templates are compared by their words.
 */
class SameFlows {
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
    const [one, other] = [left.templateOf(a), right.templateOf(b)];
    if (one === null || other === null) return null;
    const name = `${one.id} ${other.id}`;
    let known = this.#alignments.get(name);
    if (known === undefined) {
      known = this.#align(a, b);
      this.#alignments.set(name, known);
    }
    return known;
  }

  /** Puts b's values into a's line template: if the result is b's flow, equal words mean equal flows. */
  #align(a: number, b: number): Alignment {
    const [left, right] = this.#programs.map(({ flows }) => flows) as [Program["flows"], Program["flows"]];
    const slotsOf = (flows: Program["flows"], flow: number) =>
      flows.templateOf(flow)!.slots.filter(({ leaf }) => leaf.of !== "cookie");
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
    const mixed = left.filledFlow(a, at => {
      const place = places.get(at);
      return place === undefined ? left.valueAt(a, at) : right.valueAt(b, place);
    });
    if (meaningText(mixed) !== meaningText(right.flow(b))) return null;
    return [...places].map(([own, others]) => ({ a: own, b: others }));
  }
}

/** The outcomes of both sides for an input; null if they do not differ for certain. */
export type Run = (
  pair: Pair,
  path: Path,
  input: Input,
  minBytes: number,
) => readonly [Outcome, Outcome] | null;

/** Elements to which the search is restricted, by outermost row set. */
type Chosen = ReadonlyMap<number, Int32Array>;

/** Inputs to try for one row before it counts as open. */
const TRIES = 4;
/** With more flows, the number that identifies a pair would not be an exact integer. */
const MAX_FLOWS = 2 ** 26;

/** The outermost row set into which a row set was joined. */
function rootOf(rowSet: number, path: Path): number {
  const joinMap = path.joinMaps.get(rowSet);
  return joinMap === undefined ? rowSet : rootOf(joinMap.rowSet, path);
}

/** A match on a path: a single flow, or one flow for each element of a row set. */
interface Flows {
  /** Null if all elements have the same flow. */
  readonly root: number | null;
  /** By position among the elements of the root on the path. */
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

/** A pair of flows to confirm, and its position in the chain of matched flows. */
interface Suspect {
  readonly at: number;
  readonly a: number;
  readonly b: number;
  /** The elements to which its frames are restricted, and the element of this row; null for single flows. */
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
      if (moved !== null && this.#isConfirmed(pair, path, suspect, moved, minBytes)) {
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

  /** An input that confirms a row; null if there is none. */
  #search(pair: Pair, path: Path, suspect: Suspect, minBytes: number): Input | "open" | null {
    const elements = new Map([...path.elements, ...suspect.chosen]);
    const { element } = suspect;
    if (element !== null) elements.set(element.root, Int32Array.of(element.value));
    const own = path.with({ elements });
    for (let skip = 0; skip < TRIES; skip++) {
      const search = this.#solver.find(own, skip);
      if (search.input === null) return skip === 0 && search.isProof ? null : "open";
      if (this.#isConfirmed(pair, own, suspect, search.input, minBytes)) return search.input;
    }
    return "open";
  }

  /** Whether the frame of an input matches the two flows, and the outcomes differ. */
  #isConfirmed(pair: Pair, path: Path, { at, a, b }: Suspect, input: Input, minBytes: number): boolean {
    const outcomes = this.#run(pair, path, input, minBytes);
    if (outcomes === null) return false;
    return [a, b].every((flow, side) => {
      const taken = chainOf(outcomes[side]!)[at];
      if (flow === NO_FLOW) return taken === undefined;
      return taken?.source.line === this.#programs[side]!.flows.lineOf(flow);
    });
  }

  /** Identifies a pair by the flow of the higher priority or, if equal, by both. */
  #nameOf(a: number, b: number): number {
    const [ofA, ofB] = [priorityOf(this.#programs[0], a), priorityOf(this.#programs[1], b)];
    return (ofA >= ofB ? a + 1 : 0) * MAX_FLOWS + (ofB >= ofA ? b + 1 : 0);
  }

  /** All pairs of flows at which the states diverge on a path, except known ones of row sets. */
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
    // All matched flows are equal, so a group or a port makes the difference: report the flows matched last.
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

  /** Both sides match independent row sets: every row of each is a suspect. */
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

/** Number of rows that matched together; 0 if the difference is not by rows. */
export function countAlike(pair: Pair): number {
  const counts = [pair.a, pair.b].flatMap(({ hits }) =>
    hits.flatMap(({ slotValues }) =>
      isRowSet(slotValues) ? [countElements(slotValues.rowSet, pair.path)] : [],
    ),
  );
  return Math.max(0, ...counts);
}

/** Number of rows of a sorted subtable with the actions of a flow, up to their values; 0 if it is in none. */
export function countRowsLike({ flows, tables }: Program, flow: number): number {
  if (flow === NO_FLOW) return 0;
  const { table, priority } = flows.templateOf(flow)?.model ?? flows.flow(flow);
  const band = tables.get(table)?.find(one => one.priority === priority);
  for (const node of band?.nodes ?? []) {
    const row = node instanceof Subtable ? node.flows.indexOf(flow) : -1;
    if (row < 0) continue;
    const { templateOf } = node as Subtable;
    return templateOf.reduce((count, template) => (template === templateOf[row] ? count + 1 : count), 0);
  }
  return 0;
}

/** Whether an ascending list contains a value. */
function isIn(sorted: Int32Array, value: number): boolean {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return sorted[low] === value;
}

/**
 * The input with other elements, and everything else unchanged; the caller must check that it is on the
 * path.
 */
function movedTo(path: Path, base: Input, { element }: Suspect): Input {
  const elements = new Map(base.elements);
  if (element !== null) elements.set(element.root, element.value);
  const moved = new Map<Atom, number>();
  for (const [atom, columnEqualities] of path.columnEqualities) {
    let value = base.valued(atom);
    for (const { mask, column } of columnEqualities) {
      const { values, rowSet } = path.resolve(column);
      value = ((value & ~mask) | (values[elements.get(rowSet)!]! & mask)) >>> 0;
    }
    moved.set(atom, value);
  }
  return base.moved(elements, moved);
}

if (!Number.isSafeInteger(MAX_FLOWS * MAX_FLOWS))
  throw new Error("internal error: numbers of pairs of flows are not unique");
