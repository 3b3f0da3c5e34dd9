/**
 * Mutants of the prover: a bundle of it with one piece of its text replaced, loaded beside the real
 * one. A test of the prover that does not notice them is worth nothing.
 */
import { pathToFileURL } from "node:url";
import { bundleModule } from "../../bundle.ts";
import type { Prover } from "./judge.ts";

export interface Plant {
  /** What is wrong then. */
  readonly name: string;
  /** File in src/verify. */
  readonly file: string;
  readonly find: string;
  readonly put: string;
  /**
   * Random pairs by which it is noticed, from FIRST_SEED on, with as many to spare; 0: by the kept pairs
   * alone.
   */
  readonly within: number;
  /** It is in what cuts a proof short; the others are looked for with that turned off. */
  readonly isInShortcut?: boolean;
}

/** Where the search for a mutant begins. */
export const FIRST_SEED = 9000;

/** One for each thing that the prover must not forget. */
export const PLANTS: readonly Plant[] = [
  {
    name: "destination MACs are not compared",
    file: "product/compare-packets.ts",
    find: "let word = WIRE_FROM;",
    put: "let word = WIRE_FROM + 2;",
    within: 40,
  },
  {
    name: "output to in_port is sent",
    file: "symbolic/outputs.ts",
    find: "notTo: hidden",
    put: "notTo: null",
    within: 0,
  },
  {
    name: "a TTL of 1 is lowered",
    file: "symbolic/actions.ts",
    find: "of [0, 1]) if",
    put: "of [0]) if",
    within: 0,
  },
  {
    name: "ties of rules are overlooked",
    file: "symbolic/overlaps.ts",
    find: "return texts.actionsOf(a.flow) !== texts.actionsOf(b.flow);",
    put: "return false;",
    within: 60,
  },
  {
    name: "an obligation is proven once it was tried",
    file: "product/lockstep.ts",
    find: "const isEqual = this.#explore(",
    put: "const isEqual = [true][0] ?? this.#explore(",
    within: 40,
  },
  {
    name: "obligations are told apart by their lookups alone",
    file: "product/state-names.ts",
    find: "namer.words(state.flow),",
    put: '"",',
    within: 0,
  },
  {
    name: "the action set is not part of an obligation",
    file: "product/state-names.ts",
    find: "namer.list(state.actionSet),",
    put: '"",',
    within: 0,
  },
  {
    name: "a bucket's changes stay",
    file: "symbolic/machine.ts",
    find: "{ ...replaceTop(after, null), flow: top.flow, wasMpls: top.wasMpls, isOver: false }",
    put: "{ ...replaceTop(after, null), isOver: false }",
    within: 0,
  },
  {
    name: "part of what does not match is forgotten",
    file: "paths/path-condition.ts",
    find: "if (denied !== null) no.push(denied);",
    put: "if (denied !== null && no.length > 0) no.push(denied);",
    within: 40,
  },
  {
    name: "an error does not undo the pass",
    file: "symbolic/passes.ts",
    find: "(state.error === null ? state.left : [])",
    put: "state.left",
    within: 0,
  },
];

/**
 * The prover with a bug; `isPlanted` false when there is no such text in it any more. It comes with a flow
 * language of its own: what the two hand each other, flows and groups, is plain data.
 */
export async function withPlant(
  plant: Plant,
  use: (prover: Prover) => void,
): Promise<{ readonly isPlanted: boolean }> {
  let isPlanted = false;
  const bundle = await bundleModule("src/verify/prove.ts", (path, text) => {
    if (path !== `src/verify/${plant.file}` || !text.includes(plant.find)) return text;
    isPlanted = true;
    return text.replaceAll(plant.find, () => plant.put);
  });
  const { prove } = (await import(pathToFileURL(bundle).href)) as { prove: Prover };
  const isThorough = !plant.isInShortcut;
  if (isPlanted) use((a, b, options) => prove(a, b, { ...options, isThorough }));
  return { isPlanted };
}
