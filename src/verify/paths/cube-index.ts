/**
 * Finds, among many cubes, those that agree with some known bits: a tree that asks for one bit at each node.
 * Cubes in which a bit is open stand in a branch of their own, which every search enters.
 */

/** Bits of one word, or of one atom, that a cube gives. */
export interface Part<K> {
  readonly of: K;
  readonly mask: number;
  readonly value: number;
}

/** The known bits of a word or atom. */
export type Known<K> = (of: K) => { readonly mask: number; readonly value: number };

/** So few cubes are searched one by one. */
const LEAF = 8;

type Tree<K> =
  | readonly number[]
  | {
      readonly of: K;
      readonly bit: number;
      readonly zero: Tree<K>;
      readonly one: Tree<K>;
      readonly open: Tree<K>;
    };

export class CubeIndex<K> {
  readonly #cubes: readonly (readonly Part<K>[])[];
  readonly #tree: Tree<K>;

  constructor(cubes: readonly (readonly Part<K>[])[]) {
    this.#cubes = cubes;
    this.#tree = this.#build([...cubes.keys()]);
  }

  /** The numbers of cubes that agree with the known bits, in ascending order. */
  find(known: Known<K>): number[] {
    const found: number[] = [];
    const visit = (tree: Tree<K>): void => {
      if ("of" in tree) {
        const { mask, value } = known(tree.of);
        visit(tree.open);
        if ((mask & tree.bit) === 0 || (value & tree.bit) === 0) visit(tree.zero);
        if ((mask & tree.bit) === 0 || (value & tree.bit) !== 0) visit(tree.one);
        return;
      }
      for (const index of tree) if (this.#agrees(index, known)) found.push(index);
    };
    visit(this.#tree);
    return found.sort((a, b) => a - b);
  }

  /** Whether the known bits alone have one of the cubes that `isAsked` names. */
  covers(known: Known<K>, isAsked: (index: number) => boolean): boolean {
    const visit = (tree: Tree<K>): boolean => {
      if (!("of" in tree)) return tree.some(index => isAsked(index) && this.#holds(index, known));
      const { mask, value } = known(tree.of);
      if ((mask & tree.bit) !== 0 && visit((value & tree.bit) === 0 ? tree.zero : tree.one)) return true;
      return visit(tree.open);
    };
    return visit(this.#tree);
  }

  #holds(index: number, known: Known<K>): boolean {
    for (const part of this.#cubes[index]!) {
      const { mask, value } = known(part.of);
      if ((part.mask & ~mask) !== 0 || ((value ^ part.value) & part.mask) !== 0) return false;
    }
    return true;
  }

  #agrees(index: number, known: Known<K>): boolean {
    for (const part of this.#cubes[index]!) {
      const { mask, value } = known(part.of);
      if (((value ^ part.value) & mask & part.mask) !== 0) return false;
    }
    return true;
  }

  #build(indices: readonly number[]): Tree<K> {
    const best = indices.length <= LEAF ? null : this.#bestBit(indices);
    if (best === null) return indices;
    const { of, bit } = best;
    const parts: [number[], number[], number[]] = [[], [], []];
    for (const index of indices) parts[this.#side(index, of, bit)]!.push(index);
    const [zero, one, open] = parts.map(part => this.#build(part));
    return { of, bit, zero: zero!, one: one!, open: open! };
  }

  /** 0 or 1: what the cube has at a bit; 2: it leaves the bit open. */
  #side(index: number, of: K, bit: number): 0 | 1 | 2 {
    for (const part of this.#cubes[index]!)
      if (part.of === of && (part.mask & bit) !== 0) return (part.value & bit) === 0 ? 0 : 1;
    return 2;
  }

  /** The bit that divides the cubes best; null if none does. */
  #bestBit(indices: readonly number[]): { of: K; bit: number } | null {
    const counts = new Map<K, { zeros: Uint32Array; ones: Uint32Array }>();
    for (const index of indices)
      for (const { of, mask, value } of this.#cubes[index]!) {
        let count = counts.get(of);
        if (count === undefined) {
          count = { zeros: new Uint32Array(32), ones: new Uint32Array(32) };
          counts.set(of, count);
        }
        for (let at = 0; at < 32; at++)
          if ((mask & (1 << at)) !== 0) {
            const side = (value & (1 << at)) === 0 ? count.zeros : count.ones;
            side[at] = side[at]! + 1;
          }
      }
    let best: { of: K; bit: number } | null = null;
    let most = 0;
    for (const [of, { zeros, ones }] of counts)
      for (let at = 0; at < 32; at++) {
        const least = Math.min(zeros[at]!, ones[at]!);
        if (least <= most) continue;
        most = least;
        best = { of, bit: 1 << at };
      }
    return best;
  }
}
