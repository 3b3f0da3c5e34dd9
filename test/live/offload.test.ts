/**
 * What is finished on behalf of senders: checksums, segments, tags. Held against frames that the builder
 * makes whole, and against what a receiver would make of the segments: put together again they are the frame
 * that was cut.
 */
import {
  completeChecksum,
  isCuttable,
  restoreTag,
  segment,
  type Unfinished,
} from "../../src/live/offload.ts";
import { eth, internetChecksum } from "../../src/wire/index.ts";
import { assert, seed, suite } from "../harness.ts";
import { rng } from "../model/random.ts";

const test = suite("offload");
const TCPV4 = 1;
const TCPV6 = 4;
const UDP_L4 = 5;
const CWR = 0x80;
const FIN = 0x01;
const PSH = 0x08;

/** One's complement sum of big-endian words, folded; written the slow way. */
function sum(bytes: Uint8Array, start = 0): number {
  let total = start;
  for (let at = 0; at < bytes.length; at += 2) total += bytes[at]! * 256 + (bytes[at + 1] ?? 0);
  while (total > 0xffff) total = (total % 0x10000) + Math.floor(total / 0x10000);
  return total;
}

/** The pseudo header's sum of a packet whose layer 3 begins at 14. */
function pseudo(frame: Uint8Array, isIpv6: boolean, protocol: number, bytes: number): number {
  const addresses = isIpv6 ? frame.subarray(22, 54) : frame.subarray(26, 34);
  return sum(addresses, protocol + bytes);
}

/** A TCP segment over IPv4 or IPv6, without checksums; flags as given. */
function tcp(payload: Uint8Array, isIpv6: boolean, flags: number): { frame: Buffer; layer4: number } {
  const layer4 = 14 + (isIpv6 ? 40 : 20);
  const frame = Buffer.alloc(layer4 + 32 + payload.length);
  frame.writeUIntBE(0xfe0000000101, 0, 6);
  frame.writeUIntBE(0x52540000000b, 6, 6);
  frame.writeUInt16BE(isIpv6 ? 0x86dd : 0x0800, 12);
  if (isIpv6) {
    frame[14] = 0x60;
    frame.writeUInt16BE(frame.length - 54, 18);
    frame[20] = 6;
    for (let at = 22; at < 54; at++) frame[at] = at * 7;
  } else {
    frame.set([0x45, 0], 14);
    frame.writeUInt16BE(frame.length - 14, 16);
    frame.writeUInt16BE(0xfffe, 18);
    frame.set([64, 6], 22);
    frame.set([203, 0, 113, 7, 198, 51, 100, 1], 26);
  }
  frame.writeUInt32BE(0xfffffff0, layer4 + 4);
  frame[layer4 + 12] = 8 << 4;
  frame[layer4 + 13] = flags;
  frame.set(payload, layer4 + 32);
  return { frame, layer4 };
}

test("a checksum whose field holds the pseudo header's sum is completed", () => {
  const random = rng(seed());
  for (let round = 0; round < 200; round++) {
    const payload = Uint8Array.from({ length: random.below(200) }, () => random.below(256));
    const whole = eth({ dst: "fe:00:00:00:01:01", src: "52:54:00:00:00:0b" })
      .ipv4({ src: "203.0.113.7", dst: "203.0.113.8", ttl: 64 })
      .udp({ src: 1000, dst: 2000 })
      .payload(payload)
      .bytes();
    const frame = Buffer.from(whole);
    frame.writeUInt16BE(pseudo(frame, false, 17, 8 + payload.length), 40);
    const memory = Buffer.concat([Buffer.alloc(64), frame, Buffer.alloc(64, 0xee)]);
    const what: Unfinished = { gsoType: 0, gsoBytes: 0, sumStart: 34, sumOffset: 6 };
    assert.ok(completeChecksum(memory, 64, frame.length, what));
    assert.equal(memory.subarray(64, 64 + frame.length), Buffer.from(whole));
  }
});

test("a checksum that would lie outside its frame is left alone", () => {
  const memory = Buffer.alloc(100, 1);
  const before = Buffer.from(memory);
  assert.not(completeChecksum(memory, 10, 40, { gsoType: 0, gsoBytes: 0, sumStart: 34, sumOffset: 6 }));
  assert.equal(memory, before);
});

/** Cuts a frame; the segments in order. */
function cut(frame: Uint8Array, what: Unfinished): Buffer[] {
  const memory = Buffer.alloc(200_000);
  let at = 64;
  const segments: Buffer[] = [];
  const count = segment(
    frame,
    what,
    memory,
    length => {
      const here = at;
      at += length + 128;
      return here;
    },
    (start, length) => segments.push(Buffer.from(memory.subarray(start, start + length))),
  );
  assert.is(count, segments.length);
  return segments;
}

for (const isIpv6 of [false, true])
  test(`a large TCP frame over IPv${isIpv6 ? 6 : 4} is cut as a network card does`, () => {
    const random = rng(seed());
    for (const [bytes, gsoBytes] of [
      [10_000, 1448],
      [1449, 1448],
      [2896, 1448],
      [64_000, 536],
      [5, 1],
    ] as const) {
      const payload = Uint8Array.from({ length: bytes }, () => random.below(256));
      const { frame, layer4 } = tcp(payload, isIpv6, CWR | PSH | FIN | 0x10);
      const gsoType = (isIpv6 ? TCPV6 : TCPV4) | 0x80;
      const segments = cut(frame, { gsoType, gsoBytes, sumStart: layer4, sumOffset: 16 });
      assert.is(segments.length, Math.ceil(bytes / gsoBytes));
      assert.equal(Buffer.concat(segments.map(each => each.subarray(layer4 + 32))), Buffer.from(payload));
      segments.forEach((each, index) => {
        const isLast = index === segments.length - 1;
        assert.is(each.readUInt32BE(layer4 + 4), (0xfffffff0 + index * gsoBytes) >>> 0, "sequence number");
        const flags = (index === 0 ? CWR : 0) | (isLast ? PSH | FIN : 0) | 0x10;
        assert.is(each[layer4 + 13], flags, "flags");
        const transport = each.subarray(layer4);
        assert.is(sum(transport, pseudo(each, isIpv6, 6, transport.length)), 0xffff, "TCP checksum");
        if (isIpv6) {
          assert.is(each.readUInt16BE(18), each.length - 54);
          return;
        }
        assert.is(each.readUInt16BE(16), each.length - 14);
        assert.is(each.readUInt16BE(18), (0xfffe + index) & 0xffff, "identification");
        assert.is(internetChecksum(each.subarray(14, 34)), 0, "IPv4 checksum");
      });
    }
  });

test("UDP datagrams that were handed over together are taken apart, also behind a label", () => {
  const payload = Uint8Array.from({ length: 3000 }, (_, index) => index * 3);
  const plain = eth({ dst: "02:00:00:00:00:01", src: "02:00:00:00:00:fe" });
  for (const frames of [plain, plain.mpls({ label: 1001, ttl: 9, bos: true })]) {
    const frame = Buffer.from(
      frames
        .ipv4({ src: "198.51.100.1", dst: "203.0.113.7", ttl: 9 })
        .udp({ src: 1, dst: 2 })
        .payload(payload)
        .bytes(),
    );
    const layer4 = frame.length - 3008;
    const segments = cut(frame, { gsoType: UDP_L4, gsoBytes: 1200, sumStart: layer4, sumOffset: 6 });
    assert.equal(
      segments.map(each => each.readUInt16BE(layer4 + 4)),
      [1208, 1208, 608],
    );
    for (const each of segments) {
      const layer3 = each.subarray(layer4 - 20);
      assert.is(internetChecksum(layer3.subarray(0, 20)), 0);
      const transport = each.subarray(layer4);
      assert.is(sum(transport, sum(layer3.subarray(12, 20), 17 + transport.length)), 0xffff);
    }
  }
});

test("a frame that is not what it says to be is not cut", () => {
  const { frame, layer4 } = tcp(new Uint8Array(3000), false, 0x10);
  const what = { gsoType: TCPV4, gsoBytes: 1000, sumStart: layer4, sumOffset: 16 };
  for (const wrong of [
    { ...what, gsoType: 3 },
    { ...what, gsoBytes: 0 },
    { ...what, sumStart: 20 },
    { ...what, sumStart: 60_000 },
  ])
    assert.equal(cut(frame, wrong), []);
  assert.not(isCuttable(3));
  const other = Buffer.from(frame);
  other.writeUInt16BE(0x0806, 12);
  assert.equal(cut(other, what), []);
});

test("a tag goes back between the addresses and the type", () => {
  const memory = Buffer.from(`${"ee".repeat(8)}fe000000010152540000000b08004500`, "hex");
  assert.is(restoreTag(memory, 8, 0x88a8, 0xe005), 4);
  assert.is(memory.toString("hex"), `${"ee".repeat(4)}fe000000010152540000000b88a8e00508004500`);
});

test.run();
