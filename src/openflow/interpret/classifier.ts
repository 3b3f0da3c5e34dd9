/**
 * A flow table: the flow of the highest priority that matches a key, found tuple by tuple. Flows are numbers
 * here, and are asked for by their numbers only when a packet meets them, so that a table of a million is
 * columns (hash-subtable.ts). Two flows of one priority that match the same packet and do different things
 * are both returned: which of them Open vSwitch takes depends on its past. Of flows with the same match and
 * priority the last one stands, as after add-flow.
 *
 * Flows that are clauses of a conjunctive match (conjunctions.ts) count where no ordinary flow of their
 * priority or a higher one matches, as classifier_lookup__() of lib/classifier.c has it.
 */
import type { Flow } from "../ast.ts";
import { KEY } from "../flow-key.ts";
import { compileActions, isModelled, type Step } from "./compile-actions.ts";
import { type Membership, membershipsOf, possible } from "./conjunctions.ts";
import { Tuple } from "./hash-subtable.ts";

/** A flow made ready. */
export interface Entry {
  readonly flow: Flow;
  readonly steps: readonly Step[];
  /** What of its match cannot be decided; null for most. */
  readonly unknown: string | null;
  /** The clauses of conjunctive matches that it stands for; null for an ordinary flow. */
  readonly memberships: readonly Membership[] | null;
}

/** What a lookup found: nothing, one flow, or two that differ. */
export interface Hit {
  entry: Entry | null;
  rival: Entry | null;
  /** The flows whose clauses led to the entry, or to the rival; empty when it matched by itself. */
  clauses: readonly Flow[];
}

export const NO_CLAUSES: readonly Flow[] = [];

export const newHit = (): Hit => ({ entry: null, rival: null, clauses: NO_CLAUSES });

/** A clause that matches, and the flow that it is of. */
interface SoftMatch {
  readonly priority: number;
  readonly entry: Entry;
  readonly memberships: readonly Membership[];
}

/** What an id leads to. */
interface Answer {
  readonly entry: Entry;
  readonly rival: Entry | null;
  readonly id: number;
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

/** What a flow's match compares; fields that are not modelled are left out of its words. */
export function comparisonOf(flow: Flow): Comparison {
  const masks = new Map<number, number>();
  const values = new Map<number, number>();
  for (const one of flow.match) {
    if (!isModelled(one.field)) continue;
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
  const odd = flow.match.filter(one => !isModelled(one.field));
  return {
    words,
    masks: words.map(word => masks.get(word)!),
    values: words.map(word => values.get(word)!),
    odd: odd.map(({ field, value, mask }) => `${field.name}=${value}/${mask}`).join(),
  };
}

/** What of a flow's match makes its lookup undecided. */
function unknownOf(flow: Flow): string | null {
  const odd = flow.match.find(one => !isModelled(one.field));
  return odd === undefined ? null : `match on ${odd.field.name}`;
}

/** Makes a flow ready. */
export function entryOf(flow: Flow): Entry {
  return {
    flow,
    steps: compileActions(flow.actions, flow.source.line),
    unknown: unknownOf(flow),
    memberships: membershipsOf(flow),
  };
}

const isSameAnswer = (a: Answer, b: Answer): boolean =>
  a.rival === null && b.rival === null && isSameEntry(a.entry, b.entry);

const isSameEntry = (a: Entry, b: Entry): boolean =>
  a === b || (a.unknown === null && b.unknown === null && sameActions(a.flow, b.flow));

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
   * The flow that matches `key`, or null; writes it to `hit`, together with one that could stand in its
   * place. The bits of the key that were looked at are set in `reads`.
   */
  lookup(key: Uint32Array, hit: Hit, reads: Uint32Array): Entry | null {
    if (!this.#isSorted) {
      this.#tuples.sort((a, b) => b.maxPriority - a.maxPriority);
      this.#isSorted = true;
    }
    hit.clauses = NO_CLAUSES;
    const soft: SoftMatch[] = [];
    const best = this.#lookupHard(key, hit, reads, soft);
    if (soft.length > 0) this.#weigh(soft, best, key, hit, reads);
    return hit.entry;
  }

  /**
   * The ordinary flow of the highest priority, and its priority, -1 for none. Clauses that match are added to
   * `soft`. Without that list they are no match, and hide the flows of lower priority with just their match:
   * so it is where the table is asked with a conj_id.
   */
  #lookupHard(key: Uint32Array, hit: Hit, reads: Uint32Array, soft: SoftMatch[] | null): number {
    hit.entry = null;
    hit.rival = null;
    let best = -1;
    for (const tuple of this.#tuples) {
      if (tuple.maxPriority < best) break;
      const { words, masks } = tuple;
      for (let i = 0; i < words.length; i++) reads[words[i]!]! |= masks[i]!;
      for (let row = tuple.find(key); row >= 0; row = tuple.below(row)) {
        const priority = tuple.priorityOf(row);
        if (priority < best) break;
        const found = this.#entryAt(tuple.refOf(row));
        const { memberships } = found;
        if (memberships !== null && found.unknown === null) {
          if (soft === null) break;
          soft.push({ priority, entry: found, memberships });
          continue;
        }
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
        break;
      }
    }
    return best;
  }

  /** Looks for a conjunctive match above the ordinary one that `hit` has, the highest priority first. */
  #weigh(soft: readonly SoftMatch[], best: number, key: Uint32Array, hit: Hit, reads: Uint32Array): void {
    const above = soft.filter(({ priority }) => priority > best);
    if (above.length === 0) return;
    const priority = Math.max(...above.map(one => one.priority));
    const parts = above.filter(one => one.priority === priority);
    const ask = (id: number): Answer | null => this.#ask(id, key, reads);
    const answers = possible(parts, ask, isSameAnswer);
    const found = answers.filter(answer => answer !== null);
    // What is undecided stays in front here, too.
    const first = found.find(({ entry }) => entry.unknown !== null) ?? found[0];
    if (first === undefined || answers.includes(null)) {
      const lower = above.filter(one => one.priority < priority);
      this.#weigh(lower, best, key, hit, reads);
      if (first === undefined) return;
    }
    const other = found.find(answer => answer !== first)?.entry ?? null;
    // It may be that none is met: then it is what the lower priorities say, or nothing.
    const below = hit.entry ?? parts[0]!.entry;
    const without = answers.includes(null) && !isSameEntry(below, first.entry) ? below : null;
    hit.entry = first.entry;
    hit.rival = first.rival ?? other ?? without;
    hit.clauses = clausesOf(hit.rival === null ? [first.id] : found.map(({ id }) => id), parts);
  }

  /** Asks with a conj_id. */
  #ask(id: number, key: Uint32Array, reads: Uint32Array): Answer | null {
    const given = key[KEY.conjId]!;
    const hit = newHit();
    key[KEY.conjId] = id;
    this.#lookupHard(key, hit, reads, null);
    key[KEY.conjId] = given;
    return hit.entry === null ? null : { entry: hit.entry, rival: hit.rival, id };
  }
}

/** The flows that have a part in one of some ids, in the order of their lines. */
function clausesOf(ids: readonly number[], parts: readonly SoftMatch[]): Flow[] {
  return parts
    .filter(({ memberships }) => memberships.some(({ id }) => ids.includes(id)))
    .map(({ entry }) => entry.flow)
    .sort((a, b) => a.source.line - b.source.line);
}
