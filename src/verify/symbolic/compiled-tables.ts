/**
 * A program: the flow tables and groups of one input, compiled for the proof. Each table is a list of bands
 * (bands.ts). Flows of one line template share an action template, so a million flows need a handful of
 * templates. Notation is gone: the steps come from the interpreter's own compiler.
 */
import {
  compileActions,
  type Flow,
  type FlowColumns,
  type Group,
  OVS_VERSIONS,
  type OvsBehaviour,
  type OvsVersion,
  PORT,
  type Step,
  USUAL_OVS,
} from "../../openflow/index.ts";
import type { Budget } from "../budget.ts";
import type { Band, Node } from "./bands.ts";
import { testsOf, variantsOf, type WordTest } from "./match-tests.ts";
import { Subtable } from "./sorted-subtable.ts";
import { TableCompiler } from "./table-compiler.ts";
import type { Template } from "./templates.ts";

/** Action texts that are cached for comparison. */
const ACTIONS_KEPT = 100_000;

export class Program {
  readonly flows: FlowColumns;
  readonly tables: ReadonlyMap<number, readonly Band[]>;
  readonly groups: ReadonlyMap<number, Group>;
  readonly #templates: readonly Template[];
  /** The version of Open vSwitch that runs the tables. */
  readonly ovs: OvsVersion;
  readonly behaviour: OvsBehaviour;
  readonly #matchedFrom = new Map<number, ReadonlySet<number>>();
  readonly #actionsOf = new Map<number, string>();

  /** Throws OutOfBudget. */
  constructor(
    given: { readonly flows: FlowColumns; readonly groups?: readonly Group[] },
    budget: Budget,
    ovs: OvsVersion = USUAL_OVS,
  ) {
    const { flows, groups = [] } = given;
    this.ovs = ovs;
    this.behaviour = OVS_VERSIONS[ovs];
    this.flows = flows;
    this.groups = new Map(groups.map(group => [group.id, group]));
    const { tables, templates } = new TableCompiler(flows, this).compile(budget);
    this.tables = tables;
    this.#templates = templates;
  }

  /** Words that any table matches. */
  *matchedWords(): Iterable<number> {
    for (const bands of this.tables.values())
      for (const { nodes } of bands) for (const node of nodes) yield* wordsOf(node);
  }

  /** The steps of every flow and bucket, as one list each. */
  *allSteps(): Iterable<readonly Step[]> {
    for (const { steps } of this.#templates) yield steps;
    for (const { buckets } of this.groups.values())
      for (const { actions } of buckets) yield compileActions(actions, 0);
  }

  /** Words matched by this table or by any table that a lookup in it can lead to. Memoized. */
  wordsMatchedFrom(table: number): ReadonlySet<number> {
    let words = this.#matchedFrom.get(table);
    if (words === undefined) {
      const found = new Set<number>();
      const seen = new Set([table]);
      // Iteration over a Set includes elements that are added meanwhile.
      for (const next of seen)
        for (const { nodes, conjunctions } of this.tables.get(next) ?? []) {
          for (const { clauses } of conjunctions)
            for (const { variants } of clauses.flat())
              for (const { word } of variants.flat()) found.add(word);
          for (const node of nodes) {
            for (const word of wordsOf(node)) found.add(word);
            const templates = node instanceof Subtable ? node.templates : [node.template];
            for (const { steps } of templates) this.#addTables(steps, next, seen);
          }
        }
      words = found;
      this.#matchedFrom.set(table, words);
    }
    return words;
  }

  #addTables(steps: readonly Step[], from: number, into: Set<number>): void {
    for (const step of steps) {
      if (step.do === "resubmit") into.add(step.table ?? from);
      else if (step.do === "output" && step.port === PORT.table) into.add(0);
      else if ("steps" in step) this.#addTables(step.steps, from, into);
      else if (step.do === "group")
        for (const { actions } of this.groups.get(step.group)?.buckets ?? [])
          this.#addTables(compileActions(actions, 0), from, into);
    }
  }

  /** Whether this program has a flow with the table, priority and match of another program's flow. */
  hasMatchOf({ table, priority, match }: Flow): boolean {
    const nodes = this.tables.get(table)?.find(band => band.priority === priority)?.nodes ?? [];
    return variantsOf(testsOf(match)).some(tests => nodes.some(node => hasRow(node, tests)));
  }

  /** The actions of a flow as text: flows with equal texts do the same. */
  actionsOf(flow: number): string {
    const known = this.#actionsOf.get(flow);
    if (known !== undefined) return known;
    const text = JSON.stringify(this.flows.flow(flow).actions, (name, value) => {
      if (name === "span") return undefined;
      if (name === "field") return value.name;
      return typeof value === "bigint" ? value.toString() : value;
    });
    if (this.#actionsOf.size < ACTIONS_KEPT) this.#actionsOf.set(flow, text);
    return text;
  }
}

/** Whether a node has exactly these tests. */
function hasRow(node: Node, tests: readonly WordTest[]): boolean {
  const isIn = (list: readonly WordTest[], { word, mask, value }: WordTest): boolean =>
    list.some(test => test.word === word && test.mask === mask && test.value === value);
  if (!(node instanceof Subtable))
    return node.tests.length === tests.length && tests.every(test => isIn(node.tests, test));
  if (tests.length !== node.constants.length + node.words.length) return false;
  if (!node.constants.every(test => isIn(tests, test))) return false;
  const own = node.words.map((word, k) =>
    tests.find(test => test.word === word && test.mask === node.masks[k]),
  );
  return own.every(test => test !== undefined) && node.find(own.map(test => test!.value)) >= 0;
}

const wordsOf = (node: Node): readonly number[] =>
  node instanceof Subtable
    ? [...node.constants.map(({ word }) => word), ...node.words]
    : node.tests.map(({ word }) => word);
