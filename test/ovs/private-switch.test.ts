/**
 * The private Open vSwitch: that every output and packet-in is given to the frame it came from, that none is
 * lost, that a change of flows holds from the next frame on, that its errors are lines for a person, and that
 * nothing is left of it however its user ends. What Open vSwitch does with frames is not tested here; see
 * test/model/ovs.test.ts.
 */

import { type ChildProcess, spawn } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { bundleModule } from "../bundle.ts";
import { assert, isTimed, peer, suite, WAIT_MS } from "../harness.ts";
import { type Answer, PrivateSwitch } from "./private-switch.ts";
import { programsOf } from "./versions.ts";

const test = suite("private Open vSwitch");
const PORTS = [{ number: 1 }, { number: 2 }, { number: 3 }];

async function withSwitch(
  body: (sw: PrivateSwitch) => Promise<void>,
  options: Parameters<typeof PrivateSwitch.start>[0] = { ports: PORTS },
): Promise<void> {
  peer("ovs-vswitchd");
  const sw = await PrivateSwitch.start(options);
  try {
    await body(sw);
  } finally {
    await sw.close();
  }
}

/** An IPv4 frame of protocol 17 to 10.0.0.`last`, `number` in its payload. */
function ipFrame(last: number, { number = 0, ttl = 64, bytes = 60 } = {}): Buffer {
  const frame = Buffer.alloc(bytes);
  frame.write("0200000000020200000000010800", "hex");
  frame.write("4500", 14, "hex");
  frame.writeUInt16BE(bytes - 14, 16);
  frame[22] = ttl;
  frame[23] = 17;
  frame.write("0a0100010a000000", 26, "hex");
  frame[33] = last;
  frame.writeUInt32BE(number, 50);
  return frame;
}

const portsOf = ({ outputs }: Answer): number[] => outputs.map(({ port }) => port);

async function messageOf(doing: Promise<unknown>): Promise<string> {
  try {
    await doing;
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error("that should have been refused");
}

async function until(what: string, holds: () => boolean): Promise<void> {
  const deadline = performance.now() + WAIT_MS;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`${what}: not after ${WAIT_MS / 1000} s`);
    await sleep(10);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

test("starts; says its version; leaves nothing", async () => {
  peer("ovs-vswitchd");
  const took: number[] = [];
  for (let i = 0; i < 3; i++) {
    const sw = await PrivateSwitch.start({ ports: PORTS });
    took.push(sw.startMs);
    assert.match(sw.version, /^\d+\.\d+\.\d+/);
    const { folder, pids } = sw.whereabouts;
    assert.ok(existsSync(folder) && pids.every(isAlive));
    await sw.close();
    await sw.close();
    assert.not.ok(existsSync(folder), folder);
    assert.equal(pids.filter(isAlive), []);
    assert.match(await messageOf(sw.send(1, ipFrame(1))), "was closed");
  }
  process.stdout.write(`\n  started in ${took.map(ms => ms.toFixed(0)).join(", ")} ms\n`);
  if (isTimed) assert.ok(Math.min(...took) < 500, `${took} ms`);
});

test("outputs of a port come in the order of the actions, copies and all", async () => {
  await withSwitch(async sw => {
    const actions = "output:3,output:2,dec_ttl,output:2,output:2,dec_ttl,output:3,in_port";
    await sw.replaceFlows(`ip actions=${actions}`);
    const { outputs, packetIns } = await sw.send(1, ipFrame(1));
    const seen = outputs.map(({ port, frame }) => `${port} ttl ${frame[22]}`);
    assert.equal(seen, ["1 ttl 62", "2 ttl 64", "2 ttl 63", "2 ttl 63", "3 ttl 64", "3 ttl 62"]);
    assert.equal(packetIns, []);
  });
});

/** What each last byte of an address asks for, and what must come of it. */
const KINDS: { actions: string; ports: number[]; packetIns: number }[] = [
  { actions: "drop", ports: [], packetIns: 0 },
  { actions: "output:2", ports: [2], packetIns: 0 },
  { actions: "output:2,output:2,output:2", ports: [2, 2, 2], packetIns: 0 },
  { actions: "output:3,controller,output:2", ports: [2, 3], packetIns: 1 },
  { actions: "in_port,controller,controller", ports: [1], packetIns: 2 },
  { actions: "controller", ports: [], packetIns: 1 },
];

test("20,000 frames under way together: each gets what is its own, none is lost", async () => {
  await withSwitch(async sw => {
    const flows = KINDS.map(({ actions }, last) => `in_port=1,ip,nw_dst=10.0.0.${last} actions=${actions}`);
    await sw.replaceFlows(flows.join("\n"));
    // Runs of equal kinds and quick changes; every second frame is the very same as the one before it.
    const kindOf = (i: number): number => (((i >> 1) * 2654435761) >>> 13) % KINDS.length;
    const inputs = Array.from({ length: 20_000 }, (_, i) => ({
      inPort: 1,
      frame: ipFrame(kindOf(i), { number: i >> 1 }),
    }));
    const startedAt = performance.now();
    const answers = await sw.sendMany(inputs);
    const seconds = (performance.now() - startedAt) / 1000;
    process.stdout.write(`\n  ${(inputs.length / seconds).toFixed(0)} frames/s, counted and held\n`);
    for (const [i, { outputs, packetIns }] of answers.entries()) {
      const kind = KINDS[kindOf(i)]!;
      assert.equal(portsOf(answers[i]!), kind.ports, `frame ${i}`);
      assert.is(packetIns.length, kind.packetIns, `frame ${i}`);
      for (const { frame } of [...outputs, ...packetIns])
        assert.ok(inputs[i]!.frame.equals(frame), `frame ${i}: ${Buffer.from(frame).toString("hex")}`);
    }
  });
});

test("frames of several ports, mixed: answers in the order of the inputs", async () => {
  await withSwitch(async sw => {
    await sw.replaceFlows(
      "in_port=1 actions=output:2\nin_port=2 actions=output:3\nin_port=3 actions=in_port",
    );
    const inputs = Array.from({ length: 300 }, (_, i) => ({
      inPort: 1 + ((i * 7) % 3),
      frame: ipFrame(1, { number: i }),
    }));
    const answers = await sw.sendMany(inputs);
    for (const [i, { inPort, frame }] of inputs.entries()) {
      assert.equal(portsOf(answers[i]!), [[2], [3], [3]][inPort - 1], `frame ${i}`);
      assert.ok(frame.equals(answers[i]!.outputs[0]!.frame), `frame ${i}`);
    }
    assert.equal(await sw.sendMany([]), []);
  });
});

test("more copies and packet-ins than the switch has places to queue them: none is lost", async () => {
  await withSwitch(async sw => {
    const copies = (action: string, count: number): string => Array(count).fill(action).join(",");
    await sw.replaceFlows(`ip actions=${copies("output:2", 150)},${copies("controller", 10)}`);
    const inputs = Array.from({ length: 100 }, (_, i) => ({
      inPort: 1,
      frame: ipFrame(1, { number: i, bytes: 300 }),
    }));
    for (const [i, { outputs, packetIns }] of (await sw.sendMany(inputs)).entries()) {
      assert.is(outputs.length, 150, `frame ${i}`);
      assert.is(packetIns.length, 10, `frame ${i}`);
      for (const { frame } of [...outputs, ...packetIns]) assert.ok(inputs[i]!.frame.equals(frame));
    }
  });
});

test("packet-ins carry their reason, table, cookie, in_port and the frame as it was then", async () => {
  await withSwitch(async sw => {
    await sw.replaceFlows(`
      cookie=0x12,in_port=1,ip,nw_dst=10.0.0.1 actions=set_field:02:00:00:00:00:99->eth_dst,controller(max_len=40)
      table=0,in_port=1,ip,nw_dst=10.0.0.2 actions=goto_table:4
      cookie=0x34,table=4,ip actions=output:3,dec_ttl,output:2
      priority=0 actions=controller
    `);
    const [action, invalid, miss] = await sw.sendMany([
      { inPort: 1, frame: ipFrame(1) },
      { inPort: 1, frame: ipFrame(2, { ttl: 1 }) },
      { inPort: 3, frame: ipFrame(3) },
    ]);
    const { frame: whole, ...rest } = action!.packetIns[0]!;
    const plain = { controllerId: 0, userdata: new Uint8Array(0), metadata: new Map() };
    assert.equal(rest, { reason: "action", inPort: 1, table: 0, cookie: 0x12n, ...plain });
    assert.is(Buffer.from(whole).toString("hex", 0, 8), "0200000000990200");
    assert.is(whole.length, 60, "OVS heeds no max_len");
    assert.equal(portsOf(invalid!), [3]);
    const { frame: expired, ...why } = invalid!.packetIns[0]!;
    assert.equal(why, { reason: "invalid_ttl", inPort: 1, table: 4, cookie: 0x34n, ...plain });
    assert.ok(ipFrame(2, { ttl: 1 }).equals(expired));
    assert.equal(
      miss!.packetIns.map(({ reason, inPort }) => ({ reason, inPort })),
      [{ reason: "no_match", inPort: 3 }],
    );
    assert.equal(
      [action, invalid, miss].map(answer => answer!.packetIns.length),
      [1, 1, 1],
    );
  });
});

test("a packet-in carries reason, controller id, userdata and what goes beside the packet", async () => {
  const sw = await PrivateSwitch.start({ ports: PORTS, controllerIds: [5, 6] });
  try {
    await sw.replaceGroups("group_id=1,type=all,bucket=actions=set_field:7->reg3,controller");
    await sw.replaceFlows(`
      in_port=1 actions=set_field:9->reg0,set_field:0x1234->reg15,set_field:5->metadata,set_field:3->pkt_mark,set_tunnel:0x64,controller(id=5,userdata=01.02.ff),controller
      in_port=2 actions=controller(reason=invalid_ttl,id=6),group:1,controller(id=7),write_actions(controller)
    `);
    const [all, reasons] = await sw.sendMany([
      { inPort: 1, frame: ipFrame(1) },
      { inPort: 2, frame: ipFrame(2) },
    ]);
    const words = [
      ["tun_id", 0x64n],
      ["metadata", 5n],
      ["reg0", 9n],
      ["reg15", 0x1234n],
      ["pkt_mark", 3n],
    ] as const;
    assert.equal(
      all!.packetIns.map(({ controllerId, userdata, metadata }) => [
        controllerId,
        [...userdata],
        new Map(metadata),
      ]),
      [
        [0, [], new Map(words)],
        [5, [1, 2, 255], new Map(words)],
      ],
    );
    assert.equal(
      reasons!.packetIns.map(({ controllerId, reason, metadata }) => [controllerId, reason, [...metadata]]),
      [
        [0, "group", [["reg3", 7n]]],
        [0, "action_set", []],
        [6, "invalid_ttl", []],
      ],
    );
  } finally {
    await sw.close();
  }
});

test("new flows and groups hold from the next frame on", async () => {
  await withSwitch(async sw => {
    const frames = Array.from({ length: 20 }, (_, i) => ({ inPort: 1, frame: ipFrame(i) }));
    assert.equal(portsOf(await sw.send(1, ipFrame(1))), []);
    for (let i = 0; i < 25; i++) {
      const port = 2 + (i % 2);
      await sw.replaceFlows(`ip actions=output:${port}`);
      for (const answer of await sw.sendMany(frames)) assert.equal(portsOf(answer), [port], `round ${i}`);
    }
    await sw.replaceGroups("group_id=7,type=all,bucket=output:2,bucket=output:3");
    await sw.addFlows("priority=40000,ip,nw_dst=10.0.0.1 actions=group:7");
    assert.equal(portsOf(await sw.send(1, ipFrame(1))), [2, 3]);
    await sw.replaceGroups("group_id=7,type=all,bucket=output:3");
    assert.equal(portsOf(await sw.send(1, ipFrame(1))), [2], "the flow went with its group");
  });
});

test("flows as the switch prints them, traces, and its parser", async () => {
  await withSwitch(
    async sw => {
      assert.is(await sw.dumpFlows({ stats: false }), " priority=0 actions=NORMAL\n");
      await sw.replaceFlows("table=3,ip,in_port=1 actions=load:7->NXM_NX_REG0[],output:2");
      assert.is(
        await sw.dumpFlows({ stats: false }),
        " table=3, ip,in_port=1 actions=load:0x7->NXM_NX_REG0[],output:2\n",
      );
      assert.match(await sw.dumpFlows({ names: true }), "in_port=p1 ");
      assert.match(
        await sw.dumpFlows({ protocol: "OpenFlow15", stats: false }),
        "actions=set_field:0x7->reg0,output:2",
      );
      await sw.replaceFlows("ip actions=output:3,output:2", { protocol: "OpenFlow10" });
      assert.match(await sw.trace(1, ipFrame(1).toString("hex")), "Datapath actions: 3,2\n");
      const lines = [
        "ip,nw_dst=10.0.0.1/255.0.255.0 actions=2",
        "ip",
        "arp actions=normal",
        "",
        "foo=1 actions=drop",
      ];
      assert.equal(await sw.parseFlows(lines), [
        { text: "ADD ip,nw_dst=10.0.0.0/255.0.255.0 actions=output:2" },
        { error: "must specify an action" },
        { text: "ADD arp actions=NORMAL" },
        { error: "expected one flow per line" },
        { error: "unknown keyword foo" },
      ]);
    },
    { ports: PORTS, failMode: "standalone" },
  );
});

test("long frames pass, an output beyond its port's MTU vanishes, a frame too short is refused", async () => {
  await withSwitch(
    async sw => {
      await sw.replaceFlows("actions=output:2,output:3");
      const sizes = [14, 15, 1514, 1515, 9000, 9230, 9231, 65_535];
      const inputs = sizes.map(bytes => ({ inPort: 1, frame: Buffer.alloc(bytes, bytes & 0xff) }));
      const answers = await sw.sendMany(inputs);
      const both = [2, 3];
      assert.equal(answers.map(portsOf), [both, both, both, [2], [2], [2], [], []]);
      for (const [i, { outputs }] of answers.entries())
        for (const { frame } of outputs) assert.ok(inputs[i]!.frame.equals(frame), `${sizes[i]} bytes`);
      const refused = "frame 0: 13 bytes; expected 14…65535";
      assert.is(await messageOf(sw.send(1, Buffer.alloc(13))), refused);
      assert.is(
        await messageOf(sw.send(9, ipFrame(1))),
        "frame 0: there is no port 9; expected one of 1, 2, 3",
      );
      assert.equal(portsOf(await sw.send(1, ipFrame(1))), both, "and it goes on");
    },
    { ports: [{ number: 1 }, { number: 2 }, { number: 3, name: "small", mtu: 1500 }] },
  );
});

test("wrong text is refused with OVS's message and changes nothing", async () => {
  await withSwitch(async sw => {
    await sw.replaceFlows("ip actions=output:2");
    const cases: [text: string, message: RegExp][] = [
      ["ip actions=output:2\nfoo=1 actions=drop", /^line 2: unknown keyword foo$/],
      ["table=3,ip actions=goto_table:1", /^line 1: .*OFPBIC_BAD_TABLE_ID/],
      ["ip actions=group:4", /^Error OFPBAC_BAD_OUT_GROUP for: .*actions=group:4$/],
      ["priority=65535,ip actions=drop", /^line 1: priority 65535 in table 0 is kept/],
    ];
    for (const [text, message] of cases) {
      assert.match(await messageOf(sw.replaceFlows(text)), message);
      assert.equal(portsOf(await sw.send(1, ipFrame(1))), [2], text);
    }
    assert.match(
      await messageOf(sw.replaceGroups("group_id=1,type=oops")),
      /^line 1: invalid group type oops$/,
    );
    await sw.replaceFlows("priority=65535,table=1 actions=drop\npriority=65534,ip actions=output:3");
    assert.equal(portsOf(await sw.send(1, ipFrame(1))), [3]);
  });
});

test("wrong ports are refused before anything is started", async () => {
  const cases: [ports: { number: number; name?: string; mtu?: number }[], message: RegExp][] = [
    [[{ number: 0 }], /^port number 0: expected 1…65279$/],
    [[{ number: 1 }, { number: 1, name: "x" }], /^two ports have the number 1$/],
    [[{ number: 1, name: "a b" }], /^port name "a b"/],
    [[{ number: 1, mtu: 67 }], /^port p1: mtu 67: expected 68…65535$/],
  ];
  for (const [ports, message] of cases)
    assert.match(await messageOf(PrivateSwitch.start({ ports })), message);
});

test("another Open vSwitch: a folder without one is refused by name; one that is there is used", async () => {
  const folder = mkdtempSync(join(tmpdir(), "slash32-programs-"));
  try {
    const missing = await messageOf(PrivateSwitch.start({ ports: PORTS, programs: folder }));
    assert.is(
      missing,
      `${join(folder, "bin")}: no ovs-vswitchd, ovsdb-server, ovsdb-tool, ovs-vsctl, ovs-ofctl`,
    );
    const sw = await PrivateSwitch.start({ ports: PORTS, ...programsOf("3.5") });
    assert.match(sw.version, /^3\.5\./);
    await sw.close();
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("two switches side by side know nothing of each other; calls on one may overlap", async () => {
  peer("ovs-vswitchd");
  const switches = await Promise.all([2, 3].map(() => PrivateSwitch.start({ ports: PORTS })));
  try {
    await Promise.all(switches.map((sw, i) => sw.replaceFlows(`ip actions=output:${2 + i}`)));
    const inputs = Array.from({ length: 200 }, (_, i) => ({
      inPort: 1,
      frame: ipFrame(i & 255, { number: i }),
    }));
    const rounds = await Promise.all([...switches, ...switches].map(sw => sw.sendMany(inputs)));
    for (const [i, answers] of rounds.entries())
      for (const answer of answers) assert.equal(portsOf(answer), [2 + (i % 2)]);
  } finally {
    await Promise.all(switches.map(sw => sw.close()));
  }
});

test("a switch that dies says so, to the call under way and to the next", async () => {
  await withSwitch(async sw => {
    await sw.replaceFlows("ip actions=output:2");
    const inputs = Array.from({ length: 2000 }, (_, i) => ({ inPort: 1, frame: ipFrame(1, { number: i }) }));
    const underWay = messageOf(sw.sendMany(inputs));
    await sleep(20);
    process.kill(sw.whereabouts.pids[1], "SIGKILL");
    assert.match(await underWay, /^ovs-vswitchd ended: /);
    assert.match(await messageOf(sw.send(1, ipFrame(1))), /^ovs-vswitchd ended: /);
  });
});

/** Ways to end for a process that uses a switch: what it does itself, or the signal it gets. */
const ENDS: { name: string; code?: string; signal?: NodeJS.Signals }[] = [
  { name: "kill -9", signal: "SIGKILL" },
  { name: "SIGTERM", signal: "SIGTERM" },
  { name: "Ctrl-C", signal: "SIGINT" },
  { name: "an exception", code: "throw new Error('on purpose');" },
  { name: "process.exit", code: "process.exit(0);" },
  { name: "its last line, with nothing closed", code: "" },
];

/** The private switch, bundled for a process of its own at first use. */
let bundled: Promise<string> | null = null;

/** A process that starts a switch, prints where it is, and then runs `code`, or waits for what comes. */
async function userOfSwitch(
  code = "setInterval(() => undefined, 1000);",
  env: NodeJS.ProcessEnv = {},
): Promise<ChildProcess> {
  bundled ??= bundleModule("test/ovs/private-switch.ts");
  const script = `
    import { PrivateSwitch } from ${JSON.stringify(await bundled)};
    console.log("starting");
    const sw = await PrivateSwitch.start({ ports: [{ number: 1 }] });
    console.log(JSON.stringify(sw.whereabouts));
    ${code}`;
  return spawn(process.execPath, ["--input-type=module", "-e", script], {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "ignore"],
  });
}

/** Collects what a process prints, and when it ends. */
function listen(user: ChildProcess): { said(): string; ended: Promise<unknown> } {
  let said = "";
  user.stdout!.on("data", chunk => {
    said += chunk;
  });
  return { said: () => said, ended: new Promise(resolve => user.once("exit", resolve)) };
}

test("nothing is left when the user of a switch ends, whichever way", async () => {
  peer("ovs-vswitchd");
  for (const { name, code, signal } of ENDS) {
    const user = await userOfSwitch(code);
    const { said, ended } = listen(user);
    await until(`${name}: the switch is there`, () => said().includes("}\n"));
    const { folder, pids } = JSON.parse(said().split("\n")[1]!) as { folder: string; pids: number[] };
    if (signal !== undefined) user.kill(signal);
    await ended;
    await until(`${name}: both daemons are gone`, () => !pids.some(isAlive));
    await until(`${name}: ${folder} is gone`, () => !existsSync(folder));
  }
});

/** The command lines of all processes that name `folder`. */
function processesOf(folder: string): string[] {
  const commandOf = (pid: string): string => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8");
    } catch {
      // It ended meanwhile, or is no process.
      return "";
    }
  };
  return readdirSync("/proc")
    .map(commandOf)
    .filter(line => line.includes(folder));
}

test("nothing is left when the user is killed while the switch starts", async () => {
  peer("ovs-vswitchd");
  const folder = mkdtempSync(join(tmpdir(), "slash32-kill-"));
  try {
    for (const ms of [0, 15, 30, 45, 60, 90, 120]) {
      const user = await userOfSwitch("", { TMPDIR: folder });
      const { said, ended } = listen(user);
      await until("it starts", () => said().includes("starting"));
      await sleep(ms);
      user.kill("SIGKILL");
      await ended;
      const left = (): string[] => readdirSync(folder).filter(name => name.startsWith("slash32-ovs-"));
      await until(
        `after ${ms} ms: nothing is left`,
        () => left().length === 0 && processesOf(folder).length === 0,
      );
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

/** Runs `body` with programs of our own before, or instead of, the real ones. */
async function withPrograms(
  programs: Record<string, string>,
  rest: string,
  body: () => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "slash32-path-"));
  const path = process.env.PATH;
  for (const [name, script] of Object.entries(programs)) {
    writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`);
    chmodSync(join(folder, name), 0o755);
  }
  process.env.PATH = `${folder}:${rest}`;
  try {
    await body();
  } finally {
    process.env.PATH = path;
    rmSync(folder, { recursive: true });
  }
}

test("Open vSwitch missing, too old, or failing to start: one line that says so", async () => {
  const start = (): Promise<string> => messageOf(PrivateSwitch.start({ ports: PORTS }));
  await withPrograms({}, "", async () => {
    assert.match(await start(), /^Open vSwitch is not installed: no .*ovs-ofctl \(.*openvswitch-switch\)$/);
  });
  peer("ovs-vswitchd");
  const path = process.env.PATH!;
  await withPrograms({ "ovs-vswitchd": "echo ovs-vswitchd '(Open vSwitch)' 2.5.9" }, path, async () => {
    assert.is(await start(), "Open vSwitch 2.5.9 is too old: 2.17 or newer is needed");
  });
  await withPrograms({ "ovsdb-server": "echo no disk >&2; exit 1" }, path, async () => {
    assert.match(await start(), /^Open vSwitch did not start: .*no disk; .*ovsdb-server failed/);
  });
});

test.run();
