/**
 * One program of the TypeScript compiler over src/, for tests of the house: real types, with files replaced
 * in memory. A second program takes all unchanged files of the first (`oldProgram`), so that a mutant costs
 * tenths of a second.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import ts from "typescript";

export const root = join(import.meta.dirname, "..", "..");

/** Paths in the checkout of the sources below a folder. */
export function sourcesIn(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter(name => name.endsWith(".ts"))
    .map(name => join(folder, name));
}

function options(): ts.CompilerOptions {
  const { config } = ts.readConfigFile(join(root, "tsconfig.json"), path => readFileSync(path, "utf8"));
  return ts.parseJsonConfigFileContent(config, ts.sys, root).options;
}

/** Texts that replace files, by path in the checkout; a path without a file adds one. */
export type Replaced = Readonly<Record<string, string>>;

/** All of src/, or what `old` has, with files replaced. */
export function programOf(replaced: Replaced = {}, old?: ts.Program): ts.Program {
  const settings = old?.getCompilerOptions() ?? options();
  const host = ts.createCompilerHost(settings, true);
  const textOf = (path: string): string | undefined => replaced[relative(root, path)];
  const read = host.getSourceFile.bind(host);
  host.fileExists = path => textOf(path) !== undefined || existsSync(path);
  host.getSourceFile = (path, languageVersion, ...rest) => {
    const text = textOf(path);
    if (text !== undefined) return ts.createSourceFile(path, text, languageVersion, true);
    return old?.getSourceFile(path) ?? read(path, languageVersion, ...rest);
  };
  const names = [...sourcesIn("src"), ...Object.keys(replaced)].map(name => join(root, name));
  return ts.createProgram({
    rootNames: [...new Set(names)],
    options: settings,
    host,
    ...(old === undefined ? {} : { oldProgram: old }),
  });
}

/** `src/cli/main.ts:12: message` for each type error in these files. */
export function errorsIn(program: ts.Program, files: readonly string[]): string[] {
  return files.flatMap(file => {
    const source = program.getSourceFile(join(root, file));
    if (source === undefined) throw new Error(`${file} is not in the program`);
    return program.getSemanticDiagnostics(source).map(({ start = 0, messageText }) => {
      const { line } = source.getLineAndCharacterOfPosition(start);
      return `${file}:${line + 1}: ${ts.flattenDiagnosticMessageText(messageText, " ")}`;
    });
  });
}
