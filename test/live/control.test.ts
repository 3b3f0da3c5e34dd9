/**
 * The control socket of live ports, with `slash32 live` as a process: VMs and routes that come and go while traffic passes,
 * devices that come and go with them, and whatever else may be sent to a socket.
 */

import { spawnSync } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { ask } from "../../src/host/index.ts";
import { loadIntent } from "../../src/intent/index.ts";
import { eth } from "../../src/wire/index.ts";
import { assert, peer, suite } from "../harness.ts";
import {
  ADDRESSES,
  Folder,
  fromA,
  killAll,
  MACS,
  Netns,
  needsRoot,
  numberIn,
  Peer,
  type Running,
  runLive,
  startLive,
  summaryOf,
  until,
  VIRTUAL_MAC,
} from "./base.ts";

const test = suite("the control socket of live ports");

const BASE = `\
name: hv1
bridge: br0
label: 1001
uplink: { port: up, ofport: 1, mac: 02:00:00:00:00:01 }
`;

const vm = (n: number, more: object = {}) => ({
  id: 100 + n,
  name: `vm-${n}`,
  port: `t${n}`,
  ofport: 100 + n,
  mac: `52:54:00:00:01:${n.toString(16).padStart(2, "0")}`,
  addresses: [`203.0.113.${100 + n}`],
  path: "l3",
  ...more,
});

/** A request for the MAC of an address, as a VM sends it. */
const arpFrom = ({ mac, addresses }: ReturnType<typeof vm>, tpa: string): Uint8Array =>
  eth({ dst: "ff:ff:ff:ff:ff:ff", src: mac }).arp({ sha: mac, spa: addresses[0]!, tpa }).bytes();

class Scene {
  readonly folder = new Folder();
  readonly socket = this.folder.at("control");

  async start(words: readonly string[], netns: string | null = null): Promise<Running> {
    return startLive(
      ["-n", this.folder.at("hv.yaml"), "--control", this.socket, "--format", "json", ...words],
      netns,
    );
  }

  /** Every port is a socket that listens. */
  unixPorts(): Promise<Running> {
    return this.start(["--port", `*=punix:${this.folder.at("p-*")}`]);
  }

  peer(port: string): Promise<Peer> {
    return Peer.connect(this.folder.at(`p-${port}`));
  }

  async patch(edit: unknown): Promise<{ status: number; message: string; how: string }> {
    const body = typeof edit === "string" ? edit : JSON.stringify(edit);
    const { status, text } = await ask(this.socket, "PATCH", "/v1/intent", body);
    return { status, ...JSON.parse(text) };
  }

  async intent() {
    const { status, text } = await ask(this.socket, "GET", "/v1/intent");
    assert.is(status, 200);
    return { text, intent: JSON.parse(text) };
  }
}

async function onScene(body: (scene: Scene) => Promise<void>): Promise<void> {
  const scene = new Scene();
  try {
    await body(scene);
  } finally {
    killAll();
    scene.folder.remove();
  }
}

test("a VM that is added answers ARP, one that is removed has no port; other traffic loses nothing", () =>
  onScene(async scene => {
    const live = await scene.unixPorts();
    assert.is(statSync(scene.socket).mode & 0o777, 0o600);
    const [a, b] = [await scene.peer("a"), await scene.peer("b")];
    let sent = 0;
    const traffic = setInterval(() => a.send(fromA(sent++), fromA(sent++)), 1);
    for (let n = 1; n <= 20; n++) {
      const added = vm(n);
      const { status, how } = await scene.patch({
        vms: { set: [added], ...(n > 1 ? { remove: [99 + n] } : {}) },
      });
      assert.equal([status, how], [200, "edited"]);
      const peer = await scene.peer(added.port);
      peer.send(arpFrom(added, "203.0.113.1"));
      const [reply] = await peer.receives(1);
      assert.is(
        reply!.toString("hex", 0, 12),
        `${added.mac.replaceAll(":", "")}${VIRTUAL_MAC.replaceAll(":", "")}`,
      );
      assert.is(existsSync(scene.folder.at(`p-t${n - 1}`)), false, "the socket of the VM before is gone");
      const routes = Array.from({ length: 500 }, (_, k) => [
        `10.${n}.${k >> 8}.${k & 255}/32`,
        [2000 + k],
        MACS.uplink,
      ]);
      assert.is((await scene.patch({ routes: { set: routes } })).status, 200);
      peer.close();
    }
    clearInterval(traffic);
    await b.receives(sent);
    assert.equal(
      b.frames.map(frame => numberIn(frame)),
      Array.from({ length: sent }, (_, n) => n),
    );
    const { text, intent } = await scene.intent();
    assert.equal([intent.vms.length, intent.routes.length], [4, 10_001]);
    scene.folder.write("read.yaml", text);
    const loaded = loadIntent(scene.folder.at("read.yaml"));
    assert.equal([loaded.errors, loaded.intent!.routes.count], [[], 10_001]);
    const summary = summaryOf(await live.end());
    assert.equal([summary.undelivered, summary.drops, summary.reloads], [0, {}, 0]);
    assert.is(summary.edits, 40);
    assert.is(existsSync(scene.socket), false);
  }));

test("a path, an address and a route are other ones from one frame to the next", () =>
  onScene(async scene => {
    await scene.unixPorts();
    const [a, b, up] = [await scene.peer("a"), await scene.peer("b"), await scene.peer("up")];
    a.send(fromA(1));
    await b.receives(1);
    // The address of b is elsewhere now.
    const moved = {
      id: 2,
      name: "b",
      port: "b",
      ofport: 12,
      mac: MACS.b,
      addresses: ["203.0.113.88"],
      path: "l3",
    };
    const route = [`${ADDRESSES.b}/32`, [2002, 3003], "02:00:00:00:00:fd"];
    assert.is((await scene.patch({ vms: { set: [moved] }, routes: { set: [route] } })).status, 200);
    a.send(fromA(2), fromA(3, { dst: "203.0.113.88" }));
    await b.receives(2);
    const [labelled] = await up.receives(1);
    assert.is(numberIn(b.frames[1]!), 3);
    assert.is(labelled!.toString("hex", 0, 6), "0200000000fd");
    assert.is(numberIn(labelled!, 2), 2);
  }));

test("the intent read again by SIGHUP takes the place of what was edited; edits go on from there", () =>
  onScene(async scene => {
    const live = await scene.unixPorts();
    await scene.patch({ vms: { set: [vm(1)], remove: [3] } });
    live.child.kill("SIGHUP");
    await live.says("reloaded the intent");
    assert.equal((await scene.intent()).intent.vms.map(({ id }: { id: number }) => id).sort(), [1, 2, 3]);
    assert.is(existsSync(scene.folder.at("p-t1")), false);
    assert.is((await scene.patch({ vms: { set: [vm(4)] } })).how, "edited");
    const peer = await scene.peer("t4");
    peer.send(arpFrom(vm(4), "203.0.113.1"));
    await peer.receives(1);
    assert.is((await live.end()).code, 0);
  }));

test("--capture goes on with the ports that an edit brought", () =>
  onScene(async scene => {
    peer("tshark");
    const file = scene.folder.at("out.pcapng");
    const live = await scene.start(["--port", `*=punix:${scene.folder.at("p-*")}`, "--capture", file]);
    const [a, b] = [await scene.peer("a"), await scene.peer("b")];
    a.send(fromA(1));
    await b.receives(1);
    await scene.patch({ vms: { set: [vm(1)], remove: [3] } });
    const added = await scene.peer("t1");
    added.send(arpFrom(vm(1), "203.0.113.1"));
    await added.receives(1);
    const { stdout } = await live.end();
    assert.equal(
      summaryOf({ stdout })
        .ports.map(({ port_name }: { port_name: string }) => port_name)
        .sort(),
      ["a", "b", "t1", "up"],
    );
    // Names of interfaces are those of the first section to tshark.
    const fields = ["-T", "fields", "-e", "frame.comment"];
    const told = spawnSync("tshark", ["-r", file, ...fields], { encoding: "utf8" });
    assert.equal(told.stdout.trim().split("\n"), ["output b", "from a", "reply t1", "from t1"]);
  }));

test("bad input is refused in one line, and nothing changes", () =>
  onScene(async scene => {
    await scene.unixPorts();
    const { text } = await scene.intent();
    const via = MACS.uplink;
    const cases: readonly (readonly [unknown, number, RegExp])[] = [
      ["", 400, /^body: no JSON/],
      ["[]", 400, /^body: expected a mapping with the keys vms, routes/],
      ["null", 400, /^body: expected a mapping/],
      [{ vm: {} }, 400, /^body: vm is no key here; known are vms, routes/],
      [{ vms: { set: {} } }, 400, /^vms.set: expected a list/],
      [{ vms: { add: [] } }, 400, /^vms: add is no key here/],
      [{ vms: { set: [5] } }, 400, /^vms\.set\[0\]: .*a mapping/],
      [{ vms: { set: [vm(1), { ...vm(2), mac: "52:54" }] } }, 400, /^vms\.set\[1\]\.mac: "52:54" is no MAC/],
      [{ vms: { set: [{ ...vm(2), ofport: 0 }] } }, 400, /^vms\.set\[0\]\.ofport: 0 is out of range/],
      [{ vms: { set: [{ ...vm(2), ofport: "7" }] } }, 400, /^vms\.set\[0\]\.ofport: "7" is a text/],
      [{ vms: { set: [{ ...vm(2), colour: 1 }] } }, 400, /^vms\.set\[0\]: colour is no key of a VM/],
      [{ vms: { set: [{ ...vm(2), addresses: [] }] } }, 400, /^vms\.set\[0\]\.addresses: the list is empty/],
      [
        { vms: { set: [{ ...vm(2), addresses: ["203.0.113.1", "203.0.113.1"] }] } },
        400,
        /addresses: 203\.0\.113\.1 is given twice/,
      ],
      [{ vms: { set: [vm(1), vm(1)] } }, 400, /VM 101 is given twice/],
      [{ vms: { set: [vm(1)], remove: [101] } }, 400, /VM 101 is given twice/],
      [{ vms: { remove: [0] } }, 400, /^vms\.remove\[0\]: an id is a whole number 1…/],
      [{ vms: { set: [{ ...vm(9), addresses: [ADDRESSES.a] }] } }, 409, /address 203\.0\.113\.7 is VM 1's/],
      [{ vms: { set: [{ ...vm(9), mac: MACS.uplink }] } }, 409, /MAC 02:00:00:00:00:01 is the uplink's/],
      [{ vms: { set: [{ ...vm(9), mac: VIRTUAL_MAC }] } }, 409, /MAC fe:00:00:00:01:01 is the virtual MAC/],
      [
        { vms: { set: [{ ...vm(9), port: "c" }], remove: [2] } },
        409,
        /port c is VM 3's; give VM 109 its own/,
      ],
      [{ vms: { set: [vm(8), { ...vm(9), ofport: 108 }] } }, 409, /ofport 108 is VM 108's/],
      [{ routes: { set: [["10.0.0.1/32", [1], via]] } }, 400, /^routes\.set\[0\]: labels: 1 is out of range/],
      [{ routes: { set: [["10.0.0.1/32", ["20"], via]] } }, 400, /labels: a label is a number 16…1048575/],
      [{ routes: { set: [["10.0.0.1/32", [20, 21, 22, 23], via]] } }, 400, /4 labels are too many/],
      [{ routes: { set: [["10.0.0.1/31", [], via]] } }, 400, /has host bits set/],
      [{ routes: { set: [["10.0.0.1", [], via]] } }, 400, /has no length/],
      [{ routes: { set: [["10.0.0.1/32", []]] } }, 400, /a route is \[prefix, labels, via\]/],
      [{ routes: { set: [["10.0.0.1/32", [], 7]] } }, 400, /via: expected a text/],
      [
        { routes: { set: [["10.0.0.1/32", [], via]], remove: ["10.0.0.1/32"] } },
        400,
        /10\.0\.0\.1\/32 is given twice/,
      ],
      [{ routes: { remove: [7] } }, 400, /^routes\.remove\[0\]: expected a text/],
    ];
    for (const [edit, status, message] of cases) {
      const answer = await scene.patch(edit);
      assert.is(answer.status, status, `${JSON.stringify(edit)}: ${answer.message}`);
      assert.match(answer.message, message);
      assert.not.match(answer.message, /\n/);
    }
    assert.is((await scene.intent()).text, text);
    const refused = await ask(scene.socket, "PUT", "/v1/intent", "{}");
    assert.is(refused.status, 405);
    assert.match(refused.text, "/v1/intent does not take PUT; expected GET, HEAD, PATCH");
    assert.is((await ask(scene.socket, "PUT", "/v1/intents", "{}")).status, 404);
    const head = spawnSync("curl", ["-sI", "--unix-socket", scene.socket, "http://live/v1/intent"]);
    if (head.status === 0) assert.match(head.stdout.toString(), /^HTTP\/1.1 200 OK\r\n.*\r\n\r\n$/s);
    const options = ["-siX", "DELETE", "--unix-socket", scene.socket, "http://live/v1/intent"];
    const none = spawnSync("curl", options);
    if (none.status === 0) assert.match(none.stdout.toString(), /405.*\nallow: GET, HEAD, PATCH\r/is);
    assert.is((await scene.patch({})).how, "nothing");
    assert.is(
      (await scene.patch({ vms: { remove: [77] }, routes: { remove: ["10.0.0.1/32"] } })).how,
      "nothing",
    );
  }));

test("a socket that somebody answers at is not taken; one that was left behind is", () =>
  onScene(async scene => {
    const first = await scene.unixPorts();
    const words = ["-n", scene.folder.at("hv.yaml"), "--control", scene.socket, "--port"];
    const second = await runLive([...words, `up=punix:${scene.folder.at("other")}`]);
    assert.is(second.code, 1);
    assert.match(second.stderr, /somebody answers there already; give each slash32 live a socket of its own/);
    await first.end("SIGKILL");
    assert.ok(existsSync(scene.socket));
    const third = await startLive([...words, `up=punix:${scene.folder.at("third")}`]);
    await scene.intent();
    await third.end();
  }));

test("what * may stand for is checked", async () => {
  const folder = new Folder();
  const cases = [
    ["*=tap:one", /the device needs a \* for the port's name, as in \*=tap:\*/],
    ["*=pcap:*", /libpcap is not there for \*; take afpacket:\*/],
  ] as const;
  for (const [port, message] of cases) {
    const { code, stderr } = await runLive(["-n", folder.at("hv.yaml"), "--port", port]);
    assert.is(code, 1);
    assert.match(stderr, message);
  }
  folder.remove();
});

test("a port that no device can be made for is a note, and its VM is there all the same", () =>
  onScene(async scene => {
    const live = await scene.unixPorts();
    assert.is((await scene.patch({ vms: { set: [vm(1, { port: "odd/name" })] } })).status, 200);
    await live.says(/odd\/name: .* it has a \/; the port has no device/);
    assert.is((await scene.intent()).intent.vms.length, 4);
  }));

test("taps come and go with their VMs, and a VM's kernel finds its gateway", async () => {
  needsRoot();
  const netns = new Netns();
  const scene = new Scene();
  try {
    scene.folder.write("hv.yaml", BASE);
    const live = await scene.start(
      ["--port", `up=punix:${scene.folder.at("up")}`, "--port", "*=tap:*"],
      netns.name,
    );
    const added = vm(7);
    assert.is((await scene.patch({ vms: { set: [added] } })).status, 200);
    netns.ip(`link set dev t7 address ${added.mac}`);
    netns.ip("addr add 203.0.113.107/24 dev t7");
    const neighbour = (): string => {
      netns.run("sh", "-c", "ping -c 1 -W 1 203.0.113.1 >/dev/null 2>&1 || true");
      return netns.ip("neigh show dev t7");
    };
    assert.match(neighbour(), new RegExp(`203\\.0\\.113\\.1 lladdr ${VIRTUAL_MAC}`));
    assert.is((await scene.patch({ vms: { remove: [107] } })).status, 200);
    await until(() => !netns.ip("link show").includes("t7"));
    assert.is((await scene.patch({ vms: { set: [added] } })).status, 200);
    assert.ok(netns.ip("link show").includes("t7"));
    assert.is((await live.end()).code, 0);
  } finally {
    killAll();
    netns.remove();
    scene.folder.remove();
  }
});

test.run();
