/**
 * The MAC address of a next hop: from the operator's table, else from the kernel, by ip-route(8) and
 * ip-neighbour(8). A next hop several routers away has the MAC of the gateway to it. The kernel's tables are
 * not written; a datagram to the discard port (RFC 863) makes the kernel resolve a neighbor.
 */
import { execFile } from "node:child_process";
import { createSocket } from "node:dgram";
import { isGroupMac, parseIpv4, parseMac } from "../wire/index.ts";
import { BgpError } from "./routing-daemon.ts";

export interface NextHopOptions {
  /** MAC by next hop, as `10.0.0.1` → `02:00:00:00:00:fe`. It wins over the kernel. */
  readonly table?: ReadonlyMap<string, string>;
  /** MAC of every next hop that is not in the table; without one the kernel's. */
  readonly gateway?: string;
  /** Runs `ip` with words and gives its standard output; for tests in a namespace. */
  readonly ip?: (words: readonly string[]) => Promise<string>;
  /** Sends to an address, so that the kernel resolves its MAC. */
  readonly poke?: (address: string) => void;
  /** How long a result of the kernel is valid, in milliseconds. */
  readonly maxAgeMs?: number;
  /** After what time a next hop without a MAC is requested again, in milliseconds. */
  readonly retryMs?: number;
}

const MAX_AGE_MS = 30_000;
const RETRY_MS = 1000;
const WAIT_MS = [10, 20, 50, 100, 200, 400];
const DISCARD_PORT = 9;
/** States of a neighbor in which its MAC is used (ip-neighbour(8)); STALE, too, as in the kernel. */
const USABLE = new Set(["PERMANENT", "NOARP", "REACHABLE", "STALE", "DELAY", "PROBE"]);

/** Finds and remembers the MACs of next hops, as numbers. */
export class NextHops {
  /** Called when `known` would give another answer than before. */
  onChange: () => void = () => undefined;
  readonly #table = new Map<string, number>();
  readonly #gateway: number | null;
  readonly #ip: (words: readonly string[]) => Promise<string>;
  readonly #poke: (address: string) => void;
  readonly #maxAgeMs: number;
  readonly #retryMs: number;
  readonly #asked = new Map<string, { mac: Promise<number | null>; at: number }>();
  /** The last MAC from the kernel; valid until there is a newer one. */
  readonly #found = new Map<string, number>();
  readonly #retries = new Map<string, NodeJS.Timeout>();

  constructor({
    table,
    gateway,
    ip = runIp,
    poke = sendDatagram,
    maxAgeMs = MAX_AGE_MS,
    retryMs = RETRY_MS,
  }: NextHopOptions = {}) {
    for (const [address, mac] of table ?? []) {
      if (parseIpv4(address) === null) throw new BgpError(`next hop "${address}" is not an IPv4 address`);
      this.#table.set(address, checkedMac(mac, address));
    }
    this.#gateway = gateway === undefined ? null : checkedMac(gateway, "the gateway");
    this.#ip = ip;
    this.#poke = poke;
    this.#maxAgeMs = maxAgeMs;
    this.#retryMs = retryMs;
  }

  /** The MAC of a next hop as last known, or null. Refreshes it meanwhile, until there is one. */
  known(nextHop: string): number | null {
    const written = this.#table.get(nextHop) ?? this.#gateway;
    if (written !== null) return written;
    if (!this.#isFresh(nextHop)) void this.#refresh(nextHop);
    return this.#found.get(nextHop) ?? null;
  }

  /** The MAC of a next hop; null if there is none now. Never fails. */
  resolve(nextHop: string): Promise<number | null> {
    const written = this.#table.get(nextHop) ?? this.#gateway;
    if (written !== null) return Promise.resolve(written);
    if (this.#isFresh(nextHop)) return this.#asked.get(nextHop)!.mac;
    const entry = { mac: this.#ask(nextHop).catch(() => null), at: performance.now() };
    this.#asked.set(nextHop, entry);
    // A failure is not cached.
    void entry.mac.then(mac => {
      if (mac === null && this.#asked.get(nextHop) === entry) this.#asked.delete(nextHop);
    });
    return entry.mac;
  }

  close(): void {
    for (const timer of this.#retries.values()) clearTimeout(timer);
    this.#retries.clear();
  }

  /** Whether it was requested within maxAgeMs, successfully or not. */
  #isFresh(nextHop: string): boolean {
    const before = this.#asked.get(nextHop);
    return before !== undefined && performance.now() - before.at < this.#maxAgeMs;
  }

  async #refresh(nextHop: string): Promise<void> {
    if (this.#retries.has(nextHop)) return;
    const mac = await this.resolve(nextHop);
    if (mac !== null) {
      if (this.#found.get(nextHop) === mac) return;
      this.#found.set(nextHop, mac);
      this.onChange();
    } else if (!this.#found.has(nextHop) && !this.#retries.has(nextHop)) {
      const again = (): void => {
        this.#retries.delete(nextHop);
        void this.#refresh(nextHop);
      };
      this.#retries.set(nextHop, setTimeout(again, this.#retryMs).unref());
    }
  }

  async #ask(nextHop: string): Promise<number | null> {
    if (parseIpv4(nextHop) === null) return null;
    const [route] = jsonOf(await this.#ip(["-json", "route", "get", nextHop]));
    if (route === undefined || typeof route.dev !== "string") return null;
    const neighbour = typeof route.gateway === "string" ? route.gateway : nextHop;
    for (const wait of [0, ...WAIT_MS]) {
      await new Promise(resolve => setTimeout(resolve, wait));
      const found = jsonOf(await this.#ip(["-json", "neigh", "show", "to", neighbour, "dev", route.dev]));
      for (const { lladdr, state } of found) {
        const isUsable = Array.isArray(state) && state.some(name => USABLE.has(name));
        const mac = typeof lladdr === "string" ? parseMac(lladdr) : null;
        if (isUsable && mac !== null) return mac;
      }
      if (wait === 0) this.#poke(neighbour);
    }
    return null;
  }
}

function checkedMac(text: string, whose: string): number {
  const mac = parseMac(text);
  if (mac === null)
    throw new BgpError(
      `MAC of ${whose}: "${text}" is not a MAC address; expected for example 02:00:00:00:00:fe`,
    );
  if (mac === 0 || isGroupMac(mac))
    throw new BgpError(`MAC of ${whose}: "${text}" is zero or a group address; expected a unicast address`);
  return mac;
}

function jsonOf(text: string): Record<string, unknown>[] {
  return text.trim() === "" ? [] : (JSON.parse(text) as Record<string, unknown>[]);
}

function runIp(words: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile("ip", words, { timeout: 5000 }, (error, stdout) =>
      error === null ? resolve(stdout) : reject(error),
    );
  });
}

function sendDatagram(address: string): void {
  const socket = createSocket("udp4");
  socket.on("error", () => socket.close());
  socket.send("", DISCARD_PORT, address, () => socket.close());
}
