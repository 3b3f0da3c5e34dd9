/**
 * A flow made of a template and one row of values, for whoever runs or prints it: all that it matches and
 * does, without parsing its line again. It is not a reader: which value stands where was found out by
 * infer-slots.ts. `text` and `stats` are not in the row; whoever asks for them has the line read.
 */
import type { Action, Flow, FlowStats, MatchField, SourceLocation } from "../ast.ts";
import type { Slot } from "./infer-slots.ts";

/** What a row of columns gives besides its template. */
export interface Row {
  readonly source: SourceLocation;
  /** Word `at` of the row. */
  valueAt(at: number): number;
  /** The flow as its line says it. */
  read(): Flow;
}

/**
 * Spans are those of the template's first line. The fields are written out although Flow has them: a copy of
 * the template with getters, `{ ...model, get text() … }`, takes twice the memory and 1.7 times the time.
 */
class TemplateFlow implements Flow {
  readonly table: number;
  readonly priority: number;
  readonly cookie: bigint;
  readonly idleTimeout: number;
  readonly hardTimeout: number;
  readonly importance: number;
  readonly flags: readonly string[];
  readonly match: readonly MatchField[];
  readonly actions: readonly Action[];
  readonly source: SourceLocation;
  readonly #row: Row;

  constructor(model: Flow, cookie: bigint, match: MatchField[], actions: readonly Action[], row: Row) {
    this.table = model.table;
    this.priority = model.priority;
    this.cookie = cookie;
    this.idleTimeout = model.idleTimeout;
    this.hardTimeout = model.hardTimeout;
    this.importance = model.importance;
    this.flags = model.flags;
    this.match = match;
    this.actions = actions;
    this.source = row.source;
    this.#row = row;
  }

  get text(): string {
    return this.#row.read().text;
  }

  get stats(): FlowStats | null {
    return this.#row.read().stats;
  }
}

/** The flow that `model` is with a row's values in its slots. */
export function filledFlow(model: Flow, slots: readonly Slot[], row: Row): Flow {
  let { cookie, actions } = model;
  const match = model.match.slice();
  for (const { leaf, at, words } of slots) {
    const low = BigInt(row.valueAt(at + words - 1));
    const value = words === 2 ? (BigInt(row.valueAt(at)) << 32n) | low : low;
    if (leaf.of === "cookie") cookie = value;
    else if (leaf.of === "match") {
      const { field, mask, span } = match[leaf.index]!;
      match[leaf.index] = { field, value: value & mask, mask, span };
    } else actions = withValue(actions, leaf.path, 0, value);
  }
  return new TemplateFlow(model, cookie, match, actions, row);
}

/** Actions with another value in the one that `path`, from `depth` on, leads to. */
function withValue(
  actions: readonly Action[],
  path: readonly number[],
  depth: number,
  value: bigint,
): readonly Action[] {
  const index = path[depth]!;
  const changed = actions.slice();
  const action = actions[index]!;
  if (depth + 1 < path.length) {
    if (!("actions" in action)) throw new Error("assertion: a path leads through lists of actions");
    changed[index] = { ...action, actions: withValue(action.actions, path, depth + 1, value) };
  } else if (action.type === "output") changed[index] = { ...action, port: Number(value) };
  else if (action.type === "set") changed[index] = { ...action, value };
  else throw new Error("assertion: a slot of an action is a value that is set, or a port");
  return changed;
}
