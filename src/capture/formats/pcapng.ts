/**
 * The header blocks of pcapng (draft-ietf-opsawg-pcapng), read: section headers and interface descriptions. The core
 * finds the packets (assembly/capture.ts) and stops at each header block; pcapng-write.ts writes the format.
 */
import { beginsWithHex, FormatError, type NativeFormat } from "./capture-format.ts";

export const SECTION_HEADER = 0x0a0d0d0a;
const OPT_END = 0;
export const IF_NAME = 2;
export const IF_TSRESOL = 9;
export const IF_TSOFFSET = 14;

export const PCAPNG: NativeFormat = {
  kind: "native",
  name: "pcapng",
  reads: "any number of sections and interfaces, either byte order",
  writes: "all other names, standard output included",
  recognizes: beginsWithHex("0a0d0d0a"),
  readOpening: () => ({ format: "pcapng" }),
};

/** The contents of an interface description block. */
export interface InterfaceDescription {
  readonly linkType: number;
  /** Bytes captured of a packet at most; 0: no limit. */
  readonly snapBytes: number;
  readonly name: string | null;
  /** Timestamp units: 10^-n, or 2^-n when binary. */
  readonly resolution: { readonly exponent: number; readonly isBinary: boolean };
  /** Seconds to add to every timestamp. */
  readonly offsetSeconds: bigint;
}

/** A section header or interface description that is complete in the window. */
export type HeaderBlock =
  | { readonly type: "section" }
  | ({ readonly type: "interface" } & InterfaceDescription);

/** Reads a section header or an interface description block. Throws FormatError. */
export function readHeaderBlock(block: Uint8Array, isSwapped: boolean): HeaderBlock {
  const view = new DataView(block.buffer, block.byteOffset, block.byteLength);
  if (view.getUint32(0, true) === SECTION_HEADER) {
    if (block.length < 28)
      throw new FormatError(`the section header has ${block.length} bytes; expected at least 28`);
    const major = view.getUint16(12, !isSwapped);
    const minor = view.getUint16(14, !isSwapped);
    // Readers must treat 1.2 like 1.0 (draft-ietf-opsawg-pcapng, 4.1).
    if (major !== 1 || (minor !== 0 && minor !== 2))
      throw new FormatError(`pcapng version ${major}.${minor} is unknown; expected 1.0 or 1.2`);
    // Their contents are ignored, but they must end inside their block.
    for (const _ of options(view, 24, block.length - 4, !isSwapped));
    return { type: "section" };
  }
  return { type: "interface", ...readInterface(block, view, !isSwapped) };
}

function readInterface(block: Uint8Array, view: DataView, isLittle: boolean): InterfaceDescription {
  if (block.length < 20) {
    throw new FormatError(`the interface description has ${block.length} bytes; expected at least 20`);
  }
  let name: string | null = null;
  let resolution = { exponent: 6, isBinary: false };
  let offsetSeconds = 0n;
  for (const [code, at, bytes] of options(view, 16, block.length - 4, isLittle)) {
    if (code === IF_NAME) name = new TextDecoder().decode(block.subarray(at, at + bytes)).replace(/\0+$/, "");
    if (code === IF_TSRESOL) {
      need(code, bytes, 1);
      const byte = view.getUint8(at);
      resolution = { exponent: byte & 0x7f, isBinary: (byte & 0x80) !== 0 };
    }
    if (code === IF_TSOFFSET) {
      need(code, bytes, 8);
      offsetSeconds = view.getBigInt64(at, isLittle);
    }
  }
  return {
    linkType: view.getUint16(8, isLittle),
    snapBytes: view.getUint32(12, isLittle),
    name,
    resolution,
    offsetSeconds,
  };
}

function need(code: number, bytes: number, wanted: number): void {
  if (bytes !== wanted) throw new FormatError(`option ${code} has ${bytes} bytes; expected ${wanted}`);
}

/** Code, offset and length of each option between two offsets. Throws FormatError if one ends past `end`. */
function* options(
  view: DataView,
  first: number,
  end: number,
  isLittle: boolean,
): Generator<[number, number, number]> {
  let at = first;
  while (end - at >= 4) {
    const code = view.getUint16(at, isLittle);
    const bytes = view.getUint16(at + 2, isLittle);
    if (code === OPT_END) return;
    const padded = (bytes + 3) & ~3;
    if (at + 4 + padded > end) {
      throw new FormatError(`option ${code} of ${bytes} bytes reaches past the end of its block`);
    }
    yield [code, at + 4, bytes];
    at += 4 + padded;
  }
}
