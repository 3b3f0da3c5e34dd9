/**
 * The parts of the interpreter by themselves: keys of frames, datapath actions, lookups, and what is never
 * guessed.
 */
import { Interpreter, KEY, KEY_WORDS, type Outcome, parseGroups } from "../../../src/openflow/index.ts";
import { crc32c } from "../../../src/openflow/interpret/bytes.ts";
import { commit } from "../../../src/openflow/interpret/commit.ts";
import type { HeaderAction } from "../../../src/openflow/interpret/datapath.ts";
import { extract } from "../../../src/openflow/interpret/extract.ts";
import { Packet } from "../../../src/openflow/interpret/packet.ts";
import { assert, suite } from "../../harness.ts";
import { rng } from "../../model/random.ts";
import { flowsOf, hexOf } from "./compare.ts";
import { randomFrame } from "./frames.ts";

const test = suite("interpreter");

const bytesOf = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.replaceAll(" ", ""), "hex"));
const IP = "4500001c 00000000 40111234 0a000001 0a000002 00350050 00081111";
const FRAME = bytesOf(`020000000002 020000000001 0800 ${IP}`);

function keyOf(hex: string, vlanLimit = 1): { key: Uint32Array; packet: Packet } {
  const key = new Uint32Array(KEY_WORDS);
  const packet = new Packet().load(bytesOf(hex));
  extract(packet.bytes, key, packet, vlanLimit);
  return { key, packet };
}

const run = (flows: string[], more = {}): Outcome => new Interpreter(flowsOf(flows), more).run(1, FRAME);

test("the key of a tagged, labelled packet, byte by byte", () => {
  const { key, packet } = keyOf(`020000000002 0a0000000001 8100 a005 8847 00064640 000c8309 ${IP}`);
  const wanted = new Uint32Array(KEY_WORDS);
  wanted[KEY.dlDst] = 0x0200;
  wanted[KEY.dlDst + 1] = 0x00000002;
  wanted[KEY.dlSrc] = 0x0a00;
  wanted[KEY.dlSrc + 1] = 0x00000001;
  wanted[KEY.vlanTci] = 0x8100b005;
  wanted[KEY.dlType] = 0x8847;
  wanted[KEY.mplsLse] = 0x00064640;
  wanted[KEY.mplsLse + 1] = 0x000c8309;
  assert.equal([...key], [...wanted]);
  assert.equal([packet.labelsAt, packet.layer3At, packet.layer4At], [18, 26, -1]);
});

test("the key of an IPv4 packet with padding", () => {
  const { key, packet } = keyOf(`020000000002 020000000001 0800 ${IP} 000000`);
  assert.is(key[KEY.nwSrc], 0x0a000001);
  assert.is(key[KEY.nwProto], 17);
  assert.is(key[KEY.tpDst], 80);
  assert.equal([packet.layer3At, packet.layer4At, packet.paddingBytes, packet.layer4Bytes()], [14, 34, 3, 8]);
});

test("a second tag is kept when the limit says so", () => {
  const frame = `020000000002 020000000001 88a8 0005 8100 0006 0800 ${IP}`;
  assert.is(keyOf(frame).key[KEY.dlType], 0x8100);
  const { key } = keyOf(frame, 2);
  assert.equal([key[KEY.dlType], key[KEY.vlanTci], key[KEY.innerVlanTci]], [0x0800, 0x88a81005, 0x81001006]);
});

test("no frame makes extract or the interpreter fail, whatever its bytes and length", () => {
  const r = rng(5);
  const interpreter = new Interpreter(
    flowsOf(["ip actions=dec_ttl,2", "mpls actions=pop_mpls:0x0800,resubmit(,0)"]),
  );
  for (let n = 0; n < 3000; n++) {
    const frame = randomFrame(r);
    interpreter.run(1, frame.subarray(0, r.below(frame.length + 1)));
    interpreter.run(
      1,
      Uint8Array.from({ length: r.below(64) }, () => r.below(256)),
    );
  }
  assert.is(interpreter.run(1, new Uint8Array(13)).verdict, "drop");
});

test("commit makes the actions for what differs, in order, and nothing else", () => {
  const { key: base } = keyOf(`020000000002 020000000001 0800 ${IP}`);
  const actions: HeaderAction[] = [];
  commit(base.slice(), base, actions);
  assert.equal(actions, []);
  const flow = base.slice();
  flow[KEY.nwTtl] = 63;
  flow[KEY.tpSrc] = 9;
  flow[KEY.dlDst + 1] = 7;
  flow[KEY.vlanTci] = 0x81001005;
  commit(flow, base, actions);
  assert.equal(actions, [
    { do: "set_ethernet", src: null, dst: [0x0200, 7] },
    {
      do: "set_ipv4",
      src: null,
      dst: null,
      tos: null,
      ttl: 63,
      was: { src: 0x0a000001, dst: 0x0a000002, tos: 0, ttl: 64 },
    },
    { do: "set_ports", protocol: 17, src: 9, dst: null },
    { do: "push_vlan", type: 0x8100, tci: 0x1005 },
  ]);
  assert.equal([...base], [...flow]);
});

test("commit replaces the innermost entry in place and pushes the rest", () => {
  const { key: base } = keyOf(`020000000002 020000000001 8847 00064140 ${IP}`);
  const flow = base.slice();
  flow.set([0x00007040, 0x00005140], KEY.mplsLse);
  const actions: HeaderAction[] = [];
  commit(flow, base, actions);
  assert.equal(actions, [
    { do: "set_mpls", entry: 0x00005140 },
    { do: "push_mpls", type: 0x8847, entry: 0x00007040 },
  ]);
});

test("CRC-32C of RFC 3720 B.4: 32 bytes of zeros", () => {
  assert.is(crc32c(new Uint8Array(32), 0, 32), 0xaa36918a);
});

test("two flows of one priority that differ are ambiguous, by line; what comes first in the table decides nothing", () => {
  const outcome = run(["priority=5,ip actions=2", "priority=5,dl_dst=02:00:00:00:00:02 actions=3"]);
  assert.is(outcome.verdict, "ambiguous");
  assert.equal(outcome.outputs, []);
  const lines = outcome.ambiguous.flatMap(({ flows }) => flows.map(({ source }) => source.line));
  assert.equal(lines.sort(), [1, 2]);
});

test("no ambiguity: the same actions, another priority, or a packet that only one matches", () => {
  for (const second of [
    "priority=5,dl_dst=02:00:00:00:00:02 actions=2",
    "priority=4 actions=3",
    "priority=5,udp,tp_dst=9 actions=3",
  ])
    assert.is(run(["priority=5,ip actions=2", second]).verdict, "output", second);
});

test("unknown features are named, and only when they are met", () => {
  const select = parseGroups("group_id=1,type=select,bucket=actions=output:2", "groups").groups;
  const cases: [string[], string | null, object?][] = [
    [["actions=NORMAL"], "NORMAL"],
    [["priority=2,ip actions=2", "priority=1 actions=NORMAL"], null],
    [["actions=all"], "ALL"],
    [["actions=all"], null, { ports: [1, 2] }],
    [["actions=group:1"], "select group", { groups: select }],
    [["ip actions=meter:1,2"], "meter"],
    [["ip,tun_metadata0=1 actions=2"], "match on tun_metadata0"],
  ];
  for (const [flows, feature, more] of cases) {
    const { verdict, unknown } = run(flows, more);
    assert.is(verdict, feature === null ? "output" : "unknown", flows.join());
    assert.equal(
      unknown.map(one => one.feature),
      feature === null ? [] : [feature],
      flows.join(),
    );
  }
});

test("LOCAL is 65534, in and out", () => {
  assert.equal(
    run(["actions=LOCAL"]).outputs.map(({ port }) => port),
    [65534],
  );
  const outcome = new Interpreter(flowsOf(["in_port=LOCAL actions=LOCAL,in_port"])).run(65534, FRAME);
  assert.equal([outcome.verdict, outcome.outputs.length], ["reply", 1]);
});

test("the way through the tables, and none when it is not asked for", () => {
  const flows = ["ip actions=resubmit(,1),2", "table=1,arp actions=3"];
  const hits = run(flows).tables.map(({ table, flow }) => [table, flow?.source.line ?? null]);
  assert.equal(hits, [
    [0, 1],
    [1, null],
  ]);
  assert.equal(run(flows, { isTraced: false }).tables, []);
});

test("outputs are the frame's own bytes: later changes do not reach them", () => {
  const { outputs } = run(["ip actions=2,dec_ttl,3"]);
  assert.is(hexOf(outputs[0]!.frame), hexOf(FRAME));
  assert.is(outputs[1]!.frame[22], 63);
});

test.run();
