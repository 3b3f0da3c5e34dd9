/**
 * Corners of what comes in first: sizes, tags, and what a guest may not send. One line a corner, written from
 * the rules of the pipeline by hand, not computed by any program it could be held against.
 */
import { eth } from "../src/wire/index.ts";
import {
  type Corner,
  expect,
  GROUP_MAC,
  labelled,
  packet,
  STRANGER_MAC,
  series,
  sized,
  UDP,
  UPLINK,
} from "./corner.ts";
import {
  BROADCAST,
  counting,
  DUAL_L2,
  DUAL_L3,
  EDGE_MAC,
  fromFabric,
  fromGuest,
  GATEWAY,
  type Guest,
  L2,
  L3,
  LABEL,
  REMOTE,
  SECOND_ADDRESS,
  SMALL,
  TWO,
  UPLINK_MAC,
  VIRTUAL_MAC,
} from "./world.ts";

export function runts(): Corner[] {
  const bare = (dst: string, src: string, type: number) => eth({ dst, src, type }).bytes();
  const cut = (n: number) => sized(L3, REMOTE, 60).subarray(0, n);
  return [
    ...series(L3, "drop too-short", [0, 1, 12, 13], n => [`${n} bytes`, cut(n)]),
    ...expect(UPLINK, "drop too-short", {
      "13 bytes on the uplink": labelled(L3.address, 64).subarray(0, 13),
    }),
    ...expect(L3, "drop malformed", {
      "14 bytes: IPv4 type and nothing behind": cut(14),
      "14 bytes: ARP and nothing behind": bare(VIRTUAL_MAC, L3.mac, 0x0806),
    }),
    ...expect(L3, "drop not-ip", { "14 bytes: length 0, no type": bare(VIRTUAL_MAC, L3.mac, 0) }),
    ...expect(L2, "drop malformed", { "14 bytes: IPv4, L2 path": bare(VIRTUAL_MAC, L2.mac, 0x0800) }),
    ...expect(UPLINK, "output 14", { "14 bytes for the L2 guest": bare(L2.mac, EDGE_MAC, 0) }),
    ...expect(UPLINK, "drop bridge-suppressed", { "14 bytes for the L3 guest": bare(L3.mac, EDGE_MAC, 0) }),
    ...expect(UPLINK, "drop malformed", {
      "14 bytes: MPLS, no label": bare(UPLINK_MAC, EDGE_MAC, 0x8847),
      "14 bytes: IPv4 for us": bare(UPLINK_MAC, EDGE_MAC, 0x0800),
      "14 bytes: ARP for us": bare(UPLINK_MAC, EDGE_MAC, 0x0806),
    }),
  ];
}

export function giants(): Corner[] {
  const stranger = eth({ dst: VIRTUAL_MAC, src: STRANGER_MAC });
  const [two, three] = ["198.51.100.80", "192.0.2.10"];
  const local = DUAL_L3.address;
  return [
    ...expect(L3, "output 12", { "9,216 bytes, the longest frame": sized(L3, local, 9216) }),
    ...expect(L3, "drop too-long", {
      "9,217 bytes": sized(L3, local, 9217),
      "9,217 bytes, tagged, spoofed: the first reason counts": stranger
        .vlan({ id: 5 })
        .payload(counting(9199))
        .bytes(),
    }),
    ...expect(L3, "output 16", { "1,514 bytes to a port of 1,500": sized(L3, SMALL.address, 1514) }),
    ...expect(L3, "drop too-long", { "1,515 bytes to a port of 1,500": sized(L3, SMALL.address, 1515) }),
    ...expect(SMALL, "output 11", { "the MTU holds for output only": sized(SMALL, L3.address, 1515) }),
    ...expect(UPLINK, "output 16", { "1,514 bytes after the pop": labelled(SMALL.address, 1518) }),
    ...expect(UPLINK, "drop too-long", { "1,515 bytes after the pop": labelled(SMALL.address, 1519) }),
    ...expect(L3, "output 1", {
      "9,014 bytes, no label to push": sized(L3, GATEWAY, 9014),
      "9,010 bytes and one label": sized(L3, REMOTE, 9010),
      "9,006 bytes and two labels": sized(L3, two, 9006),
      "9,002 bytes and three labels": sized(L3, three, 9002),
    }),
    ...expect(L3, "drop too-long", {
      "9,015 bytes, no label to push": sized(L3, GATEWAY, 9015),
      "9,011 bytes and one label": sized(L3, REMOTE, 9011),
      "9,007 bytes and two labels": sized(L3, two, 9007),
      "9,003 bytes and three labels": sized(L3, three, 9003),
    }),
    ...expect(L2, "output 1", { "9,014 bytes bridged to the uplink": sized(L2, REMOTE, 9014) }),
    ...expect(L2, "drop too-long", { "9,015 bytes bridged to the uplink": sized(L2, REMOTE, 9015) }),
  ];
}

export function tags(): Corner[] {
  const ip = { src: L3.address, dst: REMOTE };
  const from = fromGuest(L3);
  const stranger = eth({ dst: VIRTUAL_MAC, src: STRANGER_MAC });
  const inner = fromFabric().vlan({ id: 7 }).mpls({ label: LABEL }).ipv4(ip).udp(UDP).bytes();
  return [
    ...expect(L3, "drop vlan-tagged", {
      "802.1Q": from.vlan({ id: 100 }).ipv4(ip).udp(UDP).bytes(),
      "VID 0": from.vlan({ id: 0, priority: 7 }).ipv4(ip).udp(UDP).bytes(),
      "802.1ad around 802.1Q": from
        .vlan({ id: 200, tpid: 0x88a8 })
        .vlan({ id: 100 })
        .ipv4(ip)
        .udp(UDP)
        .bytes(),
      "tagged and spoofed: the first reason counts": stranger.vlan({ id: 9 }).bytes(),
    }),
    ...expect(UPLINK, "drop vlan-tagged", { "tag before the label": inner }),
    ...[0x8100, 0x88a8].flatMap(cutTags),
  ];
}

/** A tag needs 18 bytes: below, its type is one that nobody knows. */
function cutTags(tpid: number): Corner[] {
  const name = `type 0x${tpid.toString(16)}`;
  const cuts = [14, 15, 16, 17];
  const of = (guest: Guest) => fromGuest(guest).vlan({ id: 1, tpid }).bytes();
  const uplink = eth({ dst: L2.mac, src: EDGE_MAC }).vlan({ id: 1, tpid }).bytes();
  return [
    ...series(L3, "drop not-ip", cuts, n => [`${name} cut at ${n} bytes`, of(L3).subarray(0, n)]),
    ...series(L2, "drop not-ip", cuts, n => [`${name} cut at ${n}`, of(L2).subarray(0, n)]),
    ...series(UPLINK, "output 14", cuts, n => [`${name} cut at ${n} bytes`, uplink.subarray(0, n)]),
    ...expect(L3, "drop vlan-tagged", { [`${name}, 18 bytes`]: of(L3) }),
    ...expect(UPLINK, "drop vlan-tagged", { [`${name}, 18 bytes`]: uplink }),
  ];
}

export function spoofing(): Corner[] {
  const stranger = eth({ dst: VIRTUAL_MAC, src: STRANGER_MAC });
  const ip = { src: L3.address, dst: REMOTE };
  const other = eth({ dst: VIRTUAL_MAC, src: L2.mac }).ipv4({ src: L2.address, dst: REMOTE });
  const group = eth({ dst: GROUP_MAC, src: L3.mac }).ipv4({ src: REMOTE, dst: "224.0.0.251" });
  const arp = (sha: string, spa: string, src = L3.mac) =>
    eth({ dst: BROADCAST, src }).arp({ sha, spa, tpa: GATEWAY }).pad(60).bytes();
  return [
    ...expect(L3, "drop spoofed-source", {
      "source MAC of a stranger": stranger.ipv4(ip).udp(UDP).bytes(),
      "another guest's MAC and address": other.bytes(),
      "source MAC wrong and IPv4 unreadable": stranger.ipv4({ ...ip, ihl: 4 }).bytes(),
      "IPv6 of a stranger's MAC": stranger.ipv6({ src: "2001:db8::99", dst: "ff02::1" }).bytes(),
      "IPv4 source of a stranger": packet(L3, REMOTE, { src: REMOTE }),
      "IPv4 source of another guest": packet(L3, REMOTE, { src: DUAL_L3.address }),
      "IPv4 source 0.0.0.0 (DHCP)": packet(L3, "255.255.255.255", { src: "0.0.0.0" }),
      "spoofed and to a group MAC": group.bytes(),
      "ARP sender MAC of a stranger": arp(STRANGER_MAC, L3.address),
      "ARP sender address of a stranger": arp(L3.mac, REMOTE),
      "ARP sender address of the gateway": arp(L3.mac, GATEWAY),
      "ARP probe with a stranger's sender MAC": arp(STRANGER_MAC, "0.0.0.0"),
      "ARP in a frame of a stranger's MAC": arp(L3.mac, L3.address, STRANGER_MAC),
    }),
    ...expect(L2, "drop spoofed-source", {
      "L2 path: IPv4 source of another guest": packet(L2, REMOTE, { src: L3.address }),
      "L2 path: IPv4 source 0.0.0.0": packet(L2, "255.255.255.255", { src: "0.0.0.0" }),
      "L2 path: ARP sender address of another": arp(L2.mac, L3.address, L2.mac),
    }),
    ...expect(TWO, "output 1", {
      "second address of the guest": packet(TWO, REMOTE, { src: SECOND_ADDRESS }),
    }),
    ...expect(TWO, "reply", { "ARP from the second address": arp(TWO.mac, SECOND_ADDRESS, TWO.mac) }),
    ...expect(TWO, "drop spoofed-source", {
      "one above its second address": packet(TWO, REMOTE, { src: "203.0.113.78" }),
    }),
  ];
}

export function malformed(): Corner[] {
  const ip = { src: L3.address, dst: DUAL_L3.address };
  const of = (fields: object, behind = 40) =>
    fromGuest(L3)
      .ipv4({ ...ip, ...fields })
      .payload(counting(behind))
      .bytes();
  const under = (fields: object) =>
    fromFabric()
      .mpls({ label: LABEL })
      .ipv4({ ...ip, ...fields })
      .bytes();
  const total = (totalLength: number): [string, Uint8Array] => [
    `total length ${totalLength}, 60 bytes there`,
    of({ totalLength }),
  ];
  const version = (number: number): [string, Uint8Array] => [
    `IP version ${number} in a frame of type 0x0800`,
    packet(L3, DUAL_L3.address).with(14, number * 16 + 5),
  ];
  return [
    ...expect(L3, "output 12", {
      "20 bytes of IPv4, nothing behind": of({}, 0),
      "IHL 15, 60 bytes there": of({ ihl: 15 }),
      "total length is the header's": of({ ihl: 6, totalLength: 24 }),
    }),
    ...series(L3, "output 12", [20, 59, 60], total),
    ...series(L3, "output 12", [0, 5, 6, 15], version),
    ...expect(L3, "drop malformed", {
      "19 bytes of IPv4 header": of({}, 0).subarray(0, 33),
      "IHL 4": of({ ihl: 4 }),
      "IHL 0": of({ ihl: 0 }),
      "IHL 15, 59 bytes there": of({ ihl: 15 }, 39),
      "total length below the header's": of({ ihl: 6, totalLength: 23 }),
      "unreadable and to a group MAC": eth({ dst: GROUP_MAC, src: L3.mac })
        .ipv4({ ...ip, ihl: 4 })
        .bytes(),
    }),
    ...series(L3, "drop malformed", [0, 19, 61, 0xffff], total),
    ...expect(L2, "drop malformed", { "L2 path: IHL 4": packet(L2, REMOTE).with(14, 0x44) }),
    ...expect(UPLINK, "drop malformed", {
      "uplink: IHL 4": fromFabric()
        .ipv4({ ...ip, ihl: 4 })
        .bytes(),
      "behind the label: IHL 4": under({ ihl: 4 }),
      "behind the label: total length too long": under({ totalLength: 21 }),
    }),
  ];
}

export function notIp(): Corner[] {
  const from = fromGuest(L3);
  const v6 = { src: "2001:db8::7", dst: "2001:db8::1" };
  const typed = (type: number, dst = VIRTUAL_MAC) => eth({ dst, src: L3.mac, type });
  const bpdu = typed(38, "01:80:c2:00:00:00").payload([0x42, 0x42, 3]).pad(60);
  const label = (guest: Guest) =>
    fromGuest(guest).mpls({ label: LABEL }).ipv4({ src: guest.address, dst: REMOTE }).bytes();
  const group = (guest: Guest, dst: string) =>
    eth({ dst, src: guest.mac }).ipv4({ src: guest.address, dst: "224.0.0.251", ttl: 1 }).udp(UDP).bytes();
  return [
    ...expect(L3, "drop not-ip", {
      IPv6: from.ipv6(v6).udp(UDP).bytes(),
      "a guest may not send labels, even ours": label(L3),
      "type 0x8848": typed(0x8848).mpls({ label: 16 }).bytes(),
      LLDP: typed(0x88cc, "01:80:c2:00:00:0e").payload(counting(46)).bytes(),
      "spanning tree: LLC without SNAP": bpdu.bytes(),
      RARP: typed(0x8035, BROADCAST).pad(60).bytes(),
      "type field 0x05ff is a length": typed(0x05ff).pad(60).bytes(),
      "type 0x0600": typed(0x0600).pad(60).bytes(),
    }),
    ...expect(L2, "drop not-ip", {
      "L2 path: IPv6": fromGuest(L2).ipv6(v6).udp(UDP).bytes(),
      "L2 path: labels": label(L2),
    }),
    ...expect(L3, "drop multicast-destination", {
      "IPv4 to a group MAC": group(L3, GROUP_MAC),
      "IPv4 to the broadcast MAC": group(L3, BROADCAST),
    }),
    ...expect(DUAL_L3, "drop multicast-destination", {
      "dual-l3: IPv4 to a group MAC": group(DUAL_L3, GROUP_MAC),
    }),
    ...expect(DUAL_L2, "output 1", { "dual-l2: IPv4 to a group MAC, TTL 1 kept": group(DUAL_L2, GROUP_MAC) }),
    ...expect(L2, "output 1", { "L2 path: IPv4 to the broadcast MAC": group(L2, BROADCAST) }),
  ];
}
