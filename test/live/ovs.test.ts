/**
 * Live ports plugged into a real Open vSwitch without root: the uplink is the other end of a dummy port's socket
 * (lib/netdev-dummy.c), and what the switch sends back by it comes in again.
 */
import { join } from "node:path";
import { runProgram, startDaemons } from "../../src/verify/switch/process.ts";
import { assert, peer, suite } from "../harness.ts";
import { ADDRESSES, Folder, fromA, killAll, Peer, startLive, summaryOf, until } from "./base.ts";

const test = suite("live ports and Open vSwitch");
const FRAMES = 200;

test("an uplink is a dummy port of a switch, whichever end listens", async () => {
  peer("ovs-vswitchd");
  const folder = new Folder();
  const sockets = { listens: folder.at("s1"), connects: folder.at("s2") };
  const daemons = await startDaemons(
    ["unused"],
    () => {},
    () => [
      ...["add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=dummy", "fail-mode=secure"],
      ...["--", "add-port", "br0", "p1", "--", "set", "interface", "p1", "type=dummy", "ofport_request=1"],
      `options:pstream=punix:${sockets.listens}`,
      ...["--", "add-port", "br0", "p2", "--", "set", "interface", "p2", "type=dummy", "ofport_request=2"],
      `options:stream=unix:${sockets.connects}`,
    ],
    null,
  );
  try {
    const bridge = join(daemons.folder, "br0.mgmt");
    await runProgram(
      "ovs-ofctl",
      ["add-flow", bridge, "actions=mod_dl_dst:02:00:00:00:00:01,in_port"],
      daemons.env,
    );
    for (const device of [`unix:${sockets.listens}`, `punix:${sockets.connects}`]) {
      const words = ["-n", folder.at("hv.yaml"), "--format", "json", "--port", `up=${device}`];
      const live = await startLive([...words, "--port", `a=punix:${folder.at("a")}`]);
      const a = await Peer.connect(folder.at("a"));
      if (device.startsWith("punix")) {
        // The switch tries once a second.
        await until(() => {
          a.send(fromA(0, { dst: ADDRESSES.far }));
          return false;
        }, 2500).catch(() => {});
      }
      a.send(...Array.from({ length: FRAMES }, (_, index) => fromA(index, { dst: ADDRESSES.far })));
      await new Promise(resolve => setTimeout(resolve, 300));
      const summary = summaryOf(await live.end());
      const [up] = summary.ports;
      assert.ok(up.out - up.send_lost >= FRAMES, JSON.stringify(up));
      assert.is(up.in, up.out - up.send_lost, "what went out came back");
      // The label is the far end's, so it is not ours.
      assert.equal(summary.drops, { "unknown-label": up.in });
    }
  } finally {
    killAll();
    await daemons.stop();
    folder.remove();
  }
});

test.run();
