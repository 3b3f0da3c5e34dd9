/**
 * Corners of layer 3: routes, TTLs, checksums, labels from the fabric, and
 * LLC/SNAP. One line a corner, by hand.
 */
import { eth, formatIpv4, type Ipv4Fields, parseIpv4 } from "../src/wire/index.ts";
import { type Corner, expect, GROUP_MAC, packet, series, UDP, UPLINK } from "./corner.ts";
import {
  BROADCAST,
  counting,
  DUAL_L2,
  DUAL_L3,
  EDGE_MAC,
  fromFabric,
  fromGuest,
  GATEWAY,
  L2,
  L3,
  LABEL,
  NEIGHBOUR,
  REMOTE,
  SECOND_ADDRESS,
  UPLINK_MAC,
  VIRTUAL_MAC,
} from "./world.ts";

const MARTIANS = [
  ...["0.0.0.0", "0.255.255.255", "127.0.0.0", "127.0.0.1", "127.255.255.255"],
  ...["224.0.0.0", "239.255.255.255", "240.0.0.1", "255.255.255.255"],
];
const BESIDE_MARTIANS = ["1.0.0.0", "126.255.255.255", "128.0.0.0", "223.255.255.255"];
const BESIDE_HOST_ROUTES = ["203.0.113.199", "203.0.113.202", "203.0.113.0", "203.0.113.255"];

export function routing(): Corner[] {
  const to = (dst: string, ttl = 64) => packet(L3, dst, { ttl });
  const at = (dst: string | number, address: string) =>
    eth({ dst, src: L3.mac }).ipv4({ src: L3.address, dst: address }).bytes();
  return [
    ...expect(L3, "output 12", { "to a local dual-l3 guest": to(DUAL_L3.address) }),
    ...expect(L3, "output 13", { "to a local dual-l2 guest": to(DUAL_L2.address) }),
    ...expect(L3, "output 15", { "to a second address": to(SECOND_ADDRESS) }),
    ...expect(DUAL_L3, "output 11", { "dual-l3 to l3": packet(DUAL_L3, L3.address) }),
    ...expect(L3, "output 1", {
      "to a local l2 guest: takes the route": to(L2.address),
      "route without label": to(GATEWAY),
      "route with one label": to(REMOTE),
      "route with two labels": to("198.51.100.80"),
      "route with three labels": to("192.0.2.10"),
      "to a MAC other than the gateway's": at(NEIGHBOUR.mac, REMOTE),
      "to the MAC of zeros": at(0, REMOTE),
      "the address decides, not the MAC": at(DUAL_L3.mac, L2.address),
    }),
    ...series(L3, "output 1", BESIDE_HOST_ROUTES, dst => [`the /24 around the /32s: ${dst}`, to(dst)]),
    ...expect(L3, "drop no-route", {
      "one below the /24": to("203.0.112.255"),
      "one above the /24": to("203.0.114.0"),
      "no route and TTL 1": to("10.0.0.1", 1),
      "no route and TTL 0": to("10.0.0.1", 0),
    }),
    ...series(L3, "drop no-route", BESIDE_MARTIANS, dst => [`${dst} is no martian`, to(dst)]),
    ...series(L3, "drop martian", MARTIANS, dst => [`to ${dst}`, to(dst)]),
    ...expect(L3, "drop martian", { "martian with TTL 1": to("127.0.0.1", 1) }),
    ...expect(L3, "drop same-port", { "to itself": to(L3.address) }),
    ...expect(L3, "drop ttl-expired", { "to itself with TTL 1": to(L3.address, 1) }),
    ...expiring(REMOTE, "output 1"),
    ...expiring(DUAL_L3.address, "output 12"),
  ];
}

function expiring(dst: string, verdict: string): Corner[] {
  const line = (ttl: number): [string, Uint8Array] => [`TTL ${ttl} to ${dst}`, packet(L3, dst, { ttl })];
  return [...series(L3, "drop ttl-expired", [0, 1], line), ...series(L3, verdict, [2, 255], line)];
}

/** One packet both ways: routed out by the l3 guest, and in to it under the label. */
function bothWays(what: string, fields: Partial<Ipv4Fields>, behind = counting(26)): Corner[] {
  const out = { src: L3.address, dst: REMOTE, ...fields };
  const inward = { src: REMOTE, dst: L3.address, ...fields };
  const under = fromFabric().mpls({ label: LABEL });
  return [
    ...expect(L3, "output 1", { [what]: fromGuest(L3).ipv4(out).payload(behind).bytes() }),
    ...expect(UPLINK, "output 11", { [what]: under.ipv4(inward).payload(behind).bytes() }),
  ];
}

/** Padding behind the packet, which no length field counts and no rewrite may touch. */
function padding(length: number): Corner[] {
  const out = fromGuest(L3).ipv4({ src: L3.address, dst: REMOTE });
  const inward = fromFabric().mpls({ label: LABEL }).ipv4({ src: REMOTE, dst: L3.address });
  const what = `${length} bytes of padding`;
  return [
    ...expect(L3, "output 1", {
      [what]: out
        .udp(UDP)
        .pad(42 + length, 0xee)
        .bytes(),
    }),
    ...expect(UPLINK, "output 11", {
      [what]: inward
        .udp(UDP)
        .pad(46 + length, 0xee)
        .bytes(),
    }),
  ];
}

/** Checksum fields before and after the TTL is decremented by one; a test reads the `becomes`. */
const CHECKSUMS = [
  [0xfeff, 0x0000],
  [0xffff, 0x0100],
  [0x0000, 0x0100],
  [0xfefe, 0xfffe],
  [0xfdff, 0xfeff],
  [0xdead, 0xdfad],
] as const;

function hex16(value: number): string {
  return `0x${value.toString(16).padStart(4, "0")}`;
}

/** What forwarding must leave alone, and the checksum it must correct. */
export function bytesOfPackets(): Corner[] {
  const zero = (ttl: number) =>
    fromGuest(L3).ipv4({ src: L3.address, dst: REMOTE, protocol: 0, ttl }).bytes();
  return [
    ...CHECKSUMS.flatMap(([checksum, after]) =>
      bothWays(`checksum ${hex16(checksum)} becomes ${hex16(after)}`, { checksum }),
    ),
    ...bothWays("checksum 0x1234 becomes 0x1234, header unwritten: protocol 0", {
      protocol: 0,
      checksum: 0x1234,
    }),
    ...bothWays("protocol 0 and TTL 2", { protocol: 0, ttl: 2 }),
    ...bothWays("protocol 255", { protocol: 255 }),
    ...bothWays("four bytes of options", { options: [0x94, 4, 0, 0] }),
    ...bothWays("forty bytes of options", { options: new Uint8Array(40).fill(1) }),
    ...bothWays("first fragment", { protocol: 17, fragment: { offset: 0, more: true } }),
    ...bothWays("later fragment", { protocol: 17, fragment: { offset: 1480, more: true } }),
    ...bothWays("last fragment", { protocol: 17, fragment: { offset: 2960, more: false } }),
    ...bothWays("DF set", { dontFragment: true }),
    ...bothWays("reserved TOS bits: 0xff", { tos: 0xff }),
    ...bothWays("DSCP EF does not become the traffic class", { tos: 0xb8 }),
    ...bothWays("empty packet", {}, new Uint8Array(0)),
    ...[0, 1, 4, 14, 18, 255, 256, 299, 300].flatMap(padding),
    ...series(L3, "drop ttl-expired", [0, 1], ttl => [`protocol 0 and TTL ${ttl}`, zero(ttl)]),
  ];
}

export function labels(): Corner[] {
  const ip = { src: REMOTE, dst: L3.address };
  const up = fromFabric();
  const one = (label: number, ttl = 64, tc = 0) => up.mpls({ label, ttl, tc }).ipv4(ip).udp(UDP).bytes();
  const stack = (...entries: number[]) =>
    entries
      .reduce((frame, label) => frame.mpls({ label }), up)
      .ipv4(ip)
      .udp(UDP)
      .bytes();
  const noBottom = (label: number) => up.mpls({ label, bos: false }).ipv4(ip).udp(UDP).bytes();
  const our = up.mpls({ label: LABEL });
  const to = (dst: string, src = EDGE_MAC) =>
    eth({ dst, src }).mpls({ label: LABEL }).ipv4(ip).udp(UDP).bytes();
  const multicast = eth({ dst: UPLINK_MAC, src: EDGE_MAC, type: 0x8848 })
    .mpls({ label: LABEL })
    .ipv4(ip)
    .bytes();
  const strangers = [1, 2, 3, 15, 16, 1000, 1002, 2002, 1_048_575];
  return [
    ...expect(UPLINK, "output 11", {
      "our label, /32 hit": one(LABEL),
      "explicit null, /32 hit": one(0),
      "traffic class 7 is not looked at": one(LABEL, 64, 7),
      "the source MAC is not looked at": to(UPLINK_MAC, BROADCAST),
    }),
    ...series(UPLINK, "output 11", [0, 1, 255], ttl => [
      `label TTL ${ttl} is not looked at`,
      one(LABEL, ttl),
    ]),
    ...series(UPLINK, "drop unknown-label", strangers, label => [`unknown label ${label}`, one(label)]),
    ...expect(UPLINK, "drop unknown-label", {
      "unknown label without S": noBottom(1002),
      "unknown label over ours": stack(1002, LABEL),
    }),
    ...expect(UPLINK, "drop label-stack", {
      "our label without S over IPv4": noBottom(LABEL),
      "explicit null without S": noBottom(0),
      "our label over our label": stack(LABEL, LABEL),
      "explicit null over our label": stack(0, LABEL),
      "our label over explicit null": stack(LABEL, 0),
      "four labels, ours outside": stack(LABEL, 16, 17, 18),
    }),
    ...series(UPLINK, "drop malformed", [0, 1, 2, 3], n => [
      `label entry cut to ${n} bytes`,
      one(LABEL).subarray(0, 14 + n),
    ]),
    ...expect(UPLINK, "drop malformed", {
      "label and nothing behind": our.bytes(),
      "label and one byte behind": our.payload([0x45]).bytes(),
      "IPv6 behind the label": our.ipv6({ src: "2001:db8::1", dst: "2001:db8::7" }).udp(UDP).bytes(),
    }),
    ...expect(UPLINK, "drop bridge-suppressed", {
      "our label under type 0x8848": multicast,
      "labelled, but to another MAC": to(EDGE_MAC),
      "labelled and broadcast": to(BROADCAST),
      "labelled, to the l3 guest's MAC": to(L3.mac),
    }),
    ...expect(UPLINK, "output 14", { "labelled, to the l2 guest's MAC: bridged as it is": to(L2.mac) }),
  ];
}

export function inbound(): Corner[] {
  const ip = (dst: string, fields: object) => ({ src: REMOTE, dst, ...fields });
  const plain = (dst: string, fields: object = {}) => fromFabric().ipv4(ip(dst, fields)).udp(UDP).bytes();
  const under = (dst: string, fields: object = {}) =>
    fromFabric().mpls({ label: LABEL }).ipv4(ip(dst, fields)).udp(UDP).bytes();
  const beside = [-1, 1].map(step => formatIpv4((parseIpv4(SECOND_ADDRESS) ?? 0) + step));
  return [
    ...expect(UPLINK, "output 12", { "labelled to dual-l3": under(DUAL_L3.address) }),
    ...expect(UPLINK, "output 13", { "labelled to dual-l2": under(DUAL_L2.address) }),
    ...expect(UPLINK, "output 15", { "labelled to a second address": under(SECOND_ADDRESS) }),
    ...expect(UPLINK, "output 11", {
      "inner TTL 2": under(L3.address, { ttl: 2 }),
      "sources are not looked at from the fabric": under(L3.address, { src: "127.0.0.1" }),
      "popped one hop before: no label": plain(L3.address),
    }),
    ...expect(UPLINK, "drop no-local-vm", {
      "labelled to l2: nobody announced it": under(L2.address),
      "a stale route is not sent back": under(REMOTE),
      "labelled to 127.0.0.1": under("127.0.0.1"),
      "labelled to 0.0.0.0": under("0.0.0.0"),
      "stale route and TTL 1": under(REMOTE, { ttl: 1 }),
      "no label, to l2": plain(L2.address),
      "no label, stale route": plain(REMOTE),
    }),
    ...series(UPLINK, "drop no-local-vm", beside, dst => [
      `labelled to ${dst}, beside a second address`,
      under(dst),
    ]),
    ...series(UPLINK, "drop ttl-expired", [0, 1], ttl => [`inner TTL ${ttl}`, under(L3.address, { ttl })]),
    ...expect(UPLINK, "drop ttl-expired", { "no label, TTL 1": plain(L3.address, { ttl: 1 }) }),
  ];
}

export function snap(): Corner[] {
  const of = (dst: string) => ({ src: L3.address, dst });
  const from = fromGuest(L3);
  const to = (dst: string) => from.snap().ipv4(of(dst)).udp(UDP).bytes();
  const llc = (...bytes: number[]) => from.snap({ llc: bytes }).ipv4(of(REMOTE)).udp(UDP).bytes();
  const typed = (type: number) => from.snap({ type }).ipv4(of(REMOTE)).udp(UDP).bytes();
  const length = (type: number) =>
    eth({ dst: VIRTUAL_MAC, src: L3.mac, type }).snap().ipv4(of(DUAL_L3.address)).udp(UDP).bytes();
  const arp = { sha: L3.mac, spa: L3.address, tpa: GATEWAY };
  const bridged = (src: string) => fromGuest(L2).snap().ipv4({ src, dst: REMOTE }).bytes();
  const toGroup = eth({ dst: GROUP_MAC, src: L3.mac }).snap().ipv4(of(REMOTE));
  const toL2 = eth({ dst: L2.mac, src: EDGE_MAC });
  return [
    ...expect(L3, "output 12", {
      "SNAP: rewritten in place": to(DUAL_L3.address),
      "SNAP: length field 0": length(0),
      "SNAP: length field 0x05ff": length(0x05ff),
    }),
    ...expect(L3, "output 1", {
      "SNAP: route without label": to(GATEWAY),
      "SNAP: one label goes in at byte 22": to(REMOTE),
      "SNAP: three labels go in at byte 22": to("192.0.2.10"),
    }),
    ...expect(L3, "reply", {
      "SNAP: ARP request": eth({ dst: BROADCAST, src: L3.mac }).snap().arp(arp).bytes(),
    }),
    ...expect(L3, "drop multicast-destination", { "SNAP: group MAC": toGroup.bytes() }),
    ...expect(L3, "drop not-ip", {
      "LLC control 1": llc(0xaa, 0xaa, 1, 0, 0, 0),
      "LLC SSAP 0xab": llc(0xaa, 0xab, 3, 0, 0, 0),
      "SNAP of another organisation": llc(0xaa, 0xaa, 3, 0, 0, 1),
      "SNAP cut at 21 bytes": to(REMOTE).subarray(0, 21),
      "SNAP type 0x8100 is no tag": typed(0x8100),
      "SNAP type 0x88a8 is no tag": typed(0x88a8),
      "SNAP type 0x05ff is no type": typed(0x05ff),
    }),
    ...expect(L3, "drop malformed", {
      "SNAP, 22 bytes: IPv4 and nothing behind": to(REMOTE).subarray(0, 22),
      "SNAP: 19 bytes of IPv4": to(REMOTE).subarray(0, 41),
    }),
    ...expect(L2, "output 1", { "L2 path: SNAP": bridged(L2.address) }),
    ...expect(L2, "drop spoofed-source", { "L2 path: SNAP, spoofed": bridged(L3.address) }),
    ...expect(UPLINK, "output 11", {
      "SNAP from the uplink, no label": fromFabric().snap().ipv4({ src: REMOTE, dst: L3.address }).bytes(),
    }),
    ...expect(UPLINK, "output 14", {
      "SNAP type 0x8100 bridged": toL2.snap({ type: 0x8100 }).pad(60).bytes(),
    }),
  ];
}

/**
 * After the pop behind LLC/SNAP the frame is read again from byte 14, LLC header and all: aa
 * means IHL 10, 03 00 is a total length of 768, and the destination is what stands in TTL,
 * protocol and checksum of the real packet.
 */
export function snapPop(): Corner[] {
  const mpls = fromFabric().snap().mpls({ label: LABEL });
  // 0xcb 0x00 0x71 0x07 in place of TTL, protocol and checksum: 203.0.113.7 when read again.
  const disguise = { src: REMOTE, dst: L3.address, ttl: 0xcb, protocol: 0, checksum: 0x7107 };
  const crafted = (length: number, tos: number) =>
    mpls
      .ipv4({ ...disguise, tos })
      .payload(counting(length - 46))
      .bytes();
  const plain = (length: number) =>
    mpls
      .ipv4({ src: REMOTE, dst: L3.address })
      .payload(counting(length - 46))
      .bytes();
  const hits = "SNAP and our label";
  return [
    ...expect(UPLINK, "output 11", {
      [`${hits}, 786 bytes: hits 203.0.113.7`]: crafted(786, 17),
      [`${hits}, 790 bytes: hits 203.0.113.7`]: crafted(790, 17),
      [`${hits}: the protocol read again is 0, header unwritten`]: crafted(1500, 0),
    }),
    ...expect(UPLINK, "drop no-local-vm", { [`${hits}: read again, to 64.253.x.x`]: plain(800) }),
    ...expect(UPLINK, "drop malformed", {
      [`${hits}: read again, too short for 768`]: plain(100),
      [`${hits}, 785 bytes: 767 behind byte 14`]: crafted(785, 17),
      "SNAP: label and nothing behind": plain(100).subarray(0, 26),
    }),
    ...series(UPLINK, "drop malformed", [0, 1, 2, 3], n => [
      `SNAP: label entry cut to ${n} bytes`,
      plain(100).subarray(0, 22 + n),
    ]),
    ...expect(UPLINK, "drop unknown-label", {
      "SNAP: unknown label": fromFabric().snap().mpls({ label: 1002 }).pad(800).bytes(),
    }),
    ...expect(UPLINK, "drop label-stack", {
      "SNAP: label stack": fromFabric().snap().mpls({ label: LABEL }).mpls({ label: 16 }).pad(800).bytes(),
    }),
  ];
}
