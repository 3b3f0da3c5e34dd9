/**
 * Routing daemons for tests and the lab: gobgpd as a hypervisor's speaker or as route reflector, BIRD and FRR
 * as routers of the fabric, in namespaces of the machine, which removes them. They share one namespace, each
 * with its own address on the loopback device, unless a gobgpd is given another node. All listen on port 179,
 * and none is reachable from outside; configuration and sockets are in the machine's folder. docs/bgp.md
 * explains the settings.
 */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { execute, LabError, type Machine, type Running, timeoutOf, until } from "./machine.ts";

/** All in one autonomous system, as a reflector needs it. */
const AS = 65_000;
/** The node of daemons without a node of their own. */
export const NODE = "bgp";
/** Seconds for which peers keep the routes of a speaker that went away (RFC 4724). */
const RESTART_SECONDS = 60;
/** Longest wait of a restarted speaker for its peers' routes before it sends End-of-RIB, in seconds. */
const DEFERRAL_SECONDS = 30;
/** Seconds for which they keep them after that, as stale (RFC 9494). */
const STALE_SECONDS = 3600;
const START_MS = 15_000;

const PROGRAMS: Readonly<Record<string, string>> = {
  gobgpd: "gobgpd",
  gobgp: "gobgpd",
  bird: "bird2",
  "/usr/lib/frr/bgpd": "frr",
};

/** Names of the daemons' programs that are not installed, for a message; empty if all are. */
export async function missingDaemons(): Promise<string> {
  const missing: string[] = [];
  for (const [program, where] of Object.entries(PROGRAMS)) {
    const isThere = await execute("sh", ["-c", `command -v ${program}`]).then(
      () => true,
      () => false,
    );
    if (!isThere) missing.push(`${program} (Debian: apt-get install ${where})`);
  }
  return missing.join(", ");
}

export interface SpeakerOptions {
  readonly name: string;
  readonly address: string;
  /** The node in which it runs, which has the address. */
  readonly node?: string;
  /** Addresses of its peers. */
  readonly peers: readonly string[];
  /**
   * Peers with unlabelled unicast beside labelled unicast. A restarted gobgpd waits for the End-of-RIB of
   * each configured family, even if the peer does not support it; so only peers that do.
   */
  readonly unicastPeers?: readonly string[];
  readonly isReflector?: boolean;
  /** Seconds for which peers keep its routes as they were when it went away, before they count as stale. */
  readonly restartSeconds?: number;
  /** Whether they keep stale routes at all; so by default. */
  readonly isLongLived?: boolean;
}

const familiesOf = (isUnicast: boolean): string[] =>
  isUnicast ? ["ipv4-labelled-unicast", "ipv4-unicast"] : ["ipv4-labelled-unicast"];

const familyToml = (family: string): string => `
  [[neighbors.afi-safis]]
    [neighbors.afi-safis.config]
      afi-safi-name = "${family}"
    [neighbors.afi-safis.mp-graceful-restart.config]
      enabled = true
    [neighbors.afi-safis.long-lived-graceful-restart.config]
      enabled = true
      restart-time = ${STALE_SECONDS}
`;

const peerToml = (
  peer: string,
  {
    address,
    isReflector,
    unicastPeers = [],
    restartSeconds = RESTART_SECONDS,
    isLongLived = true,
  }: SpeakerOptions,
): string => `
[[neighbors]]
  [neighbors.config]
    neighbor-address = "${peer}"
    peer-as = ${AS}
  [neighbors.transport.config]
    local-address = "${address}"
    passive-mode = ${isReflector === true}
  [neighbors.timers.config]
    connect-retry = 1
    hold-time = 30
    keepalive-interval = 10
    idle-hold-time-after-reset = 1
  [neighbors.graceful-restart.config]
    enabled = true
    restart-time = ${restartSeconds}
    deferral-time = ${DEFERRAL_SECONDS}
    notification-enabled = true
    long-lived-enabled = ${isLongLived}
  [neighbors.route-reflector.config]
    route-reflector-client = ${isReflector === true}
    route-reflector-cluster-id = "${address}"
${familiesOf(unicastPeers.includes(peer)).map(familyToml).join("")}`;

const speakerToml = (options: SpeakerOptions): string => `
[global.config]
  as = ${AS}
  router-id = "${options.address}"
  port = 179
  local-address-list = ["${options.address}"]
${options.peers.map(peer => peerToml(peer, options)).join("")}`;

/** The node in which the daemons run, with the addresses they listen on. */
export async function addRoutingNode(machine: Machine, addresses: readonly string[]): Promise<void> {
  await machine.addNodes([NODE]);
  await machine.ip(
    NODE,
    addresses.map(address => `address add ${address}/32 dev lo`),
  );
}

/** A gobgpd, on the hypervisor's side or as reflector. */
export class Speaker {
  readonly options: SpeakerOptions;
  readonly #machine: Machine;
  readonly #folder: string;
  #running: Running | null = null;

  constructor(machine: Machine, options: SpeakerOptions) {
    this.#machine = machine;
    this.options = options;
    this.#folder = join(machine.folder, `${options.name}-gobgpd`);
    // gobgpd makes its socket as the umask says: the folder keeps others out.
    mkdirSync(this.#folder, { mode: 0o700 });
    writeFileSync(join(this.#folder, "gobgpd.toml"), speakerToml(options));
  }

  /** Where its API is, as `Gobgp3` takes it. */
  get api(): string {
    return `unix://${this.#socket}`;
  }

  get pid(): number {
    return this.#running!.pid;
  }

  get #node(): string {
    return this.options.node ?? NODE;
  }

  get #socket(): string {
    return join(this.#folder, "api.sock");
  }

  /** Starts it, and waits for its API. `isRestart`: it announces that it kept forwarding (`gobgpd -r`). */
  async start(isRestart = false): Promise<void> {
    rmSync(this.#socket, { force: true });
    const words = ["gobgpd", "-f", join(this.#folder, "gobgpd.toml"), "--api-hosts", this.api];
    const flags = ["--pprof-disable", "--log-level=info", ...(isRestart ? ["-r"] : [])];
    this.#running = this.#machine.start(this.#node, `${this.options.name}-gobgpd`, [...words, ...flags]);
    await until(`${this.options.name} answers`, () => isListening(this.#socket), START_MS);
  }

  /** Ends it: SIGKILL as in a crash, which graceful restart bridges; SIGTERM closes its sessions. */
  async stop(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    await this.#machine.stop(this.#running!, signal);
  }

  /** Cuts the connection to a peer as a failing network would, without a word of BGP. */
  async cut(peer: string): Promise<void> {
    await this.#machine.run(this.#node, ["ss", "-K", "src", this.options.address, "dst", peer]);
  }
}

function isListening(path: string): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

/**
 * Sends one command to a daemon's control socket, as its own client does, and returns the output; `isOver`
 * decides from the output so far whether it is complete.
 */
function askSocket(path: string, question: string, isOver: (text: string) => boolean): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    let text = "";
    socket.setEncoding("latin1");
    socket.setTimeout(timeoutOf(START_MS), () =>
      socket.destroy(new LabError(`${path}: no answer to "${question}"`)),
    );
    socket.once("error", reject);
    socket.once("close", () => reject(new LabError(`${path}: closed without an answer`)));
    socket.on("data", (chunk: string) => {
      text += chunk;
      if (!isOver(text)) return;
      resolve(text);
      socket.destroy();
    });
    socket.write(question);
  });
}

const birdConf = (address: string, reflector: string): string => `
router id ${address};
mpls table mplstab;
ipv4 table master4;
protocol device {}
protocol bgp reflector {
  local ${address} port 179 as ${AS};
  neighbor ${reflector} as ${AS};
  strict bind on;
  multihop;
  connect delay time 1;
  error wait time 1, 2;
  ipv4 mpls { import all; export none; };
}
`;

/** BIRD, which shows what a router of the fabric sees. */
export class Bird {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async start(machine: Machine, address: string, reflector: string): Promise<Bird> {
    const folder = join(machine.folder, "bird");
    mkdirSync(folder, { mode: 0o700 });
    writeFileSync(join(folder, "bird.conf"), birdConf(address, reflector));
    const words = ["bird", "-f", "-c", join(folder, "bird.conf"), "-s", join(folder, "bird.ctl")];
    machine.start(NODE, "bird", [...words, "-P", join(folder, "bird.pid")]);
    const bird = new Bird(folder);
    await until("BIRD answers", () => isListening(join(folder, "bird.ctl")), START_MS);
    return bird;
  }

  /**
   * Output of a command of birdc(8): lines with a four-digit code; a blank after the code marks the last one.
   */
  async ask(command: string): Promise<string> {
    // The first such line greets.
    const isOver = (text: string): boolean => (text.match(/^\d{4} .*\n/gm)?.length ?? 0) > 1;
    return askSocket(join(this.#folder, "bird.ctl"), `${command}\n`, isOver);
  }

  /** The label stack it shows for a prefix, as `100/200`; null without a route. */
  async labels(prefix: string): Promise<string | null> {
    const said = await this.ask(`show route ${prefix} all`);
    return /BGP\.mpls_label_stack: ([\d ]+)/.exec(said)?.[1]?.trim().replaceAll(" ", "/") ?? null;
  }
}

const frrConf = (address: string, reflector: string): string => `
router bgp ${AS}
 bgp router-id ${address}
 no bgp default ipv4-unicast
 neighbor ${reflector} remote-as ${AS}
 neighbor ${reflector} update-source ${address}
 neighbor ${reflector} timers 10 30
 neighbor ${reflector} timers connect 1
 address-family ipv4 labeled-unicast
  neighbor ${reflector} activate
 exit-address-family
`;

/** FRR's bgpd alone, without zebra, so without a kernel's table. */
export class Frr {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async start(machine: Machine, address: string, reflector: string): Promise<Frr> {
    const folder = join(machine.folder, "frr");
    mkdirSync(folder, { mode: 0o700 });
    writeFileSync(join(folder, "bgpd.conf"), frrConf(address, reflector));
    const places = ["-f", join(folder, "bgpd.conf"), "-i", join(folder, "bgpd.pid"), "--vty_socket", folder];
    // No zebra, no kernel table, no other user; no vty on TCP.
    const words = ["/usr/lib/frr/bgpd", "-Z", "-n", "-S", "-l", address, "-p", "179", "-P", "0", ...places];
    machine.start(NODE, "frr", words);
    const frr = new Frr(folder);
    await until("FRR answers", () => isListening(join(folder, "bgpd.vty")), START_MS);
    return frr;
  }

  /** What bgpd says to a command of vtysh(1): text, three zeros and how it went. */
  async ask(command: string): Promise<string> {
    const isOver = (text: string): boolean => text.at(-2) === "\0" && text.at(-3) === "\0";
    return askSocket(join(this.#folder, "bgpd.vty"), `${command}\0`, isOver);
  }

  /** The label it shows for a prefix; null without a route. */
  async labels(prefix: string): Promise<string | null> {
    const said = await this.ask(`show bgp ipv4 labeled-unicast ${prefix}`);
    return /Remote label: (\d+)/.exec(said)?.[1] ?? null;
  }
}
