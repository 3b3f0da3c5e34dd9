/**
 * The way back from flow text to a flow of the pipeline: the text of a dump, compared with the templates of
 * tables.ts, whose words are read as values. The templates have one spelling, that of Open vSwitch by
 * OpenFlow 1.3. Other text (`mod_dl_dst`, hex, another order) is parsed, printed so, and tried again. A
 * flow whose cookie, match or actions are not those of exactly one row is not recognized; a flow with the
 * match of a row and other actions is recognized as `isExact: false`.
 */

import type { NextHop } from "../intent/index.ts";
import { formatActions, formatMatch, parseFlow } from "../openflow/index.ts";
import { ipv4FromBits, macFromBits, maskOf } from "../wire/index.ts";
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
import { TextCursor, UNREAD } from "./text-cursor.ts";

/** A flow whose match is that of a row. */
export interface Recognized {
  readonly flow: PipelineFlow;
  /** Whether its actions are the row's, too; if not, values that stand in the actions alone are 0 or null. */
  readonly isExact: boolean;
  /** Whether its match is spelt as a switch prints it. */
  readonly isPrinted: boolean;
}

/** The words that have one number as value, by their place in `Values`. */
const SCALARS = ["U", "Umac", "vmac", "LABEL", "TC", "W", "mac", "A", "via"] as const;
type Scalar = (typeof SCALARS)[number];
const [W, MAC, A, VIA] = [5, 6, 7, 8] as const;
const ADDRESS_MIN = 0x0100_0000;
const TRAFFIC_CLASS_MAX = 7;
const PORT_MAX = 0xffff;
/** A fabric has a few thousand next hops; a million kept would take a gigabyte. */
const NEXT_HOPS_KEPT = 16_384;

const orZero = (value: number | undefined): number => (value === undefined || value < 0 ? 0 : value);

type Read = (cursor: TextCursor) => number;

const readMac: Read = cursor => cursor.mac();
const readPort: Read = cursor => {
  const port = cursor.decimal();
  return port > 0 && port <= PORT_MAX ? port : UNREAD;
};
const readLabel: Read = cursor => {
  const label = cursor.decimal();
  return isLabel(label) ? label : UNREAD;
};
const readTrafficClass: Read = cursor => {
  const value = cursor.decimal();
  return value <= TRAFFIC_CLASS_MAX ? value : UNREAD;
};
const readAddress: Read = cursor => {
  const address = cursor.ipv4();
  return address >= ADDRESS_MIN ? address : UNREAD;
};

/** Reads the value that a word may have; UNREAD if the text has none. */
const READERS: Readonly<Record<Scalar, Read>> = {
  U: readPort,
  Umac: readMac,
  vmac: readMac,
  LABEL: readLabel,
  TC: readTrafficClass,
  W: readPort,
  mac: readMac,
  A: readAddress,
  via: readMac,
};

/** A word of a template, and the text behind it. `place`: in SCALARS; -1 for words that are not there. */
interface Step {
  readonly word: Word;
  readonly place: number;
  readonly read: Read | null;
  readonly rest: string;
}

interface Template {
  readonly start: string;
  readonly steps: readonly Step[];
}

function templateOf([start = "", ...parts]: readonly string[]): Template {
  const steps: Step[] = [];
  for (let index = 0; index < parts.length; index += 2) {
    const word = parts[index] as Word;
    const place = SCALARS.indexOf(word as Scalar);
    steps.push({ word, place, read: READERS[word as Scalar] ?? null, rest: parts[index + 1]! });
  }
  return { start, steps };
}

interface RowTemplates {
  readonly row: PipelineRow;
  readonly match: Template;
  readonly actions: Template;
}

const PUSH_TEMPLATE = templateOf(partsOf(PUSH));

const keyOf = (table: number, priority: number): number => table * 0x10000 + priority;

/** Rows by table and priority; a route's row by each of its priorities. */
const ROWS_AT = new Map<number, RowTemplates[]>();
for (const row of PIPELINE_ROWS) {
  const { table, priority, printedParts, actionParts } = row;
  const priorities =
    priority === "100+plen" ? Array.from({ length: 32 }, (_, index) => 101 + index) : [priority];
  const templates = { row, match: templateOf(printedParts), actions: templateOf(actionParts) };
  for (const each of priorities) {
    const key = keyOf(table, each);
    ROWS_AT.set(key, [...(ROWS_AT.get(key) ?? []), templates]);
  }
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
  readonly #cursor = new TextCursor();
  /** Of the last route whose actions were read. */
  #labels: number[] = [];
  #prefix = 0;
  /** Next hops by the text of the actions: equal routes share one object. */
  readonly #nextHops = new Map<string, NextHop>();

  constructor(hypervisor: Hypervisor | null) {
    this.#hypervisor = hypervisor;
    this.#constants = new Float64Array(SCALARS.length).fill(UNREAD);
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
    const other = this.#read(respelt, ownership.kind, ownership.owner);
    return other === null ? found : { ...other, isPrinted: respelt.match === text.match };
  }

  #read({ table, priority, match, actions }: FlowText, kind: RowKind, owner: number): Recognized | null {
    for (const templates of ROWS_AT.get(keyOf(table, priority)) ?? []) {
      const { row } = templates;
      if (!row.kinds.includes(kind)) continue;
      this.#reset();
      if (!this.#binds(templates.match, match, priority)) continue;
      const isRoute = kind === "route";
      const nextHop = isRoute ? this.#nextHopOf(templates.actions, actions) : null;
      const isExact = isRoute ? nextHop !== null : this.#binds(templates.actions, actions, priority);
      const flow = this.#flowOf(row, kind, owner, priority, nextHop);
      if (!isExact || problemOf(flow) === null) return { flow, isExact, isPrinted: true };
    }
    return null;
  }

  #reset(): void {
    const values = this.#values;
    const constants = this.#constants;
    for (let place = 0; place < SCALARS.length; place++) values[place] = constants[place]!;
    this.#prefix = 0;
  }

  #flowOf(
    row: PipelineRow,
    kind: RowKind,
    owner: number,
    priority: number,
    nextHop: NextHop | null,
  ): PipelineFlow {
    const values = this.#values;
    const isRoute = kind === "route";
    return {
      hypervisor: this.#hypervisor ?? valuesIn(values),
      row,
      table: row.table,
      priority,
      kind,
      owner,
      port: orZero(values[W]),
      mac: macFromBits(orZero(values[MAC])),
      address: ipv4FromBits(isRoute ? this.#prefix : orZero(values[A])),
      length: isRoute ? priority - 100 : 0,
      nextHop,
    };
  }

  /** The next hop in the actions of a route; null if they are not those of one. */
  #nextHopOf(template: Template, actions: string): NextHop | null {
    const known = this.#nextHops.get(actions);
    if (known !== undefined) return known;
    this.#labels = [];
    if (!this.#binds(template, actions, 0)) return null;
    const nextHop = { labels: this.#labels.reverse(), via: macFromBits(this.#values[VIA]!) };
    if (this.#hypervisor !== null && this.#nextHops.size < NEXT_HOPS_KEPT)
      this.#nextHops.set(actions, nextHop);
    return nextHop;
  }

  /** Whether a text is that of a template; binds the values of its words. */
  #binds({ start, steps }: Template, text: string, priority: number): boolean {
    const cursor = this.#cursor;
    cursor.start(text);
    if (!cursor.skips(start)) return false;
    for (const step of steps) {
      let { rest } = step;
      if (step.word === "PUSHES") {
        // Without a push the comma behind them is missing, too.
        if (!this.#readsPushes()) rest = rest.slice(1);
      } else if (!(step.word === "PREFIX" ? this.#bindsPrefix(priority) : this.#bindsWord(step)))
        return false;
      if (!cursor.skips(rest)) return false;
    }
    return cursor.isAtEnd;
  }

  /** Whether the word has a value here: the one that it has already, if it has one. */
  #bindsWord({ place, read }: Step): boolean {
    const value = read === null ? UNREAD : read(this.#cursor);
    if (value === UNREAD) return false;
    const before = this.#values[place]!;
    this.#values[place] = value;
    return before === UNREAD || before === value;
  }

  #bindsPrefix(priority: number): boolean {
    const cursor = this.#cursor;
    this.#prefix = cursor.ipv4();
    const length = cursor.skips("/") ? cursor.decimal() : 32;
    if (this.#prefix === UNREAD || length !== priority - 100 || length < 1) return false;
    return (this.#prefix & maskOf(length)) >>> 0 === this.#prefix;
  }

  /** Reads pushes, and puts their labels, the innermost first, in `#labels`; false: there is none. */
  #readsPushes(): boolean {
    const cursor = this.#cursor;
    let end = cursor.at;
    for (const from = end; end === from || cursor.skips(","); end = cursor.at) {
      if (!this.#readsPush()) break;
    }
    const hasPush = this.#labels.length > 0;
    cursor.at = end;
    return hasPush;
  }

  #readsPush(): boolean {
    const cursor = this.#cursor;
    if (!cursor.skips(PUSH_TEMPLATE.start)) return false;
    let label = UNREAD;
    for (const step of PUSH_TEMPLATE.steps) {
      if (step.word === "L") label = readLabel(cursor);
      else if (!this.#bindsWord(step)) return false;
      if (!cursor.skips(step.rest)) return false;
    }
    if (label !== UNREAD) this.#labels.push(label);
    return label !== UNREAD;
  }
}

/** The values of a hypervisor that a flow has; -1 for the others. */
function valuesIn(values: Float64Array): Hypervisor {
  const at = (word: Scalar): number => values[SCALARS.indexOf(word)]!;
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
