/**
 * The registry of fields and the tables that must follow it. A field that the registry has and the order of reading lacks
 * would vanish from every match without a word: `ip,field=7` would be read as `ip`.
 */
import { FIELDS, type Field, KEY, KEY_WORDS, parseFlow } from "../../src/openflow/index.ts";
import { assert, suite } from "../harness.ts";

const test = suite("openflow: the registry of fields");

/** What a match must say for a field to be kept (ovs-fields(7), "Prerequisites"). */
const WITH: Readonly<Record<Field["prerequisite"], string>> = {
  none: "",
  Ethernet: "",
  ARP: "arp",
  "VLAN VID": "dl_vlan=5",
  IPv4: "ip",
  IPv6: "ipv6",
  "IPv4/IPv6": "ip",
  CT: "ip,ct_state=+trk+est",
  MPLS: "mpls",
  NSH: "dl_type=0x894f",
  TCP: "tcp",
  UDP: "udp",
  SCTP: "sctp",
  ICMPv4: "icmp",
  ICMPv6: "icmp6",
  ND: "icmp6,icmpv6_type=135,icmpv6_code=0",
  "ND solicit": "icmp6,icmpv6_type=135,icmpv6_code=0",
  "ND advert": "icmp6,icmpv6_type=136,icmpv6_code=0",
};

/** Fields that need more, or whose value is not the number 1. */
const INSTEAD: Readonly<Record<string, string>> = {
  nw_tos: "ip,nw_tos=4",
  ct_state: "ct_state=+trk",
  ct_nw_proto: "ip,ct_state=+trk+est,ct_nw_proto=6",
  ct_tp_src: "ip,ct_state=+trk+est,ct_nw_proto=6,ct_tp_src=1",
  ct_tp_dst: "ip,ct_state=+trk+est,ct_nw_proto=6,ct_tp_dst=1",
  ct_ipv6_src: "ipv6,ct_state=+trk+est,ct_ipv6_src=::1",
  ct_ipv6_dst: "ipv6,ct_state=+trk+est,ct_ipv6_dst=::1",
  nw_proto: "ip,nw_proto=1",
  vlan_tci: "vlan_tci=0x1001",
  nsh_c1: "dl_type=0x894f,nsh_mdtype=1,nsh_c1=1",
  nsh_c2: "dl_type=0x894f,nsh_mdtype=1,nsh_c2=1",
  nsh_c3: "dl_type=0x894f,nsh_mdtype=1,nsh_c3=1",
  nsh_c4: "dl_type=0x894f,nsh_mdtype=1,nsh_c4=1",
};

const VALUES: Readonly<Partial<Record<Field["format"], string>>> = {
  ethernet: "00:00:00:00:00:01",
  ipv4: "0.0.0.1",
  ipv6: "::1",
  frag: "later",
  "tunnel flags": "+oam",
  "tcp flags": "+fin",
  "packet type": "(1,0x800)",
};

function matchOf(field: Field): string {
  const before = WITH[field.prerequisite];
  const own = `${field.name}=${VALUES[field.format] ?? "1"}`;
  return INSTEAD[field.name] ?? (before === "" ? own : `${before},${own}`);
}

/** Bits of the key that a match compares, by word. */
function masksOf(match: string): Uint32Array {
  const { flow, problems } = parseFlow(`${match} actions=drop`, { file: "match", line: 1 });
  assert.ok(flow !== null, `${match}: ${problems.map(({ message }) => message).join("; ")}`);
  const masks = new Uint32Array(KEY_WORDS);
  for (const { field, mask } of flow!.match) {
    const { word, shift, bits } = field.place!;
    const last = word + Math.ceil(bits / 32) - 1;
    for (let at = last, left = mask << BigInt(shift); at >= word; at--, left >>= 32n)
      masks[at] = masks[at]! | Number(left & 0xffffffffn);
  }
  return masks;
}

for (const field of FIELDS) {
  if (field.place === null) continue;
  test(`a match on ${field.name} is kept`, () => {
    const { word, shift, bits } = field.place!;
    const masks = masksOf(matchOf(field));
    const last = word + Math.ceil(bits / 32) - 1;
    const own = bits >= 32 ? 0xffffffff : (2 ** bits - 1) * 2 ** shift;
    assert.ok((masks[last]! & own) !== 0, `${matchOf(field)} does not compare word ${last}`);
  });
}

test("places of fields lie within the key", () => {
  const last = Math.max(...Object.values(KEY));
  assert.ok(last < KEY_WORDS);
  for (const { name, place } of FIELDS) {
    if (place === null) continue;
    const end = place.word + Math.ceil((place.shift + place.bits) / 32);
    assert.ok(end <= KEY_WORDS, `${name} ends at word ${end} of ${KEY_WORDS}`);
  }
});

test.run();
