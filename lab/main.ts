/**
 * `npm run lab`: builds the lab, prints its map, runs pings and one migration, and removes everything. USAGE
 * lists the options. Exit status 0: all checks passed; 1: a check failed, or the lab cannot run here; 130:
 * Ctrl-C.
 */
import { parseArgs } from "node:util";
import { arpNumbers } from "./arp-numbers.ts";
import { whyNoAgents } from "./control.ts";
import { Lab, USUAL_ENGINES } from "./lab.ts";
import { LabError, whyNot } from "./machine.ts";
import { mapOf } from "./map.ts";
import type { EngineName } from "./plan.ts";
import { AGENT_SCENARIOS } from "./scenarios/agents/index.ts";
import { SCENARIOS } from "./scenarios/index.ts";
import { migrate } from "./scenarios/migration.ts";
import { proveChanges, type Scenario } from "./scenarios/scenario.ts";
import { tunnelNumbers } from "./tunnel-numbers.ts";

const OPTIONS = {
  all: { type: "boolean" },
  scenario: { type: "string", multiple: true },
  short: { type: "boolean" },
  agents: { type: "boolean" },
  engine: { type: "string", multiple: true },
  captures: { type: "string" },
  keep: { type: "boolean" },
  arp: { type: "boolean" },
  tunnels: { type: "boolean" },
  help: { type: "boolean", short: "h" },
} as const;

const USAGE = `npm run lab -- [options]
  --all                    every scenario, in a lab without agents and in one with them
  --scenario NAME          this one; may be repeated: ${SCENARIOS.map(({ name }) => name).join(", ")};
                           with agents ${AGENT_SCENARIOS.map(({ name }) => name).join(", ")}
  --agents                 an agent on each hypervisor writes the flows, and BGP tells where everybody is
  --short                  with less data and shorter pauses
  --engine ENGINE          all hypervisors on ovs or slash32
  --engine HV=ENGINE       one of them; usually ${Object.entries(USUAL_ENGINES)
    .map(([name, engine]) => `${name}=${engine}`)
    .join(", ")}
  --captures DIR           where the captures of the links are kept; a new folder otherwise
  --arp                    broadcast frames seen by every host, 200 VMs on layer 2 and on layer 3
  --tunnels                one label against VXLAN: bytes and time a packet
  --keep                   leave the lab up until Ctrl-C`;

/** As a shell says it: 128 and SIGINT. */
const INTERRUPTED = 130;

const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

function enginesOf(words: readonly string[]): Record<string, EngineName> {
  const engines: Record<string, EngineName> = { ...USUAL_ENGINES };
  for (const word of words) {
    const [name, engine] = word.includes("=") ? word.split("=") : [null, word];
    if ((engine !== "ovs" && engine !== "slash32") || (name !== null && !(name! in engines)))
      throw new LabError(`--engine ${word}: expected ovs, slash32, or one per hypervisor as hv1=ovs`);
    for (const each of name === null ? Object.keys(engines) : [name!]) engines[each] = engine;
  }
  return engines;
}

/** What is acted out in one lab. */
interface Part {
  readonly hasAgents: boolean;
  readonly scenarios: readonly Scenario[];
}

/** Which labs are built one after the other: the usual one, one with agents, or both. */
function partsOf(values: { all?: boolean; agents?: boolean; scenario?: string[] }): Part[] {
  const usual = { hasAgents: false, scenarios: SCENARIOS };
  const withAgents = { hasAgents: true, scenarios: AGENT_SCENARIOS };
  if (values.all) return values.agents ? [withAgents] : [usual, withAgents];
  const parts = [usual, withAgents].map(({ hasAgents, scenarios }) => ({
    hasAgents,
    scenarios: scenarios.filter(({ name }) => values.scenario?.includes(name)),
  }));
  for (const name of values.scenario ?? [])
    if (!parts.some(({ scenarios }) => scenarios.some(scenario => scenario.name === name)))
      throw new LabError(`--scenario ${name}: no such scenario\n${USAGE}`);
  const chosen = parts.filter(({ scenarios }) => scenarios.length > 0);
  return chosen.length > 0 ? chosen : [{ hasAgents: values.agents ?? false, scenarios: [] }];
}

const seconds = (since: number): string => `${((performance.now() - since) / 1000).toFixed(1)} s`;

/** Pings from one place to all others, then one migration. */
async function story(lab: Lab): Promise<void> {
  say("\npings (median of 10, 10 ms apart):");
  for (const [from, to] of [
    ["vm11", "vm12"],
    ["vm11", "vm21"],
    ["vm21", "vm31"],
    ["vm31", "edge"],
    ["vm13", "edge"],
    ["vm13", "vm11"],
  ] as const) {
    const ping = await lab.host(from).ping(lab.host(to), 10);
    if (ping.lost > 0) throw new LabError(`${from} → ${to}: ${ping.lost} of ${ping.sent} pings lost`);
    say(`  ${from} → ${to}: ${ping.medianMs.toFixed(2)} ms`);
  }
  say("\nvm13 moves from the layer-2 path to the layer-3 path and back, under load:");
  const lines = await migrate(lab, "vm13", 600);
  say(lines.join("\n"));
}

/** Acts out scenarios; how many failed. */
async function act(
  lab: Lab,
  scenarios: readonly Scenario[],
  isShort: boolean,
  isOver: () => boolean,
): Promise<number> {
  let failed = 0;
  for (const { name, title, run } of scenarios) {
    const started = performance.now();
    say(`\n${name}: ${title}`);
    try {
      for (const line of await run(lab, { isShort })) say(`  ${line}`);
      say(`  passed (${seconds(started)})`);
    } catch (error) {
      // What fails because the lab is taken down has nothing to say.
      if (isOver() || !(error instanceof LabError)) throw error;
      failed++;
      say(`  FAILED: ${error.message} (${seconds(started)})`);
    }
  }
  return failed;
}

interface Wishes {
  readonly isShort: boolean;
  readonly isKept: boolean;
  readonly captures: string | undefined;
  readonly engines: readonly string[];
}

/** Builds a lab, acts out what is asked for, and takes it down, whatever comes; how many scenarios failed. */
async function play(
  { hasAgents, scenarios }: Part,
  wishes: Wishes,
  interrupted: Promise<number>,
  isOver: () => boolean,
): Promise<number> {
  const started = performance.now();
  const captures = wishes.captures === undefined ? {} : { captures: wishes.captures };
  const starting = Lab.start({ engines: enginesOf(wishes.engines), ...captures, hasAgents, say });
  const working = starting.then(async lab => {
    say(mapOf(lab));
    say(`\nup in ${seconds(started)}; ip netns exec ${lab.machine.namespaceOf("vm11")} … is inside a VM`);
    const proofs = lab.control === null ? proveChanges(lab) : null;
    if (scenarios.length === 0) await story(lab);
    const failed = await act(lab, scenarios, wishes.isShort, isOver);
    const count = proofs?.count ?? (await lab.control!.prove());
    say(`\n${count} times slash32 verify proved the flows of Open vSwitch equal to the intent`);
    if (!wishes.isKept) return failed;
    say("the lab stays up; Ctrl-C takes it down");
    return interrupted;
  });
  try {
    return await Promise.race([working, interrupted]);
  } finally {
    working.catch(() => undefined);
    const lab = await starting.catch(() => null);
    await lab?.close();
    if (lab?.captures) say(`captures of all links: ${lab.captures}`);
    say(`${seconds(started)} in all; nothing is left behind`);
  }
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: OPTIONS });
  if (values.help) {
    say(USAGE);
    return 0;
  }
  const parts = partsOf(values);
  const why = await whyNot();
  if (why !== null) throw new LabError(why);
  let isOver = false;
  const interrupted = new Promise<number>(resolve => {
    const end = (): void => {
      isOver = true;
      resolve(INTERRUPTED);
    };
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.once(signal, end);
  });
  // What fails because the lab is taken down has nothing to say, also where nobody waits for it any more.
  process.on("unhandledRejection", error => {
    if (!isOver) throw error;
  });
  const numbers = values.arp ? arpNumbers : values.tunnels ? tunnelNumbers : null;
  if (numbers !== null) return Promise.race([numbers(say).then(() => 0), interrupted]);
  const { short: isShort = false, keep: isKept = false, captures, engine: engines = [] } = values;
  let failed = 0;
  for (const part of parts) {
    const whyNoPart = part.hasAgents ? await whyNoAgents() : null;
    if (whyNoPart !== null && parts.length === 1) throw new LabError(whyNoPart);
    if (whyNoPart !== null) say(`\nno lab with agents: ${whyNoPart}`);
    else failed += await play(part, { isShort, isKept, captures, engines }, interrupted, () => isOver);
    if (isOver) return INTERRUPTED;
  }
  return failed > 0 ? 1 : 0;
}

try {
  process.exit(await main());
} catch (error) {
  process.stderr.write(`lab: ${error instanceof LabError ? error.message : (error as Error).stack}\n`);
  process.exit(1);
}
