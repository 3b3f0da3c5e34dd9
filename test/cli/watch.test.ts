/**
 * `slash32 watch` on a private switch: which changes it notices, what it prints, its metrics, and its exit
 * status at each end. The tests wait for events, never for a time.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdirSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { FlowMonitor } from "../../src/cli/flow-monitor.ts";
import { ask } from "../../src/host/index.ts";
import { bundleModule } from "../bundle.ts";
import { assert, draws, peer, seed, suite, WAIT_MS } from "../harness.ts";
import { MARKER_COOKIE } from "../ovs/markers.ts";
import { PrivateSwitch } from "../ovs/private-switch.ts";
import { Folder, failsWith, inFolder, PROGRAM } from "./base.ts";

const test = suite("watch");

const PORTS = [
  { number: 1, name: "uplink0" },
  { number: 11, name: "tap101" },
  { number: 12, name: "tap102" },
];
const GOOD = "table=0,priority=5,in_port=1 actions=output:11\n";
const BAD = "table=0,priority=5,in_port=1 actions=output:12\n";
const GROUP = "group_id=7,type=all,bucket=actions=output:";
/** Seconds: then only events start a check. */
const NEVER = "100000";

/** A running program: its lines of JSON, and what it says. */
class Watching {
  readonly lines: Record<string, unknown>[] = [];
  stderr = "";
  readonly ended: Promise<number | null>;
  readonly #child: ChildProcess;
  #look: () => void = () => undefined;

  constructor(folder: Folder, args: readonly string[]) {
    const words = [PROGRAM, "watch", "--format", "ndjson", ...args];
    const child = spawn(process.execPath, words, { cwd: folder.path, stdio: ["ignore", "pipe", "pipe"] });
    this.#child = child;
    let rest = "";
    child.stdout!.on("data", data => {
      const parts = `${rest}${data}`.split("\n");
      rest = parts.pop()!;
      this.lines.push(...parts.map(part => JSON.parse(part)));
      this.#look();
    });
    child.stderr!.on("data", data => {
      this.stderr += data;
      this.#look();
    });
    this.ended = new Promise(resolve => child.once("close", resolve));
  }

  get verdicts(): unknown[] {
    return this.lines.filter(({ type }) => type === "watch").map(({ verdict }) => verdict);
  }

  /** Resolves when the condition holds; rejects when that takes too long, or the program ends. */
  async until(what: string, holds: () => boolean): Promise<void> {
    const said = (): string => `${what}: ${JSON.stringify(this.verdicts)} ${this.stderr}`;
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(said())), WAIT_MS);
      void this.ended.then(() => reject(new Error(`ended before ${said()}`)));
      this.#look = () => {
        if (!holds()) return;
        clearTimeout(timer);
        resolve();
      };
      this.#look();
    });
  }

  nth(count: number): Promise<void> {
    return this.until(`${count} verdicts`, () => this.verdicts.length >= count);
  }

  async end(signal: NodeJS.Signals): Promise<number | null> {
    this.#child.kill(signal);
    return this.ended;
  }
}

interface Scene {
  readonly sw: PrivateSwitch;
  readonly folder: Folder;
  /** Starts the program for this switch. */
  watch(...args: string[]): Watching;
}

async function onSwitch(body: (scene: Scene) => Promise<void>): Promise<void> {
  peer("ovs-vswitchd");
  const sw = await PrivateSwitch.start({ ports: PORTS });
  const folder = new Folder({ "golden.flows": GOOD });
  const running: Watching[] = [];
  try {
    await sw.replaceFlows(GOOD);
    const socket = join(sw.whereabouts.folder, "br0.mgmt");
    const watch = (...args: string[]): Watching => {
      const bridge = args.includes("--bridge") ? [] : ["--bridge", socket];
      const golden = args.includes("--golden") ? [] : ["--golden", "golden.flows"];
      const interval = args.includes("--interval") ? [] : ["--interval", NEVER];
      // The private switch has a flow of its own for its markers.
      const marker = ["--ignore-cookie", MARKER_COOKIE];
      const one = new Watching(folder, [...bridge, ...golden, ...interval, ...marker, ...args]);
      running.push(one);
      return one;
    };
    await body({ sw, folder, watch });
  } finally {
    for (const one of running) await one.end("SIGINT");
    folder.remove();
    await sw.close();
  }
}

test("each change gives a verdict, with the frame; SIGINT and SIGTERM end with the last one", () =>
  onSwitch(async ({ sw, watch }) => {
    const watching = watch();
    const other = watch();
    await watching.nth(1);
    await other.nth(1);
    await sw.replaceFlows(BAD);
    await watching.nth(2);
    await other.nth(2);
    assert.is(await other.end("SIGTERM"), 2);
    const difference = watching.lines.find(({ type }) => type === "difference")!;
    assert.is(difference.what, "the output port differs");
    assert.match(String(watching.lines.at(-1)!.at), /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    await sw.replaceFlows(GOOD);
    await watching.nth(3);
    assert.equal(watching.verdicts, ["equal", "different", "equal"]);
    assert.is(await watching.end("SIGINT"), 0);
  }));

test("a change that no event reports is found at the interval: groups", () =>
  onSwitch(async ({ sw, folder, watch }) => {
    await sw.replaceGroups(`${GROUP}11`);
    await sw.replaceFlows(GOOD.replace("output:11", "group:7"));
    folder.write("golden.groups", `${GROUP}11\n`);
    folder.write("golden.flows", GOOD.replace("output:11", "group:7"));
    const watching = watch("--groups", "golden.groups", "--interval", "0.2");
    await watching.nth(1);
    const socket = join(sw.whereabouts.folder, "br0.mgmt");
    const changed = spawnSync("ovs-ofctl", ["-O", "OpenFlow13", "mod-group", socket, `${GROUP}12`]);
    assert.is(changed.status, 0, String(changed.stderr));
    await watching.until("a difference", () => watching.verdicts.at(-1) === "different");
    assert.is(watching.verdicts[0], "equal");
  }));

test("a golden file that changes is read again; one that is broken is an error until it is repaired", () =>
  onSwitch(async ({ folder, watch }) => {
    const watching = watch("--interval", "0.2");
    await watching.nth(1);
    folder.write("golden.flows", BAD);
    await watching.nth(2);
    folder.write("golden.flows", "table=0 actions=nonsense\n");
    await watching.until("an error", () => watching.lines.at(-1)!.type === "error");
    assert.match(String(watching.lines.at(-1)!.message), "golden.flows:1:");
    folder.write("golden.flows", GOOD);
    await watching.until("a verdict", () => watching.lines.at(-1)!.type === "watch");
    assert.equal(watching.verdicts, ["equal", "different", "equal"]);
    assert.is(await watching.end("SIGINT"), 0);
  }));

test("a bridge that is away is waited for; exit status 1 while it is away", () =>
  onSwitch(async ({ sw, folder, watch }) => {
    const link = folder.at("br0.mgmt");
    const watching = watch("--bridge", link, "--interval", "0.2");
    const errors = (): unknown[] => watching.lines.filter(({ type }) => type === "error");
    await watching.until("an error", () => errors().length === 1);
    assert.match(String(watching.lines[0]!.message), "br0.mgmt");
    symlinkSync(join(sw.whereabouts.folder, "br0.mgmt"), link);
    await watching.nth(1);
    assert.equal(watching.verdicts, ["equal"]);
    rmSync(link);
    await watching.until("another error", () => errors().length === 2);
    assert.is(await watching.end("SIGTERM"), 1);
    assert.is(errors().length, 2, "each error is printed once");
  }));

test("--once: one verdict and its exit status, against flows, an intent and a bundle", () =>
  onSwitch(async ({ sw, folder, watch }) => {
    assert.is(await watch("--once").ended, 0);
    folder.write("bad.flows", BAD);
    assert.is(await watch("--once", "--golden", "bad.flows").ended, 2);
    assert.is(await watch("--once", "--golden", "missing.flows").ended, 1);
    assert.is(await watch("--once", "--bridge", folder.at("none.mgmt")).ended, 1);
    mkdirSync(folder.at("bundle"));
    for (const bridge of ["br0", "br1"])
      folder.write(`bundle/${bridge}.flows`, bridge === "br0" ? GOOD : BAD);
    assert.is(await watch("--once", "--golden", "bundle").ended, 0);
    await sw.replaceFlows(folder.run(["compile", "hv.yaml"]).stdout);
    const intent = watch("--once", "--golden", "hv.yaml");
    assert.is(await intent.ended, 0, intent.stderr);
    const bounded = watch("--once", "--golden", "bad.flows", "--budget", "1");
    assert.ok([1, 2].includes((await bounded.ended)!), bounded.stderr);
  }));

test("metrics at a loopback address and at a socket", () =>
  onSwitch(async ({ sw, folder, watch }) => {
    const watching = watch("--metrics", folder.at("metrics.sock"));
    const served = watch("--metrics", "127.0.0.1:0");
    await served.until("its address", () => served.stderr.includes("/metrics\n"));
    await served.nth(1);
    const url = /http:\S+/.exec(served.stderr)![0];
    assert.match(await (await fetch(url)).text(), "slash32_watch_equal 1\n");
    await watching.nth(1);
    await sw.replaceFlows(BAD);
    await watching.nth(2);
    const asked = (): Promise<{ text: string; status: number }> =>
      ask(folder.at("metrics.sock"), "GET", "/metrics");
    // The thread of the check prints its verdict, and the numbers follow at once.
    let { text } = await asked();
    for (const end = performance.now() + WAIT_MS; !text.includes('"different"} 1\n'); ) {
      assert.ok(performance.now() < end, text);
      ({ text } = await asked());
    }
    for (const line of [
      'slash32_watch_verdicts_total{verdict="equal"} 1',
      'slash32_watch_verdicts_total{verdict="different"} 1',
      "slash32_watch_equal 0",
      "slash32_watch_bridge_up 1",
      "slash32_watch_differences 1",
      "slash32_watch_errors_total 0",
    ])
      assert.ok(text.includes(`${line}\n`), `${line}\n${text}`);
    assert.is((await ask(folder.at("metrics.sock"), "GET", "/other")).status, 404);
    assert.is((await ask(folder.at("metrics.sock"), "POST", "/metrics")).status, 405);
    assert.is(await watching.end("SIGINT"), 2);
    assert.not.ok(folder.names().includes("metrics.sock"), "the socket is removed");
  }));

test("random changes: each verdict is that of the table that is installed", () =>
  onSwitch(async ({ sw, watch }) => {
    let state = seed();
    process.stdout.write(`  seed ${state}\n`);
    const random = (): number => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return state / 2 ** 32;
    };
    const watching = watch();
    await watching.nth(1);
    // A table without effect differs from the golden text, and not from what it does.
    const tables = [
      GOOD,
      BAD,
      `${GOOD}table=9,priority=1 actions=drop\n`,
      "table=0,priority=1 actions=drop\n",
    ];
    let last = 0;
    for (let n = 0; n < draws(18); n++) {
      last = (last + 1 + Math.floor(random() * (tables.length - 1))) % tables.length;
      const before = watching.verdicts.length;
      await sw.replaceFlows(tables[last]!);
      const expected = last % 2 === 0 ? "equal" : "different";
      // A verdict on a table that is half replaced may come first.
      const isThere = (): boolean =>
        watching.verdicts.length > before && watching.verdicts.at(-1) === expected;
      await watching.until(`change ${n} to table ${last}`, isThere);
    }
  }));

test("bad input is refused before anything is read", () =>
  inFolder({ "golden.flows": GOOD }, folder => {
    const run = (...args: string[]) => folder.run(["watch", ...args]);
    failsWith(run("--bridge", "br0"), "watch needs a bridge and a file: --bridge BRIDGE --golden FILE");
    failsWith(run("--golden", "golden.flows"), "watch needs a bridge and a file");
    const both = ["--bridge", "br0", "--golden", "golden.flows"];
    failsWith(run("--bridge", "br0", "--golden", "-"), "the golden file cannot be standard input");
    failsWith(run(...both, "golden.flows"), "--golden FILE");
    for (const text of ["0", "-1", "x", "1h"])
      failsWith(run(...both, `--interval=${text}`), `--interval: "${text}" is not a valid time`);
    failsWith(run(...both, "--metrics", "10.0.0.1:9433"), "not a loopback address");
  }));

test("canary: a monitor that does not know the events is detected", async () => {
  peer("ovs-vswitchd");
  const module = await bundleModule("src/cli/flow-monitor.ts", (path, text) =>
    path.endsWith("cli/flow-monitor.ts") ? text.replace('includes("event=")', 'includes("no event")') : text,
  );
  const mutant: { FlowMonitor: typeof FlowMonitor } = await import(module);
  await onSwitch(async ({ sw }) => {
    const bridge = join(sw.whereabouts.folder, "br0.mgmt");
    const options = { bridge, database: undefined, protocols: undefined };
    let missed = 0;
    let isAwake: () => void = () => undefined;
    const seen = new Promise<void>(resolve => (isAwake = resolve));
    const monitors = [
      new FlowMonitor({ ...options, onChange: () => isAwake() }),
      new mutant.FlowMonitor({ ...options, onChange: () => missed++ }),
    ];
    for (const monitor of monitors) monitor.keep();
    let isSeen = false;
    void seen.then(() => (isSeen = true));
    // The monitors need a moment to begin: changes go on until one is seen.
    for (let n = 0; !isSeen; n++) {
      await sw.replaceFlows(n % 2 === 0 ? BAD : GOOD);
      await new Promise(resolve => setTimeout(resolve, 20));
    }
    assert.is(missed, 0);
    for (const monitor of monitors) await monitor.close();
  });
});

test.run();
