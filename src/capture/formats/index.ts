/**
 * The registry of capture formats: everything that slash32 recognizes, in the order in which it is tried. A new format
 * is one file and one entry here. If the core can walk over its records, the entry is native; otherwise it is decoded:
 * its `open` returns a source of pcap or pcapng bytes, as a decompressor does. docs/captures.md lists the formats; a
 * test compares that page with this list.
 */
import { unreachable } from "../../wire/index.ts";
import { GZIP } from "../compression/gzip.ts";
import { ZSTD } from "../compression/zstd.ts";
import { ARCHIVES } from "./archives.ts";
import { type CaptureFormat, type DecodedFormat, FormatError, type Opening } from "./capture-format.ts";
import { DOCUMENTS, TEXT } from "./documents.ts";
import { ERF, OTHER_CAPTURES } from "./other-captures.ts";
import { PCAP, PCAP_HEADER_BYTES } from "./pcap.ts";
import { PCAPNG } from "./pcapng.ts";

export const FORMATS: readonly CaptureFormat[] = [
  PCAP,
  PCAPNG,
  GZIP,
  ZSTD,
  ...OTHER_CAPTURES,
  ...ARCHIVES,
  ...DOCUMENTS,
  ERF,
  TEXT,
];

const DECODED = FORMATS.filter((format): format is DecodedFormat => format.kind === "decoded");

/** The format that must be decoded before a capture can be read; null if the bytes need no decoding. */
export function decodedFormat(start: Uint8Array): DecodedFormat | null {
  return DECODED.find(format => format.recognizes(start)) ?? null;
}

/** Reads the beginning of a capture: at least PCAP_HEADER_BYTES bytes, or all there are. Throws FormatError. */
export function readOpening(start: Uint8Array): Opening {
  if (start.length === 0) throw new FormatError("the file is empty; expected a pcap or pcapng capture");
  if (start.length < 4)
    throw new FormatError(`the file has ${start.length} bytes; a pcap header has ${PCAP_HEADER_BYTES}`);
  const format = FORMATS.find(({ recognizes }) => recognizes(start));
  if (format === undefined) {
    const first = [...start.subarray(0, 4)].map(byte => byte.toString(16).padStart(2, "0")).join(" ");
    const wanted = "expected pcap (a1 b2 c3 d4 …) or pcapng (0a 0d 0d 0a)";
    throw new FormatError(`not a capture: it begins with ${first}; ${wanted}`);
  }
  switch (format.kind) {
    case "native":
      return format.readOpening(start);
    case "refused":
      throw new FormatError(`not a pcap or pcapng capture: it is ${format.name}; ${format.remedy}`);
    case "decoded":
      throw new FormatError(`${format.name} data inside compressed data; decompress it once before`);
    default:
      return unreachable(format);
  }
}
