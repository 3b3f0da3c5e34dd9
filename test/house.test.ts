/**
 * The house rules that can be checked: which room may import which, through which door, where Node's own modules and
 * third-party packages may be used, and that the core stays free of decorators and imports. ARCHITECTURE.md says why.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { assert, suite } from "./harness.ts";

const test = suite("house");
const root = join(import.meta.dirname, "..");

/** Rooms that a room may import. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  errors: [],
  wire: [],
  openflow: ["errors", "wire"],
  intent: ["errors", "wire", "openflow"],
  pipeline: ["wire", "openflow", "intent"],
  core: ["errors", "intent"],
  capture: ["errors", "wire"],
  host: ["errors", "wire", "openflow"],
  replay: ["errors", "wire", "core", "capture", "intent", "openflow", "pipeline"],
  verify: ["wire", "openflow"],
  report: [],
  live: ["errors", "wire", "intent", "core", "capture", "host"],
  bgp: ["errors", "wire"],
  agent: ["errors", "wire", "openflow", "intent", "pipeline", "core", "verify", "live", "host", "bgp"],
  cli: [
    "errors",
    "wire",
    "openflow",
    "intent",
    "pipeline",
    "core",
    "capture",
    "host",
    "replay",
    "verify",
    "live",
    "bgp",
    "agent",
    "report",
  ],
};

/** Rooms, or single files, that may use Node's own modules. */
const MAY_USE_NODE = [
  "capture",
  "replay",
  "live",
  "agent",
  "bgp",
  "host",
  "cli",
  "core/load.ts",
  "intent/read.ts",
  "intent/load.ts",
  "intent/schema-file.ts",
];

function sources(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter(name => name.endsWith(".ts") && !name.endsWith(".d.ts"))
    .map(name => join(folder, name));
}

function importsOf(file: string): string[] {
  const text = readFileSync(join(root, file), "utf8");
  const statements = text.matchAll(/(?:^|\n)\s*(?:import|export)\b[^;"']*?from\s*["']([^"']+)["']/g);
  const calls = text.matchAll(/\bimport\(\s*["']([^"']+)["']/g);
  return [...statements, ...calls].map(match => match[1]!);
}

/** Every import of src/, with the rooms it goes from and to (null: not in src/). */
function crossings(): { file: string; from: string; to: string | null; target: string }[] {
  return sources("src").flatMap(file =>
    importsOf(file)
      .filter(target => target.startsWith("."))
      .map(target => {
        const path = relative(root, join(root, dirname(file), target));
        const to = path.startsWith("src/") ? path.split("/")[1]! : null;
        return { file, from: file.split("/")[1]!, to, target: path };
      }),
  );
}

test("rooms import only what stands below them, and only by the door", () => {
  const seen = crossings();
  assert.ok(seen.length > 50, "the imports were found");
  for (const { file, from, to, target } of seen) {
    assert.ok(from in MAY_IMPORT, `${file}: ${from} is no room of ARCHITECTURE.md`);
    if (to === null || to === from) continue;
    assert.ok(MAY_IMPORT[from]!.includes(to), `${file}: ${from} may not import ${to}`);
    assert.match(target, /\/index\.ts$/, `${file}: ${target} is not the door of ${to}`);
  }
});

test("agent and BGP meet in one file: the others take types from each other's door", () => {
  let count = 0;
  for (const file of sources("src/agent").filter(name => name !== "src/agent/bgp-adapter.ts")) {
    const text = readFileSync(join(root, file), "utf8");
    for (const [statement] of text.matchAll(/^(?:import|export)\b[^;]*from "\.\.\/bgp\/index\.ts";/gm)) {
      const isDoor = file === "src/agent/index.ts" && statement.startsWith("export { BgpError }");
      assert.ok(/^(?:import|export) type\b/.test(statement) || isDoor, `${file}: ${statement}`);
      count++;
    }
  }
  assert.ok(count > 5, "the imports were found");
  for (const { file, from, to } of crossings()) if (from === "bgp") assert.is.not(to, "agent", file);
});

test("of assembly/ the host imports only abi.ts", () => {
  for (const { file, to, target } of crossings()) {
    if (to === null && target.startsWith("assembly/")) assert.is(target, "assembly/abi.ts", file);
  }
});

test("the lab uses src/ by its doors only", () => {
  for (const file of sources("lab")) {
    const inner = importsOf(file).filter(target => target.includes("/src/"));
    for (const target of inner)
      assert.match(target, /\/src\/[a-z]+\/index\.ts$/, `${file}: ${target} is no door`);
  }
});

test("Node's own modules are used at the edges only", () => {
  for (const file of sources("src")) {
    const usesNode = importsOf(file).some(target => target.startsWith("node:"));
    const mayUse = MAY_USE_NODE.some(place => file === `src/${place}` || file.startsWith(`src/${place}/`));
    assert.ok(!usesNode || mayUse, `${file} imports a module of Node's`);
  }
});

test("each third-party package is imported in one file", () => {
  const users = new Map<string, Set<string>>();
  // A yardstick uses a package as its documentation shows it, and so by itself.
  const measured = sources("bench").filter(file => !file.startsWith("bench/yardstick-"));
  for (const file of [...sources("src"), ...measured]) {
    for (const target of importsOf(file)) {
      if (target.startsWith(".") || target.startsWith("node:")) continue;
      const name = target.startsWith("@") ? target.split("/").slice(0, 2).join("/") : target.split("/")[0]!;
      users.set(name, (users.get(name) ?? new Set()).add(file));
    }
  }
  assert.ok(users.has("yaml"), "the packages were found");
  for (const [name, files] of users) assert.is(files.size, 1, `${name}: ${[...files].join(", ")}`);
});

test("the core has no decorators, no strings, and imports only itself", () => {
  for (const file of sources("assembly")) {
    const text = readFileSync(join(root, file), "utf8");
    const code = text.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "").replace(/(from|import) "[^"]*"/g, "");
    assert.not.match(code, /^\s*@/m, `${file} has a decorator`);
    assert.not.match(code, /["'`]/, `${file} has a string`);
    for (const target of importsOf(file)) assert.match(target, /^\./, `${file} imports ${target}`);
  }
});

test("the top level has what the charter names, and the tests mirror the rooms", () => {
  const charter = ["package.json", "asconfig.json", "assembly", "src", "pcaps", "bench", "test"];
  for (const name of charter) assert.ok(existsSync(join(root, name)), name);
  for (const room of ["wire", "intent", "core", "replay", "verify"])
    assert.ok(existsSync(join(root, "test", room)), room);
});

test("functions fit a screen: 70 lines at most", () => {
  for (const file of [...sources("src"), ...sources("assembly"), ...sources("lab")]) {
    const lines = readFileSync(join(root, file), "utf8").split("\n");
    let start = -1;
    for (const [index, line] of lines.entries()) {
      if (/^(?:export )?(?:async )?function\b/.test(line)) start = index;
      if (line !== "}" || start < 0) continue;
      assert.ok(index - start < 70, `${file}:${start + 1}: ${index - start + 1} lines`);
      start = -1;
    }
  }
});

test.run();
