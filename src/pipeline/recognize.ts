/**
 * The way back from flow text to a flow of the pipeline: the text of a dump, taken apart by the rows of
 * tables.ts into the values of their words. Text that spells a flow differently from the rows (`mod_dl_dst`,
 * hex) is parsed and printed once as Open vSwitch prints it by OpenFlow 1.3, and tried again. A flow whose
 * cookie, match or actions are not those of exactly one row is not recognized; a flow with the match of a row
 * and other actions is recognized as `isExact: false`.
 */

import type { NextHop } from "../intent/index.ts";
import { formatActions, formatMatch, parseFlow } from "../openflow/index.ts";
import { ipv4FromBits, macFromBits, maskOf, parseIpv4 } from "../wire/index.ts";
import { type FlowText, type Hypervisor, isLabel, type PipelineFlow, problemOf } from "./flow.ts";
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
}

/** The words that have one number as value, by their place in `Values`. */
const SCALARS = ["U", "Umac", "vmac", "LABEL", "TC", "W", "mac", "A", "via"] as const;
const PLACE_OF: ReadonlyMap<string, number> = new Map(SCALARS.map((word, place) => [word, place]));
const UNBOUND = -1;
const [W, MAC, A, VIA] = [5, 6, 7, 8];
const ADDRESS_MIN = 0x0100_0000;
const TRAFFIC_CLASS_MAX = 7;
const PORT_MAX = 0xffff;
/** A fabric has a few thousand next hops; a million kept would take a gigabyte. */
const NEXT_HOPS_KEPT = 16_384;
const PUSH_PARTS = partsOf(PUSH);
const PUSH_START = PUSH_PARTS[0]!;

const keyOf = (table: number, priority: number): number => table * 0x10000 + priority;

/** Rows by table and priority; a route's row by each of its priorities. */
const ROWS_AT = new Map<number, PipelineRow[]>();
for (const row of PIPELINE_ROWS) {
  const priorities =
    row.priority === "100+plen" ? Array.from({ length: 32 }, (_, index) => 101 + index) : [row.priority];
  for (const priority of priorities) {
    const key = keyOf(row.table, priority);
    ROWS_AT.set(key, [...(ROWS_AT.get(key) ?? []), row]);
  }
}

/** A number in decimal or hex; -1 for anything else. */
function numberIn(text: string): number {
  const first = text.charCodeAt(0);
  if (!(first >= 48 && first <= 57)) return UNBOUND;
  const value = Number(text);
  return Number.isInteger(value) ? value : UNBOUND;
}

const orUnbound = (value: number | null): number => value ?? UNBOUND;

/** A MAC address in lower case, as a dump has it: by hand, because a dump has hundreds of thousands. */
function macIn(text: string): number {
  if (text.length !== 17) return UNBOUND;
  let value = 0;
  for (let at = 0; at < 17; at++) {
    const code = text.charCodeAt(at);
    if (at % 3 === 2) {
      if (code !== 58) return UNBOUND;
      continue;
    }
    const digit = code >= 48 && code <= 57 ? code - 48 : code >= 97 && code <= 102 ? code - 87 : UNBOUND;
    if (digit === UNBOUND) return UNBOUND;
    value = value * 16 + digit;
  }
  return value;
}

/** The value that a word may have, read from text; -1: it is not one. */
function valueIn(word: Word, text: string): number {
  switch (word) {
    case "Umac":
    case "vmac":
    case "mac":
    case "via":
      return macIn(text);
    case "A": {
      const address = orUnbound(parseIpv4(text));
      return address >= ADDRESS_MIN ? address : UNBOUND;
    }
    case "LABEL":
    case "L": {
      const label = numberIn(text);
      return isLabel(label) ? label : UNBOUND;
    }
    case "TC": {
      const value = numberIn(text);
      return value <= TRAFFIC_CLASS_MAX ? value : UNBOUND;
    }
    case "U":
    case "W": {
      const port = numberIn(text);
      return port > 0 && port <= PORT_MAX ? port : UNBOUND;
    }
    default:
      return UNBOUND;
  }
}

/** The end of a value within a list of actions: the next `,` or `->`. */
function valueEnd(text: string, from: number): number {
  for (let at = from; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 44 || code === 45) return at;
  }
  return text.length;
}

/**
 * Recognizes the flows of one hypervisor; of any, when none is given: then a flow has the hypervisor's values
 * that its text has, and -1 for the others.
 */
export class Recognizer {
  readonly #hypervisor: Hypervisor | null;
  /** The constants, which every attempt starts with. */
  readonly #constants: Float64Array;
  readonly #values = new Float64Array(SCALARS.length);
  /** Of the last route whose actions were read. */
  #labels: number[] = [];
  #prefix = 0;
  /** Next hops by the text of the actions: equal routes share one object. */
  readonly #nextHops = new Map<string, NextHop>();

  constructor(hypervisor: Hypervisor | null) {
    this.#hypervisor = hypervisor;
    this.#constants = new Float64Array(SCALARS.length).fill(UNBOUND);
    if (hypervisor === null) return;
    const { uplink, uplinkMac, virtualMac, label, trafficClass } = hypervisor;
    this.#constants.set([uplink, uplinkMac, virtualMac, label, trafficClass]);
  }

  /** The flow that a text is; null if its cookie, or its match, is not that of a row of this hypervisor. */
  recognize(text: FlowText, ownership = ownershipOf(text.cookie, text.table)): Recognized | null {
    if (ownership === null) return null;
    const found = this.#read(text, ownership.kind, ownership.owner);
    if (found?.isExact) return found;
    const respelt = respell(text);
    if (respelt === null || (respelt.match === text.match && respelt.actions === text.actions)) return found;
    return this.#read(respelt, ownership.kind, ownership.owner) ?? found;
  }

  #read(text: FlowText, kind: RowKind, owner: number): Recognized | null {
    for (const row of ROWS_AT.get(keyOf(text.table, text.priority)) ?? []) {
      if (!row.kinds.includes(kind)) continue;
      this.#values.set(this.#constants);
      this.#prefix = 0;
      if (!this.#bindsMatch(row, text)) continue;
      const nextHop = kind === "route" ? this.#nextHopOf(row, text.actions) : null;
      const isExact = kind === "route" ? nextHop !== null : this.#bindsActions(row, text.actions);
      const flow = this.#flowOf(row, kind, owner, text.priority, nextHop);
      if (!isExact || problemOf(flow) === null) return { flow, isExact };
    }
    return null;
  }

  #flowOf(
    row: PipelineRow,
    kind: RowKind,
    owner: number,
    priority: number,
    nextHop: NextHop | null,
  ): PipelineFlow {
    const values = this.#values;
    const bound = (place: number): number => Math.max(values[place]!, 0);
    const isRoute = kind === "route";
    return {
      hypervisor: this.#hypervisor ?? valuesIn(values),
      row,
      table: row.table,
      priority,
      kind,
      owner,
      port: bound(W!),
      mac: macFromBits(bound(MAC!)),
      address: ipv4FromBits(isRoute ? this.#prefix : bound(A!)),
      length: isRoute ? priority - 100 : 0,
      nextHop,
    };
  }

  /** Whether a word may have this value: the one that it has already, if it has one. */
  #binds(word: Word, value: number): boolean {
    const place = PLACE_OF.get(word);
    if (value === UNBOUND || place === undefined) return false;
    const before = this.#values[place]!;
    this.#values[place] = value;
    return before === UNBOUND || before === value;
  }

  /** Whether a match has the terms of a row, in any order. */
  #bindsMatch({ terms }: PipelineRow, { match, priority }: FlowText): boolean {
    let count = 0;
    for (let from = 0; from < match.length; ) {
      const comma = match.indexOf(",", from);
      const end = comma < 0 ? match.length : comma;
      const equals = match.indexOf("=", from);
      const hasValue = equals >= 0 && equals < end;
      const field = match.slice(from, hasValue ? equals : end);
      // Most often in the order of the row.
      let index = count < terms.length && terms[count]!.field === field ? count : terms.length - 1;
      while (index >= 0 && terms[index]!.field !== field) index--;
      if (index < 0) return false;
      const term = terms[index]!;
      const value = hasValue ? match.slice(equals + 1, end) : null;
      if (
        term.word === null
          ? term.text !== value
          : value === null || !this.#bindsTerm(term.word, value, priority)
      )
        return false;
      count++;
      from = end + 1;
    }
    return count === terms.length;
  }

  #bindsTerm(word: Word, text: string, priority: number): boolean {
    if (word !== "PREFIX") return this.#binds(word, valueIn(word, text));
    const slash = text.indexOf("/");
    const length = slash < 0 ? 32 : numberIn(text.slice(slash + 1));
    const address = parseIpv4(slash < 0 ? text : text.slice(0, slash));
    if (address === null || length !== priority - 100 || length < 1 || length > 32) return false;
    this.#prefix = address;
    return (address & maskOf(length)) >>> 0 === address;
  }

  /** The next hop in the actions of a route; null if they are not those of one. */
  #nextHopOf(row: PipelineRow, actions: string): NextHop | null {
    const known = this.#nextHops.get(actions);
    if (known !== undefined) return known;
    if (!this.#bindsActions(row, actions)) return null;
    const nextHop = { labels: this.#labels.reverse(), via: macFromBits(this.#values[VIA!]!) };
    if (this.#hypervisor !== null && this.#nextHops.size < NEXT_HOPS_KEPT)
      this.#nextHops.set(actions, nextHop);
    return nextHop;
  }

  /**
   * Whether actions are those of a row; the labels that they push are in `#labels` afterwards, the innermost
   * first.
   */
  #bindsActions({ actionParts }: PipelineRow, text: string): boolean {
    this.#labels = [];
    let at = actionParts[0]!.length;
    if (!text.startsWith(actionParts[0]!)) return false;
    for (let index = 1; index < actionParts.length; index += 2) {
      const word = actionParts[index] as Word;
      let rest = actionParts[index + 1]!;
      if (word === "PUSHES") {
        const end = this.#pushesEnd(text, at);
        // Without a push the comma behind them is missing, too.
        if (end === at) rest = rest.slice(1);
        at = end;
      } else {
        const end = valueEnd(text, at);
        if (!this.#binds(word, valueIn(word, text.slice(at, end)))) return false;
        at = end;
      }
      if (!text.startsWith(rest, at)) return false;
      at += rest.length;
    }
    return at === text.length;
  }

  /** Reads the pushes that begin at a place; gives where the last one ends. */
  #pushesEnd(text: string, from: number): number {
    let at = from;
    for (let next = from; text.startsWith(PUSH_START, next); next = at + 1) {
      let end = next + PUSH_START.length;
      for (let index = 1; index < PUSH_PARTS.length; index += 2) {
        const word = PUSH_PARTS[index] as Word;
        const rest = PUSH_PARTS[index + 1]!;
        const stop = valueEnd(text, end);
        const value = valueIn(word, text.slice(end, stop));
        const isBound = word === "L" ? value !== UNBOUND : this.#binds(word, value);
        if (!isBound || !text.startsWith(rest, stop)) return at;
        if (word === "L") this.#labels.push(value);
        end = stop + rest.length;
      }
      at = end;
    }
    return at;
  }
}

/** The values of a hypervisor that a flow has; -1 for the others. */
function valuesIn(values: Float64Array): Hypervisor {
  const at = (word: string): number => values[PLACE_OF.get(word)!]!;
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
