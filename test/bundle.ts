/**
 * Bundles the test files before they run, all at once: a quarter of a second, where a loader that translates in each
 * process takes half a second a file. Also single modules of src/, for tests that run them in a process of their own or
 * with a mistake put in. Packages stay where they are; the bundles lie in node_modules, so that they find them.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import { type BuildOptions, build, type Plugin } from "esbuild";

const here = import.meta.dirname;
const root = dirname(here);

/** Given a source's path in the checkout and its text, the text to bundle. */
export type Edit = (path: string, text: string) => string;

/** A module in a bundle finds the files beside its source, not beside the bundle: these names stand in each. */
const PLACES = { "import.meta.dirname": "SOURCE_FOLDER", "import.meta.url": "SOURCE_URL" };

function sources(edit: Edit): Plugin {
  const load = (path: string): string => {
    const [folder, url] = [dirname(path), pathToFileURL(path).href].map(place => JSON.stringify(place));
    const text = edit(relative(root, path), readFileSync(path, "utf8"));
    return `const SOURCE_FOLDER = ${folder}, SOURCE_URL = ${url}; ${text}`;
  };
  return {
    name: "sources",
    setup: ({ onLoad }) =>
      onLoad({ filter: /\.ts$/ }, ({ path }) => ({ loader: "ts", contents: load(path) })),
  };
}

const folders: string[] = [];
process.on("exit", () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/**
 * Bundles modules, given by their paths in `base`, into a new folder that goes when this process ends. In a test's
 * process it lies in the folder of the run (BUNDLE_DIR), and goes with it even after SIGKILL.
 */
async function bundle(base: string, entries: readonly string[], edit: Edit, more: BuildOptions = {}) {
  const outdir = mkdtempSync(join(process.env.BUNDLE_DIR ?? join(root, "node_modules"), ".bundle-"));
  folders.push(outdir);
  await build({
    absWorkingDir: root,
    entryPoints: entries.map(entry => join(base, entry)),
    outbase: base,
    outdir,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    packages: "external",
    format: "esm",
    platform: "node",
    target: "node20.19",
    plugins: [sources(edit)],
    define: PLACES,
    logLevel: "warning",
    ...more,
  });
  return outdir;
}

/**
 * Bundles files of test/, given by their paths in it, with what they share. Returns the folder, and where in it the
 * bundle of a file is. Throws, once esbuild has said file and line, when one cannot be bundled.
 */
export async function bundleTests(names: readonly string[]) {
  const folder = await bundle(here, names, (_, text) => text, { splitting: true, sourcemap: true });
  return { folder, bundleOf: (name: string): string => join(folder, name.replace(/\.ts$/, ".mjs")) };
}

/** Bundles one module, given by its path in the checkout, edited on its way; returns the bundle's path. */
export async function bundleModule(path: string, edit: Edit = (_, text) => text): Promise<string> {
  const folder = await bundle(join(root, dirname(path)), [basename(path)], edit);
  return join(folder, basename(path).replace(/\.ts$/, ".mjs"));
}
