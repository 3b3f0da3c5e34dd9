/** One-line summaries, hex text and addresses: examples, and that no bytes whatever make a summary throw. */
import {
  eth,
  formatHex,
  formatIpv4,
  formatMac,
  isGroupMac,
  maskOf,
  parseHex,
  parseIpv4,
  parseMac,
  summarize,
} from "../../src/wire/index.ts";
import { assert, seed, suite } from "../harness.ts";

const test = suite("wire/print");

const front = eth({ dst: "fe:00:00:00:01:01", src: "52:54:00:00:00:0b" });
const MACS = "52:54:00:00:00:0b > fe:00:00:00:01:01";
const ip = { src: "198.51.100.1", dst: "203.0.113.7" };
const IPV4 = "IPv4 198.51.100.1 > 203.0.113.7 ttl 64";
const ask = { sha: "52:54:00:00:00:0b", spa: "203.0.113.7", tpa: "203.0.113.1" };

const EXAMPLES: readonly (readonly [Uint8Array, string])[] = [
  [
    front.mpls({ label: 1001, ttl: 63 }).ipv4(ip).udp({ src: 4000, dst: 53 }).bytes(),
    `${MACS} MPLS 1001 S ttl 63 / ${IPV4} UDP 4000 > 53 len 46`,
  ],
  [
    front.mpls({ label: 2, tc: 3 }).mpls({ label: 3, ttl: 1 }).bytes(),
    `${MACS} MPLS 2 tc 3 ttl 64 3 S ttl 1 / payload 0 len 22`,
  ],
  [
    front.ipv4(ip).tcp({ src: 80, dst: 4000, flags: "SA", seq: 5 }).bytes(),
    `${MACS} ${IPV4} TCP 80 > 4000 [S.] seq 5 len 54`,
  ],
  [
    front.ipv4(ip).echo({ id: 7, sequence: 2 }).pad(60).bytes(),
    `${MACS} ${IPV4} ICMP echo id 7 seq 2 len 60`,
  ],
  [
    front.ipv4({ ...ip, options: [1], protocol: 17, fragment: { offset: 8, more: true } }).bytes(),
    `${MACS} ${IPV4} options 4 fragment at 8+ protocol 17 len 38`,
  ],
  [
    front.ipv4({ ...ip, totalLength: 99 }).bytes(),
    `${MACS} ${IPV4} bad lengths (header 20, total 99, there 20) len 34`,
  ],
  [front.arp(ask).bytes(), `${MACS} ARP who has 203.0.113.1 tell 203.0.113.7 (52:54:00:00:00:0b) len 42`],
  [
    front.arp({ ...ask, op: 2 }).bytes(),
    `${MACS} ARP 203.0.113.7 is 52:54:00:00:00:0b tell 203.0.113.1 len 42`,
  ],
  [front.arp({ ...ask, hrd: 6 }).bytes(), `${MACS} ARP hrd 6 pro 0x0800 len 42`],
  [
    front.vlan({ id: 200, tpid: 0x88a8 }).vlan({ id: 100 }).ipv4(ip).bytes(),
    `${MACS} 802.1ad 200 802.1Q 100 ${IPV4} protocol 253 len 42`,
  ],
  [front.snap().ipv4(ip).bytes(), `${MACS} SNAP ${IPV4} protocol 253 len 42`],
  [
    front.ipv6({ src: "fe80::5054:ff:fe00:b", dst: "ff02::2" }).bytes(),
    `${MACS} IPv6 fe80::5054:ff:fe00:b > ff02::2 hlim 64 protocol 59 len 54`,
  ],
  [
    front.ipv6({ src: "::", dst: "1:0:0:2:0:0:0:3" }).bytes(),
    `${MACS} IPv6 :: > 1:0:0:2::3 hlim 64 protocol 59 len 54`,
  ],
  [front.bytes(), `${MACS} type 0x88b5 len 14`],
  [front.bytes().subarray(0, 13), "cut Ethernet header len 13"],
  [front.mpls({ label: 1 }).bytes().subarray(0, 17), `${MACS} MPLS cut len 17`],
  [front.vlan({ id: 1 }).bytes().subarray(0, 17), `${MACS} 802.1Q cut len 17`],
  [front.arp(ask).bytes().subarray(0, 41), `${MACS} ARP cut len 41`],
  [new Uint8Array(0), "cut Ethernet header len 0"],
  // Bytes behind the IP packet are padding, however much they look like a header.
  [
    front
      .ipv4({ ...ip, totalLength: 20, protocol: 17 })
      .payload(Uint8Array.of(0, 53, 0, 53, 0, 8, 0, 0))
      .bytes(),
    `${MACS} ${IPV4} UDP cut len 42`,
  ],
  [
    front
      .ipv4({ ...ip, totalLength: 27, protocol: 17 })
      .payload(Uint8Array.of(0, 53, 0, 53, 0, 8, 0, 0))
      .bytes(),
    `${MACS} ${IPV4} UDP cut len 42`,
  ],
  [
    front
      .ipv4({ ...ip, totalLength: 28, protocol: 17 })
      .payload(Uint8Array.of(0, 53, 0, 54, 0, 8, 0, 0))
      .bytes(),
    `${MACS} ${IPV4} UDP 53 > 54 len 42`,
  ],
  [
    front
      .ipv4({ ...ip, totalLength: 39, protocol: 6 })
      .payload(new Uint8Array(20).fill(0x50))
      .bytes(),
    `${MACS} ${IPV4} TCP cut len 54`,
  ],
  [
    front
      .ipv4({ ...ip, protocol: 6 })
      .payload(new Uint8Array(20).fill(0x60))
      .bytes(),
    `${MACS} ${IPV4} TCP 24672 > 24672 [U] seq 1616928864 bad header length 24 len 54`,
  ],
  [
    front
      .ipv4({ ...ip, totalLength: 27, protocol: 1 })
      .payload(new Uint8Array(8))
      .bytes(),
    `${MACS} ${IPV4} ICMP cut len 42`,
  ],
  [
    front
      .mpls({ label: 9 })
      .ipv4({ ...ip, totalLength: 20, protocol: 1 })
      .payload(new Uint8Array(40))
      .bytes(),
    `${MACS} MPLS 9 S ttl 64 / ${IPV4} ICMP cut len 78`,
  ],
  [
    front
      .ipv6({ src: "::1", dst: "::2", payloadLength: 7, nextHeader: 17 })
      .payload(new Uint8Array(20))
      .bytes(),
    `${MACS} IPv6 ::1 > ::2 hlim 64 UDP cut len 74`,
  ],
  [
    front
      .ipv6({ src: "::1", dst: "::2", payloadLength: 21, nextHeader: 17 })
      .payload(new Uint8Array(20))
      .bytes(),
    `${MACS} IPv6 ::1 > ::2 hlim 64 bad lengths (payload 21, there 20) len 74`,
  ],
];

test("frames as people read them", () => {
  for (const [frame, line] of EXAMPLES) assert.is(summarize(frame), line);
});

test("endless tags and labels stay one short line", () => {
  const tags = front.payload(new Uint8Array(9000)).bytes();
  for (let at = 12; at + 4 <= tags.length; at += 4) tags.set([0x81, 0x00], at);
  const labels = eth({ dst: 0, src: 2, type: 0x8847 }).payload(new Uint8Array(9000)).bytes();
  assert.ok(summarize(tags).length < 200);
  assert.ok(summarize(labels).length < 200);
});

test("20,000 random frames: one line each, never an exception", () => {
  let state = seed() || 1;
  process.stdout.write(`  SEED=${state}\n`);
  const random = (below: number): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
  const types = [0x0800, 0x0806, 0x8847, 0x8848, 0x8100, 0x88a8, 0x86dd, 0x0032];
  for (let round = 0; round < 20_000; round++) {
    const [example] = EXAMPLES[random(EXAMPLES.length)]!;
    const frame =
      round % 2 === 0 ? Uint8Array.from(example) : new Uint8Array(random(120)).map(() => random(256));
    for (let change = random(4); change > 0 && frame.length > 0; change--)
      frame[random(frame.length)] = random(256);
    if (round % 3 === 0 && frame.length >= 14) {
      const type = types[random(types.length)]!;
      frame.set([type >>> 8, type & 255], 12);
    }
    const line = summarize(frame.subarray(0, random(frame.length + 1)));
    assert.match(line, / len \d+$/);
    assert.not.match(line, /\n|undefined|NaN/);
  }
});

test("hex text in the forms people paste", () => {
  const bytes = "52540000000b";
  for (const text of [
    bytes,
    "52 54 00 00 00 0b",
    "52:54:00:00:00:0B",
    "0x525400 00000b",
    "5254\n0000\n000b\n",
    "52-54-00-00-00-0b",
    "0x52, 0x54, 0, 0x00, 0x00, 0x0b".replace(" 0,", " 00,"),
  ]) {
    assert.is(formatHex(parseHex(text)), bytes, text);
  }
  assert.is(parseHex("").length, 0);
  assert.is(formatHex(Uint8Array.of(1, 255), ":"), "01:ff");
});

test("hex text that is none says what is wrong", () => {
  assert.throws(() => parseHex("525"), /3 hex digits do not make whole bytes/);
  assert.throws(() => parseHex("52 5g"), /"g" is not a hex digit/);
  for (const dump of ["0000  52 54 00 00", "00000010: 5254 0000", "\t0x0000:  4500 0014"]) {
    assert.throws(() => parseHex(dump), /without offsets/, dump);
  }
});

test("addresses", () => {
  assert.is(parseMac("52:54:00:00:00:0B"), 0x52540000000b);
  assert.is(formatMac(0x0a), "00:00:00:00:00:0a");
  for (const wrong of ["", "52:54:00:00:00", "52-54-00-00-00-0b", "52:54:00:00:00:0g", "5:4:0:0:0:b"]) {
    assert.is(parseMac(wrong), null, wrong);
  }
  assert.is(isGroupMac(0x01005e000001), true);
  assert.is(isGroupMac(0xfe0000000101), false);
  assert.is(parseIpv4("203.0.113.7"), 0xcb007107);
  assert.is(formatIpv4(0xffffffff), "255.255.255.255");
  for (const wrong of ["", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.4 "]) {
    assert.is(parseIpv4(wrong), null, wrong);
  }
  assert.equal([0, 1, 24, 32].map(maskOf), [0, 0x80000000, 0xffffff00, 0xffffffff]);
});

test.run();
