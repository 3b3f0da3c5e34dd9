/** A program that waits for its input: used once, replaced, ended with its owner; and what it says when it goes wrong. */
import { readFileSync } from "node:fs";
import { run } from "../../src/agent/ofctl-bridge.ts";
import { PrestartedProcess } from "../../src/host/prestarted-process.ts";
import { assert, suite, WAIT_MS } from "../harness.ts";

const test = suite("control: a program that is ready");
const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms));

/** A shell that says its id and what it is given. It has no child, which would keep its pipes open when it is killed. */
const ECHO = 'echo $$; while read -r line; do echo "$line"; done; echo no >&2; exit 3';
const echo = (timeoutMs = WAIT_MS) => new PrestartedProcess("sh", ["-c", ECHO], timeoutMs);

/** Children of this process that are a shell of ours: by name, as the kernel tells. */
function children(): number[] {
  return readFileSync(`/proc/self/task/${process.pid}/children`, "utf8")
    .trim()
    .split(" ")
    .filter(Boolean)
    .map(Number);
}

async function waiting(before: readonly number[]): Promise<number> {
  for (let turn = 0; turn < 1000; turn++) {
    const found = children().find(pid => !before.includes(pid));
    if (found !== undefined) return found;
    await pause(5);
  }
  return assert.unreachable("none was started") as never;
}

test("what waits is used, once, and another waits then", async () => {
  const before = children();
  const program = echo();
  const first = await program.run("a\n");
  assert.match(first.output, /^\d+\na\n$/);
  assert.equal([first.code, first.errors, first.error], [3, "no\n", null]);
  const pid = await waiting(before);
  const second = await program.run("b\n");
  assert.is(second.output, `${pid}\nb\n`);
  const third = await waiting(before);
  assert.is.not(third, pid);
  program.close();
  for (let turn = 0; turn < 1000 && children().includes(third); turn++) await pause(5);
  assert.not.ok(children().includes(third), "it ends with its owner");
});

test("one that was ended while it waited is replaced", async () => {
  const before = children();
  const program = echo();
  program.prepare();
  const pid = await waiting(before);
  process.kill(pid, "SIGKILL");
  while (children().includes(pid)) await pause(5);
  const { code, output } = await program.run("c\n");
  assert.is(code, 3);
  assert.match(output, /\nc\n$/);
  program.close();
});

test("a bridge without OpenFlow 1.3 is said to be one: ovs-ofctl itself speaks of a broken pipe", async () => {
  const said =
    "vconn|WARN|unix:x: version negotiation failed (we support version 0x04, peer supports version 0x01)";
  const script = `echo '${said}' >&2; echo 'sh: x: failed to connect to socket (Broken pipe)' >&2; exit 1`;
  const error = await run("sh", ["-c", script]).catch((found: Error) => found);
  assert.match(
    String(error),
    /sh: x: failed to connect to socket \(Broken pipe\); OpenFlow 1\.3 is not enabled on the bridge; run ovs-vsctl/,
  );
});

test("two at once, one that hangs, and one that is not there", async () => {
  const program = echo();
  const both = await Promise.all([program.run("d\n"), program.run("e\n")]);
  assert.match(both[0]!.output, /\nd\n$/);
  assert.match(both[1]!.output, /\ne\n$/);
  program.close();
  const hanging = new PrestartedProcess("sleep", ["60"], 50);
  assert.is((await hanging.run("")).code, null);
  hanging.close();
  const missing = new PrestartedProcess("slash32-is-not-there", [], WAIT_MS);
  assert.is((await missing.run("")).error?.code, "ENOENT");
  missing.close();
});

test.run();
