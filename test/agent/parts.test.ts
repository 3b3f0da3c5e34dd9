/** Parts of the agent that need no switch: routes as they are told, admission, VM files, and an intent read from a dump. */

import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import { takeOver } from "../../src/agent/http-api.ts";
import {
  Admission,
  Audit,
  admit,
  formatVm,
  Quarantine,
  Rib,
  readLine,
  recoverIntent,
  socketOf,
  VmDirectory,
  type VmFile,
  watchPresence,
} from "../../src/agent/index.ts";
import { BgpAnnouncer } from "../../src/bgp/index.ts";
import { ask, jsonAnswer, UnixServer } from "../../src/host/index.ts";
import { parseIntent, parseVm } from "../../src/intent/index.ts";
import { Flows, flowText } from "../../src/pipeline/index.ts";
import { assert, seed, suite, WAIT_MS } from "../harness.ts";
import { BASE, best, FakeAnnouncer, resolver, vmOf, Workplace } from "./base.ts";

const test = suite("parts of the agent");

async function rejects(promise: Promise<unknown>, isRight: (error: Error) => boolean): Promise<void> {
  const error = await promise.then(
    () => null,
    (found: Error) => found,
  );
  assert.ok(error !== null && isRight(error), String(error));
}

test("a table that is told again: what is the same is no change, and only the source says what is gone", () => {
  const fabric = new Rib("10.0.0.1");
  fabric.apply(
    [best("198.51.100.1/32", 2001), best("198.51.100.2/32", 2002), best("198.51.100.3/32", 1001, "10.0.0.1")],
    true,
  );
  assert.equal([...fabric.takeChanged()], ["198.51.100.1/32", "198.51.100.2/32"]);
  fabric.lose();
  assert.not.ok(fabric.isComplete);
  fabric.apply([best("198.51.100.1/32", 2001)], false);
  assert.equal([fabric.count, ...fabric.takeChanged()], [2]);
  fabric.apply([{ type: "gone", prefix: "198.51.100.2/32" }], true);
  assert.equal([fabric.count, ...fabric.takeChanged()], [1, "198.51.100.2/32"]);
  assert.ok(fabric.isComplete);
});

test("labels: the implicit null is not pushed; what the switch cannot hold is rejected by name", () => {
  const fabric = new Rib(null);
  const route = (prefix: string, labels: number[]) =>
    ({ type: "best", route: { prefix, labels, nextHop: "10.0.0.9", originator: null } }) as const;
  fabric.apply([route("10.1.0.0/16", [3]), route("10.2.0.0/16", [100, 3]), route("10.3.0.0/16", [1])], false);
  fabric.apply(
    [route("10.4.0.0/16", [16, 17, 18, 19]), route("10.5.0.1/16", [16]), route("nonsense", [16])],
    true,
  );
  assert.equal(fabric.resolve("10.1.0.0/16", resolver)!.labels, []);
  assert.equal(fabric.resolve("10.2.0.0/16", resolver)!.labels, [100]);
  assert.equal([...fabric.rejected.keys()], ["10.3.0.0/16", "10.4.0.0/16", "10.5.0.1/16", "nonsense"]);
  fabric.apply([route("10.3.0.0/16", [16])], false);
  assert.is(fabric.rejected.has("10.3.0.0/16"), false);
});

test("an announcer that hangs holds nobody up, and an answer that came late is not lost", async () => {
  const inner = new FakeAnnouncer();
  const held: (() => void)[] = [];
  let isHanging = true;
  const hang = (): Promise<void> =>
    isHanging ? new Promise(resolve => held.push(resolve)) : Promise.resolve();
  const calls = { announced: 0, listed: 0 };
  const announcer = new BgpAnnouncer(
    {
      lossCount: 0,
      onBack: () => undefined,
      announce: async routes => {
        calls.announced++;
        await hang();
        await inner.announce(routes);
      },
      withdraw: prefixes => inner.withdraw(prefixes),
      ours: async () => {
        calls.listed++;
        await hang();
        return inner.ours();
      },
      list: () => inner.list(),
    },
    { fewMs: 10, oursMs: 10 },
  );
  await announcer.list();
  let backs = 0;
  announcer.onBack = () => backs++;
  const route = { prefix: "203.0.113.1/32", labels: [1001], nextHop: "10.0.0.1", originator: null };
  const failed = async (what: Promise<unknown>): Promise<string> =>
    what.then(
      () => "done",
      (error: Error) => error.message,
    );
  assert.is(await failed(announcer.announce([route])), "the routing daemon does not answer");
  assert.is(await failed(announcer.withdraw(["203.0.113.2/32"])), "the routing daemon does not answer");
  assert.is(await failed(announcer.ours()), "the routing daemon does not answer");
  assert.equal([inner.history, calls], [[], { announced: 1, listed: 0 }], "nothing else was asked meanwhile");
  held.pop()!();
  await soon(5);
  assert.equal([backs, inner.history], [1, ["announce 203.0.113.1/32"]]);
  assert.is(await failed(announcer.ours()), "the routing daemon does not answer");
  held.pop()!();
  await soon(5);
  assert.is(backs, 2);
  assert.equal(await announcer.ours(), [route], "what came late");
  isHanging = false;
  await announcer.ours();
  assert.is(calls.listed, 2, "once, and then it is asked again");
  assert.is(await failed(announcer.withdraw([route.prefix])), "done");
});

test("admission does not depend on the order of files, but on who has it and who was first", () => {
  const quarantine = new Quarantine(null, 1000);
  const file = (name: string, modifiedMs: number, vm: ReturnType<typeof vmOf>) => ({
    file: name,
    modifiedMs,
    vm,
  });
  const files = [
    file("b", 2, vmOf(1)),
    file("a", 1, { ...vmOf(2), addresses: vmOf(1).addresses }),
    file("c", 3, { ...vmOf(3), ofport: 1 }),
    file("d", 4, { ...vmOf(4), mac: BASE.virtualMac }),
  ];
  for (const order of [files, [...files].reverse()]) {
    const fresh = admit(BASE, order, new Map(), quarantine, 0);
    assert.equal([...fresh.vms.keys()], [102]);
    const messages = new Map(fresh.refusals.map(({ file: name, message }) => [name, message]));
    assert.match(messages.get("b")!, "address 203.0.113.1 is used by VM 102; use another one");
    assert.match(messages.get("c")!, "ofport 1 is used by the uplink");
    assert.match(messages.get("d")!, "MAC fe:00:00:00:01:01 is used by the gateway");
    const present = new Map([[101, { path: "l3" as const, addresses: new Set(["203.0.113.1"]) }]]);
    assert.equal([...admit(BASE, order, present, quarantine, 0).vms.keys()], [101]);
  }
});

test("a VM is written and read back; what is wrong with a file is said by line and column", () => {
  const place = new Workplace();
  try {
    const directory = new VmDirectory(place.vms);
    const vm = {
      ...vmOf(7, "dual-l2", ["203.0.113.7", "203.0.113.8"]),
      name: 'a "name": of its own',
      mtu: 1500,
    };
    directory.put(vm);
    assert.equal(directory.read().vms[0]!.vm, vm);
    assert.equal(parseVm(formatVm(vm), "x").vm, vm);
    assert.equal(readdirSync(place.vms), ["vm-107.yaml"], "nothing is left beside it");
    place.dropText(".hidden.yaml", "id: 1");
    place.dropText("notes.txt", "id: 1");
    place.dropText("bad.yaml", "id: 9\nname: x\npath: l4\n");
    const { vms, unreadable, hiddenCount } = directory.read();
    assert.equal([vms.length, unreadable.size, hiddenCount], [1, 1, 1]);
    assert.match(unreadable.get(join(place.vms, "bad.yaml"))!, /bad\.yaml:\d+:\d+: vm/);
    directory.remove(107);
    assert.equal(directory.read().vms, []);
  } finally {
    place.remove();
  }
  assert.match(
    parseVm(formatVm(vmOf(1, "l3", ["10.0.0.1", "10.0.0.1"])), "x").errors[0]!.message,
    "used twice",
  );
});

test("what is no file of a VM is said at once and removes nobody: a pipe, a folder, a link to nothing, a huge one", () => {
  const place = new Workplace();
  const directory = new VmDirectory(place.vms);
  try {
    place.drop(vmOf(1), "real");
    symlinkSync("real", join(place.vms, "101.yaml"));
    assert.equal(
      directory.read().vms.map(({ vm }) => vm.id),
      [101],
    );
    rmSync(join(place.vms, "real"));
    execFileSync("mkfifo", [join(place.vms, "pipe.yaml")]);
    mkdirSync(join(place.vms, "folder.yaml"));
    place.dropText("huge.yaml", `${formatVm(vmOf(2))}#${"x".repeat(65_536)}`);
    const { vms, unreadable } = directory.read();
    assert.equal(
      vms.map(({ vm }) => vm.id),
      [101],
      "a link to nothing is not the end of its VM",
    );
    const why = new Map([...unreadable].map(([path, text]) => [path.slice(place.vms.length + 1), text]));
    assert.match(why.get("101.yaml")!, "no such file");
    assert.match(why.get("pipe.yaml")!, "not a regular file");
    assert.match(why.get("folder.yaml")!, "not a regular file");
    assert.match(why.get("huge.yaml")!, /has \d+ bytes; the limit for a VM file is 65536/);
    rmSync(join(place.vms, "101.yaml"));
    assert.equal(directory.read().vms, [], "without the link it has gone");
  } finally {
    place.remove();
  }
});

test("a line of a dump that was not understood is an error and not nobody's flow", () => {
  assert.is(readLine("OFPST_FLOW reply (OF1.3) (xid=0x2):"), null);
  assert.throws(
    () => readLine("cookie=0x1 something actions=drop"),
    /cannot parse this flow of the dump: "cookie=0x1 something/,
  );
  const timed = readLine(
    " cookie=0x4000000000, duration=1.2s, table=0, n_packets=0, n_bytes=0, idle_timeout=9, idle_age=1, send_flow_rem priority=5,ip actions=IN_PORT",
  )!;
  assert.equal(
    [timed.extras, timed.priority, timed.match, timed.actions, timed.kind],
    ["idle_timeout=9, send_flow_rem", 5, "ip", "in_port", null],
  );
  const bare = readLine(" cookie=0x0, duration=1s, table=3, n_packets=1, n_bytes=2, actions=drop")!;
  assert.equal([bare.priority, bare.match], [32_768, ""]);
});

const INTENT = `name: br0
bridge: br0
label: 1001
virtualMac: fe:00:00:00:02:02
trafficClass: 5
uplink: { port: up, ofport: 3, mac: 02:00:00:00:00:07 }
vms:
  - { id: 7, name: vm-7, port: t7, ofport: 17, mac: 52:54:00:00:00:07, addresses: [192.0.2.7, 192.0.2.8], path: l3 }
  - { id: 9, name: vm-9, port: t9, ofport: 19, mac: 52:54:00:00:00:09, addresses: [192.0.2.9], path: l2 }
routes:
  - { prefix: 0.0.0.0/0, labels: [], via: 02:00:00:00:00:fe }
  - { prefix: 198.51.100.0/24, labels: [2002, 3003], via: 02:00:00:00:00:fd }
`;

/** Compiled flows as a dump shows them. */
const dumpOf = (lines: readonly string[]): string =>
  lines
    .map(line =>
      line.replace(
        /^cookie=(\w+),table=(\d+),/,
        " cookie=$1, duration=1.5s, table=$2, n_packets=0, n_bytes=0, ",
      ),
    )
    .join("\n");

test("an intent is read back from its flows; what is strange or missing is named", () => {
  const intent = parseIntent(INTENT, "x", ".").intent!;
  const lines = [...new Flows(intent)].map(flowText);
  const ports = new Map([
    [3, "up"],
    [17, "t7"],
    [19, "t9"],
  ] as const);
  const { text, unread } = recoverIntent(dumpOf(lines), "br0", ports);
  assert.equal(unread, []);
  assert.equal([...new Flows(parseIntent(text!, "y", ".").intent!)].map(flowText), lines);
  const without = lines.filter(line => !line.includes("arp,arp_op=1,arp_tpa=192.0.2.9"));
  assert.is(without.length, lines.length - 1);
  const odd = [...without, "cookie=0x5,table=9,priority=1 actions=drop"];
  const found = recoverIntent(dumpOf(odd), "br0", ports).unread;
  assert.equal(found, [
    "missing: table=20,priority=300,arp,arp_op=1,arp_tpa=192.0.2.9 actions=output:19",
    "not ours: table=9,priority=1 actions=drop",
  ]);
  assert.is(recoverIntent("", "br0", ports).text, null);
});

test("admission goes on from the last as if it began anew, whatever comes and goes", () => {
  const start = seed();
  process.stdout.write(`  seed ${start}\n`);
  let word = start;
  const random = (below: number): number => {
    word = (Math.imul(word, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((word / 2 ** 32) * below);
  };
  const quarantine = new Quarantine(null, 60_000);
  quarantine.add([["203.0.113.7", 107]], 0);
  const admission = new Admission(BASE, quarantine);
  const present = new Map([[102, { path: "l3" as const, addresses: new Set(["203.0.113.2"]) }]]);
  let files: VmFile[] = [];
  let refusals = 0;
  let quick = 0;
  for (let step = 0; step < 2000; step++) {
    const n = 1 + random(9);
    const file = `${100 + n}.yaml`;
    files = files.filter(one => one.file !== file);
    if (random(2) === 0) {
      // Now and then an address that is another's.
      const address = random(12) === 0 ? 1 + random(9) : n;
      const vm = vmOf(n, random(15) === 0 ? "l2" : "l3", [`203.0.113.${address}`]);
      files.push({ file, modifiedMs: step, vm });
    }
    // Only a decision about all VMs needs to find out whether each is there.
    let isWhole = false;
    const has = (id: number): boolean => {
      isWhole = true;
      return present.has(id);
    };
    const ours = admission.admit(files, { get: id => present.get(id), has }, 1000);
    quick += Number(!isWhole);
    const anew = admit(BASE, files, present, quarantine, 1000);
    assert.equal(ours.refusals, anew.refusals);
    const inOrder = (vms: ReadonlyMap<number, unknown>) => [...vms].sort(([a], [b]) => a - b);
    assert.equal(inOrder(ours.vms), inOrder(anew.vms));
    refusals += Number(anew.refusals.length > 0);
  }
  assert.ok(refusals > 100 && quick > 100, `${refusals} with refusals, ${quick} quick`);
});

test("VM files are read again when something was heard of them, and by a scan when nothing was", async () => {
  const place = new Workplace();
  const directory = new VmDirectory(place.vms);
  try {
    let heard = 0;
    directory.watch(() => heard++);
    place.drop(vmOf(1));
    const [first] = directory.read().vms;
    assert.is(first!.vm.id, 101);
    assert.is(directory.read().vms[0], first, "the same file is the same object");
    directory.put(vmOf(2));
    assert.is(directory.read().vms.length, 2);
    directory.remove(102);
    assert.is(directory.read().vms.length, 1);
    directory.close();
    place.drop(vmOf(1, "l2"));
    place.drop(vmOf(3));
    await directory.scan();
    assert.equal(
      directory.read().vms.map(({ vm }) => [vm.id, vm.path]),
      [
        [101, "l2"],
        [103, "l3"],
      ],
    );
  } finally {
    directory.close();
    place.remove();
  }
});

const soon = (ms = 20): Promise<void> => new Promise(resolve => setTimeout(resolve, ms));

async function until(what: string, isTrue: () => boolean): Promise<void> {
  const end = performance.now() + WAIT_MS;
  while (!isTrue()) {
    if (performance.now() > end) throw new Error(`waited ${WAIT_MS / 1000} s for: ${what}`);
    await soon(2);
  }
}

test("a switch's presence: echo requests are answered, and only a return is told", async () => {
  const place = new Workplace();
  const path = join(place.path, "br0.mgmt");
  const [got, sockets]: [Buffer[], Socket[]] = [[], []];
  const listen = async () => {
    const server = createServer(socket => {
      sockets.push(socket);
      socket.on("data", (chunk: Buffer) => got.push(chunk));
    });
    await new Promise<void>(resolve => server.listen(path, resolve));
    return server;
  };
  let backCount = 0;
  let server = await listen();
  let awayCount = 0;
  const end = watchPresence(path, isThere => {
    if (isThere) backCount++;
    else awayCount++;
  });
  try {
    await until("a hello", () => got.length > 0);
    assert.is(Buffer.concat(got.splice(0)).toString("hex"), "0400000800000001");
    // A hello with an element, and an echo request with four bytes to give back, cut in two.
    const bytes = Buffer.from("0400001000000007000100080000003204" + "02000c0000000971727374", "hex");
    sockets[0]!.write(bytes.subarray(0, 21));
    await soon();
    sockets[0]!.write(bytes.subarray(21));
    await until("an echo", () => got.length > 0);
    assert.is(Buffer.concat(got.splice(0)).toString("hex"), "0403000c0000000971727374");
    assert.is(backCount, 0);
    for (const socket of sockets.splice(0)) socket.destroy();
    await new Promise(resolve => server.close(resolve));
    await until("its absence", () => awayCount > 0);
    await soon(250);
    assert.equal([awayCount, backCount], [1, 0], "gone, once, is not back");
    server = await listen();
    await until("its return", () => backCount === 1);
  } finally {
    end();
    for (const socket of sockets) socket.destroy();
    server.close();
    place.remove();
  }
});

test("where a bridge's management socket is, by what ovs-ofctl is told", () => {
  assert.is(socketOf("br0", "/run/ovs"), "/run/ovs/br0.mgmt");
  assert.is(socketOf("/x/br0.mgmt"), "/x/br0.mgmt");
  assert.is(socketOf("unix:/x/br0.mgmt"), "/x/br0.mgmt");
  assert.is(socketOf("tcp:127.0.0.1:6653"), null);
});

test("a server that ends with an answer under way leaves the socket of the one that came after it", async () => {
  const place = new Workplace();
  const path = join(place.path, "agent.sock");
  let askedCount = 0;
  const serve = (ms: number): Promise<UnixServer> =>
    UnixServer.start({
      path,
      mostBodyBytes: 10,
      isTaken: "taken",
      handle: () => {
        askedCount++;
        return soon(ms).then(() => jsonAnswer(200, ms));
      },
    });
  const first = await serve(60);
  const asked = ask(path, "GET", "/");
  await until("the question", () => askedCount > 0);
  const closed = first.close();
  await until("its socket is gone", () => !existsSync(path));
  const second = await serve(0);
  try {
    await closed;
    assert.is((await asked).text, "60\n");
    assert.is((await ask(path, "GET", "/")).text, "0\n");
  } finally {
    await second.close();
    place.remove();
  }
});

/** A server that says `word` to whatever is asked. */
const serverOf = (path: string, word: string): Promise<UnixServer> =>
  UnixServer.start({ path, mostBodyBytes: 10, isTaken: "taken", handle: () => jsonAnswer(200, word) });

const isSocketError =
  (message: RegExp) =>
  (error: Error): boolean =>
    error.name === "SocketError" && message.test(error.message);

test("a socket that was removed is made anew; one that is another's by now stays that", async () => {
  const place = new Workplace();
  const path = join(place.path, "agent.sock");
  const first = await serverOf(path, "first");
  assert.ok(await first.keep());
  rmSync(path);
  assert.ok(await first.keep());
  assert.is((await ask(path, "GET", "/")).text, '"first"\n');
  assert.is(statSync(path).mode & 0o777, 0o600);
  rmSync(path);
  const second = await serverOf(path, "second");
  assert.not.ok(await first.keep());
  await first.close();
  assert.is((await ask(path, "GET", "/")).text, '"second"\n');
  assert.equal(readdirSync(place.path), ["agent.sock", "vms"]);
  await second.close();
  place.remove();
});

test("what is no socket is not removed for one; a path that is too long is refused; who hangs is not waited for", async () => {
  const place = new Workplace();
  const path = join(place.path, "precious");
  writeFileSync(path, "precious");
  await rejects(
    serverOf(path, ""),
    isSocketError(/precious: the file exists and is not a socket; remove it, or choose another path/),
  );
  assert.is(readFileSync(path, "utf8"), "precious");
  const long = join(place.path, "x".repeat(108));
  await rejects(
    serverOf(long, ""),
    isSocketError(/the path is too long for a socket; expected at most 107 bytes/),
  );
  const hung = createServer(() => undefined);
  const socket = join(place.path, "hung.sock");
  await new Promise<void>(resolve => hung.listen(socket, resolve));
  await rejects(takeOver(socket, 50), isSocketError(/hung\.sock: no answer within 0\.05 s/));
  await rejects(serverOf(socket, ""), isSocketError(/hung\.sock: taken/));
  hung.close();
  place.remove();
});

test("a quarantine is as long as it says: for an address that is lost again, withdrawn late, or over clocks that jump", () => {
  const place = new Workplace();
  const path = join(place.path, "quarantine.json");
  const quarantine = new Quarantine(path, 60_000);
  const isRefused = (now: number, id = 9): boolean =>
    quarantine.refusedUntil("203.0.113.1", id, now) !== null;
  quarantine.add([["203.0.113.1", 101]], 1000);
  assert.equal([isRefused(60_999), isRefused(61_000), isRefused(2000, 101)], [true, false, false]);
  // Its owner comes back and goes: that is another loss.
  quarantine.lift((address, owner) => address === "203.0.113.1" && owner === 101);
  assert.not.ok(isRefused(2000));
  quarantine.add([["203.0.113.1", 101]], 50_000);
  assert.equal([isRefused(109_999), isRefused(110_000)], [true, false]);
  // Lost at 50 s, withdrawn at 80 s.
  quarantine.restart(["203.0.113.1", "203.0.113.2"], 80_000);
  assert.equal([isRefused(139_999), isRefused(140_000)], [true, false]);
  assert.equal(quarantine.entries.length, 1, "what is not in quarantine is not put there");
  // The clock was a year ahead, over a restart too.
  const year = 365 * 86_400_000;
  quarantine.restart(["203.0.113.1"], year);
  const again = new Quarantine(path, 1000);
  assert.is(again.expire(100_000), 160_000);
  assert.is(new Quarantine(path, 1000).refusedUntil("203.0.113.1", 9, 100_000), 160_000);
  place.remove();
});

test("a quarantine file that is damaged is named in one line, whatever is wrong with it", () => {
  const place = new Workplace();
  const path = join(place.path, "quarantine.json");
  for (const text of [
    "",
    "{",
    "null",
    "[]",
    '"x"',
    '{"203.0.113.1":null}',
    '{"203.0.113.1":{"owner":1}}',
    '{"x":{"owner":1,"until":2}}',
  ]) {
    writeFileSync(path, text);
    assert.throws(
      () => new Quarantine(path, 1000),
      (error: Error) =>
        error.name === "StateError" &&
        error.message ===
          `${path}: not a valid quarantine file; remove it to start without addresses in quarantine`,
    );
  }
  place.remove();
});

test("a state folder that cannot be written stops nothing; it is said, and made good", () => {
  const place = new Workplace();
  const folder = join(place.path, "state");
  mkdirSync(folder);
  const path = join(folder, "quarantine.json");
  const quarantine = new Quarantine(path, 60_000);
  const audit = new Audit(join(folder, "audit.jsonl"));
  rmSync(folder, { recursive: true });
  writeFileSync(folder, "");
  quarantine.add([["203.0.113.1", 101]], 1000);
  audit.reopen();
  audit.routes("withdraw", ["203.0.113.1/32"]);
  assert.match(quarantine.problem!, /quarantine\.json: cannot write the addresses in quarantine: ENOTDIR/);
  assert.match(audit.retry()!, /audit\.jsonl: cannot write the audit file: ENOTDIR/);
  assert.is(quarantine.refusedUntil("203.0.113.1", 9, 1000), 61_000);
  assert.throws(
    () => new Audit(join(folder, "audit.jsonl")),
    (error: Error) => error.name === "StateError",
  );
  rmSync(folder);
  mkdirSync(folder);
  quarantine.expire(2000);
  assert.equal([quarantine.problem, audit.retry()], [null, null]);
  audit.routes("announce", ["203.0.113.2/32"]);
  assert.is(new Quarantine(path, 60_000).refusedUntil("203.0.113.1", 9, 2000), 61_000);
  const lines = readFileSync(join(folder, "audit.jsonl"), "utf8").trim().split("\n");
  assert.equal(
    lines.map(line => ({ ...(JSON.parse(line) as object), time: "" })),
    [
      { time: "", lost: 1 },
      { time: "", op: "announce", prefix: "203.0.113.2/32" },
    ],
  );
  audit.close();
  place.remove();
});

test.run();
