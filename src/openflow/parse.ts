/**
 * Flows as text, one a line: dumps of ovs-ofctl in any OpenFlow version and of bridge/dump-flows, and files
 * written for add-flows and replace-flows. Errors and warnings come as problems with line and column; nothing
 * throws. It keeps what Open vSwitch keeps and says what Open vSwitch drops in silence.
 */

import { Consistency } from "./action-checks.ts";
import type { Action, Flow, FlowStats, MatchField, SourceLocation, TextProblem } from "./ast.ts";
import { FIELD_NAMES } from "./fields.ts";
import { clip, Fault, nearest, type Pair, scanPairs } from "./lexer.ts";
import { guarded, linesOf, saidIn } from "./lines.ts";
import { isReplyHeader, messageOf } from "./origin.ts";
import { parseInstructions } from "./parse-actions.ts";
import { type ParseOptions, Reading, type ValueToken } from "./parse-context.ts";
import { collectMatch, type MatchReading, newMatch, protocolsOf, takeMatchPair } from "./parse-match.ts";
import { SymbolNames } from "./symbols.ts";
import { readInteger, readTableNumber } from "./values.ts";

/** What became of one line. `flow` is null when the line has an error. */
export interface ParsedFlow {
  readonly flow: Flow | null;
  readonly problems: readonly TextProblem[];
  /** The columns of every value of the line, in no order. */
  readonly values: readonly ValueToken[];
}

export interface ParsedFlows {
  readonly flows: readonly Flow[];
  readonly problems: readonly TextProblem[];
  /**
   * Flows that were left out because they cannot be read (`lenient`). Nothing built on such a result may say
   * "equal".
   */
  readonly skipped: number;
  /**
   * Reply headers that were met: a dump without a flow is a table that drops everything, a file without
   * either is none.
   */
  readonly headers: number;
}

/** The part of a flow in front of its actions, while it is read. */
interface Info {
  table: number | null;
  priority: number;
  cookie: bigint;
  idleTimeout: number;
  hardTimeout: number;
  importance: number;
  flags: string[];
  stats: { -readonly [K in keyof FlowStats]: FlowStats[K] } | null;
}

const FLAGS = ["send_flow_rem", "check_overlap", "reset_counts", "no_packet_counts", "no_byte_counts"];
/** Words without a meaning of their own that OVS takes and forgets. */
const FORGOTTEN = ["allow_hidden_fields", "no_readonly_table"];

type InfoReader = (reading: Reading, info: Info, pair: Pair) => void;

function wholeNumber(reading: Reading, pair: Pair, bytes: number): bigint {
  const value = readInteger(pair.value.text, bytes);
  if (typeof value === "string" || pair.value.text.startsWith("-")) {
    const reason = typeof value === "string" ? value : "is negative";
    const text = clip(pair.value.text);
    throw new Fault(
      text === "" ? pair.key : pair.value,
      `${pair.key.text}${text === "" ? " has no value" : `=${text} ${reason}`}`,
    );
  }
  reading.values.push({ span: pair.value, role: "info", field: null });
  return value;
}

const small =
  (key: "priority" | "idleTimeout" | "hardTimeout" | "importance"): InfoReader =>
  (reading, info, pair) => {
    info[key] = Number(wholeNumber(reading, pair, 2));
  };

const flag =
  (name: string): InfoReader =>
  (_, info) => {
    if (!info.flags.includes(name)) info.flags.push(name);
  };

function readTable(reading: Reading, info: Info, pair: Pair): void {
  const number = readTableNumber(pair.value.text, reading.tables);
  if (number === null) {
    const name = clip(pair.value.text);
    const known = reading.tables.size > 0 ? nearest(name, reading.tables.keys()) : ", or names of --tables";
    if (name === "") throw new Fault(pair.key, `${pair.key.text} has no value`);
    throw new Fault(pair.value, `there is no table ${name}: tables are numbers from 0 to 254${known}`);
  }
  reading.values.push({ span: pair.value, role: "info", field: null });
  // 255 is how OpenFlow says "no table in particular".
  info.table = number === 255 ? null : number;
}

function statistic(set: (stats: NonNullable<Info["stats"]>, text: string) => boolean): InfoReader {
  return (reading, info, pair) => {
    if (pair.value.text === "") throw new Fault(pair.key, `${pair.key.text} has no value`);
    info.stats ??= {
      durationSeconds: null,
      packets: null,
      bytes: null,
      idleAgeSeconds: null,
      hardAgeSeconds: null,
    };
    if (!set(info.stats, pair.value.text))
      reading.warn(pair.value, `${pair.key.text}=${clip(pair.value.text)} is not a number and is ignored`);
    else reading.values.push({ span: pair.value, role: "info", field: null });
  };
}

const count = (key: "packets" | "bytes"): InfoReader =>
  statistic((stats, text) => {
    if (!/^\d{1,20}$/.test(text)) return false;
    stats[key] = BigInt(text);
    return true;
  });

const seconds = (key: "durationSeconds" | "idleAgeSeconds" | "hardAgeSeconds"): InfoReader =>
  statistic((stats, text) => {
    if (!/^\d{1,15}(\.\d{1,9})?s?$/.test(text)) return false;
    stats[key] = Number.parseFloat(text);
    return true;
  });

/** What may stand before the match, or in it. */
const INFO: ReadonlyMap<string, InfoReader> = new Map<string, InfoReader>([
  ["table", readTable],
  ["table_id", readTable],
  ["priority", small("priority")],
  ["idle_timeout", small("idleTimeout")],
  ["hard_timeout", small("hardTimeout")],
  ["importance", small("importance")],
  [
    "cookie",
    (reading, info, pair) => {
      if (pair.value.text.includes("/"))
        throw new Fault(pair.value, "a flow has a cookie, not a cookie and a mask");
      info.cookie = wholeNumber(reading, pair, 8);
    },
  ],
  ["duration", seconds("durationSeconds")],
  ["idle_age", seconds("idleAgeSeconds")],
  ["hard_age", seconds("hardAgeSeconds")],
  ["n_packets", count("packets")],
  ["n_bytes", count("bytes")],
  ...FLAGS.map((name): [string, InfoReader] => [name, flag(name)]),
  ...FORGOTTEN.map((word): [string, InfoReader] => [word, () => undefined]),
]);

const MATCH_WORDS = [
  ...INFO.keys(),
  ...FIELD_NAMES,
  "ip",
  "arp",
  "tcp",
  "udp",
  "icmp",
  "ipv6",
  "icmp6",
  "mpls",
  "actions",
];

/** Fields that a switch prints by other names than it takes. */
const PRINTED_NAMES: ReadonlyMap<string, string> = new Map([
  ["gtpu_flags", "tun_gtpu_flags"],
  ["gtpu_msgtype", "tun_gtpu_msgtype"],
]);

function takePair(reading: Reading, info: Info, match: MatchReading, pair: Pair): void {
  const real = PRINTED_NAMES.get(pair.key.text);
  if (real !== undefined) {
    if (!reading.isPrinted)
      throw new Fault(
        pair.key,
        `${pair.key.text} is how a dump prints ${real}; ovs-ofctl takes ${real} only`,
      );
    takePair(reading, info, match, { ...pair, key: { ...pair.key, text: real } });
    return;
  }
  if (takeMatchPair(reading, match, pair)) return;
  const reader = INFO.get(pair.key.text);
  if (reader !== undefined) {
    reader(reading, info, pair);
    return;
  }
  const name = clip(pair.key.text);
  throw new Fault(pair.key, `there is no field ${name}${nearest(name, MATCH_WORDS)}`);
}

/** Where the actions begin: `actions=` or `action=`, as OVS looks for them. */
const ACTIONS = /actions?\s*=/;

function readFlow(reading: Reading, start: number): Flow {
  const { text, source } = reading;
  const found = ACTIONS.exec(text.slice(start));
  if (found === null) {
    const span = { start: text.length, end: text.length };
    throw new Fault(span, "this flow has no actions: actions=drop is the least");
  }
  const info: Info = {
    table: null,
    priority: 32768,
    cookie: 0n,
    idleTimeout: 0,
    hardTimeout: 0,
    importance: 0,
    flags: [],
    stats: null,
  };
  const match = newMatch();
  const middle = start + found.index;
  for (const pair of scanPairs(text, start, middle)) takePair(reading, info, match, pair);
  const { fields, protocols } = collectMatch(reading, match);
  const consistency = new Consistency(reading, protocols, !reading.isPrinted);
  if (reading.isPushing) consistency.become({ vlan: "untagged" });
  const actions = parseInstructions(reading, consistency, {
    start: middle + found[0].length,
    end: text.length,
  });
  checkGoto(reading, actions, info.table ?? 0);
  const { table, stats, flags, ...rest } = info;
  return { ...rest, table: table ?? 0, flags, stats, match: fields, actions, source, text };
}

/** A flow without a table goes into table 0. */
function checkGoto({ tables }: Reading, actions: readonly Action[], table: number): void {
  const last = actions.at(-1);
  if (last?.type !== "goto_table" || last.table > table) return;
  // The number of a symbol says nothing about the order.
  if (tables instanceof SymbolNames && (tables.isSymbol(table) || tables.isSymbol(last.table))) return;
  throw new Fault(
    last.span,
    `goto_table:${last.table} from table ${table}: it goes forward only (OFPBIC_BAD_TABLE_ID)`,
  );
}

/** Prefixes of lines for `ovs-ofctl add-flows`: only what adds is a flow that is there. */
const COMMAND = /^\s*(?:flow\s+)?(add|modify_strict|modify|delete_strict|delete)(?=[\s,]|$)/;
const FLOW_WORD = /^\s*flow\s+/;

function readLine(reading: Reading): Flow {
  const command = COMMAND.exec(reading.text);
  if (command !== null && command[1] !== "add") {
    const end = command[0].length;
    throw new Fault(
      { start: end - command[1]!.length, end },
      `${command[1]} changes installed flows and is not a flow; expected a dump, or lines that add flows`,
    );
  }
  return readFlow(reading, (command ?? FLOW_WORD.exec(reading.text))?.[0].length ?? 0);
}

/** Reads one flow, without its line end. Colours (ANSI codes) must be gone already. */
export function parseFlow(
  text: string,
  source: SourceLocation = { file: "flow", line: 1 },
  options: ParseOptions = {},
): ParsedFlow {
  const reading = new Reading(text, source, options);
  const flow = guarded(reading, () => readLine(reading));
  return { flow, problems: reading.problems, values: reading.values };
}

/**
 * What is a flow in a line of a file: without colours and comment; null for a reply header and where nothing
 * stands.
 */
export function flowOfLine(line: string): string | null {
  const said = saidIn(line);
  return said === null || isReplyHeader(said) ? null : said;
}

/** The error of a text that has lines of ovs-ofctl's which say that flows are missing. */
export function notWhole(file: string, line: number, reason: string): TextProblem {
  const command = "ovs-ofctl -O OpenFlow15,OpenFlow13 dump-flows BRIDGE";
  const message = `this dump is not whole: ${reason}; dump it again with ${command}`;
  return { file, line, column: 1, level: "error", message };
}

/**
 * Reads a dump or a file of flows: one flow a line, reply headers, comments (`#`) and empty lines between
 * them.
 */
export function parseFlows(text: string, file: string, options: ParseOptions = {}): ParsedFlows {
  const flows: Flow[] = [];
  const problems: TextProblem[] = [];
  let skipped = 0;
  let headers = 0;
  let broken: TextProblem | null = null;
  for (const { text: clean, line } of linesOf(text)) {
    if (isReplyHeader(clean)) {
      headers++;
      continue;
    }
    const message = messageOf(clean);
    if (message !== null) {
      if (message.reason !== null && broken === null) broken = notWhole(file, line, message.reason);
      continue;
    }
    const parsed = parseFlow(clean, { file, line }, options);
    if (parsed.flow !== null) flows.push(parsed.flow);
    else if (options.lenient === true) skipped++;
    for (const problem of parsed.problems)
      problems.push(
        parsed.flow === null && options.lenient === true ? { ...problem, level: "warning" } : problem,
      );
  }
  if (broken !== null) problems.push(broken);
  return { flows, problems, skipped, headers };
}

/** A match alone (`--filter MATCH`): its fields and what they say about protocols. */
export function parseMatch(
  text: string,
  options: ParseOptions = {},
): { match: readonly MatchField[] | null; problems: readonly TextProblem[] } {
  const reading = new Reading(text, { file: "match", line: 1 }, options);
  const match = guarded(reading, () => {
    const words = newMatch();
    for (const pair of scanPairs(text, 0, text.length)) {
      if (!takeMatchPair(reading, words, pair)) {
        const name = clip(pair.key.text);
        throw new Fault(pair.key, `there is no field ${name}${nearest(name, FIELD_NAMES)}`);
      }
    }
    return collectMatch(reading, words).fields;
  });
  return { match, problems: reading.problems };
}

/** Actions alone. No match is known, so that none is asked for. */
export function parseActions(
  text: string,
  options: ParseOptions = {},
): { actions: readonly Action[] | null; problems: readonly TextProblem[] } {
  const reading = new Reading(text, { file: "actions", line: 1 }, options);
  const consistency = new Consistency(reading, protocolsOf(newMatch().key), false);
  const actions = guarded(reading, () =>
    parseInstructions(reading, consistency, { start: 0, end: text.length }),
  );
  return { actions, problems: reading.problems };
}
