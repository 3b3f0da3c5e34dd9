/**
 * An intent from a bridge: label, uplink, VMs and routes are the values of recognized flows. The intent is
 * compiled again and compared with the dump: each flow is explained or reported.
 */
import { type Intent, parseIntent, type Route, type Vm } from "../intent/index.ts";
import { type Hypervisor, hypervisorOf, type PipelineFlow, Recognizer } from "../pipeline/index.ts";
import { formatIpv4, formatMac } from "../wire/index.ts";
import { Desired } from "./desired-state.ts";
import { diff } from "./flow-changes.ts";
import type { FlowEntry } from "./flow-entry.ts";
import { Observed } from "./observed-state.ts";
import { entriesOf, ruleTextOf } from "./ofctl-text.ts";

export interface Recovered {
  /** The intent file; null if the flows do not even have label and uplink. */
  readonly text: string | null;
  /** What could not be explained, a line each. */
  readonly unread: readonly string[];
}

function observedOf(lines: readonly string[], recognizer: Recognizer): Observed {
  const observed = new Observed();
  for (const entry of entriesOf(lines, recognizer)) {
    if (entry.kind === null) observed.foreign.set(entry.key, entry);
    else observed.set(entry);
  }
  return observed;
}

/** The values of a hypervisor that flows have, each from the first that has it; -1: none has. */
function valuesIn(entries: Iterable<FlowEntry>): Hypervisor {
  const found = { uplink: -1, uplinkMac: -1, virtualMac: -1, label: -1, trafficClass: -1 };
  const keys = Object.keys(found) as (keyof Hypervisor)[];
  for (const { flow } of entries) {
    if (flow === null) continue;
    for (const key of keys) if (found[key] < 0) found[key] = flow.hypervisor[key];
  }
  return found;
}

const MISSING: readonly (readonly [keyof Hypervisor, string])[] = [
  ["uplink", "no flow of table 0 matches the uplink's port"],
  ["uplinkMac", "no flow of table 0 matches the uplink's MAC"],
  ["label", "no flow of table 10 matches a label"],
];

/** The VM of an id by its flows, or why they are not those of one. */
function vmOf(id: number, observed: Observed, portName: (port: number) => string): Vm | string {
  const { path, addresses } = observed.get(id)!;
  const flows = observed.flowsOf(id).flatMap(({ flow }) => flow ?? []);
  const [source] = flows.filter(({ table, priority }) => table === 0 && priority === 300);
  if (path === null) return `VM ${id}: its flows are not those of any path`;
  if (source === undefined || addresses.size === 0) return `VM ${id}: its flows have no port, MAC or address`;
  const own = flows.filter(flow => flow.row.matchWords.has("A")).map(({ address }) => address);
  return {
    id,
    name: `vm-${id}`,
    port: portName(source.port),
    ofport: source.port,
    mac: source.mac,
    addresses: [...new Set(own)].sort((a, b) => (formatIpv4(a) < formatIpv4(b) ? -1 : 1)),
    path,
    mtu: null,
  };
}

const routeOf = ({ address, length, nextHop }: PipelineFlow): Route | null =>
  nextHop === null ? null : { address, length, labels: nextHop.labels, via: nextHop.via };

/** One line of the intent: keys as YAML in flow style. */
function vmLine({ id, name, port, ofport, mac, addresses, path }: Vm): string {
  const list = addresses.map(formatIpv4).join(", ");
  const head = `id: ${id}, name: ${name}, port: ${JSON.stringify(port)}, ofport: ${ofport}`;
  return `  - { ${head}, mac: ${formatMac(mac)}, addresses: [${list}], path: ${path} }`;
}

function routeLine({ address, length, labels, via }: Route): string {
  const destination = `${formatIpv4(address)}/${length}`;
  return `  - { prefix: ${destination}, labels: [${labels.join(", ")}], via: ${formatMac(via)} }`;
}

/**
 * Reads an intent out of a dump.
 * @param dump as `ovs-ofctl --no-names dump-flows` prints it
 * @param bridge its name
 * @param ports names of ports by number
 */
export function recoverIntent(dump: string, bridge: string, ports: ReadonlyMap<number, string>): Recovered {
  const observed = observedOf(dump.split("\n"), new Recognizer(null));
  const entries = [...observed.ours.values()];
  const foreign = [...observed.foreign.values()].map(entry => `not ours: ${ruleTextOf(entry)}`);
  const values = valuesIn(entries);
  const missing = MISSING.find(([key]) => values[key] < 0);
  if (missing !== undefined) return { text: null, unread: [missing[1], ...foreign] };
  const portName = (port: number): string => ports.get(port) ?? `port${port}`;
  const { uplink, uplinkMac, virtualMac, label, trafficClass } = values;
  const lines = [
    `name: ${JSON.stringify(bridge)}`,
    `bridge: ${JSON.stringify(bridge)}`,
    `label: ${label}`,
    ...(virtualMac < 0 ? [] : [`virtualMac: ${formatMac(virtualMac)}`]),
    ...(trafficClass < 0 ? [] : [`trafficClass: ${trafficClass}`]),
    `uplink: { port: ${JSON.stringify(portName(uplink))}, ofport: ${uplink}, mac: ${formatMac(uplinkMac)} }`,
  ];
  const vms = observed.owners.map(id => vmOf(id, observed, portName));
  const unread = vms.filter(vm => typeof vm === "string");
  const known = vms.filter(vm => typeof vm !== "string").sort((a, b) => a.id - b.id);
  lines.push(known.length > 0 ? "vms:" : "vms: []", ...known.map(vmLine));
  const routes = entries.flatMap(({ kind, flow }) =>
    kind === "route" && flow !== null ? routeOf(flow) : [],
  );
  const routeLines = routes.flatMap(route => (route === null ? [] : routeLine(route))).sort();
  lines.push(routeLines.length > 0 ? "routes:" : "routes: []", ...routeLines);
  const text = `${lines.join("\n")}\n`;
  const { intent, errors } = parseIntent(text, "the intent read", ".");
  if (intent === null)
    return { text: null, unread: [...unread, ...errors.map(({ message }) => message), ...foreign] };
  return { text, unread: [...unread, ...unexplained(intent, dump), ...foreign] };
}

/** Flows of ours that the intent would not give, and those that it would and that are missing. */
function unexplained(intent: Intent, dump: string): string[] {
  const desired = new Desired(intent, null, [], null);
  desired.setVms(new Map(intent.vms.map(vm => [vm.id, vm])));
  const { ours } = observedOf(dump.split("\n"), new Recognizer(hypervisorOf(intent)));
  return diff(desired.flows, ours, "all").map(change => {
    if (change.op === "delete") return `not part of the intent: ${ruleTextOf(change.before)}`;
    if (change.before === null) return `missing: ${ruleTextOf(change.entry)}`;
    return `has other actions or another cookie: ${ruleTextOf(change.before)}`;
  });
}
