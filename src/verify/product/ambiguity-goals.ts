/**
 * The pairs of flows that could make a table ambiguous, from the matches alone: overlapping flows and
 * conjunctive matches of equal priority. A goal is the set of packets that match both.
 */
import { CT, KEY } from "../../openflow/index.ts";
import type { Band, Node, Rule } from "../symbolic/bands.ts";
import type { Program } from "../symbolic/compiled-tables.ts";
import type { ClauseFlow, Conjunction } from "../symbolic/conjunctions.ts";
import { areApart, listingsOf } from "../symbolic/listing.ts";
import type { WordTest } from "../symbolic/match-tests.ts";
import { Subtable } from "../symbolic/sorted-subtable.ts";
import type { Tests } from "./known-bits.ts";

/** Rows of a subtable that are enumerated; pairs of flows of one program. */
const MAX_ROWS = 64;
export const MAX_PAIRS = 20_000;
/** Comparisons between clauses, in all. */
const MAX_CLAUSES = 2_000_000;

export class TooMany extends Error {}

/** The packets that match both flows of a pair. */
export interface Goal {
  readonly table: number;
  readonly priority: number;
  readonly tests: Tests;
  /** One flow of the pair. */
  readonly flow: number;
  /** Of each of these lists one must hold, too: clauses of conjunctive matches. */
  readonly choices: readonly (readonly Tests[])[];
}

export function* goalsOf(program: Program): Generator<Goal> {
  for (const [table, bands] of program.tables)
    for (const [at, { priority, nodes, overlapping }] of bands.entries())
      for (const [i, others] of overlapping.entries())
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
 * Conjunctive matches of one priority that can hold at once. Also those with an oddity, and clauses that
 * match a field that is in no word of the key.
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

export const flowOf = (node: Node): number => (node instanceof Subtable ? node.flows[0]! : node.flow);

function isOddClause(program: Program, node: Node): boolean {
  if (node instanceof Subtable || !isOdd(node)) return false;
  return program.flows.flow(node.flow).actions.some(({ type }) => type === "conjunction");
}

/** The combined matches of the flows of two nodes that act differently. */
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

export type FlowRule = Pick<Rule, "tests" | "template" | "flow">;

/** Its match includes a field that is in no word of the key. */
const isOdd = ({ template }: FlowRule): boolean => template.unknown !== null;

const rows = new WeakMap<Subtable, FlowRule[]>();

/** The flows of a node; null if there are too many. */
export function rulesOf(node: Node): readonly FlowRule[] | null {
  if (!(node instanceof Subtable)) return [node];
  if (node.size > MAX_ROWS) return null;
  let rules = rows.get(node);
  if (rules === undefined) {
    rules = Array.from({ length: node.size }, (_, row) => ({
      tests: node.testsAt(row),
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

/** Whether a flow matches every packet that satisfies some tests. */
function covers(node: Node, tests: readonly WordTest[]): boolean {
  if (node instanceof Subtable || node.template.unknown !== null) return false;
  return node.tests.every(({ word, mask, value }) => {
    const own = tests.find(test => test.word === word);
    return own !== undefined && (mask & ~own.mask) === 0 && ((own.value ^ value) & mask) === 0;
  });
}

/** Whether tests on ct_state are satisfiable: see the constraints in ovs-fields(7). */
function mayBeTracked(tests: readonly WordTest[]): boolean {
  const test = tests.find(({ word }) => word === KEY.ctState);
  if (test === undefined) return true;
  const { mask, value } = test;
  const isClear = (bit: number): boolean => (mask & bit) !== 0 && (value & bit) === 0;
  if (isClear(CT.trk) && (value & ~CT.trk) !== 0) return false;
  if ((value & CT.inv) !== 0 && (value & ~(CT.inv | CT.trk)) !== 0) return false;
  return (value & CT.new) === 0 || (value & (CT.est | CT.rpl)) === 0;
}
