/**
 * The agent whole: a directory, a socket, a private switch, and peers that remember. Then the program as one starts it, killed
 * with -9 and handed over.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type AgentSettings, OfctlBridge, type Running, startAgent } from "../../src/agent/index.ts";
import { ask } from "../../src/host/index.ts";
import { PROGRAM } from "../cli/base.ts";
import { assert, isTimed, peer, suite, WAIT_MS } from "../harness.ts";
import { PrivateSwitch } from "../ovs/private-switch.ts";
import { all, BASE, best, FakeAnnouncer, FakeRoutes, peersOf, settingsAt, vmOf, Workplace } from "./base.ts";

const test = suite("the agent");
/** The private switch's own flow, which leads every frame of its markers to every port. */
const MARKER = 0x736c617368333200n;

interface Scene {
  readonly sw: PrivateSwitch;
  readonly place: Workplace;
  readonly announcer: FakeAnnouncer;
  readonly routes: FakeRoutes;
  readonly said: { readonly message: string; readonly fields: Readonly<Record<string, unknown>> }[];
  readonly socket: string;
  start(more?: Partial<AgentSettings>): Promise<Running>;
}

async function onStage(body: (scene: Scene) => Promise<void>): Promise<void> {
  peer("ovs-vswitchd");
  const sw = await PrivateSwitch.start({ ports: [{ number: 1, name: "uplink0" }] });
  const place = new Workplace();
  const announcer = new FakeAnnouncer();
  const routes = new FakeRoutes();
  const said: Scene["said"] = [];
  const running: Running[] = [];
  const socket = join(place.path, "agent.sock");
  const start = async (more: Partial<AgentSettings> = {}): Promise<Running> => {
    const one = await startAgent({
      ...settingsAt(place, { ...BASE, bridge: managementOf(sw) }),
      peers: peersOf(announcer, routes),
      ignoredCookies: [MARKER],
      log: (_, message, fields = {}) => {
        if (process.env.AGENT_LOG === "1") process.stdout.write(`${message} ${JSON.stringify(fields)}\n`);
        said.push({ message, fields });
      },
      quietMs: 50,
      ...more,
    });
    running.push(one);
    return one;
  };
  try {
    await body({ sw, place, announcer, routes, said, socket, start });
  } finally {
    for (const child of children) child.kill("SIGKILL");
    for (const one of running) await one.stop().catch(() => undefined);
    place.remove();
    await sw.close();
  }
}

const managementOf = (sw: PrivateSwitch): string => join(sw.whereabouts.folder, "br0.mgmt");

async function until(what: string, isTrue: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + WAIT_MS;
  while (!(await isTrue())) {
    if (performance.now() > end) throw new Error(`waited ${WAIT_MS / 1000} s for: ${what}`);
    await new Promise(resolve => setTimeout(resolve, 5));
  }
}

const bodyOf = (n: number, path = "l3"): string =>
  JSON.stringify({
    id: 100 + n,
    name: `vm-${n}`,
    port: `tap${100 + n}`,
    ofport: 10 + n,
    mac: `52:54:00:00:00:${n.toString(16).padStart(2, "0")}`,
    addresses: [`203.0.113.${n}`],
    path,
  });

test("files and routes are followed as they come", () =>
  onStage(async ({ sw, place, announcer, routes, start }) => {
    await start();
    place.drop(vmOf(1));
    await until("the announcement", () => announcer.routes.has("203.0.113.1/32"));
    assert.match(await sw.dumpFlows(), "nw_dst=203.0.113.1 ");
    routes.tell([best("198.51.100.1/32", 2001)], true);
    await until("the route", async () => (await sw.dumpFlows()).includes("198.51.100.1"));
    routes.tell([best("198.51.100.1/32", 2002)]);
    await until("its new label", async () => (await sw.dumpFlows()).includes("set_field:2002->mpls_label"));
    routes.tell([{ type: "gone", prefix: "198.51.100.1/32" }]);
    await until("its end", async () => !(await sw.dumpFlows()).includes("198.51.100.1"));
    place.take(101);
    await until("the withdrawal", () => !announcer.routes.has("203.0.113.1/32"));
    await until("no delivery", async () => !(await sw.dumpFlows()).includes("203.0.113.1"));
  }));

test("a table that is told is written a tenth of a second at a time, a VM that comes meanwhile at once", () =>
  onStage(async ({ sw, place, announcer, routes, said, start }) => {
    await start();
    routes.tell([], true);
    const begun = performance.now();
    const [pieces, each] = [80, 25];
    for (let piece = 0; piece < pieces; piece++) {
      const told = Array.from({ length: each }, (_, n) => best(`198.18.${piece}.${n}/32`, 2001));
      routes.tell(told);
      if (piece === pieces / 2) place.drop(vmOf(1));
      await new Promise(resolve => setTimeout(resolve, 5));
    }
    await until("the announcement", () => announcer.routes.has("203.0.113.1/32"));
    await until("the last", async () => (await sw.dumpFlows()).includes("198.18.79.24 "));
    const tenths = (performance.now() - begun) / 100;
    assert.is((await sw.dumpFlows()).match(/nw_dst=198\.18\./g)!.length, pieces * each);
    const writes = said.filter(({ message }) => message === "written").length;
    // One before it is known that a table is told, one for the VM, and the first and the last.
    assert.ok(writes <= tenths + 4, `${writes} writes in ${tenths.toFixed(1)} tenths of a second`);
  }));

test("the socket: create, path, list, destroy, each twice; refusals say why", () =>
  onStage(async ({ place, announcer, socket, start }) => {
    await start();
    assert.is(statSync(socket).mode & 0o777, 0o600);
    const call = async (method: string, target: string, body = "") => {
      const { status, text } = await ask(socket, method, target, body);
      return { status, body: JSON.parse(text) as Record<string, unknown> };
    };
    for (let times = 0; times < 2; times++) {
      const created = await call("PUT", "/v1/vms/101", bodyOf(1, "l2"));
      assert.is(created.status, 200);
      assert.is(created.body.state, "in-step");
    }
    assert.ok(existsSync(join(place.vms, "vm-101.yaml")));
    assert.is((await call("PUT", "/v1/vms/101/path", '{"path":"l3"}')).status, 409);
    assert.is((await call("PUT", "/v1/vms/101/path", '{"path":"l3"}')).body.code, "jump");
    for (const path of ["dual-l2", "dual-l2", "dual-l3", "l3"])
      assert.equal((await call("PUT", "/v1/vms/101/path", JSON.stringify({ path }))).body.path, path);
    assert.ok(announcer.routes.has("203.0.113.1/32"));
    const other = await call("PUT", "/v1/vms/102", bodyOf(1).replace("101", "102").replace("vm-1", "vm-2"));
    assert.equal([other.status, other.body.code], [409, "conflict"]);
    assert.is((await call("PUT", "/v1/vms/103", bodyOf(1))).status, 400);
    assert.match(String((await call("PUT", "/v1/vms/101", "{")).body.message), /^body:1:\d+: /);
    assert.is((await call("PUT", "/v1/vms/109/path", '{"path":"l3"}')).status, 404);
    for (const path of ["/v2", "/v1/vms/N", "/v1/vms/0", "/v1/vms/4294967296"])
      for (const method of ["GET", "DELETE"]) assert.is((await call(method, path)).status, 404);
    const list = (await call("GET", "/v1/vms")).body as unknown as { id: number; path: string }[];
    assert.equal(
      list.map(({ id, path }) => [id, path]),
      [[101, "l3"]],
    );
    for (let times = 0; times < 2; times++) assert.is((await call("DELETE", "/v1/vms/101")).status, 200);
    assert.is(announcer.routes.size, 0);
    const late = await call("PUT", "/v1/vms/102", bodyOf(2).replace("203.0.113.2", "203.0.113.1"));
    assert.equal([late.status, late.body.code], [409, "quarantine"]);
    const { body } = await call("GET", "/v1/status");
    assert.is(body.inStep, true);
    assert.is((body.quarantine as { address: string }[])[0]!.address, "203.0.113.1");
    const { text } = await ask(socket, "GET", "/metrics");
    assert.match(text, "slash32_agent_quarantined 1");
    assert.match(text, 'slash32_agent_prefixes_total{op="announced"} 1');
    const audit = readFileSync(join(place.path, "state", "audit.jsonl"), "utf8")
      .trim()
      .split("\n");
    const adds = audit.map(line => JSON.parse(line) as { op?: string; flow?: string });
    assert.ok(adds.some(({ op, flow }) => op === "delete" && flow?.includes("nw_dst=203.0.113.1")));
    assert.ok(adds.some(({ op }) => op === "withdraw"));
  }));

test("two that want the same at once: one is told no, and nothing of it is written down", () =>
  onStage(async ({ place, socket, start }) => {
    await start();
    const same = bodyOf(2).replace("203.0.113.2", "203.0.113.1");
    const both = await Promise.all([
      ask(socket, "PUT", "/v1/vms/101", bodyOf(1)),
      ask(socket, "PUT", "/v1/vms/102", same),
      ask(socket, "PUT", "/v1/vms/101", bodyOf(1)),
      ask(socket, "PUT", "/v1/vms/101", bodyOf(1).replace("203.0.113.1", "203.0.113.9")),
    ]);
    assert.equal(both.map(({ status }) => status).sort(), [200, 200, 409, 409].sort());
    assert.is(readdirSync(place.vms).length, 1);
    assert.is((await ask(socket, "PUT", "/v1/vms/103", bodyOf(3))).status, 200);
  }));

test("of two files with one id the first counts, and is the one that is shown and changed", () =>
  onStage(async ({ place, socket, start }) => {
    await start();
    place.drop(vmOf(1, "l2"), "one.yaml");
    await until("the VM", async () => (await ask(socket, "GET", "/v1/vms/101")).status === 200);
    place.drop(vmOf(1, "l2", ["203.0.113.9"]), "another.yaml");
    const states = async (): Promise<string[]> =>
      (JSON.parse((await ask(socket, "GET", "/v1/vms")).text) as { state: string }[]).map(
        ({ state }) => state,
      );
    await until("both", async () => (await states()).length === 2);
    assert.equal((await states()).sort(), ["in-step", "refused"]);
    assert.is((await ask(socket, "PUT", "/v1/vms/101/path", '{"path":"dual-l2"}')).status, 200);
    assert.match(readFileSync(join(place.vms, "one.yaml"), "utf8"), "path: dual-l2");
    assert.match(readFileSync(join(place.vms, "another.yaml"), "utf8"), "path: l2");
  }));

test("what is asked while an agent starts waits until it has read the files: it is not told that nothing is there", () =>
  onStage(async ({ sw, place, announcer, socket, start }) => {
    place.drop(vmOf(1));
    await (await start()).stop();
    const list = announcer.list.bind(announcer);
    announcer.list = async () => {
      await new Promise(resolve => setTimeout(resolve, 300));
      return list();
    };
    const started = start();
    const isUp = (): Promise<boolean> => ask(socket, "GET", "/v1/status").then(Boolean, () => false);
    await until("the socket", isUp);
    // The switch is read before the announcements are, and the files after both.
    await new Promise(resolve => setTimeout(resolve, 150));
    assert.is((await ask(socket, "DELETE", "/v1/vms/101")).status, 200);
    await started;
    assert.not.ok(existsSync(join(place.vms, "101.yaml")));
    assert.not.match(await sw.dumpFlows(), "nw_dst=203.0.113.1 ");
  }));

test("stopped in mid-round, an agent leaves nothing behind that would keep its process alive", () =>
  onStage(async ({ place, announcer, start }) => {
    const timers = (): number => process.getActiveResourcesInfo().filter(name => name === "Timeout").length;
    place.drop(vmOf(1));
    const before = timers();
    const { stop } = await start();
    const withdraw = announcer.withdraw.bind(announcer);
    let isWithdrawing = false;
    announcer.withdraw = async prefixes => {
      isWithdrawing = true;
      await new Promise(resolve => setTimeout(resolve, 100));
      await withdraw(prefixes);
    };
    place.take(101);
    await until("the withdrawal", () => isWithdrawing);
    await stop();
    assert.is(timers(), before);
  }));

test("a switch that hangs is not waited for when an agent is to end", () =>
  onStage(async ({ sw, place, start }) => {
    const { stop } = await start();
    const [, pid] = sw.whereabouts.pids;
    process.kill(pid, "SIGSTOP");
    try {
      place.drop(vmOf(1));
      await new Promise(resolve => setTimeout(resolve, 200));
      const startedAt = performance.now();
      await stop();
      // ovs-ofctl itself would wait for a minute.
      if (isTimed) assert.ok(performance.now() - startedAt < 15_000);
    } finally {
      process.kill(pid, "SIGCONT");
    }
    const { agent } = await start();
    assert.is(agent.status().inStep, true);
    assert.match(await sw.dumpFlows(), "nw_dst=203.0.113.1 ");
  }));

test("a switch that was killed is missed at once, and filled as soon as it is back, not at the next look", () =>
  onStage(async ({ sw, said, start }) => {
    const { agent } = await start();
    const count = (await sw.dumpFlows()).split("\n").length;
    assert.ok(count > 5);
    const [, pid] = sw.whereabouts.pids;
    const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").slice(1, -1);
    const { folder } = sw.whereabouts;
    const dirs = { OVS_RUNDIR: folder, OVS_LOGDIR: folder, OVS_DBDIR: folder };
    process.kill(pid, "SIGKILL");
    await until("its absence", () => agent.status().inStep === false);
    const again = spawn("ovs-vswitchd", words, { stdio: "ignore", env: { ...process.env, ...dirs } });
    children.add(again);
    const bridge = new OfctlBridge(managementOf(sw));
    const isFilled = async (): Promise<boolean> =>
      (await all(bridge.lines()).catch(() => [])).filter(line => line.includes("actions=")).length >=
      count - 1;
    await until("the flows", isFilled);
    assert.ok(said.some(({ message }) => message === "the switch is back"));
    assert.not.ok(said.some(({ message }) => message.includes("another party changed")));
    again.kill("SIGKILL");
  }));

test("a second agent is refused the socket; the hand-over writes and withdraws nothing", () =>
  onStage(async ({ sw, place, announcer, start }) => {
    const first = await start();
    place.drop(vmOf(1));
    await until("the announcement", () => announcer.routes.size === 1);
    let refused = "";
    await start().catch(error => {
      refused = (error as Error).message;
    });
    assert.match(refused, "another agent uses this socket; stop it, or start with --take-over");
    void first.handover.then(() => first.stop());
    announcer.history.length = 0;
    const before = await sw.dumpFlows();
    const second = await start({ isTakingOver: true });
    assert.equal(announcer.history, []);
    assert.ok(second.agent.vms.list()[0]!.state === "in-step");
    assert.is((await sw.dumpFlows()).split("\n").length, before.split("\n").length);
  }));

test("the table is proved after a quiet moment, and drift is shown with a frame", () =>
  onStage(async ({ sw, place, said, start }) => {
    const { agent } = await start({ isProved: true });
    place.drop(vmOf(1));
    await until("a proof", () =>
      said.some(({ message }) => message === "the installed table equals the desired one"),
    );
    await new OfctlBridge(managementOf(sw)).bundle(
      "modify_strict table=30,priority=200,ip,nw_dst=203.0.113.1 actions=output:1\n",
    );
    said.length = 0;
    assert.equal((await agent.request("all")).drifted, ["30/200/ip,nw_dst=203.0.113.1"]);
    await until("a witness", () => said.some(({ fields }) => fields.verdict === "different"));
    const { fields } = said.find(one => one.fields.verdict === "different")!;
    assert.match(String(fields.witness), /203\.0\.113\.1/);
    assert.not.match(await sw.dumpFlows(), /nw_dst=203\.0\.113\.1 actions=output:1\n/);
  }));

test("a flow of somebody else's is found by the next look, proved, and told once", () =>
  onStage(async ({ sw, place, said, start }) => {
    const { agent } = await start({ isProved: true });
    place.drop(vmOf(1));
    await until("a proof", () =>
      said.some(({ message }) => message === "the installed table equals the desired one"),
    );
    said.length = 0;
    await new OfctlBridge(managementOf(sw)).bundle(
      "add cookie=0xbad,table=30,priority=900,ip,nw_dst=203.0.113.1 actions=drop\n",
    );
    await agent.request("all");
    await until("a witness", () => said.some(({ fields }) => /cookie=0xbad/.test(String(fields.witness))));
    await agent.request("all");
    assert.is(said.filter(({ message }) => message === "foreign flows have changed").length, 1);
  }));

test("a plan that flows of others would spoil is refused with the witness, unless forced", () =>
  onStage(async ({ sw, place, said, announcer, start }) => {
    const spoil = "cookie=0xbad,table=30,priority=900,ip,nw_dst=203.0.113.0/24 actions=drop";
    await sw.replaceFlows(spoil);
    place.drop(vmOf(1));
    const first = await start({ isProved: true });
    assert.ok(said.some(({ message }) => /refused.*203\.0\.113/.test(message)));
    assert.equal([...announcer.routes.keys()], []);
    assert.is((await sw.dumpFlows()).trim().split("\n").length, 1);
    await first.stop();
    await start({ isProved: true, isForced: true });
    assert.is(announcer.routes.size, 1);
    assert.match(await sw.dumpFlows(), "cookie=0xbad");
  }));

// ── The program ─────────────────────────────────────────────────────────────────────────────────────────────────────

const INTENT = `name: hv1
bridge: br0
label: 1001
uplink: { port: uplink0, ofport: 1, mac: 02:00:00:00:00:01 }
`;

interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** What a failed test leaves running. */
const children = new Set<ChildProcess>();

function program(args: readonly string[]): { child: ChildProcess; ended: Promise<Ran> } {
  const child = spawn(process.execPath, [PROGRAM, ...args]);
  children.add(child);
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", data => {
    stdout += data;
  });
  child.stderr.on("data", data => {
    stderr += data;
  });
  const ended = new Promise<Ran>(resolve =>
    child.on("close", code => {
      children.delete(child);
      resolve({ code, stdout, stderr });
    }),
  );
  return { child, ended };
}

test("slash32 agent: killed with -9 and started again, no flow that is right is written; doctor; init", () =>
  onStage(async ({ sw, place, socket }) => {
    const file = join(place.path, "base.yaml");
    writeFileSync(file, INTENT);
    const db = join(sw.whereabouts.folder, "db.sock");
    const words = [
      "-n",
      file,
      "--vms",
      place.vms,
      "--create-folders",
      "--state",
      join(place.path, "state"),
      "--socket",
      socket,
      "--db",
      db,
    ];
    const isUp = async (): Promise<boolean> =>
      (await ask(socket, "GET", "/v1/status").catch(() => ({ text: "" }))).text.includes('"inStep":true');
    place.drop(vmOf(1));
    const first = program(["agent", ...words, "--no-proof"]);
    await until("the first agent", isUp);
    first.child.kill("SIGKILL");
    await first.ended;
    const audit = join(place.path, "state", "audit.jsonl");
    const written = readFileSync(audit, "utf8").trim().split("\n").length;
    place.drop(vmOf(2));
    const second = program(["agent", ...words, "--no-proof"]);
    await until("the second agent", isUp);
    const added = readFileSync(audit, "utf8").trim().split("\n").slice(written);
    assert.ok(added.length > 5);
    const flows = added.map(line => JSON.parse(line) as { flow?: string }).flatMap(({ flow }) => flow ?? []);
    for (const flow of flows) assert.match(flow, /cookie=0x66/, "only the new VM's rows");
    const examined = await program(["agent", "doctor", ...words]).ended;
    assert.is(examined.code, 0, examined.stdout);
    assert.match(examined.stdout, /ok {5}socket .*: an agent is running \(200\), answered in/);
    second.child.kill("SIGTERM");
    assert.is((await second.ended).code, 0);
    assert.not.ok(existsSync(socket));
    const read = await program(["init", "--bridge", managementOf(sw)]).ended;
    assert.is(read.stderr.split("\n").filter(line => line !== "").length, 1, "the private switch's own flow");
    const again = join(place.path, "again.yaml");
    writeFileSync(again, read.stdout);
    const compiled = await program(["compile", again]).ended;
    assert.is(compiled.code, 0, compiled.stderr);
    assert.match(compiled.stdout, "nw_dst=203.0.113.2 ");
    const missing = await program(["agent", "doctor", ...words.slice(0, -1), "/nowhere/db.sock"]).ended;
    assert.is(missing.code, 2);
    assert.match(missing.stdout, /wrong {2}bridge/);
  }));

test.run();
