/**
 * The committed captures: the generated ones are what the generator makes, the real ones come from the guests
 * of hv1.yaml, carry only documentation addresses, and say nothing about the machine they were taken on.
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { decompress } from "fzstd";
import { parse } from "yaml";
import { generated } from "../../pcaps/generate.ts";
import { readPcap } from "../../pcaps/write.ts";
import { formatHex, formatIpv4, summarize } from "../../src/wire/index.ts";
import { assert, suite } from "../harness.ts";
import { type ModelIntent, runModel } from "../model/model.ts";

const test = suite("pcaps/files");

const folder = join(import.meta.dirname, "../../pcaps");
const file = (name: string): Buffer => readFileSync(join(folder, name));
const intentOf = (name: string): ModelIntent => parse(file(name).toString());

/** The single-guest captures, as classic pcap. */
const GUEST_FILES: readonly { readonly ofport: number; readonly read: () => Uint8Array }[] = [
  { ofport: 11, read: () => file("tap101.pcap") },
  { ofport: 12, read: () => file("tap102.pcap") },
  { ofport: 15, read: () => gunzipSync(file("tap105.pcap.gz")) },
  { ofport: 16, read: () => decompress(file("tap106.pcap.zst")) },
];

/** Documentation (RFC 5737), and what a host says before it has an address, to groups, and to nowhere. */
const DOCUMENTATION = /^(203\.0\.113|198\.51\.100|192\.0\.2)\.\d+$/;
const NOBODY = /^(0\.0\.0\.0|0\.1\.2\.3|240\.0\.0\.1|22\d(\.\d+){3}|255\.255\.255\.255|10\.0\.100\.\d+)$/;

function isExpected(address: string): boolean {
  return DOCUMENTATION.test(address) || NOBODY.test(address);
}

test("the generated captures are what the generator makes", () => {
  for (const [name, bytes] of generated()) assert.ok(file(name).equals(bytes), `${name}: run generate.ts`);
});

test("all captures together stay below 5 MB", () => {
  const captures = readdirSync(folder).filter(name => /\.pcap/.test(name));
  assert.ok(captures.length >= 10);
  assert.ok(captures.reduce((sum, name) => sum + statSync(join(folder, name)).size, 0) < 5_000_000);
});

test("guests send from their own MACs, mostly what is forwarded", () => {
  const intent = intentOf("hv1.yaml");
  for (const { ofport, read } of GUEST_FILES) {
    const frames = readPcap(read()).map(record => record.frame);
    const mac = intent.vms.find(vm => vm.ofport === ofport)!.mac.replaceAll(":", "");
    const own = frames.filter(frame => formatHex(frame.subarray(6, 12)) === mac);
    assert.ok(frames.length > 50 && own.length > frames.length * 0.8, `port ${ofport}`);
    const verdicts = frames.map(frame => runModel(intent, ofport, frame).verdict);
    assert.ok(verdicts.filter(verdict => verdict === "output").length > frames.length / 2, `port ${ofport}`);
    assert.ok(verdicts.includes("reply") && verdicts.includes("drop"), `port ${ofport}`);
  }
});

test("the guests' IPv4 is whole: checksums right, addresses for documentation", () => {
  for (const { read } of GUEST_FILES) {
    for (const { frame } of readPcap(read())) {
      const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
      const broken = summarize(frame).includes("bad lengths");
      if (frame.length < 34 || view.getUint16(12) !== 0x0800 || broken) continue;
      let sum = 0;
      for (let at = 14; at < 14 + (view.getUint8(14) & 15) * 4; at += 2) sum += view.getUint16(at);
      assert.is((sum & 0xffff) + (sum >>> 16), 0xffff, summarize(frame));
      for (const at of [26, 30]) assert.ok(isExpected(formatIpv4(view.getUint32(at))), summarize(frame));
    }
  }
});

test("the two intents agree but for the default route", () => {
  const [demo, corners] = [intentOf("hv1.yaml"), intentOf("corners.yaml")];
  assert.equal({ ...demo, routes: demo.routes.filter(route => route.prefix !== "0.0.0.0/0") }, corners);
});

test("no capture names the machine it was taken on", () => {
  // A short host name such as "a" could stand in any file by chance.
  const words = [hostname(), "Linux", "/home/", "/root", "/tmp/", "dumpcap", "Wireshark"];
  for (const name of readdirSync(folder).filter(entry => /\.pcap(ng)?$/.test(entry))) {
    const text = file(name).toString("latin1");
    for (const word of words.filter(word => word.length > 4))
      assert.not.ok(text.includes(word), `${name}: ${word}`);
  }
});

test.run();
