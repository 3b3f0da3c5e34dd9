/**
 * The corners are expectations written by hand; the model is a program written by somebody else from the same
 * rules. Here the two are held against each other, and the list against its claim to be complete.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { corners } from "../../pcaps/corners.ts";
import * as world from "../../pcaps/world.ts";
import { formatHex, summarize } from "../../src/wire/index.ts";
import { assert, suite } from "../harness.ts";
import { type ModelIntent, runModel } from "../model/model.ts";

const test = suite("pcaps/corners");

const intentFile = join(import.meta.dirname, "../../pcaps/corners.yaml");
const intent: ModelIntent = parse(readFileSync(intentFile, "utf8"));

/**
 * Every reason there is, but `unknown-port`: no pcapng interface can name
 * a port that the intent does not have.
 */
const REASONS = [
  ...[
    "too-short",
    "too-long",
    "vlan-tagged",
    "spoofed-source",
    "malformed",
    "multicast-destination",
    "not-ip",
  ],
  ...["unknown-label", "label-stack", "arp-probe", "arp-suppressed", "ttl-expired", "no-local-vm", "martian"],
  ...["no-route", "bridge-suppressed", "same-port"],
];

test("every verdict is the model's", () => {
  for (const { port, frame, what, verdict } of corners()) {
    const result = runModel(intent, port, frame);
    const detail = { output: ` ${result.port}`, reply: "", drop: ` ${result.reason}` }[result.verdict];
    assert.is(`${result.verdict}${detail}`, verdict, `${what}, port ${port}: ${summarize(frame)}`);
  }
});

test("checksums become what is announced", () => {
  let checked = 0;
  for (const { port, frame, what } of corners()) {
    const after = /becomes 0x([0-9a-f]{4})/.exec(what)?.[1];
    if (after === undefined) continue;
    // The routed packet got one label, the labelled one lost it.
    const at = port === world.UPLINK_PORT ? 24 : 28;
    const left = runModel(intent, port, frame).frame!;
    assert.is(formatHex(left.subarray(at, at + 2)), after, what);
    checked++;
  }
  assert.is(checked, 14);
});

test("every reason, every port and every other verdict occurs", () => {
  const verdicts = new Set(corners().map(corner => corner.verdict));
  for (const reason of REASONS) assert.ok(verdicts.has(`drop ${reason}`), reason);
  for (const port of [1, 11, 12, 13, 14, 15, 16]) assert.ok(verdicts.has(`output ${port}`), `output ${port}`);
  assert.ok(verdicts.has("reply"));
  for (const verdict of verdicts) {
    const known = verdict === "reply" || /^output \d+$/.test(verdict) || REASONS.includes(verdict.slice(5));
    assert.ok(known, verdict);
  }
});

test("one line of text without a bar for each, said once a port", () => {
  const seen = new Set<string>();
  for (const { port, what } of corners()) {
    assert.not.match(what, /[|\n]/);
    assert.not.ok(seen.has(`${port} ${what}`), what);
    seen.add(`${port} ${what}`);
  }
});

test("the world is that of corners.yaml", () => {
  assert.is(intent.label, world.LABEL);
  assert.is(intent.virtualMac, world.VIRTUAL_MAC);
  assert.is(intent.uplink.mac, world.UPLINK_MAC);
  assert.is(intent.uplink.ofport, world.UPLINK_PORT);
  assert.equal([intent.uplink.port, ...intent.vms.map(vm => vm.port)], world.PORT_NAMES);
  const guests = intent.vms.map(({ port, ofport, mac, addresses }) => ({
    name: port,
    ofport,
    mac,
    address: addresses[0],
  }));
  assert.equal(guests, world.GUESTS);
  assert.is(intent.vms.find(vm => vm.ofport === world.TWO.ofport)?.addresses[1], world.SECOND_ADDRESS);
  assert.equal(
    intent.vms.map(vm => vm.path),
    ["l3", "dual-l3", "dual-l2", "l2", "l3", "l3"],
  );
});

test.run();
