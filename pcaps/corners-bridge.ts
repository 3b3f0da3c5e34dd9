/**
 * Corners of layer 2: the bridge, the ARP responder, and ARP that is suppressed. One line a corner, by hand.
 */
import { eth } from "../src/wire/index.ts";
import { arpOf, type Corner, expect, GROUP_MAC, STRANGER_MAC, series, UDP, UPLINK } from "./corner.ts";
import {
  BROADCAST,
  DUAL_L2,
  DUAL_L3,
  GATEWAY,
  type Guest,
  L2,
  L3,
  NEIGHBOUR,
  REMOTE,
  SECOND_ADDRESS,
  SEGMENT_MAC,
  SMALL,
  TWO,
  UPLINK_MAC,
  VIRTUAL_MAC,
} from "./world.ts";

export function bridging(): Corner[] {
  const to = (dst: string, guest: Guest = L2, ttl = 64) =>
    eth({ dst, src: guest.mac }).ipv4({ src: guest.address, dst: REMOTE, ttl }).udp(UDP).bytes();
  const down = (dst: string) =>
    eth({ dst, src: NEIGHBOUR.mac }).ipv4({ src: NEIGHBOUR.address, dst: L2.address }).udp(UDP).bytes();
  const v6 = (dst: string) =>
    eth({ dst, src: NEIGHBOUR.mac }).ipv6({ src: "fe80::1", dst: "ff02::1" }).bytes();
  return [
    ...expect(L2, "output 13", { "bridged to a local guest": to(DUAL_L2.mac) }),
    ...expect(L2, "output 12", { "bridged to a dual-l3 guest": to(DUAL_L3.mac) }),
    ...expect(L2, "output 1", {
      "MAC of a local l3 guest is not bridged: uplink": to(L3.mac),
      "unknown MAC goes up": to(NEIGHBOUR.mac),
      "virtual MAC means nothing at layer 2": to(VIRTUAL_MAC),
      "the uplink's own MAC": to(UPLINK_MAC),
      "TTL 0 is not looked at by a bridge": to(NEIGHBOUR.mac, L2, 0),
    }),
    ...expect(L2, "drop same-port", { "to its own MAC": to(L2.mac) }),
    ...expect(DUAL_L2, "output 14", { "dual-l2 sends by bridge": to(L2.mac, DUAL_L2) }),
    ...expect(UPLINK, "output 14", {
      "from the uplink to the l2 guest": down(L2.mac),
      "IPv6 to the l2 guest is bridged": v6(L2.mac),
    }),
    ...expect(UPLINK, "output 13", { "from the uplink to the dual-l2 guest": down(DUAL_L2.mac) }),
    ...expect(UPLINK, "output 12", { "from the uplink to the dual-l3 guest": down(DUAL_L3.mac) }),
    ...expect(UPLINK, "drop bridge-suppressed", {
      "from the uplink to the l3 guest's MAC": down(L3.mac),
      "unknown MAC": down(STRANGER_MAC),
      broadcast: down(BROADCAST),
      multicast: down(GROUP_MAC),
      "virtual MAC": down(VIRTUAL_MAC),
      "IPv6 to the uplink's MAC": v6(UPLINK_MAC),
    }),
  ];
}

export function responder(): Corner[] {
  const own = L3.address;
  const none = "0.0.0.0";
  const operations = [0, 3, 255, 256, 0x0101, 0xffff];
  return [
    ...expect(L3, "reply", {
      "ARP request for the gateway": arpOf(L3, GATEWAY),
      "ARP request for any other address": arpOf(L3, REMOTE),
      "ARP request for a local l2 guest": arpOf(L3, L2.address),
      "ARP request for 0.0.0.0": arpOf(L3, none),
      "ARP request to the virtual MAC (refresh)": arpOf(L3, GATEWAY, { dst: VIRTUAL_MAC }),
      "target MAC filled in": arpOf(L3, GATEWAY, { tha: 0x665544332211 }),
      "42 bytes, no padding": arpOf(L3, GATEWAY, { length: 42 }),
      "300 bytes, padding kept": arpOf(L3, GATEWAY, { length: 300 }),
    }),
    ...expect(DUAL_L3, "reply", { "dual-l3: ARP request": arpOf(DUAL_L3, GATEWAY) }),
    ...expect(L3, "drop arp-probe", {
      "probe for its own address": arpOf(L3, own, { spa: none }),
      "probe for another address": arpOf(L3, REMOTE, { spa: none }),
      "reply from 0.0.0.0": arpOf(L3, GATEWAY, { spa: none, op: 2 }),
    }),
    ...expect(L3, "drop arp-suppressed", {
      "ARP request to some MAC": arpOf(L3, GATEWAY, { dst: NEIGHBOUR.mac }),
      "ARP request to a group MAC": arpOf(L3, GATEWAY, { dst: GROUP_MAC }),
      "gratuitous request": arpOf(L3, own),
      "gratuitous reply": arpOf(L3, own, { op: 2 }),
      "reply of an l3 guest": arpOf(L3, GATEWAY, { op: 2, dst: VIRTUAL_MAC }),
    }),
    ...series(L3, "drop arp-suppressed", operations, op => [`operation ${op}`, arpOf(L3, GATEWAY, { op })]),
    ...expect(TWO, "drop arp-suppressed", { "asks for its own second address": arpOf(TWO, SECOND_ADDRESS) }),
    ...expect(SMALL, "reply", {
      "1,514 bytes answered on a port of 1,500": arpOf(SMALL, GATEWAY, { length: 1514 }),
    }),
    ...expect(SMALL, "drop too-long", {
      "1,515 bytes to answer on a port of 1,500": arpOf(SMALL, GATEWAY, { length: 1515 }),
    }),
    ...dualReplies(),
  ];
}

/** A dual-l3 guest answers neighbours that still ask for it by bridge. */
function dualReplies(): Corner[] {
  const reply = (tpa: string, dst: string) => arpOf(DUAL_L3, tpa, { op: 2, dst });
  return [
    ...expect(DUAL_L3, "output 1", {
      "reply of a dual-l3 guest goes by bridge": reply(NEIGHBOUR.address, NEIGHBOUR.mac),
    }),
    ...expect(DUAL_L3, "output 14", {
      "reply of a dual-l3 guest to a local one": reply(L2.address, L2.mac),
    }),
    ...expect(DUAL_L3, "drop same-port", { "reply to its own MAC": reply(GATEWAY, DUAL_L3.mac) }),
    ...expect(DUAL_L3, "drop arp-suppressed", {
      "dual-l3: gratuitous reply": reply(DUAL_L3.address, BROADCAST),
    }),
  ];
}

export function bridgedArp(): Corner[] {
  const none = "0.0.0.0";
  return [
    ...expect(L2, "output 1", {
      "L2 path: request for the gateway": arpOf(L2, GATEWAY),
      "L2 path: request for a local l3 guest": arpOf(L2, L3.address),
      "L2 path: gratuitous request": arpOf(L2, L2.address),
      "L2 path: probe for its own address": arpOf(L2, L2.address, { spa: none }),
      "L2 path: gratuitous reply": arpOf(L2, L2.address, { op: 2 }),
      "L2 path: reply": arpOf(L2, GATEWAY, { op: 2, dst: SEGMENT_MAC }),
      "L2 path: operation 3": arpOf(L2, GATEWAY, { op: 3 }),
      "L2 path: operation 257 is no request": arpOf(L2, DUAL_L2.address, { op: 0x0101 }),
    }),
    ...expect(L2, "output 13", {
      "suppressed broadcast: only the owner hears it": arpOf(L2, DUAL_L2.address),
      "L2 path: reply to a local guest": arpOf(L2, DUAL_L2.address, { op: 2, dst: DUAL_L2.mac }),
      "L2 path: unicast request for a stranger": arpOf(L2, NEIGHBOUR.address, { dst: DUAL_L2.mac }),
    }),
    ...expect(L2, "output 12", {
      "suppressed broadcast to a dual-l3 owner": arpOf(L2, DUAL_L3.address),
      "probe for the address of another": arpOf(L2, DUAL_L3.address, { spa: none }),
    }),
    ...expect(L2, "drop same-port", {
      "L2 path: reply to itself": arpOf(L2, GATEWAY, { op: 2, dst: L2.mac }),
      "L2 path: request to its own MAC": arpOf(L2, GATEWAY, { dst: L2.mac }),
    }),
    ...expect(DUAL_L2, "output 1", { "dual-l2: request for the gateway": arpOf(DUAL_L2, GATEWAY) }),
    ...expect(DUAL_L2, "output 14", { "dual-l2: request for the l2 guest": arpOf(DUAL_L2, L2.address) }),
  ];
}

export function uplinkArp(): Corner[] {
  const ask = (tpa: string, spa = NEIGHBOUR.address) => arpOf(NEIGHBOUR, tpa, { spa });
  const reply = (tpa: string, dst: string) => arpOf(NEIGHBOUR, tpa, { op: 2, dst });
  return [
    ...expect(UPLINK, "output 14", {
      "uplink: who has the l2 guest": ask(L2.address),
      "uplink: probe for the l2 guest's address": ask(L2.address, "0.0.0.0"),
      "uplink: somebody claims the l2 guest's address": ask(L2.address, L2.address),
      "uplink: reply for the l2 guest": reply(L2.address, L2.mac),
    }),
    ...expect(UPLINK, "output 13", { "uplink: who has the dual-l2 guest": ask(DUAL_L2.address) }),
    ...expect(UPLINK, "output 12", {
      "uplink: who has the dual-l3 guest": ask(DUAL_L3.address),
      "uplink: reply for the dual-l3 guest": reply(DUAL_L3.address, DUAL_L3.mac),
    }),
    ...expect(UPLINK, "drop arp-suppressed", {
      "uplink: who has the l3 guest": ask(L3.address),
      "uplink: who has the gateway": ask(GATEWAY),
      "uplink: operation 257": arpOf(NEIGHBOUR, L2.address, { op: 0x0101 }),
      "uplink: operation 3": arpOf(NEIGHBOUR, L2.address, { op: 3 }),
    }),
    ...expect(UPLINK, "drop bridge-suppressed", {
      "uplink: reply for the l3 guest": reply(L3.address, L3.mac),
      "uplink: broadcast reply": reply(L2.address, BROADCAST),
    }),
  ];
}

/** ARP whose fields cannot be read, from a guest and from the uplink. */
export function malformedArp(): Corner[] {
  const wrong = [{ hrd: 6 }, { hrd: 0 }, { pro: 0x86dd }, { hln: 8 }, { hln: 0 }, { pln: 16 }, { pln: 0 }];
  const base = { sha: L3.mac, spa: L3.address, tpa: GATEWAY };
  const name = (fields: object) => `ARP with ${Object.entries(fields).flat().join(" ")}`;
  const guest = (fields: object) =>
    eth({ dst: BROADCAST, src: L3.mac })
      .arp({ ...base, ...fields })
      .pad(60)
      .bytes();
  const uplink = (fields: object) =>
    eth({ dst: BROADCAST, src: NEIGHBOUR.mac })
      .arp({ ...base, tpa: L2.address, ...fields })
      .pad(60)
      .bytes();
  const short = { length: 42 };
  return [
    ...series(L3, "drop malformed", wrong, fields => [name(fields), guest(fields)]),
    ...series(UPLINK, "drop malformed", wrong, fields => [name(fields), uplink(fields)]),
    ...expect(L3, "drop malformed", { "27 bytes of ARP": arpOf(L3, GATEWAY, short).subarray(0, 41) }),
    ...expect(UPLINK, "drop malformed", {
      "27 bytes of ARP": arpOf(NEIGHBOUR, L2.address, short).subarray(0, 41),
    }),
    ...expect(UPLINK, "output 14", { "28 bytes of ARP": arpOf(NEIGHBOUR, L2.address, short) }),
  ];
}
