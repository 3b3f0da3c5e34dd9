/**
 * The command line against a command's object: options and arguments, the checks that the object declares,
 * and usage errors of one line each. The parsing itself is Node's util.parseArgs; its messages are
 * replaced.
 */
import { parseArgs } from "node:util";
import type { Command, Run } from "./command.ts";
import type { Context, Parsed } from "./context.ts";
import { UsageError } from "./errors.ts";

/** Parses the words behind the command's name. Throws UsageError. */
export function parse(command: Command, args: readonly string[]): Parsed {
  const options = Object.fromEntries(
    command.options.map(({ name, short, value, isRepeatable }) => [
      name,
      {
        type: value === undefined ? ("boolean" as const) : ("string" as const),
        ...(short === undefined ? {} : { short }),
        multiple: isRepeatable === true,
      },
    ]),
  );
  try {
    const parsed = parseArgs({
      args: [...args],
      options,
      allowPositionals: true,
      tokens: true,
    });
    refuseRepeated(command, parsed.tokens);
    return parsed;
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(rephrase(command, error as Error & { code?: string }));
  }
}

/** Checks arguments and options against what the command declares. Gives its work. Throws UsageError. */
export function checked(command: Command, context: Context): Run {
  const [word, ...more] = context.positionals;
  const { name, subcommands, noArguments, dependences = [] } = command;
  const act = word === undefined || subcommands === undefined ? command : subcommandOf(command, word);
  const extra = subcommands === undefined ? word : more[0];
  if (extra !== undefined && noArguments !== undefined)
    throw new UsageError(`${name}: unexpected argument "${extra}"; ${noArguments}`);
  for (const { options, needs } of dependences) {
    const idle = options.find(option => context.isGiven(option));
    if (idle === undefined || context.isGiven(needs)) continue;
    const { value } = command.options.find(option => option.name === needs)!;
    throw new UsageError(`--${idle} requires --${needs}${value === undefined ? "" : ` ${value}`}`);
  }
  command.check?.(context);
  return act.run;
}

function subcommandOf({ name, subcommands = {} }: Command, word: string) {
  const names = Object.keys(subcommands);
  if (names.includes(word)) return subcommands[word]!;
  const known = names.length === 1 ? `the only subcommand is ${names[0]}` : `expected ${names.join(", ")}`;
  throw new UsageError(`${name}: unknown subcommand "${word}"; ${known}`);
}

/** Of two values of an option that takes one, the first would be lost without a message. */
function refuseRepeated(
  { options }: Command,
  tokens: readonly { readonly kind: string; readonly name?: string; readonly value?: unknown }[],
): void {
  const given = new Map<string, unknown>();
  for (const { kind, name, value } of tokens) {
    const option = kind === "option" ? options.find(one => one.name === name) : undefined;
    if (option?.value === undefined || option.isRepeatable === true) continue;
    const before = given.get(option.name);
    if (before !== undefined)
      throw new UsageError(`--${option.name} takes one value but is given twice: "${before}" and "${value}"`);
    given.set(option.name, value);
  }
}

/** Node's message as one of ours: what is wrong, and what is valid. */
function rephrase(command: Command, { code, message }: Error & { code?: string }): string {
  const named = /'(?:-\w, )?(--?[\w-]+)/.exec(message)?.[1];
  if (code === "ERR_PARSE_ARGS_UNKNOWN_OPTION" && named !== undefined) {
    const names = command.options.map(({ name }) => `--${name}`).filter(name => name !== "--h");
    const close = nearest(named, names);
    const hint = close === null ? `run slash32 ${command.name} --help for a list` : `did you mean ${close}?`;
    return `${command.name}: unknown option ${named}; ${hint}`;
  }
  const option = command.options.find(({ name, short }) => named === `--${name}` || named === `-${short}`);
  if (option !== undefined) {
    const name = `--${option.name}`;
    if (option.value === undefined) return `${name} takes no value`;
    const example = `${name}=${option.value}`;
    return /ambiguous/.test(message)
      ? `${name}: write a value that begins with - as ${example}`
      : `${name} needs a value: ${example}`;
  }
  return message.split(/[.\n]/)[0]!;
}

/** The nearest of `words` that is at most three edits away, null if there is none. */
export function nearest(word: string, words: readonly string[]): string | null {
  let best: string | null = null;
  let fewest = Math.min(4, Math.ceil(word.length / 2));
  for (const candidate of words) {
    const edits = distance(word, candidate);
    if (edits < fewest) {
      best = candidate;
      fewest = edits;
    }
  }
  return best;
}

/** Levenshtein distance. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      next.push(Math.min(next[j - 1]! + 1, row[j]! + 1, row[j - 1]! + cost));
    }
    row = next;
  }
  return row[b.length]!;
}
