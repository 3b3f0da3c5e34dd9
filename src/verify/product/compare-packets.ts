/**
 * Compares the bytes of two packets that come from the same frame (symbolic/packet.ts), and creates
 * candidates for the paths on which they differ.
 */
import { KEY } from "../../openflow/index.ts";
import type { Path, Split } from "../paths/path-condition.ts";
import { splitEqual } from "../paths/split-equal.ts";
import { type Extractions, SNAP_WORD } from "../symbolic/extractions.ts";
import { TYPES, VLAN_PRESENT } from "../symbolic/fields.ts";
import { type FrameFormat, ND_BARE, ND_WITH_OPTIONS } from "../symbolic/input-space.ts";
import { typesName, WIRE_FROM } from "../symbolic/packet.ts";
import { LAYER_3, type Packet } from "../symbolic/state.ts";
import type { Word } from "../symbolic/terms.ts";

/** A path; if any frame satisfies it, the machines differ. */
export interface Candidate {
  readonly path: Path;
  /** What differs, to group candidates: a word of the key, or a missing event. */
  readonly what: string;
  /** Set if the proof cannot decide whether the bytes differ. */
  readonly unknown: { readonly feature: string; readonly line: number; readonly side?: 0 | 1 } | null;
  /** Only frames of at least this length show it. */
  readonly minBytes?: number;
}

/** More than neighbour discovery takes without options. */
const ND_BYTES = 160;

/** A word in which two packets may differ, and the packet that wrote it. */
interface Differing {
  readonly word: number;
  readonly left: Word;
  readonly right: Word;
  readonly by: Packet;
}

/**
 * The words in which two packets of the same frame may differ. Layer 3 and above counts only if written:
 * otherwise the bytes are those of the frame. If only one packet was written, the other has the extracted
 * word.
 */
export function differing(a: Packet, b: Packet): Differing[] {
  const out: Differing[] = [];
  for (let word = WIRE_FROM; word < LAYER_3.to; word++) {
    if (a.base[word] === b.base[word]) continue;
    const [inA, inB] = [a.base[word] !== a.read[word], b.base[word] !== b.read[word]];
    if (word < LAYER_3.from) out.push({ word, left: a.base[word]!, right: b.base[word]!, by: a });
    else if (inA) out.push({ word, left: a.base[word]!, right: (inB ? b.base : a.read)[word]!, by: a });
    else if (inB) out.push({ word, left: b.read[word]!, right: b.base[word]!, by: b });
  }
  return out;
}

export interface Sameness {
  readonly same: readonly Path[];
  readonly different: readonly Path[];
}

/** Splits a path by whether a word is the same bytes in two packets, of which `a` is one. */
export function sameBytes(path: Path, a: Packet, { word, left, right }: Omit<Differing, "by">): Sameness {
  if (word === KEY.vlanTci) return sameTags(path, left, right);
  if (word === KEY.innerVlanTci) {
    const outer = path.split([{ word: a.base[KEY.vlanTci]!, mask: VLAN_PRESENT, value: VLAN_PRESENT }]);
    const both = outer.yes === null ? { same: [], different: [] } : sameTags(outer.yes, left, right);
    return { same: [...both.same, ...outer.no], different: both.different };
  }
  const { yes, no } = splitEqual(path, left, right);
  return { same: yes === null ? [] : [yes], different: no };
}

/** A tag without its presence bit (a load action may clear it) has no bytes. */
function sameTags(path: Path, left: Word, right: Word): Sameness {
  const present = (word: Word, one: Path): Split =>
    one.split([{ word, mask: VLAN_PRESENT, value: VLAN_PRESENT }]);
  const inLeft = present(left, path);
  const same: Path[] = [];
  const different: Path[] = [];
  if (inLeft.yes !== null) {
    const inRight = present(right, inLeft.yes);
    const equal = inRight.yes === null ? null : splitEqual(inRight.yes, left, right);
    if (equal?.yes) same.push(equal.yes);
    different.push(...inRight.no, ...(equal?.no ?? []));
  }
  for (const one of inLeft.no) {
    const inRight = present(right, one);
    if (inRight.yes !== null) different.push(inRight.yes);
    same.push(...inRight.no);
  }
  return { same, different };
}

/** Both were rewritten behind the type, as packets of different types. */
function areRewrittenApart(a: Packet, b: Packet): boolean {
  const isRewritten = ({ base, read }: Packet): boolean =>
    base.some((word, at) => at >= LAYER_3.from && at < LAYER_3.to && word !== read[at]);
  return a.extraction !== b.extraction && isRewritten(a) && isRewritten(b);
}

/** Whether equal words mean equal bytes. */
export const areBuiltAlike = (a: Packet, b: Packet): boolean =>
  a.popped === b.popped &&
  a.pushed === b.pushed &&
  typesName(a) === typesName(b) &&
  a.history === b.history &&
  !areRewrittenApart(a, b);

export class PacketComparison {
  readonly #extractions: Extractions;
  /** Takes a candidate; returns whether to continue. */
  readonly #found: (candidate: Candidate) => boolean;

  constructor(extractions: Extractions, found: (candidate: Candidate) => boolean) {
    this.#extractions = extractions;
    this.#found = found;
  }

  /** The paths on which the bytes are equal; null if `found` stopped it. */
  compare(a: Packet, b: Packet, path: Path): readonly Path[] | null {
    let paths: readonly Path[] = [path];
    if (a.pushed - a.popped !== b.pushed - b.popped)
      return this.#found({ path, what: "number of labels", unknown: null }) ? [] : null;
    if (a.popped !== b.popped && !this.#isProperStack(path))
      if (
        !this.#found({ path, what: "label stack", unknown: { feature: "stacks without a bottom", line: 0 } })
      )
        return null;
    if (areRewrittenApart(a, b)) {
      const unknown = { feature: "packets rewritten under different types", line: 0 };
      return this.#found({ path, what: "type", unknown }) ? [] : null;
    }
    if (typesName(a) !== typesName(b)) {
      const snap = this.#extractions.terms.atomWord(this.#extractions.atom(0, SNAP_WORD));
      const { yes, no } = path.split([{ word: snap, mask: 1, value: 1 }]);
      if (yes !== null && !this.#types(a.types, b.types, yes)) return null;
      paths = no;
    }
    for (const { word, left, right, by } of differing(a, b)) {
      const next: Path[] = [];
      for (const one of paths) {
        const { same, different } = sameBytes(one, a, { word, left, right });
        next.push(...same);
        for (const other of different) {
          const visible = word < LAYER_3.from ? [other] : this.#visible(word, by, other);
          for (const shown of visible) if (!this.#differs(word, by, shown)) return null;
          // Where layer 3 is never written, the bytes are equal all the same.
          if (word >= LAYER_3.from) next.push(...this.#hidden(word, by, other));
        }
      }
      paths = next;
    }
    if (a.history !== b.history)
      for (const one of paths)
        if (
          !this.#found({
            path: one,
            what: "checksum",
            unknown: { feature: "checksums corrected more than once", line: 0 },
          })
        )
          return null;
    return paths;
  }

  /**
   * Type bytes of LLC/SNAP frames that were written differently. Without a tag they overwrite the length,
   * which is a difference if only one side wrote; anything else is unknown. False if `found` stopped it.
   */
  #types(a: Packet["types"], b: Packet["types"], path: Path): boolean {
    const last = (a.length === 0 ? b : a).at(-1)!;
    const isOneSided = a.length === 0 || b.length === 0;
    const { yes, no } = path.split([{ word: last.tag, mask: VLAN_PRESENT, value: 0 }]);
    const unknown = { feature: "labels behind LLC/SNAP", line: 0 };
    if (yes !== null && !this.#found({ path: yes, what: "type", unknown: isOneSided ? null : unknown }))
      return false;
    return no.every(one => this.#found({ path: one, what: "type", unknown }));
  }

  /** Creates the candidates for a word that differs. False if `found` stopped it. */
  #differs(word: number, packet: Packet, path: Path): boolean {
    const what = `word ${word}`;
    // Open vSwitch also writes the type of a missing option: behind the packet, into padding.
    if (word === KEY.ndOptionsType) return this.#found({ path, what, unknown: null, minBytes: ND_BYTES });
    const isAddress = word >= KEY.arpSha && word < KEY.arpSha + 4;
    if (!isAddress) return this.#found({ path, what, unknown: null });
    // Open vSwitch writes the address of the first neighbour discovery option, according to its type.
    const type = word < KEY.arpTha ? 1 : 2;
    const { yes, no } = path.split([{ word: packet.readAs, mask: 0xffff, value: TYPES.ip6 }]);
    if (!no.every(one => this.#found({ path: one, what, unknown: null }))) return false;
    if (yes === null) return true;
    const isFirst = yes.split([
      { word: packet.base[KEY.ndOptionsType]!, mask: 0xff, value: type },
      { word: packet.read[KEY.ndOptionsType]!, mask: 0xff, value: type },
    ]);
    if (isFirst.yes !== null && !this.#found({ path: isFirst.yes, what, unknown: null })) return false;
    const unknown = { feature: "a neighbour discovery address that is not in the first option", line: 0 };
    return isFirst.no.every(one => this.#found({ path: one, what, unknown }));
  }

  #isProperStack(path: Path): boolean {
    const { formats } = this.#extractions.space;
    return formats.every(
      (format, index) =>
        (path.formatBits[0]! & (1 << index)) === 0 ||
        format.layer3 !== "mpls" ||
        /^mpls [123]$/.test(format.name),
    );
  }

  /** The part of a path on which a write to a word of layer 3 or 4 reaches the bytes. */
  #visible(word: number, packet: Packet, path: Path): readonly Path[] {
    const protocol = packet.read[KEY.nwProto]!;
    const { yes, no } = path.split([{ word: protocol, mask: 0xff, value: 0 }]);
    const shown = [...no];
    if (yes !== null) {
      for (const type of [TYPES.arp, TYPES.rarp]) {
        const arp = yes.split([{ word: packet.readAs, mask: 0xffff, value: type }]).yes;
        if (arp !== null) shown.push(arp);
      }
    }
    return shown.flatMap(one => this.#reached(word, packet, one, true));
  }

  /** The rest of such a path. */
  #hidden(word: number, packet: Packet, path: Path): readonly Path[] {
    const protocol = packet.read[KEY.nwProto]!;
    const { yes, no } = path.split([{ word: protocol, mask: 0xff, value: 0 }]);
    const out: Path[] = [];
    if (yes !== null) {
      let rest: readonly Path[] = [yes];
      for (const type of [TYPES.arp, TYPES.rarp])
        rest = rest.flatMap(one => one.split([{ word: packet.readAs, mask: 0xffff, value: type }]).no);
      out.push(...rest);
    }
    for (const one of no) out.push(...this.#reached(word, packet, one, false));
    return out;
  }

  /**
   * The part of a path whose frames have the header of a word (`isThere`) or lack it. Addresses of neighbour
   * discovery are not decided: a message with an option twice is extracted as if it had none, but is written
   * to.
   */
  #reached(word: number, packet: Packet, path: Path, isThere: boolean): readonly Path[] {
    const of = (test: (format: FrameFormat) => boolean): readonly Path[] =>
      withFormats(path, packet.extraction, format => test(format) === isThere);
    // Shorter messages of its types are extracted like any other ICMPv6.
    if ((word >= KEY.ndTarget && word < KEY.tpSrc) || word >= KEY.ndReserved)
      return of(({ name }) => name === ND_BARE || name === ND_WITH_OPTIONS);
    if (word === KEY.tpSrc || word === KEY.tpDst) return of(({ hasLayer4 }) => hasLayer4);
    return isThere ? [path] : [];
  }
}

export function withFormats(
  path: Path,
  extraction: number,
  isWanted: (format: FrameFormat) => boolean,
): readonly Path[] {
  let formats = 0;
  for (const [index, format] of path.space.formats.entries())
    if ((path.formatBits[extraction]! & (1 << index)) !== 0 && isWanted(format)) formats |= 1 << index;
  return formats === 0 ? [] : [path.with({ formatBits: path.formatBits.with(extraction, formats) })];
}
