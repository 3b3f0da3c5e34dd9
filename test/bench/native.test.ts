/**
 * The native yardstick does the core's work: on random intents and frames its captures are those of `replay()`, byte
 * for byte, and its counters those of the core. It is run as it is timed and, if they can be linked, with sanitizers,
 * so an access outside its buffers or undefined behaviour fails as well.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildYardstick } from "../../bench/native/build.ts";
import { dumpBank, outputHeader } from "../../bench/native/dump.ts";
import { pcapHeader } from "../../src/capture/index.ts";
import { Core, type Counters } from "../../src/core/index.ts";
import { parseIntent } from "../../src/intent/index.ts";
import { replay } from "../../src/replay/index.ts";
import { assert, draws, peer, seed, suite } from "../harness.ts";
import { randomFrame, randomIntent, rng } from "../model/random.ts";

const test = suite("native yardstick");
const first = seed();
const INTENTS = draws(20);
const FRAMES = 400;

/** What the yardstick prints for a capture. */
interface Printed extends Omit<Counters, "drops" | "tables"> {
  readonly verdicts: { readonly drop: number; readonly output: number; readonly reply: number };
  readonly drops: Record<string, number>;
  readonly tables: Record<string, number>;
}

/** A record: the frame's first `captured` bytes, of a frame that is `excess` bytes longer. */
function record(frame: Uint8Array, time: number, excess = 0): Buffer {
  const header = Buffer.alloc(16);
  header.writeUInt32LE(1_700_000_000 + Math.floor(time / 1e6), 0);
  header.writeUInt32LE(time % 1e6, 4);
  header.writeUInt32LE(frame.length, 8);
  header.writeUInt32LE(frame.length + excess, 12);
  return Buffer.concat([header, frame]);
}

/** Compiles the program with sanitizers, or null where they cannot be linked or run. */
function checkedProgram(): string | null {
  const built = buildYardstick("checked");
  if (built.program !== null) return spawnSync(built.program).status === 2 ? built.program : null;
  if (built.reason.includes("error: ")) throw new Error(built.reason);
  return null;
}

let compiled: string[] | null = null;

/** The program as it is timed, and with sanitizers if they work here. Skips when there is no compiler. */
function programs(): string[] {
  peer("gcc");
  if (compiled !== null) return compiled;
  const fast = buildYardstick("fast");
  if (fast.program === null) throw new Error(fast.reason);
  const checked = checkedProgram();
  compiled = checked === null ? [fast.program] : [checked, fast.program];
  return compiled;
}

/** Captures of one intent, each by its in_port, as replayed by the core and by the yardstick. */
async function compare(core: Core, folder: string, captures: Map<number, Buffer[]>, text: string) {
  const { intent } = parseIntent(text, "random.yaml", ".");
  core.install(intent!);
  const at = (name: string): string => join(folder, name);
  dumpBank(core, at("bank"));
  writeFileSync(at("header"), outputHeader(intent!));
  const jobs = [...captures].map(([port, records]) => {
    writeFileSync(at(`${port}.pcap`), Buffer.concat([pcapHeader(6), ...records]));
    return [at(`${port}.pcap`), String(port), at("header"), at(`${port}.out`)];
  });
  const results: Counters[] = [];
  for (const port of captures.keys()) {
    const { counters } = await replay({
      core,
      intent: intent!,
      captures: [at(`${port}.pcap`)],
      inPort: String(port),
      output: at(`${port}.pcapng`),
    });
    results.push(counters);
  }
  for (const yardstick of programs()) {
    const printed = execFileSync(yardstick, ["replay", at("bank"), ...jobs.flat()], { encoding: "utf8" });
    const lines = printed.trimEnd().split("\n");
    assert.is(lines.length, captures.size);
    for (const [index, port] of [...captures.keys()].entries()) {
      const [wanted, got] = [at(`${port}.pcapng`), at(`${port}.out`)].map(name => readFileSync(name));
      assert.ok(wanted!.equals(got!), `in_port ${port}: other bytes`);
      check(JSON.parse(lines[index]!), results[index]!);
    }
  }
}

function check(printed: Printed, { drops, tables, ports, frames, bytes, snapped }: Counters): void {
  assert.equal([printed.frames, printed.bytes, printed.snapped], [frames, bytes, snapped]);
  assert.equal(printed.drops, Object.fromEntries(drops));
  assert.equal(printed.tables, Object.fromEntries(tables));
  assert.equal(printed.ports, ports);
  const sum = (values: Iterable<number>): number => [...values].reduce((total, value) => total + value, 0);
  const { drop, output, reply } = printed.verdicts;
  assert.equal(
    [drop, output, reply],
    [sum(drops.values()), sum(ports.map(port => port.txFrames)), sum(ports.map(port => port.replyFrames))],
  );
}

function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "native-"));
  return body(folder).finally(() => rmSync(folder, { recursive: true }));
}

test(`SEED=${first}: ${INTENTS} random intents, ${FRAMES} random frames each`, async () => {
  programs();
  const core = Core.load();
  process.stdout.write(`\n  SEED=${first}\n`);
  for (let index = 0; index < INTENTS; index++) {
    const random = rng(first + index);
    const intent = randomIntent(random);
    const captures = new Map<number, Buffer[]>();
    for (let time = 0; time < FRAMES; time++) {
      const { inPort, frame } = randomFrame(random, intent);
      const records = captures.get(inPort) ?? [];
      captures.set(inPort, records);
      // Frames that the capture cut are counted, not judged.
      records.push(record(frame, time * 1009, random.chance(2) ? random.between(1, 1500) : 0));
    }
    await inFolder(folder => compare(core, folder, captures, JSON.stringify(intent)));
  }
});

test("a capture of many windows and many full outputs", async () => {
  programs();
  const random = rng(first);
  const intent = randomIntent(random);
  const records: Buffer[] = [];
  for (let frame = 0; frame < 12_000; frame++) {
    const made = randomFrame(random, intent);
    if (made.inPort === intent.uplink.ofport) records.push(record(made.frame, frame));
  }
  const many = Array.from({ length: 6 }, () => records).flat();
  const captures = new Map([[intent.uplink.ofport, many]]);
  await inFolder(folder => compare(Core.load(), folder, captures, JSON.stringify(intent)));
});

/** As many routes as take the number of buckets beyond what counts as cached. */
test("tables larger than the cache, which are prefetched", async () => {
  programs();
  const random = rng(first);
  const vm = { id: 1, name: "vm", port: "tap", ofport: 2, mac: "52:54:00:00:00:01", path: "l3" };
  const uplink = { port: "uplink0", ofport: 1, mac: "02:00:00:00:00:01" };
  const routes = Array.from({ length: 17_000 }, (_, index) => {
    const [high, low] = [index >>> 8, index & 255];
    return { prefix: `20.${high}.${low}.7/32`, labels: [16 + index], via: "02:00:00:00:00:fe" };
  });
  const intent = {
    name: "hv",
    bridge: "br0",
    label: 1001,
    uplink,
    vms: [{ ...vm, addresses: ["10.0.0.1"] }],
    routes,
  };
  const records = Array.from({ length: 5_000 }, (_, time) => {
    const frame = Buffer.from("fe00000001015254000000010800450000300000000040110000", "hex");
    // One in a few hits nothing.
    const to = [20, random.below(72), random.below(256), 7];
    return record(Buffer.concat([frame, Buffer.of(10, 0, 0, 1, ...to), Buffer.alloc(28)]), time);
  });
  const captures = new Map([[vm.ofport, records]]);
  await inFolder(folder => compare(Core.load(), folder, captures, JSON.stringify(intent)));
});

test.run();
