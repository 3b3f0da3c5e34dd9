/**
 * Checks the names of the outputs of a replay: no output, finished or not (`.part`), may be an input or another output,
 * because opening it would destroy what is read or written there.
 */
import { type ByteSource, identityOf, touchedBy } from "../capture/index.ts";
import { ReplayError } from "./errors.ts";

/** An output that was asked for, and the option that names it. */
interface NamedOutput {
  readonly option: string;
  readonly name: string;
  /** Identities of all files that writing it touches. */
  readonly touched: readonly string[];
}

/** Throws ReplayError if an output is also an input or another output; `names` are the names by option. */
export function checkOutputNames(
  names: { readonly [option: string]: string | undefined },
  sources: readonly (ByteSource | undefined)[],
): void {
  const outputs: NamedOutput[] = [];
  for (const [option, name] of Object.entries(names))
    if (name !== undefined) outputs.push({ option, name, touched: touchedBy(name) });
  for (const [index, output] of outputs.entries()) refuseSharedFile(output, outputs.slice(0, index));
  for (const source of sources) refuseInput(outputs, source?.identity ?? "");
}

function refuseSharedFile({ option, name, touched }: NamedOutput, earlier: readonly NamedOutput[]): void {
  const other = earlier.find(
    given => given.name === name || given.touched.some(one => touched.includes(one)),
  );
  if (other === undefined) return;
  throw new ReplayError(
    other.name === name
      ? `${shown(name)}: given for both ${other.option} and ${option}; give each its own file`
      : `${other.name} and ${name} are the same file; give ${other.option} and ${option} one each`,
  );
}

function refuseInput(outputs: readonly NamedOutput[], identity: string): void {
  const output = outputs.find(({ touched }) => touched.includes(identity));
  if (output === undefined) return;
  const { name } = output;
  const isPart = name !== "-" && identityOf(name) !== identity;
  const which = isPart ? `${name}.part, where ${name} begins,` : `${shown(name)}:`;
  throw new ReplayError(`${which} is also being read; choose another output`);
}

function shown(name: string): string {
  return name === "-" ? "standard output" : name;
}
