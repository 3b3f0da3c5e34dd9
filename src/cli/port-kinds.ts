/**
 * Which ports are tunnels, for verify and diff: what `--tunnel-ports` says, else the types of interfaces (a
 * list given by --ports, or read from the bridge). The ports of an intent are none. Of all other ports
 * nothing is known: each may be one.
 */
import { isInterfaceList, type PortTypes, typesIn } from "../openflow/index.ts";
import type { PortKinds } from "../verify/index.ts";
import type { Context } from "./context.ts";
import { UsageError } from "./errors.ts";
import { bytesOf } from "./flows.ts";
import { isInline } from "./names.ts";
import type { Side } from "./verify-inputs.ts";

/** The types that the file of --ports has, where it is a list of interfaces. */
function typesGiven(context: Context): PortTypes {
  const path = context.text("ports");
  if (path === undefined || path === "-" || isInline(path)) return new Map();
  const text = new TextDecoder().decode(bytesOf(path));
  return isInterfaceList(text) ? typesIn(text) : new Map();
}

/** `--tunnel-ports`: numbers and names, or `none`; null when it is not given. Throws UsageError. */
function listGiven(context: Context, sides: readonly Side[]): ReadonlySet<number> | null {
  const text = context.text("tunnel-ports");
  if (text === undefined) return null;
  if (text === "none") return new Set();
  return new Set(
    text.split(",").map(name => {
      const ports = sides.map(({ ports }) => ports);
      const number = ports.map(one => one.resolve(name)).find(found => found !== null);
      if (number === undefined || name === "")
        throw new UsageError(`--tunnel-ports: ${ports[0]!.notAPort(name)}; expected ports, or none`);
      return number;
    }),
  );
}

/** What is known of the ports of two sides, which are those of one switch. Throws UsageError. */
export function portKinds(context: Context, sides: readonly Side[]): PortKinds {
  const given = listGiven(context, sides);
  if (given !== null) return { tunnels: given, others: new Set(), isComplete: true };
  const types = new Map<number, boolean | null>();
  const add = (port: number, is: boolean): void => {
    const known = types.get(port);
    types.set(port, known === undefined || known === is ? is : null);
  };
  for (const [port, is] of [typesGiven(context), ...sides.map(side => side.types)].flatMap(one => [...one]))
    add(port, is);
  for (const { intent } of sides)
    if (intent !== null) for (const { ofport } of [intent.uplink, ...intent.vms]) add(ofport, false);
  const portsThatAre = (is: boolean): Set<number> =>
    new Set([...types].filter(([, known]) => known === is).map(([port]) => port));
  return { tunnels: portsThatAre(true), others: portsThatAre(false), isComplete: false };
}
