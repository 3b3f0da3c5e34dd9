/**
 * However a lab ends, nothing of it is left: namespaces, processes, folders. Two at once do not meet. Small machines (two
 * nodes, one switch) stand for the whole, as what cleans up is the same.
 */
import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { Bridge } from "../../lab/bridge.ts";
import { Machine, until, whyNot } from "../../lab/machine.ts";
import { bundleModule } from "../bundle.ts";
import { assert, skip, suite } from "../harness.ts";

const test = suite("lab ends");

async function needed(): Promise<void> {
  const why = await whyNot();
  if (why !== null) skip(why);
}

/** Processes whose working directory is the folder, gone or not. */
function processesIn(folder: string): string[] {
  return readdirSync("/proc").filter(pid => {
    try {
      return /^\d+$/.test(pid) && readlinkSync(`/proc/${pid}/cwd`).startsWith(folder);
    } catch {
      return false;
    }
  });
}

async function isGone(machine: { folder: string; namespaces(): Promise<string[]> }): Promise<boolean> {
  const names = await machine.namespaces();
  return names.length === 0 && !existsSync(machine.folder) && processesIn(machine.folder).length === 0;
}

async function small(): Promise<Machine> {
  const machine = new Machine();
  await machine.addNodes(["one", "two"]);
  await machine.addLinks([{ a: { node: "one", name: "p1" }, b: { node: "two", name: "eth0" }, mtu: 1500 }]);
  await Bridge.start(machine, "one", new Map([["p1", 1]]));
  return machine;
}

test("two at once do not meet, and each takes away only its own", async () => {
  await needed();
  const [first, second] = await Promise.all([small(), small()]);
  try {
    assert.ok(processesIn(first.folder).length >= 2, "the daemons run in the folder");
    await first.close();
    assert.ok(await isGone(first));
    assert.is((await second.namespaces()).length, 2);
    assert.match(await second.run("two", ["ip", "link", "show", "eth0"]), /eth0/);
  } finally {
    await Promise.all([first.close(), second.close()]);
  }
  assert.ok(await isGone(second));
});

test("an error while it is built leaves nothing", async () => {
  await needed();
  const machine = await small();
  try {
    await Bridge.start(machine, "none", new Map());
    assert.unreachable("a bridge in a namespace that is not there");
  } catch (error) {
    assert.match((error as Error).message, /none/);
  } finally {
    await machine.close();
  }
  assert.ok(await isGone(machine));
});

const SIGNALS = process.env.LAB === "all" ? (["SIGINT", "SIGKILL"] as const) : (["SIGINT"] as const);
for (const signal of SIGNALS) {
  test(`${signal} while a lab is up leaves nothing`, async () => {
    await needed();
    const program = await bundleModule("lab/main.ts");
    const words = [program, "--keep", "--engine", "ovs", "--captures", `${program}.captures`];
    const child = spawn(process.execPath, words, { stdio: ["ignore", "pipe", "pipe"] });
    let said = "";
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (piece: Buffer) => {
        said += piece;
      });
    const ended = new Promise<number | string | null>(resolve =>
      child.once("exit", (code, by) => resolve(code ?? by)),
    );
    await until("the lab is up", () => /up in/.test(said), 30_000);
    const [, tag] = /s32-([0-9a-f]{6})-/.exec(said)!;
    const folder = Machine.folderOf(tag!);
    assert.match(readFileSync(`${folder}/pids/hv1-vswitchd`, "utf8"), /^\d+$/);
    child.kill(signal);
    const code = await ended;
    if (signal === "SIGINT") assert.is(code, 130, said);
    const left = { folder, namespaces: () => Machine.namespacesOf(tag!) };
    await until(`nothing of ${tag} is left`, () => isGone(left));
  });
}

test.run();
