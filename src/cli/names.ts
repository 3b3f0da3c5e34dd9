/**
 * Names of ports and tables: what --ports and --tables define, what an intent or a bridge adds, and symbols
 * for the rest. One command has one set of symbols, so that a name is the same port in both of its inputs.
 * A note on standard error lists the names that nothing defines, once.
 */
import type { Intent } from "../intent/index.ts";
import {
  type FlowColumns,
  type Group,
  isInterfaceList,
  parseInterfaces,
  parsePorts,
  parseTables,
  portNumbersOf,
  portSymbols,
  type SymbolNames,
  type TextProblem,
  tableSymbols,
} from "../openflow/index.ts";
import { PortNames } from "../replay/index.ts";
import { count } from "../report/index.ts";
import { type Context, say } from "./context.ts";
import { UserError } from "./errors.ts";

/** Names of a note that are written out. */
const SHOWN = 8;

interface Known {
  readonly ports: SymbolNames;
  readonly tables: SymbolNames;
  /** Names of ports that the command line defines. */
  readonly given: ReadonlyMap<string, number>;
  /** Where they come from. A list of interfaces has the ports of other bridges, too. */
  readonly source: "list" | "file" | "interfaces" | null;
  /** Looks for table 0 in the text that is being read. */
  hasZero: () => boolean;
  /** How many symbols the last note has named. */
  noted: number;
}

const known = new WeakMap<Context, Known>();

/** Names of a bundle's bridge. */
export interface OfferedNames {
  readonly ports: ReadonlyMap<string, number>;
  readonly tables: ReadonlyMap<string, number>;
}

const offered = new WeakMap<Context, readonly OfferedNames[]>();

/**
 * Offers the names of bundles, in place of --ports and --tables where these are not given; before any name is
 * looked up. A name that two of them define with two numbers stays undefined, and so is a symbol.
 */
export function offerNames(context: Context, names: readonly OfferedNames[]): void {
  offered.set(context, names);
}

/** The names that all lists together define, those of two numbers left out. */
function merged(lists: readonly ReadonlyMap<string, number>[]): ReadonlyMap<string, number> {
  const isAgreed = (name: string, number: number): boolean =>
    lists.every(list => (list.get(name) ?? number) === number);
  return new Map(lists.flatMap(list => [...list].filter(([name, number]) => isAgreed(name, number))));
}

/** Reads a file, `-` being standard input, and reports the problems of a text. */
export interface Reader {
  textOf(path: string): string;
  report(problems: readonly TextProblem[]): void;
}

/** A list on the command line, and not a file. */
export const isInline = (text: string): boolean => /^[^/\n]+=[^\s=/]+$/.test(text);

/** What an option of names says: `NAME=N,…`, or a file. */
function readNames(
  context: Context,
  reader: Reader,
  option: "ports" | "tables",
  expected: string,
): Pick<Known, "given" | "source"> {
  const text = context.text(option);
  if (text === undefined) {
    const lists = (offered.get(context) ?? []).map(names => names[option]).filter(({ size }) => size > 0);
    return { given: merged(lists), source: lists.length === 1 ? "file" : null };
  }
  const [content, file] = isInline(text) ? [text, `--${option}`] : [reader.textOf(text), text];
  if (option === "ports" && isInterfaceList(content))
    return { given: interfacesOf(content, file), source: "interfaces" };
  const parse = option === "ports" ? parsePorts : parseTables;
  const { names, problems } = parse(content, file);
  reader.report(problems);
  if (names.size > 0) return { given: names, source: isInline(text) ? "list" : "file" };
  const what = option === "ports" ? "port" : "table";
  throw new UserError(`${file}: defines no ${what}; expected NAME=N,… or ${expected}`);
}

/** Ports by name of a list of interfaces. Names are unique in a switch, numbers in a bridge. */
function interfacesOf(text: string, file: string): ReadonlyMap<string, number> {
  const interfaces = parseInterfaces(text);
  if (typeof interfaces === "string") throw new UserError(`${file}: ${interfaces}`);
  const named = interfaces.ports.flatMap(({ name, number }) =>
    number === null ? [] : [[name, number] as const],
  );
  if (named.length === 0) throw new UserError(`${file}: lists no interface with an OpenFlow port`);
  return new Map(named);
}

/** The names that the command line gives, read once: they may come from standard input. */
export function namesOf(context: Context, reader: Reader): Known {
  const before = known.get(context);
  if (before !== undefined) return before;
  const { given, source } = readNames(context, reader, "ports", "the output of ovs-ofctl show");
  const tables = readNames(context, reader, "tables", "the output of ovs-ofctl dump-tables").given;
  const made: Known = {
    ports: portSymbols(given),
    tables: tableSymbols(tables, () => made.hasZero()),
    given,
    source,
    hasZero: () => false,
    noted: 0,
  };
  known.set(context, made);
  return made;
}

/** Defines the ports of an intent and of a bridge, where --ports does not. */
export function definePorts(
  { ports, given }: Known,
  intent: Intent | null,
  others: ReadonlyMap<string, number>,
): void {
  for (const [name, number] of [...new PortNames(intent).numbers, ...others])
    if (!given.has(name)) ports.set(name, number);
}

/**
 * The numbers of all ports of the bridge, where --ports gives them: what ovs-ofctl prints, or a list that
 * lacks no port that the flows name. Null: there may be others.
 */
export function allPorts(
  { ports, source }: Known,
  flows: FlowColumns,
  groups: readonly Group[],
): readonly number[] | null {
  if (source === null || source === "interfaces") return null;
  const isPart = ports.symbols.size > 0 || portNumbersOf(flows, groups, ports).numbers.size > 0;
  return source === "list" && isPart ? null : [...ports.values()];
}

/** What a flow that enters table 0 looks like: no table is written, or its number. */
const ZERO = /\b(?:table|table_id)=0\b|\b(?:goto_table:|resubmit\([^,()]*,)0\b/;

/** Whether a text has flows of table 0 by its number. */
export function hasTableZero(text: string): boolean {
  return text
    .split("\n")
    .some(line => ZERO.test(line) || (/\bactions?=/.test(line) && !/\btable(?:_id)?=/.test(line)));
}

/** Says which names are symbols, when there are new ones. */
export function noteSymbols(context: Context, file: string): void {
  const names = known.get(context);
  if (names === undefined || context.isQuiet) return;
  const { ports, tables } = names;
  const total = ports.symbols.size + tables.symbols.size;
  if (total === names.noted) return;
  names.noted = total;
  const parts = [listed("port", ports), listed("table", tables)].filter(part => part !== "");
  const entry = [...tables.symbols].find(([, number]) => number === 0)?.[0];
  const first = entry === undefined ? "" : `; packets enter ${JSON.stringify(entry)}, the first table`;
  say(`${file}: no list defines ${parts.join(" and ")}: each stands for one number${first}`);
}

function listed(what: string, { symbols }: SymbolNames): string {
  if (symbols.size === 0) return "";
  const names = [...symbols.keys()].slice(0, SHOWN).map(name => JSON.stringify(name));
  const rest = symbols.size > SHOWN ? ` and ${count(symbols.size - SHOWN)} more` : "";
  return `${what}${symbols.size === 1 ? "" : "s"} ${names.join(", ")}${rest}`;
}

/** A port on a command line: by its name when it has no other number than a symbol's. */
export function portWord(context: Context, port: number): string {
  for (const [name, number] of known.get(context)?.ports.symbols ?? []) if (number === port) return name;
  return String(port);
}

/** The symbols of a command by name, for JSON; null when there are none. */
export function symbolsOf(
  context: Context,
): { ports: Record<string, number>; tables: Record<string, number> } | null {
  const names = known.get(context);
  if (names === undefined || names.ports.symbols.size + names.tables.symbols.size === 0) return null;
  return {
    ports: Object.fromEntries(names.ports.symbols),
    tables: Object.fromEntries(names.tables.symbols),
  };
}

/** What has names and numbers of ports. */
export interface Numbered {
  readonly flows: FlowColumns;
  readonly groups: readonly Group[];
}

/** The flows of an input as sorted text, without what changes while they stay. */
function linesOf({ flows, groups }: Numbered): string {
  const lines = Array.from({ length: flows.count }, (_, index) =>
    flows
      .flow(index)
      .text.replace(/\b(?:duration|n_packets|n_bytes|idle_age|hard_age)=[^,\s]*,?\s*/g, "")
      .trim(),
  );
  return [...lines.sort(), ...groups.map(({ text }) => text)].join("\n");
}

/**
 * Why an outcome may be another one: a port's name that nothing defines beside a port's number that has no
 * name, which may be the same port. Null when there is no such pair, or when no names are undefined.
 */
export function portClash(context: Context, inputs: readonly Numbered[]): string | null {
  const names = known.get(context);
  if (names === undefined || names.ports.symbols.size === 0) return null;
  // Whatever the names stand for, the same flows do the same.
  const [first, ...others] = inputs.map(linesOf);
  if (others.length > 0 && others.every(lines => lines === first)) return null;
  const numbers = new Set<number>();
  let isMoved = false;
  for (const { flows, groups } of inputs) {
    const used = portNumbersOf(flows, groups, names.ports);
    for (const number of used.numbers) numbers.add(number);
    isMoved ||= used.isMoved;
  }
  if (numbers.size === 0 && !isMoved) return null;
  const [number] = [...numbers].sort((a, b) => a - b);
  return clashText(names, number === undefined ? "ports in registers" : `port ${number}`);
}

function clashText({ ports }: Known, beside: string): string {
  const [name] = ports.symbols.keys();
  return `the number of port ${JSON.stringify(name)} beside ${beside} (--ports defines it)`;
}

/** The same for a port that a frame enters by its number, where flows have names that nothing defines. */
export function nameClash(context: Context, inPort: number): string | null {
  const names = known.get(context);
  if (names === undefined || names.ports.symbols.size === 0) return null;
  for (const number of names.ports.values()) if (number === inPort) return null;
  return clashText(names, `port ${inPort}`);
}
