/**
 * The streams from the private switch: OpenFlow messages byte by byte, pcap streams cut anywhere, and streams
 * with markers, which must reject every misplaced marker. No switch is needed here.
 */

import { echoReply, splitMessages } from "../../src/host/index.ts";
import { assert, suite } from "../harness.ts";
import { Markers } from "./markers.ts";
import { MarkedStream, PcapSplitter } from "./port-streams.ts";
import { errorText, greeting, packetInOf, portStatsOf, portStatsRequest } from "./switch-messages.ts";

const test = suite("streams of the private switch");
const bytes = (hex: string): Buffer => Buffer.from(hex.replace(/\s/g, ""), "hex");

test("OpenFlow: the greeting requests complete frames and packet-ins, all reasons, one controller id", () => {
  const want = `
    06000008 00000001
    0609000c 00000002 0000ffff
    061c0038 00000003 00000008 0000003f 00010008 0000003f 00020008 00000000
    00030008 00000000 00040008 00000000 00050008 00000000
    06040014 00000004 00002320 00000010 00000002
    06040018 00000005 00002320 00000014 000000000000 0007`;
  assert.is(greeting(7).toString("hex"), bytes(want).toString("hex"));
  assert.is(
    portStatsRequest(9).toString("hex"),
    bytes("06120018 00000009 00040000 00000000 ffffffff 00000000").toString("hex"),
  );
});

test("OpenFlow: packet-in, port counters, echo and error, wherever the stream is cut", () => {
  const packetIn = `
    060400a0 00000000 00002320 0000001e
    0000 0012 0200000000020200000000010800 000000000000
    0003 0005 05 000000
    0004 0010 00000000 0000000000000012
    0005 0005 04 000000
    0006 0048 80000004 00000003 80000408 0000000000000009
      80010910 0000000000000007 00000000ffffffff 00014204 0000002a
      ffff0408 4f4e4600 fffffff7 0001d204 00000021
    0007 0006 0102 0000`;
  const stats = `0613 0050 00000009 0004 0001 00000000
    0040 0000 00000007 00000000 00000000 0000000000000005 0000000000000006 ${"00".repeat(32)}`;
  const stream = bytes(`${packetIn} ${stats} 0602000a 00000007 abcd 0601000c 00000008 00040001`);
  stream.writeUInt16BE(bytes(packetIn).length, 2);
  for (let cut = 0; cut <= stream.length; cut++) {
    const first = splitMessages(stream.subarray(0, cut));
    const second = splitMessages(Buffer.concat([first.rest, stream.subarray(cut)]));
    assert.is(second.rest.length, 0);
    const [a, b, c, d] = [...first.messages, ...second.messages];
    const { frame, userdata, metadata, ...rest } = packetInOf(a!, 7)!;
    assert.equal(rest, { reason: "group", inPort: 3, table: 5, cookie: 0x12n, controllerId: 7 });
    assert.is(Buffer.from(frame).toString("hex"), "0200000000020200000000010800");
    assert.equal([...userdata], [1, 2]);
    assert.equal(
      [...metadata],
      [
        ["metadata", 9n],
        ["reg9", 7n],
        ["pkt_mark", 0x2an],
        ["ffff04084f4e4600", 0xfffffff7n],
        ["ct_state", 0x21n],
      ],
    );
    assert.equal(portStatsOf(b!), { more: true, ports: new Map([[7, { rxFrames: 5, txFrames: 6 }]]) });
    assert.is(echoReply(c!)!.toString("hex"), "0603000a00000007abcd");
    assert.is(errorText(d!), "OpenFlow error type 4 code 1");
    assert.equal([packetInOf(d!), portStatsOf(d!), echoReply(d!), errorText(a!)], Array(4).fill(undefined));
  }
});

test("pcap: both byte orders, cut anywhere", () => {
  const little = bytes(`d4c3b2a1 0200 0400 00000000 00000000 ffff0000 01000000
    01000000 02000000 03000000 03000000 aabbcc 01000000 02000000 00000000 00000000
    01000000 02000000 01000000 01000000 dd`);
  const big = bytes(`a1b2c3d4 0002 0004 00000000 00000000 0000ffff 00000001
    00000001 00000002 00000003 00000003 aabbcc 00000001 00000002 00000000 00000000
    00000001 00000002 00000001 00000001 dd`);
  for (const stream of [little, big])
    for (let cut = 0; cut <= stream.length; cut++) {
      const splitter = new PcapSplitter();
      const frames = [...splitter.push(stream.subarray(0, cut)), ...splitter.push(stream.subarray(cut))];
      assert.equal(
        frames.map(frame => frame.toString("hex")),
        ["aabbcc", "", "dd"],
        `cut at ${cut}`,
      );
    }
});

test("markers are known again, and nothing else is", () => {
  const [ours, theirs] = [new Markers(), new Markers()];
  const frame = ours.frame(4_000_000_000);
  assert.is(ours.sequenceOf(frame), 4_000_000_000);
  assert.is(theirs.sequenceOf(frame), undefined);
  assert.is(ours.sequenceOf(Buffer.concat([frame, Buffer.alloc(1)])), undefined);
  assert.is(ours.sequenceOf(frame.subarray(0, 17)), undefined);
  assert.match(
    ours.flow([1, 2], [0]),
    /priority=65535,dl_src=[0-9a-f:]{17},dl_type=0x88b5 actions=in_port,output:1/,
  );
});

test("a stream is cut at its markers; one that is missing, doubled or late is an error", () => {
  // Negative numbers are markers here.
  const take = (items: number[], first: number, frames: number): number[][] => {
    const stream = new MarkedStream<number>(
      "p1",
      item => (item < 0 ? -item : undefined),
      () => undefined,
    );
    for (const item of items) stream.push(item);
    return stream.take(first, frames);
  };
  assert.equal(take([7, 7, -5, -6, 8, -7], 5, 3), [[7, 7], [], [8]]);
  assert.throws(() => take([7, -5, -7], 5, 3), /p1: marker 7 instead of 6/);
  assert.throws(() => take([7, -5, -5], 5, 2), /p1: marker 5 instead of 6/);
  assert.throws(() => take([7, -5], 5, 2), /p1: 1 of 2 markers, 0 frames after them/);
  assert.throws(() => take([7, -5, 8], 5, 1), /p1: 1 of 1 markers, 1 frames after them/);
});

test.run();
