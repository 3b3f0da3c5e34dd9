/**
 * A value that a file of src/, lab/ or bench/ exports is imported by another file, be it a test. If none imports
 * it, it loses its `export`, and the compiler then reports it if its own file does not use it either. Only names
 * are compared, without types: `export type` is not held, and a file that is imported as a whole lends every
 * name that its importer contains.
 */
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import ts from "typescript";
import { assert, suite } from "../harness.ts";
import { root, sourcesIn } from "./program.ts";

const test = suite("house/exports");

/** Names of values by the file that exports them, those imported from it, and the files passed on whole. */
class Exports {
  readonly made = new Map<string, Set<string>>();
  readonly #used = new Map<string, Set<string>>();
  readonly #stars = new Map<string, Set<string>>();

  constructor(texts: Readonly<Record<string, string>>) {
    for (const [file, text] of Object.entries(texts))
      this.#read(file, ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true));
  }

  #read(file: string, source: ts.SourceFile): void {
    const made = entry(this.made, file);
    const visit = (node: ts.Node): void => {
      if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) this.#link(file, node);
      const isCalled = ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword;
      const path = isCalled ? node.arguments[0]! : null;
      if (path !== null && ts.isStringLiteral(path)) this.#lend(join(dirname(file), path.text), source.text);
      ts.forEachChild(node, visit);
    };
    visit(source);
    for (const node of source.statements) {
      const isOut = ts.canHaveModifiers(node) && node.modifiers?.[0]?.kind === ts.SyntaxKind.ExportKeyword;
      if (!isOut || ts.isTypeAliasDeclaration(node) || ts.isInterfaceDeclaration(node)) continue;
      const named = ts.isVariableStatement(node)
        ? node.declarationList.declarations
        : [node as ts.FunctionDeclaration];
      for (const { name } of named) if (name !== undefined && ts.isIdentifier(name)) made.add(name.text);
    }
  }

  #link(file: string, node: ts.ImportDeclaration | ts.ExportDeclaration): void {
    if (node.moduleSpecifier === undefined) return;
    const from = join(dirname(file), (node.moduleSpecifier as ts.StringLiteral).text);
    const names = ts.isImportDeclaration(node) ? node.importClause?.namedBindings : node.exportClause;
    if (names !== undefined && (ts.isNamedImports(names) || ts.isNamedExports(names)))
      for (const { name, propertyName, isTypeOnly } of names.elements) {
        entry(this.#used, from).add((propertyName ?? name).text);
        if (ts.isExportDeclaration(node) && !isTypeOnly && !node.isTypeOnly)
          entry(this.made, file).add(name.text);
      }
    else if (ts.isExportDeclaration(node)) entry(this.#stars, file).add(from);
    else if (names !== undefined) this.#lend(from, node.getSourceFile().text);
  }

  #lend(from: string, text: string): void {
    for (const [word] of text.matchAll(/\w+/g)) entry(this.#used, from).add(word);
  }

  /** Whether a file, or one that passes it on whole, is asked for the name. */
  #isUsed(file: string, name: string): boolean {
    const through = [...this.#stars].filter(([, files]) => files.has(file)).map(([by]) => by);
    return this.#used.get(file)?.has(name) === true || through.some(by => this.#isUsed(by, name));
  }

  unused(): string[] {
    return [...this.made].flatMap(([file, names]) =>
      [...names].filter(name => !this.#isUsed(file, name)).map(name => `${file}: ${name}`),
    );
  }
}

function entry(map: Map<string, Set<string>>, key: string): Set<string> {
  const found = map.get(key) ?? new Set();
  map.set(key, found);
  return found;
}

/** Tests; what the program imports by a computed path; two rooms that are not held yet. */
const EXCEPTIONS = /^(test\/|bench\/main\.ts: bench$|src\/(agent|bgp)\/index\.ts: )/;

test("every exported value is imported", () => {
  const files = ["src", "lab", "bench", "test"].flatMap(sourcesIn);
  const found = new Exports(
    Object.fromEntries(files.map(file => [file, readFileSync(join(root, file), "utf8")])),
  );
  assert.equal(
    found.unused().filter(name => !EXCEPTIONS.test(name)),
    [],
  );
});

test("canary: an export without import is found; static, passed on and dynamic imports count", () => {
  const unused = (user: string): string[] =>
    new Exports({ "a.ts": "export const a = 1;", "b.ts": user, "i.ts": 'export * from "./a.ts";' }).unused();
  assert.equal(unused("const a = 2;"), ["a.ts: a"]);
  for (const path of ["./a.ts", "./i.ts"]) assert.equal(unused(`import { a } from "${path}";`), []);
  assert.equal(unused('(await import("./a.ts")).a;'), []);
  assert.equal(unused('export { a } from "./a.ts";'), ["b.ts: a"]);
});

test.run();
