/** `slash32 agent` and `slash32 agent doctor`: options in, signals, exit codes. The agent itself is the control room's. */
import {
  type AgentSettings,
  type BgpSettings,
  bridgeAddress,
  examine,
  examineBgp,
  examineLive,
  joinBgp,
  logTo,
  type Running,
  startAgent,
} from "../agent/index.ts";
import { type Context, print } from "./context.ts";
import { UsageError } from "./errors.ts";
import { ignoredGiven } from "./ignore.ts";

const STDERR = 2;
const DEFAULTS = { vms: "/etc/slash32/vms", state: "/var/lib/slash32", socket: "/run/slash32/agent.sock" };
const EVERY_SECONDS = 30;
const QUARANTINE_SECONDS = 300;

export async function agentCommand(context: Context): Promise<number> {
  const [word, ...more] = context.positionals;
  if (more.length > 0 || (word !== undefined && word !== "doctor"))
    throw new UsageError(`agent takes no ${more[0] ?? word}; slash32 agent doctor is the one word there is`);
  if (word === "doctor") return doctor(context, settingsOf(context), bgpOf(context));
  // Before anything is read or opened: a signal that comes meanwhile is not lost, and SIGHUP ends nothing.
  const signals = new Signals();
  try {
    const settings = settingsOf(context);
    const bgp = bgpOf(context);
    return await run({ ...settings, peers: bgp === null ? null : joinBgp(bgp) }, signals);
  } finally {
    signals.close();
  }
}

/** SIGINT and SIGTERM end the agent, SIGHUP opens its audit file anew, at any time from the first moment on. */
class Signals {
  /** Resolves at the first signal that is to end the agent. */
  readonly ended: Promise<void>;
  #running: Running | null = null;
  #isReopenWanted = false;
  readonly #handlers: Readonly<Record<string, () => void>>;

  constructor() {
    let end: () => void = () => undefined;
    this.ended = new Promise(resolve => {
      end = () => resolve();
    });
    this.#handlers = { SIGINT: end, SIGTERM: end, SIGHUP: () => this.#reopen() };
    for (const [signal, act] of Object.entries(this.#handlers)) process.on(signal, act);
  }

  get running(): Running | null {
    return this.#running;
  }

  /** From now on there is something to end, and a file to open anew. */
  begun(running: Running): void {
    this.#running = running;
    if (this.#isReopenWanted) this.#reopen();
  }

  close(): void {
    for (const [signal, act] of Object.entries(this.#handlers)) process.removeListener(signal, act);
  }

  #reopen(): void {
    this.#isReopenWanted = this.#running === null;
    this.#running?.reopen();
  }
}

function seconds(context: Context, name: string, usual: number): number {
  const text = context.text(name);
  if (text === undefined) return usual;
  const value = /^\d+(\.\d+)?s?$/.test(text) ? Number.parseFloat(text) : -1;
  if (value < 0 || value > 1e8) throw new UsageError(`--${name}: "${text}" is no number of seconds`);
  return value;
}

/** How the fabric is reached; null: there is none to this agent. Throws UsageError. */
function bgpOf(context: Context): BgpSettings | null {
  const [gobgp, nextHop] = [context.text("gobgp"), context.text("next-hop")];
  const macs = context.texts("next-hop-mac");
  const gateway = context.text("gateway");
  const isUnicast = context.flag("unicast");
  if (gobgp === undefined) {
    const idle = { "next-hop": nextHop, "next-hop-mac": macs[0], gateway, unicast: isUnicast || undefined };
    const name = Object.entries(idle).find(([, value]) => value !== undefined)?.[0];
    if (name !== undefined) throw new UsageError(`--${name} goes with --gobgp ADDRESS`);
    return null;
  }
  if (nextHop === undefined)
    throw new UsageError("--gobgp needs --next-hop IP, the address of this hypervisor in what it announces");
  return { gobgp, nextHop, isUnicast, gateway, macs };
}

function settingsOf(context: Context): AgentSettings {
  if (context.text("intent") === "-") throw new UsageError("an agent reads its intent from a file: -n BASE");
  const drift = context.text("drift") ?? "repair";
  if (drift !== "repair" && drift !== "report")
    throw new UsageError(`--drift: "${drift}" is none of repair, report`);
  if (context.text("db") !== undefined && context.text("live") !== undefined)
    throw new UsageError("--db is a bridge's, --live takes none; leave one out");
  const everySeconds = seconds(context, "every", EVERY_SECONDS);
  if (everySeconds === 0) throw new UsageError("--every: a number of seconds above 0 would be right");
  const ignoredCookies = context.texts("ignore-cookie").map(text => {
    if (!/^(?:0x[0-9a-f]{1,16}|\d{1,20})$/i.test(text))
      throw new UsageError(`--ignore-cookie: "${text}" is no cookie`);
    return BigInt(text);
  });
  return {
    base: context.intent(),
    database: context.text("db"),
    live: context.text("live"),
    vms: context.text("vms") ?? DEFAULTS.vms,
    state: context.text("state") ?? DEFAULTS.state,
    socket: context.text("socket") ?? DEFAULTS.socket,
    peers: null,
    everySeconds,
    quarantineSeconds: seconds(context, "quarantine", QUARANTINE_SECONDS),
    drift,
    mayCreateFolders: context.flag("create-folders"),
    mayBeEmpty: context.flag("allow-empty"),
    isForced: context.flag("force"),
    isProved: !context.flag("no-proof"),
    ignoredCookies,
    ignored: ignoredGiven(context),
    isTakingOver: context.flag("take-over"),
    log: logTo(STDERR, context.isQuiet ? "warn" : context.flag("verbose") ? "debug" : "info"),
  };
}

async function run(settings: AgentSettings, signals: Signals): Promise<number> {
  const started = startAgent({ ...settings, onBegun: running => signals.begun(running) });
  // What becomes of it once the agent is to end is of no interest.
  started.catch(() => undefined);
  const first = await Promise.race([started, signals.ended]);
  if (first !== undefined) {
    settings.log("info", "the agent runs", {
      bridge: settings.live ?? settings.base.bridge,
      socket: settings.socket,
    });
    await Promise.race([signals.ended, first.handover.then(() => settings.log("info", "handing over"))]);
  }
  // Told to end in its first round, which may wait for a switch that hangs, it is ended in it.
  const running = signals.running ?? (await started);
  await running.stop();
  return 0;
}

async function doctor(context: Context, settings: AgentSettings, bgp: BgpSettings | null): Promise<number> {
  const { base, database, live, vms, state, socket } = settings;
  const findings = await examine({
    bridge:
      live === undefined
        ? bridgeAddress(base.bridge, database)
        : { name: `live ports ${live}`, check: () => examineLive(live, base) },
    vms,
    state,
    socket,
    mayCreateFolders: settings.mayCreateFolders === true,
    peers: bgp === null ? [] : [{ name: `gobgpd ${bgp.gobgp}`, check: () => examineBgp(bgp) }],
  });
  if (context.format === "text")
    for (const { what, isGood, message } of findings)
      print(`${isGood ? "ok   " : "wrong"}  ${what}: ${message}\n`);
  else print(`${JSON.stringify({ type: "doctor", schema: 1, findings })}\n`);
  return findings.every(({ isGood }) => isGood) ? 0 : 2;
}
