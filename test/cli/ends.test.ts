/**
 * How the program ends when somebody else decides: a signal, a reader that has had enough, a full disk, a
 * terminal that understands no control sequences. What is known is printed, nothing is left in the
 * temporary folder, and no exit code claims more than was done.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, openSync, readdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { assert, skip, suite } from "../harness.ts";
import { junitProblems } from "../report/schemas.ts";
import { Folder, failsWith, goodPcap, INTENT, PROGRAM, type Ran } from "./base.ts";

const test = suite("ends");

/**
 * Routes enough for a proof that takes longer than a signal needs: every label is wrong, and every row is
 * confirmed.
 */
const ROUTES = 30_000;
const routes = (label: number): string => {
  const lines = Array.from({ length: ROUTES }, (_, n) => {
    const address = `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`;
    return `table=0,priority=132,ip,nw_dst=${address} actions=dec_ttl,push_mpls:0x8847,set_field:${label + n}->mpls_label,output:1`;
  });
  return `OFPST_FLOW reply (OF1.3) (xid=0x2):\n${lines.map(line => ` ${line}\n`).join("")}`;
};
const many = Array.from(
  { length: 3000 },
  (_, n) => `  - { prefix: 10.${n >> 8}.${n & 255}.0/24, labels: [${3000 + n}], via: 02:00:00:00:00:fe }\n`,
);
const folder = new Folder({
  "a.flows": routes(3000),
  "b.flows": routes(4000),
  "a.pcap": goodPcap(3000),
  "many.yaml": INTENT + many.join(""),
  "huge.yaml": `${INTENT}routesFile: huge.routes\n`,
  "huge.routes": Array.from(
    { length: 400_000 },
    (_, n) => `11.${n >> 16}.${(n >> 8) & 255}.${n & 255}/32 3000 02:00:00:00:00:fe\n`,
  ).join(""),
});
mkdirSync(folder.at("tmp"));
process.on("exit", () => folder.remove());

interface Ended extends Ran {
  readonly signal: NodeJS.Signals | null;
}

/** Runs the program, and does something to it once `isDue` holds of what it has said. */
async function interrupted(
  args: readonly string[],
  isDue: (said: string) => boolean,
  act: (child: ChildProcess) => void,
): Promise<Ended> {
  const child = spawn(process.execPath, [PROGRAM, ...args], {
    cwd: folder.path,
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...process.env, TMPDIR: folder.at("tmp") },
  });
  let [stdout, stderr] = ["", ""];
  let isDone = false;
  const look = (): void => {
    if (isDone || !isDue(stderr)) return;
    isDone = true;
    act(child);
  };
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
    look();
  });
  const ended = new Promise<Ended>(resolve => {
    child.on("close", (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
  if (isDue("")) {
    // Without a word to wait for: when it has begun to wait for standard input.
    await sleep(500);
    look();
  }
  return ended;
}

/** What a shell shows: 128 and the number of the signal, whether the program said so or died of it. */
const statusOf = ({ code, signal }: Ended): number =>
  code ?? { SIGINT: 130, SIGTERM: 143 }[signal as "SIGINT"];
const leftBehind = (): string[] => [
  ...readdirSync(folder.at("tmp")),
  ...folder.names().filter(name => /\.part$/.test(name)),
];

for (const [signal, status] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const) {
  test(`${signal} ends a proof with what is known: no verdict, reports that are whole, exit ${status}`, async () => {
    const args = [
      "diff",
      "a.flows",
      "b.flows",
      "--report",
      "i.xml",
      "--report",
      "i.json",
      "--witness",
      "i.pcapng",
    ];
    const ran = await interrupted(
      args,
      said => said.includes("a dump of flows"),
      child => setTimeout(() => child.kill(signal), 300),
    );
    assert.is(statusOf(ran), status, ran.stderr);
    assert.equal(leftBehind(), []);
    if (ran.signal !== null) {
      assert.match(ran.stderr, "interrupted before there was a result");
      return;
    }
    assert.match(ran.stdout, /^(?:different|interrupted): /);
    assert.match(ran.stdout, "unknown interrupted");
    const { complete, unknown } = JSON.parse(folder.read("i.json").toString());
    assert.is(complete, false);
    assert.equal(unknown, [{ feature: "interrupted", line: 0, side: null }]);
    assert.is(junitProblems(folder.read("i.xml").toString()), "");
    assert.ok(existsSync(folder.at("i.pcapng")));
  });

  test(`${signal} ends compile -w, and the file that was begun is removed, exit ${status}`, async () => {
    const begun = (): boolean => folder.names().some(name => /\.part$/.test(name));
    const ran = await interrupted(
      ["compile", "huge.yaml", "-w", "huge.flows.gz"],
      () => true,
      child => {
        // Once: a second signal ends the program at once.
        const timer = setInterval(() => {
          if (!begun()) return;
          clearInterval(timer);
          child.kill(signal);
        }, 2);
        child.on("exit", () => clearInterval(timer));
      },
    );
    assert.is(statusOf(ran), status, ran.stderr);
    assert.is(ran.stderr, "slash32: huge.flows.gz: interrupted; the incomplete file was removed\n");
    assert.equal(leftBehind(), []);
    assert.not(existsSync(folder.at("huge.flows.gz")));
  });

  test(`${signal} while standard input is waited for ends at once`, async () => {
    for (const args of [
      ["diff", "-q", "a.flows", "-"],
      ["verify", "-q", "-n", "hv.yaml", "-f", "-"],
      ["trace", "-n", "hv.yaml", "--batch", "-"],
    ]) {
      const ran = await interrupted(
        args,
        () => true,
        child => child.kill(signal),
      );
      assert.is(statusOf(ran), status, `${args.join(" ")}: ${ran.stderr}`);
      assert.is(ran.stdout, "", "no verdict of nothing");
      assert.equal(leftBehind(), []);
    }
  });

  test(`${signal} ends the benchmark whatever it is at, and its folder goes with it`, async () => {
    const ran = await interrupted(
      ["bench", "--short", "core-mix"],
      said => said.includes("core-mix"),
      child => setTimeout(() => child.kill(signal), 1000),
    );
    assert.is(statusOf(ran), status, ran.stderr);
    assert.equal(leftBehind(), []);
  });
}

test("an interrupted search is no verdict, in words and in JSON", async () => {
  const ran = await interrupted(
    ["diff", "a.flows", "a.flows", "--budget", "600s", "--format", "json"],
    said => said.includes("a dump of flows"),
    child => child.kill("SIGINT"),
  );
  // It may have been done before the signal came, or not have begun.
  if (ran.stdout === "") return;
  const { verdict, unknown } = JSON.parse(ran.stdout);
  assert.ok(
    verdict === "equal" || (verdict === "unknown" && unknown[0].feature === "interrupted"),
    ran.stdout,
  );
  assert.is(statusOf(ran), 130);
});

// ── Readers that end ───────────────────────────────────────────────────────────────────────────────────────

test("a reader that has had enough is no failure: no word, and 141 or the command's own exit code", () => {
  const shell = (line: string): Ran => folder.shell(`${line}; echo "status $?"`);
  const head = (line: string): string => `{ ${line}; echo "code $?" >&2; } | head -c 1 > /dev/null`;
  for (const [line, code] of [
    ["slash32 compile many.yaml", 141],
    ["slash32 compile many.yaml --format json", 141],
    ["slash32 trace -n hv.yaml -r tap101=a.pcap", 141],
    ["slash32 trace -n hv.yaml -r tap101=a.pcap --format ndjson", 141],
    ["slash32 replay -n hv.yaml -r tap101=a.pcap -q -w -", 141],
    ["slash32 diff -q a.flows b.flows --format json", 2],
  ] as const) {
    const ran = shell(head(line));
    assert.is(ran.stderr, `code ${code}\n`, line);
  }
});

test("a full disk is one line, and no exit code of success", () => {
  if (!existsSync("/dev/full")) skip("there is no /dev/full");
  const full = openSync("/dev/full", "w");
  const toFull = (args: readonly string[]): Ran => folder.run(args, { stdio: ["ignore", full, "pipe"] });
  for (const args of [
    ["compile", "hv.yaml"],
    ["check", "hv.yaml"],
    ["trace", "-n", "hv.yaml", "-r", "tap101=a.pcap:1"],
    ["replay", "-n", "hv.yaml", "-r", "tap101=a.pcap"],
    ["replay", "-q", "-n", "hv.yaml", "-r", "tap101=a.pcap", "-w", "-"],
    ["diff", "-q", "hv.yaml", "hv.yaml", "--format", "json"],
  ])
    failsWith(toFull(args), "standard output: no space left on device");
  for (const report of ["xml", "sarif", "json", "md", "html"]) {
    const name = `full.${report}`;
    spawnSync("ln", ["-s", "/dev/full", folder.at(name)]);
    const ran = folder.run(["diff", "-q", "hv.yaml", "hv.yaml", "--report", name]);
    failsWith(ran, `${name}: no space left on device`);
  }
  assert.equal(leftBehind(), []);
});

// ── Terminals ──────────────────────────────────────────────────────────────────────────────────────────────

test("a terminal that is dumb gets no control sequence, whatever the command", () => {
  if (spawnSync("script", ["--version"]).status !== 0) skip("there is no script(1) to make a terminal");
  const onTerminal = (args: string, env: Record<string, string>): string =>
    folder.shell(`script -qec '"${process.execPath}" "${PROGRAM}" ${args}' /dev/null`, { env }).stdout;
  for (const args of [
    "replay -n hv.yaml -r tap101=a.pcap",
    "verify -n hv.yaml -f b.flows --max-differences 1",
    "trace -n hv.yaml -r tap101=a.pcap:1",
    "check hv.yaml",
  ]) {
    assert.not.match(onTerminal(args, { TERM: "dumb" }), "\x1b", args);
    assert.match(onTerminal(args, { TERM: "xterm" }), "\x1b[", args);
    assert.not.match(onTerminal(args, { TERM: "xterm", NO_COLOR: "1" }), "\x1b[", args);
    assert.match(onTerminal(`${args} --color=always`, { TERM: "dumb" }), "\x1b[", args);
  }
});

test.run();
