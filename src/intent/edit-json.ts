/**
 * Edits and whole intents as JSON. An edit is the body of a request to a running slash32; an intent in JSON
 * is one that `loadIntent` also reads. The checker of intents (check.ts) checks VMs; routes are checked here,
 * because there may be a million of them.
 */
import { formatIpv4, formatMac, formatPrefix } from "../wire/index.ts";
import { Checker } from "./check.ts";
import { printable, quoted } from "./diagnostics.ts";
import { EditError, type IntentEdit, type Route, refuseTwice } from "./edit.ts";
import { EditableIntent } from "./editable-intent.ts";
import { LABELS_MAX } from "./limits.ts";
import { finishVm, parseIntent } from "./load.ts";
import { VM } from "./schema-table.ts";
import type { Intent, Vm } from "./types.ts";
import { Fault, inRange, LABEL, readMac, readPrefix } from "./values.ts";
import type { Entry, Node } from "./yaml-tree.ts";

type Json = { readonly [key: string]: unknown };

function bad(path: string, message: string): never {
  throw new EditError("bad", `${path}: ${message}`);
}

/** A mapping with no keys but these; absent: an empty one. */
function mapping(value: unknown, path: string, keys: readonly string[]): Json {
  if (value === undefined) return {};
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return bad(path, `expected a mapping with the keys ${keys.join(", ")}`);
  const odd = Object.keys(value).find(key => !keys.includes(key));
  if (odd !== undefined)
    bad(path, `${printable(odd) || '""'} is not a key here; valid keys: ${keys.join(", ")}`);
  return value as Json;
}

function list(value: unknown, path: string): readonly unknown[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? value : bad(path, "expected a list");
}

function textOf(value: unknown, path: string, example: string): string {
  return typeof value === "string" ? value : bad(path, `expected text, as in ${quoted(example)}`);
}

function must<T>(value: T | Fault, path: string): T {
  return value instanceof Fault ? bad(path, value.message) : value;
}

/** A JSON value as a tree for the checker of intents. */
function nodeOf(value: unknown): Node {
  if (Array.isArray(value)) return { kind: "list", at: 0, items: value.map(nodeOf) };
  if (typeof value === "string") return { kind: "scalar", at: 0, text: value, plain: false };
  if (typeof value !== "object" || value === null)
    return { kind: "scalar", at: 0, text: String(value), plain: true };
  const entries = Object.entries(value).map(([key, inner]): [string, Entry] => [
    key,
    { keyAt: 0, value: nodeOf(inner) },
  ]);
  return { kind: "map", at: 0, entries: new Map(entries) };
}

function vmOf(value: unknown, path: string): Vm {
  const report = (_: number, message: string | (() => string)): never => {
    throw new EditError("bad", typeof message === "string" ? message : message());
  };
  const visitsMax = Number.POSITIVE_INFINITY;
  const vm = finishVm(new Checker(report, visitsMax).check(VM, nodeOf(value), path)!.value);
  refuseTwice(vm.addresses, `${path}.addresses`, formatIpv4);
  return vm;
}

/** The place of a value in the document; computed only for an error. */
type Where = () => string;

function labelsOf(value: unknown, where: Where): number[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) return bad(`${where()}: labels`, "expected a list");
  if (value.length > LABELS_MAX)
    bad(where(), `${value.length} labels are too many; Open vSwitch supports ${LABELS_MAX}`);
  for (const label of value) {
    if (!Number.isInteger(label)) bad(where(), `labels: a label is a number ${LABEL.min}…${LABEL.max}`);
    const checked = inRange(label, String(label), LABEL);
    if (checked instanceof Fault) bad(`${where()}: labels`, checked.message);
  }
  return value;
}

function routeOf(prefix: unknown, labels: unknown, via: unknown, where: Where): Route {
  if (typeof prefix !== "string") bad(where(), 'expected text, as in "203.0.113.7/32"');
  const at = readPrefix(prefix);
  if (at instanceof Fault) return bad(where(), at.message);
  const stack = labelsOf(labels, where);
  if (typeof via !== "string") bad(`${where()}: via`, 'expected text, as in "02:00:00:00:00:fe"');
  const mac = readMac(via);
  if (mac instanceof Fault) return bad(`${where()}: via`, mac.message);
  return { ...at, labels: stack, via: mac };
}

function tripleOf(value: unknown, where: Where): Route {
  if (!Array.isArray(value) || value.length !== 3)
    return bad(
      where(),
      'a route is [prefix, labels, via], as ["203.0.113.7/32", [2002], "02:00:00:00:00:fe"]',
    );
  return routeOf(value[0], value[1], value[2], where);
}

function idOf(value: unknown, path: string): number {
  const { min, max, what } = VM.keys.id.spec;
  if (Number.isInteger(value) && (value as number) >= min && (value as number) <= max) return value as number;
  return bad(path, `${what} is a whole number ${min}…${max}`);
}

/** Parses JSON. Throws EditError. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    return bad("body", `not valid JSON: ${printable((error as Error).message, 120)}`);
  }
}

/**
 * Reads an edit; any part may be left out, and a VM has the keys of an intent:
 *
 *   {"vms": {"set": [VM…], "remove": [id…]},
 *    "routes": {"set": [[prefix, [label…], via]…], "remove": [prefix…]}}
 *
 * Throws EditError at the first value that is not valid.
 */
export function parseEdit(text: string): IntentEdit {
  const root = parseJson(text);
  if (root === undefined || root === null) bad("body", "expected a mapping with the keys vms, routes");
  const { vms, routes } = mapping(root, "body", ["vms", "routes"]);
  const ofVms = mapping(vms, "vms", ["set", "remove"]);
  const ofRoutes = mapping(routes, "routes", ["set", "remove"]);
  return {
    vms: {
      set: list(ofVms.set, "vms.set").map((vm, index) => vmOf(vm, `vms.set[${index}]`)),
      remove: list(ofVms.remove, "vms.remove").map((id, index) => idOf(id, `vms.remove[${index}]`)),
    },
    routes: {
      set: list(ofRoutes.set, "routes.set").map((route, index) =>
        tripleOf(route, () => `routes.set[${index}]`),
      ),
      remove: list(ofRoutes.remove, "routes.remove").map((prefix, index) => {
        const path = `routes.remove[${index}]`;
        return must(readPrefix(textOf(prefix, path, "203.0.113.7/32")), path);
      }),
    },
  };
}

/** An edit as `parseEdit` reads it. */
export function formatEdit({ vms, routes }: IntentEdit): string {
  const set = routes.set.map(route => [formatPrefix(route), route.labels, formatMac(route.via)]);
  return JSON.stringify({
    vms: { set: vms.set.map(vmDocument), remove: vms.remove },
    routes: { set, remove: routes.remove.map(formatPrefix) },
  });
}

function vmDocument({ mac, addresses, mtu, ...vm }: Vm) {
  return {
    ...vm,
    mac: formatMac(mac),
    addresses: addresses.map(formatIpv4),
    ...(mtu === null ? {} : { mtu }),
  };
}

/** A whole intent as JSON, a route a line, for `loadIntent` and `readIntentDocument`. */
export function formatIntent(intent: Intent): string {
  const { name, bridge, label, virtualMac, trafficClass, uplink, vms, routes } = intent;
  const { mac, mtu, ...port } = uplink;
  const head = {
    name,
    bridge,
    label,
    virtualMac: formatMac(virtualMac),
    trafficClass,
    uplink: { ...port, mac: formatMac(mac), ...(mtu === null ? {} : { mtu }) },
    vms: vms.map(vmDocument),
  };
  const hops = routes.nextHops.map(
    ({ labels, via }) => `"labels":[${labels.join()}],"via":"${formatMac(via)}"}`,
  );
  const lines: string[] = [];
  for (let row = 0; row < routes.count; row++) {
    const prefix = formatPrefix({ address: routes.prefixes[row]!, length: routes.lengths[row]! });
    lines.push(`{"prefix":"${prefix}",${hops[routes.nextHopOf[row]!]!}`);
  }
  return `${JSON.stringify(head).slice(0, -1)},"routes":[\n${lines.join(",\n")}]}\n`;
}

/** Reads the output of `formatIntent`, faster than the YAML reader. Throws EditError. */
export function readIntentDocument(text: string): Intent {
  const root = parseJson(text);
  if (typeof root !== "object" || root === null) bad("intent", "expected a mapping");
  const { vms, routes, ...head } = root as Json;
  const { intent, errors } = parseIntent(JSON.stringify(head), "intent", ".");
  if (intent === null) return bad("intent", errors[0]!.message);
  const editable = new EditableIntent(intent);
  const set = list(routes, "routes").map((route, index) => {
    const where = (): string => `routes[${index}]`;
    if (typeof route !== "object" || route === null) return bad(where(), "expected a mapping");
    const { prefix, labels, via } = route as Json;
    return routeOf(prefix, labels, via, where);
  });
  const owners = list(vms, "vms").map((vm, index) => vmOf(vm, `vms[${index}]`));
  editable.apply({ vms: { set: owners, remove: [] }, routes: { set, remove: [] } });
  return editable.intent;
}
