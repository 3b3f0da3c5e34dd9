/**
 * Files that are not captures which can be read here, recognised by their first bytes: what they are, and the command
 * that makes a capture of them. The magic numbers are those of the formats' own documents, and of file(1) and Wireshark.
 */

interface Foreign {
  /** First bytes: text (as Latin-1), or hexadecimal digits with `..` for any byte. */
  readonly text?: string;
  readonly hex?: string;
  readonly what: string;
  /** What to do. */
  readonly remedy: string;
}

const EDITCAP = "editcap -F pcapng FILE OUT.pcapng converts it";
const TEXT2PCAP = "text2pcap FILE OUT.pcapng makes a capture of a hex dump";

const FORMATS: readonly Foreign[] = [
  { hex: "a1b2cd34", what: "a pcap of Kuznetzov's modified format", remedy: EDITCAP },
  { hex: "34cdb2a1", what: "a pcap of Kuznetzov's modified format", remedy: EDITCAP },
  { hex: "1c0001ac", what: "a pcap of IXIA's lcap format (hardware)", remedy: EDITCAP },
  { hex: "ac01001c", what: "a pcap of IXIA's lcap format (hardware)", remedy: EDITCAP },
  { hex: "1c0001ab", what: "a pcap of IXIA's lcap format (software)", remedy: EDITCAP },
  { hex: "ab01001c", what: "a pcap of IXIA's lcap format (software)", remedy: EDITCAP },
  { hex: "a12b3c4d", what: "a pcap of Navtel's format", remedy: EDITCAP },
  { hex: "4d3c2ba1", what: "a pcap of Navtel's format", remedy: EDITCAP },
  { hex: "a1b234cd", what: "a pcap of Mesquita's format", remedy: EDITCAP },
  { hex: "cd34b2a1", what: "a pcap of Mesquita's format", remedy: EDITCAP },
  { text: "snoop\0\0\0", what: "a snoop capture", remedy: EDITCAP },
  { text: "RTSS", what: "a Microsoft NetMon 1 capture", remedy: EDITCAP },
  { text: "GMBU", what: "a Microsoft NetMon 2 capture", remedy: EDITCAP },
  { hex: "aaaaaaaa", what: "a 5Views capture", remedy: EDITCAP },
  { text: "TRSNIFF data", what: "a Sniffer capture (DOS)", remedy: EDITCAP },
  { text: "XCP\0", what: "a Sniffer capture (Windows, NetXRay)", remedy: EDITCAP },
  { text: "VL\0\0", what: "a NetXRay capture", remedy: EDITCAP },
  { hex: "7f766572", what: "a Savvius/WildPackets peek capture", remedy: EDITCAP },
  {
    text: "btsnoop\0",
    what: "a Bluetooth btsnoop capture, without Ethernet frames",
    remedy: "there is nothing to replay",
  },
  {
    text: "EyeSDN",
    what: "an EyeSDN trace, without Ethernet frames",
    remedy: "there is nothing to replay",
  },
  { hex: "fd377a585a00", what: "an xz file", remedy: "xz -d FILE decompresses it" },
  { text: "BZh", what: "a bzip2 file", remedy: "bzip2 -d FILE decompresses it" },
  { hex: "04224d18", what: "an lz4 file", remedy: "lz4 -d FILE decompresses it" },
  { hex: "02214c18", what: "an lz4 file of the old format", remedy: "lz4 -d FILE decompresses it" },
  { text: "LZIP", what: "an lzip file", remedy: "lzip -d FILE decompresses it" },
  { hex: "5d0000", what: "an lzma file", remedy: "xz -d FILE decompresses it" },
  { hex: "1f9d", what: "a file of compress(1)", remedy: "gzip -d FILE decompresses it" },
  { hex: "504b0304", what: "a zip archive", remedy: "unzip FILE unpacks it" },
  { hex: "377abcaf271c", what: "a 7z archive", remedy: "7z x FILE unpacks it" },
  { text: "Rar!", what: "a rar archive", remedy: "unrar x FILE unpacks it" },
  {
    text: "version https://git-lfs",
    what: "a Git LFS pointer, not the file",
    remedy: "git lfs pull fetches it",
  },
  { text: "\x7fELF", what: "a program", remedy: "expected a capture" },
  { text: "SQLite format 3", what: "an SQLite database", remedy: "expected a capture" },
  { text: "%PDF", what: "a PDF document", remedy: "expected a capture" },
];

/** Formats that are told by more than their first bytes. */
const TESTS: readonly {
  readonly is: (bytes: Uint8Array, text: string) => boolean;
  readonly foreign: Foreign;
}[] = [
  {
    is: (_, text) => /^\s*<(!doctype html|html|head|body)/i.test(text),
    foreign: { what: "an HTML page", remedy: "the download was not the capture itself" },
  },
  {
    is: (_, text) => /^\s*<(\?xml|pdml|psml)/i.test(text),
    foreign: { what: "an XML document", remedy: "expected the capture that it was made from" },
  },
  {
    is: (_, text) => /^\s*[[{]\s*["{[\]}]/.test(text),
    foreign: { what: "JSON text", remedy: "expected the capture that it was made from" },
  },
  {
    is: (_, text) => /^[0-9a-f]{3,8}:?\s+([0-9a-f]{2}\s){4}/i.test(text) || /^\s*0x[0-9a-f]{4}:/i.test(text),
    foreign: { what: "a hex dump", remedy: TEXT2PCAP },
  },
  {
    is: (_, text) => /^\s*([0-9a-f]{2}[\s:]?){8,}\s*$/im.test(text),
    foreign: { what: "a frame as hexadecimal text", remedy: "slash32 trace takes it as an argument" },
  },
  { is: isErf, foreign: { what: "an Endace ERF capture", remedy: EDITCAP } },
  {
    is: (bytes, text) => bytes.length >= 8 && isText(text),
    foreign: { what: "text", remedy: "expected a capture; tcpdump -w and tshark -w write one" },
  },
];

/** What a file is that begins with these bytes, and what to do: `it is an xz file; xz -d FILE decompresses it`. */
export function foreignFormat(bytes: Uint8Array): string {
  const text = Buffer.from(bytes.subarray(0, 256)).toString("latin1");
  const hex = Buffer.from(bytes.subarray(0, 32)).toString("hex");
  const found =
    FORMATS.find(format => text.startsWith(format.text ?? "\xff\xff") || hex.startsWith(format.hex ?? "x")) ??
    TESTS.find(({ is }) => is(bytes, text))?.foreign;
  if (found !== undefined) return `it is ${found.what}; ${found.remedy}`;
  const first = [...bytes.subarray(0, 4)].map(byte => byte.toString(16).padStart(2, "0")).join(" ");
  return `it begins with ${first}; expected pcap (a1 b2 c3 d4 …) or pcapng (0a 0d 0d 0a)`;
}

/**
 * ERF (Endace, "ERF types reference") has no magic: a little-endian timestamp of 64 bits, type, flags, record length,
 * loss counter and wire length. Known are types up to 48; a record is as long as its header at least.
 */
function isErf(bytes: Uint8Array): boolean {
  if (bytes.length < 16) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const seconds = view.getUint32(4, true);
  const type = view.getUint8(8) & 0x7f;
  const length = view.getUint16(10);
  const wire = view.getUint16(14);
  // 2000 to 2060: nothing else makes a timestamp of it.
  return (
    seconds >= 946_684_800 && seconds < 2_840_140_800 && type >= 1 && type <= 48 && length >= 16 && wire > 0
  );
}

/** Whether bytes are printable ASCII, or UTF-8 seen as Latin-1. */
function isText(text: string): boolean {
  return [...text].every(char => char >= " " || "\n\r\t\f".includes(char)) && /[ -~]{4}/.test(text);
}
