/**
 * The match of a flow: pairs such as `nw_dst=10.0.0.0/8`, shorthands such as `tcp6`, written into key words
 * in the order in which they stand and read back as fields, as Open vSwitch does (ofp_parse_field(),
 * ofputil_normalize_match()). A field whose protocol is not matched is dropped there; here it becomes a
 * warning with its place.
 */
import type { MatchField, Span, Subfield } from "./ast.ts";
import { type Field, fieldNamed, plainField } from "./fields.ts";
import { KEY } from "./flow-key.ts";
import { clearMatch, emptyMatch, type KeyMatch, readPlace, setMatch } from "./key-match.ts";
import { clip, Fault, type Pair } from "./lexer.ts";
import type { Reading } from "./parse-context.ts";
import { parseSubfield } from "./subfield.ts";
import { bytesOf, type Masked, ones, readInteger, readPrintedValue, readValue } from "./values.ts";

/** Ethernet types and IP protocols that have a name. */
export const ETHERTYPE = {
  ip: 0x800,
  arp: 0x806,
  rarp: 0x8035,
  ipv6: 0x86dd,
  mpls: 0x8847,
  mplsm: 0x8848,
  nsh: 0x894f,
};
export const PROTOCOL = { icmp: 1, igmp: 2, tcp: 6, udp: 17, icmp6: 58, sctp: 132 };

/** Shorthands of a match: dl_type, and nw_proto where they have one. */
const SHORTHANDS: ReadonlyMap<string, readonly [type: number, protocol?: number]> = new Map([
  ["ip", [ETHERTYPE.ip]],
  ["ipv4", [ETHERTYPE.ip]],
  ["ip4", [ETHERTYPE.ip]],
  ["arp", [ETHERTYPE.arp]],
  ["icmp", [ETHERTYPE.ip, PROTOCOL.icmp]],
  ["tcp", [ETHERTYPE.ip, PROTOCOL.tcp]],
  ["udp", [ETHERTYPE.ip, PROTOCOL.udp]],
  ["sctp", [ETHERTYPE.ip, PROTOCOL.sctp]],
  ["ipv6", [ETHERTYPE.ipv6]],
  ["ip6", [ETHERTYPE.ipv6]],
  ["icmp6", [ETHERTYPE.ipv6, PROTOCOL.icmp6]],
  ["tcp6", [ETHERTYPE.ipv6, PROTOCOL.tcp]],
  ["udp6", [ETHERTYPE.ipv6, PROTOCOL.udp]],
  ["sctp6", [ETHERTYPE.ipv6, PROTOCOL.sctp]],
  ["rarp", [ETHERTYPE.rarp]],
  ["mpls", [ETHERTYPE.mpls]],
  ["mplsm", [ETHERTYPE.mplsm]],
]);

const DL_TYPE = fieldNamed("eth_type");
const NW_PROTO = fieldNamed("nw_proto");
const PACKET_TYPE = fieldNamed("packet_type");
const VLAN_TCI = fieldNamed("vlan_tci");
const VLAN_PRESENT = 0x1000n;

/** A match while it is read. `spans` says which pair spoke last about each word of the key. */
export interface MatchReading {
  readonly key: KeyMatch;
  readonly spans: Map<number, Span>;
  /** Fields without a place in the key: tun_metadata. */
  readonly unplaced: Map<Field, MatchField>;
}

export function newMatch(): MatchReading {
  return { key: emptyMatch(), spans: new Map(), unplaced: new Map() };
}

function set(match: MatchReading, field: Field, masked: Masked, span: Span): void {
  const place = field.place;
  if (place === null) {
    const mask = masked.mask & ones(field.bits);
    match.unplaced.set(field, { field, value: masked.value & mask, mask, span });
    return;
  }
  // Bits of the place that are another field's stay as they are: nw_tos leaves the ECN bits alone.
  const foreign = place.bits === field.bits ? ones(place.bits) & ~field.valid : 0n;
  const mask = masked.mask & ones(place.bits) & ~foreign;
  const [oldValue, oldMask] = [readPlace(match.key.values, place), readPlace(match.key.masks, place)];
  setMatch(match.key, place, (masked.value & mask) | (oldValue & foreign), mask | (oldMask & foreign));
  for (let word = place.word; word < place.word + Math.ceil(place.bits / 32); word++)
    match.spans.set(word, span);
}

/** Fields that say more than their own bits: the VLAN ones speak of the presence bit too. */
const SPECIAL: Readonly<Record<string, (masked: Masked) => [field: Field, masked: Masked]>> = {
  // 65535 is how OpenFlow 1.0 says "no tag".
  dl_vlan: ({ value }) =>
    value === 0xffffn
      ? [VLAN_TCI, { value: 0n, mask: 0xffffn }]
      : [fieldNamed("vlan_vid"), { value: VLAN_PRESENT | (value & 0xfffn), mask: 0x1fffn }],
  vlan_vid: ({ value, mask }) => [fieldNamed("vlan_vid"), { value, mask: mask & 0x1fffn }],
  ...Object.fromEntries(
    ["icmp_type", "icmp_code", "icmpv6_type", "icmpv6_code"].map(name => [
      name,
      ({ value, mask }: Masked): [Field, Masked] => [
        fieldNamed(name),
        { value, mask: mask === 0xffn ? 0xffffn : mask },
      ],
    ]),
  ),
  // Only eight bits of the operation are in the key.
  arp_op: ({ value, mask }) => [NW_PROTO, { value: value & 0xffn, mask: mask & 0xffn }],
};

const isExactOrNone = (mask: bigint, bits: number): boolean => mask === 0n || mask === ones(bits);

/** Bits of the TCI that say the id or the priority. */
const VID_BITS = 0xfffn;
const PCP_BITS = 0xe000n;
const VLAN_FIELDS: ReadonlyMap<string, readonly [own: bigint, other: bigint]> = new Map([
  ["dl_vlan", [VID_BITS, PCP_BITS]],
  ["vlan_vid", [VID_BITS, PCP_BITS]],
  ["dl_vlan_pcp", [PCP_BITS, VID_BITS]],
  ["vlan_pcp", [PCP_BITS, VID_BITS]],
]);

/**
 * A VLAN field with an empty mask is forgotten, and with it the presence bit, unless the other field is
 * matched.
 */
function forgetVlan(match: MatchReading, own: bigint, other: bigint, span: Span): void {
  const [value, mask] = [
    readPlace(match.key.values, VLAN_TCI.place!),
    readPlace(match.key.masks, VLAN_TCI.place!),
  ];
  const kept = (mask & other) === 0n ? 0n : mask & ~own;
  set(match, VLAN_TCI, { value: value & kept, mask: kept }, span);
}

/** Writes a field of a match, as mf_set() does. */
function setField(match: MatchReading, field: Field, masked: Masked, span: Span): void {
  const forgotten = masked.mask === 0n ? VLAN_FIELDS.get(field.name) : undefined;
  if (forgotten !== undefined) {
    forgetVlan(match, ...forgotten, span);
    return;
  }
  if (field.name === "dl_vlan_pcp" || field.name === "vlan_pcp") {
    // Matching a priority implies a tag.
    const other = readPlace(match.key.masks, VLAN_TCI.place!) & 0x1fffn;
    const tci = readPlace(match.key.values, VLAN_TCI.place!) & 0x1fffn;
    const mask = (masked.mask & 7n) << 13n;
    set(
      match,
      VLAN_TCI,
      { value: tci | VLAN_PRESENT | (masked.value << 13n), mask: other | VLAN_PRESENT | mask },
      span,
    );
    return;
  }
  const special = masked.mask === 0n ? undefined : SPECIAL[field.name];
  const [real, meant] = special === undefined ? [field, masked] : special(masked);
  set(match, real, meant, span);
}

/**
 * The reason why a value does not fit its field, or none: Open vSwitch keeps the low bits of it and says
 * nothing.
 */
function excessOf(field: Field, { value, mask }: Masked): string | null {
  if (field.name === "dl_vlan" && value === 0xffffn) return null;
  if (field.format === "port") return null;
  const valid = field.name === "arp_op" ? 0xffn : field.name === "dl_vlan" ? 0xfffn : field.valid;
  if ((value & mask & ~valid) === 0n) return null;
  return `${field.name} has no such value; Open vSwitch silently matches ${field.name}=${value & valid}`;
}

/**
 * A field that no version of OpenFlow can match: ovs-ofctl refuses it, and only a switch's own flows may have
 * it.
 */
function unsendable(reading: Reading, field: Field, { key }: Pair): void {
  const message = `${field.name} has no number in OpenFlow: ovs-ofctl refuses a match on it`;
  if (reading.protocol !== null) throw new Fault(key, message);
  reading.warn(key, message);
}

function readMatchValue(reading: Reading, field: Field, pair: Pair): Masked {
  const text = pair.value.text === "" ? "0/0" : pair.value.text;
  const read = reading.isPrinted ? readPrintedValue : readValue;
  const masked = read(field, text, reading.ports);
  if (typeof masked === "string")
    throw new Fault(pair.value.text === "" ? pair.key : pair.value, `${field.name}: ${clip(text)} ${masked}`);
  // It may stand in what ovs-appctl prints of hidden flows.
  if (!reading.isPrinted && !reading.isPacket && field.nxm === null && !field.name.startsWith("dl_vlan"))
    unsendable(reading, field, pair);
  if (!field.isMaskable && field.format !== "port" && !isExactOrNone(masked.mask, 8 * bytesOf(field)))
    throw new Fault(pair.value, `${field.name} takes no mask: it is matched whole or not at all`);
  if (field.name === "nsh_mdtype" && masked.mask !== 0n && (masked.value < 1n || masked.value > 2n))
    throw new Fault(pair.value, `nsh_mdtype is 1 or 2, not ${masked.value}`);
  const excess = excessOf(field, masked);
  if (excess !== null) reading.warn(pair.value, excess);
  if (pair.value.text !== "") reading.values.push({ span: pair.value, role: "match", field });
  return masked;
}

/** `reg0[0..7]=5`: some bits of a field, beside those that are matched already. */
function setSubfield(reading: Reading, match: MatchReading, pair: Pair): void {
  const { field, start, bits } = parseSubfield(pair.key);
  const value = readInteger(pair.value.text, bytesOf(field));
  if (typeof value === "string")
    throw new Fault(pair.value, `${pair.key.text}: ${clip(pair.value.text)} ${value}`);
  if (value > ones(bits))
    throw new Fault(pair.value, `${clip(pair.value.text)} does not fit into ${bits} bits`);
  if (pair.value.text !== "") reading.values.push({ span: pair.value, role: "match", field });
  writeBits(match, { field, start, bits }, value, pair.span, pair.key);
}

/** Matches some bits of a field, beside those that are matched already (mf_write_subfield()). */
export function writeBits(
  match: MatchReading,
  { field, start, bits }: Subfield,
  value: bigint,
  span: Span,
  name: Span,
): void {
  const place = field.place;
  const shift = BigInt(start);
  const added = ones(bits) << shift;
  const before = match.unplaced.get(field);
  const [oldValue, oldMask] =
    place === null
      ? [before?.value ?? 0n, before?.mask ?? 0n]
      : [readPlace(match.key.values, place), readPlace(match.key.masks, place)];
  const masked = { value: (oldValue & ~added) | (value << shift), mask: oldMask | added };
  if (!field.isMaskable && masked.mask !== ones(place?.bits ?? field.bits) && field.format !== "port")
    throw new Fault(name, `${field.name} takes no mask: it is matched whole or not at all`);
  setField(match, field, masked, span);
}

/** Takes a pair into a match; false when its key is no field and no shorthand. */
export function takeMatchPair(reading: Reading, match: MatchReading, pair: Pair): boolean {
  const name = pair.key.text;
  const shorthand = SHORTHANDS.get(name);
  if (shorthand !== undefined || name === "eth") {
    if (shorthand !== undefined) {
      setField(match, DL_TYPE, { value: BigInt(shorthand[0]), mask: 0xffffn }, pair.span);
      const protocol = shorthand[1];
      if (protocol !== undefined)
        setField(match, NW_PROTO, { value: BigInt(protocol), mask: 0xffn }, pair.span);
    }
    if (name === "eth" || readPlace(match.key.masks, PACKET_TYPE.place!) === 0n)
      setEthernet(match, pair.span);
    return true;
  }
  const field = plainField(name);
  if (field !== undefined) {
    if (match.unplaced.has(field) && !reading.isPrinted)
      throw new Fault(pair.key, `${field.name} is matched twice; ovs-ofctl takes it once`);
    setField(match, field, readMatchValue(reading, field, pair), pair.span);
    if (field.prerequisite !== "none" && field.prerequisite !== "CT") setDefaultPacketType(match, pair.span);
    return true;
  }
  if (!name.includes("[")) return false;
  setSubfield(reading, match, pair);
  return true;
}

function setEthernet(match: MatchReading, span: Span): void {
  set(match, PACKET_TYPE, { value: 0n, mask: ones(32) }, span);
}

/** A field of a frame implies a frame, unless a packet type was matched before. */
function setDefaultPacketType(match: MatchReading, span: Span): void {
  if (readPlace(match.key.masks, PACKET_TYPE.place!) === 0n) setEthernet(match, span);
}

/** What a match says about the packet's protocols: 0 where it does not. */
export interface Protocols {
  readonly isEthernet: boolean;
  readonly dlType: number;
  readonly nwProto: number;
  /**
   * Matched type of an ICMPv6 message, or -1; also -1 where a code other than 0 is matched: that is no ND
   * message.
   */
  readonly icmp6Type: number;
  readonly vlan: "tagged" | "untagged" | "unknown";
  /** The tag behind that one, which actions alone can tell of. */
  readonly innerVlan: "tagged" | "untagged" | "unknown";
  /** Fragments behind the first one: they have no ports. */
  readonly isLater: boolean;
  /** The connection state that is matched implies a connection (is_ct_valid() of lib/flow.h). */
  readonly isTracked: boolean;
  /** The packet is known to be invalid to the connection tracker (+inv). */
  readonly isInvalid: boolean;
}

const CT = { new: 1n, est: 2n, rel: 4n, rpl: 8n, inv: 16n, trk: 32n, snat: 64n, dnat: 128n };
const CONNECTED = CT.new | CT.est | CT.rel | CT.rpl | CT.snat | CT.dnat;

/** Reads the protocols off a match. */
export function protocolsOf({ values, masks }: KeyMatch): Protocols {
  const exact = (name: string): number => {
    const place = fieldNamed(name).place!;
    return readPlace(masks, place) === ones(place.bits) ? Number(readPlace(values, place)) : 0;
  };
  const packetType = exact("packet_type");
  const dlType = packetType === 0 ? exact("eth_type") : packetType >>> 16 === 1 ? packetType & 0xffff : 0;
  const nwProto = exact("nw_proto");
  const isIcmp6 = dlType === ETHERTYPE.ipv6 && nwProto === PROTOCOL.icmp6 && masks[KEY.tpSrc]! !== 0;
  const hasCode = values[KEY.tpDst]! !== 0;
  const tciMask = readPlace(masks, VLAN_TCI.place!);
  const isTagged = (values[KEY.vlanTci]! & 0x1000) !== 0;
  const ct = BigInt(values[KEY.ctState]!);
  const isNotInvalid = (BigInt(masks[KEY.ctState]!) & CT.inv) !== 0n && (ct & CT.inv) === 0n;
  return {
    isEthernet: packetType === 0,
    dlType,
    nwProto,
    icmp6Type: isIcmp6 && !hasCode ? values[KEY.tpSrc]! : -1,
    isLater: (values[KEY.nwFrag]! & 2) !== 0,
    vlan: (tciMask & VLAN_PRESENT) === 0n ? "unknown" : isTagged ? "tagged" : "untagged",
    innerVlan: "untagged",
    isInvalid: (ct & CT.inv) !== 0n,
    isTracked: (ct & CONNECTED) !== 0n || ((ct & CT.trk) !== 0n && isNotInvalid),
  };
}

const isIp = ({ dlType }: Protocols): boolean => dlType === ETHERTYPE.ip || dlType === ETHERTYPE.ipv6;
const isNd = (p: Protocols): boolean => p.icmp6Type === 135 || p.icmp6Type === 136;
const isMpls = ({ dlType }: Protocols): boolean => dlType === ETHERTYPE.mpls || dlType === ETHERTYPE.mplsm;
const over =
  (protocol: number) =>
  (p: Protocols): boolean =>
    isIp(p) && p.nwProto === protocol && !p.isLater;

/** Prerequisites of fields as tests of a match, and how to fulfil them in words. */
export const PREREQUISITES: Readonly<
  Record<Field["prerequisite"], readonly [holds: (p: Protocols) => boolean, remedy: string]>
> = {
  none: [() => true, ""],
  Ethernet: [p => p.isEthernet, "an Ethernet frame"],
  "VLAN VID": [p => p.isEthernet && p.vlan === "tagged", "a VLAN tag (dl_vlan or vlan_tci=0x1000/0x1000)"],
  ARP: [({ dlType }) => dlType === ETHERTYPE.arp || dlType === ETHERTYPE.rarp, "arp or rarp"],
  IPv4: [({ dlType }) => dlType === ETHERTYPE.ip, "ip"],
  IPv6: [({ dlType }) => dlType === ETHERTYPE.ipv6, "ipv6"],
  "IPv4/IPv6": [isIp, "ip or ipv6"],
  CT: [p => p.isTracked, "a ct_state of a connection (+est, or +trk-inv)"],
  MPLS: [isMpls, "mpls or mplsm"],
  NSH: [({ dlType }) => dlType === ETHERTYPE.nsh, "dl_type=0x894f"],
  TCP: [over(PROTOCOL.tcp), "tcp or tcp6"],
  UDP: [over(PROTOCOL.udp), "udp or udp6"],
  SCTP: [over(PROTOCOL.sctp), "sctp or sctp6"],
  ICMPv4: [p => p.dlType === ETHERTYPE.ip && p.nwProto === PROTOCOL.icmp && !p.isLater, "icmp"],
  ICMPv6: [p => p.dlType === ETHERTYPE.ipv6 && p.nwProto === PROTOCOL.icmp6, "icmp6"],
  ND: [isNd, "icmp6 with icmp_type=135 or 136 and no icmp_code but 0"],
  "ND solicit": [p => p.icmp6Type === 135, "icmp6,icmp_type=135 and no icmp_code but 0"],
  "ND advert": [p => p.icmp6Type === 136, "icmp6,icmp_type=136 and no icmp_code but 0"],
};

/** Fields that are one place in the key, with the one that speaks first when its protocol is matched. */
const OVERLAYS: readonly (readonly string[])[] = [
  ["arp_spa", "ip_src"],
  ["arp_tpa", "ip_dst"],
  ["arp_op", "nw_proto"],
  ["nd_sll", "arp_sha"],
  ["nd_tll", "arp_tha"],
  ["icmp_type", "icmpv6_type", "udp_src", "sctp_src", "tcp_src"],
  ["icmp_code", "icmpv6_code", "udp_dst", "sctp_dst", "tcp_dst"],
];

/** Fields that share their place with no other, from a list of names. */
const named = (names: string): readonly string[][] =>
  names
    .trim()
    .split(/\s+/)
    .map(name => [name]);

/**
 * The fields of a match in the order in which Open vSwitch prints them; ports and addresses by their
 * overlays.
 */
const READ_ORDER: readonly (readonly string[])[] = [
  ...named(`
    pkt_mark recirc_id dp_hash conj_id skb_priority actset_output ct_state ct_zone ct_mark ct_label
    ct_nw_src ct_ipv6_src ct_nw_dst ct_ipv6_dst ct_nw_proto ct_tp_src ct_tp_dst packet_type
    eth_type
  `),
  OVERLAYS[2]!,
  ...Array.from({ length: 32 }, (_, n) => [`reg${n}`]),
  ...named(`
    tun_id tun_src tun_dst tun_ipv6_src tun_ipv6_dst tun_gbp_id tun_gbp_flags tun_erspan_ver
    tun_erspan_idx tun_erspan_dir tun_erspan_hwid tun_gtpu_flags tun_gtpu_msgtype tun_tos tun_ttl
    tun_flags
  `),
  ...Array.from({ length: 64 }, (_, n) => [`tun_metadata${n}`]),
  ..."metadata in_port vlan_tci eth_src eth_dst".split(" ").map(name => [name]),
  OVERLAYS[0]!,
  OVERLAYS[1]!,
  ["ipv6_src"],
  ["ipv6_dst"],
  OVERLAYS[3]!,
  OVERLAYS[4]!,
  ...named(`
    ipv6_label nw_tos nw_ecn nw_ttl mpls_label mpls_tc mpls_ttl mpls_bos ip_frag
  `),
  ...OVERLAYS.slice(5),
  ...named(`
    tcp_flags nd_target nd_reserved nd_options_type nsh_flags nsh_ttl nsh_mdtype nsh_np nsh_spi
    nsh_si nsh_c1 nsh_c2 nsh_c3 nsh_c4
  `),
];

/** The order of printing as groups of fields that share a place. */
const READ_FIELDS: readonly (readonly Field[])[] = READ_ORDER.map(names => names.map(fieldNamed));

/** A field is kept although its protocol is not matched: Open vSwitch refuses such a flow. */
const REFUSED: ReadonlySet<Field["prerequisite"]> = new Set(["CT", "NSH", "Ethernet"]);

/** Further conditions of single fields, silently dropped without them. */
const CONDITIONS: Readonly<
  Record<string, readonly [holds: (p: Protocols, key: KeyMatch) => boolean, remedy: string]>
> = {
  nsh_c1: [(_, key) => isType1(key), "nsh_mdtype=1"],
  nsh_c2: [(_, key) => isType1(key), "nsh_mdtype=1"],
  nsh_c3: [(_, key) => isType1(key), "nsh_mdtype=1"],
  nsh_c4: [(_, key) => isType1(key), "nsh_mdtype=1"],
  // Protocol 0 is taken for none.
  ct_nw_proto: [(_, key) => hasCtPorts(key), "a protocol other than 0"],
  ct_tp_src: [(_, key) => hasCtPorts(key), "ct_nw_proto"],
  ct_tp_dst: [(_, key) => hasCtPorts(key), "ct_nw_proto"],
};

const isType1 = ({ values }: KeyMatch): boolean => ((values[KEY.nshBase]! >>> 16) & 0xff) === 1;
const hasCtPorts = ({ values }: KeyMatch): boolean => (values[KEY.ctProto]! & 0xff) !== 0;

/** The original addresses of a connection are of the family that is matched. */
const FAMILIES: Readonly<Record<string, number>> = {
  ct_nw_src: ETHERTYPE.ip,
  ct_nw_dst: ETHERTYPE.ip,
  ct_ipv6_src: ETHERTYPE.ipv6,
  ct_ipv6_dst: ETHERTYPE.ipv6,
};

const isRefusedFamily = ({ name }: Field, { dlType }: Protocols): boolean =>
  (FAMILIES[name] ?? dlType) !== dlType;

function refuseFamily({ name }: Field, span: Span): never {
  throw new Fault(
    span,
    `${name} may be matched only together with ${FAMILIES[name] === ETHERTYPE.ip ? "ip" : "ipv6"}`,
  );
}

/**
 * Decides about a field that is matched: keep it (true), or drop it with a warning; throws where OVS refuses
 * it.
 */
function isKept(reading: Reading, field: Field, p: Protocols, key: KeyMatch, span: Span): boolean {
  const condition = CONDITIONS[field.name];
  const prerequisite = PREREQUISITES[field.prerequisite];
  const { word } = field.place!;
  const isLayer4 = word === KEY.tpSrc || word === KEY.tpDst || word === KEY.tcpFlags;
  if (isLayer4 && p.isLater && Object.values(PROTOCOL).includes(p.nwProto))
    throw new Fault(
      span,
      `${field.name} may not be matched with nw_frag=later: only the first fragment has it`,
    );
  // In Open vSwitch the two share a place, and the one becomes a match on the other.
  if (field.name === "nd_options_type" && p.nwProto === PROTOCOL.tcp)
    throw new Fault(
      span,
      "nd_options_type beside tcp would match TCP flags; it needs icmp6,icmpv6_type=135 or 136",
    );
  const isFirst = field.prerequisite === "CT";
  const isLacking = condition !== undefined && !condition[0](p, key);
  const [holds, remedy] = isLacking && (isFirst || prerequisite[0](p)) ? condition : prerequisite;
  if (holds(p, key)) return isRefusedFamily(field, p) ? refuseFamily(field, span) : true;
  if (
    !isLacking &&
    (REFUSED.has(field.prerequisite) || (field.name === "ipv6_label" && p.dlType === ETHERTYPE.ip))
  )
    throw new Fault(span, `${field.name} may be matched only together with ${remedy}`);
  const isNormalized = !isLacking && field.prerequisite !== "NSH" && field.prerequisite !== "CT";
  const who = isNormalized
    ? 'ovs-ofctl drops it ("normalization changed ofp_match")'
    : "Open vSwitch drops it";
  reading.warn(span, `${field.name} is not matched: it needs ${remedy} in the same match, and ${who}`);
  return false;
}

/**
 * From OpenFlow 1.1 on a VLAN priority is matched only where there is a tag: without the presence bit Open
 * vSwitch drops it without a word, or refuses the flow when some of the VLAN id is to be set.
 */
function checkPriority(reading: Reading, { key, spans }: MatchReading): void {
  const [value, mask] = [key.values[KEY.vlanTci]!, key.masks[KEY.vlanTci]!];
  if (reading.version === null || reading.version === "OpenFlow10") return;
  if ((mask & 0xe000) === 0) return;
  const span = spans.get(KEY.vlanTci)!;
  if ((value & 0x1000) !== 0) {
    if ((mask & 0xe000) === 0xe000) return;
    key.masks[KEY.vlanTci] = mask | 0xe000;
    reading.warn(
      span,
      `the VLAN priority is matched as ${value >>> 13}: it has no mask in OpenFlow 1.2 and later, ` +
        "and Open vSwitch compares all of its bits",
    );
    return;
  }
  if ((value & 0xfff) !== 0)
    throw new Fault(
      span,
      "a VLAN priority without the presence bit 0x1000 is not a match of OpenFlow 1.1 or later",
    );
  key.values[KEY.vlanTci] = value & 0x1fff;
  key.masks[KEY.vlanTci] = mask & 0x1fff;
  if (mask !== 0xffff)
    reading.warn(
      span,
      "the VLAN priority is not matched: without the presence bit 0x1000 Open vSwitch silently drops it",
    );
}

/**
 * An ICMP type or code has eight bits on the wire and no mask: whatever part of it is matched, by a port's
 * name too, Open vSwitch sends the low eight bits of the value and matches them exactly. OpenFlow 1.0 has
 * room for 16 exact ones.
 */
function cutIcmp(reading: Reading, { key, spans }: MatchReading, protocols: Protocols): void {
  const isIcmp = (["ICMPv4", "ICMPv6"] as const).some(name => PREREQUISITES[name][0](protocols));
  if (!isIcmp) return;
  for (const word of [KEY.tpSrc, KEY.tpDst]) {
    const [value, mask] = [key.values[word]!, key.masks[word]!];
    if (mask === 0 || (mask === 0xffff && (value <= 0xff || reading.protocol === "OpenFlow10"))) continue;
    key.values[word] = value & 0xff;
    key.masks[word] = 0xffff;
    reading.warn(
      spans.get(word)!,
      `the ${word === KEY.tpSrc ? "type" : "code"} of an ICMP message is matched as ${value & 0xff}: ` +
        "it has eight bits and no mask, and Open vSwitch silently keeps the low eight of the value",
    );
  }
}

/**
 * TCP flags and the type of an ND option are one place of Open vSwitch's key: in a match on ND messages the
 * low eight bits of the flags are that type, exactly, whatever their mask; what is written last is what
 * counts.
 */
function moveFlags(reading: Reading, { key, spans }: MatchReading, protocols: Protocols): void {
  if (!isNd(protocols) || key.masks[KEY.tcpFlags] === 0) return;
  const span = spans.get(KEY.tcpFlags)!;
  const type = key.values[KEY.tcpFlags]! & 0xff;
  clearMatch(key, fieldNamed("tcp_flags").place!);
  if (key.masks[KEY.ndOptionsType] !== 0 && spans.get(KEY.ndOptionsType)!.start > span.start) return;
  setMatch(key, fieldNamed("nd_options_type").place!, BigInt(type), 0xffn);
  spans.set(KEY.ndOptionsType, span);
  reading.warn(
    span,
    `tcp_flags of an ND message is matched as nd_options_type=${type}, as Open vSwitch does`,
  );
}

/** Reads a match back as its fields, in the order of printing, without those whose prerequisites it lacks. */
export function collectMatch(
  reading: Reading,
  match: MatchReading,
): { fields: MatchField[]; protocols: Protocols } {
  const { key } = match;
  const protocols = protocolsOf(key);
  const fields: MatchField[] = [];
  const dropped: (() => void)[] = [];
  checkPriority(reading, match);
  cutIcmp(reading, match, protocols);
  moveFlags(reading, match, protocols);
  for (const group of READ_FIELDS) {
    const first = group[0]!;
    if (first.place === null) {
      const unplaced = match.unplaced.get(first);
      if (unplaced !== undefined) fields.push(unplaced);
      continue;
    }
    const field = group.find(one => PREREQUISITES[one.prerequisite][0](protocols)) ?? group.at(-1)!;
    const place = field.place!;
    const mask = readPlace(key.masks, place) & (field.name === "nw_tos" ? 0xfcn : ones(place.bits));
    if (mask === 0n || (field === PACKET_TYPE && readPlace(key.values, place) === 0n)) continue;
    const span = match.spans.get(place.word + Math.ceil(place.bits / 32) - 1)!;
    if (isKept(reading, field, protocols, key, span))
      fields.push({ field, value: readPlace(key.values, place) & mask, mask, span });
    else dropped.push(() => clearMatch(key, place));
  }
  for (const clear of dropped) clear();
  return { fields, protocols };
}
