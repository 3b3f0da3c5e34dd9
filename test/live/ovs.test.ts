/**
 * Live ports plugged into a real Open vSwitch without root: the uplink is the other end of a dummy port's
 * socket (lib/netdev-dummy.c), and what the switch sends back by it comes in again.
 */
import { join } from "node:path";
import { assert, peer, suite, WAIT_MS } from "../harness.ts";
import { runProgram, startDaemons } from "../ovs/daemons.ts";
import { ADDRESSES, Folder, fromA, killAll, Peer, startLive, summaryOf } from "./base.ts";

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
      const words = [
        "-n",
        folder.at("hv.yaml"),
        "--format",
        "json",
        "--metrics",
        "0",
        "--port",
        `up=${device}`,
      ];
      const live = await startLive([...words, "--port", `a=punix:${folder.at("a")}`]);
      const a = await Peer.connect(folder.at("a"));
      const url = /metrics at (http:\S+)/.exec(live.stderr)![1]!;
      /**
       * Frames that came in by the uplink, and those that were sent there and not lost; a series of zero is
       * left out.
       */
      const counts = async (): Promise<[came: number, sent: number]> => {
        const text = await (await fetch(url)).text();
        const lines = text.split("\n");
        const of = (series: string): number =>
          Number(lines.find(line => line.startsWith(`slash32_${series} `))?.split(" ")[1] ?? 0);
        const [came, out] = ["in", "out"].map(way => of(`frames_total{port="up",direction="${way}"}`));
        return [came!, out! - of('lost_total{port="up",direction="out"}')];
      };
      const end = performance.now() + WAIT_MS;
      const pause = async (): Promise<void> => {
        if (performance.now() > end) throw new Error(`came back, sent: ${await counts()}`);
        await new Promise(resolve => setTimeout(resolve, 20));
      };
      // The switch connects to a port that listens once a second.
      while ((await counts())[0] === 0) {
        a.send(fromA(0, { dst: ADDRESSES.far }));
        await pause();
      }
      a.send(...Array.from({ length: FRAMES }, (_, index) => fromA(index, { dst: ADDRESSES.far })));
      for (let [came, sent] = [0, 0]; came < FRAMES || came < sent; [came, sent] = await counts())
        await pause();
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
