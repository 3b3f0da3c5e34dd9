/**
 * Flows into flow tables: one by one, or a dump read into columns, whose rows go from column to column
 * without becoming flows. A flow of such a dump is made when a packet first meets it. Nothing is executed
 * here.
 */
import type { Flow } from "../ast.ts";
import type { FlowColumns, LineTemplate } from "../columnar/dump.ts";
import { Classifier, type Comparison, comparisonOf, type Entry, entryOf, type Hit } from "./classifier.ts";
import { isModelled } from "./compile-actions.ts";
import type { Tuple } from "./hash-subtable.ts";

/** Tables by number, and the flows in them by theirs. */
export class Tables implements FlowTables {
  readonly byNumber = new Map<number, Classifier>();
  readonly #flowAt: (index: number) => Flow;
  readonly #kept: number;
  readonly #entries = new Map<number, Entry>();
  readonly #entryAt = (index: number): Entry => {
    let entry = this.#entries.get(index);
    if (entry === undefined) {
      entry = entryOf(this.#flowAt(index));
      if (this.#entries.size >= this.#kept) this.#entries.clear();
      this.#entries.set(index, entry);
    }
    return entry;
  };

  constructor(flows: Iterable<Flow> | FlowColumns, kept = Number.POSITIVE_INFINITY) {
    this.#kept = kept;
    if ("templates" in flows) {
      this.#flowAt = index => flows.filledFlow(index);
      this.#loadColumns(flows);
    } else {
      const list = [...flows];
      this.#flowAt = index => list[index]!;
      for (let index = 0; index < list.length; index++) this.#load(list[index]!, index);
    }
  }

  #table(number: number): Classifier {
    let table = this.byNumber.get(number);
    if (table === undefined) {
      table = new Classifier(this.#entryAt);
      this.byNumber.set(number, table);
    }
    return table;
  }

  #load(flow: Flow, index: number): void {
    const comparison = comparisonOf(flow);
    const table = this.#table(flow.table);
    table.add(table.tupleOf(comparison), Int32Array.from(comparison.values), flow.priority, index);
  }

  #loadColumns(flows: FlowColumns): void {
    const plans = flows.templates.map(template => this.#planOf(template));
    for (let index = 0; index < flows.count; index++) {
      const template = flows.templateOf(index);
      const plan = template === null ? undefined : plans[template.id];
      if (plan === undefined || plan.parts === null) {
        this.#load(flows.flow(index), index);
        continue;
      }
      const { values, fixed, parts } = plan;
      for (let i = 0; i < fixed.length; i++) values[i] = fixed[i]!;
      for (const { at, word, shift, mask } of parts)
        values[at]! |= (flows.valueAt(index, word) << shift) & mask;
      plan.table.add(plan.tuple, values, plan.priority, index);
    }
  }

  #planOf(template: LineTemplate): Plan {
    const { model } = template;
    const rows = rowsOf(template);
    const { comparison, fixed, parts } = rows;
    const table = this.#table(model.table);
    return {
      table,
      tuple: table.tupleOf(comparison),
      priority: model.priority,
      values: new Int32Array(fixed.length),
      fixed,
      parts,
    };
  }
}

/** What each row of a template puts into its table. */
interface Plan {
  readonly table: Classifier;
  readonly tuple: Tuple;
  readonly priority: number;
  /** Written anew for every row. */
  readonly values: Int32Array;
  readonly fixed: Int32Array;
  /** Null: its rows must be read one by one. */
  readonly parts: readonly Part[] | null;
}

/** Whoever answers lookups: a classifier, or a search. */
export interface Lookup {
  lookup(key: Uint32Array, hit: Hit, reads: Uint32Array): Entry | null;
}

/** Flow tables by their numbers. */
export interface FlowTables {
  readonly byNumber: ReadonlyMap<number, Lookup>;
}

/** What rows of a template compare: the same words, whose values are fixed or come from the row. */
export interface Rows {
  readonly comparison: Comparison;
  readonly fixed: Int32Array;
  /** Null: the rows must be read one by one. */
  readonly parts: readonly Part[] | null;
}

export function rowsOf({ model, slots }: LineTemplate): Rows {
  const comparison = comparisonOf(model);
  const fixed = Int32Array.from(comparison.values);
  const parts: Part[] = [];
  for (const { leaf, at, words } of slots) {
    if (leaf.of !== "match") continue;
    const { field } = model.match[leaf.index]!;
    if (!isModelled(field)) return { comparison, fixed, parts: null };
    for (let i = 0; i < words; i++) {
      const place = comparison.words.indexOf(field.place!.word + i);
      if (place < 0) continue;
      const bits = Math.min(32, field.place!.bits);
      const mask = comparison.masks[place]! & ((bits === 32 ? -1 : (1 << bits) - 1) << field.place!.shift);
      parts.push({ at: place, word: at + i, shift: field.place!.shift, mask });
    }
  }
  // The model's own values make way for those of each row.
  for (const { at, mask } of parts) fixed[at]! &= ~mask;
  return { comparison, fixed, parts };
}

/** A word of a row, shifted and masked, belongs to one of the compared words. */
interface Part {
  readonly at: number;
  readonly word: number;
  readonly shift: number;
  readonly mask: number;
}
