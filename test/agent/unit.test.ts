/**
 * The unit for systemd: systemd reads it without a complaint, its exposure is as low as docs/agent.md says, and an agent that
 * is shut in as it says does its work. systemd itself does not run here: no capability, no new privilege, the umask and the
 * read-only root are made by setpriv(1) and mount namespaces, and system calls are counted and held against its filter.
 */

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "../../lab/machine.ts";
import { ask } from "../../src/host/index.ts";
import { PROGRAM } from "../cli/base.ts";
import { assert, peer, skip, suite, WAIT_MS } from "../harness.ts";
import { vmOf } from "./base.ts";
import { type Hypervisor, Hypervisors } from "./hypervisors.ts";

const test = suite("the unit for systemd");
const UNIT = join(import.meta.dirname, "..", "..", "examples", "systemd", "slash32-agent.service");
/** Tenths, as `systemd-analyze security --threshold` has them. */
const EXPOSURE_MOST = 20;

const text = readFileSync(UNIT, "utf8");
/** All values of a setting, in their order. */
const valuesOf = (name: string): string[] =>
  text.split("\n").flatMap(line => (line.startsWith(`${name}=`) ? [line.slice(name.length + 1)] : []));

function analyze(words: readonly string[]): { code: number | null; said: string } {
  const { status, stdout, stderr } = spawnSync("systemd-analyze", words, { encoding: "utf8" });
  return { code: status, said: stdout + stderr };
}

/** `body` with a copy of the unit whose program is one that there is. */
function onCopy(unit: string, body: (file: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), "slash32-unit-"));
  try {
    const program = join(folder, "slash32");
    writeFileSync(program, "#!/bin/sh\n");
    chmodSync(program, 0o755);
    const file = join(folder, "slash32-agent.service");
    writeFileSync(file, unit.replaceAll("/usr/bin/slash32", program));
    body(file);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("systemd reads it without a complaint; a setting that there is not is one", () => {
  peer("systemd-analyze");
  onCopy(text, file => assert.equal(analyze(["verify", file]), { code: 0, said: "" }));
  onCopy(text.replace("UMask=", "Umask="), file =>
    assert.match(analyze(["verify", file]).said, "Unknown key"),
  );
});

test("its exposure stays low, and no capability is left", () => {
  peer("systemd-analyze");
  const words = ["security", "--offline=yes", `--threshold=${EXPOSURE_MOST}`];
  const { code, said } = analyze([...words, UNIT]);
  assert.is(code, 0, said);
  const json = spawnSync("systemd-analyze", [...words, "--json=short", UNIT], { encoding: "utf8" }).stdout;
  const findings = JSON.parse(json) as { set: boolean | null; name: string }[];
  const left = findings.filter(
    ({ set, name }) => set === false && /Capabilit|NoNewPriv|SystemCall/.test(name),
  );
  assert.equal(left, []);
  onCopy(text.replace("CapabilityBoundingSet=\n", ""), file =>
    assert.is.not(analyze([...words, file]).code, 0, "the threshold tells"),
  );
});

/** The names in a set of system calls as systemd has it; other sets in it are taken apart. */
function callsOf(set: string): Set<string> {
  const words = analyze(["syscall-filter", set])
    .said.split("\n")
    .map(line => line.trim())
    .filter(line => line !== "" && !line.startsWith("#") && line !== set);
  return new Set(words.flatMap(word => (word.startsWith("@") ? [...callsOf(word)] : [word])));
}

/** What the unit's SystemCallFilter lets through. */
function allowedCalls(): Set<string> {
  const [first = "", ...more] = valuesOf("SystemCallFilter");
  const allowed = new Set(first.split(" ").flatMap(set => [...callsOf(set)]));
  for (const line of more) {
    assert.ok(line.startsWith("~"), line);
    for (const set of line.slice(1).split(" ")) for (const name of callsOf(set)) allowed.delete(name);
  }
  return allowed;
}

/** A root that is read-only but for the agent's own folder ($1) and /dev; then the umask ($2), and the rest of the words. */
const SHUT_IN = `
mount --make-rprivate /
mount --bind "$1" "$1"
mount -o remount,bind,ro /
umask "$2"
shift 2
exec "$@"
`;

/** The agent's words, run as the unit has them run: shut in, and each system call that is not let through fails. */
function shutIn(hypervisor: Hypervisor, allowed: Iterable<string>, words: readonly string[]): ChildProcess {
  const { path } = hypervisor.place;
  const [umask = ""] = valuesOf("UMask");
  assert.equal(valuesOf("CapabilityBoundingSet"), [""]);
  const [error = ""] = valuesOf("SystemCallErrorNumber");
  const dropped = ["--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all", "--no-new-privs"];
  // Names that this strace does not know are of other machines.
  const denied = `!${[...allowed].map(name => `?${name}`).join(",")}`;
  const filter = ["strace", "-f", "-qqq", "-o", "/dev/null", "-e", `inject=${denied}:error=${error}`];
  const program = [process.execPath, PROGRAM, ...words];
  const shut = ["--mount", "sh", "-ec", SHUT_IN, "shut-in", path, umask, "setpriv", ...dropped];
  return spawn("unshare", [...shut, ...filter, ...program], { stdio: ["ignore", "ignore", "pipe"] });
}

const endOf = (child: ChildProcess): Promise<number | null> =>
  new Promise(resolve => child.once("close", resolve));

test("shut in as it says, an agent reaches its bridge, gobgpd and its own folders; no system call is outside of the filter", async () => {
  for (const program of ["systemd-analyze", "setpriv", "strace", "unshare"]) peer(program);
  const tried = spawnSync("unshare", [
    "--mount",
    "sh",
    "-c",
    "mount --make-rprivate /; mount -o remount,bind,ro /",
  ]);
  if (tried.status !== 0) skip(`no mount namespace here: ${tried.stderr}`);
  const here = await Hypervisors.start(1);
  let child: ChildProcess | null = null;
  try {
    const [one] = here.all as readonly [Hypervisor];
    writeFileSync(
      join(one.place.path, "base.yaml"),
      `name: hv1\nbridge: ${one.bridge}\nlabel: 1001\nuplink: { port: uplink0, ofport: 1, mac: 02:00:00:00:00:01 }\n`,
    );
    const allowed = allowedCalls();
    assert.ok(allowed.has("openat") && !allowed.has("mount") && !allowed.has("setrlimit"));
    child = shutIn(one, allowed, ["agent", "--take-over", ...one.words]);
    let said = "";
    child.stderr!.on("data", (chunk: Buffer) => {
      said += chunk;
    });
    const ended = endOf(child);
    const isUp = async (): Promise<boolean> => {
      assert.is(child!.exitCode, null, said);
      return ask(one.socket, "GET", "/v1/status").then(Boolean, () => false);
    };
    await until("the agent", isUp, WAIT_MS);
    one.place.drop(vmOf(1));
    await until("the announcement", async () => (await here.announced()).length === 1, WAIT_MS);
    assert.ok((await one.flows()).some(line => line.includes("nw_dst=203.0.113.1 ")));
    await until("a proof", () => said.includes("the installed table equals the desired one"), WAIT_MS);
    const doctor = ["agent", "doctor", ...one.words];
    assert.is(await endOf(shutIn(one, allowed, doctor)), 0, "the doctor is content");
    const deaf = [...allowed].filter(name => name !== "connect");
    assert.is(await endOf(shutIn(one, deaf, doctor)), 2, "what is denied is denied");
    assert.is((await ask(one.socket, "POST", "/v1/handover")).status, 202);
    assert.is(await ended, 0, said);
  } finally {
    child?.kill("SIGKILL");
    await here.close();
  }
});

test.run();
