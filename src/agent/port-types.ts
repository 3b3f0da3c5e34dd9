/**
 * Which ports of the bridge are tunnels, by the types of its interfaces, read for each proof. If the database
 * does not answer, only the uplink is known.
 */
import { type PortTypes, typesIn } from "../openflow/index.ts";
import type { PortKinds } from "../verify/index.ts";
import { run } from "./ofctl-bridge.ts";

const TIMEOUT_SECONDS = 10;

/** The kinds of the ports of a bridge. Never rejects. */
export async function portKindsOf(
  bridge: string,
  database: string | undefined,
  uplink: number,
): Promise<PortKinds> {
  const types = new Map(await typesOf(bridge, database));
  if (!types.has(uplink)) types.set(uplink, false);
  const portsThatAre = (is: boolean): Set<number> =>
    new Set([...types].filter(([, known]) => known === is).map(([port]) => port));
  return { tunnels: portsThatAre(true), others: portsThatAre(false), isComplete: false };
}

async function typesOf(bridge: string, database: string | undefined): Promise<PortTypes> {
  const where =
    database === undefined ? [] : [`--db=${/^\w+:/.test(database) ? database : `unix:${database}`}`];
  const ask = (...words: string[]): Promise<string> =>
    run("ovs-vsctl", [`--timeout=${TIMEOUT_SECONDS}`, ...where, ...words]);
  try {
    const [names, list] = [
      new Set((await ask("list-ifaces", bridge)).split("\n")),
      await ask("--format=json", "--columns=name,ofport,type", "list", "interface"),
    ];
    return typesIn(list, name => names.has(name));
  } catch {
    return new Map();
  }
}
