/**
 * Addresses that were a VM's and may not be another's yet: routers and neighbours somewhere may still know where they
 * were. Kept in a file, which is written before the address is withdrawn, so that a restart does not shorten the time.
 */
import { readFileSync } from "node:fs";
import { writeWhole } from "./files.ts";

interface Entry {
  /** Id of the VM that had it, 0 when unknown. */
  readonly owner: number;
  /** Milliseconds since 1970. */
  readonly until: number;
}

export class Quarantine {
  readonly #path: string | null;
  readonly #periodMs: number;
  readonly #entries = new Map<string, Entry>();

  /** `path` null: kept in memory only. Throws when the file is damaged. */
  constructor(path: string | null, periodMs: number) {
    this.#path = path;
    this.#periodMs = periodMs;
    if (path === null) return;
    let text: string;
    try {
      text = readFileSync(path, "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
      throw error;
    }
    let saved: Record<string, Entry>;
    try {
      saved = JSON.parse(text) as Record<string, Entry>;
    } catch {
      throw new Error(`${path}: is damaged; remove it to begin without addresses in quarantine`);
    }
    for (const [address, { owner, until }] of Object.entries(saved))
      this.#entries.set(address, { owner, until });
  }

  /** Puts addresses into quarantine; those that are there already keep their time. On disk when it returns. */
  add(addresses: Iterable<readonly [address: string, owner: number]>, nowMs: number): readonly string[] {
    if (this.#periodMs === 0) return [];
    const added: string[] = [];
    for (const [address, owner] of addresses) {
      const known = this.#entries.get(address);
      if (known !== undefined && known.until > nowMs) continue;
      this.#entries.set(address, { owner, until: nowMs + this.#periodMs });
      added.push(address);
    }
    if (added.length > 0) this.#save();
    return added;
  }

  /** Until when an address is refused to a VM, in milliseconds since 1970; null: it may have it. */
  refusedUntil(address: string, id: number, nowMs: number): number | null {
    const entry = this.#entries.get(address);
    return entry === undefined || entry.until <= nowMs || entry.owner === id ? null : entry.until;
  }

  /** Forgets what is over; gives the moment when the next one is, or null. */
  expire(nowMs: number): number | null {
    let next: number | null = null;
    let isChanged = false;
    for (const [address, { until }] of this.#entries) {
      if (until <= nowMs) {
        this.#entries.delete(address);
        isChanged = true;
      } else if (next === null || until < next) next = until;
    }
    if (isChanged) this.#save();
    return next;
  }

  /** Addresses with the VM that had them and the moment when they are free. */
  get entries(): readonly (Entry & { readonly address: string })[] {
    return [...this.#entries].map(([address, entry]) => ({ address, ...entry }));
  }

  #save(): void {
    if (this.#path !== null) writeWhole(this.#path, `${JSON.stringify(Object.fromEntries(this.#entries))}\n`);
  }
}
