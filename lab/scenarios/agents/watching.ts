/**
 * Observations of the scenarios with agents: pings that continue meanwhile, the age of each flow, the
 * announcements of the reflector, and the BGP UPDATEs on the wire (RFC 4271; RFC 4760 for the attributes of
 * labelled prefixes).
 */
import { join } from "node:path";
import { type DaemonPath, Gobgp3 } from "../../../src/bgp/index.ts";
import type { Bridge } from "../../bridge.ts";
import type { ControlPlane } from "../../control.ts";
import { controlOf } from "../../control.ts";
import { OvsEngine } from "../../engines.ts";
import type { Lab } from "../../lab.ts";
import { execute, LabError, sleep, until } from "../../machine.ts";
import { check } from "../scenario.ts";

/** VMs of different hypervisors: each way between two of them is taken by requests or by answers. */
const PAIRS = [
  ["vm11", "vm21"],
  ["vm22", "vm31"],
  ["vm31", "vm12"],
] as const;
const INTERVAL_MS = 5;
/** What is under way, and what an echo of the change would need. */
const AFTER_MS = 300;

/**
 * Pings between hypervisors while `body` runs; returns how many were sent. Throws a LabError if one is lost.
 */
export async function pingThrough(lab: Lab, what: string, body: () => Promise<void>): Promise<number> {
  for (const [from, to] of PAIRS) await lab.host(from).ping(lab.host(to), 2);
  const pings = PAIRS.map(([from, to]) => lab.host(from).startPing(lab.host(to), INTERVAL_MS));
  await sleep(AFTER_MS);
  await body();
  await sleep(AFTER_MS);
  const pinged = await Promise.all(pings.map(ping => ping.stop()));
  const shown = pinged.map(({ sent, lost }, index) => `${lost} of ${sent} ${PAIRS[index]!.join(" → ")}`);
  check(
    pinged.every(({ lost }) => lost === 0),
    `${what}: pings lost: ${shown.join(", ")}`,
  );
  return pinged.reduce((sum, { sent }) => sum + sent, 0);
}

/** What a dump rounds away, and what it takes to make one. */
const SLACK_SECONDS = 1;

/**
 * Throws a LabError if a hypervisor's flows changed while `body` ran: a flow of Open vSwitch is new, as its
 * duration shows; of live ports, whose entries have no age, the agent's audit log has a change. Flows for
 * which `isOther` is true are left out. Returns the number of flows compared.
 */
export async function flowsStay(
  lab: Lab,
  hypervisors: readonly string[],
  body: () => Promise<void>,
  isOther: (text: string) => boolean = () => false,
): Promise<number> {
  const control = controlOf(lab);
  const bridges = new Map<string, Bridge>();
  for (const name of hypervisors) {
    const engine = lab.engine(name);
    if (engine instanceof OvsEngine) bridges.set(name, engine.bridge);
  }
  check(bridges.size > 0, `${hypervisors.join(", ")}: none is an Open vSwitch`);
  const before = new Map<string, ReadonlyMap<string, number>>();
  for (const [name, bridge] of bridges) before.set(name, await bridge.durations());
  const audits = hypervisors.map(name => control.agent(name).audit().length);
  const started = performance.now();
  await body();
  const seconds = (performance.now() - started) / 1000;
  for (const [index, name] of hypervisors.entries()) {
    const lines = control.agent(name).audit().slice(audits[index]);
    const written = lines.find(({ flow }) => flow !== undefined && !isOther(flow));
    check(written === undefined, `${name}: was written: ${written?.flow}`);
  }
  let count = 0;
  for (const [name, flows] of before) {
    const after = await bridges.get(name)!.durations();
    for (const [text, duration] of flows) {
      if (isOther(text)) continue;
      const now = after.get(text);
      check(now !== undefined, `${name}: ${text}: is gone`);
      check(now! >= duration + seconds - SLACK_SECONDS, `${name}: ${text}: was ${duration} s old, is ${now}`);
      count++;
    }
  }
  return count;
}

/** An UPDATE that passed by on the management network. */
export interface Update {
  readonly from: string;
  readonly to: string;
  readonly announced: readonly string[];
  readonly withdrawn: readonly string[];
}

const CANARY = "192.0.2.77";
const FIELDS = [
  "frame.time_epoch",
  "ip.src",
  "ip.dst",
  "bgp.mp_reach_nlri_ipv4_prefix",
  "bgp.mp_unreach_nlri_ipv4_prefix",
];

/**
 * All UPDATEs since a time (ms since 1970), up to a canary that is announced and withdrawn last, without it.
 */
export async function updatesSince(control: ControlPlane, since: number): Promise<Update[]> {
  const { captures } = control.lab;
  if (captures === null) throw new LabError("this lab makes no captures");
  const file = join(captures, `${control.capturePoint.node}.pcapng`);
  const border = new Gobgp3(control.border.api);
  const canary = { prefix: `${CANARY}/32`, labels: [1001], nextHop: control.border.options.address };
  const asked = Date.now();
  await border.announce([{ ...canary, originator: null }]);
  await border.withdraw([canary.prefix]);
  border.close();
  const words = FIELDS.flatMap(field => ["-e", field]);
  let updates: (Update & { readonly at: number })[] = [];
  await until(`the canary ${CANARY} in ${file}`, async () => {
    // What is being written may end in half a packet.
    const text = await execute("tshark", ["-r", file, "-Y", "bgp.type==2", "-T", "fields", ...words], {
      codes: [0, 1, 2],
    });
    updates = text
      .split("\n")
      .filter(line => line !== "")
      .map(line => {
        const [at, from, to, announced = "", withdrawn = ""] = line.split("\t");
        const listOf = (names: string): string[] => names.split(",").filter(name => name !== "");
        const prefixes = { announced: listOf(announced), withdrawn: listOf(withdrawn) };
        return { at: Number(at) * 1000, from: from!, to: to!, ...prefixes };
      });
    return updates.some(({ at, withdrawn }) => at >= asked && withdrawn.includes(CANARY));
  });
  const isCanary = ({ announced, withdrawn }: Update): boolean =>
    [...announced, ...withdrawn].includes(CANARY);
  return updates.filter(update => update.at >= since && !isCanary(update));
}

/** What the reflector tells of its best paths, with the moment in milliseconds since 1970. */
export class ReflectorWatch {
  readonly #daemon: Gobgp3;
  readonly #stop: () => void;
  #isOpen = false;
  #events: (DaemonPath & { readonly at: number })[] = [];

  private constructor(control: ControlPlane) {
    this.#daemon = new Gobgp3(control.reflector.api);
    this.#stop = this.#daemon.watch(
      paths => {
        this.#isOpen = true;
        this.#events.push(...paths.map(path => ({ ...path, at: Date.now() })));
      },
      () => undefined,
    );
  }

  /** Begins; its first message is the whole table. */
  static async start(lab: Lab): Promise<ReflectorWatch> {
    const watch = new ReflectorWatch(controlOf(lab));
    await until("the reflector tells its table", () => watch.#isOpen);
    return watch;
  }

  /** Forgets what was told so far. */
  clear(): void {
    this.#events = [];
  }

  /** The moment at which it told of a prefix, or of its withdrawal. */
  async told(prefix: string, isWithdrawn: boolean): Promise<number> {
    const isIt = (path: DaemonPath): boolean =>
      path.route.prefix === prefix && path.isWithdrawn === isWithdrawn;
    await until(`the reflector tells of ${prefix}`, () => this.#events.some(isIt));
    return this.#events.find(isIt)!.at;
  }

  close(): void {
    this.#stop();
    this.#daemon.close();
  }
}

/** Half of the values are no greater, and 99 of 100. */
export function quantiles(values: readonly number[]): { readonly p50: number; readonly p99: number } {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.ceil(share * sorted.length) - 1]!;
  return { p50: at(0.5), p99: at(0.99) };
}
