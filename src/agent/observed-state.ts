/**
 * What is installed: a dump of the bridge taken apart into our rows and everybody else's. A row is ours when its cookie
 * is one that the pipeline gives in that table (`owner << 32 | kind | table`). Rows that are only spelt differently from
 * what is wanted are found by what they compare and do, so that no flow is rewritten for its spelling.
 */

import type { Path } from "../intent/index.ts";
import { canonicalText, type Flow, matchWords, parseFlow } from "../openflow/index.ts";
import { KIND_BITS, type RowKind } from "../pipeline/index.ts";
import { type Row, rowName } from "./flow-entries.ts";

/** A flow of the dump. */
export interface InstalledRow {
  readonly table: number;
  readonly priority: number;
  /** As printed, in hex. */
  readonly cookie: string;
  readonly match: string;
  readonly actions: string;
  /** Timeouts and flags, which no row of ours has on Open vSwitch, or what the bridge has for a VM's tag; else empty. */
  readonly extras: string;
  readonly kind: RowKind | null;
  readonly owner: number;
  /** Entered as it was written, and not read from a dump: there is no other spelling of it to look for. */
  readonly isAsWritten: boolean;
}

const KINDS = new Map<number, RowKind>(
  Object.entries(KIND_BITS).map(([kind, bits]) => [bits, kind as RowKind]),
);
const OWNERLESS: ReadonlySet<RowKind> = new Set(["pipeline", "route"]);
const LINE =
  /^\s*cookie=(0x[0-9a-f]+), duration=[^,]*, table=(\d+), n_packets=\d+, n_bytes=\d+, ((?:[^=]*?=[^,]*, |[a-z_]+ )*?)(?:priority=(\d+),?)?(\S*?) ?actions=(.*)$/;
const AGES = /\b(?:idle|hard)_age=\d+, /g;
const PRIORITY_DEFAULT = 32_768;

/** Whose a cookie is in a table; null: not ours. */
function ownershipOf(cookie: string, table: number): { kind: RowKind; owner: number } | null {
  const digits = cookie.slice(2);
  const low = Number.parseInt(digits.slice(-8), 16);
  const owner = digits.length > 8 ? Number.parseInt(digits.slice(0, -8), 16) : 0;
  const kind = (low & 0xff) === table ? KINDS.get((low & 0xffffff00) >>> 0) : undefined;
  if (kind === undefined || OWNERLESS.has(kind) !== (owner === 0)) return null;
  return { kind, owner };
}

/** A line of a dump; null for what is no flow. Throws for a flow that is not spelt as ovs-ofctl 2.17…3.x prints it. */
export function readLine(line: string): InstalledRow | null {
  if (!line.includes("actions=")) return null;
  const found = LINE.exec(line);
  if (found === null) throw new Error(`a flow of the dump cannot be read: ${line.slice(0, 200)}`);
  const [, cookie = "", digits, extras = "", priority, match = "", actions = ""] = found;
  const table = Number(digits);
  const whose = ownershipOf(cookie, table);
  return {
    table,
    priority: priority === undefined ? PRIORITY_DEFAULT : Number(priority),
    cookie,
    match,
    actions: actions.endsWith("IN_PORT") ? `${actions.slice(0, -7)}in_port` : actions,
    extras: extras.replace(AGES, "").trim(),
    kind: whose?.kind ?? null,
    owner: whose?.owner ?? 0,
    isAsWritten: false,
  };
}

/** Text that parseFlow takes. */
const textOf = ({
  table,
  priority,
  match,
  actions,
}: Pick<InstalledRow, "table" | "priority" | "match" | "actions">) =>
  `table=${table},priority=${priority}${match === "" ? "" : `,${match}`} actions=${actions}`;

/** The flows among lines of a dump. Throws for one that cannot be read. */
export function rowsOf(lines: readonly string[]): InstalledRow[] {
  const rows: InstalledRow[] = [];
  for (const line of lines) {
    const row = readLine(line);
    if (row !== null) rows.push(row);
  }
  return rows;
}

const parsed = new WeakMap<object, Flow | null>();

function flowOf(row: InstalledRow | Row): Flow | null {
  let flow = parsed.get(row);
  if (flow === undefined) {
    flow = parseFlow(textOf(row), undefined, { isPrinted: true }).flow;
    parsed.set(row, flow);
  }
  return flow;
}

/** What a row compares, however it is spelt; null when it cannot be read. */
export function meaningOf(row: InstalledRow | Row): string | null {
  const flow = flowOf(row);
  if (flow === null) return null;
  const { words, unplaced } = matchWords(flow);
  const rest = unplaced.map(({ field, value, mask }) => `${field.name}=${value}/${mask}`);
  const said = words.map(({ word, mask, value }) => `${word}/${mask}=${value}`);
  return [row.table, row.priority, ...said, ...rest].join();
}

/** Whether an installed row is the wanted one, but perhaps for its spelling. */
export function isSameRow(installed: InstalledRow, wanted: Row): boolean {
  if (installed.cookie !== wanted.cookie || installed.extras !== wanted.extras) return false;
  if (installed.actions === wanted.actions) return true;
  if (installed.isAsWritten) return false;
  const [a, b] = [flowOf(installed), flowOf(wanted)];
  return a !== null && b !== null && canonicalText(a.actions) === canonicalText(b.actions);
}

/** Whether two installed rows of one name are the same, but perhaps for their spelling. */
export function isAlike(a: InstalledRow, b: InstalledRow): boolean {
  if (a.cookie !== b.cookie || a.extras !== b.extras) return false;
  if (a.actions === b.actions) return true;
  const [one, other] = [flowOf(a), flowOf(b)];
  return one !== null && other !== null && canonicalText(one.actions) === canonicalText(other.actions);
}

/** The bridge's flows as the agent last knew them; its own writes are entered as they are made. */
export class Installed {
  /** Our rows by name. */
  readonly ours = new Map<string, InstalledRow>();
  /** Everybody else's, by name. */
  readonly foreign = new Map<string, InstalledRow>();
  readonly #ofOwner = new Map<number, Set<string>>();
  /** Names by those under which the switch prints rows that it spells otherwise: one match is always printed the same. */
  readonly #nameOf = new Map<string, string>();
  /** What is known of a VM by its rows, until one of them changes. */
  readonly #summaries = new Map<
    number,
    { readonly path: Path | null; readonly addresses: ReadonlySet<string> }
  >();

  /** Tells our rows from everybody else's. */
  static read(rows: Iterable<InstalledRow>): Installed {
    const installed = new Installed();
    installed.take(rows);
    return installed;
  }

  /** Takes rows in. */
  take(rows: Iterable<InstalledRow>): void {
    for (const row of rows) {
      const name = rowName(row.table, row.priority, row.match);
      if (row.kind === null) this.foreign.set(name, row);
      else this.set(name, row);
    }
  }

  /** The name of a row by the one that its print in a dump has. */
  nameOf(printed: string): string {
    return this.#nameOf.get(printed) ?? printed;
  }

  set(name: string, row: InstalledRow): void {
    const before = this.ours.get(name);
    if (before !== undefined && before.owner !== 0) this.delete(name);
    this.ours.set(name, row);
    if (row.owner === 0) return;
    this.#summaries.delete(row.owner);
    let names = this.#ofOwner.get(row.owner);
    if (names === undefined) {
      names = new Set();
      this.#ofOwner.set(row.owner, names);
    }
    names.add(name);
  }

  delete(name: string): void {
    const row = this.ours.get(name);
    if (row === undefined) return;
    this.ours.delete(name);
    this.#summaries.delete(row.owner);
    const names = this.#ofOwner.get(row.owner);
    names?.delete(name);
    if (names?.size === 0) this.#ofOwner.delete(row.owner);
  }

  /** Ids of the VMs that have rows. */
  get owners(): readonly number[] {
    return [...this.#ofOwner.keys()];
  }

  /** Names of the rows of a VM. */
  namesOf(owner: number): ReadonlySet<string> {
    return this.#ofOwner.get(owner) ?? new Set();
  }

  /**
   * What a VM's rows tell of it: addresses (as text), and its path, which is null when their kinds are those of no path.
   */
  summaryOf(owner: number): { readonly path: Path | null; readonly addresses: ReadonlySet<string> } {
    const known = this.#summaries.get(owner);
    if (known !== undefined) return known;
    const addresses = new Set<string>();
    const kinds = new Set<RowKind>();
    for (const name of this.namesOf(owner)) {
      const { kind, match } = this.ours.get(name)!;
      kinds.add(kind!);
      const found = ADDRESS.exec(match);
      if (found !== null && found[1] !== "0.0.0.0") addresses.add(found[1]!);
    }
    const summary = { path: PATH_OF.get([...kinds].sort().join()) ?? null, addresses };
    this.#summaries.set(owner, summary);
    return summary;
  }

  /**
   * Gives rows of ours that are only spelt differently the names under which they are wanted, and says which wanted rows
   * cannot be written because a row of somebody else's stands in their place. `names`: those under which anything may
   * be amiss; everything when they are not given.
   */
  reconcileNames(wanted: ReadonlyMap<string, Row>, names: ReadonlySet<string> | null = null): Set<string> {
    const strangers: (readonly [string, InstalledRow])[] = [];
    for (const name of names ?? this.ours.keys()) {
      const row = wanted.has(name) ? undefined : this.ours.get(name);
      if (row !== undefined) strangers.push([name, row]);
    }
    const foreign = [...this.foreign];
    const obstructed = new Set(foreign.map(([name]) => name).filter(name => wanted.has(name)));
    if (strangers.length === 0 && foreign.length === 0) return obstructed;
    const places = new Set([...strangers, ...foreign].map(([, row]) => `${row.table}/${row.priority}`));
    const meanings = new Map<string, string>();
    for (const name of names ?? wanted.keys()) {
      const row = this.ours.has(name) ? undefined : wanted.get(name);
      if (row === undefined || !places.has(`${row.table}/${row.priority}`)) continue;
      const meaning = meaningOf(row);
      if (meaning !== null) meanings.set(meaning, name);
    }
    if (meanings.size === 0) return obstructed;
    for (const [name, row] of strangers) {
      const known = meanings.get(meaningOf(row) ?? "");
      if (known === undefined) continue;
      this.delete(name);
      this.set(known, row);
      this.alias(name, known);
    }
    for (const [, row] of foreign) {
      const known = meanings.get(meaningOf(row) ?? "");
      if (known !== undefined) obstructed.add(known);
    }
    return obstructed;
  }

  /** Enters that the switch prints as `printed` what is called `name`. */
  alias(printed: string, name: string): void {
    this.#nameOf.set(printed, name);
  }
}

/** An address that stands for a VM, not a prefix. */
const ADDRESS = /(?:nw_dst|nw_src|arp_spa|arp_tpa)=(\d+\.\d+\.\d+\.\d+)(?![\d./])/;

const PATH_OF: ReadonlyMap<string, Path> = new Map([
  ["L2-in,L2-out", "l2"],
  ["L2-in,L2-out,L3-in", "dual-l2"],
  ["L2-in,L3-in,L3-out", "dual-l3"],
  ["L3-in,L3-out", "l3"],
]);
