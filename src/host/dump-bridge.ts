/**
 * A live switch, read and never written: flows, groups and names of ports through ovs-ofctl(8), as the one who is
 * asked sees them. A dump of flows is no snapshot (the switch goes on while it answers), so flows and groups are read
 * until two readings in a row agree in all but counters and ages, three times at most.
 */
import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { SwitchError } from "./child-process.ts";

export interface LiveOptions {
  /** The database's socket, `unix:PATH` or a path: the bridge's own socket lies beside it. */
  readonly database?: string | undefined;
  /** What `ovs-ofctl -O` is told; OpenFlow15,OpenFlow13 by default, of which the highest both know is spoken. */
  readonly protocols?: string | undefined;
}

/** What a bridge said. */
export interface LiveBridge {
  /** As `dump-flows` prints them, in bytes: a million flows are too long for a string. */
  readonly flows: Uint8Array;
  /** As `dump-groups` prints them. */
  readonly groups: string;
  /** As `dump-ports-desc` prints them. */
  readonly ports: string;
  /** As `ovs-vsctl --format=json list interface` prints them; null when the database cannot be asked. */
  readonly interfaces: string | null;
  /** False when the last two readings differ. */
  readonly isSteady: boolean;
  /** Shell commands that print the same again. */
  readonly commands: { readonly flows: string; readonly groups: string; readonly ports: string };
}

const PROTOCOLS = "OpenFlow15,OpenFlow13";
const TIMEOUT_SECONDS = 120;
const DATABASE_SECONDS = 10;
const READINGS = 3;
const MAX_BYTES = 2 ** 31 - 1;
const PIECE_BYTES = 1 << 24;
const NEWLINE = 10;
/** What changes in a dump while the flows stay. */
const PASSING = /\b(?:duration|n_packets|n_bytes|idle_age|hard_age|xid)=[^,\s)]*/g;

/** Where ovs-ofctl finds the bridge: a name, or the management socket beside the database's. */
function addressOf(bridge: string, database: string | undefined): string {
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
    return { flows, groups, print: `${fingerprint(flows)} ${groups.replace(PASSING, "")}` };
  };
  let last = read();
  let isSteady = false;
  for (let readings = 1; readings < READINGS && !isSteady; readings++) {
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
  return { flows: last.flows, groups: last.groups, ports, interfaces, isSteady, commands };
}

/** The interfaces of the switch and their types; a bridge whose database is out of reach has none. */
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
      ? "there is no ovs-ofctl here (Debian and Ubuntu: apt-get install openvswitch-switch)"
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
    ? "; name a protocol that the bridge speaks: -O OpenFlow10"
    : "";
  throw new SwitchError(`${bridge}: ovs-ofctl: ${why || `ended with ${status}`}${hint}`);
}

/** A number for the lines of a dump, whatever their order, counters and ages. */
function fingerprint(dump: Uint8Array): string {
  let low = 0;
  let high = 0;
  let lines = 0;
  for (let start = 0; start < dump.length; ) {
    const newline = dump.indexOf(NEWLINE, Math.min(start + PIECE_BYTES, dump.length));
    const end = newline < 0 ? dump.length : newline + 1;
    const piece = Buffer.from(dump.buffer, dump.byteOffset + start, end - start).toString("latin1");
    for (const line of piece.split("\n")) {
      const [first, second] = hashesOf(line.replace(PASSING, ""));
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
