/**
 * Dumps of a live switch, which is read and never written: flows, groups and port names through ovs-ofctl(8).
 * A dump of flows is not a snapshot, because the switch continues while it replies. Flows and groups are
 * therefore dumped 2 or 3 times, until two consecutive dumps agree except for counters and ages.
 */

import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { UserError } from "../errors/index.ts";

/** A switch cannot be read: one line for the user. */
export class SwitchError extends UserError {
  override readonly name = "SwitchError";
}

export interface LiveOptions {
  /** Socket of the database, `unix:PATH` or a path; the bridge's socket is in the same folder. */
  readonly database?: string | undefined;
  /** Value for `ovs-ofctl -O` (default: OpenFlow15,OpenFlow13); the highest common version is used. */
  readonly protocols?: string | undefined;
}

/** The dumps of a bridge. */
export interface LiveBridge {
  /** As `dump-flows` prints them, in bytes: a million flows are too long for a string. */
  readonly flows: Uint8Array;
  /** As `dump-groups` prints them. */
  readonly groups: string;
  /** As `dump-ports-desc` prints them. */
  readonly ports: string;
  /** As `ovs-vsctl --format=json list interface` prints them; null if the database is out of reach. */
  readonly interfaces: string | null;
  /** A digest of flows, groups and ports: equal for two dumps that differ in counters and ages only. */
  readonly fingerprint: string;
  /** False if the last two dumps differ. */
  readonly isSteady: boolean;
  /** Shell commands that print the same dumps. */
  readonly commands: { readonly flows: string; readonly groups: string; readonly ports: string };
}

const PROTOCOLS = "OpenFlow15,OpenFlow13";
const TIMEOUT_SECONDS = 120;
const DATABASE_SECONDS = 10;
const DUMPS_MAX = 3;
const MAX_BYTES = 2 ** 31 - 1;
const CHUNK_BYTES = 1 << 24;
const NEWLINE = 10;
/** Values that change in a dump while the flows stay. */
const VOLATILE = /\b(?:duration|n_packets|n_bytes|idle_age|hard_age|xid)=[^,\s)]*/g;

/**
 * Address of the bridge for ovs-ofctl: a name, or the management socket in the folder of the database's
 * socket.
 */
export function addressOf(bridge: string, database: string | undefined): string {
  if (database === undefined || bridge.includes("/") || bridge.includes(":")) return bridge;
  const path = database.replace(/^unix:/, "");
  if (/^(?:tcp|ssl|pssl|ptcp):/.test(path)) {
    throw new SwitchError(`--db ${database}: expected the path of a socket; ${bridge}.mgmt lies beside it`);
  }
  return join(dirname(path), `${bridge}.mgmt`);
}

/**
 * Reads a bridge, given by name or management socket.
 * @throws SwitchError in one line: no such bridge, no ovs-ofctl, no protocol in common
 */
export function readLiveBridge(bridge: string, { database, protocols }: LiveOptions = {}): LiveBridge {
  const address = addressOf(bridge, database);
  const words = (command: string): string[] => ["-O", protocols ?? PROTOCOLS, command, address];
  const flowWords = ["--no-names", ...words("dump-flows")];
  const read = (): { flows: Uint8Array; groups: string; print: string } => {
    const flows = ask(bridge, flowWords);
    const groups = new TextDecoder().decode(ask(bridge, words("dump-groups")));
    return { flows, groups, print: `${fingerprint(flows)} ${groups.replace(VOLATILE, "")}` };
  };
  let last = read();
  let isSteady = false;
  for (let dumps = 1; dumps < DUMPS_MAX && !isSteady; dumps++) {
    const next = read();
    isSteady = next.print === last.print;
    last = next;
  }
  const ports = new TextDecoder().decode(ask(bridge, words("dump-ports-desc")));
  const shell = (list: readonly string[]): string => ["ovs-ofctl", ...list.map(quotedForShell)].join(" ");
  const commands = {
    flows: shell(flowWords),
    groups: shell(words("dump-groups")),
    ports: shell(words("dump-ports-desc")),
  };
  const interfaces = readInterfaces(database);
  const named = [...ports.matchAll(/^ .*\(.*\): /gm)].join("");
  const print = `${last.print} ${named} ${interfaces === null ? "" : hashesOf(interfaces)}`;
  return {
    flows: last.flows,
    groups: last.groups,
    ports,
    interfaces,
    fingerprint: print,
    isSteady,
    commands,
  };
}

/** The interfaces of the switch and their types; null if its database is out of reach. */
function readInterfaces(database: string | undefined): string | null {
  const where =
    database === undefined ? [] : [`--db=${/^\w+:/.test(database) ? database : `unix:${database}`}`];
  const { status, stdout } = spawnSync(
    "ovs-vsctl",
    [
      `--timeout=${DATABASE_SECONDS}`,
      ...where,
      "--format=json",
      "--columns=name,ofport,type",
      "list",
      "interface",
    ],
    { maxBuffer: MAX_BYTES, stdio: ["ignore", "pipe", "ignore"], encoding: "utf8" },
  );
  return status === 0 ? stdout : null;
}

const quotedForShell = (word: string): string =>
  /^[\w./:,=@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;

function ask(bridge: string, words: readonly string[]): Uint8Array {
  const { status, stdout, stderr, error } = spawnSync(
    "ovs-ofctl",
    [`--timeout=${TIMEOUT_SECONDS}`, ...words],
    {
      maxBuffer: MAX_BYTES,
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  if (error !== undefined) {
    const isMissing = (error as NodeJS.ErrnoException).code === "ENOENT";
    const why = isMissing
      ? "ovs-ofctl is not installed (Debian and Ubuntu: apt-get install openvswitch-switch)"
      : error.message;
    throw new SwitchError(`${bridge}: ${why}`);
  }
  if (status === 0) return stdout;
  const said = stderr.toString().trim().split("\n");
  const why = (said.find(line => line.startsWith("ovs-ofctl: ")) ?? said.at(-1) ?? "").replace(
    /^ovs-ofctl: /,
    "",
  );
  const hint = said.some(line => line.includes("version negotiation failed"))
    ? "; give a protocol that is enabled on the bridge: -O OpenFlow10"
    : "";
  throw new SwitchError(`${bridge}: ovs-ofctl: ${why || `exit status ${status}`}${hint}`);
}

/** A digest of the lines of a dump, independent of their order, counters and ages. */
function fingerprint(dump: Uint8Array): string {
  let low = 0;
  let high = 0;
  let lines = 0;
  for (let start = 0; start < dump.length; ) {
    const newline = dump.indexOf(NEWLINE, Math.min(start + CHUNK_BYTES, dump.length));
    const end = newline < 0 ? dump.length : newline + 1;
    const chunk = Buffer.from(dump.buffer, dump.byteOffset + start, end - start).toString("latin1");
    for (const line of chunk.split("\n")) {
      const [first, second] = hashesOf(line.replace(VOLATILE, ""));
      low = (low + first) >>> 0;
      high = (high + second) >>> 0;
      lines++;
    }
    start = end;
  }
  return `${lines} ${low} ${high}`;
}

/** Two 32-bit hashes of a text, FNV-1a with different primes. */
function hashesOf(text: string): [number, number] {
  let first = 0x811c9dc5;
  let second = 0x9747b28c;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    first = Math.imul(first ^ code, 0x01000193);
    second = Math.imul(second ^ code, 0x5bd1e995);
    second ^= second >>> 15;
  }
  return [first >>> 0, second >>> 0];
}
