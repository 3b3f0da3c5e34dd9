/**
 * All set-up of a checkout: installs the packages of package-lock.json and builds build/ (the core in three forms and
 * the bundled program), whatever of it is missing or stale. Runs before `npm start`, `npm test` and `npm run bench`,
 * needs nothing but Node and npm, and says what it does. `--force` builds in any case.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { compileCore } from "./compile.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  process.stderr.write(`setup: Node ${process.versions.node} is too old; 20.19 or newer is needed\n`);
  process.exit(1);
}

const say = text => process.stderr.write(`setup: ${text}\n`);
const at = (...parts) => join(root, ...parts);

/** A number that changes when one of the files does. */
function fingerprint(files) {
  const hash = createHash("sha256");
  for (const file of files.sort()) hash.update(`${file}\0`).update(readFileSync(at(file)));
  return hash.digest("hex");
}

function filesIn(folder) {
  return readdirSync(at(folder), { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath ?? entry.path, entry.name).slice(root.length + 1));
}

function isFresh(stamp, wanted) {
  return existsSync(stamp) && readFileSync(stamp, "utf8") === wanted;
}

function install() {
  const stamp = at("node_modules", ".slash32");
  const wanted = fingerprint(["package-lock.json", ".npmrc"]);
  if (isFresh(stamp, wanted)) return;
  say("installing packages (npm ci --ignore-scripts)");
  // npm sets npm_execpath for its scripts; called by node directly there is only the one on PATH.
  const npm = process.env.npm_execpath;
  const args = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  const options = { cwd: root, stdio: ["ignore", 2, 2] };
  if (npm?.endsWith(".js")) execFileSync(process.execPath, [npm, ...args], options);
  else execFileSync(process.platform === "win32" ? "npm.cmd" : "npm", args, options);
  writeFileSync(stamp, wanted);
}

async function build() {
  const stamp = at("build", ".stamp");
  const inputs = ["asconfig.json", "package.json", "package-lock.json", "bin/setup.mjs", "bin/compile.mjs"];
  const wanted = fingerprint([
    ...inputs,
    ...filesIn("assembly"),
    ...filesIn("src"),
    ...filesIn("bench"),
    ...filesIn("lab"),
    ...filesIn("test/ovs"),
  ]);
  if (isFresh(stamp, wanted) && !process.argv.includes("--force")) return;
  rmSync(at("build"), { recursive: true, force: true });
  mkdirSync(at("build"));
  await buildCore();
  await buildProgram();
  writeFileSync(stamp, wanted);
}

async function buildCore() {
  const files = { release: "core.wasm", scalar: "core.scalar.wasm", debug: "core.debug.wasm" };
  for (const [target, file] of Object.entries(files)) {
    say(`compiling the core (${target})`);
    writeFileSync(at("build", file), await compileCore(root, target));
  }
}

const BUNDLE = {
  absWorkingDir: root,
  outdir: "build",
  bundle: true,
  minify: true,
  format: "esm",
  platform: "node",
  target: "node20.19",
  // Its CommonJS form, which Node would take, cannot be tree-shaken and wants `require`.
  alias: { yaml: at("node_modules", "yaml", "browser", "index.js") },
  // Native code, and what is only there for some: found where the package is installed.
  external: [
    "koffi",
    "cap",
    "prom-client",
    "pino",
    "@grpc/grpc-js",
    "@grpc/proto-loader",
    "protobufjs",
    "xz-decompress",
  ],
  logLevel: "warning",
};

async function buildProgram() {
  say("bundling the program");
  const { build: bundle } = await import("esbuild");
  await bundle({
    ...BUNDLE,
    entryPoints: {
      slash32: "src/cli/main.ts",
      "replay-worker": "src/replay/worker-thread.ts",
      "live-worker": "src/live/forwarder-thread.ts",
      "proof-worker": "src/agent/proof-worker.ts",
    },
    splitting: true,
    chunkNames: "[name]-[hash]",
  });
  // By itself: what the benchmark shares with the program would otherwise be cut out of it, for every command to load.
  await bundle({
    ...BUNDLE,
    entryPoints: { bench: "bench/main.ts", "bench-load": "bench/load.ts", "bench-stream": "bench/stream.ts" },
    // A row that has packages of its own is loaded when it is asked for.
    splitting: true,
    chunkNames: "bench-[name]-[hash]",
  });
  // One file without chunks: rows of a checkout, which the published package leaves out.
  await bundle({ ...BUNDLE, entryPoints: { "checkout-rows": "bench/checkout-rows.ts" } });
}

process.chdir(root);
install();
await build();
