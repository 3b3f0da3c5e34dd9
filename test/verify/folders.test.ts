/**
 * The folders of the prover: imports go one way, symbolic ← paths ← product ← counterexample, and no file
 * imports itself by way of others, type-only imports included. Files beside the folders are below all of
 * them or above.
 */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { assert, suite } from "../harness.ts";

const test = suite("verify › folders");
const room = join(import.meta.dirname, "../../src/verify");

/** Layers, the lowest first: each may import itself and those before it. */
const LAYERS: readonly (readonly string[])[] = [
  ["budget.ts", "findings.ts"],
  ["symbolic"],
  ["paths"],
  ["product"],
  ["counterexample"],
  ["cookies.ts", "prove.ts"],
  ["index.ts"],
];

const files = readdirSync(room, { recursive: true, encoding: "utf8" }).filter(file => file.endsWith(".ts"));
const IMPORT = /^(?:import|export)\b[^;"]*?from "(\.[^"]+)";|\bimport\("(\.[^"]+)"\)/gm;

/** Files of src/verify that a file imports; other modules only by their index.ts. */
function importsOf(file: string): string[] {
  const text = readFileSync(join(room, file), "utf8");
  return [...text.matchAll(IMPORT)]
    .map(([, from, dynamic]) => relative(room, join(room, dirname(file), (from ?? dynamic)!)))
    .filter(path => !path.startsWith(".."));
}

const imports = new Map(files.map(file => [file, importsOf(file)]));
const layerOf = (file: string): number => LAYERS.findIndex(layer => layer.includes(file.split("/")[0]!));

/** A cycle of imports that starts and ends with the same file; null if there is none. */
function cycleIn(graph: ReadonlyMap<string, readonly string[]>): string[] | null {
  const done = new Set<string>();
  const visit = (file: string, trail: readonly string[]): string[] | null => {
    if (trail.includes(file)) return [...trail.slice(trail.indexOf(file)), file];
    if (done.has(file)) return null;
    for (const next of graph.get(file) ?? []) {
      const found = visit(next, [...trail, file]);
      if (found !== null) return found;
    }
    done.add(file);
    return null;
  };
  for (const file of graph.keys()) {
    const found = visit(file, []);
    if (found !== null) return found;
  }
  return null;
}

test("every file is in a layer, and every import names a file", () => {
  assert.ok(files.length > 50, `${files.length} files`);
  for (const file of files) assert.ok(layerOf(file) >= 0, `${file} is in no layer`);
  for (const [file, found] of imports)
    for (const path of found) assert.ok(imports.has(path), `${file} imports ${path}`);
  assert.ok([...imports.values()].flat().length > 200, "imports are found");
});

test("imports go one way", () => {
  const wrong = [...imports].flatMap(([file, found]) =>
    found.filter(path => layerOf(path) > layerOf(file)).map(path => `${file} imports ${path}`),
  );
  assert.equal(wrong, []);
});

test("there is no cycle of imports", () => {
  assert.is(cycleIn(imports), null);
  const looped = new Map(imports).set("budget.ts", ["prove.ts"]);
  assert.ok(cycleIn(looped)?.includes("budget.ts"), "an added cycle is found");
});

test.run();
