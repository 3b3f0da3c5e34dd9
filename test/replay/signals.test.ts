/**
 * A replay that a signal ends: what was read is complete in the outputs, under their names, and the exit
 * status says which signal it was. Each run is stopped when its output begins to grow; how far it was by then
 * is not looked at.
 */
import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { makeFolder, ONE_VM, type Packet, PcapNg, pcapFile, put, root } from "../capture/base.ts";
import { assert, suite } from "../harness.ts";
import { walk } from "./walk.ts";

const test = suite("replay/signals");

/** A packet of tap1 that leaves. */
function packet(index: number): Packet {
  const frame = Buffer.alloc(1000, index & 0xff);
  Buffer.from("fe000000010152540000000b0800", "hex").copy(frame);
  frame.set([0x45, 0, 986 >>> 8, 986 & 255, 0, 0, 0, 0, 64, 17, 0, 0, 203, 0, 113, 7, 198, 51, 100, 9], 14);
  return { time: 1_700_000_000_000_000_000n + BigInt(index), frame };
}

const folder = makeFolder();
put(folder, "hv.yaml", ONE_VM);
const many = Array.from({ length: 120_000 }, (_, index) => packet(index));
put(folder, "large.pcap", pcapFile(many));

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a replay, and sends a signal when `isReady`. */
async function interrupted(
  args: readonly string[],
  signal: "SIGINT" | "SIGTERM" | "SIGHUP",
  isReady: () => boolean,
  feed: (input: NodeJS.WritableStream) => void = input => input.end(),
): Promise<Ended> {
  const program = join(root, "bin/slash32");
  const command = [program, "replay", "-n", "hv.yaml", ...args, "--format", "json"];
  const child = spawn(process.execPath, command, { cwd: folder });
  const [out, err]: [Buffer[], Buffer[]] = [[], []];
  child.stdout.on("data", piece => out.push(piece));
  child.stderr.on("data", piece => err.push(piece));
  child.stdin.on("error", () => {});
  const ended = new Promise<number | null>(resolve => child.on("close", resolve));
  feed(child.stdin);
  for (let looks = 0; !isReady() && child.exitCode === null && looks < 6000; looks++) await sleep(10);
  child.kill(signal);
  const code = await ended;
  return { code, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() };
}

const isGrowing = (name: string) => (): boolean =>
  existsSync(join(folder, name)) && statSync(join(folder, name)).size > 0;

function checkOutput(ended: Ended, code: number, signal: string): number {
  assert.is(ended.code, code, ended.stderr);
  assert.match(
    ended.stderr,
    new RegExp(
      `^slash32: interrupted by ${signal} after [\\d,]+ bytes; the report and the output files have all frames`,
      "m",
    ),
  );
  const report = JSON.parse(ended.stdout);
  assert.is(report.interrupted, signal);
  const written = walk(readFileSync(join(folder, "out.pcapng")));
  assert.equal(written.ending, { kind: "whole" });
  assert.is(written.frames.length, report.outputs["1"] ?? 0);
  assert.not.ok(readdirSync(folder).some(name => name.endsWith(".part")));
  return report.frames;
}

const OUTPUTS = ["-w", "out.pcapng", "--drops", "drops.pcapng"];

for (const threads of ["1", "2"]) {
  test(`a large file, on ${threads} cores`, async () => {
    for (const [signal, code] of [
      ["SIGINT", 130],
      ["SIGTERM", 143],
    ] as const) {
      const args = ["-r", "tap1=large.pcap", "--threads", threads, ...OUTPUTS];
      const ended = await interrupted(args, signal, isGrowing("out.pcapng.part"));
      // A machine that is slow to send the signal sees the end of the replay first.
      if (ended.code === 0) continue;
      const frames = checkOutput(ended, code, signal);
      assert.ok(frames > 0 && frames <= many.length);
    }
  });
}

test("a pipe whose writer goes on, says nothing, or stops in the middle of a record", async () => {
  const head = pcapFile(many.slice(0, 500));
  const part = pcapFile([packet(0)]).subarray(24, 24 + 300);
  for (const [bytes, signal, code] of [
    [head, "SIGINT", 130],
    [Buffer.concat([head, part]), "SIGTERM", 143],
    [new PcapNg().section().interface({ name: "tap1" }).packet(0, packet(1)).bytes(), "SIGHUP", 129],
  ] as const) {
    const args = ["-r", "tap1=-", ...OUTPUTS];
    const ended = await interrupted(args, signal, isGrowing("out.pcapng.part"), input => input.write(bytes));
    const frames = checkOutput(ended, code, signal);
    assert.ok(frames <= 500);
    assert.not.match(ended.stderr, "ends inside a record", "what is missing is not damage");
  }
});

test("a pipe from which no packet came yet: empty captures", async () => {
  let looks = 0;
  const args = ["-r", "tap1=-", ...OUTPUTS];
  const ended = await interrupted(
    args,
    "SIGINT",
    // There is nothing to see; the program has begun to wait long before.
    () => looks++ > 300,
    input => input.write(pcapFile([])),
  );
  // A machine that is slow to start sends the signal to a program that does not wait for it yet.
  if (ended.code === null) return;
  assert.is(checkOutput(ended, 130, "SIGINT"), 0);
});

test.run();
