/**
 * An intent from a bridge: flows whose cookies are the pipeline's are read back into label, uplink, VMs and routes. What
 * was understood is compiled again and held against the dump, so that every flow is either explained or named as one that
 * is not: nothing is left out in silence.
 */
import { type Intent, type Path, parseIntent } from "../intent/index.ts";
import { editsOf } from "./flow-changes.ts";
import { pipelineRows, type Row, routeRows, routesOf, vmRows } from "./flow-entries.ts";
import { Installed, type InstalledRow, rowsOf } from "./observed-state.ts";

export interface Recovered {
  /** The intent file; null when not even label and uplink can be told. */
  readonly text: string | null;
  /** What could not be read, a line each. */
  readonly unread: readonly string[];
}

const MAC = "((?:[0-9a-f]{2}:){5}[0-9a-f]{2})";

interface Facts {
  readonly U: string;
  readonly Umac: string;
  readonly label: string;
  readonly vmac: string | null;
  readonly trafficClass: string | null;
}

/** The first capture of the first row of a table at a priority that has one. */
function find(
  rows: readonly InstalledRow[],
  table: number,
  priority: number,
  pattern: RegExp,
): string | null {
  for (const row of rows) {
    if (row.table !== table || row.priority !== priority) continue;
    const found = pattern.exec(`${row.match} ${row.actions}`);
    if (found !== null) return found[1]!;
  }
  return null;
}

function factsOf(rows: readonly InstalledRow[]): Facts | string {
  const U = find(rows, 0, 380, /in_port=(\d+)/) ?? find(rows, 0, 370, /in_port=(\d+)/);
  const Umac =
    find(rows, 0, 400, new RegExp(`dl_dst=${MAC}`)) ?? find(rows, 0, 390, new RegExp(`dl_dst=${MAC}`));
  const label = find(rows, 10, 100, /mpls_label=([1-9]\d*)/);
  if (U === null) return "no flow of table 0 tells the uplink's port";
  if (Umac === null) return "no flow of table 0 tells the uplink's MAC";
  if (label === null) return "no flow of table 10 tells the label";
  const vmac =
    find(rows, 30, 200, new RegExp(`set_field:${MAC}->eth_src`)) ??
    find(rows, 20, 380, new RegExp(`set_field:${MAC}->eth_src`));
  const route = rows.find(({ kind, actions }) => kind === "route" && actions.includes("mpls_tc"));
  const trafficClass = /set_field:(\d)->mpls_tc/.exec(route?.actions ?? "")?.[1] ?? null;
  return { U, Umac, label, vmac, trafficClass };
}

interface VmFacts {
  readonly id: number;
  readonly ofport: string;
  readonly mac: string;
  readonly addresses: readonly string[];
  readonly path: Path;
}

function vmFactsOf(id: number, installed: Installed): VmFacts | string {
  const rows = [...installed.namesOf(id)].map(name => installed.ours.get(name)!);
  const { path, addresses } = installed.summaryOf(id);
  const ofport = find(rows, 0, 300, /in_port=(\d+)/);
  const mac = find(rows, 0, 300, new RegExp(`dl_src=${MAC}`));
  if (path === null) return `VM ${id}: its flows are those of no path`;
  if (ofport === null || mac === null || addresses.size === 0)
    return `VM ${id}: its flows tell no port, MAC or address`;
  return { id, ofport, mac, addresses: [...addresses].sort(), path };
}

function routeLine({ priority, match, actions }: InstalledRow): string | null {
  const address = /nw_dst=([\d.]+)/.exec(match)?.[1];
  const prefix = priority === 100 ? "0.0.0.0/0" : `${address}/${priority - 100}`;
  const via = new RegExp(`set_field:${MAC}->eth_dst`).exec(actions)?.[1];
  if (via === undefined || (priority !== 100 && address === undefined)) return null;
  // The innermost label is pushed first.
  const labels = [...actions.matchAll(/set_field:(\d+)->mpls_label/g)].map(found => found[1]).reverse();
  return `  - { prefix: ${prefix}, labels: [${labels.join(", ")}], via: ${via} }`;
}

/**
 * Reads an intent out of a dump.
 * @param dump as `ovs-ofctl --no-names dump-flows` prints it
 * @param bridge its name
 * @param ports names of ports by number
 */
export function recoverIntent(dump: string, bridge: string, ports: ReadonlyMap<number, string>): Recovered {
  const installed = Installed.read(rowsOf(dump.split("\n")));
  const rows = [...installed.ours.values()];
  const unread: string[] = [];
  const facts = factsOf(rows);
  const foreign = [...installed.foreign.values()].map(row => `not ours: ${textOf(row)}`);
  if (typeof facts === "string") return { text: null, unread: [facts, ...foreign] };
  const port = (number: string): string => JSON.stringify(ports.get(Number(number)) ?? `port${number}`);
  const lines = [
    `name: ${JSON.stringify(bridge)}`,
    `bridge: ${JSON.stringify(bridge)}`,
    `label: ${facts.label}`,
    ...(facts.vmac === null ? [] : [`virtualMac: ${facts.vmac}`]),
    ...(facts.trafficClass === null ? [] : [`trafficClass: ${facts.trafficClass}`]),
    `uplink: { port: ${port(facts.U)}, ofport: ${facts.U}, mac: ${facts.Umac} }`,
  ];
  const vms = installed.owners.map(id => vmFactsOf(id, installed));
  unread.push(...vms.filter(vm => typeof vm === "string"));
  const known = vms.filter(vm => typeof vm !== "string").sort((a, b) => a.id - b.id);
  lines.push(known.length > 0 ? "vms:" : "vms: []");
  for (const { id, ofport, mac, addresses, path } of known)
    lines.push(
      `  - { id: ${id}, name: vm-${id}, port: ${port(ofport)}, ofport: ${ofport}, mac: ${mac}, addresses: [${addresses.join(", ")}], path: ${path} }`,
    );
  const routes = rows.filter(({ kind }) => kind === "route").map(routeLine);
  lines.push(routes.length > 0 ? "routes:" : "routes: []");
  lines.push(...routes.filter(line => line !== null).sort());
  const text = `${lines.join("\n")}\n`;
  const { intent, errors } = parseIntent(text, "the intent read", ".");
  if (intent === null)
    return { text: null, unread: [...unread, ...errors.map(({ message }) => message), ...foreign] };
  return { text, unread: [...unread, ...unexplained(intent, installed), ...foreign] };
}

/** Flows of ours that the intent would not give, and those that it would and that are not there. */
function unexplained(intent: Intent, installed: Installed): string[] {
  const wanted = new Map<string, Row>();
  const all = [
    ...pipelineRows(intent),
    ...[...vmRows(intent, intent.vms).values()].flat(),
    ...routeRows(intent, routesOf(intent.routes)),
  ];
  for (const row of all) wanted.set(row.name, row);
  installed.reconcileNames(wanted);
  return editsOf(new Set([...wanted.keys(), ...installed.ours.keys()]), wanted, installed).map(edit => {
    if (edit.op === "delete") return `no part of it: ${textOf(edit.before)}`;
    if (edit.before === null) return `missing: ${textOf(edit.row)}`;
    return `does something else: ${textOf(edit.before)}`;
  });
}

const textOf = ({
  table,
  priority,
  match,
  actions,
}: Pick<InstalledRow, "table" | "priority" | "match" | "actions">) =>
  `table=${table},priority=${priority}${match === "" ? "" : `,${match}`} actions=${actions}`;
