/**
 * `--threads`: the program on one core and on two, on pcap and pcapng, into pcap and pcapng, writes the same bytes and
 * says the same; values that are no number of cores are refused. What is written is held against the model in
 * test/capture/large.test.ts; here it is the program as people run it, whose second core starts early.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { MIN_BYTES } from "../../src/replay/parallel.ts";
import { usedPages } from "../../src/replay/parallel-worker.ts";
import { makeFolder, type Packet, PcapNg, pcapFile, put, slash32 } from "../capture/base.ts";
import { assert, seed, suite } from "../harness.ts";
import { rng } from "../model/random.ts";

const test = suite("replay/threads");
const first = seed();

const INTENT = `
name: hv
bridge: br0
label: 1001
uplink: { port: uplink0, ofport: 1, mac: 02:00:00:00:00:01 }
vms:
  - { id: 1, name: web, port: tap1, ofport: 11, mac: 52:54:00:00:00:0b, addresses: [203.0.113.7], path: l3 }
routes:
  - { prefix: 0.0.0.0/0, labels: [3003], via: 02:00:00:00:00:fe }
`;

/** What tap1 sends: mostly packets that leave, some from another's address; of any size up to jumbo frames. */
function packets(): Packet[] {
  const r = rng(first);
  const head = Buffer.from("fe000000010152540000000b0800", "hex");
  const list: Packet[] = [];
  let time = 1_700_000_000_000_000_000n;
  for (let bytes = 0; bytes < MIN_BYTES + 100_000; ) {
    const ipBytes = r.below(10) === 0 ? 46 + r.below(8900) : 46 + r.below(1400);
    const frame = Buffer.alloc(14 + ipBytes, list.length & 0xff);
    head.copy(frame);
    frame.set([0x45, 0, ipBytes >>> 8, ipBytes & 0xff, 0, 0, 0, 0, 64, 17, 0, 0], 14);
    frame.set([203, 0, 113, r.below(9) === 0 ? 8 : 7, 198, 51, 100, 9], 26);
    time += BigInt(r.below(5000)) * 1000n;
    list.push({ time, frame });
    bytes += frame.length + 16;
  }
  return list;
}

test("one core and two write the same bytes and say the same", () => {
  const folder = makeFolder();
  const list = packets();
  put(folder, "hv.yaml", INTENT);
  put(folder, "in.pcap", pcapFile(list));
  const writer = new PcapNg().section().interface({ name: "tap1" });
  for (const packet of list) writer.packet(0, packet);
  put(folder, "in.pcapng", writer.bytes());
  const outputs = new Map<string, Buffer>();
  for (const input of ["in.pcap", "in.pcapng"]) {
    for (const output of ["out.pcap", "out.pcapng", null]) {
      const reports = ["1", "2"].map(threads => {
        const write = output === null ? [] : ["-w", output, "--drops", "drops.pcapng"];
        const args = [
          "replay",
          "-n",
          "hv.yaml",
          "-r",
          `tap1=${input}`,
          "--threads",
          threads,
          "--format",
          "json",
        ];
        const ran = slash32(folder, [...args, ...write]);
        assert.is(ran.code, 0, ran.stderr);
        assert.is(ran.stderr, "");
        for (const name of output === null ? [] : [output, "drops.pcapng"]) {
          const key = `${output} ${name}`;
          const bytes = readFileSync(join(folder, name));
          // Of either input, on one core or on two: the same.
          assert.ok((outputs.get(key) ?? bytes).equals(bytes), `${input} → ${name}, ${threads} threads`);
          outputs.set(key, bytes);
        }
        const { seconds: _, ...report } = JSON.parse(ran.stdout);
        return report;
      });
      assert.equal(reports[0], reports[1], `${input} → ${output}`);
      assert.is(reports[0].frames, list.length);
      assert.ok(reports[0].outputs["1"] > 0 && reports[0].drops["spoofed-source"] > 0);
    }
  }
});

test("numbers of cores that are none", () => {
  const folder = makeFolder();
  put(folder, "hv.yaml", INTENT);
  put(folder, "in.pcap", pcapFile([]));
  const run = (...threads: string[]) =>
    slash32(folder, ["replay", "-n", "hv.yaml", "-r", "tap1=in.pcap", ...threads]);
  for (const value of ["0", "3", "-1", "1.0", "two", "02"]) {
    const ran = run(`--threads=${value}`);
    assert.is(ran.code, 1);
    assert.is(ran.stderr, `slash32: --threads: "${value}" is not valid; expected 1 or 2\n`);
  }
  assert.is(run("--threads=").stderr, "slash32: --threads needs a value: --threads=N\n");
  assert.is(run("--threads", "2", "--allow-empty", "-q").code, 0);
  assert.match(
    slash32(folder, ["replay", "--help"]).stdout,
    /--threads N\s+use at most N CPU cores, 1 or 2 \(default: /,
  );
});

test("what is used of a region of counters is found, at its edges too", () => {
  const bytes = new Uint8Array(3 * 0x1000 + 8);
  assert.equal([...usedPages(bytes)], []);
  bytes[0x1000] = 1;
  bytes[0x2fff] = 1;
  bytes[0x3007] = 1;
  assert.equal(
    [...usedPages(bytes)],
    [
      [0x1000, 0x2000],
      [0x2000, 0x3000],
      [0x3000, 0x3008],
    ],
  );
});

test.run();
