/**
 * Limits on what one person must read at once: functions and methods of at most 70 lines, classes of 300, lines of 110
 * columns; no circles of imports; nothing of six lines or more written twice. Every function counts, however deep it is
 * nested. A canary for each limit shows that a breach is found.
 */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import ts from "typescript";
import { assert, suite } from "../harness.ts";

const test = suite("house/sizes");
const root = join(import.meta.dirname, "../..");
const FUNCTION_LINES_MAX = 70;
const CLASS_LINES_MAX = 300;
const COLUMNS_MAX = 110;
/** A run of that many lines that stands in two places is one too many. */
const TWIN_LINES = 6;

interface SourceText {
  readonly file: string;
  readonly text: string;
}

function sourcesOf(...folders: readonly string[]): SourceText[] {
  return folders.flatMap(folder =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      .filter(name => name.endsWith(".ts") && !name.endsWith(".d.ts"))
      .map(name => join(folder, name))
      .map(file => ({ file, text: readFileSync(join(root, file), "utf8") })),
  );
}

/** Functions, methods and classes that are too long, as `file:line: name has N lines`. */
function tooLong({ file, text }: SourceText): string[] {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  const found: string[] = [];
  const lineAt = (position: number): number => source.getLineAndCharacterOfPosition(position).line + 1;
  const visit = (node: ts.Node): void => {
    const limit = ts.isClassLike(node)
      ? CLASS_LINES_MAX
      : ts.isFunctionLike(node)
        ? FUNCTION_LINES_MAX
        : Infinity;
    const start = lineAt(node.getStart(source));
    const lines = lineAt(node.end) - start + 1;
    if (lines > limit) {
      const name = (node as ts.FunctionLikeDeclaration).name?.getText(source) ?? "a function";
      found.push(`${file}:${start}: ${name} has ${lines} lines, of at most ${limit}`);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

function tooWide({ file, text }: SourceText): string[] {
  return text.split("\n").flatMap((line, index) => {
    const columns = [...line].length;
    return columns > COLUMNS_MAX
      ? [`${file}:${index + 1}: ${columns} columns, of at most ${COLUMNS_MAX}`]
      : [];
  });
}

/** Files that import each other, in a circle of any length, types included. */
function circles(sources: readonly SourceText[]): string[] {
  const targets = new Map<string, string[]>();
  const names = new Set(sources.map(({ file }) => file));
  for (const { file, text } of sources) {
    const imported = [...text.matchAll(/(?:^|\n)\s*(?:import|export)\b[^;"']*?from\s*"(\.[^"]+)"/g)]
      .map(match => join(dirname(file), match[1]!))
      .map(path => (path.endsWith(".ts") ? path : `${path}.ts`));
    targets.set(
      file,
      imported.filter(path => names.has(path)),
    );
  }
  const found: string[] = [];
  const done = new Set<string>();
  const follow = (file: string, path: readonly string[]): void => {
    const at = path.indexOf(file);
    if (at >= 0) found.push([...path.slice(at), file].join(" → "));
    if (at >= 0 || done.has(file)) return;
    for (const target of targets.get(file)!) follow(target, [...path, file]);
    done.add(file);
  };
  for (const file of names) follow(file, []);
  return found;
}

/** Fields, parameters, members of unions and labels of cases; rows of tables of data, which are alike by their nature. */
const DECLARATION = /^(?:(?:readonly )?[\w#]+\??: [^(){}]*[,;]|\| "\w+"|case [^:]+:)$/;

/** What a line contributes to a comparison of files: its text, or nothing for comments and declarations. */
function logicOf(line: string): string {
  const text = line.trim().replace(/\s+/g, " ");
  return /^(?:\/\/|\/?\*)/.test(text) || !/\w/.test(text) || DECLARATION.test(text) ? "" : text;
}

/** Lines of logic with their numbers, without imports, which are alike wherever the same names are needed. */
function codeLines(text: string): { line: number; text: string }[] {
  const isImport = /^(?:import|export)\b[^;]*?from "[^"]*";/gm;
  const blank = text.replace(isImport, statement => statement.replace(/[^\n]/g, ""));
  return blank
    .split("\n")
    .map((line, index) => ({ line: index + 1, text: logicOf(line) }))
    .filter(({ text: kept }) => kept !== "");
}

/** Runs of TWIN_LINES lines of code that stand in two places. */
function twins(sources: readonly SourceText[]): string[] {
  const places = new Map<string, string>();
  const found: string[] = [];
  for (const { file, text } of sources) {
    const lines = codeLines(text);
    for (let at = 0; at + TWIN_LINES <= lines.length; at++) {
      const run = lines
        .slice(at, at + TWIN_LINES)
        .map(({ text: line }) => line)
        .join("\n");
      const place = `${file}:${lines[at]!.line}`;
      const other = places.get(run);
      if (other === undefined) places.set(run, place);
      else found.push(`${place} repeats ${other}`);
    }
  }
  return found;
}

const PRODUCT = sourcesOf("src", "assembly", "lab", "bench");

test("functions, methods and classes have a limit of lines", () => {
  assert.equal(PRODUCT.flatMap(tooLong), []);
});

test("no line is wider than a page", () => {
  assert.equal(PRODUCT.flatMap(tooWide), []);
});

test("no circles of imports", () => {
  assert.equal(circles(PRODUCT), []);
});

test("nothing of six lines or more is written twice", () => {
  assert.equal(twins(PRODUCT), []);
});

test("canaries: a breach of each limit is found", () => {
  const lines = (count: number): string => "    run();\n".repeat(count);
  const method = (count: number): string => `class A {\n  go() {\n${lines(count)}  }\n}\n`;
  assert.equal(tooLong({ file: "a.ts", text: method(FUNCTION_LINES_MAX - 2) }), []);
  assert.equal(tooLong({ file: "a.ts", text: method(FUNCTION_LINES_MAX - 1) }).length, 1);
  assert.equal(tooLong({ file: "a.ts", text: `const f = () => {\n${lines(70)}};\n` }).length, 1);
  assert.equal(tooLong({ file: "a.ts", text: `class A {\n${"  x = 1;\n".repeat(299)}}\n` }).length, 1);
  assert.equal(tooWide({ file: "a.ts", text: `// ${"x".repeat(107)}` }), []);
  assert.equal(tooWide({ file: "a.ts", text: `// ${"x".repeat(108)}` }).length, 1);
  const a = { file: "src/a.ts", text: 'import type { B } from "./b.ts";\n' };
  const b = { file: "src/b.ts", text: 'export { c } from "./c.ts";\n' };
  assert.equal(circles([a, b, { file: "src/c.ts", text: "" }]), []);
  assert.equal(circles([a, b, { file: "src/c.ts", text: 'import { a } from "./a.ts";\n' }]).length, 1);
  const six = ["one();", "two();", "three();", "four();", "five();", "six();"];
  const spread = six.join("\n\n// a comment\n");
  assert.equal(
    twins([
      { file: "a.ts", text: six.join("\n") },
      { file: "b.ts", text: spread },
    ]).length,
    1,
  );
  assert.equal(
    twins([
      { file: "a.ts", text: six.join("\n") },
      { file: "b.ts", text: six.slice(1).join("\n") },
    ]),
    [],
  );
});

test.run();
