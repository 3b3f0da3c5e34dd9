/** Flow text of ovs-ofctl(8): the lines of a dump, read, and those of a bundle, written. */

import { lowered, ownershipOf, type Recognizer } from "../pipeline/index.ts";
import type { Change } from "./flow-changes.ts";
import { entryOfText, type FlowEntry, type KnownEntries, type RawFlow } from "./flow-entry.ts";

/** A flow of a dump; `extras`: timeouts and flags. */
export interface DumpedFlow extends RawFlow {
  readonly extras: string;
}

const HEAD = /^\s*cookie=(0x[0-9a-f]+), duration=[^,]*, table=(\d+), n_packets=\d+, n_bytes=\d+, /;
const TAIL = /((?:[^=]*?=[^,]*, |[a-z_]+ )*?)(?:priority=(\d+),?)?(\S*?) ?actions=(.*)$/;
const LINE = new RegExp(HEAD.source + TAIL.source);
const AGES = /\b(?:idle|hard)_age=\d+, /g;
const PRIORITY_DEFAULT = 32_768;

/** Reads a line of a dump; null if it has no flow. Throws if ovs-ofctl 2.17…3.x does not print it so. */
export function readLine(line: string): DumpedFlow | null {
  const found = LINE.exec(line);
  if (found === null) {
    if (!line.includes("actions=")) return null;
    throw new Error(`cannot parse this flow of the dump: ${JSON.stringify(line.slice(0, 200))}`);
  }
  const [, cookie = "", digits, extras = "", priority, match = "", actions = ""] = found;
  const table = Number(digits);
  const ownership = ownershipOf(cookie, table);
  return {
    table,
    priority: priority === undefined ? PRIORITY_DEFAULT : Number(priority),
    cookie,
    match,
    actions: lowered(actions),
    extras: extras === "" ? "" : extras.replace(AGES, "").trim(),
    kind: ownership?.kind ?? null,
    owner: ownership?.owner ?? 0,
  };
}

/** The flows among lines of a dump. Throws for one that cannot be parsed. */
export function entriesOf(
  lines: readonly string[],
  recognizer: Recognizer,
  known: KnownEntries = new Map(),
): FlowEntry[] {
  const entries: FlowEntry[] = [];
  for (const line of lines) {
    const dumped = readLine(line);
    if (dumped !== null) entries.push(entryOfText(dumped, dumped.extras, recognizer, known));
  }
  return entries;
}

/** `table=40,priority=100,ip actions=drop`: a flow without its cookie. */
export function ruleTextOf(entry: FlowEntry): string {
  return `${placeText(entry)} actions=${entry.text.actions}`;
}

function placeText({ text: { table, priority, match } }: FlowEntry): string {
  return `table=${table},priority=${priority}${match === "" ? "" : `,${match}`}`;
}

/** A flow in one line, without its end. */
export function lineOf(entry: FlowEntry): string {
  return `cookie=${entry.text.cookie},${ruleTextOf(entry)}`;
}

/**
 * All of a cookie but bit 31, which the pipeline never sets. Open vSwitch searches for an exact cookie among
 * all flows that have it, such as all routes: deleting 10,000 of 100,000 takes half a minute, and 0.2 s with
 * any other mask.
 */
const COOKIE_MASK = "0xffffffff7fffffff";

/** The line of a bundle. Match, priority and cookie of a deletion are exact: foreign flows stay. */
export function bundleLine(change: Change): string {
  if (change.op === "add") return `add ${lineOf(change.entry)}`;
  return `delete_strict cookie=${change.before.text.cookie}/${COOKIE_MASK},${placeText(change.before)}`;
}

/**
 * The lines of a bundle, deletions first: an unrecognized flow of ours may have the match of an added one. A
 * bundle is atomic: no frame meets the state between.
 */
export function bundleOf(changes: readonly Change[]): string {
  const ordered = [
    ...changes.filter(({ op }) => op === "delete"),
    ...changes.filter(({ op }) => op === "add"),
  ];
  return `${ordered.map(bundleLine).join("\n")}\n`;
}
