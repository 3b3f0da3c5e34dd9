/**
 * A flow table made ready for proving: per table *bands* of one priority, each a few rules and map nodes. Flows of one
 * shape share a *template*, their actions with slots for what differs from row to row, so that a million flows are a
 * handful of templates. Spelling is gone by then: the steps are those of the interpreter's own compiler.
 */
import {
  type Action,
  compileActions,
  type Flow,
  type FlowColumns,
  type Group,
  isModelled,
  isTableMiss,
  KEY,
  type LineTemplate,
  type MatchField,
  OVS_VERSIONS,
  type OvsBehaviour,
  type OvsVersion,
  PORT,
  type Step,
  USUAL_OVS,
} from "../../openflow/index.ts";
import type { Budget } from "../budget.ts";
import { overlapsOf } from "../product/overlaps.ts";
import {
  type ClauseFlow,
  type Conjunction,
  conjunctionsOf,
  isClause,
  membershipsOf,
  Standing,
} from "./conjunctions.ts";
import { MapNode, type WordTest } from "./sorted-subtable.ts";

/** Where the words of a slot stand in a flow's row of values. */
export interface SlotPlace {
  readonly at: number;
  readonly words: 1 | 2;
}

/** What flows of one shape do. */
export interface Template {
  readonly id: number;
  readonly program: Program;
  /** Index of the first of them. */
  readonly first: number;
  readonly steps: readonly Step[];
  /** Values and ports that are in the rows and not in the steps. */
  readonly slots: ReadonlyMap<Step, SlotPlace>;
  /** Why nobody can tell what such a flow does; null for most. */
  readonly unknown: string | null;
  /** Whether a packet that meets them counts as a miss. */
  readonly isMiss: boolean;
}

/** A single flow with its match. */
export interface Rule {
  readonly tests: readonly WordTest[];
  readonly template: Template;
  readonly flow: number;
}

export type Node = Rule | MapNode;

/** Flows of one priority. */
export interface Band {
  readonly priority: number;
  readonly nodes: readonly Node[];
  /** For each node those behind it that can match the same packet and do something else. */
  readonly rivals: readonly (readonly number[])[];
  /** The conjunctive matches whose clauses have this priority. */
  readonly conjunctions: readonly Conjunction[];
  /** Nodes that are not found with a conj_id (conjunctions.ts). */
  readonly hidden: ReadonlySet<Node>;
}

/** Fewer flows than these stay single rules. */
const MAP_MIN = 8;
/** Texts of actions that are kept for comparing. */
const ACTIONS_KEPT = 100_000;

/** A match as tests of words, in the order of the key. */
export function testsOf(match: readonly MatchField[]): WordTest[] {
  const masks = new Map<number, number>();
  const values = new Map<number, number>();
  for (const { field, value, mask } of match) {
    const { place } = field;
    if (place === null || !isModelled(field) || place.word === KEY.recircId) continue;
    const last = place.word + (place.bits > 32 ? Math.ceil(place.bits / 32) - 1 : 0);
    for (let word = last, low = 0n; word >= place.word; word--, low += 32n) {
      const bits = (Number((mask >> low) & 0xffffffffn) << place.shift) >>> 0;
      if (bits === 0) continue;
      const part = (Number((value >> low) & 0xffffffffn) << place.shift) >>> 0;
      masks.set(word, ((masks.get(word) ?? 0) | bits) >>> 0);
      values.set(word, ((values.get(word) ?? 0) | (part & bits)) >>> 0);
    }
  }
  return [...masks.keys()]
    .sort((a, b) => a - b)
    .map(word => ({ word, mask: masks.get(word)!, value: values.get(word)! }));
}

function unknownOf(flow: Flow): string | null {
  const odd = flow.match.find(({ field }) => !isModelled(field) || field.place!.word === KEY.recircId);
  return odd === undefined ? null : `match on ${odd.field.name}`;
}

const isPortWord = ({ word }: WordTest): boolean => word === KEY.tpSrc || word === KEY.tpDst;
const fragment = (value: number): WordTest => ({ word: KEY.nwFrag, mask: 1, value });

function withTest(tests: readonly WordTest[], extra: WordTest): WordTest[] | null {
  const same = tests.find(({ word }) => word === extra.word);
  if (same === undefined) return [...tests, extra].sort((a, b) => a.word - b.word);
  if (((same.value ^ extra.value) & same.mask & extra.mask) !== 0) return null;
  const met = { ...same, mask: (same.mask | extra.mask) >>> 0, value: (same.value | extra.value) >>> 0 };
  return tests.map(test => (test === same ? met : test));
}

/** Fragments are looked up with ports of zero: a match on ports is one of whole packets, and, if all are zero, of fragments. */
function variantsOf(tests: readonly WordTest[]): WordTest[][] {
  const ports = tests.filter(isPortWord);
  if (ports.length === 0) return [[...tests]];
  const whole = withTest(tests, fragment(0));
  const parts = ports.every(({ value }) => value === 0)
    ? withTest(
        tests.filter(test => !isPortWord(test)),
        fragment(1),
      )
    : null;
  return [whole, parts].filter(variant => variant !== null);
}

/** One value of a match that is in the rows: word of the tests, word of the row, how far it is shifted, bits that count. */
interface MatchSlot {
  readonly test: number;
  readonly at: number;
  readonly shift: number;
  readonly mask: number;
}

/** Flows of one shape and what their matches have in common. */
interface Family {
  readonly flows: Int32Array;
  readonly tests: readonly WordTest[];
  readonly slots: readonly MatchSlot[];
  readonly template: Template;
}

/** Flows of one shape, or one that was read by itself. */
interface Shaped {
  readonly model: Flow;
  readonly shape: LineTemplate | null;
  readonly flows: Int32Array;
}

/** The clauses of a table. */
interface Clauses {
  readonly flows: ClauseFlow[];
  readonly standing: Standing;
}

/** Families that compare the same bits at one priority. */
interface RawBand {
  readonly table: number;
  readonly priority: number;
  readonly families: Family[];
  readonly isHidden: boolean;
}

/** What becomes a band. */
interface Made {
  readonly nodes: Node[];
  readonly hidden: Set<Node>;
  readonly clauses: ClauseFlow[];
}

export class Program {
  readonly flows: FlowColumns;
  readonly tables = new Map<number, readonly Band[]>();
  readonly groups: ReadonlyMap<number, Group>;
  readonly #templates: Template[] = [];
  /** The version of Open vSwitch that runs it. */
  readonly ovs: OvsVersion;
  readonly behaviour: OvsBehaviour;
  readonly #askedFrom = new Map<number, ReadonlySet<number>>();
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
    this.#build(budget);
  }

  #build(budget: Budget): void {
    const shapes = [...this.#shapes()];
    const standing = this.#standing(shapes);
    const bands = new Map<string, RawBand>();
    for (const shaped of shapes) {
      const { model, shape, flows } = shaped;
      if (isClause(model) && unknownOf(model) === null) continue;
      const own = standing.get(model.table);
      for (const family of this.#families(model, shape, flows)) {
        const { kept, hidden } =
          own === undefined ? { kept: family, hidden: null } : this.#divided(family, own, shaped);
        const signature = family.tests.map(({ word, mask }) => `${word}/${mask}`).join();
        for (const [part, isHidden] of [[kept, false] as const, [hidden, true] as const]) {
          if (part === null || part.flows.length === 0) continue;
          const name = `${model.table} ${model.priority} ${signature} ${isHidden}`;
          const band = bands.get(name) ?? {
            table: model.table,
            priority: model.priority,
            families: [],
            isHidden,
          };
          bands.set(name, band);
          band.families.push(part);
        }
      }
    }
    this.#order([...bands.values()], standing, budget);
  }

  /** Makes bands of families, the highest priority first. */
  #order(raw: readonly RawBand[], standing: ReadonlyMap<number, Clauses>, budget: Budget): void {
    const byTable = new Map<number, Map<number, Made>>();
    const madeAt = (table: number, priority: number): Made => {
      const bands = byTable.get(table) ?? new Map<number, Made>();
      byTable.set(table, bands);
      const made = bands.get(priority) ?? { nodes: [], hidden: new Set(), clauses: [] };
      bands.set(priority, made);
      return made;
    };
    for (const { table, priority, families, isHidden } of raw) {
      const made = madeAt(table, priority);
      const nodes = this.#nodes(families);
      made.nodes.push(...nodes);
      if (isHidden) for (const node of nodes) made.hidden.add(node);
    }
    for (const [table, { flows, standing: rest }] of standing)
      for (const flow of flows)
        if (!rest.replaced.has(flow.flow)) madeAt(table, flow.priority).clauses.push(flow);
    for (const [table, priorities] of byTable) {
      const sorted = [...priorities].sort(([a], [b]) => b - a);
      this.tables.set(
        table,
        sorted.map(([priority, { nodes, hidden, clauses }]) => ({
          priority,
          nodes,
          rivals: overlapsOf(this, nodes, budget),
          conjunctions: conjunctionsOf(clauses),
          hidden,
        })),
      );
    }
  }

  /** The clauses of each table that has any, and what they replace and hide. */
  #standing(shapes: readonly Shaped[]): Map<number, Clauses> {
    const tables = new Map<number, Clauses>();
    for (const { model, flows } of shapes) {
      if (!isClause(model) || unknownOf(model) !== null) continue;
      const table = tables.get(model.table) ?? { flows: [], standing: new Standing() };
      tables.set(model.table, table);
      for (const index of flows) {
        const flow = this.flows.flow(index);
        const tests = testsOf(flow.match);
        const { priority, source } = flow;
        table.standing.addClause(index, priority, tests);
        const memberships = membershipsOf(flow);
        table.flows.push({
          flow: index,
          line: source.line,
          priority,
          variants: variantsOf(tests),
          memberships,
        });
      }
    }
    for (const { model, shape, flows } of shapes) {
      const standing = tables.get(model.table)?.standing;
      const tests = testsOf(model.match);
      if (standing === undefined || unknownOf(model) !== null || isClause(model)) continue;
      if (!standing.isConcerned(tests)) continue;
      const slots = matchSlots(model, shape, tests);
      for (const flow of flows)
        standing.addOrdinary(flow, model.priority, this.#ownTests(flow, tests, slots));
    }
    return tables;
  }

  /** A family without flows that a clause replaced, and those of it that clauses hide. */
  #divided(
    family: Family,
    { standing }: Clauses,
    { model, shape }: Shaped,
  ): { kept: Family; hidden: Family | null } {
    const tests = testsOf(model.match);
    if (family.template.unknown !== null || !standing.isConcerned(tests))
      return { kept: family, hidden: null };
    const slots = matchSlots(model, shape, tests);
    const flows = family.flows.filter(flow => !standing.replaced.has(flow));
    const isHidden = (flow: number): boolean =>
      standing.isHidden(model.priority, this.#ownTests(flow, tests, slots));
    return {
      kept: { ...family, flows: flows.filter(flow => !isHidden(flow)) },
      hidden: { ...family, flows: flows.filter(isHidden) },
    };
  }

  #ownTests(flow: number, tests: readonly WordTest[], slots: readonly MatchSlot[]): WordTest[] {
    return tests.map((test, index) => ({ ...test, value: this.#valueOf(flow, test, index, slots) }));
  }

  /** All flows by shape; flows that were read by themselves are shapes of their own. */
  *#shapes(): Generator<Shaped> {
    const { flows } = this;
    const counts = new Int32Array(flows.templates.length);
    const single: number[] = [];
    for (let i = 0; i < flows.count; i++) {
      const shape = flows.templateOf(i);
      if (shape === null) single.push(i);
      else counts[shape.id] = counts[shape.id]! + 1;
    }
    const lists = Array.from(counts, count => new Int32Array(count));
    counts.fill(0);
    for (let i = 0; i < flows.count; i++) {
      const shape = flows.templateOf(i);
      if (shape === null) continue;
      lists[shape.id]![counts[shape.id]!] = i;
      counts[shape.id] = counts[shape.id]! + 1;
    }
    for (const shape of flows.templates) {
      if (lists[shape.id]!.length > 0) yield { model: shape.model, shape, flows: lists[shape.id]! };
    }
    for (const index of single) yield { model: flows.flow(index), shape: null, flows: Int32Array.of(index) };
  }

  *#families(model: Flow, shape: LineTemplate | null, flows: Int32Array): Generator<Family> {
    const template = this.#template(model, shape, flows[0]!);
    const tests = testsOf(model.match);
    const slots = matchSlots(model, shape, tests);
    const isByPorts = tests.some(isPortWord);
    if (!isByPorts) {
      yield { flows, tests, slots, template };
      return;
    }
    // Whether a fragment matches depends on the values: flow by flow.
    for (const flow of flows) {
      const own = this.#ownTests(flow, tests, slots);
      for (const variant of variantsOf(own))
        yield { flows: Int32Array.of(flow), tests: variant, slots: [], template };
    }
  }

  #valueOf(flow: number, test: WordTest, index: number, slots: readonly MatchSlot[]): number {
    let { value } = test;
    for (const slot of slots) {
      if (slot.test !== index) continue;
      const part = ((this.flows.valueAt(flow, slot.at) << slot.shift) & slot.mask) >>> 0;
      value = ((value & ~slot.mask) | part) >>> 0;
    }
    return value;
  }

  #template(model: Flow, shape: LineTemplate | null, first: number): Template {
    const steps = compileActions(model.actions, model.source.line);
    const slots = new Map<Step, SlotPlace>();
    for (const { leaf, at, words } of shape?.slots ?? []) {
      if (leaf.of !== "set" && leaf.of !== "output") continue;
      slots.set(stepAt(model.actions, steps, leaf.path), { at, words });
    }
    const template = {
      id: this.#templates.length,
      program: this,
      first,
      steps,
      slots,
      unknown: unknownOf(model),
      isMiss: isTableMiss(model),
    };
    this.#templates.push(template);
    return template;
  }

  /** Rules or one map node for families that compare the same bits at one priority. */
  #nodes(families: readonly Family[]): Node[] {
    const count = families.reduce((sum, { flows }) => sum + flows.length, 0);
    const isOdd = families.some(({ template }) => template.unknown !== null);
    if (count >= MAP_MIN && !isOdd && families[0]!.tests.length > 0) return this.#mapOf(families, count);
    const rules = new Map<string, Rule>();
    for (const { flows, tests, slots, template } of families) {
      for (const flow of flows) {
        const own = this.#ownTests(flow, tests, slots);
        const name = template.unknown === null ? own.map(({ value }) => value).join() : `unknown ${flow}`;
        const known = rules.get(name);
        if (known === undefined || known.flow < flow) rules.set(name, { tests: own, template, flow });
      }
    }
    return [...rules.values()];
  }

  #mapOf(families: readonly Family[], count: number): Node[] {
    const { tests } = families[0]!;
    const keys = tests.map(() => new Uint32Array(count));
    const flows = new Int32Array(count);
    const templateOf = new Int32Array(count);
    const templates = [...new Set(families.map(({ template }) => template))];
    let row = 0;
    for (const family of families) {
      for (let t = 0; t < tests.length; t++) this.#fillKey(keys[t]!, row, family, t);
      flows.set(family.flows, row);
      templateOf.fill(templates.indexOf(family.template), row, row + family.flows.length);
      row += family.flows.length;
    }
    const varies = keys.map(key => key.some(value => value !== key[0]));
    if (!varies.includes(true)) varies[0] = true;
    const pick = <T>(list: readonly T[]): T[] => list.filter((_, t) => varies[t]);
    return [
      new MapNode({
        constants: tests.map((test, t) => ({ ...test, value: keys[t]![0]! })).filter((_, t) => !varies[t]),
        words: pick(tests).map(({ word }) => word),
        masks: pick(tests).map(({ mask }) => mask),
        keys: pick(keys),
        flows,
        templateOf,
        templates,
      }),
    ];
  }

  #fillKey(key: Uint32Array, from: number, { flows, tests, slots }: Family, test: number): void {
    const { value } = tests[test]!;
    const own = slots.filter(slot => slot.test === test);
    const columns = this.flows;
    if (own.length === 0) {
      key.fill(value, from, from + flows.length);
      return;
    }
    const kept = own.reduce((left, { mask }) => left & ~mask, value);
    for (let i = 0; i < flows.length; i++) {
      let word = kept;
      for (const { at, shift, mask } of own) word |= (columns.valueAt(flows[i]!, at) << shift) & mask;
      key[from + i] = word;
    }
  }

  /** Words that any table asks for. */
  *matchedWords(): Iterable<number> {
    for (const bands of this.tables.values())
      for (const { nodes } of bands) for (const node of nodes) yield* wordsOf(node);
  }

  /** The steps of every flow and bucket, a list each. */
  *allSteps(): Iterable<readonly Step[]> {
    for (const { steps } of this.#templates) yield steps;
    for (const { buckets } of this.groups.values())
      for (const { actions } of buckets) yield compileActions(actions, 0);
  }

  /** Words that tables ask for which a lookup in this one can lead to, itself among them. */
  wordsAskedFrom(table: number): ReadonlySet<number> {
    let words = this.#askedFrom.get(table);
    if (words === undefined) {
      const found = new Set<number>();
      const seen = new Set([table]);
      // A set takes in what is added while it is gone through.
      for (const next of seen)
        for (const { nodes, conjunctions } of this.tables.get(next) ?? []) {
          for (const { clauses } of conjunctions)
            for (const { variants } of clauses.flat())
              for (const { word } of variants.flat()) found.add(word);
          for (const node of nodes) {
            for (const word of wordsOf(node)) found.add(word);
            const templates = node instanceof MapNode ? node.templates : [node.template];
            for (const { steps } of templates) this.#addTables(steps, next, seen);
          }
        }
      words = found;
      this.#askedFrom.set(table, words);
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

  /** Whether there is a flow with the table, priority and match of another program's flow. */
  hasMatchOf({ table, priority, match }: Flow): boolean {
    const nodes = this.tables.get(table)?.find(band => band.priority === priority)?.nodes ?? [];
    return variantsOf(testsOf(match)).some(tests => nodes.some(node => hasRow(node, tests)));
  }

  /** What a flow does, as a text: equal texts do the same. */
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

/** Whether a node compares just these words, with just these values. */
function hasRow(node: Node, tests: readonly WordTest[]): boolean {
  const isIn = (list: readonly WordTest[], { word, mask, value }: WordTest): boolean =>
    list.some(test => test.word === word && test.mask === mask && test.value === value);
  if (!(node instanceof MapNode))
    return node.tests.length === tests.length && tests.every(test => isIn(node.tests, test));
  if (tests.length !== node.constants.length + node.words.length) return false;
  if (!node.constants.every(test => isIn(tests, test))) return false;
  const own = node.words.map((word, k) =>
    tests.find(test => test.word === word && test.mask === node.masks[k]),
  );
  return own.every(test => test !== undefined) && node.find(own.map(test => test!.value)) >= 0;
}

const wordsOf = (node: Node): readonly number[] =>
  node instanceof MapNode
    ? [...node.constants.map(({ word }) => word), ...node.words]
    : node.tests.map(({ word }) => word);

/** The step of the action to which a path of indices leads; an action may have become several steps (an enqueue), or none. */
function stepAt(
  actions: readonly Action[],
  steps: readonly Step[],
  [index, ...inside]: readonly number[],
): Step {
  const action = actions[index!]!;
  const before = actions.slice(0, index!);
  const step = steps[compileActions(before, 0).length]!;
  if (inside.length === 0) return step;
  if (!("steps" in step && "actions" in action)) throw new Error("assertion: a path leads to nested steps");
  return stepAt(action.actions, step.steps, inside);
}

function matchSlots(model: Flow, shape: LineTemplate | null, tests: readonly WordTest[]): MatchSlot[] {
  const slots: MatchSlot[] = [];
  const testAt = (word: number): number => tests.findIndex(test => test.word === word);
  for (const { leaf, at, words } of shape?.slots ?? []) {
    if (leaf.of !== "match") continue;
    const { field, mask } = model.match[leaf.index]!;
    const { word, shift } = field.place!;
    const bits = (low: bigint): number => Number((mask >> low) & 0xffffffffn);
    if (words === 2) {
      if (bits(32n) !== 0) slots.push({ test: testAt(word), at, shift: 0, mask: bits(32n) >>> 0 });
      if (bits(0n) !== 0) slots.push({ test: testAt(word + 1), at: at + 1, shift: 0, mask: bits(0n) >>> 0 });
    } else if (mask !== 0n) {
      slots.push({ test: testAt(word), at, shift, mask: (bits(0n) << shift) >>> 0 });
    }
  }
  return slots;
}
