/**
 * Commits a symbolic flow key to the packet's bytes, as interpret/commit.ts does with numbers. The result is
 * a Packet: two packets of the same frame with equal Packets have the same bytes. Beside the final values it
 * records what else can change the bytes: words written more than once (an incremental checksum depends on
 * that, RFC 1624), type bytes that were written (LLC/SNAP), and the number of popped labels.
 */
import { KEY } from "../../openflow/index.ts";
import { type Decider, Undecidable } from "./decider.ts";
import { hasType, isIp, isMpls, TYPES, VLAN_PRESENT } from "./fields.ts";
import { countLabels, popLabel } from "./label-stack.ts";
import { LAYER_3, type Packet, type TypeWritten, type Wire } from "./state.ts";
import type { Word } from "./terms.ts";

type Key = readonly Word[];

const differ = (a: Key, b: Key, from: number, to: number): boolean => {
  for (let word = from; word < to; word++) if (a[word] !== b[word]) return true;
  return false;
};

/** Messages of the interpreter for the same cases. */
const ELSEWHERE = "a change to a header that the switch looks for elsewhere";
const CUT_SHORT = "a change to a header that is cut short";
/** Open vSwitch aborts. If it aborts for both inputs, the outcome is the same. */
export class EndsSwitch extends Error {}
export const POP_ENDS_SWITCH = "a pop_mpls that makes Open vSwitch end itself";

const LABEL_WORDS = [KEY.mplsLse, KEY.mplsLse + 1, KEY.mplsLse + 2];
const ARP_WORDS: readonly number[] = [
  KEY.nwProto,
  KEY.nwSrc,
  KEY.nwDst,
  KEY.arpSha,
  KEY.arpSha + 1,
  KEY.arpTha,
  KEY.arpTha + 1,
];

/** Words below layer 4 for which a second write does not affect a checksum. */
const NO_TRACE: ReadonlySet<number> = new Set([KEY.nwTos, KEY.nwTtl]);

class Commit {
  readonly #decider: Decider;
  readonly #flow: Key;
  base: Word[];
  readonly written: Set<number>;
  history: string;
  popped: number;
  pushed: number;
  types: readonly TypeWritten[];
  isRelabelled: boolean;
  readonly #packet: Packet;

  constructor(decider: Decider, flow: Key, packet: Packet) {
    this.#decider = decider;
    this.#flow = flow;
    this.base = [...packet.base];
    this.written = new Set(packet.written);
    this.history = packet.history;
    this.popped = packet.popped;
    this.pushed = packet.pushed;
    this.types = packet.types;
    this.isRelabelled = packet.isRelabelled;
    this.#packet = packet;
  }

  /** Checks that the switch finds the header behind the type where it looks for it. */
  #reach(): void {
    if (this.#packet.isMoved) throw new Undecidable(ELSEWHERE);
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
    if (differ(flow, this.base, LAYER_3.from, LAYER_3.to) && this.#isNetworkWritten()) {
      this.#reach();
      this.#network();
    }
    if (!losesLabels && !hasSameLabels) this.#labels();
    if (differ(flow, this.base, KEY.vlanTci, KEY.mplsLse)) this.take(KEY.vlanTci, 2);
  }

  /**
   * With protocol 0, Open vSwitch writes nothing in layer 3. For IP packets this code assumes another
   * protocol: if the protocol is 0, layer 3 is never written, and the comparison ignores it.
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
        // These writes recompute the checksum over everything written so far.
        if (differ(flow, base, KEY.ndReserved, KEY.ndOptionsType + 1))
          this.history += ` nd(${[...this.written].sort((a, b) => a - b)})`;
        this.take(KEY.ndReserved, 2);
        this.take(KEY.arpSha, 8);
      }
    } else if (hasType(decider, base, TYPES.arp)) {
      const isBad = decider.hasFormat(this.#packet.extraction, ({ name }) => name === "arp bad");
      if (isBad && ARP_WORDS.some(word => flow[word] !== base[word])) throw new Undecidable(CUT_SHORT);
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

  /**
   * Pops the entries that the stacks do not share, rewrites the last of them if the new stack needs one in
   * its place, then pushes.
   */
  #labels(): void {
    const [decider, flow] = [this.#decider, this.#flow];
    const type = flow[KEY.dlType]!;
    if (flow[KEY.dlType] !== this.base[KEY.dlType] || isMpls(decider, flow)) this.#reach();
    const wanted = countLabels(decider, flow);
    let have = countLabels(decider, this.base);
    let common = this.#commonLabels(wanted, have);
    while (have > common) {
      if (have - 1 === common && wanted > common) {
        this.base[KEY.mplsLse] = flow[KEY.mplsLse + wanted - have]!;
        common++;
      } else {
        const popped = popLabel(decider, this.base, have, 0);
        if (popped === null) throw new EndsSwitch(POP_ENDS_SWITCH);
        this.base = popped;
        if (this.pushed > 0) this.pushed--;
        else this.popped++;
        this.#writeType(type);
        have--;
      }
    }
    while (have < wanted) {
      const entry = flow[KEY.mplsLse + wanted - have - 1]!;
      for (let i = have; i > 0; i--) this.base[KEY.mplsLse + i] = this.base[KEY.mplsLse + i - 1]!;
      this.base[KEY.mplsLse] = entry;
      this.pushed++;
      this.#writeType(type);
      have++;
    }
    // Zero entries are not counted, so a stack that contains one may be out of reach.
    if (!isMpls(decider, flow)) return;
    for (const word of LABEL_WORDS)
      if (!decider.isSame(flow[word]!, this.base[word]!)) throw new EndsSwitch(POP_ENDS_SWITCH);
  }

  /** Of several writes behind the same tag, the last one persists. */
  #writeType(type: Word): void {
    const tag = this.base[KEY.vlanTci]!;
    this.base[KEY.dlType] = type;
    this.types = [...this.types.filter(one => one.tag !== tag), { tag, type }];
    this.isRelabelled = true;
  }

  /**
   * Entries that both stacks share, counted from the bottom. Entries that may be equal count as different:
   * the datapath then rewrites the value that is there already.
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

/** The packet after its bytes were brought up to the key. */
export function commit(decider: Decider, flow: Key, packet: Packet): Packet {
  const run = new Commit(decider, flow, packet);
  run.run();
  const { base, written, history, popped, pushed, types, isRelabelled } = run;
  return { ...packet, base, written, history, popped, pushed, types, isRelabelled };
}

export const WIRE_FROM: number = KEY.dlDst;

/** The type bytes written so far: for equal texts, LLC/SNAP frames have equal bytes. */
export const typesName = ({ types }: Packet): string =>
  types.map(({ tag, type }) => `${tag.id}:${type.id}`).join();

/**
 * Whether the datapath finds headers elsewhere from now on, as after an extraction on the way to the
 * controller.
 */
export function isMovedByExtraction(decider: Decider, snap: Word, packet: Packet): boolean {
  const { base, read, isMoved, isRelabelled, popped } = packet;
  if (isMoved) return true;
  const inner = base[KEY.innerVlanTci]!;
  if (inner.value !== 0 && !decider.is(inner, VLAN_PRESENT, 0)) return true;
  if (base[KEY.vlanTci] !== read[KEY.vlanTci] && hasType(decider, base, 0x8100, 0x88a8)) return true;
  return isRelabelled && (popped > 0 || decider.is(snap, 1, 1));
}

/** A text for the bytes of a packet: equal texts mean equal bytes. */
export function wireOf(packet: Packet): Wire {
  const { base, popped, pushed, history, extraction } = packet;
  let id = `${extraction} ${popped} ${pushed} ${typesName(packet)} ${history}`;
  for (let word = WIRE_FROM; word < LAYER_3.to; word++) id += ` ${base[word]!.id}`;
  return { packet, id };
}
