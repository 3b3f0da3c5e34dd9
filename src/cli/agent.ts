/** The work of `slash32 agent` and `slash32 agent doctor`: values of options, signals, exit status. */
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
  // Before anything is read or opened: a signal that arrives meanwhile is not lost, and SIGHUP ends nothing.
  const signals = new Signals();
  try {
    const settings = settingsOf(context);
    const bgp = bgpOf(context);
    return await run({ ...settings, peers: bgp === null ? null : joinBgp(bgp) }, signals);
  } finally {
    signals.close();
  }
}

/**
 * SIGINT and SIGTERM end the agent, SIGHUP reopens its audit file, from the construction of this object on.
 */
class Signals {
  /** Resolves at the first SIGINT or SIGTERM. */
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

  /** Called when the agent has a running part that can be stopped and reopened. */
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

/** Seconds of an option, `usual` if it is not given. Throws UsageError. */
function seconds(context: Context, name: string, usual: number): number {
  const text = context.text(name);
  if (text === undefined) return usual;
  const value = /^\d+(\.\d+)?s?$/.test(text) ? Number.parseFloat(text) : -1;
  if (value < 0 || value > 1e8)
    throw new UsageError(`--${name}: "${text}" is not a valid time; expected seconds, at most 100000000`);
  return value;
}

/** The connection to gobgpd; null without --gobgp. */
function bgpOf(context: Context): BgpSettings | null {
  const gobgp = context.text("gobgp");
  if (gobgp === undefined) return null;
  return {
    gobgp,
    nextHop: context.text("next-hop")!,
    isUnicast: context.flag("unicast"),
    gateway: context.text("gateway"),
    macs: context.texts("next-hop-mac"),
  };
}

function settingsOf(context: Context): AgentSettings {
  const drift = context.text("drift") ?? "repair";
  if (drift !== "repair" && drift !== "report")
    throw new UsageError(`--drift: "${drift}" is not valid; expected repair or report`);
  const everySeconds = seconds(context, "every", EVERY_SECONDS);
  if (everySeconds === 0)
    throw new UsageError('--every: "0" is not a valid interval; expected seconds above 0');
  const ignoredCookies = context.texts("ignore-cookie").map(text => {
    if (!/^(?:0x[0-9a-f]{1,16}|\d{1,20})$/i.test(text))
      throw new UsageError(`--ignore-cookie: "${text}" is not a valid cookie; expected 0x10 or 16`);
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
  // A failure after the signal has no effect on the exit status.
  started.catch(() => undefined);
  const first = await Promise.race([started, signals.ended]);
  if (first !== undefined) {
    settings.log("info", "the agent runs", {
      bridge: settings.live ?? settings.base.bridge,
      socket: settings.socket,
    });
    await Promise.race([signals.ended, first.handover.then(() => settings.log("info", "handing over"))]);
  }
  // A signal during the first reconciliation, which may wait for a switch that hangs, stops the agent there.
  const running = signals.running ?? (await started);
  await running.stop();
  return 0;
}

/** Checks what the agent needs. Exit status 2 if a check failed. */
export async function doctorCommand(context: Context): Promise<number> {
  const settings = settingsOf(context);
  const bgp = bgpOf(context);
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
