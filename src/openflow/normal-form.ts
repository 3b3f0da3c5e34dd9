/**
 * The normal form of actions and matches: equal for what is the same, however it is written. `mod_dl_dst`,
 * `load` and `set_field` become settings of bits of the widest field underneath, in every OpenFlow version,
 * and a match becomes the words of the key that it compares. Consecutive settings of one field become one, as
 * a switch prints a setting with a mask as several loads. The form concludes nothing else: a `resubmit(,n)`
 * at the end differs from `goto_table:n`, because a table miss drops in the first and may send the packet to
 * the controller in the second.
 */
import { type ActionKind, type CanonicalSet, entryOf, kindOf, sentAs } from "./actions/index.ts";
import type { Action, Flow, MatchField } from "./ast.ts";
import type { Field } from "./fields.ts";
import type { Place } from "./flow-key.ts";
import { emptyMatch, readPlace, setMatch } from "./key-match.ts";
import { formatActions } from "./print.ts";

export type { CanonicalSet } from "./actions/index.ts";

/** An action in its one form. Every setting is a `set`; lists inside are canonical too. */
export type CanonicalAction =
  | CanonicalSet
  | { readonly type: "list"; readonly kind: ActionKind; readonly actions: readonly CanonicalAction[] }
  /** What has one spelling only, as Open vSwitch prints it. */
  | { readonly type: "plain"; readonly action: Action; readonly text: string };

function canonical(action: Action): readonly CanonicalAction[] {
  const { settings, list } = entryOf(action);
  const set = settings?.(action) ?? null;
  if (set !== null) return set;
  if (list !== undefined)
    return [{ type: "list", kind: kindOf(action), actions: canonicalActions(list(action)) }];
  return sentAs(action).map(plain);
}

const plain = (action: Action): CanonicalAction => ({ type: "plain", action, text: formatActions([action]) });

/** A list of actions in its one form. */
function canonicalActions(actions: readonly Action[]): CanonicalAction[] {
  return merged(actions.flatMap(canonical));
}

/** Settings of one field become one when nothing but settings of other words stands between them. */
function merged(actions: readonly CanonicalAction[]): CanonicalAction[] {
  const result: CanonicalAction[] = [];
  let run: CanonicalSet[] = [];
  const end = (): void => {
    result.push(...run);
    run = [];
  };
  for (const action of actions) {
    if (action.type !== "set") {
      end();
      result.push(action);
      continue;
    }
    const same = run.findIndex(({ field }) => field === action.field);
    if (same >= 0) run[same] = bothOf(run[same]!, action);
    else {
      if (!run.every(other => areApart(other.field, action.field))) end();
      run.push(action);
      run.sort((a, b) => a.field.id - b.field.id);
    }
  }
  end();
  return result;
}

/**
 * Fields in different words, neither of which decides whether a packet has the other: ND fields need an
 * ICMPv6 type.
 */
function areApart(one: Field, other: Field): boolean {
  if (one.place === null || other.place === null) return false;
  if ([one, other].some(({ prerequisite }) => /^(ND|ICMP)/.test(prerequisite))) return false;
  const [a, b] = [wordsOfPlace(one.place), wordsOfPlace(other.place)];
  return a[1] <= b[0] || b[1] <= a[0];
}

const wordsOfPlace = ({ word, shift, bits }: Place): [from: number, to: number] => [
  word,
  word + Math.ceil((shift + bits) / 32),
];

/** What two settings of a field do, one after the other. */
const bothOf = (first: CanonicalSet, second: CanonicalSet): CanonicalSet => ({
  ...first,
  value: (first.value & ~second.mask) | second.value,
  mask: first.mask | second.mask,
});

/** The one form as text: two lists that are spelt differently and are the same have the same text. */
export function canonicalText(actions: readonly Action[]): string {
  return textOf(canonicalActions(actions));
}

function textOf(actions: readonly CanonicalAction[]): string {
  const parts = actions.map(one => {
    if (one.type === "plain") return one.text;
    if (one.type === "set")
      return `set(${one.field.name},0x${one.value.toString(16)},0x${one.mask.toString(16)})`;
    return `${one.kind}(${textOf(one.actions)})`;
  });
  return parts.join(",");
}

/** One word of the key that a match compares. */
export interface MatchWord {
  readonly word: number;
  readonly mask: number;
  readonly value: number;
}

/**
 * What a match compares, by key word in ascending order; words with nothing to compare are left out. Two
 * matches that accept the same packets by the same bits have the same words. Fields outside the key
 * (`tun_metadata`) are in `unplaced`.
 */
export function matchWords(flow: Pick<Flow, "match">): {
  words: MatchWord[];
  unplaced: readonly MatchField[];
} {
  const key = emptyMatch();
  const unplaced: MatchField[] = [];
  for (const one of flow.match) {
    const { place } = one.field;
    if (place === null) {
      unplaced.push(one);
      continue;
    }
    const mask = readPlace(key.masks, place) | one.mask;
    setMatch(key, place, (readPlace(key.values, place) & ~one.mask) | one.value, mask);
  }
  const words: MatchWord[] = [];
  for (const [word, mask] of key.masks.entries()) {
    if (mask !== 0) words.push({ word, mask, value: key.values[word]! });
  }
  return { words, unplaced };
}

/**
 * Table, priority and match of a flow as text: equal where two flows are one to Open vSwitch, however they
 * are spelt.
 */
export function identityText(flow: Pick<Flow, "table" | "priority" | "match">): string {
  const { words, unplaced } = matchWords(flow);
  const tests = words.map(({ word, mask, value }) => `${word}/${mask}=${value}`);
  const rest = unplaced.map(({ field, value, mask }) => `${field.name}=${value}/${mask}`);
  return [flow.table, flow.priority, ...tests, ...rest].join();
}

/** That and what the flow does. */
export const meaningText = (flow: Flow): string => `${identityText(flow)} ${canonicalText(flow.actions)}`;
