/**
 * Captures in formats that slash32 does not read, each with the command that converts it. The magic numbers are those of
 * the formats' own documents, of file(1) and of Wireshark (wiretap/).
 */
import { beginsWith, beginsWithHex, type RefusedFormat } from "./capture-format.ts";

const EDITCAP = "editcap -F pcapng FILE OUT.pcapng converts it";
const NO_ETHERNET = "it has no Ethernet frames to replay";

function convertible(name: string, recognizes: RefusedFormat["recognizes"]): RefusedFormat {
  return { kind: "refused", name, recognizes, remedy: EDITCAP };
}

export const OTHER_CAPTURES: readonly RefusedFormat[] = [
  convertible("a pcap of Kuznetzov's modified format", beginsWithHex("a1b2cd34", "34cdb2a1")),
  convertible("a pcap of IXIA's lcap format (hardware)", beginsWithHex("1c0001ac", "ac01001c")),
  convertible("a pcap of IXIA's lcap format (software)", beginsWithHex("1c0001ab", "ab01001c")),
  convertible("a pcap of Navtel's format", beginsWithHex("a12b3c4d", "4d3c2ba1")),
  convertible("a pcap of Mesquita's format", beginsWithHex("a1b234cd", "cd34b2a1")),
  convertible("a snoop capture", beginsWith("snoop\0\0\0")),
  convertible("a Microsoft NetMon 1 capture", beginsWith("RTSS")),
  convertible("a Microsoft NetMon 2 capture", beginsWith("GMBU")),
  convertible("a 5Views capture", beginsWithHex("aaaaaaaa")),
  convertible("a Sniffer capture (DOS)", beginsWith("TRSNIFF data")),
  convertible("a Sniffer capture (Windows, NetXRay)", beginsWith("XCP\0")),
  convertible("a NetXRay capture", beginsWith("VL\0\0")),
  convertible("a Savvius/WildPackets peek capture", beginsWithHex("7f766572")),
  {
    kind: "refused",
    name: "a Bluetooth btsnoop capture",
    recognizes: beginsWith("btsnoop\0"),
    remedy: NO_ETHERNET,
  },
  { kind: "refused", name: "an EyeSDN trace", recognizes: beginsWith("EyeSDN"), remedy: NO_ETHERNET },
];

/**
 * ERF (Endace, "ERF types reference") has no magic number: a little-endian timestamp of 64 bits, type, flags, record
 * length, loss counter and wire length. Types up to 48 are known; a record is at least as long as its header.
 */
function isErf(bytes: Uint8Array): boolean {
  if (bytes.length < 16) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const seconds = view.getUint32(4, true);
  const type = view.getUint8(8) & 0x7f;
  const length = view.getUint16(10);
  const wire = view.getUint16(14);
  // A time from 2000 to 2060: other data rarely has one at this offset.
  return (
    seconds >= 946_684_800 && seconds < 2_840_140_800 && type >= 1 && type <= 48 && length >= 16 && wire > 0
  );
}

/** Without a magic number, so it is tried after every format that has one. */
export const ERF: RefusedFormat = convertible("an Endace ERF capture", isErf);
