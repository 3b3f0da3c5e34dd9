/**
 * Extractions: parses of a packet into a flow key. The first one is of the incoming frame; recirculation
 * after a pop_mpls makes further ones. The bytes behind popped labels are new input, the same for both
 * machines, named by the type that the pop announces and the number of popped labels. Bytes that an earlier
 * extraction covered keep their words, with all writes.
 */
import { KEY, KEY_WORDS } from "../../openflow/index.ts";
import { type Decider, Unmodelled } from "./decider.ts";
import { TUNNEL_WORDS } from "./entering.ts";
import { TYPES, VLAN_PRESENT } from "./fields.ts";
import { INNER_WORDS, inputWordsOf, type Space, widthOfWord } from "./input-space.ts";
import { typesName } from "./packet.ts";
import type { Packet } from "./state.ts";
import type { Atom, Terms, Word } from "./terms.ts";

/** One extraction of the frame. */
export interface Extraction {
  readonly name: string;
  /** The possible frame formats, as bits of `space.formats`. */
  readonly formats: number;
  /**
   * The announced type and the number of popped labels of the original stack; null for the first extraction.
   */
  readonly behind: { readonly type: number; readonly popped: number; readonly isShifted: boolean } | null;
}

/** The words from nw_src on, and the extraction they belong to. */
interface Inner {
  readonly words: readonly Word[];
  readonly extraction: number;
  readonly isShifted: boolean;
}

const LAYER_3_OF: Readonly<Record<number, string>> = {
  [TYPES.ip4]: "ip4",
  [TYPES.ip6]: "ip6",
  [TYPES.arp]: "arp",
  [TYPES.rarp]: "arp",
};

/** A pseudo word, 1 if the frame has an LLC/SNAP header. */
export const SNAP_WORD = KEY_WORDS;

export class Extractions {
  readonly space: Space;
  readonly terms: Terms;
  readonly list: Extraction[] = [];
  /** Whether a flow matches or reads the original direction tuple of a connection. */
  readonly isTupleRead: boolean;
  readonly #texts = new Map<string, number>();

  constructor(space: Space, terms: Terms) {
    this.space = space;
    this.terms = terms;
    this.isTupleRead = space.isTupleRead;
    this.list.push({ name: "frame", formats: (2 ** space.formats.length - 1) | 0, behind: null });
  }

  atom(extraction: number, word: number): Atom {
    const bits = word === SNAP_WORD ? 1 : widthOfWord(word);
    return this.terms.atom(`${extraction}.${word}`, extraction, word, bits);
  }

  /** `given`, extended by the format bits of extractions made since. */
  formatBitsWith(given: readonly number[]): readonly number[] {
    if (given.length === this.list.length) return given;
    return [...given, ...this.list.slice(given.length).map(({ formats }) => formats)];
  }

  /** The flow key of an incoming frame; `isTunnelled`: with tunnel fields. */
  firstKey(isTunnelled: boolean): Word[] {
    const { terms } = this;
    const key = Array.from({ length: KEY_WORDS }, () => terms.constant(0));
    for (const word of inputWordsOf(this.space))
      if (isTunnelled || !TUNNEL_WORDS.includes(word)) key[word] = terms.atomWord(this.atom(0, word));
    return key;
  }

  /** The words from dl_dst on after recirculation. */
  readAgain(decider: Decider, packet: Packet, line: number): { key: Word[]; packet: Packet } {
    const { terms } = this;
    const key = Array.from({ length: KEY_WORDS }, () => terms.constant(0));
    for (let word: number = KEY.dlDst; word < KEY.vlanTci; word++) key[word] = packet.base[word]!;
    key[KEY.vlanTci] = this.#tag(decider, packet, line);
    const isUntouched = packet.popped === 0 && packet.pushed === 0 && packet.types.length === 0;
    if (isUntouched) {
      for (let word: number = KEY.mplsLse; word < KEY.nwSrc; word++) key[word] = packet.base[word]!;
    } else if (packet.pushed > 0) {
      throw new Unmodelled("recirculation of a packet with pushed labels", line);
    }
    const { words, extraction, isShifted } = this.#inner(decider, packet, line);
    const read = [...key];
    for (let word: number = KEY.nwSrc; word < KEY_WORDS; word++) {
      key[word] = words[word]!;
      // Writes persist: the next extraction returns them.
      read[word] = extraction === packet.extraction ? packet.read[word]! : words[word]!;
    }
    const found = { readAs: key[KEY.dlType]!, extraction, isRelabelled: false, isMoved: false };
    // A type that was written before an LLC header is from now on part of what the header announces.
    const types = isShifted
      ? [{ tag: key[KEY.dlType]!, type: this.#named(typesName(packet)) }]
      : packet.types;
    return { key, packet: { ...packet, ...found, base: key, read, types } };
  }

  /** A constant that stands for a text: equal for equal texts. */
  #named(text: string): Word {
    const known = this.#texts.get(text) ?? this.#texts.size;
    this.#texts.set(text, known);
    return this.terms.constant(known);
  }

  /** LLC/SNAP frames whose length field was overwritten with a type. */
  #isShifted(decider: Decider, { types }: Packet): boolean {
    if (types.length === 0) return false;
    if (decider.is(this.terms.atomWord(this.atom(0, SNAP_WORD)), 1, 0)) return false;
    return !types.every(({ tag }) => decider.is(tag, VLAN_PRESENT, VLAN_PRESENT));
  }

  /** A tag without its presence bit is not in the bytes, so the extraction does not find it. */
  #tag(decider: Decider, { base }: Packet, line: number): Word {
    const tag = base[KEY.vlanTci]!;
    if (base[KEY.innerVlanTci]!.value !== 0)
      throw new Unmodelled("recirculation of a packet with two tags", line);
    return decider.is(tag, VLAN_PRESENT, 0) ? this.terms.constant(0) : tag;
  }

  /** The words from nw_src on. */
  #inner(decider: Decider, packet: Packet, line: number): Inner {
    const { base, read, readAs } = packet;
    const type = base[KEY.dlType]!;
    const isShifted = this.#isShifted(decider, packet);
    const isRewritten = base.some((word, at) => at >= KEY.nwSrc && word !== read[at]);
    if (!isShifted && (type === readAs || isSameType(decider, type, readAs)))
      return {
        words: isRewritten ? this.#rewritten(decider, packet, line) : base,
        extraction: packet.extraction,
        isShifted,
      };
    if (isRewritten) throw new Unmodelled("recirculation of a rewritten packet as another type", line);
    return { ...this.#fresh(type, packet, isShifted, line), isShifted };
  }

  /** The words written in layer 3; Open vSwitch writes none if the protocol is 0. */
  #rewritten(decider: Decider, { base, read }: Packet, line: number): readonly Word[] {
    if (base[KEY.tpSrc] !== read[KEY.tpSrc] || base[KEY.tpDst] !== read[KEY.tpDst])
      throw new Unmodelled("recirculation after a port was rewritten", line);
    const differs = (from: number, count: number): boolean =>
      Array.from({ length: count }, (_, i) => from + i).some(word => base[word] !== read[word]);
    if (decider.is(base[KEY.dlType]!, 0xffff, TYPES.ip6)) {
      // Open vSwitch writes only the first option, and none if the message has none.
      if (differs(KEY.arpSha, 4) || differs(KEY.ndTarget, 4) || differs(KEY.ndReserved, 2))
        throw new Unmodelled("recirculation after neighbour discovery was rewritten", line);
    }
    const op = base[KEY.nwProto]!;
    if (op !== read[KEY.nwProto] && decider.is(op, 0xff, 0xff))
      throw new Unmodelled("recirculation with an ARP operation of 255", line);
    const isIp =
      decider.is(base[KEY.dlType]!, 0xffff, TYPES.ip4) || decider.is(base[KEY.dlType]!, 0xffff, TYPES.ip6);
    return isIp && decider.is(read[KEY.nwProto]!, 0xff, 0) ? read : base;
  }

  #fresh(type: Word, packet: Packet, isShifted: boolean, line: number): Omit<Inner, "isShifted"> {
    const { terms } = this;
    const claimed = type.value;
    if (claimed === null) throw new Unmodelled("recirculation under a type that is not constant", line);
    if (claimed === 0x8100 || claimed === 0x88a8 || claimed < 0x600)
      throw new Unmodelled("pop_mpls to a value that is not an Ethernet type", line);
    const key = Array.from({ length: KEY_WORDS }, () => terms.constant(0));
    const layer3 = LAYER_3_OF[claimed];
    if (layer3 === undefined) return { words: key, extraction: 0 };
    const { popped } = packet;
    const name = `${claimed} ${popped} ${isShifted ? typesName(packet) : ""}`;
    let extraction = this.list.findIndex(extraction => extraction.name === name);
    if (extraction < 0) {
      extraction = this.list.length;
      let formats = 0;
      for (const [index, format] of this.space.formats.entries())
        if (format.layer3 === layer3) formats |= 1 << index;
      if (formats === 0) throw new Error("internal error: the input space lacks the formats behind labels");
      this.list.push({ name, formats, behind: { type: claimed, popped, isShifted } });
    }
    for (const word of INNER_WORDS) key[word] = terms.atomWord(this.atom(extraction, word));
    return { words: key, extraction };
  }
}

function isSameType(decider: Decider, a: Word, b: Word): boolean {
  if (a.value !== null) return decider.is(b, 0xffff, a.value);
  if (b.value !== null) return decider.is(a, 0xffff, b.value);
  return false;
}
