/**
 * The same question as an SMT-LIB 2.6 script over bit vectors, for a solver that knows nothing of flow
 * tables. For tables of a few hundred rules.
 */
import type { FlatRule, Match } from "./engine.ts";

interface Sent {
  readonly port: number;
  readonly dl_dst: bigint | null;
  readonly dl_src: bigint | null;
}

type Written = Omit<Sent, "port"> & { readonly reg0: bigint };

const WIDTHS = { in_port: 16, nw_dst: 32, nw_src: 32, nw_proto: 8, dl_dst: 48, dl_src: 48 } as const;
const MACS = ["dl_dst", "dl_src"] as const;

const vector = (value: bigint, bits: number): string => `(_ bv${value} ${bits})`;
const both = (terms: readonly string[]): string =>
  terms.length === 0 ? "true" : `(and ${terms.join(" ")} true)`;

function testTerm({ field, value, mask }: Match): string {
  if (field === "reg0") throw new Error("assertion: registers are no input");
  const bits = WIDTHS[field];
  return `(= (bvand ${field} ${vector(mask, bits)}) ${vector(value, bits)})`;
}

/** One table set as a term: the number of its outcome. */
class Script {
  readonly lines: string[] = [];
  readonly outcomes: (readonly Sent[])[] = [];
  readonly #numbers = new Map<string, number>();

  constructor() {
    for (const [name, bits] of Object.entries(WIDTHS))
      this.lines.push(`(declare-const ${name} (_ BitVec ${bits}))`);
    this.lines.push(
      "(declare-const is_ip Bool)",
      "(assert (not (= in_port (_ bv0 16))))",
      "(assert (bvult in_port (_ bv65280 16)))",
    );
  }

  /** Defines functions for the tables, and returns the name of the first. */
  tables(rules: readonly FlatRule[], side: string): string {
    const done = new Map<string, string>();
    const go = (table: number, written: Written, sent: readonly Sent[]): string => {
      const key = `${table} ${written.dl_dst} ${written.dl_src} ${written.reg0} ${nameOf(sent)}`;
      const known = done.get(key);
      if (known !== undefined) return known;
      let term = this.#end(sent);
      for (const rule of rules.filter(one => one.table === table).sort((a, b) => a.priority - b.priority)) {
        const terms = conditionOf(rule, written);
        if (terms === null) continue;
        const after: Record<keyof Written, bigint | null> = { ...written };
        for (const { field, value } of rule.sets) after[field] = value;
        const next = after as Written;
        const all = [
          ...sent,
          ...rule.outputs.map(port => ({ port, dl_dst: next.dl_dst, dl_src: next.dl_src })),
        ];
        term = `(ite ${both(terms)} ${rule.goto === null ? this.#end(all) : go(rule.goto, next, all)} ${term})`;
      }
      const name = `${side}${done.size}`;
      this.lines.push(`(define-fun ${name} () Int ${term})`);
      done.set(key, name);
      return name;
    };
    return go(0, { dl_dst: null, dl_src: null, reg0: 0n }, []);
  }

  #end(sent: readonly Sent[]): string {
    let term = `${this.#number(sent)}`;
    for (const port of new Set(sent.map(one => one.port)))
      term = `(ite (= in_port ${vector(BigInt(port), 16)}) ${this.#number(sent.filter(one => one.port !== port))} ${term})`;
    return term;
  }

  #number(sent: readonly Sent[]): number {
    const name = nameOf(sent);
    let number = this.#numbers.get(name);
    if (number === undefined) {
      number = this.outcomes.push(sent) - 1;
      this.#numbers.set(name, number);
    }
    return number;
  }
}

const nameOf = (sent: readonly Sent[]): string =>
  sent.map(({ port, dl_dst, dl_src }) => `${port} ${dl_dst} ${dl_src}`).join();

/** Null when it cannot hold. */
function conditionOf({ isIp, match }: FlatRule, written: Written): string[] | null {
  const terms = isIp ? ["is_ip"] : [];
  for (const one of match) {
    const known =
      one.field === "reg0" || one.field === "dl_dst" || one.field === "dl_src" ? written[one.field] : null;
    if (known === null) terms.push(testTerm(one));
    else if (((known ^ one.value) & one.mask) !== 0n) return null;
  }
  return terms;
}

/** When two outcomes are the same; null: never. */
function sameTerm(a: readonly Sent[], b: readonly Sent[]): string | null {
  if (a.length !== b.length) return null;
  const terms: string[] = [];
  for (const [i, one] of a.entries()) {
    const other = b[i]!;
    if (one.port !== other.port) return null;
    for (const field of MACS) {
      const [left, right] = [one[field], other[field]];
      if (left === right) continue;
      if (left !== null && right !== null) return null;
      terms.push(`(= ${field} ${vector((left ?? right)!, 48)})`);
    }
  }
  return both(terms);
}

/** A script whose answer is `unsat` exactly when both do the same with every frame. */
export function scriptOf(a: readonly FlatRule[], b: readonly FlatRule[]): string {
  const script = new Script();
  const [left, right] = [script.tables(a, "a"), script.tables(b, "b")];
  const same: string[] = [];
  for (const [i, x] of script.outcomes.entries())
    for (const [j, y] of script.outcomes.entries()) {
      const term = i === j ? null : sameTerm(x, y);
      if (term !== null) same.push(`(and (= ${left} ${i}) (= ${right} ${j}) ${term})`);
    }
  return [
    ...script.lines,
    `(assert (not (or (= ${left} ${right}) ${same.join(" ")})))`,
    "(check-sat)",
    "",
  ].join("\n");
}
