/**
 * Compiles the flows of a dump into bands. Flows of one line template are processed together, by columns;
 * those that compare the same bits at one priority become a subtable, or rules if they are few.
 */
import {
  type Action,
  compileActions,
  type Flow,
  type FlowColumns,
  isTableMiss,
  type LineTemplate,
  type Step,
} from "../../openflow/index.ts";
import type { Budget } from "../budget.ts";
import type { Band, Node, Rule } from "./bands.ts";
import { type ClauseFlow, ClauseIndex, conjunctionsOf, isClause, membershipsOf } from "./conjunctions.ts";
import { isPortWord, testsOf, unknownOf, variantsOf, type WordTest } from "./match-tests.ts";
import { type ActionTexts, overlapsOf } from "./overlaps.ts";
import { Subtable } from "./sorted-subtable.ts";
import type { SlotPlace, Template } from "./templates.ts";

/** Fewer flows than this stay single rules. */
const SUBTABLE_MIN = 8;
/**
 * A matched value that is in the flow's numbers: index of the test, index of the number, left shift, and
 * mask.
 */
interface MatchSlot {
  readonly test: number;
  readonly at: number;
  readonly shift: number;
  readonly mask: number;
}

/** Flows of one line template, and what their matches share. */
interface Family {
  readonly flows: Int32Array;
  readonly tests: readonly WordTest[];
  readonly slots: readonly MatchSlot[];
  readonly template: Template;
}

/** The flows of one line template, or a single flow without one. */
interface Shaped {
  readonly model: Flow;
  readonly shape: LineTemplate | null;
  readonly flows: Int32Array;
}

/** The clauses of a table. */
interface Clauses {
  readonly flows: ClauseFlow[];
  readonly clauseIndex: ClauseIndex;
}

/** Families that compare the same bits at one priority. */
interface RawBand {
  readonly table: number;
  readonly priority: number;
  readonly families: Family[];
  readonly isHidden: boolean;
}

/** The parts of a future band. */
interface Made {
  readonly nodes: Node[];
  readonly hidden: Set<Node>;
  readonly clauses: ClauseFlow[];
}

/** The result of the compilation. */
export interface CompiledTables {
  readonly tables: ReadonlyMap<number, readonly Band[]>;
  readonly templates: readonly Template[];
}

export class TableCompiler {
  readonly #flows: FlowColumns;
  readonly #texts: ActionTexts;
  readonly #templates: Template[] = [];

  constructor(flows: FlowColumns, texts: ActionTexts) {
    this.#flows = flows;
    this.#texts = texts;
  }

  /** Compiles all flows into bands, in each table the highest priority first. Throws OutOfBudget. */
  compile(budget: Budget): CompiledTables {
    const shapes = [...this.#shapes()];
    const clausesByTable = this.#clausesByTable(shapes);
    const bands = new Map<string, RawBand>();
    for (const shaped of shapes) {
      const { model, shape, flows } = shaped;
      if (isClause(model) && unknownOf(model) === null) continue;
      const own = clausesByTable.get(model.table);
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
    return { tables: this.#order([...bands.values()], clausesByTable, budget), templates: this.#templates };
  }

  /** Builds the bands from families, the highest priority first. */
  #order(
    raw: readonly RawBand[],
    clausesByTable: ReadonlyMap<number, Clauses>,
    budget: Budget,
  ): Map<number, readonly Band[]> {
    const tables = new Map<number, readonly Band[]>();
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
    for (const [table, { flows, clauseIndex: rest }] of clausesByTable)
      for (const flow of flows)
        if (!rest.replaced.has(flow.flow)) madeAt(table, flow.priority).clauses.push(flow);
    for (const [table, priorities] of byTable) {
      const sorted = [...priorities].sort(([a], [b]) => b - a);
      tables.set(
        table,
        sorted.map(([priority, { nodes, hidden, clauses }]) => ({
          priority,
          nodes,
          overlapping: overlapsOf(this.#texts, nodes, budget),
          conjunctions: conjunctionsOf(clauses),
          hidden,
        })),
      );
    }
    return tables;
  }

  /** For each table with clauses: the clauses, and the flows that they replace or hide. */
  #clausesByTable(shapes: readonly Shaped[]): Map<number, Clauses> {
    const tables = new Map<number, Clauses>();
    for (const { model, flows } of shapes) {
      if (!isClause(model) || unknownOf(model) !== null) continue;
      const table = tables.get(model.table) ?? { flows: [], clauseIndex: new ClauseIndex() };
      tables.set(model.table, table);
      for (const index of flows) {
        const flow = this.#flows.flow(index);
        const tests = testsOf(flow.match);
        const { priority, source } = flow;
        table.clauseIndex.addClause(index, priority, tests);
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
      const clauseIndex = tables.get(model.table)?.clauseIndex;
      const tests = testsOf(model.match);
      if (clauseIndex === undefined || unknownOf(model) !== null || isClause(model)) continue;
      if (!clauseIndex.isConcerned(tests)) continue;
      const slots = matchSlots(model, shape, tests);
      for (const flow of flows)
        clauseIndex.addOrdinary(flow, model.priority, this.#ownTests(flow, tests, slots));
    }
    return tables;
  }

  /** A family without the flows that a clause replaced, and the flows of it that clauses hide. */
  #divided(
    family: Family,
    { clauseIndex }: Clauses,
    { model, shape }: Shaped,
  ): { kept: Family; hidden: Family | null } {
    const tests = testsOf(model.match);
    if (family.template.unknown !== null || !clauseIndex.isConcerned(tests))
      return { kept: family, hidden: null };
    const slots = matchSlots(model, shape, tests);
    const flows = family.flows.filter(flow => !clauseIndex.replaced.has(flow));
    const isHidden = (flow: number): boolean =>
      clauseIndex.isHidden(model.priority, this.#ownTests(flow, tests, slots));
    return {
      kept: { ...family, flows: flows.filter(flow => !isHidden(flow)) },
      hidden: { ...family, flows: flows.filter(isHidden) },
    };
  }

  #ownTests(flow: number, tests: readonly WordTest[], slots: readonly MatchSlot[]): WordTest[] {
    return tests.map((test, index) => ({ ...test, value: this.#valueOf(flow, test, index, slots) }));
  }

  /** All flows by line template; a flow without one is alone. */
  *#shapes(): Generator<Shaped> {
    const flows = this.#flows;
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
    // Whether a fragment matches depends on the values, so each flow is treated alone.
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
      const part = ((this.#flows.valueAt(flow, slot.at) << slot.shift) & slot.mask) >>> 0;
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
      flows: this.#flows,
      first,
      steps,
      slots,
      unknown: unknownOf(model),
      isMiss: isTableMiss(model),
    };
    this.#templates.push(template);
    return template;
  }

  /** Rules, or one subtable, for families that compare the same bits at one priority. */
  #nodes(families: readonly Family[]): Node[] {
    const count = families.reduce((sum, { flows }) => sum + flows.length, 0);
    const isOdd = families.some(({ template }) => template.unknown !== null);
    if (count >= SUBTABLE_MIN && !isOdd && families[0]!.tests.length > 0)
      return this.#subtableOf(families, count);
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

  #subtableOf(families: readonly Family[], count: number): Node[] {
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
      new Subtable({
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
    const columns = this.#flows;
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
}

/**
 * The step of the action at a path of indices. One action may compile to several steps (enqueue) or to none.
 */
function stepAt(
  actions: readonly Action[],
  steps: readonly Step[],
  [index, ...inside]: readonly number[],
): Step {
  const action = actions[index!]!;
  const before = actions.slice(0, index!);
  const step = steps[compileActions(before, 0).length]!;
  if (inside.length === 0) return step;
  if (!("steps" in step && "actions" in action))
    throw new Error("internal error: the path of a slot leads to no nested steps");
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
