/** What is said of gobgpd's socket when nobody answers there: one that was left behind by kill -9, none, another file. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { examineBgp, joinBgp } from "../../src/agent/index.ts";
import { assert, peer, suite } from "../harness.ts";

const test = suite("gobgpd's socket");
const WAIT_MS = 60_000;

async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "slash32-gobgp-"));
  try {
    await body(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const settings = { nextHop: "10.0.0.1", isUnicast: false, gateway: "02:00:00:00:00:fe", macs: [] };
const problemOf = (gobgp: string): Promise<string> =>
  examineBgp({ ...settings, gobgp }).then(
    text => `no problem: ${text}`,
    (error: Error) => `${error.name}: ${error.message}`,
  );

/** Kills a process that listens at a path as soon as it does. */
async function leaveBehind(path: string, child: ChildProcess): Promise<void> {
  const end = performance.now() + WAIT_MS;
  try {
    while (!existsSync(path) || !statSync(path).isSocket()) {
      if (performance.now() > end || child.exitCode !== null) throw new Error("nobody listened");
      await new Promise(resolve => setTimeout(resolve, 5));
    }
  } finally {
    const closed = new Promise(resolve => child.once("close", resolve));
    child.kill("SIGKILL");
    await closed;
  }
}

test("one that was left behind is named, with the command that removes it; none and another file, too", () =>
  inFolder(async folder => {
    const path = join(folder, "api.sock");
    const script = `require("node:net").createServer().listen(${JSON.stringify(path)})`;
    await leaveBehind(path, spawn(process.execPath, ["-e", script], { stdio: "ignore" }));
    for (const address of [`unix://${path}`, `unix:${path}`])
      assert.is(
        await problemOf(address),
        `BgpError: no process listens on the socket; a killed gobgpd has left it, and the next one cannot start until you run rm ${path}`,
      );
    rmSync(path);
    assert.match(
      await problemOf(`unix://${path}`),
      /the socket does not exist; start gobgpd with --api-hosts unix:/,
    );
    writeFileSync(path, "");
    assert.is(await problemOf(`unix://${path}`), "BgpError: this is not a socket");
  }));

test("a path alone is no address: one line says what is", () => {
  for (const gobgp of ["/run/gobgpd/api.sock", "unix:api.sock", "unix://api.sock"])
    assert.throws(
      () => joinBgp({ ...settings, gobgp }),
      (error: Error) =>
        error.name === "BgpError" &&
        error.message.startsWith(`gobgpd at "${gobgp}": expected unix:///run/gobgpd/api.sock or HOST:PORT`),
    );
});

test("a real gobgpd leaves its socket behind when it is killed, and does not start before it is removed", () =>
  inFolder(async folder => {
    peer("gobgpd");
    const path = join(folder, "api.sock");
    const file = join(folder, "gobgpd.toml");
    writeFileSync(file, `[global.config]\n  as = 65000\n  router-id = "10.0.0.1"\n  port = -1\n`);
    const words = ["-f", file, "--api-hosts", `unix://${path}`, "--pprof-disable"];
    await leaveBehind(path, spawn("gobgpd", words, { stdio: "ignore" }));
    assert.match(
      await problemOf(`unix://${path}`),
      `a killed gobgpd has left it, and the next one cannot start until you run rm ${path}`,
    );
    const second = spawn("gobgpd", words, { stdio: "ignore" });
    assert.is.not(await new Promise(resolve => second.once("close", resolve)), 0);
    rmSync(path);
    const third = spawn("gobgpd", words, { stdio: "ignore" });
    await leaveBehind(path, third);
  }));

test.run();
