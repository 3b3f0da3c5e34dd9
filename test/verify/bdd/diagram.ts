/**
 * Binary decision diagrams with numbered ends (Bryant 1986; multi-terminal: Fujita, McGeer, Yang 1997):
 * reduced, ordered, shared. Ends are negative numbers; END(0) and END(1) serve as false and true. Nothing is
 * ever freed: one per question.
 */

export const END = (value: number): number => -1 - value;
export const FALSE = END(0);
export const TRUE = END(1);
const NO_VARIABLE = 0x7fffffff;

export class Diagram {
  readonly #variable: number[] = [];
  readonly #low: number[] = [];
  readonly #high: number[] = [];
  readonly #unique = new Map<string, number>();
  readonly #ite = new Map<string, number>();

  get size(): number {
    return this.#variable.length;
  }

  variableOf(node: number): number {
    return node < 0 ? NO_VARIABLE : this.#variable[node]!;
  }

  node(variable: number, low: number, high: number): number {
    if (low === high) return low;
    const name = `${variable} ${low} ${high}`;
    let at = this.#unique.get(name);
    if (at === undefined) {
      at = this.#variable.push(variable) - 1;
      this.#low.push(low);
      this.#high.push(high);
      this.#unique.set(name, at);
    }
    return at;
  }

  /** The part of a node where a variable is 0, or 1. */
  part(node: number, variable: number, isHigh: boolean): number {
    if (this.variableOf(node) !== variable) return node;
    return isHigh ? this.#high[node]! : this.#low[node]!;
  }

  /** Where `test` is true `yes`, elsewhere `no`, which may have any ends. */
  ite(test: number, yes: number, no: number): number {
    if (test === TRUE || yes === no) return yes;
    if (test === FALSE) return no;
    const name = `${test} ${yes} ${no}`;
    const known = this.#ite.get(name);
    if (known !== undefined) return known;
    const top = Math.min(this.variableOf(test), this.variableOf(yes), this.variableOf(no));
    const half = (isHigh: boolean): number =>
      this.ite(this.part(test, top, isHigh), this.part(yes, top, isHigh), this.part(no, top, isHigh));
    const made = this.node(top, half(false), half(true));
    this.#ite.set(name, made);
    return made;
  }

  and(a: number, b: number): number {
    return this.ite(a, b, FALSE);
  }

  or(a: number, b: number): number {
    return this.ite(a, TRUE, b);
  }

  not(a: number): number {
    return this.ite(a, FALSE, TRUE);
  }

  /** Goes through two diagrams at once; `ends` says what is to stand where their ends meet. */
  apply(a: number, b: number, ends: (a: number, b: number) => number): number {
    const done = new Map<string, number>();
    const go = (x: number, y: number): number => {
      if (x < 0 && y < 0) return ends(-1 - x, -1 - y);
      const name = `${x} ${y}`;
      const known = done.get(name);
      if (known !== undefined) return known;
      const top = Math.min(this.variableOf(x), this.variableOf(y));
      const half = (isHigh: boolean): number => go(this.part(x, top, isHigh), this.part(y, top, isHigh));
      // What `ends` gives may test variables above this one.
      const made = this.ite(this.node(top, FALSE, TRUE), half(true), half(false));
      done.set(name, made);
      return made;
    };
    return go(a, b);
  }

  /** Variables and their values on some way to true; null when there is none. */
  anyOf(node: number): ReadonlyMap<number, boolean> | null {
    if (node === FALSE) return null;
    const values = new Map<number, boolean>();
    for (let at = node; at >= 0; ) {
      const isHigh = this.#low[at] === FALSE;
      values.set(this.#variable[at]!, isHigh);
      at = isHigh ? this.#high[at]! : this.#low[at]!;
    }
    return values;
  }
}
