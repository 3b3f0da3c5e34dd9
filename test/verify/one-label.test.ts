/**
 * One label wrong among many flows of a real Open vSwitch: the dump says so, the proof finds it, and the
 * switch does with the frame what was said of both sides. PROOF_ROUTES says how many routes (1000000 takes
 * some minutes, most of them Open vSwitch's own).
 */

import { writeFileSync } from "node:fs";
import { loadIntent } from "../../src/intent/index.ts";
import { Flows, flowText } from "../../src/pipeline/index.ts";
import { Folder } from "../cli/base.ts";
import { assert, peer, suite } from "../harness.ts";
import { type Answer, PrivateSwitch } from "../ovs/private-switch.ts";

const test = suite("verify › one label of a real switch");
const ROUTES = Number(process.env.PROOF_ROUTES ?? 2000);
const INTENT = `name: hv1
bridge: br0
label: 1001
uplink: { port: uplink0, ofport: 1, mac: "02:00:00:00:00:01" }
routesFile: routes.txt
vms:
  - { id: 1, name: web, port: tap1, ofport: 11, mac: "52:54:00:00:00:0b", addresses: [203.0.113.7], path: l3 }
`;

/** Prefix, label and next hop of route `index`: all three its own. */
function routeOf(index: number): string {
  const octets = [100, (index >>> 16) & 0xff, (index >>> 8) & 0xff, index & 0xff];
  const via = [2, 0, 0, ...octets.slice(1)].map(byte => byte.toString(16).padStart(2, "0"));
  return `${octets.join(".")}/32 ${16 + (index % 1_000_000)} ${via.join(":")}`;
}

const outputsOf = ({ outputs }: Answer): { port: number; frame: string }[] =>
  outputs.map(({ port, frame }) => ({ port, frame: Buffer.from(frame).toString("hex") }));

test(`among ${ROUTES} routes`, async () => {
  peer("ovs-vswitchd");
  const folder = new Folder({
    "hv.yaml": INTENT,
    "routes.txt": `${Array.from({ length: ROUTES }, (_, index) => routeOf(index)).join("\n")}\n`,
  });
  const sw = await PrivateSwitch.start({ ports: [{ number: 1 }, { number: 11 }] });
  try {
    const { intent } = loadIntent(folder.at("hv.yaml"));
    const lines = [...new Flows(intent!)].map(flowText);
    const wrong = lines.findIndex((line, at) => at > lines.length / 2 && line.includes("->mpls_label"));
    const right = lines[wrong]!;
    const installed = lines.with(
      wrong,
      right.replace(/set_field:\d+->mpls_label/, "set_field:7->mpls_label"),
    );
    await sw.replaceFlows(`${installed.join("\n")}\n`);
    writeFileSync(folder.at("br0.flows"), await sw.dumpFlows());
    const ran = folder.run(["verify", "-n", "hv.yaml", "-f", "br0.flows", "--format", "json"]);
    assert.is(ran.code, 2, ran.stderr);
    const { differences, seconds } = JSON.parse(ran.stdout);
    const [{ what, affected, in_port, frame, a, b }] = differences;
    assert.is(what, "mpls_label differs");
    assert.match(affected, /^1 of /);
    assert.is(a.flows.at(-1).compiled_line, wrong + 1);
    assert.match(b.flows.at(-1).text, "set_field:7->mpls_label");
    const bytes = Uint8Array.from(Buffer.from(frame, "hex"));
    assert.equal(outputsOf(await sw.send(in_port, bytes)), hexOnly(b.outputs), "what is installed");
    await sw.addFlows(`${right}\n`);
    assert.equal(outputsOf(await sw.send(in_port, bytes)), hexOnly(a.outputs), "what was meant");
    process.stdout.write(`  ${ROUTES} routes: the proof took ${seconds.toFixed(2)} s\n`);
  } finally {
    folder.remove();
    await sw.close();
  }
});

const hexOnly = (outputs: readonly { port: number; frame: string }[]): { port: number; frame: string }[] =>
  outputs.map(({ port, frame }) => ({ port, frame }));

test.run();
