/**
 * Plausible traffic from a seed: what the fabric delivers (labelled, explicit null, unlabelled, bridged, and
 * some that went astray) and what the guests send (routed, bridged, ARP, and some that they may not). The
 * same seed gives the same bytes on every machine; no clock and no Math.random.
 */
import { eth, type FrameBuilder, type MplsFields } from "../src/wire/index.ts";
import {
  BROADCAST,
  counting,
  DUAL_L2,
  DUAL_L3,
  fromFabric,
  fromGuest,
  GATEWAY,
  GUESTS,
  type Guest,
  L2,
  LABEL,
  NEIGHBOUR,
  SECOND_ADDRESS,
  SEGMENT_MAC,
  TWO,
  timeOf,
  UPLINK_PORT,
  VIRTUAL_MAC,
} from "./world.ts";

export interface Arrival {
  readonly port: number;
  readonly time: bigint;
  readonly frame: Uint8Array;
}

/** Numbers from a seed: xorshift32 (Marsaglia 2003), plenty for traffic. */
class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0 || 1;
  }

  /** An integer from 0 to `below` - 1. */
  roll(below: number): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) % below;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.roll(list.length)]!;
  }
}

const REMOTES = [
  "203.0.113.200",
  "203.0.113.201",
  "198.51.100.53",
  "198.51.100.80",
  "192.0.2.10",
  "192.0.2.200",
];
/** Mostly full and mostly empty packets, as in nature. */
const PAYLOADS = [0, 0, 6, 32, 48, 120, 512, 1200, 1400];
const TTLS = [64, 64, 64, 63, 62, 60, 128, 255, 2, 1];

/** UDP, TCP or ping behind an IPv4 header. */
function conversation(dice: Dice, packet: FrameBuilder): Uint8Array {
  const body = counting(dice.pick(PAYLOADS));
  const port = 32_768 + dice.roll(28_000);
  const protocol = dice.roll(10);
  if (protocol === 0)
    return packet
      .echo({ id: port, sequence: dice.roll(100) })
      .payload(body)
      .bytes();
  if (protocol < 4) return packet.udp({ src: port, dst: 53 }).payload(body).bytes();
  const flags = body.length === 0 ? dice.pick(["A", "A", "S", "FA", "R"]) : "PA";
  const [seq, ack] = [dice.roll(2 ** 32), dice.roll(2 ** 32)];
  return packet.tcp({ src: port, dst: 443, seq, ack, flags }).payload(body).bytes();
}

/** The label stack of one frame of the fabric; null: popped one hop before. */
function fabricLabels(dice: Dice): readonly MplsFields[] | null {
  const ttl = dice.pick([1, 60, 61, 62, 63, 64, 255]);
  const tc = dice.roll(8);
  const kind = dice.roll(40);
  if (kind === 0) return [{ label: dice.pick([1002, 2002, 3, 16]), ttl, tc }];
  if (kind === 1)
    return [
      { label: LABEL, ttl, tc },
      { label: 3101, ttl, tc },
    ];
  if (kind < 5) return null;
  return [{ label: kind < 12 ? 0 : LABEL, ttl, tc }];
}

function fabricFrame(dice: Dice): Uint8Array {
  const src = dice.pick(REMOTES);
  if (dice.roll(8) === 0) {
    const guest = dice.pick([L2, DUAL_L2, DUAL_L3]);
    const bridged = eth({ dst: guest.mac, src: SEGMENT_MAC });
    return conversation(dice, bridged.ipv4({ src, dst: guest.address, ttl: 60, id: dice.roll(65_536) }));
  }
  if (dice.roll(20) === 0) {
    const target = dice.pick([...GUESTS.map(guest => guest.address), "203.0.113.60"]);
    const ask = { sha: NEIGHBOUR.mac, spa: NEIGHBOUR.address, tpa: target };
    return eth({ dst: BROADCAST, src: NEIGHBOUR.mac }).arp(ask).pad(60).bytes();
  }
  const guest = dice.pick(GUESTS);
  const stale = dice.roll(30) === 0;
  const dst = stale ? "203.0.113.13" : guest === TWO && dice.roll(2) === 0 ? SECOND_ADDRESS : guest.address;
  const stack = fabricLabels(dice) ?? [];
  const labelled = stack.reduce((frame, entry) => frame.mpls(entry), fromFabric());
  const fields = {
    src,
    dst,
    ttl: dice.pick(TTLS),
    id: dice.roll(65_536),
    tos: dice.pick([0, 0, 0xb8, 0x28]),
  };
  return conversation(dice, labelled.ipv4(fields));
}

/** ARP as a guest sends it: for the gateway or a neighbour, and now and then for itself or as a probe. */
function guestArp(dice: Dice, guest: Guest): Uint8Array {
  const kind = dice.roll(8);
  const spa = kind === 0 ? "0.0.0.0" : guest.address;
  const tpa = kind < 2 ? guest.address : dice.pick([GATEWAY, NEIGHBOUR.address, "203.0.113.200"]);
  const ask = { sha: guest.mac, spa, tpa, op: kind === 2 ? 2 : 1 };
  return eth({ dst: BROADCAST, src: guest.mac }).arp(ask).pad(42).bytes();
}

/** What a guest must not send, or what leads nowhere. */
function guestMischief(dice: Dice, guest: Guest): Uint8Array {
  const ip = { src: guest.address, dst: dice.pick(REMOTES), id: dice.roll(65_536) };
  const tricks: readonly (() => FrameBuilder)[] = [
    () => fromGuest(guest).ipv4({ ...ip, src: dice.pick(REMOTES) }),
    () => eth({ dst: VIRTUAL_MAC, src: "52:54:00:00:00:99" }).ipv4(ip),
    () =>
      fromGuest(guest)
        .vlan({ id: 1 + dice.roll(4094) })
        .ipv4(ip),
    () => eth({ dst: "01:00:5e:00:00:fb", src: guest.mac }).ipv4({ ...ip, dst: "224.0.0.251", ttl: 1 }),
    () => fromGuest(guest).ipv6({ src: "2001:db8::7", dst: "2001:db8::1" }),
    () => fromGuest(guest).ipv4({ ...ip, dst: "240.0.0.1" }),
    () => fromGuest(guest).ipv4({ ...ip, totalLength: 1500 }),
  ];
  return dice.pick(tricks)().udp({ src: 4000, dst: 53 }).payload(counting(20)).bytes();
}

function guestFrame(dice: Dice, guest: Guest): Uint8Array {
  const kind = dice.roll(20);
  if (kind === 0) return guestMischief(dice, guest);
  if (kind < 3) return guestArp(dice, guest);
  const local = dice.pick(GUESTS.filter(other => other !== guest)).address;
  const src = guest === TWO && kind % 2 === 0 ? SECOND_ADDRESS : guest.address;
  const fields = {
    src,
    dst: kind < 7 ? local : dice.pick(REMOTES),
    ttl: dice.pick(TTLS),
    id: dice.roll(65_536),
  };
  const bridges = guest === L2 || guest === DUAL_L2;
  const head = bridges ? eth({ dst: SEGMENT_MAC, src: guest.mac }) : fromGuest(guest);
  return conversation(dice, head.ipv4(fields));
}

/** `count` frames that arrive on the uplink, one a millisecond. */
export function fabricTraffic(seed: number, count: number): Arrival[] {
  const dice = new Dice(seed);
  return Array.from({ length: count }, (_, index) => ({
    port: UPLINK_PORT,
    time: timeOf(index),
    frame: fabricFrame(dice),
  }));
}

/**
 * `count` frames of all guests in turn by chance, one a millisecond, half a millisecond beside the fabric's.
 */
export function guestTraffic(seed: number, count: number): Arrival[] {
  const dice = new Dice(seed);
  return Array.from({ length: count }, (_, index) => {
    const guest = dice.pick(GUESTS);
    return { port: guest.ofport, time: timeOf(index) + 500_000n, frame: guestFrame(dice, guest) };
  });
}
