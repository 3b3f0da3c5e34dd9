/**
 * Tables in which a packet may meet two flows of one priority that do different things. The matches alone name many pairs
 * that no packet meets (overlaps.ts): here packets are followed from where they come in, as *cubes*, bits that are known and
 * bits that may be anything, joined wherever two come to the same table. So nothing is missed and little is kept: a pair
 * that is ruled out here is never met. Those that are left may be; that is asked while proving.
 *
 * Connection tracking is followed too: its results are anything that ovs-fields(7), "ct_state", allows.
 */
import { KEY, KEY_WORDS, PORT, type Step } from "../../openflow/index.ts";
import { learnedTable, learnsOf, tablesAsked, writesIn } from "../symbolic/asked.ts";
import type { Band, Node, Rule } from "../symbolic/bands.ts";
import type { Program } from "../symbolic/compiled-tables.ts";
import type { ClauseFlow, Conjunction } from "../symbolic/conjunctions.ts";
import { areApart, listingsOf } from "../symbolic/listing.ts";
import type { WordTest } from "../symbolic/match-tests.ts";
import { bindGroup, orderBound } from "../symbolic/slot-values.ts";
import { MapNode } from "../symbolic/sorted-subtable.ts";
import type { Template } from "../symbolic/templates.ts";
import { eachPiece, type Write, writesOf } from "../symbolic/writes.ts";

/** Rows of a map that are looked at one by one, and pairs of flows of one program. */
const MAX_ROWS = 64;
const MAX_PAIRS = 20_000;
/** Clauses that are held against each other, in all. */
const MAX_CLAUSES = 2_000_000;
/** Arrivals at one table that are told apart. */
const MAX_ARRIVALS = 64;
/** Flows that cubes are held against, in all: beyond that every pair counts as one that may be met. */
const MAX_TESTS = 5_000_000;
const MAX_GROUPS_DEEP = 8;

const FULL = 0xffffffff;
/** Bits of ct_state (ovs-fields(7)). */
const CT = { new: 0x01, est: 0x02, rpl: 0x08, inv: 0x10, trk: 0x20 } as const;
/** Words that are zero where a packet comes in. */
const FIRST_ZERO: readonly (readonly [from: number, to: number])[] = [
  [KEY.metadata, KEY.tunnelId],
  [KEY.ctState, KEY.ctPorts + 1],
];
/** Words that a lookup is asked with, whatever the packet has there. */
const OF_LOOKUP: readonly number[] = [KEY.inPort, KEY.conjId];
const PORT_PROTOCOLS: readonly number[] = [6, 17, 132];
const ICMP6 = 58;
/** Types of multicast listener and neighbour discovery: of no connection to any connection tracker (RFC 4890, 4.4.1). */
const NEVER_TRACKED: readonly number[] = [130, 131, 132, 133, 134, 135, 136, 143];

const hasAll = (cube: Cube, tests: Tests): boolean => tests.every(test => cube.has(test));

/** Whether packets of a cube may be what a goal says, and have none of the matches `above`. */
function isMet({ tests, choices }: Goal, key: Cube, above: readonly Tests[]): boolean {
  if (!tests.every(test => key.agreesWith(test))) return false;
  if (!choices.every(some => some.some(one => one.every(test => key.agreesWith(test))))) return false;
  return !isBelow(key, tests, above);
}

/** Whether all packets of a cube that pass some tests have one of the matches `above`. */
function isBelow(key: Cube, tests: Tests, above: readonly Tests[]): boolean {
  if (above.length === 0) return false;
  const narrowed = key.copy();
  for (const { word, mask, value } of tests) narrowed.set(word, mask, value);
  return above.some(others => hasAll(narrowed, others));
}

class TooMany extends Error {}

type Tests = readonly WordTest[];

/** Which packets meet both flows of a pair. */
interface Goal {
  readonly table: number;
  readonly priority: number;
  readonly tests: Tests;
  /** A flow of the pair. */
  readonly flow: number;
  /** Of each of these lists one holds, too: clauses of conjunctive matches. */
  readonly choices: readonly (readonly Tests[])[];
}

/** Bits of the key that are known. */
class Cube {
  readonly #bits: Uint32Array;
  readonly known: Uint32Array;
  readonly value: Uint32Array;

  constructor(bits = new Uint32Array(2 * KEY_WORDS)) {
    this.#bits = bits;
    this.known = bits.subarray(0, KEY_WORDS);
    this.value = bits.subarray(KEY_WORDS);
  }

  copy(): Cube {
    return new Cube(this.#bits.slice());
  }

  set(word: number, mask: number, value: number): void {
    this.known[word] = this.known[word]! | mask;
    this.value[word] = (this.value[word]! & ~mask) | (value & mask);
  }

  forget(word: number, mask: number): void {
    this.known[word] = this.known[word]! & ~mask;
    this.value[word] = this.value[word]! & this.known[word]!;
  }

  agreesWith({ word, mask, value }: WordTest): boolean {
    return ((this.value[word]! ^ value) & this.known[word]! & mask) === 0;
  }

  has({ word, mask, value }: WordTest): boolean {
    return (mask & ~this.known[word]!) === 0 && ((this.value[word]! ^ value) & mask) === 0;
  }

  /** Keeps what both say; whether that is less than before. */
  join(other: Cube): boolean {
    let isLess = false;
    for (let word = 0; word < KEY_WORDS; word++) {
      const both = this.known[word]! & other.known[word]! & ~(this.value[word]! ^ other.value[word]!);
      if (both >>> 0 === this.known[word]!) continue;
      this.known[word] = both;
      this.value[word] = this.value[word]! & both;
      isLess = true;
    }
    return isLess;
  }
}

/** Tables in which rivals may meet, each with one of them. */
export function meetingTables(program: Program): ReadonlyMap<number, number> {
  const goals: Goal[] = [];
  const tables = new Map<number, number>();
  try {
    for (const goal of goalsOf(program)) {
      goals.push(goal);
      if (goals.length > MAX_PAIRS) throw new TooMany();
    }
    if (goals.length === 0) return tables;
    const followed = new Following(program);
    for (const some of byFrames(goals, followed).values()) followed.run(some, tables);
  } catch (error) {
    if (!(error instanceof TooMany)) throw error;
    noteAll(program, tables);
  }
  return tables;
}

/** Every table that has rivals or conjunctive matches at all. */
function noteAll(program: Program, tables: Map<number, number>): void {
  for (const [table, { clauses }] of listingsOf(program))
    if (clauses.length > 0) tables.set(table, clauses[0]!);
  for (const [table, bands] of program.tables)
    for (const { rivals, nodes } of bands)
      for (const [i, others] of rivals.entries())
        if (others.length > 0) {
          tables.set(table, flowOf(nodes[i]!));
        }
}

// --- What would have to be met --------------------------------------------------------------------------------

function* goalsOf(program: Program): Generator<Goal> {
  for (const [table, bands] of program.tables)
    for (const [at, { priority, nodes, rivals }] of bands.entries())
      for (const [i, others] of rivals.entries())
        for (const j of others)
          for (const { tests, flow } of bothOf(program, nodes[i]!, nodes[j]!)) {
            const isShadowed = bands
              .slice(0, at)
              .some(band => band.nodes.some(node => !band.hidden.has(node) && covers(node, tests)));
            if (!isShadowed && mayBeTracked(tests)) yield { table, priority, tests, flow, choices: [] };
          }
  yield* conjunctiveGoals(program);
}

/**
 * Conjunctive matches of one priority that may hold at once: which one is taken may not be known then. Also those of which
 * nobody can tell when they hold, and clauses that compare what is no word of the key.
 */
function* conjunctiveGoals(program: Program): Generator<Goal> {
  for (const [table, { clauses }] of listingsOf(program)) {
    if (clauses.length === 0) continue;
    const bands = program.tables.get(table) ?? [];
    const odd = bands.flatMap(({ nodes }) => nodes).find(node => isOddClause(program, node));
    if (odd !== undefined) yield { table, priority: -1, tests: [], flow: flowOf(odd), choices: [[[]]] };
    for (const band of bands) yield* tiesIn(table, band);
  }
}

/** Alternatives for each clause of a conjunction. */
const choicesOf = ({ clauses }: Conjunction): Goal["choices"] =>
  clauses.map(flows => flows.flatMap(({ variants }: ClauseFlow) => variants));

function* tiesIn(table: number, { priority, conjunctions }: Band): Generator<Goal> {
  const all = conjunctions.map(one => ({ one, choices: choicesOf(one), flow: one.clauses[0]![0]!.flow }));
  let held = 0;
  for (const [at, { one, choices: own, flow }] of all.entries()) {
    if (one.oddity !== null) yield { table, priority, tests: [], flow, choices: own };
    for (const { choices: others } of all.slice(at + 1)) {
      for (const left of own) for (const right of others) held += left.length * right.length;
      if (held > MAX_CLAUSES) throw new TooMany();
      const isApart = own.some(left =>
        others.some(right => left.every(a => right.every(b => together(a, b) === null))),
      );
      if (!isApart) yield { table, priority, tests: [], flow, choices: [...own, ...others] };
    }
  }
}

const flowOf = (node: Node): number => (node instanceof MapNode ? node.flows[0]! : node.flow);

function isOddClause(program: Program, node: Node): boolean {
  if (node instanceof MapNode || !isOdd(node)) return false;
  return program.flows.flow(node.flow).actions.some(({ type }) => type === "conjunction");
}

/** Matches of two flows together, for each pair of flows in two nodes that do different things. */
function* bothOf(program: Program, a: Node, b: Node): Generator<{ tests: Tests; flow: number }> {
  const [left, right] = [rulesOf(a), rulesOf(b)];
  if (left === null || right === null || left.length * right.length > MAX_PAIRS) throw new TooMany();
  for (const one of left)
    for (const other of right) {
      const tests = together(one.tests, other.tests);
      if (tests === null) continue;
      if (
        isOdd(one) &&
        isOdd(other) &&
        areApart(program.flows.flow(one.flow), program.flows.flow(other.flow))
      )
        continue;
      if (program.actionsOf(one.flow) !== program.actionsOf(other.flow)) yield { tests, flow: one.flow };
    }
}

type FlowRule = Pick<Rule, "tests" | "template" | "flow">;

/** It matches what is no word of the key. */
const isOdd = ({ template }: FlowRule): boolean => template.unknown !== null;

const rows = new WeakMap<MapNode, FlowRule[]>();

/** The flows of a node; null when they are many. */
function rulesOf(node: Node): readonly FlowRule[] | null {
  if (!(node instanceof MapNode)) return [node];
  if (node.size > MAX_ROWS) return null;
  let rules = rows.get(node);
  if (rules === undefined) {
    rules = Array.from({ length: node.size }, (_, row) => ({
      tests: [
        ...node.constants,
        ...node.words.map((word, k) => ({ word, mask: node.masks[k]!, value: node.keys[k]![row]! })),
      ],
      template: node.templates[node.templateOf[row]!]!,
      flow: node.flows[row]!,
    }));
    rows.set(node, rules);
  }
  return rules;
}

function together(a: Tests, b: Tests): WordTest[] | null {
  const tests = new Map<number, WordTest>(a.map(test => [test.word, test]));
  for (const { word, mask, value } of b) {
    const own = tests.get(word);
    if (own === undefined) tests.set(word, { word, mask, value });
    else if (((own.value ^ value) & own.mask & mask) !== 0) return null;
    else tests.set(word, { word, mask: (own.mask | mask) >>> 0, value: (own.value | value) >>> 0 });
  }
  return [...tests.values()];
}

/** Whether a flow is hit by every packet of some tests. */
function covers(node: Node, tests: readonly WordTest[]): boolean {
  if (node instanceof MapNode || node.template.unknown !== null) return false;
  return node.tests.every(({ word, mask, value }) => {
    const own = tests.find(test => test.word === word);
    return own !== undefined && (mask & ~own.mask) === 0 && ((own.value ^ value) & mask) === 0;
  });
}

/** Whether tests on ct_state can hold at all: see the list of constraints in ovs-fields(7). */
function mayBeTracked(tests: readonly WordTest[]): boolean {
  const test = tests.find(({ word }) => word === KEY.ctState);
  if (test === undefined) return true;
  const { mask, value } = test;
  const isClear = (bit: number): boolean => (mask & bit) !== 0 && (value & bit) === 0;
  if (isClear(CT.trk) && (value & ~CT.trk) !== 0) return false;
  if ((value & CT.inv) !== 0 && (value & ~(CT.inv | CT.trk)) !== 0) return false;
  return (value & CT.new) === 0 || (value & (CT.est | CT.rpl)) === 0;
}

/**
 * Goals by the frames that can come to them: of a word that nothing writes to in such a way that a packet would come to the
 * goal by it, the packet must have had the value from the start.
 */
function byFrames(goals: readonly Goal[], followed: Following): Map<string, Goal[]> {
  const groups = new Map<string, Goal[]>();
  for (const goal of goals) {
    const name = JSON.stringify(followed.lastingTests(goal.tests));
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [goal]);
    else group.push(goal);
  }
  return groups;
}

// --- Packets on their way -------------------------------------------------------------------------------------

interface Arrival {
  readonly table: number;
  /** The port that is looked up in place of the packet's; null for that one. */
  readonly port: number | null;
  readonly cube: Cube;
  /** What packets are when the lookup comes back; null as long as none does. */
  back: Cube | null;
  /** Arrivals whose flows go on then. */
  readonly askedBy: Set<Arrival>;
}

/** A cube at a table, the key that is looked up, and matches of higher priorities that are run already. */
interface Meeting {
  readonly table: number;
  readonly port: number | null;
  readonly cube: Cube;
  readonly key: Cube;
  readonly above: readonly Tests[];
}

const isFirstZero = (word: number): boolean => FIRST_ZERO.some(([from, to]) => word >= from && word < to);

class Following {
  readonly #program: Program;
  /** Everything that is written anywhere, by word. */
  readonly #writes: ReadonlyMap<number, readonly Write[]>;
  #tests = 0;
  /** Of the run: bits of the frame that stay what they are. */
  #lasting: readonly WordTest[] = [];
  #lastingMask = new Uint32Array(KEY_WORDS);
  /** Bits that goals ask for and that are zero at first. */
  readonly #goalMasks = new Map<number, number>();
  readonly #arrivedAt = new Map<number, number>();
  readonly #arrived = new Map<string, Arrival>();
  readonly #pending = new Set<Arrival>();
  /** The arrival whose flows are run. */
  #now: Arrival | null = null;
  /** Steps of an action set are run. */
  #isLater = false;

  constructor(program: Program) {
    this.#program = program;
    this.#writes = writesIn(program);
  }

  /** Of tests, those on bits that a packet had from the start if it ever has them all. */
  lastingTests(tests: readonly WordTest[]): WordTest[] {
    const mayCome = (test: WordTest, write: Write): boolean => {
      if (write.value !== null) return ((write.value ^ test.value) & write.mask & test.mask) === 0;
      if (write.only === "one less") return (test.mask & 0xff) !== 0xff || (test.value & 0xff) !== 0xff;
      return write.only === undefined || isTranslated(test.word);
    };
    const lasting = (word: number, mask: number): number | null => {
      const test = tests.find(one => one.word === word && (one.mask & mask) === mask);
      return test === undefined || !this.#lasts(test, mayCome) ? null : test.value & mask;
    };
    // What is translated: the ports of protocols that have them, and addresses, but not of what is not tracked at all.
    const isTranslated = (word: number): boolean => {
      const protocol = word === KEY.nwProto ? null : lasting(KEY.nwProto, 0xff);
      const isPort = word === KEY.tpSrc || word === KEY.tpDst;
      if (protocol !== null && isPort) return PORT_PROTOCOLS.includes(protocol);
      const type = protocol === ICMP6 && !isPort ? lasting(KEY.tpSrc, 0xffff) : null;
      return type === null || !NEVER_TRACKED.includes(type);
    };
    return tests
      .filter(({ word }) => !isFirstZero(word) && !OF_LOOKUP.includes(word))
      .filter(test => this.#lasts(test, mayCome))
      .sort((a, b) => a.word - b.word);
  }

  #lasts(test: WordTest, mayCome: (test: WordTest, write: Write) => boolean): boolean {
    return !(this.#writes.get(test.word) ?? []).some(
      write => (write.mask & test.mask) !== 0 && mayCome(test, write),
    );
  }

  /** Adds the tables in which one of the goals, all of the same frames, may be met. */
  run(goals: readonly Goal[], tables: Map<number, number>): void {
    this.#lasting = this.lastingTests(goals[0]!.tests);
    this.#lastingMask = new Uint32Array(KEY_WORDS);
    const first = new Cube();
    for (const [from, to] of FIRST_ZERO) for (let word = from; word < to; word++) first.set(word, FULL, 0);
    for (const { word, mask, value } of this.#lasting) {
      this.#lastingMask[word] = mask;
      first.set(word, mask, value);
    }
    this.#goalMasks.clear();
    // Packets that were tracked begin a pass of their own.
    this.#goalMasks.set(KEY.ctState, CT.trk);
    for (const { word, mask } of goals.flatMap(({ tests }) => tests))
      if (isFirstZero(word)) this.#goalMasks.set(word, (this.#goalMasks.get(word) ?? 0) | mask);
    this.#arrived.clear();
    this.#arrivedAt.clear();
    this.#pending.clear();
    this.#arrive(0, null, first);
    for (const arrival of this.#pending) {
      this.#pending.delete(arrival);
      this.#now = arrival;
      this.#lookUp(
        arrival,
        goals.filter(({ table }) => table === arrival.table),
        tables,
      );
    }
  }

  /** Packets that come to a table with the same values of what the goals ask for go on as one. */
  #arrive(table: number, port: number | null, cube: Cube): Arrival {
    const count = this.#arrivedAt.get(table) ?? 0;
    const parts = [...this.#goalMasks].map(
      ([word, mask]) => `${cube.known[word]! & mask}/${cube.value[word]! & mask}`,
    );
    let name = [table, port, ...parts].join();
    let known = this.#arrived.get(name);
    // Where there are many all others go on as one.
    if (known === undefined && count >= MAX_ARRIVALS) {
      name = `${table} ${port}`;
      known = this.#arrived.get(name);
    }
    if (known === undefined) {
      this.#arrivedAt.set(table, count + 1);
      known = { table, port, cube: cube.copy(), back: null, askedBy: new Set() };
      this.#arrived.set(name, known);
      this.#pending.add(known);
    } else if (known.cube.join(cube)) this.#pending.add(known);
    return known;
  }

  /** Asks a table: what packets are afterwards; null as long as none comes back. */
  #ask(table: number, port: number | null, cube: Cube): Cube | null {
    const arrival = this.#arrive(table, port, cube);
    arrival.askedBy.add(this.#now!);
    return arrival.back?.copy() ?? null;
  }

  #comeBack(cube: Cube): void {
    const arrival = this.#now!;
    if (arrival.back === null) arrival.back = cube.copy();
    else if (!arrival.back.join(cube)) return;
    for (const other of arrival.askedBy) this.#pending.add(other);
  }

  #lookUp({ table, port, cube }: Arrival, goals: readonly Goal[], tables: Map<number, number>): void {
    const key = cube.copy();
    if (port !== null) key.set(KEY.inPort, FULL, port);
    // With conjunctive matches an ordinary flow that is hit may still not be the one that is taken.
    const isPlain = (listingsOf(this.#program).get(table)?.clauses.length ?? 0) === 0;
    /** Matches of higher priorities that some packets of the cube have. */
    const above: Tests[] = [];
    for (const goal of goals)
      if (goal.choices.length > 0 && isMet(goal, key, [])) tables.set(table, goal.flow);
    for (const { priority, nodes } of this.#program.tables.get(table) ?? []) {
      for (const goal of goals)
        if (goal.priority === priority && isMet(goal, key, above)) tables.set(table, goal.flow);
      const hit = nodes.flatMap(node => this.#meet(node, { key, cube, table, port, above }));
      if (!isPlain) continue;
      if (hit.some(tests => hasAll(key, tests))) {
        if (!this.#isLearned(table)) return;
        break;
      }
      above.push(...hit);
    }
    // Where nothing is hit, or a flow that was learned.
    const missed = cube.copy();
    for (const learn of learnsOf(this.#program)) this.#write(writesOf(learn), false, missed);
    this.#comeBack(missed);
  }

  /** Whether flows may be learned to a table. */
  #isLearned(table: number): boolean {
    return learnsOf(this.#program).some(learn => (learnedTable(learn) ?? table) === table);
  }

  /** Runs what is hit; gives the matches that a packet has if and only if it hits the flow. */
  #meet(node: Node, { key, cube, table, port, above }: Meeting): Tests[] {
    const rules = rulesOf(node);
    if (rules === null) {
      const map = node as MapNode;
      this.#count(map.templates.length);
      if (!map.constants.every(test => key.agreesWith(test))) return [];
      for (const { steps } of map.templates) this.#hit(steps, null, -1, cube.copy(), table);
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

  #hit(steps: readonly Step[], template: Template | null, flow: number, cube: Cube, table: number): void {
    const back = this.#run(steps, template, flow, cube, table);
    if (back !== null) this.#comeBack(back);
  }

  #count(tests: number): void {
    this.#tests += tests;
    if (this.#tests > MAX_TESTS) throw new TooMany();
  }

  // --- Steps ----------------------------------------------------------------------------------------------------

  #run(
    steps: readonly Step[],
    template: Template | null,
    flow: number,
    given: Cube,
    table: number,
    depth = 0,
  ): Cube | null {
    let cube = given;
    if (depth > MAX_GROUPS_DEEP) throw new TooMany();
    for (const step of steps) {
      this.#count(1);
      switch (step.do) {
        case "exit":
          return cube;
        case "resubmit": {
          if (this.#isLater && step.table === null) throw new TooMany();
          const next = step.table ?? table;
          const port = step.port === null || step.port === PORT.inPort ? null : step.port;
          const back = this.#ask(next, port, cube);
          if (back === null) return null;
          cube = back;
          break;
        }
        case "clone":
          this.#run(step.steps, template, flow, cube.copy(), table, depth + 1);
          break;
        case "group": {
          const group = this.#program.groups.get(step.group);
          for (const list of group === undefined ? [] : bindGroup(group))
            this.#run(
              orderBound(list).map(bound => bound.step),
              null,
              -1,
              cube.copy(),
              table,
              depth + 1,
            );
          break;
        }
        case "write_actions":
          this.#runLater(step.steps, template, flow, table, depth + 1);
          break;
        case "move":
          this.#move(step, cube);
          break;
        default: {
          const next = this.#other(step, template, flow, cube, table);
          if (next === null) return null;
          cube = next;
        }
      }
    }
    return cube;
  }

  /** Steps of an action set run at the end, when much may have changed, and others may stand between them. */
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

  #other(step: Step, template: Template | null, flow: number, given: Cube, table: number): Cube | null {
    let cube = given;
    // What a controller sends back is another packet.
    if (step.do === "unknown" && step.feature === "controller(pause)") return null;
    if (step.do === "unknown" && step.feature === "ct") {
      this.#track(step, cube, table);
      return cube;
    }
    const isSure = step.do === "nothing" || (step.do === "set" && step.prerequisite === "none");
    this.#write(writesOf(step, template, flow), isSure, cube);
    // Whether it is asked at all is not known.
    for (const next of tablesAsked(this.#program, step, table)) {
      const back = this.#ask(next, null, cube);
      if (back === null) continue;
      back.join(cube);
      cube = back;
    }
    return cube;
  }

  #write(writes: readonly Write[], isSure: boolean, cube: Cube): void {
    for (const { word, mask, value } of writes) {
      // What lasts is not written, or the packet comes to no goal.
      const open = (mask & ~this.#lastingMask[word]!) >>> 0;
      if (isSure && value !== null) cube.set(word, open, value);
      else if (value === null) cube.forget(word, open);
      else cube.forget(word, open & (~cube.known[word]! | (cube.value[word]! ^ value)));
    }
  }

  #move(step: Extract<Step, { do: "move" }>, cube: Cube): void {
    const { from, to } = step;
    const isSure = from.field.prerequisite === "none" && to.field.prerequisite === "none";
    const bits = new Map<number, { isKnown: boolean; isSet: boolean }>();
    eachPiece(from.field, from.start, from.bits, (word, shift, count, at) => {
      for (let i = 0; i < count; i++) {
        const bit = 2 ** (shift + i);
        bits.set(at + i, {
          isKnown: (cube.known[word]! & bit) !== 0,
          isSet: (cube.value[word]! & bit) !== 0,
        });
      }
    });
    const writes = writesOf(step);
    this.#write(writes, false, cube);
    if (!isSure || writes.some(({ word }) => word === KEY.inPort || word === KEY.vlanTci)) return;
    eachPiece(to.field, to.start, to.bits, (word, shift, count, at) => {
      for (let i = 0; i < count; i++) {
        const bit = 2 ** (shift + i);
        const source = bits.get(at + i);
        if (source?.isKnown && (this.#lastingMask[word]! & bit) === 0)
          cube.set(word, bit, source.isSet ? bit : 0);
      }
    });
  }

  /** A copy of the packet goes on with what the tracker says; the packet itself goes on untracked. */
  #track(step: Extract<Step, { do: "unknown" }>, cube: Cube, table: number): void {
    for (const next of tablesAsked(this.#program, step, table)) {
      const tracked = cube.copy();
      this.#write(writesOf(step), false, tracked);
      const invalid = tracked.copy();
      invalid.set(KEY.ctState, FULL, CT.trk | CT.inv);
      this.#arrive(next, null, invalid);
      tracked.set(KEY.ctState, CT.trk | CT.inv, CT.trk);
      this.#arrive(next, null, tracked);
    }
    for (let word = KEY.ctState as number; word <= KEY.ctPorts; word++) cube.forget(word, FULL);
  }

  #anything(): Cube {
    const cube = new Cube();
    for (const { word, mask, value } of this.#lasting) cube.set(word, mask, value);
    return cube;
  }
}
