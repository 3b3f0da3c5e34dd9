/** Reading a live switch: a private one stands for it, and nothing of it may change. */

import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { readLiveBridge } from "../../src/host/index.ts";
import { parseIntent } from "../../src/intent/index.ts";
import { Flows, flowText } from "../../src/pipeline/index.ts";
import { Folder, INTENT, PROGRAM, type Ran } from "../cli/base.ts";
import { assert, peer, suite } from "../harness.ts";
import { PrivateSwitch } from "../ovs/private-switch.ts";

const test = suite("a live bridge");

const LINES = [...new Flows(parseIntent(INTENT, "hv.yaml", ".").intent!)].map(flowText);
const PORTS = [
  { number: 1, name: "uplink0" },
  { number: 11, name: "tap101" },
  { number: 12, name: "tap102" },
];

async function withSwitch(
  body: (sw: PrivateSwitch, folder: Folder) => Promise<void>,
  tunnels: readonly number[] = [],
): Promise<void> {
  peer("ovs-vswitchd");
  const sw = await PrivateSwitch.start({ ports: PORTS, tunnels });
  const folder = new Folder();
  try {
    await body(sw, folder);
  } finally {
    folder.remove();
    await sw.close();
  }
}

/** Not spawnSync: the switch's sockets are ours to read meanwhile. */
function run(folder: Folder, ...args: string[]): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [PROGRAM, ...args], { cwd: folder.path });
    let [stdout, stderr] = ["", ""];
    child.stdout.on("data", data => (stdout += data));
    child.stderr.on("data", data => (stderr += data));
    child.on("error", reject);
    child.on("close", code => resolve({ code, stdout, stderr }));
  });
}

test("flows, groups and ports are read, twice, and stay as they are", () =>
  withSwitch(async sw => {
    await sw.replaceGroups("group_id=7,type=all,bucket=actions=output:12");
    await sw.replaceFlows("table=0,priority=5,in_port=1 actions=group:7\n");
    const before = await sw.dumpFlows({ stats: false });
    const live = readLiveBridge(join(sw.whereabouts.folder, "br0.mgmt"));
    const text = new TextDecoder().decode(live.flows);
    assert.match(text, /priority=5,in_port=1 actions=group:7/);
    assert.match(live.groups, "group_id=7");
    assert.match(live.ports, "tap102");
    assert.ok(live.isSteady);
    assert.is(await sw.dumpFlows({ stats: false }), before);
  }));

test("verify --bridge: equal, then different when a flow is changed; by socket and by --db", () =>
  withSwitch(async (sw, folder) => {
    const home = sw.whereabouts.folder;
    // The private switch has a flow of its own for its markers, whose cookie is left out here.
    const marker = ["--ignore-cookie", await markerCookie(sw)];
    await sw.replaceFlows(`${LINES.join("\n")}\n`);
    const bridge = ["verify", "-n", "hv.yaml", "--bridge"];
    const equal = await run(folder, ...bridge, join(home, "br0.mgmt"), ...marker, "--format", "json");
    assert.is(equal.code, 0, equal.stdout + equal.stderr);
    assert.equal(JSON.parse(equal.stdout).sides.b.steady, true);
    await sw.replaceFlows(
      `${LINES.join("\n").replace("set_field:3003->mpls_label", "set_field:9->mpls_label")}\n`,
    );
    const database = ["--db", `unix:${join(home, "db.sock")}`];
    const different = await run(folder, ...bridge, "br0", ...database, ...marker, "--format", "json");
    assert.is(different.code, 2, different.stderr);
    const [{ what, replay, b }] = JSON.parse(different.stdout).differences;
    assert.is(what, "mpls_label differs");
    writeFileSync(
      folder.at("replay.sh"),
      `slash32() { "${process.execPath}" "${PROGRAM}" "$@"; }\n${replay}\n`,
    );
    const shown = await runShell(folder, "replay.sh");
    assert.match(shown.stdout, b.outputs[0].frame);
  }));

test("verify --bridge goes by the types of the bridge's interfaces", () =>
  withSwitch(
    async (sw, folder) => {
      const home = sw.whereabouts.folder;
      const database = ["--db", `unix:${join(home, "db.sock")}`, "--ignore-cookie", await markerCookie(sw)];
      const verdictWith = async (flow: string): Promise<{ verdict: string; what: string | undefined }> => {
        await sw.replaceFlows(`${[...LINES, flow].join("\n")}\n`);
        const ran = await run(
          folder,
          "verify",
          "-n",
          "hv.yaml",
          "--bridge",
          "br0",
          ...database,
          "--format",
          "json",
        );
        const { verdict, differences } = JSON.parse(ran.stdout);
        return { verdict, what: differences[0]?.what };
      };
      // Port 20 is a VXLAN tunnel, the others are not: the second flow is met by no frame.
      const entering = await verdictWith("priority=40000,in_port=20,tun_id=0x64 actions=output:11");
      assert.is(entering.verdict, "different");
      assert.not.match(entering.what!, "is a tunnel");
      const plain = await verdictWith("priority=40000,in_port=11,tun_id=0x64 actions=output:12");
      assert.is(plain.verdict, "equal");
    },
    [20],
  ));

test("a bridge that is not there is one line", async () => {
  peer("ovs-ofctl");
  const folder = new Folder();
  const ran = await run(folder, "verify", "-n", "hv.yaml", "--bridge", folder.at("none.mgmt"));
  folder.remove();
  assert.is(ran.code, 1);
  assert.match(ran.stderr, /^slash32: [^\n]*none\.mgmt: ovs-ofctl: [^\n]*\n$/);
});

async function markerCookie(sw: PrivateSwitch): Promise<string> {
  const text = new TextDecoder().decode(readLiveBridge(join(sw.whereabouts.folder, "br0.mgmt")).flows);
  await sw.dumpFlows();
  const cookie = /cookie=(0x[0-9a-f]+)/.exec(text)?.[1];
  if (cookie === undefined) throw new Error(`no marker flow in ${text}`);
  return cookie;
}

function runShell(folder: Folder, script: string): Promise<Ran> {
  return new Promise(resolve => {
    const child = spawn("bash", [script], { cwd: folder.path });
    let [stdout, stderr] = ["", ""];
    child.stdout.on("data", data => (stdout += data));
    child.stderr.on("data", data => (stderr += data));
    child.on("close", code => resolve({ code, stdout, stderr }));
  });
}

test.run();
