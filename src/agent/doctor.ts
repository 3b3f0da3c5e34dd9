/** `agent doctor`: checks programs, versions, sockets, folders, permissions and peers. Changes nothing. */

import { accessSync, constants, readFileSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { ask } from "../host/index.ts";
import { run } from "./ofctl-bridge.ts";

export interface Finding {
  readonly what: string;
  readonly isGood: boolean;
  readonly message: string;
}

export interface Needs {
  /** As for ovs-ofctl; or live ports in its place, with their check. */
  readonly bridge: string | { readonly name: string; check(): Promise<string> };
  readonly vms: string;
  readonly state: string;
  readonly socket: string;
  /** Whether the agent makes the two folders. */
  readonly mayCreateFolders: boolean;
  /** Further peers, each by a check that gives a line or rejects with one. */
  readonly peers: readonly { readonly name: string; check(): Promise<string> }[];
}

type Check = readonly [what: string, check: () => string | Promise<string>];

const MODE_BITS = 0o777;
const NODE_OLDEST = [20, 19] as const;

/** Runs all checks; none throws. */
export async function examine(needs: Needs): Promise<Finding[]> {
  const checks: Check[] = [
    ["node", nodeVersion],
    ...bridgeChecks(needs.bridge),
    [`VM files ${needs.vms}`, () => folderState(needs.vms, needs.mayCreateFolders)],
    [`state ${needs.state}`, () => folderState(needs.state, needs.mayCreateFolders)],
    [`socket ${needs.socket}`, () => socketState(needs.socket)],
    ["capabilities", capabilities],
    ...needs.peers.map(({ name, check }): Check => [name, () => timed(check)]),
  ];
  const findings: Finding[] = [];
  for (const [what, check] of checks) {
    try {
      findings.push({ what, isGood: true, message: await check() });
    } catch (error) {
      findings.push({ what, isGood: false, message: (error as Error).message });
    }
  }
  return findings;
}

function bridgeChecks(bridge: Needs["bridge"]): Check[] {
  if (typeof bridge !== "string") return [[bridge.name, () => timed(() => bridge.check())]];
  return [
    ["ovs-ofctl", async () => (await run("ovs-ofctl", ["--version"])).split("\n")[0]!],
    [`bridge ${bridge}`, () => timed(() => bridgeAnswer(bridge))],
  ];
}

function nodeVersion(): string {
  const { node } = process.versions;
  const [major = 0, minor = 0] = node.split(".").map(Number);
  const [first, second] = NODE_OLDEST;
  if (major > first || (major === first && minor >= second)) return node;
  throw new Error(`${node} is too old; expected ${NODE_OLDEST.join(".")} or newer`);
}

async function timed(check: () => Promise<string>): Promise<string> {
  const startedAt = performance.now();
  const text = await check();
  return `${text}, answered in ${(performance.now() - startedAt).toFixed(1)} ms`;
}

async function bridgeAnswer(bridge: string): Promise<string> {
  const text = await run("ovs-ofctl", ["--timeout=5", "-O", "OpenFlow13", "dump-aggregate", bridge]);
  const count = /flow_count=(\d+)/.exec(text)?.[1] ?? "?";
  return `OpenFlow 1.3 is enabled, ${count} flows`;
}

/** The permissions of what is there; null when it is not there and can be made. */
function modeOf(path: string): number | null {
  try {
    return statSync(path).mode & MODE_BITS;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    accessSync(dirname(path), constants.W_OK | constants.X_OK);
    return null;
  }
}

function folderState(path: string, mayCreate: boolean): string {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) {
    if (!mayCreate)
      throw new Error("this folder does not exist; create it, or start the agent with --create-folders");
    return "does not exist; the agent creates it (--create-folders)";
  }
  if (!stats.isDirectory()) throw new Error("is not a folder");
  const mode = stats.mode & MODE_BITS;
  accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
  const octal = mode.toString(8).padStart(4, "0");
  if ((mode & 0o022) !== 0) throw new Error(`mode ${octal} lets other users write; run chmod 0700 ${path}`);
  return `mode ${octal}`;
}

async function socketState(path: string): Promise<string> {
  const mode = modeOf(path);
  if (mode === null) return "no agent is running";
  if (mode !== 0o600)
    throw new Error(`mode ${mode.toString(8)} lets other users connect; run chmod 600 ${path}`);
  return timed(async () => {
    const { status } = await ask(path, "GET", "/v1/status");
    return `an agent is running (${status})`;
  });
}

/** None are needed: the sockets of Open vSwitch belong to their owner, and that is all. */
function capabilities(): string {
  const text = readFileSync("/proc/self/status", "utf8");
  const bits = /^CapEff:\s*([0-9a-f]+)/m.exec(text)?.[1] ?? "unknown";
  const user = process.getuid?.() ?? -1;
  return `user ${user}, effective capabilities 0x${bits.replace(/^0+(?=.)/, "")}; none are required`;
}
