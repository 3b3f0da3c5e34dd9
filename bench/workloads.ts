/**
 * Frames for the rows in memory: windows of pcap records that take turns, so that the entries of a large
 * table are visited before a frame comes again, and the intent that fits them. Frames are stamped from
 * templates, with the same bytes in every run. The expected outcomes are counted beside. Sizes follow the
 * "simple IMIX": 7 : 4 : 1 frames of 64, 594 and 1,518 bytes with FCS (IP packets of 40, 576 and 1,500 bytes,
 * the three peaks of Internet links around 2000); captures hold no FCS, so 60, 590 and 1,514 bytes are in
 * memory.
 */
import * as abi from "../assembly/abi.ts";
import type { Intent, NextHop, Vm } from "../src/intent/index.ts";
import {
  ARP_REQUEST,
  eth,
  formatIpv4,
  type Ipv4Address,
  ipv4FromBits,
  macFromBits,
} from "../src/wire/index.ts";
import {
  LABEL,
  type Layout,
  LOCAL,
  numbers,
  OUTSIDE,
  putRecordHeader,
  RECORD_HEADER_BYTES,
  ROUTED,
  ROUTER_MAC,
  Stamp,
  UPLINK_MAC,
  UPLINK_PORT,
  VIRTUAL_MAC,
  vmMac,
  vmPort,
  vmPortName,
} from "./traffic.ts";

// ── Choice of entries ──────────────────────────────────────────────────────────────────────────────────────

export type Distribution = "uniform" | "zipf";

/**
 * Returns numbers below `count`, uniform or by Zipf's law with exponent 1: ranks are shuffled over the
 * entries.
 */
export function chooser(distribution: Distribution, count: number, seed: number): () => number {
  const random = numbers(seed);
  if (distribution === "uniform") return () => random(count);
  const entryOf = Uint32Array.from({ length: count }, (_, index) => index);
  for (let left = count; left > 1; left--) {
    const other = random(left);
    const last = entryOf[left - 1]!;
    entryOf[left - 1] = entryOf[other]!;
    entryOf[other] = last;
  }
  const upTo = new Float64Array(count);
  let sum = 0;
  for (let rank = 1; rank <= count; rank++) {
    sum += 1 / rank;
    upTo[rank - 1] = sum;
  }
  return () => {
    const wanted = ((random(0x100000000) + 0.5) / 0x100000000) * sum;
    let [low, high] = [0, count - 1];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (upTo[middle]! < wanted) low = middle + 1;
      else high = middle;
    }
    return entryOf[low]!;
  };
}

// ── Kinds of frames ────────────────────────────────────────────────────────────────────────────────────────

export type FrameKind =
  | "inbound"
  | "outbound"
  | "arp"
  | "bridge"
  | "drop"
  | "spoofed"
  | "unknown-label"
  | "ttl"
  | "not-ip"
  | "malformed";

/** What must become of a frame: `output`, `reply`, or the reason why it is dropped. */
const FATES: Readonly<Record<FrameKind, string>> = {
  inbound: "output",
  outbound: "output",
  arp: "reply",
  bridge: "output",
  drop: "no-local-vm",
  spoofed: "spoofed-source",
  "unknown-label": "unknown-label",
  ttl: "ttl-expired",
  "not-ip": "not-ip",
  malformed: "malformed",
};

const IMIX = [60, 60, 60, 60, 60, 60, 60, 590, 590, 590, 590, 1514];
const SMALL = [60];

interface Share {
  readonly kind: FrameKind;
  readonly percent: number;
  readonly sizes: readonly number[];
}

/** The mix, by the side that the frames come from; noise is all that is dropped. */
export const MIX: Readonly<Record<"uplink" | "vm", readonly Share[]>> = {
  uplink: [
    { kind: "inbound", percent: 40, sizes: IMIX },
    { kind: "drop", percent: 2, sizes: IMIX },
    { kind: "unknown-label", percent: 2, sizes: IMIX },
    { kind: "ttl", percent: 2, sizes: IMIX },
  ],
  vm: [
    { kind: "outbound", percent: 40, sizes: IMIX },
    { kind: "arp", percent: 8, sizes: SMALL },
    { kind: "spoofed", percent: 2, sizes: IMIX },
    { kind: "not-ip", percent: 2, sizes: IMIX },
    { kind: "malformed", percent: 2, sizes: IMIX },
  ],
};

const UDP_BYTES = 8;
const IPV4_BYTES = 20;

/**
 * A frame of a kind and size as VM `vm` or the fabric sends it; `stampAddress` of its Stamp varies the
 * address.
 */
function mold(kind: FrameKind, bytes: number, vm: number, layout: Layout): Uint8Array {
  const own = formatIpv4(LOCAL[layout](vm));
  const udp = { src: 49_321, dst: 9 };
  const payload = (header: number): Uint8Array =>
    new Uint8Array(bytes - header - IPV4_BYTES - UDP_BYTES).fill(0x5a);
  if (kind === "arp") {
    const body = { op: ARP_REQUEST, sha: vmMac(vm), spa: own, tha: "00:00:00:00:00:00", tpa: OUTSIDE };
    return eth({ dst: "ff:ff:ff:ff:ff:ff", src: vmMac(vm) })
      .arp(body)
      .pad(bytes)
      .bytes();
  }
  if (kind === "inbound" || kind === "drop" || kind === "unknown-label" || kind === "ttl") {
    const ttl = kind === "ttl" ? 1 : 63;
    return eth({ dst: UPLINK_MAC, src: ROUTER_MAC })
      .mpls({ label: kind === "unknown-label" ? LABEL + 1 : LABEL, bos: true, ttl: 63 })
      .ipv4({ src: OUTSIDE, dst: OUTSIDE, ttl, id: 0 })
      .udp(udp)
      .payload(payload(18))
      .bytes();
  }
  const frame = eth({ dst: VIRTUAL_MAC, src: vmMac(vm) })
    .ipv4({ src: kind === "spoofed" ? OUTSIDE : own, dst: OUTSIDE, ttl: 64, id: 0 })
    .udp(udp)
    .payload(payload(14))
    .bytes();
  // IPv6 by its type, of which no more is looked at; a header of four words, which cannot be.
  if (kind === "not-ip") frame.set([0x86, 0xdd], 12);
  if (kind === "malformed") frame[14] = 0x44;
  return frame;
}

// ── Intents ────────────────────────────────────────────────────────────────────────────────────────────────

export interface Population {
  readonly localCount: number;
  /** Local addresses are spread over so many VMs in turn. */
  readonly vmCount: number;
  readonly routeCount: number;
  readonly layout: Layout;
  readonly path: "l2" | "l3";
}

const NEXT_HOP_COUNT = 16;

/** An intent made without text: a million routes are there at once. */
function intentOf({ localCount, vmCount, routeCount, layout, path }: Population): Intent {
  const vms = Array.from({ length: vmCount }, (_, vm): Vm => {
    const addresses: Ipv4Address[] = [];
    for (let index = vm; index < localCount; index += vmCount)
      addresses.push(ipv4FromBits(LOCAL[layout](index)));
    const mac = macFromBits(macNumber(vmMac(vm)));
    return {
      id: vm + 1,
      name: `vm${vm}`,
      port: vmPortName(vm),
      ofport: vmPort(vm),
      mac,
      addresses,
      path,
      mtu: null,
    };
  });
  const nextHops = Array.from(
    { length: routeCount === 0 ? 0 : NEXT_HOP_COUNT },
    (_, hop): NextHop => ({ labels: [2000 + hop], via: macFromBits(0x020000010000 + hop) }),
  );
  const mac = macFromBits(macNumber(UPLINK_MAC));
  const uplink = { port: "uplink0", ofport: UPLINK_PORT, mac, mtu: null };
  return {
    name: "bench",
    bridge: "br0",
    label: LABEL,
    virtualMac: macFromBits(macNumber(VIRTUAL_MAC)),
    trafficClass: 0,
    uplink,
    vms,
    routes: {
      count: routeCount,
      prefixes: Uint32Array.from({ length: routeCount }, (_, index) => ROUTED[layout](index)),
      lengths: new Uint8Array(routeCount).fill(32),
      nextHopOf: Uint32Array.from({ length: routeCount }, (_, index) => index % NEXT_HOP_COUNT),
      nextHops,
    },
  };
}

function macNumber(mac: string): number {
  return Number.parseInt(mac.replaceAll(":", ""), 16);
}

// ── Windows ────────────────────────────────────────────────────────────────────────────────────────────────

/** Records that are run at once, from `start` to `end` of the traffic's records; all enter by one port. */
export interface Window {
  readonly inPort: number;
  readonly start: number;
  readonly end: number;
}

export interface Traffic {
  readonly intent: Intent;
  readonly records: Uint8Array;
  readonly windows: readonly Window[];
  readonly frames: number;
  /** Different addresses (bridged: MACs) that one pass over all windows looks up. */
  readonly visited: number;
  /** Frames by what must become of them. */
  readonly fates: ReadonlyMap<string, number>;
  /** Frames by kind. */
  readonly kinds: ReadonlyMap<FrameKind, number>;
}

/** Puts records one behind the other, and keeps account of them. */
class Writer {
  readonly #buffer: Buffer;
  readonly #population: Population;
  readonly #windows: Window[] = [];
  readonly #kinds = new Map<FrameKind, number>();
  readonly #stamps = new Map<string, Stamp>();
  readonly #random = numbers(0x1d);
  readonly #visited = new Set<number>();
  #at = 0;
  #count = 0;

  constructor(bytes: number, population: Population) {
    this.#buffer = Buffer.alloc(bytes);
    this.#population = population;
  }

  get at(): number {
    return this.#at;
  }

  /** A record of a frame from VM `vm` or the fabric; `entry` is the one that it visits. */
  put(kind: FrameKind, bytes: number, vm: number, entry: number): void {
    const key = `${kind} ${bytes} ${vm}`;
    let stamp = this.#stamps.get(key);
    if (stamp === undefined) {
      stamp = new Stamp(mold(kind, bytes, vm, this.#population.layout));
      this.#stamps.set(key, stamp);
    }
    const at = this.#at + RECORD_HEADER_BYTES;
    putRecordHeader(this.#buffer, this.#at, this.#count, bytes);
    stamp.put(this.#buffer, at);
    this.#address(stamp, kind, vm, entry, at);
    this.#at = at + bytes;
    this.#count++;
    this.#kinds.set(kind, (this.#kinds.get(kind) ?? 0) + 1);
  }

  /** Writes into a frame what tells it from others of its kind. */
  #address(stamp: Stamp, kind: FrameKind, vm: number, entry: number, at: number): void {
    const { layout, localCount, vmCount } = this.#population;
    const buffer = this.#buffer;
    const [local, routed] = [LOCAL[layout], ROUTED[layout]];
    const goTo = (address: number): void => {
      stamp.setDestination(buffer, at, address, this.#random(65_536));
      this.#visited.add(address);
    };
    if (kind === "inbound" || kind === "ttl" || kind === "unknown-label") {
      goTo(local(entry));
    } else if (kind === "drop") {
      // Beyond the last local address nobody lives: a packet that a stale route brought.
      goTo(local(entry + abi.MAX_HOSTS));
    } else if (kind === "outbound" || kind === "spoofed") {
      goTo(routed(entry));
    } else if (kind === "arp") {
      // Any address of the asking VM may be the sender.
      const own = Math.ceil((localCount - vm) / vmCount);
      const sender = local(vm + (entry % own) * vmCount);
      stamp.setArp(buffer, at, sender, routed(entry));
      this.#visited.add(sender);
    } else if (kind === "bridge") {
      stamp.setMac(buffer, at, vmMac(1 + entry));
      this.#visited.add(entry);
    }
  }

  /** Ends a window that began at `start`. */
  close(inPort: number, start: number): void {
    this.#windows.push({ inPort, start, end: this.#at });
  }

  finish(): Traffic {
    const fates = new Map<string, number>();
    for (const [kind, count] of this.#kinds) fates.set(FATES[kind], (fates.get(FATES[kind]) ?? 0) + count);
    return {
      intent: intentOf(this.#population),
      records: this.#buffer.subarray(0, this.#at),
      windows: this.#windows,
      frames: this.#count,
      visited: this.#visited.size,
      fates,
      kinds: this.#kinds,
    };
  }
}

export interface TrafficOptions {
  readonly kind: "inbound" | "outbound" | "arp" | "bridge" | "drop";
  readonly population: Population;
  /** Entries that the frames choose among. */
  readonly entries: number;
  readonly distribution: Distribution;
  /** How many windows of abi.WINDOW_BYTES, at most abi.MAX_CAPTURES, are filled. */
  readonly windowCount: number;
}

/** Frames of 60 bytes, all of one kind. */
export function plainTraffic({
  kind,
  population,
  entries,
  distribution,
  windowCount,
}: TrafficOptions): Traffic {
  const choose = chooser(distribution, entries, 0x5eed);
  const perWindow = Math.floor(abi.WINDOW_BYTES / (RECORD_HEADER_BYTES + SMALL[0]!));
  const writer = new Writer(windowCount * abi.WINDOW_BYTES, population);
  const inPort = kind === "inbound" || kind === "drop" ? UPLINK_PORT : vmPort(0);
  for (let window = 0; window < windowCount; window++) {
    const start = writer.at;
    for (let frame = 0; frame < perWindow; frame++) writer.put(kind, SMALL[0]!, 0, choose());
    writer.close(inPort, start);
  }
  return writer.finish();
}

/** Frames of one port that come at once, and how many VMs send in turn. */
export const BURST_FRAMES = 256;
export const SENDER_COUNT = 64;
/** After so many bursts the shares are those of MIX. */
const CYCLE_BURSTS = 50;

export interface MixOptions {
  readonly population: Population;
  readonly distribution: Distribution;
  /** Cycles of CYCLE_BURSTS bursts; seven fill abi.MAX_CAPTURES windows. */
  readonly cycles: number;
}

/** The mix: bursts of the uplink and of VMs, as a poll loop takes them. */
export function mixTraffic({ population, distribution, cycles }: MixOptions): Traffic {
  const { localCount, routeCount, vmCount } = population;
  const writer = new Writer(abi.MAX_CAPTURES * abi.WINDOW_BYTES, population);
  const choose = {
    uplink: chooser(distribution, localCount, 0x11),
    vm: chooser(distribution, routeCount, 0x22),
  };
  const random = numbers(0x33);
  const decks = { uplink: new Deck(MIX.uplink, random), vm: new Deck(MIX.vm, random) };
  const uplinkPercent = MIX.uplink.reduce((sum, { percent }) => sum + percent, 0);
  for (let burst = 0; burst < cycles * CYCLE_BURSTS; burst++) {
    const side = isTurn(burst, uplinkPercent) ? "uplink" : "vm";
    const vm = side === "vm" ? burst % Math.min(SENDER_COUNT, vmCount) : 0;
    const start = writer.at;
    for (let frame = 0; frame < BURST_FRAMES; frame++) {
      const { kind, bytes } = decks[side].next();
      writer.put(kind, bytes, vm, choose[side]());
    }
    writer.close(side === "uplink" ? UPLINK_PORT : vmPort(vm), start);
  }
  return writer.finish();
}

/** Spreads `percent` of all turns evenly. */
function isTurn(index: number, percent: number): boolean {
  return Math.floor(((index + 1) * percent) / 100) > Math.floor((index * percent) / 100);
}

/** Kinds in their shares, shuffled again after each round; the size is drawn from those of the kind. */
class Deck {
  readonly #cards: Share[];
  readonly #random: (below: number) => number;
  #at = 0;

  constructor(shares: readonly Share[], random: (below: number) => number) {
    this.#cards = shares.flatMap(share => Array.from({ length: share.percent }, () => share));
    this.#random = random;
  }

  next(): { kind: FrameKind; bytes: number } {
    if (this.#at === 0) this.#shuffle();
    const { kind, sizes } = this.#cards[this.#at]!;
    this.#at = (this.#at + 1) % this.#cards.length;
    return { kind, bytes: sizes[this.#random(sizes.length)]! };
  }

  #shuffle(): void {
    const cards = this.#cards;
    for (let left = cards.length; left > 1; left--) {
      const other = this.#random(left);
      [cards[left - 1], cards[other]] = [cards[other]!, cards[left - 1]!];
    }
  }
}
