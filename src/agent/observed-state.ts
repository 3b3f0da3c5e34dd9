/**
 * The observed state: foreign flows, and ours by key and by VM. A flow is ours if the pipeline uses its
 * cookie in its table (`owner << 32 | kind | table`). The agent enters its own writes; a resync brings
 * everything else.
 */

import type { Path } from "../intent/index.ts";
import { KINDS_OF, type RowKind } from "../pipeline/index.ts";
import { formatIpv4 } from "../wire/index.ts";
import { type FlowEntry, isSameEntry } from "./flow-entry.ts";

/** The VM as its flows show it; `path` null: the kinds of its flows are those of no path. */
export interface VmSummary {
  readonly path: Path | null;
  readonly addresses: ReadonlySet<string>;
}

/** The VMs that are installed. */
export type Present = Pick<ReadonlyMap<number, VmSummary>, "get" | "has">;

const kindsKey = (kinds: Iterable<RowKind>): string => [...kinds].sort().join();
const PATH_OF: ReadonlyMap<string, Path> = new Map(
  Object.entries(KINDS_OF).map(([path, kinds]) => [kindsKey(kinds), path as Path]),
);

export class Observed implements Present {
  /** Our flows by key. */
  readonly ours = new Map<string, FlowEntry>();
  /** Everybody else's, by key. */
  readonly foreign: Map<string, FlowEntry>;
  readonly #keysOf = new Map<number, Set<string>>();
  /** Summaries of VMs, each until a flow of its VM changes. */
  readonly #summaries = new Map<number, VmSummary>();

  /** `foreign`: foreign flows that are known from before. */
  constructor(foreign: ReadonlyMap<string, FlowEntry> = new Map()) {
    this.foreign = new Map(foreign);
  }

  set(entry: FlowEntry): void {
    const { key, owner } = entry;
    const before = this.ours.get(key);
    if (before !== undefined && before.owner !== 0) this.delete(key);
    this.ours.set(key, entry);
    if (owner === 0) return;
    this.#summaries.delete(owner);
    const keys = this.#keysOf.get(owner);
    if (keys === undefined) this.#keysOf.set(owner, new Set([key]));
    else keys.add(key);
  }

  delete(key: string): void {
    const entry = this.ours.get(key);
    if (entry === undefined) return;
    const { owner } = entry;
    this.ours.delete(key);
    this.#summaries.delete(owner);
    const keys = this.#keysOf.get(owner);
    keys?.delete(key);
    if (keys?.size === 0) this.#keysOf.delete(owner);
  }

  /** Takes these as the foreign flows; gives whether they differ from those known. */
  replaceForeign(entries: ReadonlyMap<string, FlowEntry>): boolean {
    const isSame = ([key, entry]: readonly [string, FlowEntry]): boolean => {
      const known = this.foreign.get(key);
      return known !== undefined && isSameEntry(known, entry);
    };
    const areSame = entries.size === this.foreign.size && [...entries].every(isSame);
    this.foreign.clear();
    for (const [key, entry] of entries) this.foreign.set(key, entry);
    return !areSame;
  }

  /** Ids of the VMs that have flows. */
  get owners(): readonly number[] {
    return [...this.#keysOf.keys()];
  }

  /** Keys of the flows of a VM. */
  keysOf(owner: number): ReadonlySet<string> {
    return this.#keysOf.get(owner) ?? new Set();
  }

  /** The flows of a VM. */
  flowsOf(owner: number): FlowEntry[] {
    return [...this.keysOf(owner)].map(key => this.ours.get(key)!);
  }

  has(owner: number): boolean {
    return this.#keysOf.has(owner);
  }

  /** A VM by its id, as its flows show it. */
  get(owner: number): VmSummary | undefined {
    const known = this.#summaries.get(owner);
    if (known !== undefined || !this.has(owner)) return known;
    const addresses = new Set<string>();
    const kinds = new Set<RowKind>();
    for (const { kind, address } of this.flowsOf(owner)) {
      kinds.add(kind!);
      if (address !== null) addresses.add(formatIpv4(address));
    }
    const summary = { path: PATH_OF.get(kindsKey(kinds)) ?? null, addresses };
    this.#summaries.set(owner, summary);
    return summary;
  }
}
