/**
 * A host of the lab: a namespace with a real Linux stack behind a veth pair: a VM, or the host beyond the
 * edge. The stack computes checksums (`ethtool -K … tx off`): a veth pair would leave them to hardware, and
 * Open vSwitch's userspace datapath forwards such frames unchanged. ping(8), arping(8).
 */
import { join } from "node:path";
import { createInterface } from "node:readline";
import { build } from "esbuild";
import type { Blast, Order, Received } from "./agent.ts";
import { LabError, type Machine, type Running, until } from "./machine.ts";

/** The port on which every host serves. */
const SERVICE = 7000;

/** Pings that may be in arrears. */
const ARREARS = "50";

/** A line of an answer: its time, in seconds since 1970. */
/** Sequence numbers of ICMP echo. */
const SEQUENCES = 65_536;
const ANSWER = /^\[(\d+\.\d+)\] .*icmp_seq=\d+ ttl=/gm;

/** How long to wait for an answer at the end. */
const SILENCE_MS = 500;

/** What a ping came to. */
export interface Pinged {
  readonly sent: number;
  readonly received: number;
  readonly lost: number;
  readonly duplicates: number;
  /** Longest time between two answers, in milliseconds. */
  readonly gapMs: number;
  /** Half of the answers took no longer, in milliseconds. */
  readonly medianMs: number;
}

/** A ping that goes on until it is stopped. */
export interface Pinging {
  /** Waits for one more answer before, unless silence is expected: a LabError when none comes. */
  stop(expectsAnswers?: boolean): Promise<Pinged>;
  /** When each answer so far came, in milliseconds since 1970, by ping's own clock. */
  answers(): readonly number[];
}

const agents = new WeakMap<Machine, Promise<string>>();

/** Bundles the agent, once for each lab; the bundle's path. */
function agentOf(machine: Machine): Promise<string> {
  const made = agents.get(machine);
  if (made !== undefined) return made;
  const outfile = join(machine.folder, "agent.mjs");
  const options = { bundle: true, platform: "node", format: "esm", target: "node20.19" } as const;
  const making = build({ ...options, entryPoints: [join(import.meta.dirname, "agent.ts")], outfile }).then(
    () => outfile,
  );
  agents.set(machine, making);
  return making;
}

/** A host, by its namespace. */
export class Host {
  readonly name: string;
  readonly address: string;
  readonly machine: Machine;
  #agent: Promise<Agent> | undefined;
  #serving: Promise<object> | undefined;

  constructor(machine: Machine, name: string, address: string) {
    this.machine = machine;
    this.name = name;
    this.address = address;
  }

  /** Gives an interface its address and gateway, and switches offloads off. */
  async configure(nic: string, prefixBits: number, gateway: string): Promise<void> {
    await this.machine.ip(this.name, [
      `addr add ${this.address}/${prefixBits} dev ${nic}`,
      `route add default via ${gateway}`,
    ]);
    await this.machine.run(this.name, ["ethtool", "-K", nic, "tx", "off"]);
  }

  /** `count` pings, each `intervalMs` after the other. */
  async ping(to: Host | string, count = 5, intervalMs = 10, more: readonly string[] = []): Promise<Pinged> {
    const words = [
      "ping",
      "-n",
      "-D",
      "-i",
      String(intervalMs / 1000),
      "-c",
      String(count),
      "-W",
      "1",
      ...more,
    ];
    const text = await this.machine.run(this.name, [...words, addressOf(to)], {
      codes: [0, 1],
      timeoutMs: 60_000,
    });
    return pinged(text, count);
  }

  /**
   * Pings until it is stopped. Pings still in flight at the end do not count as lost; `stop` throws a
   * LabError if more are missing.
   */
  startPing(to: Host | string, intervalMs: number): Pinging {
    // With -l, what a busy machine kept it from sending in time is made up for.
    const words = ["ping", "-n", "-D", "-l", ARREARS, "-i", String(intervalMs / 1000), addressOf(to)];
    const name = `${this.name}-ping-${Math.random().toString(36).slice(2, 8)}`;
    const running = this.machine.start(this.name, name, words, process.env, true);
    let text = "";
    running.child.stdout?.on("data", (chunk: Buffer) => {
      text += chunk;
    });
    const closed = new Promise<void>(resolve => running.child.once("close", () => resolve()));
    const answers = (): number[] => [...text.matchAll(ANSWER)].map(([, at]) => Number(at) * 1000);
    return {
      stop: async (expectsAnswers = true) => {
        const stoppedAt = Date.now();
        const isAnswered = (): boolean => answers().some(at => at >= stoppedAt);
        const silence = `${this.name}: ${addressOf(to)} gave no answer in the end`;
        const wait = expectsAnswers ? until(silence, isAnswered, SILENCE_MS) : Promise.resolve();
        // Whether an answer came or not, the ping ends.
        await wait.finally(() => this.machine.stop(running, "SIGINT"));
        await closed;
        return pinged(text, null);
      },
      answers,
    };
  }

  /** Serves the byte stream to whoever asks, from the first call on. */
  async serve(): Promise<void> {
    this.#serving ??= this.#ask({ op: "serve", port: SERVICE });
    await this.#serving;
  }

  /** Fetches so many bytes from a host that serves, and compares each. */
  fetch(from: Host, bytes: number): Promise<Received> {
    return this.#ask({ op: "fetch", address: from.address, port: SERVICE, bytes }) as Promise<Received>;
  }

  /** Receives a steady stream from a host that serves until `stop` is called. */
  startStream(from: Host): { stop(): Promise<Received> } {
    const order = { op: "stream", address: from.address, port: SERVICE, ms: 300_000 } as const;
    const received = this.#ask(order) as Promise<Received>;
    return {
      stop: async () => {
        await this.#ask({ op: "end" });
        return received;
      },
    };
  }

  /** Takes the datagrams of `blast`. */
  async sink(): Promise<void> {
    await this.#ask({ op: "sink" });
  }

  /** Sends UDP datagrams to a host's `sink`; seconds that took. */
  async blast(to: Host, datagrams: Omit<Blast, "address">): Promise<number> {
    const result = await this.#ask({ op: "blast", address: to.address, ...datagrams });
    return (result as { seconds: number }).seconds;
  }

  /** The stack's neighbour cache: address, MAC (undefined when there is none), state. */
  async neighbours(): Promise<{ address: string; mac: string | undefined; state: string }[]> {
    const text = await this.machine.run(this.name, ["ip", "-j", "neigh", "show"]);
    const rows = JSON.parse(text || "[]") as { dst: string; lladdr?: string; state: string[] }[];
    return rows.map(({ dst, lladdr, state }) => ({ address: dst, mac: lladdr, state: state.join(",") }));
  }

  /** `arping` with these words; its exit code is part of the answer. */
  async arping(words: readonly string[]): Promise<{ isAnswered: boolean; text: string }> {
    const text = await this.machine.run(this.name, ["arping", ...words], { codes: [0, 1] });
    return { isAnswered: !/Received 0 response/.test(text), text };
  }

  async #ask(order: Order): Promise<object> {
    this.#agent ??= Agent.start(this.machine, this.name);
    return (await this.#agent).ask(order);
  }
}

const addressOf = (to: Host | string): string => (typeof to === "string" ? to : to.address);

/**
 * Maps sequence numbers, which are 16 bits wide and wrap (RFC 792), to pings; replies come nearly in order.
 */
function* unwrapped(sequences: Iterable<number>): Generator<number> {
  let highest = 0;
  for (const sequence of sequences) {
    const rounds = Math.max(0, Math.round((highest - sequence) / SEQUENCES));
    const whole = sequence + rounds * SEQUENCES;
    highest = Math.max(highest, whole);
    yield whole;
  }
}

/** Reads what `ping -D` printed. Without a count, what was sent after the last answer is not judged. */
export function pinged(text: string, count: number | null): Pinged {
  const answers = [...text.matchAll(/^\[(\d+\.\d+)\] .*icmp_seq=(\d+) ttl=\d+ time=([\d.]+) ms(.*)$/gm)];
  const whole = answers.map(([, at, sequence, time, rest]) => ({
    at: Number(at) * 1000,
    sequence: Number(sequence),
    time: Number(time),
    isDuplicate: rest!.includes("DUP"),
  }));
  const first = whole.filter(({ isDuplicate }) => !isDuplicate);
  const times = first.map(({ time }) => time).sort((a, b) => a - b);
  let highest = 0;
  for (const sequence of unwrapped(first.map(one => one.sequence))) highest = Math.max(highest, sequence);
  const sent = count ?? highest;
  let gapMs = 0;
  for (let index = 1; index < first.length; index++)
    gapMs = Math.max(gapMs, first[index]!.at - first[index - 1]!.at);
  return {
    sent,
    received: first.length,
    lost: sent - first.length,
    duplicates: whole.length - first.length,
    gapMs,
    medianMs: times[times.length >> 1] ?? Number.NaN,
  };
}

/** The agent in a host. */
class Agent {
  readonly #running: Running;
  readonly #waiting = new Map<number, (result: object) => void>();
  #nextId = 0;

  private constructor(running: Running) {
    this.#running = running;
    createInterface({ input: running.child.stdout! }).on("line", line => {
      const { id, result } = JSON.parse(line) as { id: number; result: object };
      this.#waiting.get(id)?.(result);
      this.#waiting.delete(id);
    });
    running.child.stdin?.on("error", () => undefined);
    void running.ended.then(() => {
      for (const resolve of this.#waiting.values()) resolve({ failed: "the agent ended" });
    });
  }

  static async start(machine: Machine, node: string): Promise<Agent> {
    const bundle = await agentOf(machine);
    const words = [process.execPath, bundle];
    return new Agent(machine.start(node, `${node}-agent`, words, process.env, true));
  }

  async ask(order: Order): Promise<object> {
    const id = this.#nextId++;
    const answer = new Promise<object>(resolve => this.#waiting.set(id, resolve));
    this.#running.child.stdin?.write(`${JSON.stringify({ id, ...order })}\n`);
    const result = await answer;
    if ("failed" in result) throw new LabError(`${this.#running.name}: ${result.failed}`);
    return result;
  }
}
