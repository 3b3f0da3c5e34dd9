/**
 * Abstract interpretation of one program: propagates packets, as cubes of known bits, from the input through
 * all tables until nothing changes, and reports the goals (ambiguity-goals.ts) that they satisfy.
 */

import { CT, KEY, KEY_WORDS, PORT, type Step, type TrackStep } from "../../openflow/index.ts";
import { unreachable } from "../../wire/index.ts";
import { learnedTable, learnsOf, tablesReached } from "../symbolic/asked.ts";
import type { Node } from "../symbolic/bands.ts";
import type { Program } from "../symbolic/compiled-tables.ts";
import { listingsOf } from "../symbolic/listing.ts";
import type { WordTest } from "../symbolic/match-tests.ts";
import { isSimple } from "../symbolic/simple-steps.ts";
import { bindGroup, orderBound } from "../symbolic/slot-values.ts";
import type { Subtable } from "../symbolic/sorted-subtable.ts";
import type { Template } from "../symbolic/templates.ts";
import { writesOf } from "../symbolic/writes.ts";
import { type Goal, rulesOf, TooMany } from "./ambiguity-goals.ts";
import { hasAll, isBelow, KnownBits, type Tests } from "./known-bits.ts";
import { move, write } from "./known-writes.ts";
import { FIRST_ZERO, isFirstZero, type LastingBits } from "./lasting-bits.ts";

/** Distinct arrivals stored for one table. */
const MAX_ARRIVALS = 64;
/** Tests in all; beyond that, every pair counts as reachable. */
const MAX_TESTS = 5_000_000;
const MAX_GROUPS_DEEP = 8;
const FULL = 0xffffffff;

/** Whether packets of a cube can satisfy a goal without a match in `above`. */
function isMet({ tests, choices }: Goal, key: KnownBits, above: readonly Tests[]): boolean {
  if (!tests.every(test => key.agreesWith(test))) return false;
  if (!choices.every(some => some.some(one => one.every(test => key.agreesWith(test))))) return false;
  return !isBelow(key, tests, above);
}

interface Arrival {
  readonly table: number;
  /** The port used for the lookup; null for the packet's own. */
  readonly port: number | null;
  readonly cube: KnownBits;
  /** Packets after the lookup returned; null if none has returned yet. */
  back: KnownBits | null;
  /** Arrivals whose steps continue after it. */
  readonly callers: Set<Arrival>;
}

/** A cube at a table, its lookup key, and the matches of higher priorities that were executed. */
interface TableVisit {
  readonly table: number;
  readonly port: number | null;
  readonly cube: KnownBits;
  readonly key: KnownBits;
  readonly above: readonly Tests[];
}

export class Reachability {
  readonly #program: Program;
  readonly #bits: LastingBits;
  #tests = 0;
  /** Lasting bits of the current goals. */
  #lasting: readonly WordTest[] = [];
  #lastingMask = new Uint32Array(KEY_WORDS);
  /** Bits of the goals that are zero in an incoming packet. */
  readonly #goalMasks = new Map<number, number>();
  readonly #arrivedAt = new Map<number, number>();
  readonly #arrived = new Map<string, Arrival>();
  readonly #pending = new Set<Arrival>();
  /** The arrival whose flows are being executed. */
  #current: Arrival | null = null;
  /** True while steps of an action set are executed. */
  #isLater = false;

  constructor(program: Program, bits: LastingBits) {
    this.#program = program;
    this.#bits = bits;
  }

  /** Adds the tables in which a goal is reachable. All goals must have the same lasting bits. */
  run(goals: readonly Goal[], tables: Map<number, number>): void {
    this.#lasting = this.#bits.of(goals[0]!.tests);
    this.#lastingMask = new Uint32Array(KEY_WORDS);
    const first = new KnownBits();
    for (const [from, to] of FIRST_ZERO) for (let word = from; word < to; word++) first.set(word, FULL, 0);
    for (const { word, mask, value } of this.#lasting) {
      this.#lastingMask[word] = mask;
      first.set(word, mask, value);
    }
    this.#goalMasks.clear();
    // Tracked packets start a pass of their own.
    this.#goalMasks.set(KEY.ctState, CT.trk);
    for (const { word, mask } of goals.flatMap(({ tests }) => tests))
      if (isFirstZero(word)) this.#goalMasks.set(word, (this.#goalMasks.get(word) ?? 0) | mask);
    this.#arrived.clear();
    this.#arrivedAt.clear();
    this.#pending.clear();
    this.#arrive(0, null, first);
    for (const arrival of this.#pending) {
      this.#pending.delete(arrival);
      this.#current = arrival;
      this.#lookUp(
        arrival,
        goals.filter(({ table }) => table === arrival.table),
        tables,
      );
    }
  }

  /** Packets that arrive at a table with equal values of the goals' bits are joined. */
  #arrive(table: number, port: number | null, cube: KnownBits): Arrival {
    const count = this.#arrivedAt.get(table) ?? 0;
    const parts = [...this.#goalMasks].map(
      ([word, mask]) => `${cube.known[word]! & mask}/${cube.value[word]! & mask}`,
    );
    let name = [table, port, ...parts].join();
    let known = this.#arrived.get(name);
    // Beyond the limit, all others are joined.
    if (known === undefined && count >= MAX_ARRIVALS) {
      name = `${table} ${port}`;
      known = this.#arrived.get(name);
    }
    if (known === undefined) {
      this.#arrivedAt.set(table, count + 1);
      known = { table, port, cube: cube.copy(), back: null, callers: new Set() };
      this.#arrived.set(name, known);
      this.#pending.add(known);
    } else if (known.cube.join(cube)) this.#pending.add(known);
    return known;
  }

  /** Looks up a table; returns the packets after it, or null if none returned yet. */
  #lookUpTable(table: number, port: number | null, cube: KnownBits): KnownBits | null {
    const arrival = this.#arrive(table, port, cube);
    arrival.callers.add(this.#current!);
    if (arrival.back === null) return null;
    // Others may have returned with this packet: what no step can change is still as it was.
    const back = arrival.back.copy();
    for (let word = 0; word < KEY_WORDS; word++) {
      const kept = cube.known[word]! & ~this.#bits.changeable(word, cube);
      if (kept !== 0) back.set(word, kept, cube.value[word]!);
    }
    return back;
  }

  #comeBack(cube: KnownBits): void {
    const arrival = this.#current!;
    if (arrival.back === null) arrival.back = cube.copy();
    else if (!arrival.back.join(cube)) return;
    for (const other of arrival.callers) this.#pending.add(other);
  }

  #lookUp({ table, port, cube }: Arrival, goals: readonly Goal[], tables: Map<number, number>): void {
    const key = cube.copy();
    if (port !== null) key.set(KEY.inPort, FULL, port);
    // With conjunctive matches, an ordinary flow that matches may not be the result.
    const isPlain = (listingsOf(this.#program).get(table)?.clauses.length ?? 0) === 0;
    /** Matches of higher priorities that the packets may have. */
    const above: Tests[] = [];
    for (const goal of goals)
      if (goal.choices.length > 0 && isMet(goal, key, [])) tables.set(table, goal.flow);
    for (const { priority, nodes } of this.#program.tables.get(table) ?? []) {
      for (const goal of goals)
        if (goal.priority === priority && isMet(goal, key, above)) tables.set(table, goal.flow);
      const hit = nodes.flatMap(node => this.#match(node, { key, cube, table, port, above }));
      if (!isPlain) continue;
      if (hit.some(tests => hasAll(key, tests))) {
        if (!this.#isLearned(table)) return;
        break;
      }
      above.push(...hit);
    }
    // Packets without a match, or with a learned flow.
    const missed = cube.copy();
    for (const learn of learnsOf(this.#program)) write(missed, writesOf(learn), false, this.#lastingMask);
    this.#comeBack(missed);
  }

  /** Whether flows may be learned into a table. */
  #isLearned(table: number): boolean {
    return learnsOf(this.#program).some(learn => (learnedTable(learn) ?? table) === table);
  }

  /** Executes the matching flows; returns the matches that a packet has if and only if it hits the flow. */
  #match(node: Node, { key, cube, table, port, above }: TableVisit): Tests[] {
    const rules = rulesOf(node);
    if (rules === null) {
      const subtable = node as Subtable;
      this.#count(subtable.templates.length);
      if (!subtable.constants.every(test => key.agreesWith(test))) return [];
      for (const { steps } of subtable.templates) this.#hit(steps, null, -1, cube.copy(), table);
      return [];
    }
    const exact: Tests[] = [];
    for (const { tests, template, flow } of rules) {
      this.#count(1);
      if (!tests.every(test => key.agreesWith(test))) continue;
      if (isBelow(key, tests, above)) continue;
      if (template.unknown === null) exact.push(tests);
      const hit = cube.copy();
      for (const { word, mask, value } of tests)
        if (word !== KEY.conjId && (port === null || word !== KEY.inPort)) hit.set(word, mask, value);
      this.#hit(template.steps, template, flow, hit, table);
    }
    return exact;
  }

  #hit(
    steps: readonly Step[],
    template: Template | null,
    flow: number,
    cube: KnownBits,
    table: number,
  ): void {
    const back = this.#run(steps, template, flow, cube, table);
    if (back !== null) this.#comeBack(back);
  }

  #count(tests: number): void {
    this.#tests += tests;
    if (this.#tests > MAX_TESTS) throw new TooMany();
  }

  // --- Steps -----------------------------------------------------------------------------------------------

  #run(
    steps: readonly Step[],
    template: Template | null,
    flow: number,
    given: KnownBits,
    table: number,
    depth = 0,
  ): KnownBits | null {
    let cube = given;
    if (depth > MAX_GROUPS_DEEP) throw new TooMany();
    for (const step of steps) {
      this.#count(1);
      if (isSimple(step)) {
        write(cube, writesOf(step, template, flow), step.do === "nothing", this.#lastingMask);
        continue;
      }
      switch (step.do) {
        case "exit":
          return cube;
        case "resubmit": {
          if (this.#isLater && step.table === null) throw new TooMany();
          const next = step.table ?? table;
          const port = step.port === null || step.port === PORT.inPort ? null : step.port;
          const back = this.#lookUpTable(next, port, cube);
          if (back === null) return null;
          cube = back;
          break;
        }
        case "clone":
          this.#run(step.steps, template, flow, cube.copy(), table, depth + 1);
          break;
        case "group":
          this.#runGroup(step.group, cube, table, depth + 1);
          break;
        case "write_actions":
          this.#runLater(step.steps, template, flow, table, depth + 1);
          break;
        case "move":
          move(cube, step, this.#lastingMask);
          break;
        case "track":
          this.#track(step, cube, table);
          break;
        case "output":
        case "output_field":
        case "pop_mpls":
        case "set":
        case "push":
        case "pop":
        case "effect":
        case "unknown": {
          const next = this.#other(step, template, flow, cube, table);
          if (next === null) return null;
          cube = next;
          break;
        }
        default:
          unreachable(step);
      }
    }
    return cube;
  }

  /** Executes every bucket, each on a copy of the packet. */
  #runGroup(id: number, cube: KnownBits, table: number, depth: number): void {
    const group = this.#program.groups.get(id);
    for (const list of group === undefined ? [] : bindGroup(group)) {
      const steps = orderBound(list).map(({ step }) => step);
      this.#run(steps, null, -1, cube.copy(), table, depth);
    }
  }

  /** Steps of an action set run at the end, after and between unknown other steps. */
  #runLater(
    steps: readonly Step[],
    template: Template | null,
    flow: number,
    table: number,
    depth: number,
  ): void {
    const before = this.#isLater;
    this.#isLater = true;
    for (const step of steps) this.#run([step], template, flow, this.#anything(), table, depth);
    this.#isLater = before;
  }

  #other(
    step: Step,
    template: Template | null,
    flow: number,
    given: KnownBits,
    table: number,
  ): KnownBits | null {
    let cube = given;
    // A resumed packet-in is another packet.
    if (step.do === "unknown" && step.feature === "controller(pause)") return null;
    const isSure = step.do === "set" && step.prerequisite === "none";
    write(cube, writesOf(step, template, flow), isSure, this.#lastingMask);
    // The lookup may or may not happen.
    for (const next of tablesReached(this.#program, step, table)) {
      const back = this.#lookUpTable(next, null, cube);
      if (back === null) continue;
      back.join(cube);
      cube = back;
    }
    return cube;
  }

  /** A copy of the packet continues with the tracking result; the packet itself continues untracked. */
  #track(step: TrackStep, cube: KnownBits, table: number): void {
    for (const next of tablesReached(this.#program, step, table)) {
      const tracked = cube.copy();
      write(tracked, writesOf(step), false, this.#lastingMask);
      const invalid = tracked.copy();
      invalid.set(KEY.ctState, FULL, CT.trk | CT.inv);
      this.#arrive(next, null, invalid);
      tracked.set(KEY.ctState, CT.trk | CT.inv, CT.trk);
      this.#arrive(next, null, tracked);
    }
    for (let word = KEY.ctState as number; word <= KEY.ctPorts; word++) cube.forget(word, FULL);
  }

  #anything(): KnownBits {
    const cube = new KnownBits();
    for (const { word, mask, value } of this.#lasting) cube.set(word, mask, value);
    return cube;
  }
}
