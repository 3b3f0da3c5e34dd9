/**
 * A watched file has no moment in which a change is missed: not while live ports start, and not between two writes that
 * leave the same size and time.
 */
import { execFileSync, spawn } from "node:child_process";
import { rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { WatchedFile } from "../../src/live/index.ts";
import { assert, suite } from "../harness.ts";
import { Folder, INTENT, killAll, Running, summaryOf, until } from "./base.ts";

const test = suite("the intent's file, watched");
const PROGRAM = new URL("../../bin/slash32", import.meta.url).pathname;

async function inFolder(body: (folder: Folder) => Promise<void> | void): Promise<void> {
  const folder = new Folder();
  try {
    await body(folder);
  } finally {
    killAll();
    folder.remove();
  }
}

test("what changes after the mark is a change, once; what stays is none", () =>
  inFolder(folder => {
    const path = folder.at("file");
    const file = new WatchedFile(path);
    file.mark();
    assert.not.ok(file.hasChanged(), "not there");
    writeFileSync(path, "one");
    assert.ok(file.hasChanged());
    assert.not.ok(file.hasChanged());
    folder.write("file", "one");
    assert.ok(file.hasChanged(), "another file with the same text");
    rmSync(path);
    assert.ok(file.hasChanged());
    assert.not.ok(file.hasChanged());
  }));

test("two writes that leave the same size and time are told from each other", () =>
  inFolder(folder => {
    const path = folder.at("file");
    for (let round = 0; round < 200; round++) {
      // In one tick of the kernel's clock as often as not.
      writeFileSync(path, "label: 1001");
      const file = new WatchedFile(path);
      file.mark();
      writeFileSync(path, "label: 1002");
      assert.ok(file.hasChanged(), `round ${round}`);
      assert.not.ok(file.hasChanged());
    }
  }));

test("a file that was written long ago is not read again and again", () =>
  inFolder(folder => {
    const path = folder.at("file");
    writeFileSync(path, "one");
    utimesSync(path, 1_000_000, 1_000_000);
    const { atimeNs } = statSync(path, { bigint: true });
    const file = new WatchedFile(path);
    file.mark();
    for (let times = 0; times < 5; times++) assert.not.ok(file.hasChanged());
    assert.is(statSync(path, { bigint: true }).atimeNs, atimeNs);
  }));

/** Starts live ports that are held up, after they have read the intent, by flows that do not come until `release`. */
async function heldUp(folder: Folder, more: readonly string[], body: (live: Running) => Promise<void>) {
  const flows = execFileSync(process.execPath, [PROGRAM, "compile", folder.at("hv.yaml")]);
  writeFileSync(folder.at("flows"), flows);
  const fifo = folder.at("fifo");
  execFileSync("mkfifo", [fifo]);
  const port = ["--port", `a=punix:${folder.at("a")}`, "--format", "json"];
  const live = new Running(["-n", folder.at("hv.yaml"), ...port, "--against", fifo, ...more], null);
  // The flows are read at each reload, too.
  const script = `while :; do echo opened > "$2"; exec 3> "$1"; echo open > "$2"; while [ ! -e "$3" ]; do sleep 0.02; done; cat "$0" >&3; exec 3>&-; done`;
  const words = [folder.at("flows"), fifo, folder.at("state"), folder.at("go")];
  const feeder = spawn("sh", ["-c", script, ...words]);
  try {
    await until(
      () => readState(folder) === "open",
      60_000,
      () => live.stderr,
      live.child,
    );
    await body(live);
  } finally {
    feeder.kill("SIGKILL");
  }
}

function readState(folder: Folder): string {
  try {
    return execFileSync("cat", [folder.at("state")], { encoding: "utf8", stdio: "pipe" }).trim();
  } catch {
    return "";
  }
}

const MOVED = INTENT.replace("labels: [3003]", "labels: [4004]");

test("--watch: a change while live ports start is taken when they have", () =>
  inFolder(folder =>
    heldUp(folder, ["--watch"], async live => {
      folder.write("hv.yaml", MOVED);
      folder.write("go", "");
      await live.says("slash32: live:", 60_000);
      await live.says("reloaded the intent", 60_000);
      const ended = await live.end();
      assert.is(summaryOf(ended).reloads, 1);
    }),
  ));

test("SIGHUP while live ports start is answered when they have, and ends nothing", () =>
  inFolder(folder =>
    heldUp(folder, [], async live => {
      folder.write("hv.yaml", MOVED);
      for (let times = 0; times < 3; times++) live.child.kill("SIGHUP");
      folder.write("go", "");
      await live.says("slash32: live:", 60_000);
      await live.says("reloaded the intent", 60_000);
      assert.ok(summaryOf(await live.end()).reloads >= 1);
    }),
  ));

test("--watch without a change reads nothing again", () =>
  inFolder(folder =>
    heldUp(folder, ["--watch"], async live => {
      folder.write("go", "");
      await live.says("slash32: live:", 60_000);
      await new Promise(resolve => setTimeout(resolve, 1000));
      assert.is(summaryOf(await live.end()).reloads, 0);
    }),
  ));

test.run();
