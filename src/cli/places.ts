/**
 * Where things are, for people who go there: parts of an intent that flows are for, and words for a shell.
 */

import { formatDiagnostic } from "../errors/index.ts";
import { type Intent, intentOfBytes, loadIntent, type Places } from "../intent/index.ts";
import { Flows } from "../pipeline/index.ts";
import { type Context, say } from "./context.ts";
import { UserError } from "./errors.ts";

/** The part of an intent that the flow of a compiled line is for; null for the pipeline's own flows. */
export type Origins = (line: number) => { readonly file: string; readonly line: number } | null;

/** Loads an intent; problems go to standard error, an intent with errors ends the command. */
export function loadedIntent(
  context: Context,
  path: string,
  read?: Uint8Array,
): { intent: Intent; places: Places } {
  const { intent, places, errors, warnings } =
    read === undefined ? loadIntent(path) : intentOfBytes(path, read);
  if (!context.isQuiet) for (const warning of warnings) say(`${formatDiagnostic(warning)} (warning)`);
  if (intent !== null && places !== undefined) return { intent, places };
  for (const error of errors.slice(0, -1)) say(formatDiagnostic(error));
  throw new UserError(formatDiagnostic(errors.at(-1)!));
}

/** For each line of an intent's flows the part of the intent that it is for; null for the pipeline's own. */
export function originsOf(intent: Intent, places: Places, given?: Flows): Origins {
  const vms = new Map(intent.vms.map(({ id }, index) => [id, index]));
  let compiled = given;
  return line => {
    compiled ??= new Flows(intent);
    const route = compiled.routeAt(line - 1);
    const vm = vms.get(compiled.at(line - 1).owner);
    const place = route >= 0 ? places.route(route) : vm === undefined ? null : places.vm(vm);
    return place === null ? null : { file: place.file, line: place.line };
  };
}

/** Words as a POSIX shell reads them. */
export function shellOf(words: readonly string[]): string {
  const quoted = (word: string): string =>
    /^[\w./:,=@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
  return words.map(quoted).join(" ");
}
