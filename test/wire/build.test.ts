/**
 * The frame builder: for each protocol a frame written out byte by byte, the rules for what is filled in, and
 * tshark's opinion on lengths and checksums.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pcap } from "../../pcaps/write.ts";
import { eth, type FrameBuilder, formatHex, internetChecksum, parseHex } from "../../src/wire/index.ts";
import { assert, peer, suite } from "../harness.ts";

const test = suite("wire/build");

const front = eth({ dst: "fe:00:00:00:01:01", src: "52:54:00:00:00:0b" });
const FRONT = "fe00 0000 0101 5254 0000 000b";
const ipv4 = front.ipv4({ src: "203.0.113.7", dst: "198.51.100.1" });

function same(frame: FrameBuilder, hex: string): void {
  assert.is(formatHex(frame.bytes(), " "), formatHex(parseHex(hex), " "));
}

test("Ethernet", () => {
  same(eth({ dst: 0x010203040506, src: 0xfffffffffffe, type: 0x1234 }), "010203040506 fffffffffffe 1234");
  same(front.payload([1, 2]), `${FRONT} 88b5 0102`);
});

test("VLAN tags, one and two", () => {
  same(front.vlan({ id: 100, type: 0x0800 }), `${FRONT} 8100 0064 0800`);
  const both = front.vlan({ id: 200, priority: 5, dropEligible: true, tpid: 0x88a8 }).vlan({ id: 4095 });
  same(both, `${FRONT} 88a8 b0c8 8100 0fff 88b5`);
});

test("LLC/SNAP: a length in front, the type behind", () => {
  same(front.snap({ type: 0x0800 }).payload([1]), `${FRONT} 0009 aaaa03 000000 0800 01`);
  same(front.vlan({ id: 1 }).snap({ type: 0x0806 }), `${FRONT} 8100 0001 0008 aaaa03 000000 0806`);
  same(front.snap({ llc: [0x42, 0x42, 3, 0, 0, 0], type: 1 }), `${FRONT} 0008 424203 000000 0001`);
});

test("MPLS: S on the innermost only, unless given", () => {
  same(front.mpls({ label: 1001, ttl: 63, tc: 3 }), `${FRONT} 8847 003e973f`);
  same(
    front.mpls({ label: 0xfffff, ttl: 255 }).mpls({ label: 0, ttl: 0 }),
    `${FRONT} 8847 fffff0ff 00000100`,
  );
  same(front.mpls({ label: 16, bos: false }), `${FRONT} 8847 00010040`);
});

test("ARP", () => {
  const ask = { sha: "52:54:00:00:00:0b", spa: "203.0.113.7", tpa: "203.0.113.1" };
  const body = "52540000000b cb007107 000000000000 cb007101";
  same(front.arp(ask), `${FRONT} 0806 0001 0800 06 04 0001 ${body}`);
  same(
    front.arp({ ...ask, hrd: 6, pro: 0x86dd, hln: 8, pln: 16, op: 0x0102 }),
    `${FRONT} 0806 0006 86dd 08 10 0102 ${body}`,
  );
});

test("IPv4: header checksum, lengths and protocol filled in", () => {
  same(ipv4.payload([1, 2, 3]), `${FRONT} 0800 4500 0017 0000 0000 40fd 13ae cb007107 c6336401 010203`);
});

test("IPv4: whatever is given is written as it is", () => {
  const ip = { src: "203.0.113.7", dst: "198.51.100.1", version: 6, ihl: 4, totalLength: 9, id: 0xabcd };
  const rest = { ttl: 1, tos: 0xb8, protocol: 0, checksum: 0xbeef, dontFragment: true };
  const hex = "64b8 0009 abcd 40b9 0100 beef cb007107 c6336401";
  same(front.ipv4({ ...ip, ...rest, fragment: { offset: 1480, more: false } }), `${FRONT} 0800 ${hex}`);
});

test("IPv4: options are padded to four bytes and counted", () => {
  const frame = front.ipv4({ src: "203.0.113.7", dst: "198.51.100.1", options: [7, 3, 4] }).bytes();
  assert.is(formatHex(frame.subarray(14, 18)), "46000018");
  assert.is(formatHex(frame.subarray(34)), "07030400");
  assert.is(internetChecksum(frame.subarray(14)), 0);
});

test("UDP, its checksum over the pseudo header", () => {
  const head = "4500 001d 0000 0000 4011 1494 cb007107 c6336401";
  same(ipv4.udp({ src: 4000, dst: 53 }).payload([0xff]), `${FRONT} 0800 ${head} 0fa0 0035 0009 8ac9 ff`);
  const first = eth({ dst: 0, src: 2 }).udp({ src: 1, dst: 2 });
  same(first, "000000000000 000000000002 88b5 0001 0002 0008 0000");
});

test("UDP: a checksum of zero is sent as ones", () => {
  // The payload is what the checksum would be without it, so that the sum becomes all ones.
  const empty = ipv4.udp({ src: 1, dst: 2 }).payload([0, 0]).bytes();
  const sent = ipv4.udp({ src: 1, dst: 2 }).payload(empty.subarray(40, 42)).bytes();
  assert.is(formatHex(sent.subarray(40, 42)), "ffff");
});

test("TCP", () => {
  const tcp = ipv4.tcp({ src: 80, dst: 40_000, seq: 0x01020304, ack: 0xfffefdfc, flags: "SA", window: 512 });
  const head = "4500 0028 0000 0000 4006 1494 cb007107 c6336401";
  same(tcp, `${FRONT} 0800 ${head} 0050 9c40 01020304 fffefdfc 5012 0200 a903 0000`);
  assert.throws(() => ipv4.tcp({ src: 1, dst: 2, flags: "X" }).bytes(), /flag "X" is unknown/);
});

test("ICMP echo", () => {
  const head = "4500 001c 0000 0000 4001 14a5 cb007107 c6336401";
  same(ipv4.echo({ id: 0x1234, sequence: 2 }), `${FRONT} 0800 ${head} 0800 e5c9 1234 0002`);
  assert.is(ipv4.echo({ reply: true }).bytes()[34], 0);
});

test("IPv6 and its addresses", () => {
  const frame = front.ipv6({ src: "fe80::b", dst: "ff02::1:ff00:b", trafficClass: 0xb8, hopLimit: 255 });
  const addresses = "fe80000000000000 000000000000000b ff02000000000000 00000001ff00000b";
  same(frame, `${FRONT} 86dd 6b800000 0000 3b ff ${addresses}`);
  for (const wrong of ["", "1", "1::2::3", "12345::", "1:2:3:4:5:6:7:8:9", "::203.0.113.7"]) {
    assert.throws(() => front.ipv6({ src: wrong, dst: "::" }), /is not an IPv6 address/, wrong);
  }
});

test("padding stands at the end and is counted nowhere", () => {
  const frame = ipv4.pad(60, 0xee).bytes();
  assert.is(frame.length, 60);
  assert.is(formatHex(frame.subarray(16, 18)), "0014");
  assert.is(formatHex(frame.subarray(34, 37)), "eeeeee");
  assert.is(ipv4.pad(10).bytes().length, 34);
});

test("a builder is immutable", () => {
  const before = formatHex(ipv4.bytes());
  ipv4.udp({ src: 1, dst: 2 });
  ipv4.pad(100);
  assert.is(formatHex(ipv4.bytes()), before);
});

test("values that do not fit are refused by name", () => {
  assert.throws(() => eth({ dst: "fe:00", src: 0 }).bytes(), /"fe:00" is not a MAC address/);
  assert.throws(() => front.ipv4({ src: "203.0.113.256", dst: 0 }), /is not an IPv4 address/);
  assert.throws(() => front.mpls({ label: 2 ** 20 }).bytes(), /label is 1048576/);
  assert.throws(() => front.vlan({ id: 4096 }).bytes(), /VLAN id is 4096/);
  assert.throws(() => front.ipv4({ src: 0, dst: 0, ttl: 256 }).bytes(), /TTL is 256/);
  assert.throws(() => front.ipv4({ src: 0, dst: 0, ttl: 1.5 }).bytes(), /TTL is 1.5/);
});

test("tshark finds every checksum and length right", () => {
  peer("tshark");
  const v6 = front.ipv6({ src: "2001:db8::7", dst: "2001:db8::1" });
  const labelled = front
    .mpls({ label: 1001 })
    .ipv4({ src: "203.0.113.7", dst: "192.0.2.1", options: [1, 1] });
  const frames = [
    ipv4,
    labelled,
    v6,
    front.vlan({ id: 5 }).ipv4({ src: "203.0.113.7", dst: "192.0.2.1" }),
  ].flatMap(ip => [
    ip.udp({ src: 9, dst: 9 }).payload([1, 2, 3]),
    ip.tcp({ src: 9, dst: 9, seq: 7, flags: "PA" }).payload([1, 2, 3, 4]),
  ]);
  frames.push(ipv4.echo({ id: 7 }).payload([1, 2, 3]));
  const folder = mkdtempSync(join(tmpdir(), "slash32-"));
  try {
    const file = join(folder, "built.pcap");
    writeFileSync(file, pcap(frames.map((frame, index) => ({ time: BigInt(index), frame: frame.bytes() }))));
    const options = ["ip", "udp", "tcp"].flatMap(name => ["-o", `${name}.check_checksum:TRUE`]);
    const fields = ["ip", "udp", "tcp", "icmp"].flatMap(name => ["-e", `${name}.checksum.status`]);
    const expert = ["-e", "_ws.malformed", "-e", "_ws.expert.severity"];
    const args = ["-n", ...options, "-r", file, "-T", "fields", ...fields, ...expert];
    const lines = execFileSync("tshark", args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
    const rows = lines
      .trimEnd()
      .split("\n")
      .map(line => line.split("\t"));
    assert.is(rows.length, frames.length);
    for (const [ip, udp, tcp, icmp, malformed] of rows) {
      // 1 is "good", empty is "not there".
      assert.match([ip, udp, tcp, icmp].join(""), /^1+$/);
      assert.is(malformed ?? "", "");
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test.run();
