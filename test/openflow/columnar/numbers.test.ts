/** Numbers in lines: which are found, what they are worth, and what is no number. */
import { NUMBER, NUMBER_WORDS, numbersIn, readNumber } from "../../../src/openflow/columnar/numbers.ts";
import { assert, suite } from "../../harness.ts";

const test = suite("openflow/numbers");
const encoder = new TextEncoder();

function found(text: string): string[] {
  return numbersIn(encoder.encode(text), 0, text.length).map(({ start, end }) => text.slice(start, end));
}

const lines: readonly (readonly [text: string, numbers: readonly string[]])[] = [
  [
    " cookie=0x1f, duration=648.785s, table=0, n_packets=12, priority=300,mpls,mpls_label=1001 actions=pop_mpls:0x0800,resubmit(,10)",
    ["0x1f", "648.785", "0", "12", "300", "1001", "0x0800", "10"],
  ],
  [
    "ip,nw_dst=10.0.0.0/24 actions=set_field:fe:00:00:00:01:01->eth_src,output:11",
    ["10.0.0.0", "24", "fe:00:00:00:01:01", "11"],
  ],
  // Parts of words, ranges of bits, names in quotes and octal numbers belong to the template. What is found
  // in an IPv6 address is no value of the flow: probing shows it.
  ["reg0=0x5,xreg1 actions=move:NXM_NX_REG0[0..7]->NXM_OF_IP_DST[8..15]", ["0x5"]],
  ['in_port="1" actions=output:"2"', []],
  ["tp_dst=010 actions=drop", []],
  ["ipv6_dst=2001:db8::1 actions=drop", ["1"]],
  ["in_port=tap11,dl_vlan=5 actions=note:00.01.02", ["5"]],
  ["nw_src=10.0.0.0/255.0.255.0", ["10.0.0.0", "255.0.255.0"]],
  ["nw_src=300.0.0.1", []],
];

for (const [text, numbers] of lines) {
  test(`finds the numbers of ${text.slice(0, 60)}`, () => {
    assert.equal(found(text), numbers);
  });
}

test("reads values exactly, up to 64 bits", () => {
  const values: readonly (readonly [
    kind: (typeof NUMBER)[keyof typeof NUMBER],
    text: string,
    value: bigint,
  ])[] = [
    [NUMBER.decimal, "4294967296", 2n ** 32n],
    [NUMBER.decimal, "999999999999999", 999_999_999_999_999n],
    [NUMBER.hexadecimal, "0xffffffffffffffff", 2n ** 64n - 1n],
    [NUMBER.hexadecimal, "0x800000000", 0x8_0000_0000n],
    [NUMBER.ipv4, "255.254.253.252", 0xfffefdfcn],
    [NUMBER.mac, "fe:dc:ba:98:76:54", 0xfedc_ba98_7654n],
  ];
  for (const [kind, text, value] of values) {
    const out = new Uint32Array(NUMBER_WORDS);
    assert.is(readNumber(kind, encoder.encode(text), 0, text.length, out, 0), text.length, text);
    assert.is((BigInt(out[0]!) << 32n) | BigInt(out[1]!), value, text);
  }
});

test("refuses what it would read wrongly", () => {
  const wrong: readonly (readonly [kind: (typeof NUMBER)[keyof typeof NUMBER], text: string])[] = [
    [NUMBER.decimal, "1000000000000000"],
    [NUMBER.decimal, "007"],
    [NUMBER.decimal, ""],
    [NUMBER.hexadecimal, "0x"],
    [NUMBER.hexadecimal, "0x1ffffffffffffffff"],
    [NUMBER.ipv4, "1.2.3"],
    [NUMBER.ipv4, "1.2.3.256"],
    [NUMBER.ipv4, "01.2.3.4"],
    [NUMBER.mac, "fe:dc:ba:98:76"],
    [NUMBER.mac, "FE:dc:ba:98:76:54"],
  ];
  for (const [kind, text] of wrong) {
    assert.is(
      readNumber(kind, encoder.encode(text), 0, text.length, new Uint32Array(NUMBER_WORDS), 0),
      -1,
      text,
    );
  }
});

test.run();
