/**
 * An independent walk over the bytes of a capture: how many whole frames stand in it, where and how it is
 * damaged, and whether it has to be refused altogether. Slow and obvious, from draft-ietf-opsawg-pcap and
 * -pcapng and from what the contract promises (limits included); it shares no code with src/ or the core, so
 * that a mistake in their reading does not hide behind the same mistake here.
 */

/** How a capture ends: whole, cut short or damaged at a byte, or refused (`at` null: where is not said). */
export type Ending =
  | { readonly kind: "whole" }
  | { readonly kind: "cut" | "damaged" | "refused"; readonly at: number | null; readonly why: string };

export interface WalkedFrame {
  /** Offset of its record or block. */
  readonly at: number;
  readonly interface: number;
  readonly captured: Uint8Array;
  /** Bytes on the wire. */
  readonly length: number;
}

export interface Walk {
  readonly frames: readonly WalkedFrame[];
  /** Offsets at which a record or block begins, the end of what could be read included. */
  readonly borders: readonly number[];
  readonly ending: Ending;
  /** Names of the interfaces of all sections, in order; null for one without a name. */
  readonly names: readonly (string | null)[];
}

const MOST_CAPTURED = 262_144;
const MOST_BLOCK = 524_288;
const SECTION = 0x0a0d0d0a;

class End extends Error {
  readonly ending: Ending;
  constructor(kind: "cut" | "damaged" | "refused", at: number | null, why: string) {
    super(why);
    this.ending = { kind, at, why };
  }
}

/** Walks over a capture. `ports` are the names that an interface may have; null: any interface will do. */
export function walk(file: Uint8Array, ports: ReadonlySet<string> | null = null): Walk {
  const found = { frames: [] as WalkedFrame[], borders: [] as number[], names: [] as (string | null)[] };
  let ending: Ending = { kind: "whole" };
  try {
    if (file.length < 4) throw new End("refused", 0, "no magic");
    const view = new DataView(file.buffer, file.byteOffset, file.length);
    if (view.getUint32(0) === SECTION) walkPcapng(file, view, found, ports);
    else walkPcap(file, view, found);
  } catch (error) {
    if (!(error instanceof End)) throw error;
    ending = error.ending;
  }
  return { ...found, ending };
}

interface Found {
  frames: WalkedFrame[];
  borders: number[];
  names: (string | null)[];
}

function walkPcap(file: Uint8Array, view: DataView, { frames, borders }: Found): void {
  const magics = [0xa1b2c3d4, 0xa1b23c4d];
  const isLittle = magics.includes(view.getUint32(0, true));
  if (!isLittle && !magics.includes(view.getUint32(0))) throw new End("refused", 0, "magic");
  if (file.length < 24) throw new End("refused", 0, "header cut");
  const [major, minor] = [view.getUint16(4, isLittle), view.getUint16(6, isLittle)];
  const isOld = (major === 2 && minor < 3) || (major === 543 && minor === 0);
  if (!isOld && !(major === 2 && minor <= 4)) throw new End("refused", 0, "version");
  const network = view.getUint32(20, isLittle);
  // Only the four bits of the FCS length, and the one that says it is there.
  if ((network & 0x0bff0000) !== 0) throw new End("refused", 0, "reserved bits");
  if ((network & 0xffff) !== 1) throw new End("refused", null, "link type");
  for (let at = 24; ; ) {
    borders.push(at);
    if (at === file.length) return;
    if (file.length - at < 16) throw new End("cut", at, "record header");
    const [first, second] = [view.getUint32(at + 8, isLittle), view.getUint32(at + 12, isLittle)];
    const isSwapped = isOld || (major === 2 && minor === 3 && first > second);
    const captured = isSwapped ? second : first;
    const length = Math.max(captured, isSwapped ? first : second);
    if (captured > MOST_CAPTURED) throw new End("damaged", at, "captured is absurd");
    if (file.length - at - 16 < captured) throw new End("cut", at, "record");
    frames.push({ at, interface: 0, captured: file.subarray(at + 16, at + 16 + captured), length });
    at += 16 + captured;
  }
}

/** What a pcapng section has so far. */
interface Section {
  isLittle: boolean;
  /** The snap length of each interface, and why its packets cannot be read. */
  interfaces: { readonly snapBytes: number; readonly refusal: string | null }[];
}

function walkPcapng(file: Uint8Array, view: DataView, found: Found, ports: ReadonlySet<string> | null): void {
  const section: Section = { isLittle: true, interfaces: [] };
  for (let at = 0; ; ) {
    found.borders.push(at);
    if (at === file.length) return;
    if (file.length - at < 12) throw new End("cut", at, "block header");
    if (view.getUint32(at) === SECTION) {
      const magic = view.getUint32(at + 8);
      if (magic !== 0x1a2b3c4d && magic !== 0x4d3c2b1a) throw new End("damaged", at, "byte order");
      section.isLittle = magic === 0x4d3c2b1a;
    }
    const type = view.getUint32(at, section.isLittle);
    const bytes = view.getUint32(at + 4, section.isLittle);
    const isKnown = [1, 2, 3, 6, SECTION].includes(type);
    if (bytes < 12 || bytes % 4 !== 0) throw new End("damaged", at, "block length");
    if (isKnown && bytes > MOST_BLOCK) throw new End("damaged", at, "block too large");
    if (file.length - at < bytes) throw new End("cut", at, "block");
    if (view.getUint32(at + bytes - 4, section.isLittle) !== bytes) throw new End("damaged", at, "trailer");
    if (isKnown) readBlock(file, view, at, bytes, type, section, found, ports);
    at += bytes;
  }
}

function readBlock(
  file: Uint8Array,
  view: DataView,
  at: number,
  bytes: number,
  type: number,
  section: Section,
  found: Found,
  ports: ReadonlySet<string> | null,
): void {
  const { isLittle } = section;
  if (type === SECTION) {
    if (bytes < 28) throw new End("refused", at, "section header too small");
    const [major, minor] = [view.getUint16(at + 12, isLittle), view.getUint16(at + 14, isLittle)];
    if (major !== 1 || (minor !== 0 && minor !== 2)) throw new End("refused", at, "version");
    section.interfaces = [];
    return;
  }
  if (type === 1) {
    const { name, snapBytes, refusal } = readInterface(file, view, at, bytes, isLittle);
    const isPort = ports === null || (name !== null && ports.has(name));
    section.interfaces.push({ snapBytes, refusal: refusal ?? (isPort ? null : "no port") });
    found.names.push(name);
    return;
  }
  found.frames.push(readPacket(file, view, at, bytes, type, section));
}

/** Yields code, offset and length of options until their end; throws at the first that reaches past `end`. */
function* options(
  view: DataView,
  first: number,
  end: number,
  isLittle: boolean,
  broken: () => End,
): Generator<[number, number, number]> {
  for (let at = first; end - at >= 4; ) {
    const code = view.getUint16(at, isLittle);
    const bytes = view.getUint16(at + 2, isLittle);
    if (code === 0) return;
    if (at + 4 + Math.ceil(bytes / 4) * 4 > end) throw broken();
    yield [code, at + 4, bytes];
    at += 4 + Math.ceil(bytes / 4) * 4;
  }
}

function readInterface(
  file: Uint8Array,
  view: DataView,
  at: number,
  bytes: number,
  isLittle: boolean,
): { name: string | null; snapBytes: number; refusal: string | null } {
  if (bytes < 20) throw new End("refused", at, "interface too small");
  let name: string | null = null;
  let resolution = 6;
  const broken = (): End => new End("refused", at, "option overrun");
  for (const [code, start, size] of options(view, at + 16, at + bytes - 4, isLittle, broken)) {
    if (code === 2) name = new TextDecoder().decode(file.subarray(start, start + size)).replace(/\0+$/, "");
    if (code === 9) {
      if (size !== 1) throw new End("refused", at, "if_tsresol size");
      resolution = view.getUint8(start);
    }
    if (code === 14 && size !== 8) throw new End("refused", at, "if_tsoffset size");
  }
  const isTooFine = (resolution & 0x7f) > (resolution & 0x80 ? 40 : 18);
  const isEthernet = view.getUint16(at + 8, isLittle) === 1;
  const refusal = isEthernet ? (isTooFine ? "too fine a clock" : null) : "link type";
  return { name, snapBytes: view.getUint32(at + 12, isLittle), refusal };
}

function readPacket(
  file: Uint8Array,
  view: DataView,
  at: number,
  bytes: number,
  type: number,
  { isLittle, interfaces }: Section,
): WalkedFrame {
  const isSimple = type === 3;
  const fixed = isSimple ? 12 : 28;
  if (bytes < fixed + 4) throw new End("damaged", at, "block length");
  let number = 0;
  if (type === 6) number = view.getUint32(at + 8, isLittle);
  if (type === 2) number = view.getUint16(at + 8, isLittle);
  const described = interfaces[number];
  if (described === undefined) throw new End("damaged", at, "unknown interface");
  const { snapBytes, refusal } = described;
  const length = view.getUint32(at + (isSimple ? 8 : 24), isLittle);
  const simple = snapBytes === 0 ? length : Math.min(snapBytes, length);
  const captured = isSimple ? simple : view.getUint32(at + 20, isLittle);
  if (captured > MOST_CAPTURED) throw new End("damaged", at, "captured is absurd");
  const behind = at + fixed + Math.ceil(captured / 4) * 4;
  if (behind > at + bytes - 4) throw new End("damaged", at, "packet overrun");
  const broken = (): End => new End("damaged", at, "option overrun");
  if (!isSimple) for (const _ of options(view, behind, at + bytes - 4, isLittle, broken));
  if (refusal !== null) throw new End("refused", null, refusal);
  const bytesOf = file.subarray(at + fixed, at + fixed + captured);
  return { at, interface: number, captured: bytesOf, length: Math.max(length, captured) };
}
