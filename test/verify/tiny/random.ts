/** Random numbers with a seed (Marsaglia's xorshift32), and what one does with them. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = (Math.imul(seed ^ 0x5bd1e995, 0x9e3779b1) ^ seed) >>> 0 || 1;
    for (let i = 0; i < 4; i++) this.#next();
  }

  #next(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x >>> 0;
    return this.#state;
  }

  /** 0 … below - 1. */
  below(below: number): number {
    return this.#next() % below;
  }

  chance(of: number): boolean {
    return this.#next() < of * 0x1_0000_0000;
  }

  pick<Item>(items: readonly Item[]): Item {
    if (items.length === 0) throw new Error("assertion: something to pick from");
    return items[this.below(items.length)]!;
  }
}
