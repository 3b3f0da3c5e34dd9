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
} from "../control/index.ts";
import { type Context, print } from "./context.ts";
import { UsageError } from "./errors.ts";

const STDERR = 2;
const DEFAULTS = { vms: "/etc/slash32/vms", state: "/var/lib/slash32", socket: "/run/slash32/agent.sock" };
const EVERY_SECONDS = 30;
const QUARANTINE_SECONDS = 300;

export async function agentCommand(context: Context): Promise<number> {
  const [word, ...more] = context.positionals;
  if (more.length > 0 || (word !== undefined && word !== "doctor"))
    throw new UsageError(`agent takes no ${more[0] ?? word}; slash32 agent doctor is the one word there is`);
  const settings = settingsOf(context);
  const bgp = bgpOf(context);
  if (word === "doctor") return doctor(context, settings, bgp);
  return run({ ...settings, peers: bgp === null ? null : joinBgp(bgp) });
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
    mayBeEmpty: context.flag("allow-empty"),
    isForced: context.flag("force"),
    isProved: !context.flag("no-proof"),
    ignoredCookies,
    isTakingOver: context.flag("take-over"),
    log: logTo(STDERR, context.isQuiet ? "warn" : context.flag("verbose") ? "debug" : "info"),
  };
}

async function run(settings: AgentSettings): Promise<number> {
  const signals = new Set(["SIGINT", "SIGTERM"] as const);
  let stop: () => void = () => undefined;
  const told = new Promise<void>(resolve => {
    stop = resolve;
  });
  let running: Running | null = null;
  const reopen = (): void => running?.reopen();
  for (const signal of signals) process.on(signal, stop);
  process.on("SIGHUP", reopen);
  running = await startAgent(settings);
  settings.log("info", "the agent runs", {
    bridge: settings.live ?? settings.base.bridge,
    socket: settings.socket,
  });
  await Promise.race([told, running.handover.then(() => settings.log("info", "handing over"))]);
  await running.stop();
  for (const signal of signals) process.removeListener(signal, stop);
  process.removeListener("SIGHUP", reopen);
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
    peers: bgp === null ? [] : [{ name: `gobgpd ${bgp.gobgp}`, check: () => examineBgp(bgp) }],
  });
  if (context.format === "text")
    for (const { what, isGood, message } of findings)
      print(`${isGood ? "ok   " : "wrong"}  ${what}: ${message}\n`);
  else print(`${JSON.stringify({ type: "doctor", schema: 1, findings })}\n`);
  return findings.every(({ isGood }) => isGood) ? 0 : 2;
}
