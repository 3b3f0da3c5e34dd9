/**
 * The way back from flow text to a flow of the pipeline: the text of a dump, compared with the templates of
 * tables.ts as regular expressions, whose groups are the values of their words. The templates have one
 * spelling, that of Open vSwitch with OpenFlow 1.3. Text with another one (`mod_dl_dst`, hex, another order)
 * is parsed, printed in that spelling, and tried again. A flow whose cookie, match or actions are not those
 * of exactly one row is not recognized. A flow with the match of a row and other actions is recognized as
 * `isExact: false`.
 */

import type { NextHop } from "../intent/index.ts";
import { formatActions, formatMatch, parseFlow } from "../openflow/index.ts";
import { formatMac, ipv4FromBits, macFromBits, networkOf } from "../wire/index.ts";
import { type FlowText, type Hypervisor, isLabel, isStation, type PipelineFlow, PUSHES_MAX } from "./flow.ts";
import {
  ownershipOf,
  PIPELINE_ROWS,
  type PipelineRow,
  PUSH,
  partsOf,
  type RowKind,
  type Word,
} from "./tables.ts";

/** A flow whose match is that of a row. */
export interface Recognized {
  readonly flow: PipelineFlow;
  /** Whether its actions are the row's, too; if not, values that stand in the actions alone are 0 or null. */
  readonly isExact: boolean;
  /** Whether its match is spelt as a switch prints it. */
  readonly isPrinted: boolean;
}

/** The words that have a number as value, by its place; the labels of further pushes are behind the first. */
const NUMBERS = ["U", "Umac", "vmac", "LABEL", "TC", "W", "mac", "A", "via", "PREFIX", "L"] as const;
type NumberWord = (typeof NUMBERS)[number];
const [W, MAC, A, VIA, PREFIX, L] = [5, 6, 7, 8, 9, 10] as const;
const NUMBER_COUNT = L + PUSHES_MAX;
/** The word has no value. */
const NONE = -1;
const ADDRESS_MIN = 0x0100_0000;
const PORT_MAX = 0xffff;
/** A fabric has a few thousand next hops; a million kept would take a gigabyte. */
const NEXT_HOPS_KEPT = 16_384;
/** Spreads close numbers (Knuth's multiplicative hash). */
const GOLDEN = 0x9e37_79b1;

const orZero = (value: number | undefined): number => (value === undefined || value < 0 ? 0 : value);

// ── Numbers ────────────────────────────────────────────────────────────────────────────────────────────────

/** How Open vSwitch prints a number, and the number; NONE if the word cannot have it. */
interface Value {
  readonly pattern: string;
  readonly read: (text: string) => number;
}

const [DIGIT_0, LETTER_A, COLON, DOT] = [48, 97, 58, 46] as const;

function readMac(text: string): number {
  let value = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code !== COLON) value = value * 16 + code - (code < LETTER_A ? DIGIT_0 : LETTER_A - 10);
  }
  return value;
}

function readIpv4(text: string): number {
  let value = 0;
  let octet = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === DOT) {
      value = value * 256 + octet;
      octet = 0;
    } else octet = octet * 10 + code - DIGIT_0;
  }
  return value * 256 + octet;
}

const decimal = (isPossible: (value: number) => boolean): Value => ({
  pattern: "0|[1-9]\\d{0,9}",
  read: text => (isPossible(Number(text)) ? Number(text) : NONE),
});
const PORT = decimal(port => port > 0 && port <= PORT_MAX);
const LABEL = decimal(isLabel);
const MAC_ADDRESS: Value = { pattern: "(?:[0-9a-f]{2}:){5}[0-9a-f]{2}", read: readMac };
const OCTET = "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
const NETWORK: Value = { pattern: `(?:${OCTET}\\.){3}${OCTET}`, read: readIpv4 };

const VALUES: Readonly<Record<NumberWord, Value>> = {
  U: PORT,
  Umac: MAC_ADDRESS,
  vmac: MAC_ADDRESS,
  LABEL,
  TC: { pattern: "[0-7]", read: Number },
  W: PORT,
  mac: {
    ...MAC_ADDRESS,
    read: text => {
      const mac = readMac(text);
      return isStation(mac) ? mac : NONE;
    },
  },
  A: {
    ...NETWORK,
    read: text => {
      const address = readIpv4(text);
      return address >= ADDRESS_MIN ? address : NONE;
    },
  },
  via: MAC_ADDRESS,
  PREFIX: NETWORK,
  L: LABEL,
};

// ── Templates ──────────────────────────────────────────────────────────────────────────────────────────────

/** A group of a regular expression: the place of its value. */
interface Group {
  readonly place: number;
  readonly read: Value["read"];
}

/** A template as a regular expression. */
interface Template {
  readonly pattern: RegExp;
  readonly groups: readonly Group[];
}

/** The values of words that are known, as text. */
type Known = Partial<Readonly<Record<Word, string>>>;

/** The words that all flows of a hypervisor share. */
const sharedBy = ({ uplink, uplinkMac, virtualMac, label, trafficClass }: Hypervisor): Known => ({
  U: String(uplink),
  Umac: formatMac(uplinkMac),
  vmac: formatMac(virtualMac),
  LABEL: String(label),
  TC: String(trafficClass),
});

const PUSH_PARTS = partsOf(PUSH);

const literal = (text: string): string => text.replaceAll(/[[\].]/g, "\\$&");

/** The source of a template's regular expression; adds its groups. `push`: which of the pushes it is. */
function sourceOf(parts: readonly string[], known: Known, groups: Group[], push = 0): string {
  let source = "";
  for (const [index, part] of parts.entries()) {
    const word = part as Word;
    if (index % 2 === 0) source += literal(parts[index - 1] === "PUSHES" ? part.slice(1) : part);
    else if (known[word] !== undefined) source += literal(known[word]);
    else if (word === "PUSHES") {
      // Each takes a comma along.
      for (let at = 0; at < PUSHES_MAX; at++) source += `(?:${sourceOf(PUSH_PARTS, known, groups, at)},)?`;
    } else {
      const { pattern, read } = VALUES[word];
      source += `(${pattern})`;
      groups.push({ place: NUMBERS.indexOf(word) + (word === "L" ? push : 0), read });
    }
  }
  return source;
}

function templateOf(parts: readonly string[], known: Known): Template {
  const groups: Group[] = [];
  return { pattern: new RegExp(`^${sourceOf(parts, known, groups)}$`), groups };
}

interface RowTemplates {
  readonly row: PipelineRow;
  /** Of the prefix of a route, else 0. */
  readonly length: number;
  readonly match: Template;
  readonly actions: Template;
}

const keyOf = (table: number, priority: number): number => table * 0x10000 + priority;

/** The templates of rows by table and priority; those of a route for each length of its prefix. */
function templatesOf(known: Known): ReadonlyMap<number, readonly RowTemplates[]> {
  const templates = new Map<number, RowTemplates[]>();
  for (const row of PIPELINE_ROWS) {
    const { table, priority, printedParts, actionParts } = row;
    const actions = templateOf(actionParts, known);
    const isPrefix = priority === "100+plen";
    for (const length of isPrefix ? LENGTHS : [0]) {
      const parts =
        length === 0 || length === 32 ? printedParts : [...printedParts.slice(0, -1), `/${length}`];
      const key = keyOf(table, isPrefix ? 100 + length : priority);
      const found = { row, length, match: templateOf(parts, known), actions };
      templates.set(key, [...(templates.get(key) ?? []), found]);
    }
  }
  return templates;
}

/** Lengths of the prefixes of routes but the default route. */
const LENGTHS = Array.from({ length: 32 }, (_, index) => index + 1);

// ── Flows ──────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * Recognizes the flows of one hypervisor; of any, when none is given: then a flow has the hypervisor's values
 * that its text has, and -1 for the others.
 */
export class Recognizer {
  readonly #hypervisor: Hypervisor | null;
  readonly #templates: ReadonlyMap<number, readonly RowTemplates[]>;
  readonly #values = new Float64Array(NUMBER_COUNT);
  /** Next hops by a hash of their values: routes with the same one share an object. */
  readonly #nextHops = new Map<number, NextHop>();

  constructor(hypervisor: Hypervisor | null) {
    this.#hypervisor = hypervisor;
    this.#templates = templatesOf(hypervisor === null ? {} : sharedBy(hypervisor));
  }

  /** The flow that a text is; null if its cookie, or its match, is not that of a row of this hypervisor. */
  recognize(text: FlowText, ownership = ownershipOf(text.cookie, text.table)): Recognized | null {
    if (ownership === null) return null;
    const found = this.#read(text, ownership.kind, ownership.owner);
    if (found?.isExact) return found;
    const respelt = respell(text);
    if (respelt === null || (respelt.match === text.match && respelt.actions === text.actions)) return found;
    const other = this.#read(respelt, ownership.kind, ownership.owner);
    return other === null ? found : { ...other, isPrinted: respelt.match === text.match };
  }

  #read({ table, priority, match, actions }: FlowText, kind: RowKind, owner: number): Recognized | null {
    for (const templates of this.#templates.get(keyOf(table, priority)) ?? []) {
      if (!templates.row.kinds.includes(kind)) continue;
      this.#values.fill(NONE);
      if (!this.#binds(templates.match, match)) continue;
      const isExact = this.#binds(templates.actions, actions);
      const flow = this.#flowOf(templates, kind, owner, isExact);
      if (flow !== null) return { flow, isExact, isPrinted: true };
    }
    return null;
  }

  /** Whether a text is that of a template; binds the values of its words, which may have one already. */
  #binds({ pattern, groups }: Template, text: string): boolean {
    const found = pattern.exec(text);
    if (found === null) return false;
    const values = this.#values;
    for (let index = 0; index < groups.length; index++) {
      const group = found[index + 1];
      // A push that is not there.
      if (group === undefined) continue;
      const { place, read } = groups[index]!;
      const value = read(group);
      const before = values[place]!;
      if (value === NONE || (before !== NONE && before !== value)) return false;
      values[place] = value;
    }
    return true;
  }

  /** The flow with these values; null if its prefix has host bits. */
  #flowOf(
    { row, length }: RowTemplates,
    kind: RowKind,
    owner: number,
    isExact: boolean,
  ): PipelineFlow | null {
    const values = this.#values;
    const isRoute = kind === "route";
    const address = ipv4FromBits(orZero(values[isRoute ? PREFIX : A]));
    if (isRoute && networkOf(address, length) !== address) return null;
    return {
      hypervisor: this.#hypervisor ?? valuesIn(values),
      row,
      table: row.table,
      priority: row.priority === "100+plen" ? 100 + length : row.priority,
      kind,
      owner,
      port: orZero(values[W]),
      mac: macFromBits(orZero(values[MAC])),
      address,
      length,
      nextHop: isRoute && isExact ? this.#nextHop() : null,
    };
  }

  /** The next hop of the actions that were read. */
  #nextHop(): NextHop {
    const values = this.#values;
    const via = macFromBits(values[VIA]!);
    let hash = via | 0;
    let count = 0;
    for (; count < PUSHES_MAX && values[L + count] !== NONE; count++)
      hash = (Math.imul(hash, GOLDEN) + values[L + count]!) | 0;
    // The labels were pushed from the innermost out.
    const labelAt = (index: number): number => values[L + count - 1 - index]!;
    const known = this.#nextHops.get(hash);
    if (
      known?.via === via &&
      known.labels.length === count &&
      known.labels.every((label, index) => label === labelAt(index))
    )
      return known;
    const nextHop = { labels: Array.from({ length: count }, (_, index) => labelAt(index)), via };
    if (this.#nextHops.size < NEXT_HOPS_KEPT) this.#nextHops.set(hash, nextHop);
    return nextHop;
  }
}

/** The values of a hypervisor that a flow has; -1 for the others. */
function valuesIn(values: Float64Array): Hypervisor {
  const at = (word: NumberWord): number => values[NUMBERS.indexOf(word)]!;
  return {
    uplink: at("U"),
    uplinkMac: at("Umac"),
    virtualMac: at("vmac"),
    label: at("LABEL"),
    trafficClass: at("TC"),
  };
}

/** The same flow as Open vSwitch prints it by OpenFlow 1.3; null if it cannot be parsed. */
export function respell(text: FlowText): FlowText | null {
  const { cookie, table, priority, match, actions } = text;
  const rule = match === "" ? `priority=${priority}` : `priority=${priority},${match}`;
  const { flow } = parseFlow(`table=${table},${rule} actions=${actions}`, undefined, { isPrinted: true });
  if (flow === null) return null;
  return {
    cookie,
    table,
    priority,
    // The priority that is left out where it is the default one.
    match: formatMatch(flow.match),
    actions: lowered(formatActions(flow.actions, { version: "OpenFlow13" }, flow.match)),
  };
}

/** `IN_PORT` at the end, as a switch prints it, is `in_port` in the rows. */
export const lowered = (actions: string): string =>
  actions.endsWith("IN_PORT") ? `${actions.slice(0, -"IN_PORT".length)}in_port` : actions;
