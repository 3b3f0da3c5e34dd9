/**
 * Pages for developers name files: each path below a folder of the checkout that stands in backticks in ARCHITECTURE.md,
 * CONTRIBUTING.md and docs/dev/*.md must exist, so must the files that a row of docs/dev names beside a path, and docs/dev
 * /prover.md must list the files of src/verify. A path with a name in capital letters is a pattern for a new file, and its
 * folder must exist. Also: docs/pipeline.md has every drop reason in its table for operators, and no other.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { REASONS } from "../../src/core/index.ts";
import { assert, suite } from "../harness.ts";

const test = suite("docs/paths");
const root = join(import.meta.dirname, "../..");
const read = (page: string): string => readFileSync(join(root, page), "utf8");

const PAGES = [
  "ARCHITECTURE.md",
  "CONTRIBUTING.md",
  ...readdirSync(join(root, "docs/dev"))
    .filter(name => name.endsWith(".md"))
    .map(name => `docs/dev/${name}`),
];

const FOLDERS = /^(?:src|assembly|test|lab|bench|bin|pcaps|examples)\//;
/** A part of a path that the reader replaces (NAME), or that stands for several files. */
const OPEN = /^[A-Z]+(?:\.\w+)?$|\*/;

/** Paths in backticks; a brace lists several: `test/fuzz/{matches,actions}.ts`. */
function pathsOf(markdown: string): string[] {
  const prose = markdown.replace(/^```[\s\S]*?^```$/gm, "");
  const paths = [...prose.matchAll(/`([^`\s]+)`/g)]
    .map(([, path = ""]) => path)
    .filter(path => FOLDERS.test(path));
  return paths.flatMap(path => {
    const [, before = "", names, after = ""] = /^(.*)\{(.*)\}(.*)$/.exec(path) ?? [];
    return names === undefined ? [path] : names.split(",").map(name => `${before}${name}${after}`);
  });
}

function missingIn(page: string, markdown: string, exists: (path: string) => boolean): string[] {
  const known = (path: string): string => (OPEN.test(basename(path)) ? `${dirname(path)}/` : path);
  return pathsOf(markdown)
    .filter(path => !exists(known(path)))
    .map(path => `${page}: ${path}`);
}

const isHere = (path: string): boolean => existsSync(join(root, path));

test("every path in the pages for developers exists", () => {
  assert.ok(PAGES.flatMap(page => pathsOf(read(page))).length > 80);
  assert.equal(
    PAGES.flatMap(page => missingIn(page, read(page), isHere)),
    [],
  );
});

test("a path that does not exist is reported, and a pattern for new files is not", () => {
  const page =
    "`src/cli/NAME.ts` and `test/{a,b}.ts` and `pcaps/x-*.ts`, not `npm test -- src/x`\n```\n`src/y`\n```\n";
  const exists = (path: string): boolean => ["src/cli/", "pcaps/", "test/a.ts"].includes(path);
  assert.equal(missingIn("a.md", page, exists), ["a.md: test/b.ts"]);
  assert.equal(missingIn("a.md", "`src/gone/NAME.ts`", exists), ["a.md: src/gone/NAME.ts"]);
});

/** The files of the tables below a heading that names a folder: `**symbolic/**`. */
function listedIn(markdown: string): string[] {
  const listed: string[] = [];
  let folder: string | null = null;
  for (const line of markdown.split("\n")) {
    const heading = /^\*\*([\w/]+?)\/?\*\*$/.exec(line);
    if (heading !== null) folder = heading[1] === "src/verify" ? "" : `${heading[1]}/`;
    else if (line.startsWith("## ")) folder = null;
    const file = /^\| `([\w-]+\.ts)` \|/.exec(line);
    if (folder !== null && file !== null) listed.push(`${folder}${file[1]}`);
  }
  return listed.sort();
}

test("docs/dev/prover.md lists the files of src/verify, and no other", () => {
  const files = readdirSync(join(root, "src/verify"), { recursive: true, encoding: "utf8" });
  assert.equal(listedIn(read("docs/dev/prover.md")), files.filter(name => name.endsWith(".ts")).sort());
});

test("a list of files ends at the next heading", () => {
  assert.equal(
    listedIn("**paths/**\n\n| `b.ts` | x |\n**src/verify**\n| `a.ts` | y |\n## End\n| `c.ts` | z |\n"),
    ["a.ts", "paths/b.ts"],
  );
});

/** The first cells of the table that follows a line. */
function cellsAfter(markdown: string, line: string): string[] {
  const start = markdown.indexOf(`\n${line}\n`);
  const table = /(?:^\|.*\n)+/m.exec(markdown.slice(start))?.[0] ?? "";
  return start < 0 ? [] : [...table.matchAll(/^\| `([\w-]+)` \|/gm)].map(([, name = ""]) => name);
}

test("docs/pipeline.md gives operators a cause for every drop reason, and for no other", () => {
  const reasons = REASONS.filter(name => name !== "none");
  assert.equal(cellsAfter(read("docs/pipeline.md"), "Causes, for an operator:").sort(), [...reasons].sort());
});

test("a row that is missing in a table shows", () => {
  assert.equal(
    cellsAfter("x\nThe list:\n\n| a | b |\n|---|---|\n| `one` | 1 |\n\n| `two` | 2 |\n", "The list:"),
    ["one"],
  );
});

test.run();
