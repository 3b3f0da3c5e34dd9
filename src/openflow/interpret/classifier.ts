/**
 * A flow table: the flow of the highest priority that matches a key, found tuple by tuple. Flows are numbers here, and
 * are asked for by their numbers only when a packet meets them, so that a table of a million is columns (tuple.ts). Two
 * flows of one priority that match the same packet and do different things are both returned: which of them Open
 * vSwitch takes depends on its past. Of flows with the same match and priority the last one stands, as after add-flow.
 */
import type { Flow } from "../ast.ts";
import { KEY } from "../key.ts";
import { compileActions, isModelled, type Step } from "./program.ts";
import { Tuple } from "./tuple.ts";

/** A flow made ready. */
export interface Entry {
  readonly flow: Flow;
  readonly steps: readonly Step[];
  /** What of its match cannot be decided, or that it is part of a conjunctive match; null for most. */
  readonly unknown: string | null;
}

/** What a lookup found: nothing, one flow, or two that differ. */
export interface Hit {
  entry: Entry | null;
  rival: Entry | null;
}

const sameActions = (a: Flow, b: Flow): boolean => a === b || describe(a) === describe(b);

const descriptions = new WeakMap<Flow, string>();

/** The actions of a flow as a text of ours: equal texts do the same. */
function describe(flow: Flow): string {
  let text = descriptions.get(flow);
  if (text === undefined) {
    text = JSON.stringify(flow.actions, (name, value) => {
      if (name === "span") return undefined;
      if (name === "field") return value.name;
      return typeof value === "bigint" ? value.toString() : value;
    });
    descriptions.set(flow, text);
  }
  return text;
}

/** What a match compares: words of the key in ascending order, their masks, and their values under them. */
export interface Comparison {
  readonly words: readonly number[];
  readonly masks: readonly number[];
  readonly values: readonly number[];
  /** Fields that are not modelled, as text: flows that differ in them are different flows. */
  readonly odd: string;
}

const isCompared = ({ field }: Flow["match"][number]): boolean =>
  isModelled(field) && field.place!.word !== KEY.recircId;

/** What a flow's match compares; fields that are not modelled are left out of its words. */
export function comparisonOf(flow: Flow): Comparison {
  const masks = new Map<number, number>();
  const values = new Map<number, number>();
  for (const one of flow.match) {
    if (!isCompared(one)) continue;
    const { field, value, mask } = one;
    const place = field.place!;
    const last = place.word + (place.bits > 32 ? Math.ceil(place.bits / 32) - 1 : 0);
    for (let word = last, low = 0n; word >= place.word; word--, low += 32n) {
      const maskBits = Number((mask >> low) & 0xffffffffn) << place.shift;
      if (maskBits === 0) continue;
      const bits = Number((value >> low) & 0xffffffffn) << place.shift;
      masks.set(word, (masks.get(word) ?? 0) | maskBits);
      values.set(word, (values.get(word) ?? 0) | (bits & maskBits));
    }
  }
  const words = [...masks.keys()].sort((a, b) => a - b);
  const odd = flow.match.filter(one => !isCompared(one));
  return {
    words,
    masks: words.map(word => masks.get(word)!),
    values: words.map(word => values.get(word)!),
    odd: odd.map(({ field, value, mask }) => `${field.name}=${value}/${mask}`).join(),
  };
}

/** What of a flow's match makes its lookup undecided. */
function unknownOf(flow: Flow): string | null {
  const odd = flow.match.find(one => !isCompared(one));
  if (odd !== undefined) return `match on ${odd.field.name}`;
  return flow.actions.some(({ type }) => type === "conjunction") ? "conjunction" : null;
}

/** Makes a flow ready. */
export function entryOf(flow: Flow): Entry {
  return { flow, steps: compileActions(flow.actions, flow.source.line), unknown: unknownOf(flow) };
}

/** One table. Flows cannot be taken out. */
export class Classifier {
  readonly #entryAt: (index: number) => Entry;
  readonly #tuples: Tuple[] = [];
  readonly #bySignature = new Map<string, Tuple>();
  #isSorted = true;

  /** `entryAt` gives the flow that was added under a number. */
  constructor(entryAt: (index: number) => Entry) {
    this.#entryAt = entryAt;
  }

  /** The tuple of the flows that compare these words. */
  tupleOf({ words, masks, odd }: Comparison): Tuple {
    const signature = `${words}/${masks}/${odd}`;
    let tuple = this.#bySignature.get(signature);
    if (tuple === undefined) {
      tuple = new Tuple(words, masks);
      this.#bySignature.set(signature, tuple);
      this.#tuples.push(tuple);
    }
    return tuple;
  }

  /** Adds flow number `index`, or replaces the one with the same match and priority. */
  add(tuple: Tuple, values: Int32Array, priority: number, index: number): void {
    tuple.add(values, priority, index);
    this.#isSorted = false;
  }

  /**
   * The flow that matches `key`, or null; writes it to `hit`, together with one that could stand in its place. The bits
   * of the key that were looked at are set in `reads`.
   */
  lookup(key: Uint32Array, hit: Hit, reads: Uint32Array): Entry | null {
    if (!this.#isSorted) {
      this.#tuples.sort((a, b) => b.maxPriority - a.maxPriority);
      this.#isSorted = true;
    }
    hit.entry = null;
    hit.rival = null;
    let best = -1;
    for (const tuple of this.#tuples) {
      if (tuple.maxPriority < best) break;
      const { words, masks } = tuple;
      for (let i = 0; i < words.length; i++) reads[words[i]!]! |= masks[i]!;
      const row = tuple.find(key);
      if (row < 0) continue;
      const priority = tuple.priorityOf(row);
      if (priority < best) continue;
      const found = this.#entryAt(tuple.refOf(row));
      if (priority > best) {
        best = priority;
        hit.entry = found;
        hit.rival = null;
      } else if (found.unknown !== null) {
        // What is undecided stays in front, so that it is not overlooked.
        hit.entry = found;
      } else if (!sameActions(found.flow, hit.entry!.flow)) {
        hit.rival = found;
      }
    }
    return hit.entry;
  }
}
