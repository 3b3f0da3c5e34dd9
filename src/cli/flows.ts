/**
 * What the commands that take flows read: a dump (`-f`), groups, names of ports. Problems go to standard error with
 * file, line and column; a dump with errors ends the command, unless --lenient leaves such flows out.
 */
import { type Intent, readBytes } from "../intent/index.ts";
import {
  FlowColumns,
  type Group,
  type InterpreterOptions,
  parseGroups,
  parsePorts,
  type TextProblem,
} from "../openflow/index.ts";
import { PortNames } from "../replay/index.ts";
import { count } from "../report/index.ts";
import { type Context, say } from "./context.ts";
import { UserError } from "./errors.ts";

/** The largest dump that is read. */
const MAX_BYTES = 2 ** 31 - 16;
/** Problems of a file that are shown. */
const SHOWN = 20;

/** A bridge as far as the command line describes it. */
export interface Bridge {
  readonly flows: FlowColumns;
  readonly ports: PortNames;
  readonly options: InterpreterOptions;
}

/** Bytes of a file, or of standard input for `-`. Throws UserError. */
export function bytesOf(path: string): Uint8Array {
  const name = path === "-" ? "standard input" : path;
  const read = readBytes(path, MAX_BYTES);
  if ("message" in read) throw new UserError(`${name}: ${read.message}`);
  return read.bytes.subarray(0, read.length);
}

const textOf = (path: string): string => new TextDecoder().decode(bytesOf(path));

const shown = ({ file, line, column, message }: TextProblem): string =>
  `${file}:${line}:${column}: ${message}`;

/** Says the warnings; with errors among the problems the last line that is said ends the command. */
function report(context: Context, problems: readonly TextProblem[], errorCount: number): void {
  const errors = problems.filter(({ level }) => level === "error");
  const warnings = problems.filter(({ level }) => level === "warning");
  if (!context.isQuiet) {
    for (const warning of warnings.slice(0, SHOWN)) say(`${shown(warning)} (warning)`);
    if (warnings.length > SHOWN) say(`… and ${count(warnings.length - SHOWN)} more warnings`);
  }
  if (errorCount === 0) return;
  if (errorCount === 1) throw new UserError(shown(errors[0]!));
  for (const error of errors.slice(0, SHOWN)) say(shown(error));
  const file = errors[0]!.file;
  const hint = "flows that cannot be read are left out with --lenient";
  throw new UserError(`${file}: ${count(errorCount)} errors; ${hint}`);
}

interface Named {
  readonly numbers: ReadonlyMap<string, number>;
  /** Whether the text listed the ports of a bridge, all of them; else it only named some. */
  readonly isListing: boolean;
}

/** What --ports says: `NAME=N,…`, or a file with the text of `ovs-ofctl show` or dump-ports-desc. */
function portsGiven(context: Context): Named {
  const text = context.text("ports");
  if (text === undefined) return { numbers: new Map(), isListing: false };
  const isInline = /^[^\s/]+=[^\s=]+$/.test(text);
  const { ports, problems } = isInline ? parsePorts(text, "--ports") : parsePorts(textOf(text), text);
  report(context, problems, problems.filter(({ level }) => level === "error").length);
  if (ports.size === 0) {
    throw new UserError(
      `${isInline ? "--ports" : text}: names no port; expected NAME=N,… or what ovs-ofctl show prints`,
    );
  }
  return { numbers: ports, isListing: !isInline };
}

/** Names of ports, those of the intent among them. */
export function portNames(context: Context, intent: Intent | null): PortNames {
  return new PortNames(intent, portsGiven(context).numbers);
}

function groupsGiven(context: Context, ports: ReadonlyMap<string, number>): readonly Group[] {
  const path = context.text("groups");
  if (path === undefined) return [];
  const { groups, problems } = parseGroups(textOf(path), path, { ports });
  report(context, problems, problems.filter(({ level }) => level === "error").length);
  return groups;
}

/**
 * Reads a dump and what goes with it. Throws UserError when the file is empty or has errors. A dump with a reply header
 * and no flow is a table that drops everything.
 */
export function readBridge(context: Context, path: string, intent: Intent | null): Bridge {
  const given = portsGiven(context);
  const ports = new PortNames(intent, given.numbers);
  const file = path === "-" ? "standard input" : path;
  const flows = new FlowColumns(bytesOf(path), file, {
    ports: ports.numbers,
    lenient: context.flag("lenient"),
  });
  report(context, flows.problems, flows.errorCount);
  if (flows.count === 0 && flows.headers === 0 && flows.skipped === 0) {
    throw new UserError(
      `${file}: has neither a flow nor a reply header; expected what ovs-ofctl dump-flows prints`,
    );
  }
  if (flows.skipped > 0) {
    say(`${file}: ${count(flows.skipped)} flows cannot be read and are left out; frames may have met them`);
  }
  const known = given.isListing ? { ports: ports.numbers.values() } : {};
  return { flows, ports, options: { groups: groupsGiven(context, ports.numbers), ...known } };
}
