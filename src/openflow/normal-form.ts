/**
 * One form for what is the same: `mod_dl_dst`, `load` and `set_field` become a setting of bits of the widest field
 * underneath, whatever OpenFlow version spelt them, and a match becomes the words of the key that it compares. Settings
 * of one field that follow each other become one, as a switch prints one with a mask as several `load`s. Nothing else is
 * concluded from what actions do together: a `resubmit(,n)` at the end stays another thing than `goto_table:n`, because a table miss treats them differently (the one drops, the other asks the
 * controller where a switch is configured so).
 */
import type { Action, Flow, MatchField } from "./ast.ts";
import { type Field, fieldNamed } from "./fields.ts";
import type { Place } from "./flow-key.ts";
import { emptyMatch, readPlace, setMatch } from "./key-match.ts";
import { formatActions } from "./print.ts";
import { ones } from "./values.ts";

/** The bits of `mask` of a field are set to those of `value`. */
export interface CanonicalSet {
  readonly type: "set";
  readonly field: Field;
  readonly value: bigint;
  readonly mask: bigint;
}

/** An action in its one form. Every setting is a `set`; lists inside are canonical too. */
export type CanonicalAction =
  | CanonicalSet
  | { readonly type: "clone" | "write_actions"; readonly actions: readonly CanonicalAction[] }
  /** What has one spelling only, as Open vSwitch prints it. */
  | { readonly type: "plain"; readonly action: Action; readonly text: string };

const TCI = fieldNamed("vlan_tci");
const TOS = fieldNamed("nw_tos");
const IN_PORT = fieldNamed("in_port_oxm");
const METADATA = fieldNamed("metadata");
const PRESENT = 0x1000n;

/** A setting of a field as settings of what lies underneath. */
function widen(field: Field, value: bigint, mask: bigint): CanonicalSet[] {
  const { name } = field;
  const set = (to: Field, bits: bigint, under: bigint): CanonicalSet => ({
    type: "set",
    field: to,
    value: bits & under,
    mask: under,
  });
  // Where a VID or priority is set there is a tag, or there is one from then on.
  if (name === "vlan_vid") return [set(TCI, value | PRESENT, mask | PRESENT)];
  if (name === "vlan_pcp") return [set(TCI, (value << 13n) | PRESENT, (mask << 13n) | PRESENT)];
  // Whatever a load says of the two bits below, they stay.
  if (name === "nw_tos") return [set(TOS, value, mask & 0xfcn)];
  if (name === "ip_dscp") return [set(TOS, value << 2n, mask << 2n)];
  if (name === "in_port")
    return [
      set(
        IN_PORT,
        mask === 0xffffn && value >= 0xfff7n ? value | 0xffff0000n : value,
        mask === 0xffffn ? ones(32) : mask,
      ),
    ];
  const register = /^(xx?)reg(\d+)$/.exec(name);
  if (register === null) return [set(field, value, mask)];
  const words = register[1] === "x" ? 2 : 4;
  const parts: CanonicalSet[] = [];
  for (let index = 0; index < words; index++) {
    const shift = BigInt(32 * (words - 1 - index));
    const under = (mask >> shift) & ones(32);
    if (under !== 0n)
      parts.push(
        set(fieldNamed(`reg${words * Number(register[2]) + index}`), (value >> shift) & ones(32), under),
      );
  }
  return parts;
}

function canonical(action: Action): CanonicalAction[] {
  switch (action.type) {
    case "set":
      // These do nothing to a frame without a tag, mod_vlan_… gives it one.
      if (action.spelling === "set_vlan_vid" || action.spelling === "set_vlan_pcp") break;
      return widen(action.field, action.value, action.mask);
    case "write_metadata":
      return action.mask === 0n
        ? []
        : [{ type: "set", field: METADATA, value: action.value & action.mask, mask: action.mask }];
    case "clone":
    case "write_actions":
      return [{ type: action.type, actions: canonicalActions(action.actions) }];
    case "enqueue":
      if (!action.isSplit) break;
      return [
        plain({ type: "set_queue", span: action.span, queue: action.queue }),
        plain({ type: "output", span: action.span, port: action.port }),
        plain({ type: "pop_queue", span: action.span }),
      ];
    case "dec_ttl":
      // Without a list it is the controller of id 0 that is told.
      if (action.controllers.length === 0) return [plain({ ...action, controllers: [0] })];
      break;
    default:
  }
  return [plain(action)];
}

const plain = (action: Action): CanonicalAction => ({ type: "plain", action, text: formatActions([action]) });

/** A list of actions in its one form. */
export function canonicalActions(actions: readonly Action[]): CanonicalAction[] {
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

/** Fields in different words, neither of which decides whether a packet has the other: ND fields need an ICMPv6 type. */
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
    return `${one.type}(${textOf(one.actions)})`;
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
 * What a match compares, by key word in ascending order; words with nothing to compare are left out. Two matches that
 * accept the same packets by the same bits have the same words. Fields outside the key (`tun_metadata`) are in `unplaced`.
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

/** Table, priority and match of a flow as text: equal where two flows are one to Open vSwitch, however they are spelt. */
export function identityText(flow: Pick<Flow, "table" | "priority" | "match">): string {
  const { words, unplaced } = matchWords(flow);
  const tests = words.map(({ word, mask, value }) => `${word}/${mask}=${value}`);
  const rest = unplaced.map(({ field, value, mask }) => `${field.name}=${value}/${mask}`);
  return [flow.table, flow.priority, ...tests, ...rest].join();
}

/** That and what the flow does. */
export const meaningText = (flow: Flow): string => `${identityText(flow)} ${canonicalText(flow.actions)}`;
