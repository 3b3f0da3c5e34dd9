/**
 * What the numbers in a line mean, found out by asking: the line is parsed again with other numbers, all of
 * them different, and the flow that comes out is compared with the first. A number that turns up as one value
 * of the flow is a slot; one that turns up as a counter is idle; every other number belongs to the line's
 * template. Nothing here knows the grammar; what is known of words (NEVER_VARY) saves questions.
 */
import { unreachable } from "../../wire/index.ts";
import type { Action, Flow } from "../ast.ts";
import type { Field } from "../fields.ts";
import type { ValueToken } from "../parse-context.ts";
import { type FoundNumber, NUMBER, type NumberKind } from "./numbers.ts";

/**
 * What a slot is in the flow: its cookie, the value of a match field, of a setting, or the port of an output.
 */
export type Leaf =
  | { readonly of: "cookie" }
  | { readonly of: "match"; readonly index: number }
  /** Indices into `actions` and further into nested lists. */
  | { readonly of: "set" | "output"; readonly path: readonly number[] };

/** One value that differs from row to row. Of two words the first is the more significant. */
export interface Slot {
  readonly leaf: Leaf;
  /** Word of the row. */
  readonly at: number;
  readonly words: 1 | 2;
}

/** What a number of a line is: part of its template, nothing to the flow, or a value of it. */
export type Meaning =
  | { readonly type: "template" }
  | { readonly type: "idle" }
  | {
      readonly type: "value";
      readonly leaf: Leaf;
      readonly bits: number;
      /** The greatest value, and the bits that count: those that the match compares. */
      readonly limit: bigint;
      readonly mask: bigint;
    };

/** The greatest number that a port can have without being a reserved one. */
const MAX_PORT = 0xfeffn;

/** Fields on whose value the meaning of others depends, or whose values are written in ways of their own. */
const NEVER_SLOTS: ReadonlySet<string> = new Set([
  "dl_type",
  "eth_type",
  "nw_proto",
  "ip_proto",
  "icmp_type",
  "icmp_code",
  "icmpv6_type",
  "icmpv6_code",
  "vlan_tci",
  "dl_vlan",
  "vlan_vid",
  "dl_vlan_pcp",
  "vlan_pcp",
  "nw_tos",
  "ip_dscp",
  "nw_frag",
  "ip_frag",
  "packet_type",
  "conj_id",
]);

/**
 * Words whose number is never a slot either: asking about them would only make the line one that cannot be
 * read.
 */
const NEVER_VARY: ReadonlySet<string> = new Set([
  "table",
  "table_id",
  "priority",
  "idle_timeout",
  "hard_timeout",
  "importance",
  "goto_table",
  "push_mpls",
  "pop_mpls",
  "push_vlan",
]);

/** Parses a line that differs in some of its numbers; null when there is anything to say about it. */
type Reader = (text: string) => Flow | null;

/** A line that was read. */
interface ReadLine {
  readonly text: string;
  readonly numbers: readonly FoundNumber[];
  readonly flow: Flow;
  readonly values: readonly ValueToken[];
}

/** Fields of fewer bits have not two other values to ask with. */
const MIN_BITS = 3;
/** More numbers than this are not asked about. */
const MAX_ASKED = 100;

/** A number that may be a value: what it belongs to has a span that begins with it. */
interface Candidate extends FoundNumber {
  readonly index: number;
  readonly field: Field | null;
  readonly bits: number;
}

function candidatesOf({ text, numbers, values }: ReadLine): readonly Candidate[] {
  const tokens = new Map(values.map(token => [token.span.start, token]));
  const candidates: Candidate[] = [];
  for (const [index, number] of numbers.entries()) {
    const token = tokens.get(number.start);
    if (token === undefined || (token.field !== null && NEVER_SLOTS.has(token.field.name))) continue;
    const word = /(\w+)[=:]$/.exec(text.slice(Math.max(0, number.start - 40), number.start))?.[1];
    const bits = token.field?.bits ?? 16;
    if (bits >= MIN_BITS && !NEVER_VARY.has(word ?? ""))
      candidates.push({ ...number, index, field: token.field, bits });
  }
  return candidates.slice(0, MAX_ASKED);
}

/**
 * Numbers to put in the place of those of a line, no two alike, and small, so that they stay in range. They
 * do not turn up in the line by themselves, so that a value that is one of them comes from its number.
 */
function otherNumbers(text: string, asked: readonly Candidate[], round: number): string[] {
  const own = new Set(asked.map(({ kind, start, end }) => numberOf(kind, text.slice(start, end))));
  const used = new Set<number>();
  let wide = 6 + round;
  return asked.map(({ kind, bits }) => {
    // Narrow fields take what is left of the lowest numbers; should there be none, the reader says so.
    let number = bits < 8 ? round : wide;
    const step = bits < 8 ? 1 : 2;
    while (used.has(number) || own.has(numberOf(kind, spelled(kind, number, bits)))) number += step;
    used.add(number);
    if (bits >= 8) wide = number + step;
    return spelled(kind, number, bits);
  });
}

/**
 * A number that differs from others in each of its bytes, so that a mask leaves something of the difference.
 */
function spelled(kind: NumberKind, number: number, bits: number): string {
  switch (kind) {
    case NUMBER.hexadecimal: {
      const byte = (number & 255).toString(16).padStart(2, "0");
      return bits < 16 ? `0x${number.toString(16)}` : `0x${byte.repeat(Math.min(8, bits >> 3))}`;
    }
    case NUMBER.ipv4:
      return [73, 3, 5, 7].map(factor => (number * factor) & 255).join(".");
    case NUMBER.mac:
      // Even in front: an address of one station.
      return [2, 3, 5, 7, 9, 11]
        .map(factor => ((number * factor) & 255).toString(16).padStart(2, "0"))
        .join(":");
    case NUMBER.decimal:
    case NUMBER.seconds:
      return number.toString();
    default:
      return unreachable(kind);
  }
}

function numberOf(kind: NumberKind, text: string): bigint {
  if (kind === NUMBER.mac) return BigInt(`0x${text.replaceAll(":", "")}`);
  if (kind === NUMBER.ipv4) return text.split(".").reduce((sum, octet) => (sum << 8n) | BigInt(octet), 0n);
  return BigInt(kind === NUMBER.seconds ? text.replace(/\..*/, "") : text);
}

/** The line with other numbers in the places of `asked`. */
function replaced(text: string, asked: readonly Candidate[], others: readonly string[]): string {
  let result = "";
  let from = 0;
  for (const [index, { start, end }] of asked.entries()) {
    result += text.slice(from, start) + others[index]!;
    from = end;
  }
  return result + text.slice(from);
}

/**
 * What each number of a line means to its flow. A number above the limit of its meaning belongs to the
 * template.
 */
export function meaningsOf(line: ReadLine, read: Reader): Meaning[] {
  const { text, numbers } = line;
  const before = leavesOf(line.flow);
  const ask = (asked: readonly Candidate[]): Meaning[] | null => {
    const first = answer(text, asked, 1, before, read);
    const second = first === null ? null : answer(text, asked, 2, before, read);
    return second?.map((meaning, index) => (isSame(meaning, first![index]!) ? meaning : TEMPLATE)) ?? null;
  };
  let asked = candidatesOf(line);
  let meanings = ask(asked);
  if (meanings === null) {
    // One of them spoils it for all: each by itself, and those that mean something together again.
    asked = asked.filter(one => (ask([one]) ?? [TEMPLATE])[0]!.type !== "template");
    meanings = ask(asked);
  }
  // What is left out stays as it is in the line: only then is the rest what the answer says.
  while (meanings?.some(({ type }) => type === "template")) {
    const known = meanings;
    asked = asked.filter((_, index) => known[index]!.type !== "template");
    meanings = ask(asked);
  }
  const all = numbers.map(() => TEMPLATE);
  for (const [at, meaning] of (meanings ?? []).entries()) {
    const { index, kind, start, end } = asked[at]!;
    const isFitting = meaning.type !== "value" || numberOf(kind, text.slice(start, end)) <= meaning.limit;
    if (isFitting) all[index] = meaning;
  }
  return all;
}

const TEMPLATE: Meaning = { type: "template" };

/**
 * The meanings of numbers that were all changed at once. Null when the line cannot be read then, or when a
 * value changed that none of them explains.
 */
function answer(
  text: string,
  asked: readonly Candidate[],
  round: number,
  before: readonly FlowLeaf[],
  read: Reader,
): Meaning[] | null {
  if (asked.length === 0) return [];
  const others = otherNumbers(text, asked, round);
  const changed = read(replaced(text, asked, others));
  const differing = changed === null ? null : differences(before, leavesOf(changed));
  if (differing === null) return null;
  const numbers = asked.map(({ kind }, index) => numberOf(kind, others[index]!));
  const meanings: Meaning[] = asked.map(() => TEMPLATE);
  const isNamed = new Set<number>();
  for (const leaf of differing) {
    const from = sourceOf(leaf, asked, numbers);
    if (from < 0 || isNamed.has(from)) return null;
    isNamed.add(from);
    meanings[from] = meaningOf(leaf);
  }
  return meanings;
}

/**
 * Which of the numbers turned up as the value of a leaf; -1 when it is none of them, or when it may be
 * several.
 */
function sourceOf(leaf: FlowLeaf, asked: readonly Candidate[], numbers: readonly bigint[]): number {
  const value = wholeOf(leaf.value);
  const bits = BigInt(leaf.field?.bits ?? 64);
  const isSource = (number: bigint): boolean => number >> bits === 0n && (number & leaf.mask) === value;
  const from = [...numbers.keys()].filter(index => isSource(numbers[index]!));
  // A mask may leave the same of several numbers: then it is the one that was written as this field's.
  const own = from.length > 1 ? from.filter(index => asked[index]!.field === leaf.field) : from;
  return own.length === 1 ? own[0]! : -1;
}

function wholeOf(value: unknown): bigint | null {
  if (typeof value === "bigint") return value;
  return Number.isInteger(value) ? BigInt(value as number) : null;
}

function meaningOf({ leaf, field, mask }: FlowLeaf): Meaning {
  if (leaf === null) return TEMPLATE;
  if (leaf === "idle") return { type: "idle" };
  const bits = leaf.of === "cookie" ? 64 : (field?.bits ?? 32);
  const isPort = leaf.of === "output" || field?.format === "port";
  return { type: "value", leaf, bits, mask, limit: isPort ? MAX_PORT : (1n << BigInt(bits)) - 1n };
}

/** One value of a flow, with all that must stay as it is beside it. */
interface FlowLeaf {
  readonly path: string;
  readonly value: unknown;
  /** Null where a change is never a matter of one value. */
  readonly leaf: Leaf | "idle" | null;
  readonly field: Field | null;
  readonly mask: bigint;
}

function differences(before: readonly FlowLeaf[], after: readonly FlowLeaf[]): FlowLeaf[] | null {
  if (before.length !== after.length) return null;
  const isAlike = after.every(
    ({ path, mask }, index) => path === before[index]!.path && mask === before[index]!.mask,
  );
  return isAlike ? after.filter(({ value }, index) => value !== before[index]!.value) : null;
}

function isSame(a: Meaning, b: Meaning): boolean {
  return JSON.stringify(a, bigintsAsText) === JSON.stringify(b, bigintsAsText);
}

function bigintsAsText(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? value.toString() : value;
}

/** Every value of a flow but its text and its place in it. */
function leavesOf(flow: Flow): FlowLeaf[] {
  const { cookie, match, actions, stats, source: _source, text: _text, ...rest } = flow;
  const leaves: FlowLeaf[] = [plainLeaf("cookie", cookie, { of: "cookie" }, (1n << 64n) - 1n)];
  for (const [index, { field, value, mask }] of match.entries()) {
    const isSlot = !NEVER_SLOTS.has(field.name) && field.bits <= 64;
    leaves.push({
      path: `match.${index}.${field.id}`,
      value,
      leaf: isSlot ? { of: "match", index } : null,
      field,
      mask,
    });
  }
  for (const [index, action] of actions.entries()) leaves.push(...actionLeaves(action, [index]));
  for (const [name, value] of Object.entries(stats ?? {}))
    leaves.push(plainLeaf(`stats.${name}`, value, "idle"));
  leaves.push(...plainLeaves("flow", rest));
  return leaves;
}

function actionLeaves(action: Action, path: readonly number[]): FlowLeaf[] {
  const name = path.join(".");
  if (action.type === "set") {
    const { field, value, mask, spelling } = action;
    const isWhole =
      mask === (1n << BigInt(field.bits)) - 1n && field.bits <= 64 && !NEVER_SLOTS.has(field.name);
    const leaf: Leaf | null = isWhole ? { of: "set", path } : null;
    return [{ path: `${name}.${spelling}.${field.id}`, value, leaf, field, mask }];
  }
  if (action.type === "output") {
    const { port } = action;
    return [plainLeaf(`${name}.output`, port, { of: "output", path })];
  }
  const { span: _span, ...rest } = action;
  const nested = "actions" in rest ? rest.actions : "nested" in rest ? rest.nested : [];
  return [
    ...plainLeaves(name, { ...rest, actions: null, nested: null }),
    ...nested.flatMap((inner, index) => actionLeaves(inner, [...path, index])),
  ];
}

function plainLeaf(
  path: string,
  value: unknown,
  leaf: Leaf | "idle" | null,
  mask = (1n << 64n) - 1n,
): FlowLeaf {
  return { path, value, leaf, field: null, mask };
}

/** Values that never are slots, of any depth. */
function plainLeaves(path: string, value: unknown): FlowLeaf[] {
  if (typeof value !== "object" || value === null) return [plainLeaf(path, value, null)];
  return Object.entries(value).flatMap(([name, inner]) => plainLeaves(`${path}.${name}`, inner));
}
