/**
 * A test file that starts all that a test can leave behind, writes a list of it to the file that HANGS_LIST names, and
 * never ends. HANGS=spinning blocks the event loop, so that this process cannot react to SIGTERM. Not part of a run: only
 * `run.test.ts` runs it.
 */

import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, renameSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { bundleModule } from "../bundle.ts";
import { suite } from "../harness.ts";
import { Netns } from "../live/base.ts";
import { PrivateSwitch } from "../ovs/private-switch.ts";

const test = suite("hangs");

/** All that must be gone once the runner has ended. */
export interface Hanging {
  pids: number[];
  folders: string[];
  namespaces: string[];
}

const DEAF = "trap '' HUP INT TERM; while :; do sleep 600; done";

/** Starts a process that leaves the group and whose parent ends, as a daemon does. */
function daemon(): number {
  const script = `setsid sh -c "$1" >/dev/null 2>&1 </dev/null & echo $!`;
  const { stdout } = spawnSync("sh", ["-c", script, "sh", DEAF], { encoding: "utf8" });
  return Number(stdout);
}

test("everything at once, without an end", async () => {
  const hanging: Hanging = { pids: [process.pid, daemon()], folders: [], namespaces: [] };
  hanging.pids.push(spawn("sh", ["-c", DEAF], { stdio: "ignore" }).pid!);
  hanging.folders.push(mkdtempSync(join(tmpdir(), "slash32-hangs-")));
  hanging.folders.push(dirname(await bundleModule("src/wire/index.ts")));
  const { pids, folder } = (await PrivateSwitch.start({ ports: [{ number: 1 }] })).whereabouts;
  hanging.pids.push(...pids);
  hanging.folders.push(folder);
  if (process.env.HANGS_NETNS === "1") {
    const netns = new Netns();
    hanging.namespaces.push(netns.name);
    hanging.pids.push(netns.start("sh", "-c", DEAF).pid!);
  }
  const list = process.env.HANGS_LIST!;
  writeFileSync(`${list}.new`, JSON.stringify(hanging));
  renameSync(`${list}.new`, list);
  if (process.env.HANGS === "spinning") for (;;);
  await new Promise(resolve => setTimeout(resolve, 2 ** 31 - 1));
});

test.run();
