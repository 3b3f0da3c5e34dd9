/**
 * What the numbers in a line mean, found out by asking: the line is parsed again with another number in one place, and
 * the flow that comes out is compared with the first. A number that changes one value of the flow, and changes it to
 * just that number, is a slot; one that changes nothing but counters is idle; every other number belongs to the
 * line's shape. Nothing here knows the grammar.
 */
import type { Action, Flow } from "./ast.ts";
import type { Field } from "./fields.ts";
import { type FoundHole, HOLE, type Hole } from "./holes.ts";

/** What a slot is in the flow: its cookie, the value of a match field, of a setting, or the port of an output. */
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

/** What a number of a line is: part of its shape, nothing to the flow, or a value of it. */
export type Meaning =
  | { readonly type: "shape" }
  | { readonly type: "idle" }
  | {
      readonly type: "value";
      readonly leaf: Leaf;
      readonly bits: number;
      /** The greatest value, and the bits that count: those that the match compares. */
      readonly limit: number;
      readonly mask: bigint;
    };

/** The greatest number that a port can have without being a reserved one. */
const MAX_PORT = 0xfeff;

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

type Reader = (text: string) => Flow | null;

/** Numbers to put into a hole instead of `text`: near ones, so that they stay in range. */
function otherNumbers(kind: Hole, text: string): string[] {
  switch (kind) {
    case HOLE.decimal:
      return [1, 2, 3, 5].map(String).filter(other => other !== text);
    case HOLE.hexadecimal:
      return ["0x1", "0x2", "0x3", "0x5"].filter(other => BigInt(other) !== BigInt(text));
    case HOLE.seconds:
      return ["1", "2", "3"].filter(other => other !== text);
    case HOLE.ipv4:
      return ["17.34.51.68", "34.17.68.51", "1.2.3.4"].filter(other => other !== text);
    case HOLE.mac:
      return ["02:12:34:56:78:9a", "02:21:43:65:87:a9", "06:01:02:03:04:05"].filter(other => other !== text);
  }
}

function numberOf(kind: Hole, text: string): bigint {
  if (kind === HOLE.mac) return BigInt(`0x${text.replaceAll(":", "")}`);
  if (kind === HOLE.ipv4) return text.split(".").reduce((sum, octet) => (sum << 8n) | BigInt(octet), 0n);
  return BigInt(text);
}

/** What each number of `text` means to the flow that `read` makes of it. */
export function meaningsOf(text: string, holes: readonly FoundHole[], flow: Flow, read: Reader): Meaning[] {
  const before = leavesOf(flow);
  return holes.map(({ kind, start, end }): Meaning => {
    const found: Meaning[] = [];
    for (const other of otherNumbers(kind, text.slice(start, end))) {
      const changed = read(`${text.slice(0, start)}${other}${text.slice(end)}`);
      if (changed === null) continue;
      const meaning =
        kind === HOLE.seconds
          ? idleOrShape(before, changed)
          : compare(before, changed, numberOf(kind, other));
      if (found.length === 1) return isSame(found[0]!, meaning) ? meaning : { type: "shape" };
      found.push(meaning);
    }
    return { type: "shape" };
  });
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

function idleOrShape(before: readonly FlowLeaf[], changed: Flow): Meaning {
  const differing = differences(before, leavesOf(changed));
  return differing?.every(({ leaf }) => leaf === "idle") ? { type: "idle" } : { type: "shape" };
}

function differences(before: readonly FlowLeaf[], after: readonly FlowLeaf[]): FlowLeaf[] | null {
  if (before.length !== after.length) return null;
  const isAlike = after.every(
    ({ path, mask }, index) => path === before[index]!.path && mask === before[index]!.mask,
  );
  return isAlike ? after.filter(({ value }, index) => value !== before[index]!.value) : null;
}

function compare(before: readonly FlowLeaf[], changed: Flow, number: bigint): Meaning {
  const differing = differences(before, leavesOf(changed));
  if (differing === null) return { type: "shape" };
  if (differing.every(({ leaf }) => leaf === "idle")) return { type: "idle" };
  const { leaf, field, value, mask } = differing[0]!;
  if (differing.length > 1 || leaf === null || leaf === "idle") return { type: "shape" };
  if (BigInt(value as number | bigint) !== (number & mask)) return { type: "shape" };
  const bits = leaf.of === "cookie" ? 64 : (field?.bits ?? 32);
  const isPort = leaf.of === "output" || field?.format === "port";
  return { type: "value", leaf, bits, mask, limit: isPort ? MAX_PORT : 2 ** bits - 1 };
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
