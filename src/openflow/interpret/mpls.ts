/**
 * The label stack of a flow key: counted, pushed and popped as lib/flow.c of Open vSwitch does, which holds
 * three entries (RFC 3032). The packet's bytes are not touched; commit.ts derives their change from the keys.
 */
import { KEY, KEY_WORDS } from "../flow-key.ts";
import { isIpType, isMplsType, MPLS_LABELS, TYPE } from "./extract.ts";

const BOTTOM = 0x100;
/** IPv6 Explicit Null (RFC 3032 §2.1). */
const IPV6_NULL = 2;

/** Entries that the key holds: up to the first with S=1, else those that are not all zero. */
export function countLabels(key: Uint32Array): number {
  if (!isMplsType(key[KEY.dlType]!)) return 0;
  let count = 0;
  for (let index = 0; index < MPLS_LABELS; index++) {
    const entry = key[KEY.mplsLse + index]!;
    if (entry & BOTTOM) return index + 1;
    if (entry !== 0) count++;
  }
  return count;
}

/**
 * Puts an entry on a stack of `count` < 3: a copy of the outer one with S=0, or the first one, made from the
 * IP header. Of DSCP its three low bits become the traffic class. `clears` wipes the fields behind the
 * labels, as the first push does.
 */
export function pushLabel(key: Uint32Array, count: number, type: number, clears: boolean): void {
  if (count > 0) {
    key.copyWithin(KEY.mplsLse + 1, KEY.mplsLse, KEY.mplsLse + count);
    key[KEY.mplsLse] = key[KEY.mplsLse]! & ~BOTTOM;
  } else {
    const isIp = isIpType(key[KEY.dlType]!);
    const label = key[KEY.dlType] === TYPE.ipv6 ? IPV6_NULL : 0;
    const trafficClass = isIp ? (key[KEY.nwTos]! >>> 2) & 7 : 0;
    const ttl = (isIp && key[KEY.nwTtl]) || 64;
    key[KEY.mplsLse] = (label << 12) | (trafficClass << 9) | BOTTOM | ttl;
    if (clears) {
      key.fill(0, KEY.nwSrc, KEY_WORDS);
      key[KEY.dpHash] = 0;
    }
  }
  key[KEY.dlType] = type;
}

/**
 * Takes the outer entry off a stack of `count`; false, and nothing done, when there is none or the fourth is
 * unknown.
 */
export function popLabel(key: Uint32Array, count: number, type: number): boolean {
  if (count === 0) return false;
  if (count === MPLS_LABELS && (key[KEY.mplsLse + MPLS_LABELS - 1]! & BOTTOM) === 0) return false;
  key.copyWithin(KEY.mplsLse, KEY.mplsLse + 1, KEY.mplsLse + count);
  key[KEY.mplsLse + count - 1] = 0;
  key[KEY.dlType] = type;
  return true;
}
