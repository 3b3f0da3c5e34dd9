/**
 * The flow key: what Open vSwitch knows about a packet while it crosses the tables, as 32-bit words (struct
 * flow of lib/flow.h, in a layout of our own). Every field of the registry is some bits of it, so that a
 * match is words and masks, aliases overlap by themselves (vlan_tci and dl_vlan, mpls_lse and mpls_label,
 * xreg0 and reg0), and a lookup compares numbers. A value of more than 32 bits lies in consecutive words, the
 * most significant first, and ends with the last one: a MAC address is 16 bits in one word and 32 in the
 * next.
 *
 * Fields whose meaning depends on the protocol share words exactly as in Open vSwitch (ARP addresses with
 * IPv4 addresses, the ARP operation with nw_proto, ICMP type and code with ports): a key has one place for
 * each, and a match reaches it only under its prerequisites.
 */

/** First word of each part of the key; `KEY_WORDS` is how many there are. */
export const KEY = {
  // Metadata: not in the packet.
  recircId: 0,
  dpHash: 1,
  conjId: 2,
  skbPriority: 3,
  pktMark: 4,
  actsetOutput: 5,
  packetType: 6,
  inPort: 7,
  metadata: 8,
  registers: 10,
  tunnelId: 42,
  tunnelSrc: 44,
  tunnelDst: 45,
  tunnelIpv6Src: 46,
  tunnelIpv6Dst: 50,
  /** flags 0…15 │ ttl 16…23 │ tos 24…31 */
  tunnelFlags: 54,
  /** gbp_id 0…15 │ gbp_flags 16…23 */
  tunnelGbp: 55,
  /** erspan_idx 0…19 │ erspan_dir 20 │ erspan_hwid 21…26 │ erspan_ver 27…30 */
  tunnelErspan: 56,
  /** gtpu_flags 0…7 │ gtpu_msgtype 8…15 */
  tunnelGtpu: 57,
  ctState: 58,
  ctZone: 59,
  ctMark: 60,
  ctLabel: 61,
  /** ct_nw_proto 0…7 */
  ctProto: 65,
  ctNwSrc: 66,
  ctNwDst: 67,
  ctIpv6Src: 68,
  ctIpv6Dst: 72,
  /** ct_tp_src 0…15 │ ct_tp_dst 16…31 */
  ctPorts: 76,
  // Layer 2.
  dlDst: 77,
  dlSrc: 79,
  dlType: 81,
  /** vlan_tci of the outer tag; the presence bit is 0x1000. */
  vlanTci: 82,
  /** The inner tag, which no field reaches. */
  innerVlanTci: 83,
  /** Three label stack entries, outermost first: label 12…31 │ tc 9…11 │ bos 8 │ ttl 0…7 (RFC 3032 §2.1). */
  mplsLse: 84,
  // Layer 3.
  nwSrc: 87,
  nwDst: 88,
  ipv6Src: 89,
  ipv6Dst: 93,
  ipv6Label: 97,
  nwProto: 98,
  /** dscp 2…7 │ ecn 0…1 */
  nwTos: 99,
  nwTtl: 100,
  /** any 0 │ later 1 */
  nwFrag: 101,
  arpSha: 102,
  arpTha: 104,
  ndTarget: 106,
  // Layer 4.
  tpSrc: 110,
  tpDst: 111,
  tcpFlags: 112,
  igmpGroup: 113,
  ndReserved: 114,
  /** nd_options_type 0…7 */
  ndOptionsType: 115,
  // NSH (RFC 8300).
  /** flags 0…7 │ ttl 8…15 │ mdtype 16…23 │ np 24…31 */
  nshBase: 116,
  nshSpi: 117,
  nshSi: 118,
  nshContext: 119,
} as const;

export const KEY_WORDS = 123;

/** Registers that exist: 16 up to Open vSwitch 3.6, 32 from 3.7 on. */
export const REGISTER_COUNT = 32;

/**
 * Where a field lies: `bits` bits that end `shift` bits above the low end of word `word`. Above 32 bits
 * `shift` is 0 and `word` is the word of the most significant bits.
 */
export interface Place {
  readonly word: number;
  readonly shift: number;
  readonly bits: number;
}
