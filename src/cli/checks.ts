/**
 * Checks that several commands make before anything is read or written: standard input has one reader,
 * standard output one kind of data, and no output replaces an input or another output (compared by device
 * and inode, not by name).
 */
import { identityOf, touchedBy } from "../capture/index.ts";
import type { Context } from "./context.ts";
import { UsageError } from "./errors.ts";

/** The option that names an output, and its value. */
export type Output = readonly [option: string, path: string];

/** What an input is called in messages, and its path. */
export type Input = readonly [noun: string, path: string];

/** The inputs that these options name, those that are given. */
export function inputsOf(context: Context, nouns: Readonly<Record<string, string>>): Input[] {
  return Object.entries(nouns).flatMap(([option, noun]): Input[] => {
    const path = context.text(option);
    return path === undefined ? [] : [[noun, path]];
  });
}

/** Captures as inputs, by what stands behind `PORT=`. */
export function captureInputs(captures: readonly string[]): Input[] {
  return captures.map(
    (text): Input => ["a capture", text === "-" ? text : text.slice(text.indexOf("=") + 1)],
  );
}

/** The outputs that these options name, those that are given. */
export function outputsOf(context: Context, options: readonly string[]): Output[] {
  return options.flatMap(option =>
    [context.text(option), ...context.texts(option)].flatMap((path): Output[] =>
      path === undefined ? [] : [[option, path]],
    ),
  );
}

/** Those of these options whose data goes to standard output. */
export function onStandardOutput(context: Context, options: readonly string[]): string[] {
  const spelled = (name: string): string => {
    const short = context.command.options.find(option => option.name === name)?.short;
    return short === undefined ? `--${name}` : `-${short}`;
  };
  return outputsOf(context, options).flatMap(([option, path]) => (path === "-" ? [spelled(option)] : []));
}

/** Refuses a second input on standard input. Throws UsageError. */
export function oneStandardInput(inputs: readonly Input[]): void {
  const nouns = inputs.filter(([, path]) => path === "-").map(([noun]) => noun);
  if (nouns.length > 1)
    throw new UsageError(`standard input is given twice, as ${nouns.join(" and ")}; use a file for one`);
}

/** Refuses an output that would replace an input or another output. Throws UsageError. */
export function refuseReplacing(outputs: readonly Output[], inputs: readonly Input[]): void {
  const taken = new Map<string | null, string>();
  for (const [noun, path] of inputs)
    if (path !== "-") taken.set(identityOf(path), `the file is also being read as ${noun}`);
  taken.delete(null);
  for (const [option, path] of outputs) {
    if (path === "-") continue;
    const own = touchedBy(path);
    const why = own.map(identity => taken.get(identity)).find(reason => reason !== undefined);
    if (why !== undefined) throw new UsageError(`--${option} ${path}: ${why}; choose another output`);
    for (const identity of own) taken.set(identity, "the file is also being written");
  }
}

/** Refuses a report in a format that the command does not write. Throws UsageError. */
export function refuseReportFormats(context: Context, endings: readonly string[], isStdout = true): void {
  for (const [, file] of outputsOf(context, ["report"])) {
    if (file === "-" ? isStdout : endings.some(ending => file.endsWith(ending))) continue;
    const list = `${endings.slice(0, -1).join(", ")} or ${endings.at(-1)}`;
    throw new UsageError(
      `--report ${file}: unknown report format; expected a name ending in ${list}${isStdout ? ", or -" : ""}`,
    );
  }
}

/** The one intent of a command that takes it as argument or as -n. Throws UsageError. */
export function oneIntent(context: Context): string {
  const paths = [...context.positionals, ...[context.text("intent")].filter(path => path !== undefined)];
  if (paths.length === 1) return paths[0]!;
  const { name } = context.command;
  throw new UsageError(`${name}: expected one intent, got ${paths.length}: slash32 ${name} INTENT`);
}
