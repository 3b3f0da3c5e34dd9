/**
 * How an agent starts, as a program: signals that come at any moment of it, folders that are not there, a log that cannot
 * be written. It has no switch: live ports that take a connection and answer nothing stand in its place, so that its first
 * round lasts as long as a test wants.
 */

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { ask } from "../../src/host/index.ts";
import { PROGRAM } from "../cli/base.ts";
import { assert, skip, suite } from "../harness.ts";
import { Workplace } from "./base.ts";

const test = suite("the start of an agent");
const WAIT_MS = 60_000;
const INTENT = `name: hv1
bridge: br0
label: 1001
uplink: { port: uplink0, ofport: 1, mac: 02:00:00:00:00:01 }
`;

async function until(what: () => string, isTrue: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + WAIT_MS;
  while (!(await isTrue())) {
    if (performance.now() > end) throw new Error(`waited for: ${what()}`);
    await new Promise(resolve => setTimeout(resolve, 5));
  }
}

class Stage {
  readonly place = new Workplace();
  readonly socket = join(this.place.path, "agent.sock");
  readonly state = join(this.place.path, "state");
  readonly base = join(this.place.path, "base.yaml");
  readonly #silent: Server;
  readonly #held = new Set<Socket>();
  #isReleased = false;
  readonly #children = new Set<ChildProcess>();

  constructor() {
    mkdirSync(this.state);
    writeFileSync(this.base, INTENT);
    this.#silent = createServer(socket => {
      socket.on("error", () => undefined);
      if (this.#isReleased) socket.destroy();
      else this.#held.add(socket);
    }).listen(join(this.place.path, "live.sock"));
  }

  words(more: readonly string[] = []): string[] {
    const at = ["--vms", this.place.vms, "--state", this.state, "--socket", this.socket];
    return ["agent", "-n", this.base, "--live", join(this.place.path, "live.sock"), ...at, ...more];
  }

  run(words: readonly string[], stderr: "pipe" | number = "pipe") {
    const child = spawn(process.execPath, [PROGRAM, ...words], { stdio: ["ignore", "pipe", stderr] });
    this.#children.add(child);
    const ran = { child, stdout: "", stderr: "" };
    child.stdout!.on("data", piece => {
      ran.stdout += piece;
    });
    child.stderr?.on("data", piece => {
      ran.stderr += piece;
    });
    const ended = new Promise<number | NodeJS.Signals | null>(resolve =>
      child.once("close", (code, signal) => resolve(code ?? signal)),
    );
    return Object.assign(ran, { ended });
  }

  async isUp(): Promise<boolean> {
    return ask(this.socket, "GET", "/v1/status").then(Boolean, () => false);
  }

  /** From now on nobody is kept waiting. */
  release(): void {
    this.#isReleased = true;
    for (const socket of this.#held) socket.destroy();
  }

  close(): void {
    for (const child of this.#children) child.kill("SIGKILL");
    this.#silent.close();
    this.place.remove();
  }
}

async function onStage(body: (stage: Stage) => Promise<void>): Promise<void> {
  const stage = new Stage();
  try {
    await body(stage);
  } finally {
    stage.close();
  }
}

/** Whether a process handles SIGHUP: before that it is still Node that starts. */
function handlesHangup({ pid }: ChildProcess): boolean {
  const file = `/proc/${pid}/status`;
  if (!existsSync("/proc/self/status")) skip("there is no /proc");
  const caught = /^SigCgt:\s*([0-9a-f]+)$/m.exec(readFileSync(file, "utf8"))?.[1] ?? "0";
  return (Number.parseInt(caught.slice(-1), 16) & 1) === 1;
}

test("SIGHUP from the first moment on, again and again: the agent starts all the same", () =>
  onStage(async stage => {
    const one = stage.run(stage.words());
    await until(
      () => "a handler",
      () => handlesHangup(one.child),
    );
    await until(
      () => one.stderr,
      () => {
        one.child.kill("SIGHUP");
        return stage.isUp();
      },
    );
    assert.is(one.child.exitCode, null);
    stage.release();
    one.child.kill("SIGTERM");
    assert.is(await one.ended, 0, one.stderr);
  }));

test("SIGHUP while the intent is read ends nothing", () =>
  onStage(async stage => {
    const fifo = join(stage.place.path, "fifo");
    execFileSync("mkfifo", [fifo]);
    const one = stage.run(stage.words().map(word => (word === stage.base ? fifo : word)));
    await until(
      () => "a handler",
      () => handlesHangup(one.child),
    );
    for (let times = 0; times < 20; times++) {
      one.child.kill("SIGHUP");
      await new Promise(resolve => setTimeout(resolve, 20));
    }
    // Only now there is something to read.
    const feeder = spawn("sh", ["-c", `cat "$0" > "$1"`, stage.base, fifo]);
    await until(
      () => one.stderr,
      () => stage.isUp(),
    );
    stage.release();
    one.child.kill("SIGTERM");
    assert.is(await one.ended, 0, one.stderr);
    feeder.kill("SIGKILL");
  }));

test("in its first round, which lasts: SIGHUP opens the audit file anew, SIGTERM ends the agent", () =>
  onStage(async stage => {
    const one = stage.run(stage.words());
    await until(
      () => one.stderr,
      () => stage.isUp(),
    );
    assert.not.match(one.stderr, "the agent runs");
    const audit = join(stage.state, "audit.jsonl");
    for (let times = 0; times < 2; times++) {
      renameSync(audit, `${audit}.${times}`);
      one.child.kill("SIGHUP");
      await until(
        () => "another audit file",
        () => existsSync(audit),
      );
    }
    one.child.kill("SIGTERM");
    assert.is(await one.ended, 0, one.stderr);
    assert.not.ok(existsSync(stage.socket));
  }));

test("a folder that is not there is an error at once, unless --create-folders; doctor says it too", () =>
  onStage(async stage => {
    const typo = join(stage.place.path, "vm");
    for (const [option, kept] of [
      ["--vms", stage.place.vms],
      ["--state", stage.state],
    ] as const) {
      const words = stage.words().map(word => (word === kept ? typo : word));
      const one = stage.run(words);
      assert.is(await one.ended, 1);
      assert.is(
        one.stderr,
        `slash32: ${option} ${typo}: this folder does not exist; create it, or add --create-folders\n`,
      );
      const doctor = stage.run(doctorOf(words));
      assert.is(await doctor.ended, 2);
      assert.match(
        doctor.stdout,
        `wrong  ${option === "--vms" ? "VM files" : "state"} ${typo}: this folder does not exist; create it`,
      );
      assert.not.ok(existsSync(typo), "a doctor changes nothing");
      writeFileSync(typo, "");
      const file = stage.run([...words, "--create-folders"]);
      assert.is(await file.ended, 1);
      assert.is(file.stderr, `slash32: ${option} ${typo}: is not a folder\n`);
      assert.match(await textOf(stage, doctorOf(words)), `${typo}: is not a folder`);
      execFileSync("rm", [typo]);
      const made = stage.run([...words, "--create-folders"]);
      await until(
        () => made.stderr,
        () => stage.isUp(),
      );
      assert.ok(existsSync(typo));
      stage.release();
      made.child.kill("SIGTERM");
      assert.is(await made.ended, 0, made.stderr);
      execFileSync("rm", ["-r", typo]);
    }
  }));

/** The words of a doctor: of a bridge that is not there, which is known at once. */
const doctorOf = (words: readonly string[]): string[] => [
  "agent",
  "doctor",
  ...words.slice(1).filter((word, index, rest) => word !== "--live" && rest[index - 1] !== "--live"),
];

async function textOf(stage: Stage, words: readonly string[]): Promise<string> {
  const one = stage.run(words);
  await one.ended;
  return one.stdout + one.stderr;
}

test("a log that cannot be written ends nothing: a full device, a reader that has gone", () =>
  onStage(async stage => {
    for (const redirect of ["2> /dev/full", "2> >(head -c 1 > /dev/null)"]) {
      const words = [process.execPath, PROGRAM, ...stage.words(["-v"])];
      const child = spawn("bash", ["-c", `exec "$@" ${redirect}`, "agent", ...words], { stdio: "ignore" });
      try {
        await until(
          () => redirect,
          () => stage.isUp(),
        );
        // What is logged: a file that cannot be read.
        stage.place.dropText("bad.yaml", "{");
        for (let times = 0; times < 5; times++) {
          await new Promise(resolve => setTimeout(resolve, 50));
          assert.ok(await stage.isUp());
        }
        const ended = new Promise(resolve => child.once("close", resolve));
        stage.release();
        child.kill("SIGTERM");
        assert.is(await ended, 0);
      } finally {
        child.kill("SIGKILL");
      }
    }
  }));

test("nothing in the log or in an answer acts upon a terminal", () =>
  onStage(async stage => {
    const evil = "\x1b[31m\u009b1m\u202e\x07.yaml";
    const one = stage.run(stage.words());
    await until(
      () => one.stderr,
      () => stage.isUp(),
    );
    stage.place.dropText(evil, "{");
    assert.ok(readdirSync(stage.place.vms).includes(evil));
    const { text } = await ask(stage.socket, "GET", "/v1/status");
    stage.release();
    one.child.kill("SIGTERM");
    await one.ended;
    for (const said of [one.stderr, text])
      assert.not.match(said, /(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u, JSON.stringify(said));
  }));

test.run();
