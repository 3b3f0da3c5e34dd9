/**
 * Addresses that a VM had and another may not have yet, because routers and neighbors may remember the old
 * place. The file is written before the withdrawal, so that a restart does not shorten the time; if it cannot
 * be written, the address is withdrawn all the same. If the clock is set back, the time is at most its whole
 * length.
 */
import { readFileSync } from "node:fs";
import { StateError, writeWhole } from "../host/index.ts";
import { parseIpv4 } from "../wire/index.ts";

interface Entry {
  /** Id of the VM that had it, 0 when unknown. */
  readonly owner: number;
  /** Milliseconds since 1970. */
  readonly until: number;
  /** How long it is kept in all, in milliseconds; null when it is not known. */
  readonly periodMs: number | null;
}

/** A withdrawal follows the loss at once, as a rule: that is not written down again. */
const SLACK_MS = 2000;

/** Reads the file. Throws StateError when it is not as it was written. */
function read(path: string): Map<string, Entry> {
  try {
    const saved: unknown = JSON.parse(readFileSync(path, "utf8"));
    if (typeof saved !== "object" || saved === null || Array.isArray(saved)) throw new TypeError();
    const entries = new Map<string, Entry>();
    for (const [address, { owner, until, periodMs }] of Object.entries(saved as Record<string, Entry>)) {
      if (parseIpv4(address) === null || !Number.isFinite(owner) || !Number.isFinite(until))
        throw new TypeError();
      entries.set(address, { owner, until, periodMs: Number.isFinite(periodMs) ? periodMs : null });
    }
    return entries;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return new Map();
    if (error instanceof SyntaxError || error instanceof TypeError)
      throw new StateError(
        `${path}: not a valid quarantine file; remove it to start without addresses in quarantine`,
      );
    throw new StateError(`${path}: ${(error as Error).message}`);
  }
}

export class Quarantine {
  readonly #path: string | null;
  readonly #periodMs: number;
  readonly #entries: Map<string, Entry>;
  #problem: string | null = null;

  /** `path` null: kept in memory only. Throws StateError when the file is damaged or cannot be read. */
  constructor(path: string | null, periodMs: number) {
    this.#path = path;
    this.#periodMs = periodMs;
    this.#entries = path === null ? new Map() : read(path);
  }

  /** Why the file is not as it should be; null: it is. */
  get problem(): string | null {
    return this.#problem;
  }

  /** Adds addresses; those there already keep their time. On disk when it returns, or see `problem`. */
  add(addresses: Iterable<readonly [address: string, owner: number]>, nowMs: number): readonly string[] {
    if (this.#periodMs === 0) return [];
    const added: string[] = [];
    for (const [address, owner] of addresses) {
      const known = this.#entries.get(address);
      if (known !== undefined && known.until > nowMs) continue;
      this.#entries.set(address, { owner, until: nowMs + this.#periodMs, periodMs: this.#periodMs });
      added.push(address);
    }
    if (added.length > 0) this.#save();
    return added;
  }

  /** Addresses were withdrawn only now, later than they were lost: their time begins anew. */
  restart(addresses: Iterable<string>, nowMs: number): void {
    const until = nowMs + this.#periodMs;
    let isChanged = false;
    for (const address of addresses) {
      const entry = this.#entries.get(address);
      if (entry === undefined || entry.until > until - SLACK_MS) continue;
      this.#entries.set(address, { ...entry, until, periodMs: this.#periodMs });
      isChanged = true;
    }
    if (isChanged) this.#save();
  }

  /** Until when an address is refused to a VM, in milliseconds since 1970; null: it may have it. */
  refusedUntil(address: string, id: number, nowMs: number): number | null {
    const entry = this.#entries.get(address);
    return entry === undefined || entry.until <= nowMs || entry.owner === id ? null : entry.until;
  }

  /** An owner has its address again: when it is lost once more, its time begins anew. */
  lift(isTaken: (address: string, owner: number) => boolean): void {
    const back = [...this.#entries].filter(([address, { owner }]) => isTaken(address, owner));
    for (const [address] of back) this.#entries.delete(address);
    if (back.length > 0) this.#save();
  }

  /** Removes what is over, and retries to write; returns when the next one is over, or null. */
  expire(nowMs: number): number | null {
    let next: number | null = null;
    let isChanged = this.#problem !== null;
    for (const [address, entry] of this.#entries) {
      const { periodMs } = entry;
      const isClockBack = periodMs !== null && entry.until > nowMs + periodMs;
      const until = isClockBack ? nowMs + periodMs : entry.until;
      if (isClockBack) this.#entries.set(address, { ...entry, until });
      if (until <= nowMs) this.#entries.delete(address);
      else if (next === null || until < next) next = until;
      isChanged ||= isClockBack || until <= nowMs;
    }
    if (isChanged) this.#save();
    return next;
  }

  /** Addresses with the VM that had them and the moment when they are free. */
  get entries(): readonly (Entry & { readonly address: string })[] {
    return [...this.#entries].map(([address, entry]) => ({ address, ...entry }));
  }

  #save(): void {
    if (this.#path === null) return;
    try {
      writeWhole(this.#path, `${JSON.stringify(Object.fromEntries(this.#entries))}\n`);
      this.#problem = null;
    } catch (error) {
      this.#problem = `${this.#path}: cannot write the addresses in quarantine: ${(error as Error).message}`;
    }
  }
}
