/**
 * An intent that is changed while it is in force: VMs set and removed, routes set and removed, all of an edit or nothing.
 * What must hold of an intent as a whole (nothing used twice, limits) is checked against what the edit leaves behind. Also
 * the two documents that travel in JSON, an edit and a whole intent; the latter is one that `loadIntent` takes.
 */
import { UserError } from "../errors/index.ts";
import { formatIpv4, formatMac } from "../wire/index.ts";
import { Checker } from "./check.ts";
import { printable, quoted } from "./diagnostics.ts";
import { formatCount, LABELS_MAX, LIMITS, type Limits } from "./limits.ts";
import { finishVm, parseIntent } from "./load.ts";
import { VM } from "./schema-table.ts";
import type { Intent, NextHop, Routes, Vm } from "./types.ts";
import { Fault, inRange, LABEL, type Prefix, readMac, readPrefix } from "./values.ts";
import type { Entry, Node } from "./yaml-tree.ts";

/** A route by itself. */
export interface Route extends NextHop {
  /** Unsigned, host order. */
  readonly prefix: number;
  readonly length: number;
}

/** What is to be changed. Who or what is set takes the place of what has the same id or prefix. */
export interface IntentEdit {
  readonly vms: { readonly set: readonly Vm[]; readonly remove: readonly number[] };
  readonly routes: { readonly set: readonly Route[]; readonly remove: readonly Prefix[] };
}

/** Why an edit is not made, in one line: it cannot be read, it does not go with what is in force, or a limit is reached. */
export class EditError extends UserError {
  override readonly name = "EditError";
  readonly code: "bad" | "conflict" | "full";

  constructor(code: EditError["code"], message: string) {
    super(message);
    this.code = code;
  }
}

/** A VM that an edit changed; null: it was, or is, not there. */
export interface VmChange {
  readonly before: Vm | null;
  readonly after: Vm | null;
}

/** What an edit changed; what was as it should be already is left out. */
export interface IntentChange {
  readonly vms: readonly VmChange[];
  /** Next hops to fill in before routes lead to them; nobody uses these numbers before. */
  readonly nextHops: readonly { readonly index: number; readonly hop: NextHop }[];
  /** Prefix, length and next hop (NO_NEXT_HOP: removed), one after the other. */
  readonly routes: Uint32Array;
}

export const NO_NEXT_HOP = 0xffffffff;
const FIRST_ROOM = 64;

const hopKey = ({ labels, via }: NextHop): string => `${via} ${labels.join("/")}`;
const prefixKey = ({ prefix, length }: Prefix): number => prefix * 64 + length;
const prefixOf = ({ prefix, length }: Prefix): string => `${formatIpv4(prefix)}/${length}`;

/** Everything that one VM has alone. */
function claimsOf({ name, port, ofport, mac, addresses }: Vm): string[] {
  return [
    `name ${printable(name)}`,
    `port ${printable(port)}`,
    `ofport ${ofport}`,
    `MAC ${formatMac(mac)}`,
    ...addresses.map(address => `address ${formatIpv4(address)}`),
  ];
}

/** Whether two VMs are the same in everything. */
export function isSameVm(a: Vm, b: Vm): boolean {
  if (a === b) return true;
  const isSame = a.id === b.id && a.path === b.path && a.mtu === b.mtu;
  return isSame && claimsOf(a).join() === claimsOf(b).join();
}

/** Routes by prefix, with numbered next hops of which those without routes are used again. */
class RouteColumns {
  count = 0;
  #prefixes = new Uint32Array(FIRST_ROOM);
  #lengths = new Uint8Array(FIRST_ROOM);
  #nextHopOf = new Uint32Array(FIRST_ROOM);
  readonly #rowOf = new Map<number, number>();
  readonly #nextHops: NextHop[];
  /** Routes to each next hop. */
  readonly #uses: number[];
  readonly #numberOf: Map<string, number>;
  #free: number[] = [];
  /** Next hops in use by the number of their labels. */
  readonly #depths = new Array<number>(LABELS_MAX + 1).fill(0);

  constructor({ count, prefixes, lengths, nextHopOf, nextHops }: Routes) {
    this.#nextHops = [...nextHops];
    this.#uses = nextHops.map(() => 0);
    this.#numberOf = new Map(nextHops.map((hop, index) => [hopKey(hop), index]));
    this.#prefixes = prefixes.slice(0, count);
    this.#lengths = lengths.slice(0, count);
    this.#nextHopOf = nextHopOf.slice(0, count);
    this.count = count;
    for (let row = 0; row < count; row++) {
      this.#rowOf.set(prefixKey({ prefix: prefixes[row]!, length: lengths[row]! }), row);
      this.#use(nextHopOf[row]!, 1);
    }
    for (const [index, uses] of this.#uses.entries()) if (uses === 0) this.#forget(index);
  }

  get mostLabels(): number {
    return Math.max(
      this.#depths.findLastIndex(uses => uses > 0),
      0,
    );
  }

  get nextHopCount(): number {
    return this.#numberOf.size;
  }

  has(prefix: Prefix): boolean {
    return this.#rowOf.has(prefixKey(prefix));
  }

  /** The next hop of a prefix, null when there is no route to it. */
  hopOf(prefix: Prefix): NextHop | null {
    const row = this.#rowOf.get(prefixKey(prefix));
    return row === undefined ? null : this.#nextHops[this.#nextHopOf[row]!]!;
  }

  /** Makes the changes; a next hop that loses its last route is free for the next edit, not for this one. */
  apply(set: readonly Route[], remove: readonly Prefix[]): Pick<IntentChange, "nextHops" | "routes"> {
    const nextHops: { index: number; hop: NextHop }[] = [];
    const rows = new Uint32Array(3 * (set.length + remove.length));
    const released = new Set<number>();
    let at = 0;
    const put = ({ prefix, length }: Prefix, nextHop: number): void => {
      rows[at++] = prefix;
      rows[at++] = length;
      rows[at++] = nextHop;
    };
    for (const prefix of remove) {
      const row = this.#rowOf.get(prefixKey(prefix));
      if (row === undefined) continue;
      released.add(this.#nextHopOf[row]!);
      this.#use(this.#nextHopOf[row]!, -1);
      this.#removeRow(row);
      put(prefix, NO_NEXT_HOP);
    }
    for (const route of set) {
      const index = this.#intern(route, nextHops);
      const row = this.#rowOf.get(prefixKey(route));
      if (row !== undefined && this.#nextHopOf[row] === index) continue;
      if (row === undefined) this.#addRow(route, index);
      else {
        released.add(this.#nextHopOf[row]!);
        this.#use(this.#nextHopOf[row]!, -1);
        this.#nextHopOf[row] = index;
      }
      this.#use(index, 1);
      put(route, index);
    }
    for (const index of released) if (this.#uses[index] === 0) this.#forget(index);
    return { nextHops, routes: rows.subarray(0, at) };
  }

  /** The columns as they are now; next hops without routes are left out. */
  toRoutes(): Routes {
    const prefixes = this.#prefixes.slice(0, this.count);
    const lengths = this.#lengths.slice(0, this.count);
    const nextHopOf = this.#nextHopOf.slice(0, this.count);
    if (this.#free.length === 0)
      return { count: this.count, prefixes, lengths, nextHopOf, nextHops: [...this.#nextHops] };
    const numbers = new Uint32Array(this.#nextHops.length);
    const nextHops: NextHop[] = [];
    for (const [index, hop] of this.#nextHops.entries())
      if (this.#uses[index]! > 0) numbers[index] = nextHops.push(hop) - 1;
    return {
      count: this.count,
      prefixes,
      lengths,
      nextHopOf: nextHopOf.map(index => numbers[index]!),
      nextHops,
    };
  }

  #intern({ labels, via }: Route, added: { index: number; hop: NextHop }[]): number {
    const hop = { labels, via };
    const key = hopKey(hop);
    const known = this.#numberOf.get(key);
    if (known !== undefined) return known;
    const index = this.#free.pop() ?? this.#nextHops.length;
    this.#nextHops[index] = hop;
    this.#uses[index] = 0;
    this.#numberOf.set(key, index);
    added.push({ index, hop });
    return index;
  }

  #use(index: number, by: number): void {
    const before = this.#uses[index]!;
    this.#uses[index] = before + by;
    const depth = this.#nextHops[index]!.labels.length;
    if (before === 0 || before + by === 0) this.#depths[depth]! += by;
  }

  #forget(index: number): void {
    this.#numberOf.delete(hopKey(this.#nextHops[index]!));
    this.#free.push(index);
  }

  #addRow(route: Route, nextHop: number): void {
    const row = this.count++;
    if (row >= this.#prefixes.length) this.#grow(Math.max(FIRST_ROOM, row * 2));
    this.#prefixes[row] = route.prefix;
    this.#lengths[row] = route.length;
    this.#nextHopOf[row] = nextHop;
    this.#rowOf.set(prefixKey(route), row);
  }

  /** The last row takes the place of one that goes. */
  #removeRow(row: number): void {
    const last = --this.count;
    const keyOf = (at: number): number =>
      prefixKey({ prefix: this.#prefixes[at]!, length: this.#lengths[at]! });
    this.#rowOf.delete(keyOf(row));
    if (row === last) return;
    this.#rowOf.set(keyOf(last), row);
    this.#prefixes[row] = this.#prefixes[last]!;
    this.#lengths[row] = this.#lengths[last]!;
    this.#nextHopOf[row] = this.#nextHopOf[last]!;
  }

  #grow(room: number): void {
    const before = { prefixes: this.#prefixes, lengths: this.#lengths, nextHopOf: this.#nextHopOf };
    this.#prefixes = new Uint32Array(room);
    this.#lengths = new Uint8Array(room);
    this.#nextHopOf = new Uint32Array(room);
    this.#prefixes.set(before.prefixes);
    this.#lengths.set(before.lengths);
    this.#nextHopOf.set(before.nextHopOf);
  }
}

export class EditableIntent {
  readonly #base: Intent;
  readonly #limits: Limits;
  readonly #vms: Map<number, Vm>;
  /** Whose each name, port, MAC and address is: ids of VMs. */
  readonly #claims = new Map<string, number>();
  /** What is the uplink's, or the gateway's. */
  readonly #taken: ReadonlyMap<string, string>;
  #addressCount = 0;
  /** Made when the first route is edited: a million of them take a second. */
  #routes: RouteColumns | null = null;
  #current: Intent | null;

  /** `limits` are those of limits.ts except in tests. */
  constructor(intent: Intent, limits: Limits = LIMITS) {
    this.#base = intent;
    this.#limits = limits;
    this.#current = intent;
    this.#vms = new Map(intent.vms.map(vm => [vm.id, vm]));
    for (const vm of intent.vms) this.#enter(vm);
    this.#taken = new Map([
      [`port ${printable(intent.uplink.port)}`, "the uplink's"],
      [`ofport ${intent.uplink.ofport}`, "the uplink's"],
      [`MAC ${formatMac(intent.uplink.mac)}`, "the uplink's"],
      [`MAC ${formatMac(intent.virtualMac)}`, "the virtual MAC"],
    ]);
  }

  /** The intent as it is now; what is given does not change afterwards. */
  get intent(): Intent {
    this.#current ??= {
      ...this.#base,
      vms: [...this.#vms.values()],
      routes: this.#routes?.toRoutes() ?? this.#base.routes,
    };
    return this.#current;
  }

  get trafficClass(): number {
    return this.#base.trafficClass;
  }

  /** Labels of the route that has most. */
  get mostLabels(): number {
    const { nextHops } = this.#base.routes;
    return (
      this.#routes?.mostLabels ?? nextHops.reduce((most, { labels }) => Math.max(most, labels.length), 0)
    );
  }

  get #columns(): RouteColumns {
    this.#routes ??= new RouteColumns(this.#base.routes);
    return this.#routes;
  }

  /** Makes an edit and says what changed. Throws EditError; then nothing has. Removing what is not there is no error. */
  apply({ vms, routes }: IntentEdit): IntentChange {
    once(vms.set, "vms.set", ({ id }) => `VM ${id}`);
    once([...vms.set.map(({ id }) => id), ...new Set(vms.remove)], "vms", id => `VM ${id}`);
    once(routes.set, "routes.set", prefixOf, prefixKey);
    const prefixes = [...routes.set, ...routes.remove];
    if (routes.remove.length > 0) once(prefixes, "routes", prefixOf, prefixKey);
    this.#checkVms(vms.set, new Set([...vms.remove, ...vms.set.map(({ id }) => id)]));
    this.#checkRoutes(routes.set, routes.remove);
    const changes: VmChange[] = [];
    for (const id of new Set(vms.remove)) {
      const before = this.#vms.get(id);
      if (before !== undefined) changes.push({ before, after: null });
    }
    for (const after of vms.set) {
      const before = this.#vms.get(after.id) ?? null;
      if (before === null || !isSameVm(before, after)) changes.push({ before, after });
    }
    for (const { before } of changes) if (before !== null) this.#leave(before);
    for (const { after } of changes) if (after !== null) this.#enter(after);
    const hasRoutes = routes.set.length + routes.remove.length > 0;
    const change = hasRoutes
      ? this.#columns.apply(routes.set, routes.remove)
      : { nextHops: [], routes: new Uint32Array(0) };
    if (changes.length + change.routes.length > 0) this.#current = null;
    return { vms: changes, ...change };
  }

  #enter(vm: Vm): void {
    this.#vms.set(vm.id, vm);
    for (const claim of claimsOf(vm)) this.#claims.set(claim, vm.id);
    this.#addressCount += vm.addresses.length;
  }

  #leave(vm: Vm): void {
    this.#vms.delete(vm.id);
    for (const claim of claimsOf(vm)) this.#claims.delete(claim);
    this.#addressCount -= vm.addresses.length;
  }

  /** Refuses what is used twice, and too much; `leaving` are the VMs whose old state does not count. */
  #checkVms(set: readonly Vm[], leaving: ReadonlySet<number>): void {
    const fresh = new Map<string, number>();
    for (const [index, vm] of set.entries()) {
      for (const claim of claimsOf(vm)) {
        const holder = this.#claims.get(claim);
        const other = holder === undefined || leaving.has(holder) ? fresh.get(claim) : holder;
        const whose = this.#taken.get(claim) ?? (other === undefined ? null : `VM ${other}'s`);
        if (whose !== null)
          throw new EditError(
            "conflict",
            `vms.set[${index}]: ${claim} is ${whose}; give VM ${vm.id} its own`,
          );
        fresh.set(claim, vm.id);
      }
    }
    const gone = [...leaving].filter(id => this.#vms.has(id));
    const count = this.#vms.size - gone.length + set.length;
    const lost = gone.reduce((sum, id) => sum + this.#vms.get(id)!.addresses.length, 0);
    const added = set.reduce((sum, vm) => sum + vm.addresses.length, 0);
    limit(count, this.#limits.vms, "VMs");
    limit(this.#addressCount - lost + added, this.#limits.addresses, "addresses of VMs");
  }

  #checkRoutes(set: readonly Route[], remove: readonly Prefix[]): void {
    if (set.length === 0) return;
    const columns = this.#columns;
    const known = set.filter(route => columns.has(route)).length;
    const gone = remove.filter(prefix => columns.has(prefix)).length;
    limit(columns.count - gone + set.length - known, this.#limits.routes, "routes");
    if (columns.nextHopCount + set.length <= this.#limits.nextHops) return;
    limit(this.#nextHopsAfter(set, remove), this.#limits.nextHops, "distinct pairs of labels and via");
  }

  /** How many next hops an edit would leave; slow, and only asked near the limit. */
  #nextHopsAfter(set: readonly Route[], remove: readonly Prefix[]): number {
    const changed = new Set([...set, ...remove].map(prefixKey));
    const { count, prefixes, lengths, nextHopOf, nextHops } = this.#columns.toRoutes();
    const left = new Set<string>(set.map(hopKey));
    for (let row = 0; row < count; row++)
      if (!changed.has(prefixKey({ prefix: prefixes[row]!, length: lengths[row]! })))
        left.add(hopKey(nextHops[nextHopOf[row]!]!));
    return left.size;
  }
}

function limit(count: number, most: number, what: string): void {
  if (count <= most) return;
  throw new EditError(
    "full",
    `${formatCount(count)} ${what} are too many; an intent holds ${formatCount(most)}`,
  );
}

/** Refuses what stands twice in a list. */
function once<T>(
  list: readonly T[],
  path: string,
  name: (item: T) => string,
  key: (item: T) => number | string = name,
): void {
  const seen = new Set<number | string>();
  for (const item of list) {
    const own = key(item);
    if (seen.has(own)) throw new EditError("bad", `${path}: ${name(item)} is given twice; keep one of them`);
    seen.add(own);
  }
}

// ── Documents ───────────────────────────────────────────────────────────────────────────────────────────────────

type Json = { readonly [key: string]: unknown };

function bad(path: string, message: string): never {
  throw new EditError("bad", `${path}: ${message}`);
}

/** A mapping with no other keys than these; absent is an empty one. */
function mapping(value: unknown, path: string, keys: readonly string[]): Json {
  if (value === undefined) return {};
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return bad(path, `expected a mapping with the keys ${keys.join(", ")}`);
  const odd = Object.keys(value).find(key => !keys.includes(key));
  if (odd !== undefined) bad(path, `${printable(odd) || '""'} is no key here; known are ${keys.join(", ")}`);
  return value as Json;
}

function list(value: unknown, path: string): readonly unknown[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? value : bad(path, "expected a list");
}

function textOf(value: unknown, path: string, example: string): string {
  return typeof value === "string" ? value : bad(path, `expected a text, as in ${quoted(example)}`);
}

function must<T>(value: T | Fault, path: string): T {
  return value instanceof Fault ? bad(path, value.message) : value;
}

/** A JSON value as the checker of intents wants it. */
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
  once(vm.addresses, `${path}.addresses`, formatIpv4);
  return vm;
}

/** Where something stands; only made when it is to be said. */
type Where = () => string;

function labelsOf(value: unknown, where: Where): number[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) return bad(`${where()}: labels`, "expected a list");
  if (value.length > LABELS_MAX)
    bad(where(), `${value.length} labels are too many; Open vSwitch holds ${LABELS_MAX}`);
  for (const label of value) {
    if (!Number.isInteger(label)) bad(where(), `labels: a label is a number ${LABEL.min}…${LABEL.max}`);
    const checked = inRange(label, String(label), LABEL);
    if (checked instanceof Fault) bad(`${where()}: labels`, checked.message);
  }
  return value;
}

function routeOf(prefix: unknown, labels: unknown, via: unknown, where: Where): Route {
  if (typeof prefix !== "string") bad(where(), 'expected a text, as in "203.0.113.7/32"');
  const at = readPrefix(prefix);
  if (at instanceof Fault) return bad(where(), at.message);
  const stack = labelsOf(labels, where);
  if (typeof via !== "string") bad(`${where()}: via`, 'expected a text, as in "02:00:00:00:00:fe"');
  const mac = readMac(via);
  if (mac instanceof Fault) return bad(`${where()}: via`, mac.message);
  return { prefix: at.prefix, length: at.length, labels: stack, via: mac };
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

/** What a text of JSON holds. Throws EditError, where it ends if it is none. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    return bad("body", `no JSON; ${printable((error as Error).message, 120)}`);
  }
}

/**
 * Reads `{"vms": {"set": [VM…], "remove": [id…]}, "routes": {"set": [[prefix, [label…], via]…], "remove": [prefix…]}}`; any
 * part may be left out, and a VM has the keys that it has in an intent. Throws EditError at the first thing that is wrong.
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
  const set = routes.set.map(route => [prefixOf(route), route.labels, formatMac(route.via)]);
  return JSON.stringify({
    vms: { set: vms.set.map(vmDocument), remove: vms.remove },
    routes: { set, remove: routes.remove.map(prefixOf) },
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

/** A whole intent as JSON, a route a line, which is what `loadIntent` and `readIntentDocument` take. */
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
    const prefix = `${formatIpv4(routes.prefixes[row]!)}/${routes.lengths[row]!}`;
    lines.push(`{"prefix":"${prefix}",${hops[routes.nextHopOf[row]!]!}`);
  }
  return `${JSON.stringify(head).slice(0, -1)},"routes":[\n${lines.join(",\n")}]}\n`;
}

/** Reads what `formatIntent` wrote, quicker than the reader of YAML does. Throws EditError. */
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
