/**
 * The frames of differences as others see them: Wireshark's dissector finds their checksums right, whatever
 * the protocol, bare, tagged or behind a label.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FlowColumns } from "../../src/openflow/index.ts";
import { prove } from "../../src/verify/index.ts";
import { assert, peer, suite } from "../harness.ts";

const test = suite("verify › counterexamples");

/** A flow that only such frames meet, and where tshark says of their checksums whether they are right. */
const PROTOCOLS: readonly (readonly [match: string, status: string])[] = [
  ["ip", "ip"],
  ["udp,tp_dst=53", "udp"],
  ["tcp,tp_src=80,tcp_flags=+syn", "tcp"],
  ["sctp,tp_dst=9", "sctp"],
  ["icmp,icmp_type=8", "icmp"],
  ["udp6,tp_dst=53", "udp"],
  ["tcp6,tp_dst=179", "tcp"],
  ["icmp6,icmp_type=128", "icmpv6"],
  ["icmp6,icmp_type=135,icmp_code=0,nd_target=fc00::7,nd_sll=02:00:00:00:00:07", "icmpv6"],
  ["dl_vlan=7,udp,tp_dst=53", "udp"],
];
const CHECKED = [...["ip", "udp", "tcp"].map(name => `${name}.check_checksum:TRUE`), "sctp.checksum:CRC 32c"];

const table = (text: string): { flows: FlowColumns } => ({
  flows: new FlowColumns(Buffer.from(text), "flows"),
});

function witness(a: string, b: string): Uint8Array {
  const proof = prove(table(a), table(b), { maxDifferences: 1 });
  assert.is(proof.verdict, "different", a);
  return proof.differences[0]!.frame;
}

const word = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);

/** A capture of Ethernet frames, in this machine's order of bytes. */
function pcap(frames: readonly Uint8Array[]): Uint8Array {
  const head = [0xa1b2c3d4, 0x00040002, 0, 0, 65535, 1].map(word);
  const records = frames.flatMap(frame => [word(0), word(0), word(frame.length), word(frame.length), frame]);
  return Buffer.concat([...head, ...records]);
}

/** One line a frame: the value of a field of its own, several with commas. */
function fieldsOf(frames: readonly Uint8Array[], fields: readonly string[]): string[][] {
  const folder = mkdtempSync(join(tmpdir(), "slash32-witness-"));
  try {
    const file = join(folder, "frames.pcap");
    writeFileSync(file, pcap(frames));
    const wanted = [...CHECKED.flatMap(name => ["-o", name]), ...fields.flatMap(name => ["-e", name])];
    const { stdout, stderr, status } = spawnSync("tshark", ["-r", file, "-T", "fields", ...wanted], {
      encoding: "utf8",
    });
    assert.is(status, 0, stderr);
    return stdout
      .trimEnd()
      .split("\n")
      .map(line => line.split("\t"));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test("checksums are right", () => {
  peer("tshark");
  const frames = PROTOCOLS.map(([match]) => witness(`${match} actions=output:7\n`, "\n"));
  const names = [...new Set(PROTOCOLS.map(([, name]) => name))];
  const lines = fieldsOf(
    frames,
    names.map(name => `${name}.checksum.status`),
  );
  for (const [at, [match, name]] of PROTOCOLS.entries())
    assert.is(lines[at]![names.indexOf(name)], "1", `${match}: ${Buffer.from(frames[at]!).toString("hex")}`);
});

test("they stay right behind a label that comes off, and in front of bytes that make a frame longer", () => {
  peer("tshark");
  const popped =
    "mpls,mpls_bos=1 actions=pop_mpls:0x0800,goto_table:1\ntable=1,udp,tp_dst=53 actions=output:";
  const frames = [
    witness(`${popped}3\n`, `${popped}4\n`),
    witness(
      "tcp,tp_src=80 actions=output(port=1,max_len=200)\n",
      "tcp,tp_src=80 actions=output(port=1,max_len=300)\n",
    ),
  ];
  assert.ok(frames[1]!.length > 200);
  assert.equal(fieldsOf(frames, ["udp.checksum.status", "tcp.checksum.status"]), [
    ["1", ""],
    ["", "1"],
  ]);
});

test("of all frames that show a difference the most ordinary one is told first", () => {
  const a = [
    "mpls actions=pop_mpls:0x0800,resubmit(,1)",
    "table=1,ip,nw_dst=10.0.0.1 actions=output:2",
    "table=1,priority=1 actions=output:3",
  ].join("\n");
  const { differences } = prove(table(a), table("mpls actions=pop_mpls:0x0800,output:3\n"));
  assert.equal(
    differences.map(({ inPort }) => inPort),
    [1, 2, 3],
  );
  // Untagged, no LLC header, one label with its S bit and a TTL, IPv4 to the address that is asked for.
  for (const { frame } of differences) {
    const hex = Buffer.from(frame).toString("hex");
    assert.ok(/^.{24}8847000001404500.{20}c00002010a000001$/.test(hex), hex);
  }
});

test.run();
