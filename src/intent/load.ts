/**
 * Loads an intent: reads the file, checks it, and gives numbers where the file has names and addresses. Nothing here
 * throws for bad input: whatever is wrong (the file missing included, then at line 1, column 1) is a Diagnostic, and all of
 * them are collected. The shape of single values is checked by check.ts along keys.ts; here are the rules that join
 * values: used twice, equal to the uplink's, too many in all. The law is the section "Intent file" of the pipeline.
 */
import { dirname, isAbsolute, join } from "node:path";
import type { Diagnostic } from "../errors/index.ts";
import { formatIpv4, formatMac, parseMac } from "../wire/index.ts";
import { Checker } from "./check.ts";
import { Bag, type Place, printable, quoted } from "./diagnostics.ts";
import { formatCount, LIMITS, type Limits } from "./limits.ts";
import { readBytes } from "./read.ts";
import { fileOf, type RouteFiles, RouteTable, readRoutes, rowOf, tableIsFull, usedTwice } from "./routes.ts";
import { INTENT, type Located, type RawIntent, type RawRoute, type RawVm, VM } from "./schema-table.ts";
import type { Intent, Loaded, Path, Places, Uplink, Vm } from "./types.ts";
import { Fault } from "./values.ts";
import { Lines, readDocument } from "./yaml-tree.ts";

const START: Place = { line: 1, column: 1 };
const VIRTUAL_MAC_DEFAULT = parseMac(INTENT.keys.virtualMac.fallback)!;
const TRAFFIC_CLASS_DEFAULT = INTENT.keys.trafficClass.fallback;

/**
 * Loads the intent in file `path`; `-` is standard input, whose routesFile is relative to the working folder. Never
 * throws for what a file may hold or for a file that cannot be read: that is an error at line 1, column 1.
 */
export function loadIntent(path: string, limits: Limits = LIMITS): Loaded {
  const read = readBytes(path, limits.intentBytes);
  if (read instanceof Fault) return refused(path, `the intent ${read.message}`);
  return intentOfBytes(path, read.bytes.subarray(0, read.length), limits);
}

/** The intent that `path` was found to hold. */
export function intentOfBytes(path: string, bytes: Uint8Array, limits: Limits = LIMITS): Loaded {
  const encoding = foreignEncoding(bytes);
  if (encoding !== null)
    return refused(path, `the intent is ${encoding}; an intent is YAML or JSON in UTF-8`);
  const text = new TextDecoder().decode(bytes);
  return parseIntent(text, nameOf(path), path === "-" ? "." : dirname(path), limits);
}

const nameOf = (path: string): string => (path === "-" ? "<stdin>" : path);

function refused(path: string, message: string): Loaded {
  return { intent: null, errors: [{ file: nameOf(path), ...START, level: "error", message }], warnings: [] };
}

/** What a file is that is no UTF-8 text, or null. */
function foreignEncoding(bytes: Uint8Array): string | null {
  const [a, b] = bytes;
  if ((a === 0xff && b === 0xfe) || (a === 0xfe && b === 0xff)) return "UTF-16";
  if (a === 0x1f && b === 0x8b) return "compressed with gzip";
  if (bytes.includes(0)) return "a binary file";
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return null;
  } catch {
    return "not UTF-8";
  }
}

/**
 * Reads and checks the text of an intent. `file` stands in messages, `folder` is what `routesFile` is relative to;
 * `limits` are those of limits.ts except in tests.
 */
export function parseIntent(text: string, file: string, folder: string, limits: Limits = LIMITS): Loaded {
  const plain = text.startsWith("\ufeff") ? text.slice(1) : text;
  return new Loader(plain, file, folder, limits).load();
}

/**
 * One VM as a document of its own: a mapping with the keys of `vms` in an intent. `file` stands in messages. What joins
 * two VMs (used twice, the uplink's) is the caller's to check, but for an address that stands there twice.
 */
export function parseVm(text: string, file: string): { vm: Vm | null; errors: readonly Diagnostic[] } {
  const plain = text.startsWith("\ufeff") ? text.slice(1) : text;
  const errors = new Bag("error", LIMITS.problems);
  const lines = new Lines(plain);
  const report = (at: number, message: string | (() => string)): void =>
    errors.add(file, lines.place(at), message);
  if (plain.trim() === "")
    report(0, `the file is empty; a VM has the keys ${Object.keys(VM.keys).join(", ")}`);
  else {
    const root = readDocument(plain, lines, LIMITS.intentParts, report);
    const visitsMax = 4 * plain.length + 1_000_000;
    const raw = root === null ? null : (new Checker(report, visitsMax).check(VM, root, "vm")?.value ?? null);
    const known = new Once<number>();
    for (const address of raw?.addresses?.value ?? [])
      if (address !== null && known.claim(address.value, address.at) !== null)
        report(address.at, `addresses: ${formatIpv4(address.value)} is used twice; leave one out`);
    if (raw !== null && errors.count === 0) return { vm: finishVm(raw), errors: [] };
  }
  return { vm: null, errors: errors.list(file) };
}

/** Where each value of one kind stood first, so that its second use can be refused. */
class Once<T> {
  private readonly first = new Map<T, number>();

  /** The offset of the first use, or null if this is it. */
  claim(value: T, at: number): number | null {
    const first = this.first.get(value);
    if (first !== undefined) return first;
    this.first.set(value, at);
    return null;
  }
}

class Loader {
  private readonly errors: Bag;
  private readonly warnings: Bag;
  private readonly lines: Lines;
  private readonly ports = new Once<string>();
  private readonly ofports = new Once<number>();
  private readonly ids = new Once<number>();
  private readonly names = new Once<string>();
  private readonly macs = new Once<number>();
  private readonly addresses = new Once<number>();
  private addressCount = 0;
  private readonly table = new RouteTable();

  constructor(
    private readonly text: string,
    private readonly file: string,
    private readonly folder: string,
    private readonly limits: Limits,
  ) {
    this.errors = new Bag("error", limits.problems);
    this.warnings = new Bag("warning", limits.problems);
    this.lines = new Lines(text);
  }

  load(): Loaded {
    const raw = this.check();
    let intent: Intent | null = null;
    let found: Pick<Loaded, "places"> = {};
    if (raw !== null) {
      this.uplink(raw);
      this.vms(raw);
      const files = this.inlineRoutes(raw);
      this.fileRoutes(raw, files);
      this.warn(raw, files);
      if (this.errors.count === 0) {
        intent = this.finish(raw);
        found = { places: this.places(raw, files) };
      }
    }
    return { intent, ...found, errors: this.errors.list(this.file), warnings: this.warnings.list(this.file) };
  }

  private error(at: number, message: string | (() => string)): void {
    this.errors.add(this.file, this.errors.onlyCounts ? START : this.lines.place(at), message);
  }

  /** The file against its table of keys; null when it is not even a mapping. */
  private check(): RawIntent | null {
    if (this.text.trim() === "") {
      this.error(0, "the intent is empty; it needs at least name, bridge, label and uplink");
      return null;
    }
    const report = (at: number, message: string | (() => string)): void => this.error(at, message);
    const root = readDocument(this.text, this.lines, this.limits.intentParts, report);
    if (root === null) return null;
    if (root.kind !== "map") {
      this.error(root.at, "the intent is no mapping; it begins with a key such as name: hv1");
      return null;
    }
    // A text without aliases has fewer nodes than characters; the rest is what aliases may repeat.
    const visitsMax = 4 * this.text.length + 1_000_000;
    return new Checker(report, visitsMax).check(INTENT, root, "")?.value ?? null;
  }

  /** Refuses the second use of a value; `shown` is the value in the message. */
  private once<T>(
    once: Once<T>,
    located: Located<T> | null,
    path: string,
    shown?: (value: T) => string,
  ): void {
    if (located === null) return;
    const first = once.claim(located.value, located.at);
    if (first === null) return;
    this.error(located.at, () => {
      const value = shown?.(located.value) ?? printable(String(located.value));
      const line = this.lines.place(first).line;
      const how = first === located.at ? "repeated by an alias" : `first at line ${line}`;
      return `${path}: ${value} is used twice, ${how}; give each its own`;
    });
  }

  private uplink(raw: RawIntent): void {
    const uplink = raw.uplink?.value;
    this.once(this.ports, uplink?.port ?? null, "uplink.port");
    this.once(this.ofports, uplink?.ofport ?? null, "uplink.ofport");
  }

  private vms(raw: RawIntent): void {
    const vms = raw.vms?.value ?? [];
    const over = vms[this.limits.vms];
    if (vms.length > this.limits.vms) {
      const count = formatCount(vms.length);
      this.error(
        over?.at ?? raw.vms!.at,
        `vms: ${count} are too many; an intent holds ${formatCount(this.limits.vms)}`,
      );
    }
    for (const [index, vm] of vms.entries()) {
      if (vm !== null) this.vm(vm.value, `vms[${index}]`, raw);
    }
  }

  private vm(vm: RawVm, path: string, raw: RawIntent): void {
    this.once(this.ids, vm.id, `${path}.id`);
    this.once(this.names, vm.name, `${path}.name`);
    this.once(this.ports, vm.port, `${path}.port`);
    this.once(this.ofports, vm.ofport, `${path}.ofport`);
    this.once(this.macs, vm.mac, `${path}.mac`, formatMac);
    const taken = [
      { mac: raw.uplink?.value.mac?.value, whose: "the uplink's" },
      { mac: raw.virtualMac?.value ?? VIRTUAL_MAC_DEFAULT, whose: "the virtual MAC" },
    ];
    for (const { mac, whose } of taken) {
      if (vm.mac === null || vm.mac.value !== mac) continue;
      this.error(vm.mac.at, `${path}.mac: ${formatMac(mac)} is ${whose}; a VM has a MAC of its own`);
    }
    for (const [index, address] of (vm.addresses?.value ?? []).entries()) {
      this.once(this.addresses, address, `${path}.addresses[${index}]`, formatIpv4);
      if (++this.addressCount !== this.limits.addresses + 1) continue;
      const limit = formatCount(this.limits.addresses);
      this.error(
        address?.at ?? vm.addresses!.at,
        `${path}.addresses: an address too many; an intent holds ${limit}`,
      );
    }
  }

  private inlineRoutes(raw: RawIntent): RouteFiles {
    const routesFile = raw.routesFile?.value ?? "";
    const files = {
      intentFile: this.file,
      routesFile: isAbsolute(routesFile) ? routesFile : join(this.folder, routesFile),
      inlineCount: Number.POSITIVE_INFINITY,
    };
    for (const [index, route] of (raw.routes?.value ?? []).entries()) {
      if (route !== null && !this.inlineRoute(route.value, `routes[${index}]`, files)) break;
    }
    return { ...files, inlineCount: this.table.count };
  }

  /** False when the table is full. */
  private inlineRoute(route: RawRoute, path: string, files: RouteFiles): boolean {
    const labels = route.labels?.value ?? [];
    if (route.prefix === null) return true;
    const { prefix, length } = route.prefix.value;
    const hop = { labels: labels.map(label => label?.value ?? 0), via: route.via?.value ?? 0 };
    const { line, column } = this.lines.place(route.prefix.at);
    const twin = this.table.add(rowOf(prefix, length, hop), line, column);
    if (twin >= 0) {
      const message = (): string => `${path}.prefix: ${usedTwice(this.table, twin, files, this.file)}`;
      this.error(route.prefix.at, message);
      return true;
    }
    const full = tableIsFull(this.table, this.limits);
    if (full !== null) this.error(route.prefix.at, `${path}: ${full}`);
    return full === null;
  }

  private fileRoutes(raw: RawIntent, files: RouteFiles): void {
    if (raw.routesFile === null) return;
    const read = readBytes(files.routesFile, this.limits.routesBytes);
    if (read instanceof Fault) {
      this.error(raw.routesFile.at, `routesFile: ${quoted(files.routesFile)} ${read.message}`);
      return;
    }
    readRoutes(read, files, this.table, this.errors, this.limits);
  }

  /** The intent, once no error was found: then every required value is there. */
  private finish(raw: RawIntent): Intent {
    const uplink = raw.uplink!.value;
    return {
      name: raw.name!.value,
      bridge: raw.bridge!.value,
      label: raw.label!.value,
      virtualMac: raw.virtualMac?.value ?? VIRTUAL_MAC_DEFAULT,
      trafficClass: raw.trafficClass?.value ?? TRAFFIC_CLASS_DEFAULT,
      uplink: {
        port: uplink.port!.value,
        ofport: uplink.ofport!.value,
        mac: uplink.mac!.value,
        mtu: uplink.mtu?.value ?? null,
      } satisfies Uplink,
      vms: (raw.vms?.value ?? []).map(vm => finishVm(vm!.value)),
      routes: this.table.toRoutes(),
    };
  }

  /** Keeps the table's places and not the table. */
  private places(raw: RawIntent, files: RouteFiles): Places {
    const { file, lines } = this;
    const vms = (raw.vms?.value ?? []).map(vm => vm!.at);
    const placeOfRoute = this.table.places();
    return {
      vm: index => ({ file, ...lines.place(vms[index]!) }),
      route: index => ({ file: fileOf(files, index), ...placeOfRoute(index) }),
    };
  }

  /** What works, but surely not as meant. */
  private warn(raw: RawIntent, files: RouteFiles): void {
    const unused: { index: number; message: () => string }[] = [];
    const never = (index: number): string => `the route to ${this.table.text(index)} is never used`;
    for (const vm of raw.vms?.value ?? []) {
      const path = vm?.value.path?.value;
      if (path === undefined || !WINS_OVER_ROUTES[path]) continue;
      for (const address of vm?.value.addresses?.value ?? []) {
        const index = address === null ? -1 : this.table.find(address.value, 32);
        const who = (): string => `the local VM ${quoted(vm?.value.name?.value ?? "")} has that address`;
        if (index >= 0)
          unused.push({ index, message: () => `${never(index)}: ${who()} and wins; remove one` });
      }
    }
    for (const { index, block } of this.table.martians()) {
      unused.push({ index, message: () => `${never(index)}: packets to ${block} are dropped; remove it` });
    }
    unused.sort((a, b) => a.index - b.index);
    for (const { index, message } of unused) {
      this.warnings.add(fileOf(files, index), this.table.place(index), message);
    }
  }
}

/** Whether table 30 delivers to the VM before a route is looked up; an `l2` VM has no row there. */
const WINS_OVER_ROUTES: { readonly [path in Path]: boolean } = {
  l2: false,
  "dual-l2": true,
  "dual-l3": true,
  l3: true,
};

/** A VM of which nothing is missing. */
export function finishVm(vm: RawVm): Vm {
  return {
    id: vm.id!.value,
    name: vm.name!.value,
    port: vm.port!.value,
    ofport: vm.ofport!.value,
    mac: vm.mac!.value,
    addresses: vm.addresses!.value.map(address => address!.value),
    path: vm.path!.value,
    mtu: vm.mtu?.value ?? null,
  };
}
