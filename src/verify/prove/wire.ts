/**
 * From key to packet: what the datapath makes of the bytes so that they become what the key says, symbolically, as
 * interpret/commit.ts does it with numbers. The outcome is a `Packet`: two packets of the same frame that agree in it
 * are the same bytes. What it takes for that beyond the final values is kept too: whether a word was written more than
 * once (a checksum can remember that, RFC 1624), whether type bytes were written (LLC/SNAP), how many labels came off.
 */
import { KEY } from "../../openflow/index.ts";
import { type Decider, hasType, isIp, isMpls, TYPES } from "./fields.ts";
import { countLabels, popLabel } from "./labels.ts";
import { LAYER_3, type Packet, type Wire } from "./state.ts";
import type { Word } from "./terms.ts";

type Key = readonly Word[];

const differ = (a: Key, b: Key, from: number, to: number): boolean => {
  for (let word = from; word < to; word++) if (a[word] !== b[word]) return true;
  return false;
};

/** Words whose second writing leaves a trace, beside those of layer 3 and 4. */
const NO_TRACE: ReadonlySet<number> = new Set([KEY.nwTos, KEY.nwTtl]);

class Commit {
  readonly #decider: Decider;
  readonly #flow: Key;
  base: Word[];
  readonly written: Set<number>;
  history: string;
  popped: number;
  pushed: number;
  isTypeWritten: boolean;

  constructor(decider: Decider, flow: Key, packet: Packet) {
    this.#decider = decider;
    this.#flow = flow;
    this.base = [...packet.base];
    this.written = new Set(packet.written);
    this.history = packet.history;
    this.popped = packet.popped;
    this.pushed = packet.pushed;
    this.isTypeWritten = packet.isTypeWritten;
  }

  /** Writes words of the key to the packet. */
  take(from: number, count: number): void {
    for (let word = from; word < from + count; word++) {
      const value = this.#flow[word]!;
      if (this.base[word] === value) continue;
      if (!NO_TRACE.has(word)) {
        if (this.written.has(word)) this.history += ` ${word}=${value.id}`;
        this.written.add(word);
      }
      this.base[word] = value;
    }
  }

  run(): void {
    const [decider, flow] = [this.#decider, this.#flow];
    for (let word = KEY.dlDst; word < KEY.dlType; word++) this.base[word] = flow[word]!;
    const isSameType = flow[KEY.dlType] === this.base[KEY.dlType];
    const hasSameLabels = isSameType && !differ(flow, this.base, KEY.mplsLse, KEY.nwSrc);
    const losesLabels = !isSameType && isMpls(decider, this.base) && !isMpls(decider, flow);
    if (losesLabels) this.#labels();
    if (differ(flow, this.base, LAYER_3.from, LAYER_3.to) && this.#isNetworkWritten()) this.#network();
    if (!losesLabels && !hasSameLabels) this.#labels();
    if (differ(flow, this.base, KEY.vlanTci, KEY.mplsLse)) this.take(KEY.vlanTci, 2);
  }

  /**
   * A protocol of 0 keeps Open vSwitch from writing anything of layer 3. IP packets are taken as if it were another
   * one: wherever it is 0, nothing of layer 3 ever is written, and whoever compares leaves layer 3 out.
   */
  #isNetworkWritten(): boolean {
    const decider = this.#decider;
    const protocol = this.#flow[KEY.nwProto]!;
    if (protocol.value !== null) return protocol.value !== 0;
    if (isIp(decider, this.base)) return true;
    return !decider.is(protocol, 0xffffffff, 0);
  }

  #network(): void {
    const [decider, base, flow] = [this.#decider, this.base, this.#flow];
    if (hasType(decider, base, TYPES.ip4)) {
      this.take(KEY.nwSrc, 2);
      this.take(KEY.nwTos, 2);
    } else if (hasType(decider, base, TYPES.ip6)) {
      this.take(KEY.ipv6Src, 9);
      this.take(KEY.nwTos, 2);
      const hasNd =
        differ(flow, base, KEY.arpSha, KEY.tpSrc) ||
        differ(flow, base, KEY.ndReserved, KEY.ndOptionsType + 1);
      if (hasNd && decider.is(base[KEY.nwProto]!, 0xffffffff, 58)) {
        this.take(KEY.ndReserved, 2);
        this.take(KEY.arpSha, 8);
      }
    } else if (hasType(decider, base, TYPES.arp)) {
      this.take(KEY.nwProto, 1);
      this.take(KEY.nwSrc, 2);
      this.take(KEY.arpSha, 4);
    }
    if (!differ(flow, base, KEY.tpSrc, KEY.tcpFlags) || !isIp(decider, base)) return;
    const is = (...protocols: number[]): boolean =>
      protocols.some(protocol => decider.is(flow[KEY.nwProto]!, 0xffffffff, protocol));
    if (is(6, 17, 132)) this.take(KEY.tpSrc, 2);
    else if (hasType(decider, base, TYPES.ip4) ? is(1) : is(58)) this.take(KEY.tpSrc, 2);
  }

  /** Pops what the stacks do not share, rewriting the last such entry where one is to become it; then pushes. */
  #labels(): void {
    const [decider, flow] = [this.#decider, this.#flow];
    const type = flow[KEY.dlType]!;
    const wanted = countLabels(decider, flow);
    let have = countLabels(decider, this.base);
    let common = this.#commonLabels(wanted, have);
    while (have > common) {
      if (have - 1 === common && wanted > common) {
        this.base[KEY.mplsLse] = flow[KEY.mplsLse + wanted - have]!;
        common++;
      } else {
        this.base = popLabel(decider, this.base, have, 0) ?? this.base;
        this.base[KEY.dlType] = type;
        if (this.pushed > 0) this.pushed--;
        else this.popped++;
        this.isTypeWritten = true;
        have--;
      }
    }
    while (have < wanted) {
      const entry = flow[KEY.mplsLse + wanted - have - 1]!;
      for (let i = have; i > 0; i--) this.base[KEY.mplsLse + i] = this.base[KEY.mplsLse + i - 1]!;
      this.base[KEY.dlType] = type;
      this.base[KEY.mplsLse] = entry;
      this.pushed++;
      this.isTypeWritten = true;
      have++;
    }
  }

  /**
   * Entries that are the same in both stacks, counted from the bottom. Those that may be equal count as different: the
   * datapath then writes what is there already.
   */
  #commonLabels(wanted: number, have: number): number {
    let count = 0;
    while (count < Math.min(wanted, have)) {
      const a = this.#flow[KEY.mplsLse + wanted - 1 - count]!;
      const b = this.base[KEY.mplsLse + have - 1 - count]!;
      if (a !== b) break;
      count++;
    }
    return count;
  }
}

/** Brings the packet up to the key. */
export function commit(decider: Decider, flow: Key, packet: Packet): Packet {
  const run = new Commit(decider, flow, packet);
  run.run();
  const { base, written, history, popped, pushed, isTypeWritten } = run;
  return { ...packet, base, written, history, popped, pushed, isTypeWritten };
}

export const WIRE_FROM: number = KEY.dlDst;

/** The bytes of a packet, named so that equal names are equal bytes. */
export function wireOf(packet: Packet): Wire {
  const { base, popped, pushed, isTypeWritten, history } = packet;
  let id = `${popped} ${pushed} ${isTypeWritten} ${history}`;
  for (let word = WIRE_FROM; word < LAYER_3.to; word++) id += ` ${base[word]!.id}`;
  return { packet, id };
}
