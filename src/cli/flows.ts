/**
 * What the commands that take flows read: a dump (`-f`), groups, names of ports and tables. Problems go to
 * standard error with file, line and column; a dump with errors ends the command, unless --lenient leaves
 * such flows out.
 */
import * as zlib from "node:zlib";
import { type Intent, readBytes } from "../intent/index.ts";
import {
  FlowColumns,
  type Group,
  type InterpreterOptions,
  OVS_VERSIONS,
  type OvsVersion,
  type PrintOptions,
  type Protocol,
  parseGroups,
  protocolOf,
  type SymbolNames,
  type TextProblem,
  USUAL_OVS,
} from "../openflow/index.ts";
import { PortNames } from "../replay/index.ts";
import { count, type LeftOut, plural } from "../report/index.ts";
import { type Context, say } from "./context.ts";
import { UsageError, UserError } from "./errors.ts";
import {
  allPorts,
  definePorts,
  hasTableZero,
  nameClash,
  namesOf,
  noteSymbols,
  portClash,
  type Reader,
} from "./names.ts";

/** The largest dump that is read. */
const MAX_BYTES = 2 ** 31 - 16;
/** Problems of a file that are shown. */
const SHOWN = 20;

/** A bridge as far as the command line describes it. */
export interface Bridge {
  readonly flows: FlowColumns;
  readonly ports: PortNames;
  readonly options: InterpreterOptions & { readonly groups: readonly Group[] };
  /** Flows that --ignore-cookie and --ignore-table left out. */
  readonly leftOut: readonly LeftOut[];
  /** Names that nothing defines, by the numbers that stand for them. */
  readonly symbols: Required<Pick<PrintOptions, "ports" | "tables">>;
  /**
   * Why outcomes may be other ones: a name that nothing defines may be a port that has a number. Null
   * without any.
   */
  readonly clash: string | null;
  /** The same for a frame that enters this port. */
  clashWith(inPort: number): string | null;
}

/** What is known of a bridge besides the command line. */
export interface Told {
  /** Names of ports, to which --ports adds. */
  readonly intent: Intent | null;
  readonly ports?: ReadonlyMap<string, number>;
  /** Its groups, unless an option names a file with them. */
  readonly groups?: { readonly text: string; readonly file: string };
  /** `groups` by default; null: no option is for these groups. */
  readonly groupsOption?: string | null;
  /** The version of a dump without a header, where -O does not give it. */
  readonly version?: Protocol | null;
}

/**
 * Bytes of a file, or of standard input for `-`, decompressed where they are gzip or zstd. Throws
 * UserError.
 */
export function bytesOf(path: string): Uint8Array {
  const name = path === "-" ? "standard input" : path;
  const read = readBytes(path, MAX_BYTES);
  if ("message" in read) throw new UserError(`${name}: ${read.message}`);
  return decompressed(read.bytes.subarray(0, read.length), name);
}

type Decompress = (bytes: Uint8Array, options: { maxOutputLength: number }) => Uint8Array;

/** Node has zstd from version 22.15 on. */
const unzstd = (zlib as { zstdDecompressSync?: Decompress }).zstdDecompressSync;

const isMagic = (bytes: Uint8Array, ...magic: number[]): boolean =>
  magic.every((byte, at) => bytes[at] === byte);

function decompressed(bytes: Uint8Array, name: string): Uint8Array {
  const isZstd = isMagic(bytes, 0x28, 0xb5, 0x2f, 0xfd);
  if (!isZstd && !isMagic(bytes, 0x1f, 0x8b)) return bytes;
  if (isZstd && unzstd === undefined)
    throw new UserError(
      `${name}: zstd data requires Node.js 22.15 or later, not ${process.versions.node}; run zstd -d first`,
    );
  const decompress: Decompress = isZstd ? unzstd! : zlib.gunzipSync;
  try {
    return decompress(bytes, { maxOutputLength: MAX_BYTES });
  } catch (error) {
    const what = isZstd ? "zstd" : "gzip";
    const { code } = error as NodeJS.ErrnoException;
    const why =
      code === "Z_BUF_ERROR"
        ? "ends too early"
        : code === "ERR_BUFFER_TOO_LARGE"
          ? "is too large"
          : "is damaged";
    throw new UserError(`${name}: the ${what} data ${why}`);
  }
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
  const hint = "fix them, or add --lenient to skip flows that cannot be parsed";
  throw new UserError(`${file}: ${count(errorCount)} errors; ${hint}`);
}

/** How a command reads the files of its names. */
const readerOf = (context: Context): Reader => ({
  textOf,
  report: problems => report(context, problems, problems.filter(({ level }) => level === "error").length),
});

/** Names of ports, those of the intent among them. */
export function portNames(context: Context, intent: Intent | null): PortNames {
  return new PortNames(intent, namesOf(context, readerOf(context)).given);
}

/** The version that -O gives, null without it. Throws UsageError. */
function protocolGiven(context: Context): Protocol | null {
  const text = context.text("protocols");
  if (text === undefined) return null;
  const protocol = protocolOf(text);
  if (protocol !== null) return protocol;
  throw new UsageError(`-O: "${text}" is not a list of OpenFlow versions; expected OpenFlow10 to OpenFlow15`);
}

function groupsGiven(context: Context, told: Told): readonly Group[] {
  const path = told.groupsOption === null ? undefined : context.text(told.groupsOption ?? "groups");
  const given = path === undefined ? (told.groups ?? null) : { text: textOf(path), file: path };
  if (given === null) return [];
  // A switch without groups has a reply header all the same: a file of nothing is a command that failed.
  if (given.text.trim() === "")
    throw new UserError(
      `${given.file}: has neither a group nor a reply header; expected the output of ovs-ofctl dump-groups`,
    );
  const { ports, tables } = namesOf(context, readerOf(context));
  const { groups, problems } = parseGroups(given.text, given.file, { ports, tables });
  report(context, problems, problems.filter(({ level }) => level === "error").length);
  return groups;
}

/** The version of Open vSwitch whose behaviour is executed. Throws UsageError. */
export function ovsGiven(context: Context): OvsVersion {
  const text = context.text("ovs") ?? USUAL_OVS;
  if (Object.keys(OVS_VERSIONS).includes(text)) return text as OvsVersion;
  throw new UsageError(
    `--ovs: "${text}" is not a known version; expected ${Object.keys(OVS_VERSIONS).join(" or ")}`,
  );
}

interface Filter {
  readonly tables: ReadonlySet<number>;
  readonly cookies: readonly { readonly cookie: bigint; readonly mask: bigint }[];
}

const COOKIE_MAX = 2n ** 64n - 1n;

/** What --ignore-table and --ignore-cookie leave out. Throws UsageError. */
function filterGiven(context: Context): Filter {
  const tables = context.texts("ignore-table").map(text => {
    const number = /^\d{1,3}$/.test(text) ? Number(text) : 256;
    if (number > 254)
      throw new UsageError(`--ignore-table: "${text}" is not a valid table; expected 0 to 254`);
    return number;
  });
  const cookies = context.texts("ignore-cookie").map(text => {
    const [, cookie, mask] = /^(0x[0-9a-f]+|\d+)(?:\/(0x[0-9a-f]+|-1|\d+))?$/i.exec(text) ?? [];
    const value = cookie === undefined ? -1n : BigInt(cookie);
    const bits = mask === undefined || mask === "-1" ? COOKIE_MAX : BigInt(mask);
    if (value < 0n || value > COOKIE_MAX || bits > COOKIE_MAX)
      throw new UsageError(
        `--ignore-cookie: "${text}" is not a valid cookie; expected COOKIE or COOKIE/MASK, as 0x10/0xff`,
      );
    return { cookie: value & bits, mask: bits };
  });
  return { tables: new Set(tables), cookies };
}

/**
 * Leaves out the flows that the options name, before anybody looks at them; gives how many. Throws
 * UserError when that leaves none: what is compared then would not be what the file holds.
 */
export function leaveOut(context: Context, flows: FlowColumns): readonly LeftOut[] {
  const { tables, cookies } = filterGiven(context);
  const isIgnored = (index: number): boolean => {
    const { cookie } = flows.ownerOf(index);
    return cookies.some(one => (cookie & one.mask) === one.cookie);
  };
  const all = flows.count;
  const leftOut = [
    { by: "--ignore-table", flows: flows.keep(index => !tables.has(flows.ownerOf(index).table)) },
    { by: "--ignore-cookie", flows: cookies.length === 0 ? 0 : flows.keep(index => !isIgnored(index)) },
  ].filter(one => one.flows > 0);
  if (all > 0 && flows.count === 0)
    throw new UserError(
      `${flows.file}: all of its ${plural(all, "flow")} are left out by ` +
        `${leftOut.map(({ by }) => by).join(" and ")}; there is nothing to compare`,
    );
  return leftOut;
}

/**
 * Reads a dump and what goes with it. Throws UserError when the file is empty or has errors. A dump with a
 * reply header and no flow is a table that drops everything.
 */
export function readBridge(context: Context, path: string, intent: Intent | null): Bridge {
  return bridgeOf(context, path === "-" ? "standard input" : path, bytesOf(path), { intent });
}

const OF10_NOTE =
  "a dump of OpenFlow 1.0 does not show write_actions, clear_actions and meters; ovs-ofctl -O " +
  "OpenFlow15,OpenFlow13 dump-flows does";

/** verify and diff have a verdict that says so. */
const isComparing = ({ command, isQuiet }: Context): boolean =>
  isQuiet || command.name === "verify" || command.name === "diff";

/** The same with the bytes of the dump. */
export function bridgeOf(context: Context, file: string, bytes: Uint8Array, told: Told): Bridge {
  const names = namesOf(context, readerOf(context));
  definePorts(names, told.intent, told.ports ?? new Map());
  names.hasZero = () => hasTableZero(new TextDecoder().decode(bytes));
  const flows = new FlowColumns(bytes, file, {
    ports: names.ports,
    tables: names.tables,
    lenient: context.flag("lenient"),
    isDetected: true,
    asked: protocolGiven(context) ?? told.version ?? null,
  });
  report(context, flows.problems, flows.errorCount);
  if (flows.count === 0 && flows.headers === 0 && flows.skipped === 0) {
    throw new UserError(
      `${file}: has neither a flow nor a reply header; expected what ovs-ofctl dump-flows prints`,
    );
  }
  if (flows.count === 0 && flows.skipped > 0)
    throw new UserError(
      `${file}: cannot parse any of its ${plural(flows.skipped, "flow")}; there is nothing to compare`,
    );
  if (flows.origin.isPrinted && flows.origin.version === "OpenFlow10" && !isComparing(context))
    say(`${file}: ${OF10_NOTE}`);
  if (flows.skipped > 0) {
    say(`${file}: skipped ${plural(flows.skipped, "flow")} that cannot be parsed; the switch may use them`);
  }
  const leftOut = leaveOut(context, flows);
  const groups = groupsGiven(context, told);
  const all = allPorts(names, flows, groups);
  const listed = all === null ? {} : { ports: all };
  noteSymbols(context, file);
  const ports = new PortNames(told.intent, names.ports);
  const clash = portClash(context, [{ flows, groups }]);
  const clashWith = (inPort: number): string | null => clash ?? nameClash(context, inPort);
  const byNumber = ({ symbols }: SymbolNames): ReadonlyMap<number, string> =>
    new Map([...symbols].map(([name, number]) => [number, name]));
  const symbols = { ports: byNumber(names.ports), tables: byNumber(names.tables) };
  return {
    flows,
    ports,
    leftOut,
    symbols,
    clash,
    clashWith,
    options: { groups, ovs: ovsGiven(context), ...listed },
  };
}

/** Ends a comparison of frames with flows whose ports are not known. Throws UserError. */
export function refuseClash(context: Context, { clash }: Bridge): void {
  if (clash !== null)
    throw new UserError(`${context.text("against")}: cannot compare frames: the outcome depends on ${clash}`);
}

/**
 * The exit code of a comparison of frames with flows of which `skipped` were left out: 2 when one differed,
 * 1 when not all were decided, which is said, 0 when all do the same.
 */
export function comparedCode(
  report: Readonly<Record<"frames" | "different" | "unknown" | "ambiguous", number>>,
  skipped: number,
): 0 | 1 | 2 {
  if (report.different > 0) return 2;
  const open = report.unknown + report.ambiguous;
  if (open === 0 && skipped === 0) return 0;
  const why =
    open > 0
      ? `${count(open)} of ${count(report.frames)} are undecided`
      : `${plural(skipped, "flow")} of the dump were skipped`;
  say(`slash32: inconclusive: no frame differs, but ${why}`);
  return 1;
}
