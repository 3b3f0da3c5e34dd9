/**
 * Symbolic execution of two programs in lock-step (product construction). When both machines are at a
 * lookup, the rest is a proof obligation. It is first proved under frame formats only, without the path
 * condition; that result holds for every path to the same pair of states and is memoized. Only if this
 * fails, the rest is executed under the path condition. So tables in sequence cost their sum, not their
 * product.
 */
import { KEY } from "../../openflow/index.ts";
import type { Budget } from "../budget.ts";
import { Lookups } from "../paths/lookup.ts";
import { Path } from "../paths/path-condition.ts";
import { Fork, PathDecider } from "../paths/path-decider.ts";
import { byKnownTunnel, byTunnel } from "../paths/tunnel-ports.ts";
import type { Program } from "../symbolic/compiled-tables.ts";
import { Undecidable, Unmodelled } from "../symbolic/decider.ts";
import { TUNNEL_WORDS } from "../symbolic/entering.ts";
import { Extractions } from "../symbolic/extractions.ts";
import { initialState } from "../symbolic/initial-state.ts";
import type { Space } from "../symbolic/input-space.ts";
import { MAX_ACTION_BYTES, MAX_DEPTH, MAX_LOOKUPS, Machine } from "../symbolic/machine.ts";
import { bind } from "../symbolic/slot-values.ts";
import { depthOf, enter, type State } from "../symbolic/state.ts";
import { Terms } from "../symbolic/terms.ts";
import type { AlikeTables } from "./alike.ts";
import { Comparison } from "./compare-outputs.ts";
import type { Candidate } from "./compare-packets.ts";
import { type Ignored, sameEvent } from "./event-order.ts";
import { Generalization } from "./generalize.ts";
import { hasColumns, SHALLOW, StateNamer, stateName } from "./state-names.ts";

/** The states of both machines, and their common path. */
export interface Pair {
  readonly a: State;
  readonly b: State;
  readonly path: Path;
}

/** Receives the results. Each method returns false to stop the proof. */
export interface Listener {
  /** The outcomes differ if a frame satisfies the candidate's path. */
  differs(pair: Pair, candidate: Candidate): boolean;
  ambiguous(pair: Pair, side: 0 | 1): boolean;
  unknown(pair: Pair, side: 0 | 1, feature: string, line: number): boolean;
}

/** Packet classes that one attempt at a proof obligation may take. */
const ATTEMPT_CLASSES = 20_000;
/** Attempts that fail in a table on a way to a difference, beyond those that do not. */
const FAILURES = 2;
/** Pairs to explore in search of an ambiguity, and the rest after something was unknown. */
const AMBIGUITY_PAIRS = 200_000;
const UNKNOWN_PAIRS = 5_000;
/** A pass beyond these counts is not memoized: it may be near a limit of Open vSwitch. */
const MANY_LOOKUPS = 2048;
const MANY_BYTES = 32_000;
/** States deeper than this are not memoized. */
const DEEP = 40;

// A memoized state must stay below the limits, whatever led to it: the margin is for one pass behind it.
if (!(MANY_LOOKUPS < MAX_LOOKUPS && MANY_BYTES < MAX_ACTION_BYTES && SHALLOW < DEEP && DEEP < MAX_DEPTH))
  throw new Error("internal error: limits of memoized states exceed those of Open vSwitch");

export class Product {
  readonly terms = new Terms();
  readonly extractions: Extractions;
  readonly #lookups: Lookups;
  readonly #generalization: Generalization;
  readonly #programs: readonly [Program, Program];
  readonly #proven = new Map<string, boolean>();
  /** By table: attempts at obligations on a way to a difference. */
  readonly #tries = new Map<number, { proven: number; failed: number }>();
  readonly #budget: Budget;
  readonly #ignored: ReadonlySet<Ignored>;
  readonly #alike: AlikeTables | null;
  #hadManyLookups = false;
  /** Pairs to explore before giving up. */
  #pairsLeft = Number.POSITIVE_INFINITY;
  /** Set if both programs have the same flows: the line of a flow that may be ambiguous. */
  ambiguousLine: number | null = null;

  /** `alike` null: no tables are skipped as equivalent. */
  constructor(
    a: Program,
    b: Program,
    space: Space,
    budget: Budget,
    alike: AlikeTables | null,
    ignored: ReadonlySet<Ignored> = new Set(),
  ) {
    this.#programs = [a, b];
    this.#alike = alike;
    this.#ignored = ignored;
    this.extractions = new Extractions(space, this.terms);
    this.#lookups = new Lookups(this.terms);
    this.#generalization = new Generalization(this.#programs, this.terms);
    this.#budget = budget;
  }

  /** Covers all frames. False if the listener stopped it. */
  run(listener: Listener): boolean {
    this.ambiguousLine = this.#alike?.haveSameFlows(0, 0) ? this.#alike.ambiguityFrom(0, 0) : null;
    if (this.ambiguousLine !== null) return this.#searchAmbiguities(listener);
    return this.#starts().every(start => this.#explore(start, listener, Number.POSITIVE_INFINITY));
  }

  /** Frames that may come from a tunnel and, if tunnel fields are input, frames that do not. */
  #starts(): Pair[] {
    const { space } = this.extractions;
    const path = Path.of(this.#budget, space, this.terms, this.extractions.formatBitsWith([]));
    const at = (isTunnelled: boolean, paths: readonly Path[]): Pair[] =>
      paths.map(path => ({
        a: initialState(this.extractions, 0, isTunnelled),
        b: initialState(this.extractions, 1, isTunnelled),
        path,
      }));
    const isInput = space.entering.some(word => TUNNEL_WORDS.includes(word));
    if (!isInput || (space.ports.others.size === 0 && !space.ports.isComplete)) return at(true, [path]);
    const inPort = this.extractions.firstKey(false)[KEY.inPort]!;
    return [...at(false, byKnownTunnel(path, inPort).others), ...at(true, byTunnel(path, inPort).may)];
  }

  /**
   * Both programs have the same flows, so only an ambiguity can be found. The search has a smaller limit,
   * and a still smaller one once something is unknown, as the verdict cannot be `equal` any more. Unknowns
   * are the same on both sides and are not reported separately.
   */
  #searchAmbiguities(listener: Listener): boolean {
    this.#pairsLeft = AMBIGUITY_PAIRS;
    let isOpen = false;
    const impatient: Listener = {
      differs: (pair, candidate) => listener.differs(pair, candidate),
      ambiguous: (pair, side) => listener.ambiguous(pair, side),
      unknown: (pair, side, feature, line) => {
        this.#pairsLeft = Math.min(this.#pairsLeft, UNKNOWN_PAIRS);
        // This reason names the ambiguity more precisely.
        if (feature.startsWith("conjunction")) return listener.unknown(pair, side, feature, line);
        isOpen = true;
        return true;
      },
    };
    const isAll = this.#starts().every(start => this.#explore(start, impatient, Number.POSITIVE_INFINITY));
    if (this.#pairsLeft > 0 && !isOpen) this.ambiguousLine = null;
    return isAll;
  }

  #explore(start: Pair, listener: Listener, classes: number): boolean {
    const pending: Pair[] = [start];
    let left = classes;
    for (let pair = pending.pop(); pair !== undefined; pair = pending.pop()) {
      this.#budget.step();
      if (--this.#pairsLeft <= 0) return false;
      const settled = this.#settle(pair, pending, listener);
      if (settled === null) continue;
      if (settled === false) return false;
      if (this.#alike?.areAlike(settled.a, settled.b)) {
        if (--left < 0) return false;
        this.#budget.takeClass();
        continue;
      }
      if (settled.a.isDone && settled.b.isDone) {
        if (--left < 0) return false;
        this.#budget.takeClass();
        if (!this.#compare(settled, listener)) return false;
        continue;
      }
      // The start itself is what is to be proved.
      const isStart = settled.a === start.a && settled.b === start.b;
      const { open, isAligned, isRestEqual } = this.#onWays(settled);
      if (isRestEqual) {
        if (--left < 0) return false;
        this.#budget.takeClass();
      }
      for (const one of open) {
        if (!isStart && (isAligned ? this.#isProvenOnWay(one) : this.#isProven(one))) continue;
        if (!this.#lookUp(one, pending, listener)) return false;
      }
    }
    return true;
  }

  /** The parts of a pair at a lookup that may meet a difference, and whether a part meets none. */
  #onWays(pair: Pair): { open: readonly Pair[]; isAligned: boolean; isRestEqual: boolean } {
    const region = this.#alike?.waysFrom(pair.a, pair.b) ?? null;
    if (region === null) return { open: [pair], isAligned: false, isRestEqual: false };
    const key = pair.a.flow.with(KEY.inPort, pair.a.lookup!.inPort);
    const open: Pair[] = [];
    let rest: readonly Path[] = [pair.path];
    try {
      for (const cube of region) {
        const tests = cube.tests().map(({ word, mask, value }) => ({ word: key[word]!, mask, value }));
        const splits = rest.map(path => path.split(tests));
        for (const { yes } of splits) if (yes !== null) open.push({ ...pair, path: yes });
        rest = splits.flatMap(({ no }) => no);
      }
    } catch (error) {
      if (!(error instanceof Undecidable)) throw error;
      return { open: [pair], isAligned: false, isRestEqual: false };
    }
    return { open, isAligned: true, isRestEqual: rest.length > 0 };
  }

  /** Runs both machines to their next lookup or end. Null if the path was split, false to stop. */
  #settle(pair: Pair, pending: Pair[], listener: Listener): Pair | null | false {
    let { a, b, path } = pair;
    path = this.#extended(path);
    for (const side of [0, 1] as const) {
      const state = side === 0 ? a : b;
      if (state.lookup !== null || state.isDone) continue;
      const decider = new PathDecider(this.extractions, path);
      const machine = new Machine(this.extractions, this.#programs[side], state, decider);
      try {
        const stopped = machine.run();
        if (side === 0) a = stopped;
        else b = stopped;
        path = decider.path;
      } catch (error) {
        const now: Pair = {
          a: side === 0 ? machine.state : a,
          b: side === 1 ? machine.state : b,
          path: decider.path,
        };
        if (error instanceof Fork) {
          for (const one of error.paths) pending.push({ ...now, path: one });
          return null;
        }
        if (!(error instanceof Unmodelled)) throw error;
        return listener.unknown(now, side, error.feature, error.line) ? null : false;
      }
    }
    return { ...withoutCommon(a, b), path };
  }

  #extended(path: Path): Path {
    const formatBits = this.extractions.formatBitsWith(path.formatBits);
    return formatBits === path.formatBits ? path : path.with({ formatBits });
  }

  #compare({ a, b, path }: Pair, listener: Listener): boolean {
    if (a.out.length === 0 && b.out.length === 0) return true;
    const comparison = new Comparison(this.extractions, candidate =>
      listener.differs({ a, b, path }, candidate),
    );
    return comparison.compare(a.out, b.out, path, this.#ignored);
  }

  /** Continues with every result of the pending lookups. */
  #lookUp(pair: Pair, pending: Pair[], listener: Listener): boolean {
    const sides = ([0, 1] as const).filter(side => (side === 0 ? pair.a : pair.b).lookup !== null);
    let pairs: Pair[] = [pair];
    for (const side of sides) {
      if (!this.#reportLearned(pair, side, listener)) return false;
      const next: Pair[] = [];
      for (const one of pairs) {
        if (!this.#lookUpSide(one, side, next, listener)) return false;
      }
      pairs = next;
    }
    pending.push(...pairs);
    return true;
  }

  /** Reports a table that may hold learned flows. Its known flows are executed all the same. */
  #reportLearned(pair: Pair, side: 0 | 1, listener: Listener): boolean {
    const { table } = (side === 0 ? pair.a : pair.b).lookup!;
    const learned = this.#alike?.learnedTo(table) ?? null;
    return learned === null || listener.unknown(pair, learned.side, learnedTo(table), learned.line);
  }

  #lookUpSide(pair: Pair, side: 0 | 1, next: Pair[], listener: Listener): boolean {
    const state = side === 0 ? pair.a : pair.b;
    let outcomes: ReturnType<Lookups["run"]>;
    try {
      outcomes = this.#lookups.run(this.#programs[side], state, pair.path);
    } catch (error) {
      if (!(error instanceof Undecidable || error instanceof Unmodelled)) throw error;
      return listener.unknown(pair, side, error.message, 0);
    }
    for (const { path, slotValues, ambiguousWith } of outcomes) {
      const here: Pair = { ...pair, path };
      if (slotValues !== null && ambiguousWith !== null) {
        if (!listener.ambiguous(here, side)) return false;
        continue;
      }
      const template = slotValues?.template ?? null;
      if (template !== null && template.unknown !== null) {
        const line = template.steps[0]?.line ?? 0;
        if (!listener.unknown(here, side, template.unknown, line)) return false;
        continue;
      }
      const list = template === null || slotValues === null ? null : bind(template.steps, slotValues);
      const hit = slotValues === null ? null : { slotValues, table: state.lookup!.table };
      const entered = enter(state, list, hit);
      next.push(side === 0 ? { ...here, a: entered } : { ...here, b: entered });
    }
    return true;
  }

  /** All formats with the same layer 3 as some formats: a proof for them covers those formats. */
  #allOfLayers(formats: number): number {
    const { formats: all } = this.extractions.space;
    const layers = new Set(
      all.filter((_, index) => (formats & (1 << index)) !== 0).map(({ layer3 }) => layer3),
    );
    let wide = 0;
    for (const [index, { layer3 }] of all.entries()) if (layers.has(layer3)) wide |= 1 << index;
    return wide;
  }

  // --- Proof obligations
  // ----------------------------------------------------------------------------------------

  /**
   * Whether the rest is equivalent on every path: for all values of irrelevant words, or for these values.
   */
  #isProven({ a, b, path }: Pair): boolean {
    // Questions to come have the same names on both sides only if those so far have.
    if (a.tracked !== b.tracked || hasColumns(a) || hasColumns(b)) return false;
    if ([a, b].some(isNearLimits)) {
      this.#hadManyLookups = true;
      return false;
    }
    const wide = this.#generalization.of(a, b);
    if (wide !== null && this.#isObligationMet(wide.a, wide.b, path)) return true;
    return !path.isGeneral && this.#isObligationMet(a, b, path);
  }

  /**
   * The same on a way to a difference, where most attempts fail: no more of them in a table where they do.
   */
  #isProvenOnWay(pair: Pair): boolean {
    const { table } = pair.a.lookup!;
    const tried = this.#tries.get(table) ?? { proven: 0, failed: 0 };
    this.#tries.set(table, tried);
    if (tried.failed > tried.proven + FAILURES) return false;
    const isProven = this.#isProven(pair);
    if (isProven) tried.proven++;
    else tried.failed++;
    return isProven;
  }

  #isObligationMet(a: State, b: State, path: Path): boolean {
    const namer = new StateNamer();
    const name = `${stateName(a, namer)}\n${stateName(b, namer)}\n${leadOf(a, b)}`;
    const formatBits = path.formatBits.map(formats => this.#allOfLayers(formats));
    const formats = namer.extractions.map(extraction => formatBits[extraction]!);
    const exact = `${name}\n${formats.join()}`;
    const known = this.#proven.get(exact);
    if (known !== undefined) return known;
    const general = Path.of(this.#budget, path.space, this.terms, formatBits);
    const before = this.#hadManyLookups;
    this.#hadManyLookups = false;
    const isEqual = this.#explore({ a, b, path: general }, GIVE_UP, ATTEMPT_CLASSES);
    const isKept = !this.#hadManyLookups;
    this.#hadManyLookups ||= before;
    if (isKept) this.#proven.set(exact, isEqual);
    return isEqual;
  }
}

/** Both states without the events that both emitted first. */
function withoutCommon(a: State, b: State): { a: State; b: State } {
  let count = 0;
  while (count < a.out.length && count < b.out.length && sameEvent(a.out[count]!, b.out[count]!)) count++;
  return count === 0
    ? { a, b }
    : { a: { ...a, out: a.out.slice(count) }, b: { ...b, out: b.out.slice(count) } };
}

const isNearLimits = (state: State): boolean =>
  state.lookups > MANY_LOOKUPS || state.actionBytes > MANY_BYTES || depthOf(state) > DEEP;

/**
 * How far one side is ahead of the other in each limited count. If states end in equivalent tables, only
 * this difference matters, not the distance to the limit.
 */
const leadOf = (a: State, b: State): string =>
  [
    a.lookups - b.lookups,
    a.actionBytes - b.actionBytes,
    a.stackBytes - b.stackBytes,
    depthOf(a) - depthOf(b),
  ].join();

const learnedTo = (table: number): string => `learn: table ${table} holds learned flows`;

/** Stops an attempt at anything but equality. */
const GIVE_UP: Listener = { differs: () => false, ambiguous: () => false, unknown: () => false };
