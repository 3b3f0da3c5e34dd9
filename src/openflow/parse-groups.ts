/**
 * Groups as `ovs-ofctl dump-groups` prints them and add-group takes them, and port names as `ovs-ofctl show`
 * or dump-ports-desc list them. Neither executes anything.
 */

import { Consistency } from "./action-checks.ts";
import { type ActionReading, number, port } from "./arguments.ts";
import {
  type Action,
  type Bucket,
  type Group,
  type GroupType,
  PORT,
  type Span,
  type TextProblem,
} from "./ast.ts";
import { clip, Fault, nearest, type Pair, problemAt, scanPairs } from "./lexer.ts";
import { guarded, linesOf } from "./lines.ts";
import { parseActionList } from "./parse-actions.ts";
import { type ParseOptions, Reading } from "./parse-context.ts";
import { newMatch, protocolsOf } from "./parse-match.ts";
import { readPort, readTableNumber } from "./values.ts";

export interface ParsedGroups {
  readonly groups: readonly Group[];
  readonly problems: readonly TextProblem[];
}

/** What stands above the groups, once for every 64 kB of them; OpenFlow 1.0 has it as an extension (NXST). */
const HEADER =
  /^\s*(?:OFPST|NXST)_GROUP_DESC reply(?: \(OF1\.\d\))? \(xid=0x[0-9a-f]+\):(?: flags=\[more\])?\s*$/;

const TYPES: ReadonlyMap<string, GroupType> = new Map([
  ["all", "all"],
  ["select", "select"],
  ["indirect", "indirect"],
  ["ff", "ff"],
  ["fast_failover", "ff"],
]);

/** Groups with ids from here on are reserved: all, any. */
const MAX_GROUP = 0xffffff00;

function contextOf(reading: Reading): ActionReading {
  const consistency = new Consistency(reading, protocolsOf(newMatch().key), false);
  return { reading, consistency, nesting: "bucket", depth: 0, readList: parseActionList };
}

interface OpenBucket {
  id: number | null;
  weight: number | null;
  watchPort: number | null;
  watchGroup: number | null;
  actions: readonly Action[];
}

type BucketReader = (context: ActionReading, pair: Pair, bucket: OpenBucket) => void;

const BUCKET: Readonly<Record<string, BucketReader>> = {
  bucket_id: (context, { value }, bucket) => {
    bucket.id = number(context, value, 0xffffff00, "the bucket's id");
  },
  weight: (context, { value }, bucket) => {
    bucket.weight = number(context, value, 0xffff, "the weight");
  },
  watch_port: (context, { value }, bucket) => {
    bucket.watchPort = port(context, value);
  },
  watch_group: (context, { value }, bucket) => {
    bucket.watchGroup = number(context, value, MAX_GROUP, "the group to watch");
  },
};

function readBucket(context: ActionReading, text: Span): Bucket {
  const bucket: OpenBucket = { id: null, weight: null, watchPort: null, watchGroup: null, actions: [] };
  for (const pair of scanPairs(context.reading.text, text.start, text.end)) {
    const reader = Object.hasOwn(BUCKET, pair.key.text) ? BUCKET[pair.key.text]! : null;
    if (reader !== null) {
      reader(context, pair, bucket);
      continue;
    }
    const start = /^actions?$/.test(pair.key.text) ? pair.value.start : pair.key.start;
    bucket.actions = parseActionList(context, { start, end: text.end });
    break;
  }
  return bucket;
}

const SELECTION_KEYS = ["selection_method", "selection_method_param", "fields", "field"];
const GROUP_KEYS = ["group_id", "type", ...SELECTION_KEYS.slice(0, 3), "bucket"];

function readGroup(reading: Reading): Group {
  const { text, source } = reading;
  const context = contextOf(reading);
  const starts = [...text.matchAll(/(?:^|[\s,])buckets?=/g)].map(
    found => [found.index, found.index + found[0].length] as const,
  );
  const head = starts[0]?.[0] ?? text.length;
  let id: number | null = null;
  let type: GroupType | null = null;
  const selection: string[] = [];
  for (const pair of scanPairs(text, 0, head)) {
    const { key, value } = pair;
    if (key.text === "group_id") id = number(context, value, MAX_GROUP, "the group's id");
    else if (key.text === "type") type = groupType(pair);
    else if (SELECTION_KEYS.includes(key.text)) selection.push(text.slice(pair.span.start, pair.span.end));
    else throw new Fault(key, `a group has no ${clip(key.text)}${nearest(key.text, GROUP_KEYS)}`);
  }
  if (id === null) throw new Fault({ start: 0, end: head }, "this group has no group_id=");
  if (type === null)
    throw new Fault({ start: 0, end: head }, "this group has no type=: all, select, indirect or ff");
  const buckets = starts.map(([, from], index) =>
    readBucket(context, { start: from, end: starts[index + 1]?.[0] ?? text.length }),
  );
  if (type === "indirect" && buckets.length !== 1)
    throw new Fault({ start: 0, end: head }, `an indirect group has one bucket, not ${buckets.length}`);
  return { id, type, selection: selection.length === 0 ? null : selection.join(","), buckets, source, text };
}

function groupType({ value }: Pair): GroupType {
  const type = TYPES.get(value.text);
  if (type === undefined)
    throw new Fault(
      value,
      `there is no type of group ${clip(value.text)}: ${[...TYPES.keys()].join(", ")} are`,
    );
  return type;
}

/**
 * Reads the groups of a bridge, one a line, with reply headers and comments. A group that stands twice is an
 * error.
 */
export function parseGroups(text: string, file: string, options: ParseOptions = {}): ParsedGroups {
  const groups = new Map<number, Group>();
  const problems: TextProblem[] = [];
  for (const { text: said, line } of linesOf(text)) {
    if (HEADER.test(said)) continue;
    const reading = new Reading(said, { file, line }, options);
    const group = guarded(reading, () => readGroup(reading));
    problems.push(...reading.problems);
    if (group === null) continue;
    const before = groups.get(group.id);
    if (before === undefined) groups.set(group.id, group);
    else
      problems.push(
        problemAt(
          group.source,
          { start: 0, end: 0 },
          "error",
          `group ${group.id} stands already in line ${before.source.line}`,
        ),
      );
  }
  return { groups: [...groups.values()], problems };
}

/** ` 1(tap1): addr:…` and ` LOCAL("br 0"): addr:…`. */
const PORT_LINE = /^\s*(\d+|[A-Z_]+)\(("(?:[^"\\]|\\.)*"|[^)"]*)\):/;

/**
 * Reads which port has which name: the text of `ovs-ofctl show` or dump-ports-desc, or `NAME=N,…`. Lines that
 * speak of something else are passed over; a number that is no port is an error, and so is a name with two
 * numbers.
 */
export function parsePorts(
  text: string,
  file = "ports",
): ParsedNames & { readonly ports: ReadonlyMap<string, number> } {
  const read = (number: string): number | null => {
    const found = readPort(number, new Map());
    return found !== null && (found <= 0xfeff || found >= PORT.unset) ? found : null;
  };
  const parsed = parseNames(text, file, PORT_LINE, read, "a port number; expected 1 to 65279, or LOCAL");
  return { ...parsed, ports: parsed.names };
}

/**
 * `  table 3 ("acl"):`, as `ovs-ofctl dump-tables` and dump-table-features have it; a name may hold anything.
 */
const TABLE_LINE = /^\s*table (\d+) \((".*")\)/;

/**
 * Reads which table has which name: the text of `ovs-ofctl dump-tables` or dump-table-features, or
 * `NAME=N,…`.
 */
export function parseTables(text: string, file = "tables"): ParsedNames {
  const read = (number: string): number | null => {
    const found = readTableNumber(number, new Map());
    return found === 255 ? null : found;
  };
  return parseNames(text, file, TABLE_LINE, read, "a table number; expected 0 to 254");
}

export interface ParsedNames {
  readonly names: ReadonlyMap<string, number>;
  readonly problems: readonly TextProblem[];
}

/** A line `NAME=N,…`: what ovs-ofctl prints begins with a blank, or has a colon or a parenthesis. */
const isList = (line: string): boolean => /^(?:"|[^\s:(][^:(]*=)/.test(line) && /=[^\s:=]+\s*$/.test(line);

/** `NAME=N`, where the name may stand in quotes. */
const PART = /^(?:("(?:[^"\\]|\\.)*")|([^=]+))=([^=]+)$/;

function parseNames(
  text: string,
  file: string,
  listing: RegExp,
  read: (number: string) => number | null,
  wrong: string,
): ParsedNames {
  const names = new Map<string, number>();
  const problems: TextProblem[] = [];
  const add = (name: string, number: string, line: number, column: number): void => {
    const found = read(number);
    const say = (message: string): void => {
      problems.push({ file, line, column, level: "error", message });
    };
    if (found === null) say(`${clip(number)} is not ${wrong}`);
    else if (names.has(name) && names.get(name) !== found)
      say(`${clip(name)} is ${names.get(name)} and ${found}: a name has one number`);
    else names.set(name, found);
  };
  for (const { text: said, line } of linesOf(text)) {
    const listed = listing.exec(said);
    if (listed !== null) {
      add(
        listed[2]!.startsWith('"') ? nameOf(listed[2]!) : listed[2]!,
        listed[1]!,
        line,
        said.indexOf(listed[1]!) + 1,
      );
    } else if (isList(said)) {
      for (const part of said.trimEnd().match(/(?:"(?:[^"\\]|\\.)*"|[^,"])+/g) ?? []) {
        const [, quoted, bare, number] = PART.exec(part) ?? [];
        if (number !== undefined)
          add(quoted === undefined ? bare! : nameOf(quoted), number, line, said.indexOf(part) + 1);
      }
    }
  }
  return { names, problems };
}

function nameOf(quoted: string): string {
  try {
    return String(JSON.parse(quoted));
  } catch {
    return quoted.slice(1, -1);
  }
}
