/**
 * Proves tables equivalent without executing them. The tables of both programs are partitioned like the
 * states of an automaton (partition refinement): starting from one class, two tables stay together while
 * they have the same flows in normal form (priority, match, steps) and these areSameLookup to tables that are
 * together. The result is the coarsest such partition, also for cycles. If both machines look up tables of
 * one class in equal states, the rest is equivalent, including steps that the proof does not model: equal
 * steps on equal packets in two switches with the same history.
 *
 * Three things prevent this. An ambiguity (ambiguity.ts): the result depends on the order of installation. A
 * missing group: it may differ between the switches. Learned flows: their table is equivalent only to the
 * table with the same number.
 */
import { isTableMiss } from "../../openflow/index.ts";
import { learnedTable, learnsOf } from "../symbolic/asked.ts";
import type { Program } from "../symbolic/compiled-tables.ts";
import { type Form, Forms, joinedForms } from "../symbolic/forms.ts";
import { learnedAmbiguities } from "../symbolic/learned.ts";
import { listingsOf, matchName } from "../symbolic/listing.ts";
import {
  type Bound,
  depthOf,
  type Frozen,
  type Left,
  originOf,
  type Packet,
  type StackFrame,
  type StackItem,
  type State,
} from "../symbolic/state.ts";
import type { Segment, Word } from "../symbolic/terms.ts";
import { ambiguousTables } from "./ambiguity.ts";
import { differingRegion, EVERYTHING, type Region } from "./differing-flows.ts";
import { sameEvent } from "./event-order.ts";
import { twinForms } from "./twins.ts";
import { waysTo } from "./ways.ts";

/** The step that learns flows into a table. */
export interface Learned {
  readonly side: 0 | 1;
  readonly line: number;
}

/** A flow for comparison: a number for its text, and the tables that it leads to. */
interface Part {
  readonly skeleton: number;
  readonly tables: readonly number[];
}

type Side = 0 | 1;
const SIDES: readonly Side[] = [0, 1];

export class AlikeTables {
  readonly #programs: readonly [Program, Program];
  readonly #forms: readonly [Forms, Forms];
  readonly #skeletons = new Map<string, number>();
  /** By side and table. */
  readonly #parts: readonly [Map<number, readonly Part[]>, Map<number, readonly Part[]>];
  readonly #classes: readonly [Map<number, number>, Map<number, number>];
  readonly #learned = new Map<number, Learned>();
  /** A step that learns flows into a table that is not known. */
  #learnedAnywhere: Learned | null = null;
  /** For each side: tables from which an ambiguity can be reached, with a line. Computed at first use. */
  #ambiguous: readonly [ReadonlyMap<number, number>, ReadonlyMap<number, number>] | null = null;
  /** The same, without the tables that only lead there. */
  readonly #ambiguousHere: [ReadonlyMap<number, number> | null, ReadonlyMap<number, number> | null] = [
    null,
    null,
  ];
  #ways: ReadonlyMap<number, Region> | "anything" | null = null;

  constructor(programs: readonly [Program, Program]) {
    this.#programs = programs;
    this.#forms = [new Forms(programs[0]), new Forms(programs[1])];
    for (const side of SIDES) this.#noteLearned(side);
    this.#parts = [new Map(), new Map()];
    for (const table of new Set(programs.flatMap(program => [...listingsOf(program).keys()])))
      this.#part(table);
    this.#classes = this.#classesOf();
  }

  /**
   * A step that learns flows into a table, which then may hold more flows than the dump; null if there is
   * none.
   */
  learnedTo(table: number): Learned | null {
    return this.#learned.get(table) ?? this.#learnedAnywhere;
  }

  /** Whether two states at a lookup are equivalent for certain. */
  areAlike(a: State, b: State): boolean {
    if (a.lookup === null || b.lookup === null) return false;
    return this.#areSameLookup(a.lookup.table, b.lookup.table) && this.#areSame(a, b);
  }

  /**
   * For two states at a lookup: the packets that may meet a difference between the two programs; with all
   * others, the rest is equivalent. Null if the states differ, or what follows the lookup.
   */
  waysFrom(a: State, b: State): Region | null {
    if (a.lookup === null || a.lookup.table !== b.lookup?.table || !this.#areSame(a, b)) return null;
    this.#ways ??= this.#findWays();
    return this.#ways === "anything" ? null : (this.#ways.get(a.lookup.table) ?? []);
  }

  #findWays(): ReadonlyMap<number, Region> | "anything" {
    const areAligned = (a: readonly number[], b: readonly number[]): boolean =>
      a.length === b.length &&
      a.every((table, index) => table === b[index] || this.#areSameLookup(table, b[index]!));
    const sides = { programs: this.#programs, forms: this.#forms, areAligned };
    const regions = new Map<number, Region>();
    for (const table of new Set(SIDES.flatMap(side => [...this.#parts[side].keys()]))) {
      const isAmbiguous = SIDES.some(side => this.#ambiguousIn(side).has(table));
      const region = isAmbiguous ? EVERYTHING : differingRegion(sides, table);
      if (region.length > 0) regions.set(table, region);
    }
    return waysTo(this.#programs[0], regions) ?? "anything";
  }

  /** Whether two states at a lookup are the same, and lead to tables that are alike behind it. */
  #areSame(a: State, b: State): boolean {
    if (a.lookup === null || b.lookup === null) return false;
    const isSameLookup =
      a.lookup.inPort === b.lookup.inPort &&
      a.lookup.deepens === b.lookup.deepens &&
      a.lookup.isLast === b.lookup.isLast &&
      depthOf(a) === depthOf(b) &&
      originOf(a) === originOf(b);
    if (!isSameLookup || a.out.length > 0 || b.out.length > 0 || !haveSameNumbers(a, b)) return false;
    // A recirculated packet may start at table 0.
    const mayRestart =
      a.wasMpls ||
      a.isFreezing ||
      [...a.left, ...a.after].some(left => left.is === "recirculate" && left.frozen.asked === null);
    if (mayRestart && !this.#areSameLookup(0, 0)) return false;
    return (
      sameWords(a.flow, b.flow) &&
      samePackets(a.packet, b.packet) &&
      sameStacks(a.stack, b.stack) &&
      this.#sameLists(a.actionSet, b.actionSet) &&
      this.#sameLists(a.frozen, b.frozen) &&
      this.#sameLeft(a.left, b.left) &&
      this.#sameLeft(a.after, b.after) &&
      this.#sameFrames(a.frames, b.frames)
    );
  }

  // --- Classes ---------------------------------------------------------------------------------------------

  #noteLearned(side: Side): void {
    for (const learn of learnsOf(this.#programs[side])) {
      const table = learnedTable(learn);
      if (table === null) this.#learnedAnywhere ??= { side, line: learn.line };
      else if (!this.#learned.has(table)) this.#learned.set(table, { side, line: learn.line });
    }
  }

  #part(table: number): void {
    const listings = this.#programs.map(program => listingsOf(program).get(table));
    const isLarge = listings.some(listing => listing?.flows === null);
    const twins = isLarge ? twinForms(this.#programs, table, this.#forms) : null;
    for (const side of SIDES) {
      const forms = twins?.[side] ?? this.#flowForms(side, table, listings[side]?.flows ?? []);
      this.#parts[side].set(
        table,
        forms.map(({ text, tables }) => ({ skeleton: this.#skeleton(text), tables })),
      );
    }
  }

  #skeleton(text: string): number {
    const known = this.#skeletons.get(text) ?? this.#skeletons.size;
    this.#skeletons.set(text, known);
    return known;
  }

  /**
   * The flows of a table ordered by priority and match; of flows with equal priority and match, the last
   * one.
   */
  #flowForms(side: Side, table: number, indices: readonly number[]): Form[] {
    const { flows } = this.#programs[side];
    const forms = new Map<string, Form>();
    for (const index of indices) {
      const flow = flows.filledFlow(index);
      const name = matchName(flow);
      const { text, tables } = this.#forms[side].actions(flow.actions, table);
      // The reason of a packet-in depends on whether the flow is a table miss.
      forms.set(name, { text: `${name} ${isTableMiss(flow)} ${text}`, tables });
    }
    return [...forms].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, form]) => form);
  }

  #classesOf(): [Map<number, number>, Map<number, number>] {
    const tables = SIDES.map(side => {
      const parts = this.#parts[side];
      return new Set([...parts.keys(), ...[...parts.values()].flat().flatMap(part => part.tables)]);
    });
    let classes: [Map<number, number>, Map<number, number>] = [new Map(), new Map()];
    for (let before = 0; ; ) {
      const names = new Map<string, number>();
      const next: typeof classes = [new Map(), new Map()];
      for (const side of SIDES)
        for (const table of tables[side]!) {
          const name = this.#className(side, table, classes[side]);
          const number = names.get(name) ?? names.size;
          names.set(name, number);
          next[side].set(table, number);
        }
      classes = next;
      // Refinement only splits classes, so an unchanged count means an unchanged partition.
      if (names.size === before) return classes;
      before = names.size;
    }
  }

  /** Equal names: the tables stay in one class. */
  #className(side: Side, table: number, classes: ReadonlyMap<number, number>): string {
    const own = classes.get(table) ?? 0;
    const learned = this.learnedTo(table) === null ? "" : `learned ${table}`;
    const parts = (this.#parts[side].get(table) ?? []).map(
      part => `${part.skeleton}(${part.tables.map(next => classes.get(next) ?? 0)})`,
    );
    return `${own} ${learned} ${parts.join(" ")}`;
  }

  /** Whether two tables, and all tables that they areSameLookup to, hold the same flows. */
  haveSameFlows(a: number, b: number): boolean {
    const [left, right] = this.#classes;
    // A table without flows that nothing leads to has no class.
    return left.get(a) === right.get(b) && (left.get(a) !== undefined || a === b);
  }

  /** The line of an ambiguous flow in this table or behind it; null if there is none. */
  ambiguityFrom(side: Side, table: number): number | null {
    this.#ambiguous ??= [this.#ambiguousOf(0), this.#ambiguousOf(1)];
    return this.#ambiguous[side].get(table) ?? null;
  }

  /** Whether lookups in two tables are equivalent. */
  #areSameLookup(a: number, b: number): boolean {
    return this.haveSameFlows(a, b) && this.ambiguityFrom(0, a) === null && this.ambiguityFrom(1, b) === null;
  }

  /** Tables in which a packet may match two flows of equal priority, with a line. */
  #ambiguousIn(side: Side): ReadonlyMap<number, number> {
    let own = this.#ambiguousHere[side];
    if (own === null) {
      const program = this.#programs[side];
      const found = new Map(learnedAmbiguities(program));
      for (const [table, flow] of ambiguousTables(program)) found.set(table, program.flows.lineOf(flow));
      own = found;
      this.#ambiguousHere[side] = own;
    }
    return own;
  }

  #ambiguousOf(side: Side): ReadonlyMap<number, number> {
    const ambiguous = new Map(this.#ambiguousIn(side));
    for (let before = -1; before !== ambiguous.size; ) {
      before = ambiguous.size;
      for (const [table, parts] of this.#parts[side]) {
        const next = parts.flatMap(part => part.tables).find(one => ambiguous.has(one));
        if (next !== undefined && !ambiguous.has(table)) ambiguous.set(table, ambiguous.get(next)!);
      }
    }
    return ambiguous;
  }

  // --- States ----------------------------------------------------------------------------------------------

  #sameForms(a: Form, b: Form): boolean {
    return (
      a.text === b.text &&
      a.tables.length === b.tables.length &&
      a.tables.every((table, index) => this.#areSameLookup(table, b.tables[index]!))
    );
  }

  /** Lists that run later, from any table. */
  #sameLists(a: readonly Bound[], b: readonly Bound[]): boolean {
    const [left, right] = this.#forms;
    return a.length === b.length && this.#sameForms(left.list(a, 0, 0, true), right.list(b, 0, 0, true));
  }

  #sameLeft(a: readonly Left[], b: readonly Left[]): boolean {
    if (a.length !== b.length) return false;
    return a.every((left, index) => {
      const right = b[index]!;
      if (left.is !== "recirculate" || right.is !== "recirculate")
        return left.is !== "recirculate" && right.is !== "recirculate" && sameEvent(left, right);
      const [one, other] = [left.frozen, right.frozen];
      return (
        one.recirculations === other.recirculations &&
        sameQuestions(one, other) &&
        (one.asked === null || this.#areSameLookup(one.table, other.table)) &&
        sameWords(one.key, other.key) &&
        samePackets(one.packet, other.packet) &&
        sameStacks(one.stack, other.stack) &&
        this.#sameLists(one.actionSet, other.actionSet) &&
        this.#sameLists(one.list, other.list)
      );
    });
  }

  #sameFrames(a: readonly StackFrame[], b: readonly StackFrame[]): boolean {
    const [left, right] = [a, b].map(frames => frames.filter(isRead)) as [StackFrame[], StackFrame[]];
    return (
      left.length === right.length && left.every((frame, index) => this.#sameFrame(frame, right[index]!))
    );
  }

  #sameFrame(a: StackFrame, b: StackFrame): boolean {
    const [left, right] = this.#forms;
    if (a.is === "steps" && b.is === "steps")
      return (
        a.table === b.table &&
        a.depth === b.depth &&
        a.isLast === b.isLast &&
        a.origin === b.origin &&
        this.#sameForms(left.list(a.list, a.index, a.table), right.list(b.list, b.index, b.table))
      );
    if (a.is === "buckets" && b.is === "buckets") {
      const rest = ({ lists, index }: typeof a, forms: Forms): Form =>
        joinedForms(
          lists.slice(index).map(list => forms.list(list, 0, 0, true)),
          "|",
        );
      return a.isLast === b.isLast && this.#sameForms(rest(a, left), rest(b, right));
    }
    if (a.is === "bucket end" && b.is === "bucket end")
      return a.wasMpls === b.wasMpls && sameWords(a.flow, b.flow);
    if (a.is !== "finish" || b.is !== "finish" || a.isLast !== b.isLast) return false;
    const [one, other] = [a.saved, b.saved];
    if (one === null || other === null) return one === other;
    const isSameCopy =
      one.copied === null || other.copied === null
        ? one.copied === other.copied
        : one.copied.wasMpls === other.copied.wasMpls && samePackets(one.copied.packet, other.copied.packet);
    return (
      isSameCopy &&
      sameWords(one.flow, other.flow) &&
      sameStacks(one.stack, other.stack) &&
      this.#sameLists(one.actionSet, other.actionSet)
    );
  }
}

/** A finished list has no effect, but a stack frame above it that is not a list reads its table and depth. */
function isRead(frame: StackFrame, index: number, frames: readonly StackFrame[]): boolean {
  if (frame.is !== "steps" || frame.index < frame.list.length) return true;
  return index + 1 < frames.length && frames[index + 1]!.is !== "steps";
}

/** Whether two frozen packets ask the connection tracker the same, or nothing. */
const sameQuestions = ({ asked: a }: Frozen, { asked: b }: Frozen): boolean =>
  a === null || b === null ? a === b : a.zone === b.zone && a.step.text === b.step.text;

const sameWords = (a: readonly Word[], b: readonly Word[]): boolean => a.every((word, at) => word === b[at]);

function samePackets(a: Packet, b: Packet): boolean {
  if (a === b) return true;
  return (
    sameWords(a.base, b.base) &&
    sameWords(a.read, b.read) &&
    a.readAs === b.readAs &&
    a.extraction === b.extraction &&
    a.popped === b.popped &&
    a.pushed === b.pushed &&
    a.isRelabelled === b.isRelabelled &&
    a.isMoved === b.isMoved &&
    a.history === b.history &&
    a.types.length === b.types.length &&
    a.types.every(({ tag, type }, at) => tag === b.types[at]!.tag && type === b.types[at]!.type) &&
    a.written.size === b.written.size &&
    [...a.written].every(word => b.written.has(word))
  );
}

/** Counters and flags of the pass, on which limits depend. */
const haveSameNumbers = (a: State, b: State): boolean =>
  a.lookups === b.lookups &&
  a.stackBytes === b.stackBytes &&
  a.actionBytes === b.actionBytes &&
  a.recirculations === b.recirculations &&
  a.actionSetHasGroup === b.actionSetHasGroup &&
  a.isOver === b.isOver &&
  a.isFreezing === b.isFreezing &&
  a.wasMpls === b.wasMpls &&
  a.isTracked === b.isTracked &&
  a.isTranslated === b.isTranslated &&
  a.tracked === b.tracked &&
  a.frozenTable === b.frozenTable &&
  a.priority === b.priority &&
  a.error === b.error;

const sameStacks = (a: readonly StackItem[], b: readonly StackItem[]): boolean =>
  a.length === b.length &&
  a.every(
    (item, at) =>
      item.bytes === b[at]!.bytes && segmentsName(item.segments) === segmentsName(b[at]!.segments),
  );

function segmentsName(segments: readonly Segment[]): string {
  return segments
    .map(segment => {
      const { is, bits } = segment;
      if (segment.is === "const") return `${is} ${bits} ${segment.value}`;
      if (segment.is === "column") return `${is} ${bits} ${segment.column.id} ${segment.from}`;
      const of = `${is} ${bits} ${segment.atom.id} ${segment.from}`;
      return segment.is === "atom" ? of : `${of} ${segment.at} ${segment.by}`;
    })
    .join();
}
