/**
 * What the tests of live ports share: the program run as people run it, sockets with the framing of Open
 * vSwitch's dummy ports, network namespaces that are made and removed, and a frame or two. No code of src/
 * but the builder of frames.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createConnection, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eth } from "../../src/wire/index.ts";
import { assert, peer, skip, WAIT_MS } from "../harness.ts";
import { NETNS_PREFIX, runTag } from "../started.ts";

const PROGRAM = join(import.meta.dirname, "..", "..", "bin", "slash32");

/** One uplink, two routed VMs, one bridged; a default route with one label. */
export const INTENT = `\
name: hv1
bridge: br0
label: 1001
uplink: { port: up, ofport: 1, mac: 02:00:00:00:00:01 }
vms:
  - { id: 1, name: a, port: a, ofport: 11, mac: 52:54:00:00:00:0b, addresses: [203.0.113.7], path: l3 }
  - { id: 2, name: b, port: b, ofport: 12, mac: 52:54:00:00:00:0c, addresses: [203.0.113.8], path: l3 }
  - { id: 3, name: c, port: c, ofport: 13, mac: 52:54:00:00:00:0d, addresses: [203.0.113.9], path: l2 }
routes:
  - { prefix: 0.0.0.0/0, labels: [3003], via: 02:00:00:00:00:fe }
`;

export const MACS = { a: "52:54:00:00:00:0b", b: "52:54:00:00:00:0c", uplink: "02:00:00:00:00:01" };
export const ADDRESSES = { a: "203.0.113.7", b: "203.0.113.8", far: "198.51.100.1" };
export const VIRTUAL_MAC = "fe:00:00:00:01:01";

/** A packet that VM a sends; to b unless told otherwise. Its payload begins with a number. */
export function fromA(number: number, options: { dst?: string; bytes?: number; src?: string } = {}): Buffer {
  const payload = Buffer.alloc(options.bytes ?? 26);
  payload.writeUInt32BE(number);
  const frame = eth({ dst: VIRTUAL_MAC, src: MACS.a })
    .ipv4({ src: options.src ?? ADDRESSES.a, dst: options.dst ?? ADDRESSES.b, ttl: 64 })
    .udp({ src: 1000, dst: 2000 })
    .payload(payload)
    .bytes();
  return Buffer.from(frame);
}

/** The number that `fromA` put in, behind `labels` labels. */
export function numberIn(frame: Buffer, labels = 0): number {
  return frame.readUInt32BE(14 + 4 * labels + 20 + 8);
}

/** A folder of its own, with the intent in it. */
export class Folder {
  readonly path = mkdtempSync(join(tmpdir(), "s32-live-"));

  constructor() {
    this.write("hv.yaml", INTENT);
  }

  at(name: string): string {
    return join(this.path, name);
  }

  /** Puts a file there in one step, as a careful editor does. */
  write(name: string, text: string): void {
    writeFileSync(this.at(`${name}.new`), text);
    renameSync(this.at(`${name}.new`), this.at(name));
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const RUNNING = new Set<Running>();

/** Kills what a test that failed left running. */
export function killAll(): void {
  for (const { child } of RUNNING) child.kill("SIGKILL");
}

/** `slash32 live` as a process. */
export class Running {
  readonly child: ChildProcess;
  readonly #ended: Promise<Ended>;
  stdout = "";
  stderr = "";

  constructor(words: readonly string[], netns: string | null) {
    const inside = netns === null ? [] : ["ip", "netns", "exec", netns];
    const [program, ...args] = [...inside, process.execPath, PROGRAM, "live", ...words] as [
      string,
      ...string[],
    ];
    this.child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
    RUNNING.add(this);
    this.child.stdout!.on("data", text => {
      this.stdout += text;
    });
    this.child.stderr!.on("data", text => {
      this.stderr += text;
    });
    this.#ended = new Promise((resolve, reject) => {
      this.child.on("error", reject);
      this.child.on("close", code => {
        RUNNING.delete(this);
        resolve({ code, stdout: this.stdout, stderr: this.stderr });
      });
    });
  }

  /** Waits until standard error has a text. */
  async says(text: string | RegExp, waitMs = WAIT_MS): Promise<void> {
    const has = (): boolean =>
      typeof text === "string" ? this.stderr.includes(text) : text.test(this.stderr);
    await until(has, waitMs, () => `waiting for ${text}; it said: ${this.stderr}`, this.child);
  }

  /** Sends a signal and waits for the end. */
  async end(signal: NodeJS.Signals = "SIGTERM"): Promise<Ended> {
    this.child.kill(signal);
    return this.#ended;
  }

  get ended(): Promise<Ended> {
    return this.#ended;
  }
}

/** Starts the program and waits until it is live. */
export async function startLive(words: readonly string[], netns: string | null = null): Promise<Running> {
  const running = new Running(words, netns);
  try {
    await running.says("slash32: live:");
  } catch (error) {
    running.child.kill("SIGKILL");
    throw error;
  }
  return running;
}

/** Runs the program to its end, which must come by itself. */
export async function runLive(words: readonly string[], netns: string | null = null): Promise<Ended> {
  const running = new Running(words, netns);
  const timer = setTimeout(() => running.child.kill("SIGKILL"), WAIT_MS);
  const ended = await running.ended;
  clearTimeout(timer);
  return ended;
}

/** Waits until something holds; throws what `complaint` says when it does not in time. */
export async function until(
  holds: () => boolean,
  waitMs = WAIT_MS,
  complaint: () => string = () => "it did not happen in time",
  child?: ChildProcess,
): Promise<void> {
  const end = performance.now() + waitMs;
  while (!holds()) {
    if (performance.now() > end) throw new Error(complaint());
    if (child !== undefined && child.exitCode !== null && !holds())
      throw new Error(`it ended: ${complaint()}`);
    await new Promise(resolve => setTimeout(resolve, 5));
  }
}

/** The other end of a unix port. */
export class Peer {
  readonly socket: Socket;
  readonly frames: Buffer[] = [];
  #pending = Buffer.alloc(0);

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on("error", () => {});
    socket.on("data", chunk => {
      this.#pending = Buffer.concat([this.#pending, chunk]);
      while (this.#pending.length >= 2 && this.#pending.length >= 2 + this.#pending.readUInt16BE()) {
        const end = 2 + this.#pending.readUInt16BE();
        this.frames.push(Buffer.from(this.#pending.subarray(2, end)));
        this.#pending = this.#pending.subarray(end);
      }
    });
  }

  static async connect(path: string): Promise<Peer> {
    const socket = createConnection(path);
    await new Promise<void>((resolve, reject) => socket.once("connect", resolve).once("error", reject));
    return new Peer(socket);
  }

  send(...frames: readonly Uint8Array[]): void {
    this.socket.write(framed(frames));
  }

  /** Waits until so many frames came. */
  async receives(count: number): Promise<Buffer[]> {
    await until(
      () => this.frames.length >= count,
      WAIT_MS,
      () => `${this.frames.length} of ${count} frames came`,
    );
    return this.frames;
  }

  close(): void {
    this.socket.destroy();
  }
}

/** Frames with their lengths in front. */
export function framed(frames: readonly Uint8Array[]): Buffer {
  return Buffer.concat(
    frames.flatMap(frame => {
      const length = Buffer.alloc(2);
      length.writeUInt16BE(frame.length);
      return [length, frame];
    }),
  );
}

/** The summary that the program printed. */
export function summaryOf({ stdout }: { stdout: string }) {
  const summary = JSON.parse(stdout.trimEnd().split("\n").at(-1)!);
  assert.is(summary.type, "live");
  return summary;
}

// ── Network namespaces ─────────────────────────────────────────────────────────────────────────────────────

/** Skips unless namespaces and taps can be made. */
export function needsRoot(): void {
  peer("ip");
  if (process.getuid?.() !== 0) skip("network namespaces need root");
  const tried = spawnSync("unshare", ["-n", "true"]);
  if (tried.status !== 0) skip("network namespaces cannot be made here");
  if (!existsSync("/dev/net/tun")) skip("there is no /dev/net/tun");
}

/**
 * A namespace with a random name that begins with the run's, without IPv6; goes with `remove`, and with this
 * process in any case.
 */
export class Netns {
  readonly name = `${NETNS_PREFIX}${runTag()}${randomBytes(3).toString("hex")}`;
  readonly #onExit = (): void => this.remove();

  constructor() {
    execFileSync("ip", ["netns", "add", this.name]);
    process.once("exit", this.#onExit);
    for (const scope of ["all", "default"])
      this.run("sysctl", "-qw", `net.ipv6.conf.${scope}.disable_ipv6=1`);
  }

  /** Runs a command in it and gives its output. Throws when it fails. */
  run(...words: readonly string[]): string {
    return execFileSync("ip", ["netns", "exec", this.name, ...words], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
    });
  }

  ip(words: string): string {
    return this.run("ip", ...words.split(" "));
  }

  start(...words: readonly string[]): ChildProcess {
    return spawn("ip", ["netns", "exec", this.name, ...words], { stdio: ["pipe", "pipe", "pipe"] });
  }

  remove(): void {
    process.removeListener("exit", this.#onExit);
    spawnSync("ip", ["netns", "del", this.name]);
  }
}
