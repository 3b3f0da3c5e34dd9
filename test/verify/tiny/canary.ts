/**
 * Bugs planted in the prover: a copy of its folder with one piece of text replaced, loaded beside the real one. A test of
 * the prover that does not notice them is worth nothing.
 */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Prover } from "./judge.ts";

export interface Plant {
  /** What is wrong then. */
  readonly name: string;
  /** File in src/verify/prove. */
  readonly file: string;
  readonly find: string;
  readonly put: string;
  /** Random pairs by which it is noticed, from FIRST_SEED on, with as many to spare; 0: by the kept pairs alone. */
  readonly within: number;
}

/** Where the search for a planted bug begins. */
export const FIRST_SEED = 9000;

/** One for each thing that the prover must not forget. */
export const PLANTS: readonly Plant[] = [
  {
    name: "destination MACs are not compared",
    file: "compare.ts",
    find: "let word = WIRE_FROM;",
    put: "let word = WIRE_FROM + 2;",
    within: 40,
  },
  {
    name: "output to in_port is sent",
    file: "machine.ts",
    find: "notTo: hidden",
    put: "notTo: null",
    within: 0,
  },
  {
    name: "a TTL of 1 is lowered",
    file: "changes.ts",
    find: "of [0, 1]) if",
    put: "of [0]) if",
    within: 0,
  },
  {
    name: "ties of rules are overlooked",
    file: "overlaps.ts",
    find: "return program.actionsOf(a.flow) !== program.actionsOf(b.flow);",
    put: "return false;",
    within: 60,
  },
  {
    name: "an obligation is proven once it was tried",
    file: "product.ts",
    find: "const isEqual = this.#explore(",
    put: "const isEqual = [true][0] ?? this.#explore(",
    within: 40,
  },
  {
    name: "obligations are told apart by their lookups alone",
    file: "product.ts",
    find: "namer.words(state.flow),",
    put: '"",',
    within: 0,
  },
  {
    name: "the action set is not part of an obligation",
    file: "product.ts",
    find: "namer.list(state.actionSet),",
    put: '"",',
    within: 0,
  },
  {
    name: "a bucket's changes stay",
    file: "machine.ts",
    find: "{ ...replaceTop(after, null), flow: top.flow, wasMpls: top.wasMpls, isOver: false }",
    put: "{ ...replaceTop(after, null), isOver: false }",
    within: 0,
  },
  {
    name: "part of what does not match is forgotten",
    file: "path.ts",
    find: "if (denied !== null) no.push(denied);",
    put: "if (denied !== null && no.length > 0) no.push(denied);",
    within: 40,
  },
  {
    name: "an error does not undo the pass",
    file: "machine.ts",
    find: "(state.error === null ? state.left : [])",
    put: "state.left",
    within: 0,
  },
];

const prover = join(import.meta.dirname, "../../../src/verify/prove");
const room = (name: string): string => pathToFileURL(join(prover, "../..", name)).href;

/** The prover with a bug; `isPlanted` false when there is no such text in it any more. */
export async function withPlant(
  plant: Plant,
  use: (prover: Prover) => void,
): Promise<{ readonly isPlanted: boolean }> {
  const folder = mkdtempSync(join(tmpdir(), "slash32-plant-"));
  try {
    cpSync(prover, folder, { recursive: true });
    writeFileSync(join(folder, "package.json"), '{"type":"module"}');
    let isPlanted = false;
    for (const name of readdirSync(folder).filter(file => file.endsWith(".ts"))) {
      const text = readFileSync(join(folder, name), "utf8").replaceAll(
        /"\.\.\/\.\.\/([^"]+)"/g,
        (_, path: string) => JSON.stringify(room(path)),
      );
      const isHere = name === plant.file && text.includes(plant.find);
      isPlanted ||= isHere;
      writeFileSync(join(folder, name), isHere ? text.replaceAll(plant.find, () => plant.put) : text);
    }
    const { prove } = (await import(pathToFileURL(join(folder, "prove.ts")).href)) as { prove: Prover };
    if (isPlanted) use(prove);
    return { isPlanted };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
