/**
 * The received routes: the best path of each prefix, its next hop resolved, and the prefixes that changed. A
 * loss of the source changes nothing; the source reports what is gone when its table is complete again. RFC
 * 8277: label 3 is the implicit null, which is not pushed.
 */

import type { FabricRoute, RouteChange } from "../bgp/index.ts";
import { formatCount, LABELS_MAX, LIMITS } from "../intent/index.ts";
import { maskOf, parseIpv4 } from "../wire/index.ts";

/** A route whose next hop has a known MAC. */
export interface ResolvedRoute {
  /** Unsigned, host order. */
  readonly prefix: number;
  readonly length: number;
  readonly labels: readonly number[];
  readonly via: number;
}

/** MAC address of a next hop, as a number; null when it is not known (yet). */
export type NextHopResolver = (nextHop: string) => number | null;

interface Entry {
  readonly route: FabricRoute;
  readonly prefix: number;
  readonly length: number;
  readonly labels: readonly number[];
}

const IMPLICIT_NULL = 3;
const LABEL_MIN = 16;
const LABEL_MAX = 0xfffff;

/** A prefix as numbers; null when it is none, or has host bits. */
export function parsePrefix(text: string): { prefix: number; length: number } | null {
  const [, address = "", digits = ""] = /^([\d.]+)\/(\d{1,2})$/.exec(text) ?? [];
  const prefix = parseIpv4(address);
  const length = Number(digits);
  if (prefix === null || digits === "" || length > 32 || (prefix & maskOf(length)) >>> 0 !== prefix)
    return null;
  return { prefix, length };
}

/** The prefix of a VM's address; `addressOf` is the way back. */
export const hostPrefix = (address: string): string => `${address}/32`;
export const addressOf = (prefix: string): string => prefix.replace(/\/32$/, "");

export class Rib {
  readonly #entries = new Map<string, Entry>();
  #changed = new Set<string>();
  readonly #ownNextHop: string | null;
  readonly #rejected = new Map<string, string>();
  /** Routes for which there is no room, in the order in which they came: they are taken when there is. */
  readonly #waiting = new Map<string, FabricRoute>();
  readonly #most: number;
  /** False until the table is complete, at first and after a loss. */
  isComplete = false;

  /**
   * Routes to `ownNextHop` are this hypervisor's own announcements and ignored. `most`: the limit of routes.
   */
  constructor(ownNextHop: string | null, most = LIMITS.routes) {
    this.#ownNextHop = ownNextHop;
    this.#most = most;
  }

  get count(): number {
    return this.#entries.size;
  }

  /** Routes that cannot be used, with the reason. */
  get rejected(): ReadonlyMap<string, string> {
    return this.#rejected;
  }

  /** What does not fit, in one line; null: all does. */
  get problem(): string | null {
    if (this.#waiting.size === 0) return null;
    const [first] = this.#waiting.keys();
    const count = formatCount(this.#waiting.size);
    const limit = formatCount(this.#most);
    return `skipped ${count} routes of the fabric, the first is ${first}: the limit is ${limit} routes`;
  }

  apply(changes: readonly RouteChange[], isComplete: boolean): void {
    for (const change of changes) {
      if (change.type === "gone") this.#remove(change.prefix);
      else this.#set(change.route);
    }
    if (isComplete) this.isComplete = true;
  }

  /** The source was lost: the table stays as it is until that is whole again. */
  lose(): void {
    this.isComplete = false;
  }

  /** The prefixes that changed since the last call. */
  takeChanged(): Set<string> {
    const changed = this.#changed;
    this.#changed = new Set();
    return changed;
  }

  /** All prefixes. */
  get prefixes(): Iterable<string> {
    return this.#entries.keys();
  }

  routeTo(prefix: string): FabricRoute | null {
    return this.#entries.get(prefix)?.route ?? null;
  }

  /** A prefix's route with its MAC; null: there is none, or its next hop is not known. */
  resolve(prefix: string, resolver: NextHopResolver): ResolvedRoute | null {
    const entry = this.#entries.get(prefix);
    const via = entry === undefined ? null : resolver(entry.route.nextHop);
    return entry === undefined || via === null
      ? null
      : { prefix: entry.prefix, length: entry.length, labels: entry.labels, via };
  }

  #remove(prefix: string): void {
    this.#rejected.delete(prefix);
    this.#waiting.delete(prefix);
    if (!this.#entries.delete(prefix)) return;
    this.#changed.add(prefix);
    const [next] = this.#waiting.values();
    if (next !== undefined) this.#set(next);
  }

  #set(route: FabricRoute): void {
    const { prefix: text } = route;
    if (route.nextHop === this.#ownNextHop) {
      this.#remove(text);
      return;
    }
    const before = this.#entries.get(text);
    const at = before ?? parsePrefix(text);
    const labels = route.labels.includes(IMPLICIT_NULL)
      ? route.labels.filter(label => label !== IMPLICIT_NULL)
      : route.labels;
    const problem = problemOf(at !== null, labels);
    if (at === null || problem !== null) {
      this.#remove(text);
      this.#rejected.set(text, problem ?? "");
      return;
    }
    this.#rejected.delete(text);
    if (before === undefined && this.#entries.size >= this.#most) {
      this.#waiting.set(text, route);
      return;
    }
    this.#waiting.delete(text);
    const isSame =
      before !== undefined &&
      before.route.nextHop === route.nextHop &&
      before.labels.join() === labels.join();
    this.#entries.set(text, { route, prefix: at.prefix, length: at.length, labels });
    if (!isSame) this.#changed.add(text);
  }
}

function problemOf(isPrefix: boolean, labels: readonly number[]): string | null {
  if (!isPrefix) return "is not an IPv4 prefix without host bits";
  if (labels.length > LABELS_MAX) return `has ${labels.length} labels; the limit is ${LABELS_MAX}`;
  const odd = labels.find(label => label < LABEL_MIN || label > LABEL_MAX);
  return odd === undefined ? null : `has the reserved label ${odd}`;
}
