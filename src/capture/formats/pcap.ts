/**
 * The header of a pcap file (draft-ietf-opsawg-pcap), read and written. The core finds the packets (assembly/capture.ts)
 * and writes them (assembly/output.ts); nothing here reads a packet.
 */
import { beginsWithHex, FormatError, type NativeFormat, type Opening } from "./capture-format.ts";

export const ETHERNET = 1;
export const PCAP_HEADER_BYTES = 24;

/** Of the header's last word: the low half is the link type, the high 6 bits describe an FCS (draft, section 4). */
const RESERVED_NETWORK_BITS = 0x0bff0000;

const MAGICS: ReadonlyMap<number, { isSwapped: boolean; resolution: 6 | 9 }> = new Map([
  [0xa1b2c3d4, { isSwapped: false, resolution: 6 }],
  [0xd4c3b2a1, { isSwapped: true, resolution: 6 }],
  [0xa1b23c4d, { isSwapped: false, resolution: 9 }],
  [0x4d3cb2a1, { isSwapped: true, resolution: 9 }],
]);

export const PCAP: NativeFormat = {
  kind: "native",
  name: "pcap",
  reads: "µs and ns, either byte order",
  writes: "µs or ns, when the name ends in `.pcap` or `.pcap.gz`",
  recognizes: beginsWithHex(...[...MAGICS.keys()].map(magic => magic.toString(16))),
  readOpening,
};

function readOpening(bytes: Uint8Array): Opening {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const { isSwapped, resolution } = MAGICS.get(view.getUint32(0, true))!;
  if (bytes.length < PCAP_HEADER_BYTES) {
    throw new FormatError(`the pcap header is cut short: ${bytes.length} of ${PCAP_HEADER_BYTES} bytes`);
  }
  const major = view.getUint16(4, !isSwapped);
  const minor = view.getUint16(6, !isSwapped);
  const network = view.getUint32(20, !isSwapped);
  if ((network & RESERVED_NETWORK_BITS) !== 0) {
    const hex = network.toString(16).padStart(8, "0");
    throw new FormatError(
      `link type 0x${hex}: reserved bits are set; only the link type and the length of an FCS are valid here`,
    );
  }
  return {
    format: "pcap",
    isSwapped,
    resolution,
    lengths: lengthsOf(major, minor),
    linkType: network & 0xffff,
  };
}

/**
 * Order of the lengths by version, as in libpcap (sf-pcap.c): 2.4 is current; before 2.3, and in 543.0 of DG/UX, the
 * lengths are swapped; in 2.3 they may be.
 */
function lengthsOf(major: number, minor: number): "usual" | "swapped" | "either" {
  if (major === 2 && minor <= 4) return minor === 4 ? "usual" : minor === 3 ? "either" : "swapped";
  if (major === 543 && minor === 0) return "swapped";
  throw new FormatError(`pcap version ${major}.${minor} is unknown; expected 2.4 or an earlier 2.x`);
}

/** A pcap file header, little-endian, Ethernet; resolution 6 or 9. */
export function pcapHeader(resolution: 6 | 9): Uint8Array {
  const header = new DataView(new ArrayBuffer(PCAP_HEADER_BYTES));
  header.setUint32(0, resolution === 9 ? 0xa1b23c4d : 0xa1b2c3d4, true);
  header.setUint16(4, 2, true);
  header.setUint16(6, 4, true);
  header.setUint32(16, 262_144, true);
  header.setUint32(20, ETHERNET, true);
  return new Uint8Array(header.buffer);
}
