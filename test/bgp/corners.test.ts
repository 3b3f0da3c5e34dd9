/**
 * Corners that a whole world of daemons does not show: a gobgpd without its configuration; what stands in the label field of an
 * announcement and of a withdrawal, sent to a real gobgpd by a speaker that can send anything; and a reflector that stays away.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { addRoutingNode, missingDaemons, Speaker } from "../../lab/daemons.ts";
import { Machine, until, whyNot } from "../../lab/machine.ts";
import { examineBgp } from "../../src/agent/index.ts";
import { BgpAnnouncer, BgpRoutes, Gobgp3 } from "../../src/bgp/index.ts";
import { bundleModule } from "../bundle.ts";
import { assert, peer, skip, suite } from "../harness.ts";

const test = suite("control: corners of real peers");
const HERE = "10.77.0.1";
const THERE = "10.77.0.2";
const ODD = "10.77.0.9";
const REFLECTOR = "10.77.0.254";
const SESSION_MS = 60_000;

/** Label fields: label, traffic class 0, bottom of stack. RFC 8277 section 2.4 has 0x800000 in a withdrawal, older speakers 0. */
const WITHDRAWALS = {
  "RFC 8277": "800000",
  "RFC 3107": "000000",
  "the label itself": "006411",
  another: "0c8001",
};

test("a gobgpd that has not read its configuration is an error at once, and no empty table", async () => {
  peer("gobgpd");
  const folder = mkdtempSync(join(tmpdir(), "slash32-gobgpd-"));
  const api = `unix://${join(folder, "api.sock")}`;
  const child = spawn("gobgpd", ["--api-hosts", api, "--pprof-disable"], { stdio: "ignore" });
  const daemon = new Gobgp3(api);
  try {
    await until("it answers", () =>
      daemon.peers().then(
        peers => peers.length === 0,
        () => false,
      ),
    );
    for (const ask of [() => daemon.ours(), () => daemon.list()]) {
      const message = await ask().then(
        () => "an answer",
        (error: Error) => error.message,
      );
      assert.match(message, /hasn't started/);
    }
  } finally {
    daemon.close();
    child.kill();
    rmSync(folder, { recursive: true, force: true });
  }
});

test("a withdrawal is one whatever its label says; a stack comes outermost first", async () => {
  const why = await whyNot();
  if (why !== null) skip(why);
  const missing = await missingDaemons();
  if (missing !== "") skip(`not installed: ${missing}`);
  const machine = new Machine();
  let daemon: Gobgp3 | undefined;
  let source: BgpRoutes | undefined;
  try {
    await addRoutingNode(machine, [HERE, ODD]);
    const speaker = new Speaker(machine, { name: "here", address: HERE, peers: [ODD], isReflector: true });
    await speaker.start();
    daemon = new Gobgp3(speaker.api);
    source = new BgpRoutes(daemon);
    let isComplete = false;
    source.watch(
      (_, isWhole) => {
        isComplete ||= isWhole;
      },
      () => undefined,
    );
    const program = await bundleModule("test/bgp/raw-speaker.ts");
    // It takes the daemon some seconds until it listens to its peers.
    const { child } = await startUntilUp(machine, daemon, program);
    const say = (line: string): void => void child.stdin!.write(`${line}\n`);
    const names = Object.keys(WITHDRAWALS);
    for (const index of names.keys()) say(`reach 203.0.113.${index} 006411`);
    say("reach 203.0.113.200 000640 000c81");
    await until("all five", () => source!.routes.size === names.length + 1, SESSION_MS);
    assert.equal(source.routes.get("203.0.113.0/32"), {
      prefix: "203.0.113.0/32",
      labels: [1601],
      nextHop: ODD,
      originator: ODD,
    });
    assert.equal(source.routes.get("203.0.113.200/32")!.labels, [100, 200]);
    await until("complete, without an End-of-RIB", () => isComplete, SESSION_MS);
    for (const [index, name] of names.entries()) {
      say(`unreach 203.0.113.${index} ${WITHDRAWALS[name as keyof typeof WITHDRAWALS]}`);
      await until(`withdrawn with ${name}`, () => !source!.routes.has(`203.0.113.${index}/32`));
    }
    assert.equal([...source.routes.keys()], ["203.0.113.200/32"]);
    const settings = { gobgp: speaker.api, nextHop: HERE, gateway: undefined, macs: [] };
    assert.is(await examineBgp({ ...settings, isUnicast: false }), "1 of 1 sessions up");
    const silence = await examineBgp({ ...settings, isUnicast: true }).catch((error: Error) => error.message);
    assert.is(silence, `ipv4-unicast is not negotiated with ${ODD}; add it as afi-safi-name on both sides`);
  } finally {
    await source?.close();
    daemon?.close();
    await machine.close();
  }
});

/**
 * Kills a reflector for longer than its clients wait for it, and starts it again. What the source told after the loss, and
 * how many routes the daemon had by then.
 */
async function staysAway(isLongLived: boolean): Promise<{ told: string[]; left: number }> {
  const why = await whyNot();
  if (why !== null) skip(why);
  const missing = await missingDaemons();
  if (missing !== "") skip(`not installed: ${missing}`);
  const machine = new Machine();
  const daemons: Gobgp3[] = [];
  let source: BgpRoutes | undefined;
  try {
    await addRoutingNode(machine, [HERE, THERE, REFLECTOR]);
    const restartSeconds = 2;
    const clients = { peers: [REFLECTOR], restartSeconds, isLongLived };
    const reflector = new Speaker(machine, {
      name: "reflector",
      address: REFLECTOR,
      peers: [HERE, THERE],
      isReflector: true,
      restartSeconds,
      isLongLived,
    });
    const [here, there] = [
      new Speaker(machine, { name: "here", address: HERE, ...clients }),
      new Speaker(machine, { name: "there", address: THERE, ...clients }),
    ];
    await Promise.all([reflector, here, there].map(speaker => speaker.start()));
    daemons.push(new Gobgp3(here.api), new Gobgp3(there.api));
    const route = { prefix: "203.0.113.1/32", labels: [100], nextHop: THERE, originator: null };
    await new BgpAnnouncer(daemons[1]!).announce([route]);
    source = new BgpRoutes(daemons[0]!);
    const told: string[] = [];
    source.watch(
      (changes, isComplete) =>
        void told.push(...changes.map(({ type }) => type), ...(isComplete ? ["complete"] : [])),
      error => told.push(error.message),
    );
    await until("seen", () => source!.routes.size === 1 && told.includes("complete"), SESSION_MS);
    told.length = 0;
    await reflector.stop("SIGKILL");
    await new Promise(resolve => setTimeout(resolve, 3 * restartSeconds * 1000));
    assert.is((await daemons[0]!.peers())[0]!.isUp, false);
    const left = (await daemons[0]!.list()).length;
    await reflector.start(true);
    await until("up", async () => (await daemons[0]!.peers())[0]!.hasEnded, SESSION_MS);
    // The other client's session comes back in its own time; until then the reflector sends no end of its table.
    await until("it is there again", async () => (await daemons[0]!.list()).length === 1, SESSION_MS);
    await new Promise(resolve => setTimeout(resolve, 1000));
    return { told, left };
  } finally {
    await source?.close();
    for (const daemon of daemons) daemon.close();
    await machine.close();
  }
}

test("a reflector that is away for longer than its restart time: its routes are stale, and still routes", async () => {
  assert.equal(await staysAway(true), { told: [], left: 1 });
});

if (process.env.LAB === "all") {
  test("without long-lived graceful restart the daemon forgets them, and the table does not", async () => {
    assert.equal(await staysAway(false), { told: ["no session is up", "complete"], left: 0 });
  });
}

/** Starts the speaker, and again when the daemon would not have it yet. */
async function startUntilUp(machine: Machine, daemon: Gobgp3, program: string) {
  for (let attempt = 0; ; attempt++) {
    const words = [process.execPath, program, ODD, HERE, "65000"];
    const running = machine.start("bgp", `odd${attempt}`, words, process.env, true);
    let isUp = false;
    await Promise.race([
      running.ended,
      until("up", async () => {
        isUp = (await daemon.peers()).some(peer => peer.isUp);
        return isUp;
      }).catch(() => undefined),
    ]);
    if (isUp) return running;
    await machine.stop(running);
    if (attempt === 10) throw new Error("the session never came up");
    await new Promise(resolve => setTimeout(resolve, 500));
  }
}

test.run();
