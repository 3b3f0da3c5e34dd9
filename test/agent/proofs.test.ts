/**
 * What the agent makes of proofs: a failed one counts until one holds, one that could not tell changes nothing, a state that
 * lasts is logged at intervals, and rows that wait on purpose are no difference. First with a prover of the test's own, then
 * on a private switch.
 */

import { join } from "node:path";
import {
  type AgentSettings,
  OfctlBridge,
  Proofs,
  type Prover,
  type ReconcileReport,
  type Running,
  startAgent,
} from "../../src/agent/index.ts";
import { ask } from "../../src/host/index.ts";
import { assert, peer, suite } from "../harness.ts";
import { PrivateSwitch } from "../ovs/private-switch.ts";
import { BASE, FakeAnnouncer, FakeRoutes, peersOf, settingsAt, vmOf, Workplace } from "./base.ts";

const test = suite("proofs of the agent");
/** The private switch's own flow, which leads every frame of its markers to every port. */
const MARKER = 0x736c617368333200n;
const WAIT_MS = 60_000;

async function until(what: string, isTrue: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + WAIT_MS;
  while (!(await isTrue())) {
    if (performance.now() > end) throw new Error(`waited for: ${what}`);
    await new Promise(resolve => setTimeout(resolve, 5));
  }
}

// ── With a prover of the test's own ─────────────────────────────────────────────────────────────────────────────────

const ROUND: ReconcileReport = {
  isFull: false,
  added: 0,
  changed: 0,
  removed: 0,
  announced: 0,
  withdrawn: 0,
  milliseconds: 1,
  problems: [],
  drifted: [],
  haveOthersWritten: false,
};

/** Proofs that give these verdicts, one after the other; an Error is one that cannot be made. */
class Bench {
  readonly said: string[] = [];
  readonly counted: string[] = [];
  asked = 0;
  readonly proofs: Proofs;

  constructor(answers: readonly (string | Error)[], remindMs = 3_600_000) {
    const prover = {
      ask: async () => {
        const answer = answers[this.asked++]!;
        if (answer instanceof Error) throw answer;
        return { id: 1, verdict: answer, witness: answer === "equal" ? null : `w${this.asked}`, seconds: 0 };
      },
      close: async () => undefined,
    } as unknown as Prover;
    const nothing = { lingersUntil: null, expectedLines: () => [], driftedLines: () => [] };
    this.proofs = new Proofs({
      prover,
      bridge: { async *lines() {} } as never,
      reconciler: nothing as never,
      log: (level, message) => void this.said.push(`${level} ${message}`),
      onVerdict: verdict => void this.counted.push(verdict),
      isRunning: () => false,
      quietMs: 0,
      gapMs: 0,
      remindMs,
    });
  }

  /** A round that wrote, and the proof after it. */
  async next(round: Partial<ReconcileReport> = { added: 1 }): Promise<void> {
    const before = this.asked;
    this.proofs.noteReport({ ...ROUND, ...round });
    await until("a proof", () => this.asked > before);
    // The verdict is taken in a later turn.
    await new Promise(resolve => setTimeout(resolve, 5));
  }
}

test("a failed proof counts until one holds; one that could not tell neither begins nor ends it", async () => {
  const bench = new Bench(["unknown", "different", "unknown", "ambiguous", "equal", "unknown"]);
  const { proofs } = bench;
  assert.equal([proofs.state.pending, proofs.state.verdict, proofs.problem], [true, null, null]);
  await bench.next();
  assert.equal([proofs.state.verdict, proofs.problem], ["unknown", null]);
  assert.is(proofs.state.pending, false);
  await bench.next();
  assert.match(
    proofs.problem!,
    /^the installed table does not do what the desired table does \(proof of \S+Z\): w2$/,
  );
  await bench.next();
  assert.is(proofs.state.verdict, "unknown");
  assert.match(proofs.problem!, ": w2");
  await bench.next();
  assert.match(proofs.problem!, /^the result of the installed table depends on .*: w4$/);
  await bench.next();
  assert.is(proofs.problem, null);
  await bench.next();
  assert.is(proofs.problem, null);
  assert.equal(bench.counted, ["unknown", "different", "unknown", "ambiguous", "equal", "unknown"]);
  assert.equal(
    bench.said.map(line => line.split(" ")[0]),
    ["warn", "error", "warn", "error", "info", "warn"],
  );
  await proofs.close();
});

test("the same failure is logged once, and again at intervals while it lasts", async () => {
  const lasting = new Bench(["different", "different", "different"]);
  for (let times = 0; times < 3; times++) await lasting.next();
  assert.equal(lasting.said, ["error the installed table does not do what the desired table does"]);
  await lasting.proofs.close();

  const reminded = new Bench(["different", "equal"], 20);
  await reminded.next();
  await until("two reminders", () => reminded.said.length >= 3);
  assert.is(reminded.said[1], "error still: the installed table does not do what the desired table does");
  await reminded.next();
  const { length } = reminded.said;
  assert.is(reminded.said.at(-1), "info the installed table equals the desired one");
  await new Promise(resolve => setTimeout(resolve, 100));
  assert.is(reminded.said.length, length, "nothing is said of what is over");
  await reminded.proofs.close();
});

test("a proof that could not be made follows the next look, and is no difference", async () => {
  const bench = new Bench([new Error("the switch is away"), new Error("the switch is away"), "equal"]);
  const { proofs } = bench;
  await bench.next();
  assert.equal(
    [proofs.state.pending, proofs.state.error, proofs.problem],
    [true, "the switch is away", null],
  );
  await bench.next({ isFull: true });
  assert.is(bench.said.length, 1, "said once");
  await bench.next({ isFull: true });
  assert.equal([proofs.state.pending, proofs.state.error, proofs.state.verdict], [false, null, "equal"]);
  proofs.noteReport({ ...ROUND, isFull: true });
  assert.is(proofs.state.pending, false, "nothing changed: nothing is to be proved");
  await proofs.close();
});

// ── On a switch ─────────────────────────────────────────────────────────────────────────────────────────────────────

interface Scene {
  readonly sw: PrivateSwitch;
  readonly place: Workplace;
  readonly announcer: FakeAnnouncer;
  readonly said: { readonly level: string; readonly message: string }[];
  start(more?: Partial<AgentSettings>): Promise<Running>;
}

async function onStage(body: (scene: Scene) => Promise<void>): Promise<void> {
  peer("ovs-vswitchd");
  const sw = await PrivateSwitch.start({ ports: [{ number: 1, name: "uplink0" }] });
  const place = new Workplace();
  const announcer = new FakeAnnouncer();
  const said: Scene["said"] = [];
  const running: Running[] = [];
  const start = async (more: Partial<AgentSettings> = {}): Promise<Running> => {
    const one = await startAgent({
      ...settingsAt(place, { ...BASE, bridge: join(sw.whereabouts.folder, "br0.mgmt") }),
      peers: peersOf(announcer, new FakeRoutes()),
      ignoredCookies: [MARKER],
      isProved: true,
      quietMs: 20,
      log: (level, message) => void said.push({ level, message }),
      ...more,
    });
    running.push(one);
    return one;
  };
  try {
    await body({ sw, place, announcer, said, start });
  } finally {
    for (const one of running) await one.stop().catch(() => undefined);
    place.remove();
    await sw.close();
  }
}

interface Status {
  readonly inStep: boolean;
  readonly problems: readonly string[];
  readonly proof: {
    readonly enabled: boolean;
    readonly pending: boolean;
    readonly verdict: string | null;
    readonly at: string | null;
  };
}

const statusOf = ({ agent }: Running): Status => agent.status() as unknown as Status;
/** Whether the table as it is was proved, with this verdict. */
const isProved = (running: Running, verdict: string): boolean => {
  const { pending, verdict: last } = statusOf(running).proof;
  return !pending && last === verdict;
};

test("an agent whose proof failed is not in step, in status, metric and log, until a proof holds again", () =>
  onStage(async ({ sw, place, said, start }) => {
    place.drop(vmOf(1));
    const running = await start();
    await until("a proof", () => isProved(running, "equal"));
    assert.is(statusOf(running).inStep, true);
    const foreign = new OfctlBridge(join(sw.whereabouts.folder, "br0.mgmt"));
    const place30 = "cookie=0x999,table=30,priority=65000,ip,nw_dst=203.0.113.1";
    await foreign.bundle(`add ${place30} actions=drop\n`);
    // In each look the rows of the agent's own are right: only the proof shows what the other flow does.
    assert.equal((await running.agent.request("all")).problems, []);
    await until("the difference", () => isProved(running, "different"));
    for (let times = 0; times < 2; times++) {
      const { inStep, problems } = statusOf(running);
      assert.is(inStep, false);
      assert.match(
        problems.join(),
        /^the installed table does not do what the desired table does \(proof of .*203\.0\.113\.1/,
      );
      assert.equal((await running.agent.request("all")).problems, []);
    }
    const socket = join(place.path, "agent.sock");
    const metrics = async (): Promise<string> => (await ask(socket, "GET", "/metrics")).text;
    assert.match(await metrics(), /^slash32_agent_in_step 0$/m);
    assert.match(await metrics(), /^slash32_agent_proof_failed 1$/m);
    assert.is(said.filter(({ level }) => level === "error").length, 1);
    await foreign.bundle(`delete_strict ${place30.replace("0x999", "0x999/-1")}\n`);
    await running.agent.request("all");
    await until("a proof that holds", () => isProved(running, "equal"));
    assert.equal(statusOf(running).problems, []);
    assert.is(statusOf(running).inStep, true);
    assert.match(await metrics(), /^slash32_agent_proof_failed 0$/m);
  }));

test("two flows of one priority that differ are ambiguous, and not in step either", () =>
  onStage(async ({ sw, start }) => {
    const foreign = new OfctlBridge(join(sw.whereabouts.folder, "br0.mgmt"));
    const running = await start();
    await until("a proof", () => isProved(running, "equal"));
    await foreign.bundle(
      "add cookie=0x999,table=0,priority=500,in_port=11,vlan_tci=0x1000/0x1000 actions=output:1\n",
    );
    await running.agent.request("all");
    await until("the verdict", () => isProved(running, "ambiguous"));
    assert.is(statusOf(running).inStep, false);
    assert.match(
      statusOf(running).problems.join(),
      /^the result of the installed table depends on which flow/,
    );
  }));

test("an agent that proves nothing says so, and is in step", () =>
  onStage(async ({ start }) => {
    const { proof, inStep } = statusOf(await start({ isProved: false }));
    assert.equal([proof.enabled, proof.pending, proof.verdict, inStep], [false, false, null, true]);
  }));

test("rows that wait for their withdrawal are no difference: the daemon's absence is the problem, and said once", () =>
  onStage(async ({ sw, place, announcer, said, start }) => {
    place.drop(vmOf(1));
    place.drop(vmOf(2));
    const running = await start({ quarantineSeconds: 0.05 });
    await until("a proof", () => isProved(running, "equal"));
    announcer.error = new Error("the daemon is away");
    const proved = statusOf(running).proof.at;
    place.take(101);
    await until(
      "what need not wait",
      async () => !(await sw.dumpFlows()).includes("dl_src=52:54:00:00:00:01"),
    );
    assert.match(await sw.dumpFlows(), /table=30.*nw_dst=203\.0\.113\.1 /);
    await until("another proof", () => statusOf(running).proof.at !== proved);
    await until("its end", () => !statusOf(running).proof.pending);
    for (let times = 0; times < 4; times++) {
      await running.agent.request("all");
      await new Promise(resolve => setTimeout(resolve, 60));
    }
    assert.is(statusOf(running).proof.verdict, "equal");
    assert.ok(statusOf(running).problems.every(problem => problem.includes("the daemon is away")));
    assert.equal(
      said.filter(({ level }) => level === "error"),
      [],
    );
    assert.is(said.filter(({ message }) => message === "addresses are in quarantine").length, 1);
    // Somebody makes another row of the one that waits: that was not on purpose.
    const foreign = new OfctlBridge(join(sw.whereabouts.folder, "br0.mgmt"));
    await foreign.bundle("modify_strict table=30,priority=200,ip,nw_dst=203.0.113.1 actions=output:1\n");
    await running.agent.request("all");
    await until("the difference", () => isProved(running, "different"));
    announcer.error = null;
    await running.agent.request("all");
    await until("the end of it", async () => !(await sw.dumpFlows()).includes("203.0.113.1 "));
    await until("a proof that holds", () => isProved(running, "equal"));
    assert.is(statusOf(running).inStep, true);
  }));

test.run();
