/**
 * What the datapath must do to a packet so that it becomes what the flow key says: the difference between two
 * keys as datapath actions, in Open vSwitch's order (lib/odp-util.c). Only fields that differ are written.
 * `base` is what the packet is by now, and becomes `flow` wherever an action was made; where the datapath has
 * no action for a difference, `base` keeps it, and so does the packet.
 */
import { KEY } from "../flow-key.ts";
import type { HeaderAction, Ipv6, Mac } from "./datapath.ts";
import { isIpType, isMplsType, PROTOCOL, TYPE } from "./extract.ts";
import { countLabels, popLabel, pushLabel } from "./mpls.ts";

/** Words in which the keys differ, from `word` on; copies them to `base`. */
function changes(flow: Uint32Array, base: Uint32Array, word: number, count: number): boolean {
  let differs = false;
  for (let i = word; i < word + count; i++) {
    if (flow[i] !== base[i]) differs = true;
    base[i] = flow[i]!;
  }
  return differs;
}

const changedWord = (flow: Uint32Array, base: Uint32Array, word: number): number | null =>
  changes(flow, base, word, 1) ? flow[word]! : null;

const changedMac = (flow: Uint32Array, base: Uint32Array, word: number): Mac | null =>
  changes(flow, base, word, 2) ? [flow[word]!, flow[word + 1]!] : null;

const wordsAt = (key: Uint32Array, word: number): Ipv6 => [
  key[word]!,
  key[word + 1]!,
  key[word + 2]!,
  key[word + 3]!,
];

const changedIpv6 = (flow: Uint32Array, base: Uint32Array, word: number): Ipv6 | null =>
  changes(flow, base, word, 4) ? wordsAt(flow, word) : null;

/**
 * Appends to `actions` what turns a packet of key `base` into one of key `flow`. False when Open vSwitch ends
 * itself over it (an assertion): when a label must go from a packet of which more are not known to be there.
 */
export function commit(flow: Uint32Array, base: Uint32Array, actions: HeaderAction[]): boolean {
  commitEthernet(flow, base, actions);
  const losesLabels = isMplsType(base[KEY.dlType]!) && !isMplsType(flow[KEY.dlType]!);
  if (losesLabels && !commitMpls(flow, base, actions)) return false;
  // A protocol byte of 0 counts as "no layer 3", so that nothing of such a packet is ever written.
  if (flow[KEY.nwProto] !== 0) {
    commitNetwork(flow, base, actions);
    commitPorts(flow, base, actions);
    commitIcmp(flow, base, actions);
  }
  if (!losesLabels && !commitMpls(flow, base, actions)) return false;
  commitVlan(flow, base, actions);
  changes(flow, base, KEY.skbPriority, 2);
  return true;
}

function commitEthernet(flow: Uint32Array, base: Uint32Array, actions: HeaderAction[]): void {
  const dst = changedMac(flow, base, KEY.dlDst);
  const src = changedMac(flow, base, KEY.dlSrc);
  if (dst !== null || src !== null) actions.push({ do: "set_ethernet", src, dst });
}

function commitNetwork(flow: Uint32Array, base: Uint32Array, actions: HeaderAction[]): void {
  switch (base[KEY.dlType]) {
    case TYPE.ipv4: {
      const was = {
        src: base[KEY.nwSrc]!,
        dst: base[KEY.nwDst]!,
        tos: base[KEY.nwTos]!,
        ttl: base[KEY.nwTtl]!,
      };
      const src = changedWord(flow, base, KEY.nwSrc);
      const dst = changedWord(flow, base, KEY.nwDst);
      const tos = changedWord(flow, base, KEY.nwTos);
      const ttl = changedWord(flow, base, KEY.nwTtl);
      if ((src ?? dst ?? tos ?? ttl) !== null) actions.push({ do: "set_ipv4", src, dst, tos, ttl, was });
      return;
    }
    case TYPE.ipv6: {
      const was = {
        src: wordsAt(base, KEY.ipv6Src),
        dst: wordsAt(base, KEY.ipv6Dst),
        label: base[KEY.ipv6Label]!,
        tos: base[KEY.nwTos]!,
        ttl: base[KEY.nwTtl]!,
      };
      const src = changedIpv6(flow, base, KEY.ipv6Src);
      const dst = changedIpv6(flow, base, KEY.ipv6Dst);
      const label = changedWord(flow, base, KEY.ipv6Label);
      const tos = changedWord(flow, base, KEY.nwTos);
      const ttl = changedWord(flow, base, KEY.nwTtl);
      if ((src ?? dst ?? label ?? tos ?? ttl) !== null)
        actions.push({ do: "set_ipv6", src, dst, label, tos, ttl, was });
      if (base[KEY.nwProto] === PROTOCOL.icmpv6) commitNeighbourDiscovery(flow, base, actions);
      return;
    }
    case TYPE.arp: {
      const op = changedWord(flow, base, KEY.nwProto);
      const spa = changedWord(flow, base, KEY.nwSrc);
      const tpa = changedWord(flow, base, KEY.nwDst);
      const sha = changedMac(flow, base, KEY.arpSha);
      const tha = changedMac(flow, base, KEY.arpTha);
      if ((op ?? spa ?? tpa ?? sha ?? tha) !== null) actions.push({ do: "set_arp", op, spa, tpa, sha, tha });
      return;
    }
  }
}

function commitNeighbourDiscovery(flow: Uint32Array, base: Uint32Array, actions: HeaderAction[]): void {
  const reserved = changedWord(flow, base, KEY.ndReserved);
  const optionsType = changedWord(flow, base, KEY.ndOptionsType);
  if ((reserved ?? optionsType) !== null) actions.push({ do: "set_nd_extensions", reserved, optionsType });
  const target = changedIpv6(flow, base, KEY.ndTarget);
  const sll = changedMac(flow, base, KEY.arpSha);
  const tll = changedMac(flow, base, KEY.arpTha);
  if ((target ?? sll ?? tll) !== null) actions.push({ do: "set_nd", target, sll, tll });
}

function commitPorts(flow: Uint32Array, base: Uint32Array, actions: HeaderAction[]): void {
  const protocol = flow[KEY.nwProto]!;
  const hasPorts = protocol === PROTOCOL.tcp || protocol === PROTOCOL.udp || protocol === PROTOCOL.sctp;
  if (!hasPorts || !isIpType(base[KEY.dlType]!)) return;
  const src = changedWord(flow, base, KEY.tpSrc);
  const dst = changedWord(flow, base, KEY.tpDst);
  if ((src ?? dst) !== null) actions.push({ do: "set_ports", protocol, src, dst });
}

function commitIcmp(flow: Uint32Array, base: Uint32Array, actions: HeaderAction[]): void {
  const type = flow[KEY.dlType];
  const protocol = flow[KEY.nwProto];
  const isIcmp =
    (type === TYPE.ipv4 && protocol === PROTOCOL.icmp) ||
    (type === TYPE.ipv6 && protocol === PROTOCOL.icmpv6);
  // mod_tp_src may have written 16 bits, of which the packet has eight.
  const [messageType, code] = [flow[KEY.tpSrc]! & 0xff, flow[KEY.tpDst]! & 0xff];
  if (!isIcmp || (messageType === (base[KEY.tpSrc]! & 0xff) && code === (base[KEY.tpDst]! & 0xff))) return;
  changes(flow, base, KEY.tpSrc, 2);
  actions.push({ do: "set_icmp", type: messageType, code });
}

/** Entries that are the same in both stacks, counted from the bottom. */
function commonLabels(flow: Uint32Array, flowCount: number, base: Uint32Array, baseCount: number): number {
  let count = 0;
  while (
    count < Math.min(flowCount, baseCount) &&
    flow[KEY.mplsLse + flowCount - 1 - count] === base[KEY.mplsLse + baseCount - 1 - count]
  ) {
    count++;
  }
  return count;
}

/**
 * Pops what the stacks do not share, rewriting the last such entry in place where there is one to become it;
 * then pushes.
 */
function commitMpls(flow: Uint32Array, base: Uint32Array, actions: HeaderAction[]): boolean {
  const type = flow[KEY.dlType]!;
  const wanted = countLabels(flow);
  let have = countLabels(base);
  let common = commonLabels(flow, wanted, base, have);
  while (have > common) {
    if (have - 1 === common && wanted > common) {
      const entry = flow[KEY.mplsLse + wanted - have]!;
      actions.push({ do: "set_mpls", entry });
      base[KEY.mplsLse] = entry;
      common++;
    } else {
      const inner = !isMplsType(type) && have > 1 ? TYPE.mpls : type;
      actions.push({ do: "pop_mpls", type: inner });
      if (!popLabel(base, have, type)) return false;
      have--;
    }
  }
  while (have < wanted) {
    const entry = flow[KEY.mplsLse + wanted - have - 1]!;
    actions.push({ do: "push_mpls", type, entry });
    pushLabel(base, have, type, false);
    base[KEY.mplsLse] = entry;
    have++;
  }
  // Entries that are all zero are not counted, and a stack that holds one may not be reached.
  return !isMplsType(type) || [0, 1, 2].every(i => base[KEY.mplsLse + i] === flow[KEY.mplsLse + i]);
}

const countTags = (key: Uint32Array): number =>
  (key[KEY.vlanTci]! & 0x1000) === 0 ? 0 : (key[KEY.innerVlanTci]! & 0x1000) === 0 ? 1 : 2;

/** Tags are compared from the inside; every one that differs goes, and comes anew. */
function commitVlan(flow: Uint32Array, base: Uint32Array, actions: HeaderAction[]): void {
  if (flow[KEY.vlanTci] === base[KEY.vlanTci] && flow[KEY.innerVlanTci] === base[KEY.innerVlanTci]) return;
  let have = countTags(base);
  let wanted = countTags(flow);
  while (have > 0 && wanted > 0 && flow[KEY.vlanTci + wanted - 1] === base[KEY.vlanTci + have - 1]) {
    have--;
    wanted--;
  }
  for (; have > 0; have--) actions.push({ do: "pop_vlan" });
  for (; wanted > 0; wanted--) {
    const tag = flow[KEY.vlanTci + wanted - 1]!;
    actions.push({ do: "push_vlan", type: tag >>> 16, tci: tag & 0xffff });
  }
  changes(flow, base, KEY.vlanTci, 2);
}
