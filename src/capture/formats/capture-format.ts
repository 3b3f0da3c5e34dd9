/**
 * What the registry (index.ts) knows of a file format. There are three kinds: formats whose records the core walks over
 * itself, formats that are decoded into one of those on the way (compression, or a converter), and formats that are
 * recognized only to refuse them with the command that converts them. A file is recognized by its first bytes, never by
 * its name.
 */
import { UserError } from "../../errors/index.ts";
import type { ByteSource, RawSource } from "../byte-source.ts";

/** An error in a header of a capture: what is wrong, and what is valid. */
export class FormatError extends UserError {
  override readonly name = "FormatError";
}

/** The contents of a capture's first header. */
export type Opening =
  | {
      readonly format: "pcap";
      readonly isSwapped: boolean;
      /** 6: timestamps in microseconds, 9: in nanoseconds. */
      readonly resolution: 6 | 9;
      /** Order of the two lengths in a record; `either`: swapped where the first one is the larger. */
      readonly lengths: "usual" | "swapped" | "either";
      readonly linkType: number;
    }
  | { readonly format: "pcapng" };

interface Recognized {
  /** In messages and in docs/captures.md: `pcap` for one that is read, `a snoop capture` for one that is refused. */
  readonly name: string;
  /** Whether a file with these first bytes has the format. Decoded formats get at most START_BYTES of them. */
  recognizes(start: Uint8Array): boolean;
}

/** Cells of the table in docs/captures.md. */
interface Documented {
  readonly reads: string;
  readonly writes: string;
}

/** A format that assembly/capture.ts walks over; the host reads its header. */
export interface NativeFormat extends Recognized, Documented {
  readonly kind: "native";
  /** Reads the first header; `start` has PCAP_HEADER_BYTES bytes, or all there are. Throws FormatError. */
  readOpening(start: Uint8Array): Opening;
}

/** A format whose decoder returns the bytes of a native one. */
export interface DecodedFormat extends Recognized, Documented {
  readonly kind: "decoded";
  open(file: RawSource): ByteSource | Promise<ByteSource>;
}

/** A format that is refused. */
export interface RefusedFormat extends Recognized {
  readonly kind: "refused";
  /** What to do instead, with FILE for the file's name: `xz -d FILE decompresses it`. */
  readonly remedy: string;
}

export type CaptureFormat = NativeFormat | DecodedFormat | RefusedFormat;

/** Recognizes one of these beginnings: text (one character a byte). */
export function beginsWith(...beginnings: string[]): (start: Uint8Array) => boolean {
  const bytes = beginnings.map(text => Buffer.from(text, "latin1"));
  return start => bytes.some(own => own.equals(start.subarray(0, own.length)));
}

/** Recognizes one of these beginnings: hexadecimal digits. */
export function beginsWithHex(...beginnings: string[]): (start: Uint8Array) => boolean {
  return beginsWith(...beginnings.map(digits => Buffer.from(digits, "hex").toString("latin1")));
}
