/**
 * The input space: all flow keys that Open vSwitch can extract from a frame (flow_extract() in lib/flow.c),
 * as frame formats. A format gives, for every word from dl_type on, its possible values: zero, or a union of
 * cubes. Formats are disjoint, and together they cover all frames of 14 bytes or more: valid and invalid
 * headers, label stacks by their S bits, complete or truncated. A property of the bytes that the key lacks
 * (a length) has a format of its own if it changes what an action writes.
 */
import { KEY } from "../../openflow/index.ts";

/** All values whose bits under `mask` equal `value`. */
export interface Cube {
  readonly mask: number;
  readonly value: number;
}

export type Layer3 = "ip4" | "ip6" | "arp" | "mpls" | "none";

export interface FrameFormat {
  readonly name: string;
  readonly layer3: Layer3;
  /** The possible values of the words that are not free; ZERO for words that are not extracted. */
  readonly cubes: ReadonlyMap<number, readonly Cube[]>;
  /** Types that the cubes of dl_type allow and the format excludes. */
  readonly notTypes: readonly number[];
  /** A write to layer 4 reaches the bytes of the frame. */
  readonly hasLayer4: boolean;
}

/** The last word that a format constrains; dl_type is the first. */
const LAST_FORMAT_WORD = KEY.ndOptionsType;

const ZERO: readonly Cube[] = [{ mask: 0xffffffff, value: 0 }];
const exactly = (...values: number[]): Cube[] => values.map(value => ({ mask: 0xffffffff, value }));

/** Width in bits of the words that are narrower than 32 bits. */
const WIDTHS = new Map<number, number>([
  [KEY.dlDst, 16],
  [KEY.dlSrc, 16],
  [KEY.dlType, 16],
  [KEY.ipv6Label, 20],
  [KEY.nwProto, 8],
  [KEY.nwTos, 8],
  [KEY.nwTtl, 8],
  [KEY.nwFrag, 2],
  [KEY.arpSha, 16],
  [KEY.arpTha, 16],
  [KEY.tpSrc, 16],
  [KEY.tpDst, 16],
  [KEY.tcpFlags, 12],
  [KEY.ndOptionsType, 8],
  [KEY.tunnelGbp, 24],
  [KEY.tunnelErspan, 31],
  [KEY.tunnelGtpu, 16],
]);

export const widthOfWord = (word: number): number => WIDTHS.get(word) ?? 32;

/** The numbers `from` to `to`, both included, as cubes. */
export function rangeCubes(from: number, to: number): Cube[] {
  const cubes: Cube[] = [];
  for (let at = from; at <= to; ) {
    let size = 1;
    while (at % (size * 2) === 0 && at + size * 2 - 1 <= to) size *= 2;
    cubes.push({ mask: ~(size - 1) >>> 0, value: at });
    at += size;
  }
  return cubes;
}

type Words = Readonly<Record<number, readonly Cube[] | "any">>;

function words(first: number, count: number): Words {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [first + i, "any" as const]));
}

function format(
  name: string,
  layer3: Layer3,
  types: readonly number[] | null,
  read: Words,
  hasLayer4 = false,
): FrameFormat {
  const cubes = new Map<number, readonly Cube[]>();
  const notTypes = types === null ? KNOWN_TYPES : [];
  cubes.set(KEY.dlType, types === null ? rangeCubes(0x600, 0xffff) : exactly(...types));
  for (let word: number = KEY.mplsLse; word <= LAST_FORMAT_WORD; word++) {
    const cube = read[word];
    if (cube === undefined) cubes.set(word, ZERO);
    else if (cube !== "any") cubes.set(word, cube);
  }
  return { name, layer3, cubes, notTypes, hasLayer4 };
}

const KNOWN_TYPES = [0x0800, 0x0806, 0x8035, 0x86dd, 0x8847, 0x8848];
const BYTE: readonly Cube[] = [{ mask: 0xffffff00, value: 0 }];
const WHOLE_OR_FIRST = exactly(0, 1);

const IP4: Words = {
  [KEY.nwSrc]: "any",
  [KEY.nwDst]: "any",
  [KEY.nwProto]: "any",
  [KEY.nwTos]: "any",
  [KEY.nwTtl]: "any",
  [KEY.nwFrag]: exactly(0, 1, 3),
};
const IP6_ADDRESSES: Words = { ...words(KEY.ipv6Src, 8), [KEY.ipv6Label]: "any" };
const IP6: Words = {
  ...IP6_ADDRESSES,
  [KEY.nwProto]: "any",
  [KEY.nwTos]: "any",
  [KEY.nwTtl]: "any",
  [KEY.nwFrag]: WHOLE_OR_FIRST,
};
/** The protocol after the IPv6 extension headers is not itself an extension header. */
const NO_EXTENSION = [
  ...exactly(1, 2, 3),
  ...rangeCubes(4, 42),
  ...rangeCubes(45, 50),
  ...rangeCubes(52, 59),
  ...rangeCubes(61, 255),
];
const PORTS: Words = { [KEY.tpSrc]: "any", [KEY.tpDst]: "any" };
const TYPE_AND_CODE: Words = { [KEY.tpSrc]: BYTE, [KEY.tpDst]: BYTE };
const ND: Words = {
  [KEY.tpSrc]: exactly(135, 136),
  [KEY.tpDst]: ZERO,
  [KEY.ndReserved]: "any",
};

/** Formats with layer 4 over IPv4 or IPv6. */
function transports(version: "ip4" | "ip6", type: number, ip: Words): FrameFormat[] {
  const over = (name: string, protocol: number, read: Words): FrameFormat =>
    format(
      `${version} ${name}`,
      version,
      [type],
      { ...ip, [KEY.nwProto]: exactly(protocol), [KEY.nwFrag]: WHOLE_OR_FIRST, ...read },
      true,
    );
  return [
    over("udp", 17, PORTS),
    over("tcp", 6, { ...PORTS, [KEY.tcpFlags]: "any" }),
    over("sctp", 132, PORTS),
    over("icmp", 1, TYPE_AND_CODE),
    over("igmp", 2, { ...TYPE_AND_CODE, [KEY.igmpGroup]: "any" }),
  ];
}

/** Neighbour discovery without options. */
export const ND_BARE = "ip6 nd bare";
/** Neighbour discovery with an address in its first option. */
export const ND_WITH_OPTIONS = "ip6 nd";

const BOTTOM: readonly Cube[] = [{ mask: 0x100, value: 0x100 }];
const NOT_BOTTOM: readonly Cube[] = [{ mask: 0x100, value: 0 }];

function stack(name: string, ...entries: (readonly Cube[])[]): FrameFormat {
  const read = Object.fromEntries(entries.map((cube, i) => [KEY.mplsLse + i, cube]));
  return format(`mpls ${name}`, "mpls", [0x8847, 0x8848], read);
}

const IPV6_BARE = format("ip6", "ip6", [0x86dd], { ...IP6, [KEY.nwProto]: NO_EXTENSION });

/**
 * All formats, the most ordinary first: a counterexample has the first format that fits. At most 31, as a
 * set of formats is the bits of a number.
 */
export const FRAME_FORMATS: readonly FrameFormat[] = [
  format("ip4", "ip4", [0x0800], IP4),
  ...transports("ip4", 0x0800, IP4),
  format("arp", "arp", [0x0806, 0x8035], {
    [KEY.nwProto]: "any",
    [KEY.nwSrc]: "any",
    [KEY.nwDst]: "any",
    ...words(KEY.arpSha, 4),
  }),
  stack("1", BOTTOM),
  stack("2", NOT_BOTTOM, BOTTOM),
  stack("3", NOT_BOTTOM, NOT_BOTTOM, BOTTOM),
  format("other", "none", null, {}),
  IPV6_BARE,
  ...transports("ip6", 0x86dd, IP6),
  format("ip6 icmp6", "ip6", [0x86dd], { ...IP6, [KEY.nwProto]: exactly(58), ...TYPE_AND_CODE }, true),
  format(
    ND_WITH_OPTIONS,
    "ip6",
    [0x86dd],
    {
      ...IP6,
      ...ND,
      [KEY.nwProto]: exactly(58),
      ...words(KEY.ndTarget, 4),
      ...words(KEY.arpSha, 4),
      [KEY.ndOptionsType]: exactly(1, 2),
    },
    true,
  ),
  format(
    ND_BARE,
    "ip6",
    [0x86dd],
    { ...IP6, ...ND, [KEY.nwProto]: exactly(58), ...words(KEY.ndTarget, 4) },
    true,
  ),
  format("ip6 nd cut", "ip6", [0x86dd], { ...IP6, ...ND, [KEY.nwProto]: exactly(58) }),
  format("802.3", "none", [0x05ff], {}),
  format("ip4 bad", "ip4", [0x0800], {}),
  format("arp bad", "arp", [0x0806, 0x8035], {}),
  format("ip6 later", "ip6", [0x86dd], { ...IP6, [KEY.nwProto]: exactly(44), [KEY.nwFrag]: exactly(3) }),
  format("ip6 cut", "ip6", [0x86dd], IP6_ADDRESSES),
  format("ip6 bad", "ip6", [0x86dd], {}),
  stack("4 or cut after 3", NOT_BOTTOM, NOT_BOTTOM, NOT_BOTTOM),
  stack("cut after 2", NOT_BOTTOM, NOT_BOTTOM),
  stack("cut after 1", NOT_BOTTOM),
  stack("cut at once"),
];

if (FRAME_FORMATS.length > 31) throw new Error("internal error: more frame formats than bits of a number");

/** Ports of incoming frames: 1 to 0xfeff, and LOCAL. */
const IN_PORTS: readonly Cube[] = [...rangeCubes(1, 0xfeff), { mask: 0xffffffff, value: 0xfffffffe }];

/** No tag, or one with its type in the upper half and its presence bit set. */
const TAGS: readonly Cube[] = [
  { mask: 0xffffffff, value: 0 },
  { mask: 0xffff1000, value: 0x81001000 },
  { mask: 0xffff1000, value: 0x88a81000 },
];

/** What the caller knows about ports: numbers of tunnel ports and of other ports. */
export interface PortKinds {
  readonly tunnels: ReadonlySet<number>;
  readonly others: ReadonlySet<number>;
  /**
   * If true, every port outside `tunnels` is not a tunnel. Otherwise the ports in neither set may be
   * tunnels.
   */
  readonly isComplete: boolean;
}

export const NO_PORT_KINDS: PortKinds = { tunnels: new Set(), others: new Set(), isComplete: false };

/** The frames and accompanying words to prove for: all of them or, in tests, a subset. */
export interface Space {
  readonly formats: readonly FrameFormat[];
  /** Accompanying words that can have any value (entering.ts); all others are zero. */
  readonly entering: readonly number[];
  readonly ports: PortKinds;
  /** Whether a flow matches or reads the original direction tuple of a connection (ct_nw_src, …). */
  readonly isTupleRead: boolean;
  /** The possible values of the words before dl_type, for every format. */
  readonly cubes: ReadonlyMap<number, readonly Cube[]>;
}

export const EVERY_FRAME: Space = {
  formats: FRAME_FORMATS,
  entering: [],
  ports: NO_PORT_KINDS,
  isTupleRead: false,
  cubes: new Map([
    [KEY.inPort, IN_PORTS],
    [KEY.vlanTci, TAGS],
  ]),
};

/** The possible values of a word in a format; null if it is free. */
export function cubesOf(space: Space, format: FrameFormat, word: number): readonly Cube[] | null {
  return format.cubes.get(word) ?? space.cubes.get(word) ?? null;
}

/** Words of the first extraction that port and bytes of a frame determine. */
export const INPUT_WORDS: readonly number[] = [
  KEY.inPort,
  KEY.dlDst,
  KEY.dlDst + 1,
  KEY.dlSrc,
  KEY.dlSrc + 1,
  KEY.dlType,
  KEY.vlanTci,
  KEY.mplsLse,
  KEY.mplsLse + 1,
  KEY.mplsLse + 2,
  ...Array.from({ length: LAST_FORMAT_WORD - KEY.nwSrc + 1 }, (_, i) => KEY.nwSrc + i),
];

/** Words of the first extraction that can have any value; all others are zero. */
export const inputWordsOf = ({ entering }: Space): readonly number[] =>
  entering.length === 0 ? INPUT_WORDS : [...INPUT_WORDS, ...entering];

/** The words behind the labels, which are new input in later extractions. */
export const INNER_WORDS: readonly number[] = INPUT_WORDS.filter(word => word >= KEY.nwSrc);
