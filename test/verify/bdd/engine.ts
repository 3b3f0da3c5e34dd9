/**
 * A second prover by another method: flow tables as decision diagrams over the bits of real fields, table by
 * table from the lowest priority up. For tables that match ports, MACs and IPv4, write MACs and a register,
 * go on to later tables and put out: no labels, no recirculation. It shares nothing with src/verify.
 */
import { Diagram, END, FALSE, TRUE } from "./diagram.ts";

/** Bits of the input, in the order in which the diagram tests them. */
const INPUT = { in_port: 16, isIp: 1, nw_dst: 32, nw_src: 32, nw_proto: 8, dl_dst: 48, dl_src: 48 } as const;

export type InputName = Exclude<keyof typeof INPUT, "isIp">;
export type Name = InputName | "reg0";

export interface Match {
  readonly field: Name;
  readonly value: bigint;
  readonly mask: bigint;
}

export interface FlatRule {
  readonly table: number;
  readonly priority: number;
  readonly isIp: boolean;
  readonly match: readonly Match[];
  readonly sets: readonly { readonly field: "dl_dst" | "dl_src" | "reg0"; readonly value: bigint }[];
  readonly outputs: readonly number[];
  readonly goto: number | null;
}

interface Written {
  readonly dl_dst: bigint | null;
  readonly dl_src: bigint | null;
  readonly reg0: bigint;
}

interface Sent {
  readonly port: number;
  readonly dl_dst: bigint | null;
  readonly dl_src: bigint | null;
}

const NOTHING_WRITTEN: Written = { dl_dst: null, dl_src: null, reg0: 0n };
const MACS = ["dl_dst", "dl_src"] as const;

const FIRST = new Map<string, number>();
{
  let at = 0;
  for (const [name, bits] of Object.entries(INPUT)) {
    FIRST.set(name, at);
    at += bits;
  }
}

/** What became of the question, with values of the input that show a difference. */
export interface Answer {
  readonly isEqual: boolean;
  readonly witness: Readonly<Record<string, bigint>> | null;
  readonly nodes: number;
}

export class Engine {
  readonly #diagram = new Diagram();
  readonly #outcomes: (readonly Sent[])[] = [];
  readonly #numbers = new Map<string, number>();

  /** Compares two sets of rules, in which no two of one priority overlap with different actions. */
  compare(a: readonly FlatRule[], b: readonly FlatRule[]): Answer {
    const diagram = this.#diagram;
    const [left, right] = [this.#tables(a), this.#tables(b)];
    const differ = diagram.apply(left, right, (x, y) => (x === y ? FALSE : diagram.not(this.#same(x, y))));
    const real = diagram.and(differ, this.#realPorts());
    const found = diagram.anyOf(real);
    return { isEqual: real === FALSE, witness: found === null ? null : valuesOf(found), nodes: diagram.size };
  }

  /** Ports that frames come from: 1 … 0xfeff. */
  #realPorts(): number {
    const high = this.test({ field: "in_port", value: 0xff00n, mask: 0xff00n });
    const none = this.test({ field: "in_port", value: 0n, mask: 0xffffn });
    return this.#diagram.not(this.#diagram.or(high, none));
  }

  /** A match on the input as a diagram. */
  test({ field, value, mask }: Match): number {
    if (field === "reg0") throw new Error("assertion: registers are no input");
    const bits = INPUT[field];
    let node: number = TRUE;
    for (let bit = 0; bit < bits; bit++) {
      if (((mask >> BigInt(bit)) & 1n) === 0n) continue;
      const variable = FIRST.get(field)! + bits - 1 - bit;
      const isOne = ((value >> BigInt(bit)) & 1n) === 1n;
      node = this.#diagram.node(variable, isOne ? FALSE : node, isOne ? node : FALSE);
    }
    return node;
  }

  #tables(rules: readonly FlatRule[]): number {
    const tables = new Map<number, FlatRule[]>();
    for (const rule of rules) tables.set(rule.table, [...(tables.get(rule.table) ?? []), rule]);
    for (const table of tables.values()) table.sort((a, b) => a.priority - b.priority);
    const done = new Map<string, number>();
    const go = (table: number, written: Written, sent: readonly Sent[]): number => {
      const name = `${table} ${nameOf(written)} ${sent.map(sentName).join()}`;
      const known = done.get(name);
      if (known !== undefined) return known;
      let node = this.#end(sent);
      for (const rule of tables.get(table) ?? []) {
        const condition = this.#condition(rule, written);
        if (condition === FALSE) continue;
        const after = { ...written };
        for (const { field, value } of rule.sets) after[field] = value;
        const { dl_dst, dl_src } = after;
        const all = [...sent, ...rule.outputs.map(port => ({ port, dl_dst, dl_src }))];
        node = this.#diagram.ite(
          condition,
          rule.goto === null ? this.#end(all) : go(rule.goto, after, all),
          node,
        );
      }
      done.set(name, node);
      return node;
    };
    return go(0, NOTHING_WRITTEN, []);
  }

  #condition({ isIp, match }: FlatRule, written: Written): number {
    const ip = FIRST.get("isIp")!;
    let node = isIp ? this.#diagram.node(ip, FALSE, TRUE) : TRUE;
    for (const one of match) {
      const known =
        one.field === "reg0" || one.field === "dl_dst" || one.field === "dl_src" ? written[one.field] : null;
      if (known === null) node = this.#diagram.and(node, this.test(one));
      else if (((known ^ one.value) & one.mask) !== 0n) return FALSE;
    }
    return node;
  }

  /** The end of a packet; what would leave by the port it came in by does not. */
  #end(sent: readonly Sent[]): number {
    const ports = [...new Set(sent.map(({ port }) => port))];
    let node = this.#number(sent);
    for (const port of ports) {
      const isHere = this.test({ field: "in_port", value: BigInt(port), mask: 0xffffn });
      node = this.#diagram.ite(isHere, this.#number(sent.filter(one => one.port !== port)), node);
    }
    return node;
  }

  #number(sent: readonly Sent[]): number {
    const name = sent.map(sentName).join();
    let number = this.#numbers.get(name);
    if (number === undefined) {
      number = this.#outcomes.push(sent) - 1;
      this.#numbers.set(name, number);
    }
    return END(number);
  }

  /** Where two outcomes are the same: a MAC that is written may be the one that was there. */
  #same(x: number, y: number): number {
    const [a, b] = [this.#outcomes[x]!, this.#outcomes[y]!];
    if (a.length !== b.length) return FALSE;
    let node: number = TRUE;
    for (const [i, one] of a.entries()) {
      const other = b[i]!;
      if (one.port !== other.port) return FALSE;
      for (const field of MACS) {
        const [left, right] = [one[field], other[field]];
        if (left === right) continue;
        if (left !== null && right !== null) return FALSE;
        node = this.#diagram.and(node, this.test({ field, value: (left ?? right)!, mask: (1n << 48n) - 1n }));
      }
    }
    return node;
  }
}

const nameOf = ({ dl_dst, dl_src, reg0 }: Written): string => `${dl_dst} ${dl_src} ${reg0}`;
const sentName = ({ port, dl_dst, dl_src }: Sent): string => `${port} ${dl_dst} ${dl_src}`;

function valuesOf(found: ReadonlyMap<number, boolean>): Record<string, bigint> {
  return Object.fromEntries(
    Object.entries(INPUT).map(([name, bits]) => {
      let value = 0n;
      for (let bit = 0; bit < bits; bit++)
        if (found.get(FIRST.get(name)! + bits - 1 - bit) === true) value |= 1n << BigInt(bit);
      return [name, value];
    }),
  );
}

const mac = (value: bigint): string => (value.toString(16).padStart(12, "0").match(/../g) ?? []).join(":");
const address = (value: bigint): string => [24n, 16n, 8n, 0n].map(shift => (value >> shift) & 255n).join(".");

function matchText({ field, value, mask }: Match): string {
  if (field === "dl_dst" || field === "dl_src") return `${field}=${mac(value)}/${mac(mask)}`;
  if (field === "nw_dst" || field === "nw_src") return `${field}=${address(value)}/${address(mask)}`;
  return field === "reg0" ? `reg0=0x${value.toString(16)}/0x${mask.toString(16)}` : `${field}=${value}`;
}

/** A rule as flow text. */
export function flatText({ table, priority, isIp, match, sets, outputs, goto }: FlatRule): string {
  const fields = [`priority=${priority}`, ...(isIp ? ["ip"] : []), ...match.map(matchText)];
  const actions = [
    ...sets.map(({ field, value }) =>
      field === "reg0"
        ? `set_field:0x${value.toString(16)}->reg0`
        : `set_field:${mac(value)}->${field === "dl_dst" ? "eth_dst" : "eth_src"}`,
    ),
    ...outputs.map(port => `output:${port}`),
    ...(goto === null ? [] : [`goto_table:${goto}`]),
  ];
  return `table=${table}, ${fields.join()} actions=${actions.length === 0 ? "drop" : actions.join()}`;
}
