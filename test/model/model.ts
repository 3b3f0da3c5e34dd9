/**
 * A slow, obvious model of the packet pipeline: the rows of its six tables as data, one function that reads
 * the fields of a frame, one that carries out actions on its bytes, and a last one that names the reason of a
 * drop. It is the oracle of the tests, so it shares nothing with the product: neither code nor constants.
 * Where Open vSwitch differs from the RFCs (profile `ovs`), so does the model.
 */

export type ModelPath = "l2" | "dual-l2" | "dual-l3" | "l3";

export interface ModelVm {
  id: number;
  name: string;
  port: string;
  ofport: number;
  mac: string;
  addresses: string[];
  path: ModelPath;
  mtu?: number;
}

export interface ModelRoute {
  prefix: string;
  /** Outermost first. */
  labels: number[];
  via: string;
}

/** The JSON form of an intent file. */
export interface ModelIntent {
  name: string;
  bridge: string;
  label: number;
  virtualMac: string;
  trafficClass: number;
  uplink: { port: string; ofport: number; mac: string; mtu?: number };
  vms: ModelVm[];
  routes: ModelRoute[];
}

export type Verdict = "output" | "reply" | "drop";

export interface ModelResult {
  verdict: Verdict;
  /** Why the frame is dropped; null when it is not. */
  reason: string | null;
  /** The ofport it leaves by (for a reply its own in_port); null when dropped. */
  port: number | null;
  /** The bytes that leave; null when dropped. */
  frame: Uint8Array | null;
  /** The numbers of the tables entered, in order. */
  tables: number[];
}

// ── addresses ──────────────────────────────────────────────────────────────────────────────────────────────

/** "02:00:00:00:00:01" → its six bytes. */
export function macBytes(mac: string): number[] {
  const bytes: number[] = [];
  for (let at = 0; at < 18; at += 3) bytes.push(Number.parseInt(mac.slice(at, at + 2), 16));
  return bytes;
}

const DOT = 46;

/** "10.0.0.1" → an unsigned 32-bit number. */
export function ipNumber(address: string): number {
  let [sum, part] = [0, 0];
  for (let at = 0; at < address.length; at++) {
    const code = address.charCodeAt(at);
    if (code !== DOT) part = part * 10 + code - 48;
    else [sum, part] = [sum * 256 + part, 0];
  }
  return sum * 256 + part;
}

/** An unsigned 32-bit number → "10.0.0.1". */
export function ipText(address: number): string {
  return [24, 16, 8, 0].map(shift => (address >>> shift) & 255).join(".");
}

/** The network mask of a prefix length, as an unsigned 32-bit number. */
export function maskOf(length: number): number {
  return length === 0 ? 0 : (0xffffffff << (32 - length)) >>> 0;
}

// ── fields ─────────────────────────────────────────────────────────────────────────────────────────────────

const TYPE_IP = 0x0800;
const TYPE_ARP = 0x0806;
const TYPE_MPLS = 0x8847;
const TYPES_VLAN = [0x8100, 0x88a8];
/** What dl_type is for an 802.3 frame without a type: no row matches it. */
const TYPE_NONE = 0;

/** What the rows can see of a frame, named as ovs-ofctl names it, and where layer 3 starts. */
export interface Fields {
  in_port: number;
  /** 1 when there is a VLAN tag, else 0. */
  vlan_present: number;
  dl_dst: string;
  dl_src: string;
  /** 1 when dl_dst is a multicast or the broadcast address, else 0. */
  dl_dst_group: number;
  dl_type: number;
  mpls_label: number;
  mpls_bos: number;
  nw_src: number;
  nw_dst: number;
  nw_proto: number;
  nw_ttl: number;
  arp_op: number;
  arp_sha: string;
  arp_spa: number;
  arp_tpa: number;
  /** The byte at which layer 3 (or the label stack) starts. */
  layer3: number;
  /** Whether the fields of dl_type's protocol (IPv4, ARP, MPLS) could be read; they are zero when not. */
  readable: boolean;
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
const ZERO_MAC = "00:00:00:00:00:00";

function u16(frame: Uint8Array, at: number): number {
  return frame[at]! * 256 + frame[at + 1]!;
}

function u32(frame: Uint8Array, at: number): number {
  return u16(frame, at) * 65536 + u16(frame, at + 2);
}

function macAt(frame: Uint8Array, at: number): string {
  let text = HEX[frame[at]!]!;
  for (let next = at + 1; next < at + 6; next++) text += `:${HEX[frame[next]!]!}`;
  return text;
}

function joined(...parts: readonly ArrayLike<number>[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Reads the fields of a frame of at least 14 bytes, as Open vSwitch reads them. */
export function readFields(inPort: number, frame: Uint8Array): Fields {
  const fields: Fields = {
    in_port: inPort,
    vlan_present: 0,
    dl_dst: macAt(frame, 0),
    dl_src: macAt(frame, 6),
    dl_dst_group: frame[0]! & 1,
    dl_type: u16(frame, 12),
    mpls_label: 0,
    mpls_bos: 0,
    nw_src: 0,
    nw_dst: 0,
    nw_proto: 0,
    nw_ttl: 0,
    arp_op: 0,
    arp_sha: ZERO_MAC,
    arp_spa: 0,
    arp_tpa: 0,
    layer3: 14,
    readable: false,
  };
  if (TYPES_VLAN.includes(fields.dl_type)) {
    // The one row that looks at a tag drops the frame, so what is behind the tag is nobody's business.
    if (frame.length >= 18) fields.vlan_present = 1;
    return fields;
  }
  if (fields.dl_type < 0x0600) {
    fields.dl_type = snapType(frame);
    if (fields.dl_type === TYPE_NONE) return fields;
    fields.layer3 = 22;
  }
  if (fields.dl_type === TYPE_IP) readIpv4(fields, frame);
  if (fields.dl_type === TYPE_ARP) readArp(fields, frame);
  if (fields.dl_type === TYPE_MPLS) readLabel(fields, frame);
  return fields;
}

/** The type behind `aa aa 03 00 00 00` of an LLC/SNAP frame, or TYPE_NONE. */
function snapType(frame: Uint8Array): number {
  if (frame.length < 22) return TYPE_NONE;
  const isSnap = [0xaa, 0xaa, 0x03, 0, 0, 0].every((byte, i) => frame[14 + i] === byte);
  const type = u16(frame, 20);
  return isSnap && type >= 0x0600 ? type : TYPE_NONE;
}

function readIpv4(fields: Fields, frame: Uint8Array): void {
  const at = fields.layer3;
  const available = frame.length - at;
  if (available < 20) return;
  const header = (frame[at]! & 15) * 4;
  const total = u16(frame, at + 2);
  if (header < 20 || header > total || total > available) return;
  fields.readable = true;
  fields.nw_ttl = frame[at + 8]!;
  fields.nw_proto = frame[at + 9]!;
  fields.nw_src = u32(frame, at + 12);
  fields.nw_dst = u32(frame, at + 16);
}

function readArp(fields: Fields, frame: Uint8Array): void {
  const at = fields.layer3;
  if (frame.length - at < 28) return;
  if (u16(frame, at) !== 1 || u16(frame, at + 2) !== TYPE_IP) return;
  if (frame[at + 4] !== 6 || frame[at + 5] !== 4) return;
  fields.readable = true;
  const op = u16(frame, at + 6);
  fields.arp_op = op > 255 ? 0 : op;
  fields.arp_sha = macAt(frame, at + 8);
  fields.arp_spa = u32(frame, at + 14);
  fields.arp_tpa = u32(frame, at + 24);
}

function readLabel(fields: Fields, frame: Uint8Array): void {
  const at = fields.layer3;
  if (frame.length - at < 4) return;
  fields.readable = true;
  const entry = u32(frame, at);
  fields.mpls_label = entry >>> 12;
  fields.mpls_bos = (entry >>> 8) & 1;
}

// ── rows ───────────────────────────────────────────────────────────────────────────────────────────────────

export type MatchField = Exclude<keyof Fields, "layer3" | "readable">;

/** One field of a match: exact, or under a mask (IPv4 addresses only). */
export interface Match {
  field: MatchField;
  value: number | string;
  mask?: number;
}

/** Fields of whole bytes that actions read and write. */
export type ByteField = "eth_dst" | "eth_src" | "arp_op" | "arp_sha" | "arp_spa" | "arp_tha" | "arp_tpa";

export type Action =
  | { do: "goto_table"; table: number }
  | { do: "output"; port: number }
  | { do: "in_port" }
  | { do: "dec_ttl" }
  | { do: "pop_mpls" }
  | { do: "push_mpls" }
  | { do: "set_field"; field: ByteField; value: number | string }
  | { do: "set_field"; field: "mpls_label" | "mpls_tc"; value: number }
  | { do: "move"; from: ByteField; to: ByteField }
  | { do: "push"; from: ByteField }
  | { do: "pop"; to: ByteField };

/** Whose row it is; part of its cookie. */
export type RowKind = "pipeline" | "L2-in" | "L3-in" | "route" | "L2-out" | "L3-out";

export interface Row {
  table: number;
  priority: number;
  match: Match[];
  /** Empty: drop. */
  actions: Action[];
  kind: RowKind;
  /** The id of the VM it belongs to, 0 when none. */
  owner: number;
  /** Tells apart the rows of one table and priority that do different things. */
  note: string;
}

/** The sort of a row: the same for all VMs and routes ("20/390", "0/300 arp", "40/route of 2 labels"). */
export function rowName(row: Row): string {
  if (row.kind === "route") return `${row.table}/${row.note}`;
  return `${row.table}/${row.priority}${row.note === "" ? "" : ` ${row.note}`}`;
}

const eq = (field: MatchField, value: number | string): Match => ({ field, value });
const inPort = (port: number): Match => eq("in_port", port);
const ip = eq("dl_type", TYPE_IP);
const arp = eq("dl_type", TYPE_ARP);
const mpls = eq("dl_type", TYPE_MPLS);
const BROADCAST = "ff:ff:ff:ff:ff:ff";

function nwDst(prefix: string): Match {
  const [address, length] = prefix.split("/");
  return { field: "nw_dst", value: ipNumber(address!), mask: maskOf(Number(length)) };
}

const goto = (table: number): Action[] => [{ do: "goto_table", table }];
const output = (port: number): Action[] => [{ do: "output", port }];
const drop: Action[] = [];
const set = (field: ByteField, value: number | string): Action => ({ do: "set_field", field, value });

const L3_OUT: ModelPath[] = ["dual-l3", "l3"];
const L2_OUT: ModelPath[] = ["l2", "dual-l2"];
const L3_IN: ModelPath[] = ["dual-l2", "dual-l3", "l3"];
const L2_IN: ModelPath[] = ["l2", "dual-l2", "dual-l3"];

/** All rows of an intent's flow table, in the order in which the tables are written down. */
export function rowsOf(intent: ModelIntent): Row[] {
  const rows = pipelineRows(intent);
  for (const vm of intent.vms) {
    rows.push(...senderRows(vm));
    if (L3_OUT.includes(vm.path)) rows.push(...l3OutRows(intent, vm));
    if (L2_OUT.includes(vm.path)) rows.push(...l2OutRows(intent, vm));
    if (L3_IN.includes(vm.path)) rows.push(...l3InRows(intent, vm));
    if (L2_IN.includes(vm.path)) rows.push(...l2InRows(vm));
  }
  for (const route of intent.routes) rows.push(routeRow(intent, route));
  return rows;
}

/** The rows that every intent has: they belong to nobody. */
function pipelineRows(intent: ModelIntent): Row[] {
  const U = inPort(intent.uplink.ofport);
  const toUplinkMac = eq("dl_dst", intent.uplink.mac);
  const popped: Action[] = [{ do: "pop_mpls" }, ...goto(30)];
  const list: [number, number, Match[], Action[], string?][] = [
    [0, 500, [eq("vlan_present", 1)], drop],
    [0, 400, [U, toUplinkMac, mpls], goto(10)],
    [0, 390, [U, toUplinkMac, ip], goto(30)],
    [0, 380, [U, arp], goto(20)],
    [0, 370, [U], goto(50)],
    [0, 0, [], drop],
    [10, 100, [mpls, eq("mpls_label", intent.label), eq("mpls_bos", 1)], popped, "own"],
    [10, 100, [mpls, eq("mpls_label", 0), eq("mpls_bos", 1)], popped, "explicit-null"],
    [10, 0, [], drop],
    [20, 200, [U, arp, eq("arp_op", 2)], goto(50)],
    [20, 0, [], drop],
    [30, 100, [U], drop],
    [30, 0, [], goto(40)],
    [40, 300, [ip, nwDst("0.0.0.0/8")], drop, "0/8"],
    [40, 300, [ip, nwDst("127.0.0.0/8")], drop, "127/8"],
    [40, 300, [ip, nwDst("224.0.0.0/3")], drop, "224/3"],
    [40, 0, [], drop],
    [50, 100, [U], drop],
    [50, 0, [], output(intent.uplink.ofport)],
  ];
  return list.map(([table, priority, match, actions, note = ""]) => {
    return { table, priority, match, actions, kind: "pipeline", owner: 0, note };
  });
}

/** Makes the rows of one VM and one kind. */
function rowMaker(vm: ModelVm, kind: RowKind) {
  return (table: number, priority: number, match: Match[], actions: Action[], note = ""): Row => {
    return { table, priority, match, actions, kind, owner: vm.id, note };
  };
}

/** Table 0: the ARP a VM may send, whatever its path. */
function senderRows(vm: ModelVm): Row[] {
  const row = rowMaker(vm, L3_OUT.includes(vm.path) ? "L3-out" : "L2-out");
  const own = [inPort(vm.ofport), eq("dl_src", vm.mac), arp, eq("arp_sha", vm.mac)];
  return [...vm.addresses, "0.0.0.0"].map(address => {
    return row(0, 300, [...own, eq("arp_spa", ipNumber(address))], goto(20), "arp");
  });
}

function l3OutRows(intent: ModelIntent, vm: ModelVm): Row[] {
  const row = rowMaker(vm, "L3-out");
  const W = inPort(vm.ofport);
  const request = eq("arp_op", 1);
  const respond = responder(intent.virtualMac);
  const source = [W, eq("dl_src", vm.mac), eq("dl_dst_group", 0), ip];
  const addresses = vm.addresses.map(ipNumber);
  return [
    ...addresses.map(A => row(0, 300, [...source, eq("nw_src", A)], goto(30), "ip L3-out")),
    row(20, 400, [W, arp, eq("arp_spa", 0)], drop),
    ...addresses.map(A => row(20, 390, [W, arp, eq("arp_tpa", A)], drop)),
    row(20, 380, [W, eq("dl_dst", BROADCAST), arp, request], respond, "broadcast"),
    row(20, 380, [W, eq("dl_dst", intent.virtualMac), arp, request], respond, "virtual-mac"),
    row(20, 360, [W, arp], drop),
  ];
}

function l2OutRows(intent: ModelIntent, vm: ModelVm): Row[] {
  const row = rowMaker(vm, "L2-out");
  const W = inPort(vm.ofport);
  const addresses = vm.addresses.map(ipNumber);
  const source = [W, eq("dl_src", vm.mac), ip];
  return [
    ...addresses.map(A => row(0, 300, [...source, eq("nw_src", A)], goto(50), "ip L2-out")),
    ...addresses.map(A => row(20, 350, [W, arp, eq("arp_tpa", A)], output(intent.uplink.ofport))),
    row(20, 290, [W, arp], goto(50)),
  ];
}

function l3InRows(intent: ModelIntent, vm: ModelVm): Row[] {
  const row = rowMaker(vm, "L3-in");
  const deliver: Action[] = [
    { do: "dec_ttl" },
    set("eth_src", intent.virtualMac),
    set("eth_dst", vm.mac),
    ...output(vm.ofport),
  ];
  return vm.addresses.map(A => row(30, 200, [ip, nwDst(`${A}/32`)], deliver));
}

function l2InRows(vm: ModelVm): Row[] {
  const row = rowMaker(vm, "L2-in");
  const request = eq("arp_op", 1);
  return [
    row(20, 370, [inPort(vm.ofport), arp, eq("arp_op", 2)], goto(50)),
    ...vm.addresses.map(A => row(20, 300, [arp, request, eq("arp_tpa", ipNumber(A))], output(vm.ofport))),
    row(50, 200, [eq("dl_dst", vm.mac)], output(vm.ofport)),
  ];
}

function routeRow(intent: ModelIntent, route: ModelRoute): Row {
  const length = Number(route.prefix.split("/")[1]);
  const actions: Action[] = [
    { do: "dec_ttl" },
    set("eth_src", intent.uplink.mac),
    set("eth_dst", route.via),
    ...[...route.labels]
      .reverse()
      .flatMap((label): Action[] => [
        { do: "push_mpls" },
        { do: "set_field", field: "mpls_label", value: label },
        { do: "set_field", field: "mpls_tc", value: intent.trafficClass },
      ]),
    ...output(intent.uplink.ofport),
  ];
  const match = length === 0 ? [ip] : [ip, nwDst(route.prefix)];
  const note = `route of ${route.labels.length} labels`;
  return { table: 40, priority: 100 + length, match, actions, kind: "route", owner: 0, note };
}

/** Turns an ARP request into its answer, in place, and sends it back. */
function responder(virtualMac: string): Action[] {
  return [
    { do: "move", from: "eth_src", to: "eth_dst" },
    set("eth_src", virtualMac),
    set("arp_op", 2),
    { do: "move", from: "arp_sha", to: "arp_tha" },
    set("arp_sha", virtualMac),
    { do: "push", from: "arp_spa" },
    { do: "move", from: "arp_tpa", to: "arp_spa" },
    { do: "pop", to: "arp_tpa" },
    { do: "in_port" },
  ];
}

// ── lookup ─────────────────────────────────────────────────────────────────────────────────────────────────

function matches(row: Row, fields: Fields): boolean {
  return row.match.every(({ field, value, mask }) => {
    if (mask === undefined) return fields[field] === value;
    return (Number(fields[field]) & mask) >>> 0 === value;
  });
}

/** The rows of one intent, by table and in_port: rows of other ports can never match. */
class FlowTable {
  readonly #rows: Row[];
  readonly #candidates = new Map<string, Row[]>();

  constructor(intent: ModelIntent) {
    this.#rows = rowsOf(intent);
  }

  /** The row of highest priority that matches. Two of them would be undefined behaviour: that is asserted. */
  lookup(table: number, fields: Fields): Row {
    const candidates = this.#for(table, fields.in_port);
    const first = candidates.findIndex(row => matches(row, fields));
    const found = candidates[first];
    if (found === undefined)
      throw new Error(`model: table ${table} has no row for ${JSON.stringify(fields)}`);
    for (const other of candidates.slice(first + 1)) {
      if (other.priority < found.priority) break;
      if (matches(other, fields)) throw new Error(`model: two rows match: ${JSON.stringify([found, other])}`);
    }
    return found;
  }

  #for(table: number, port: number): Row[] {
    const key = `${table} ${port}`;
    let list = this.#candidates.get(key);
    if (list === undefined) {
      list = this.#rows
        .filter(row => row.table === table)
        .filter(row => row.match.every(({ field, value }) => field !== "in_port" || value === port))
        .sort((a, b) => b.priority - a.priority);
      this.#candidates.set(key, list);
    }
    return list;
  }
}

const flowTables = new WeakMap<ModelIntent, FlowTable>();

/** The flow table of an intent, made once: an intent must not be changed after its first frame. */
function flowTableOf(intent: ModelIntent): FlowTable {
  let table = flowTables.get(intent);
  if (table === undefined) {
    table = new FlowTable(intent);
    flowTables.set(intent, table);
  }
  return table;
}

// ── actions ────────────────────────────────────────────────────────────────────────────────────────────────

/** Where each byte field lives: behind the start of the frame, or of layer 3. */
const PLACES: Record<ByteField, { layer: 2 | 3; at: number; length: number }> = {
  eth_dst: { layer: 2, at: 0, length: 6 },
  eth_src: { layer: 2, at: 6, length: 6 },
  arp_op: { layer: 3, at: 6, length: 2 },
  arp_sha: { layer: 3, at: 8, length: 6 },
  arp_spa: { layer: 3, at: 14, length: 4 },
  arp_tha: { layer: 3, at: 18, length: 6 },
  arp_tpa: { layer: 3, at: 24, length: 4 },
};

/** How an action list ends. */
type End =
  | { by: "goto"; table: number }
  | { by: "output"; port: number }
  | { by: "reply" }
  | { by: "drop" }
  | { by: "ttl-expired" };

/** A frame under way through one action list: its bytes, and what the switch remembers besides them. */
class Packet {
  bytes: Uint8Array;
  readonly #fields: Fields;
  /** The TTL as the switch sees it: it can be ahead of the one in the bytes (see decTtl). */
  #ttl: number;
  #labels = 0;
  readonly #stack: Uint8Array[] = [];

  constructor(bytes: Uint8Array, fields: Fields) {
    this.bytes = bytes;
    this.#fields = fields;
    this.#ttl = fields.nw_ttl;
  }

  execute(actions: Action[]): End {
    for (const action of actions) {
      switch (action.do) {
        case "goto_table":
          return { by: "goto", table: action.table };
        case "output":
          return { by: "output", port: action.port };
        case "in_port":
          return { by: "reply" };
        case "dec_ttl":
          if (this.#ttl <= 1) return { by: "ttl-expired" };
          this.#decTtl();
          break;
        case "pop_mpls":
          this.#popMpls();
          break;
        case "push_mpls":
          this.#pushMpls();
          break;
        case "set_field":
          this.#setField(action.field, action.value);
          break;
        case "move":
          this.#write(action.to, this.#read(action.from));
          break;
        case "push":
          this.#stack.push(this.#read(action.from));
          break;
        case "pop":
          this.#write(action.to, this.#stack.pop()!);
          break;
      }
    }
    return { by: "drop" };
  }

  #place(field: ByteField): Uint8Array {
    const { layer, at, length } = PLACES[field];
    const start = layer === 3 ? this.#fields.layer3 + at : at;
    return this.bytes.subarray(start, start + length);
  }

  #read(field: ByteField): Uint8Array {
    return this.#place(field).slice();
  }

  #write(field: ByteField, value: Uint8Array | number[]): void {
    const place = this.#place(field);
    if (place.length !== value.length) throw new Error(`model: ${field} does not fit`);
    place.set(value);
  }

  #setField(field: ByteField | "mpls_label" | "mpls_tc", value: number | string): void {
    if (field === "mpls_label") this.#setLabelBits(12, 0xfffff, Number(value));
    else if (field === "mpls_tc") this.#setLabelBits(9, 7, Number(value));
    else if (typeof value === "string") this.#write(field, macBytes(value));
    else this.#write(field, [value >>> 8, value & 255]); // arp_op is the only number that is ever set
  }

  /** The TTL counts down by one; the checksum follows it by RFC 1624, equation 3. */
  #decTtl(): void {
    const before = this.#ttl;
    this.#ttl = before - 1;
    // OVS takes protocol 0 for "no IPv4 header here" when it writes a header back, and so writes nothing.
    if (this.#fields.nw_proto === 0) return;
    const at = this.#fields.layer3;
    const checksum = correctedChecksum(u16(this.bytes, at + 10), before << 8, this.#ttl << 8);
    this.bytes[at + 8] = this.#ttl;
    this.bytes[at + 10] = checksum >>> 8;
    this.bytes[at + 11] = checksum & 255;
  }

  /** Bytes 12-13 tell the new type even behind an LLC/SNAP header, whose own type stays: a bug of OVS. */
  #setType(type: number): void {
    this.bytes[12] = type >>> 8;
    this.bytes[13] = type & 255;
  }

  #popMpls(): void {
    const at = this.#fields.layer3;
    this.bytes = joined(this.bytes.subarray(0, at), this.bytes.subarray(at + 4));
    this.#setType(TYPE_IP);
  }

  /**
   * The first entry takes its TTL from the packet and is the bottom; each further one copies the outermost.
   */
  #pushMpls(): void {
    const at = this.#fields.layer3;
    const entry = this.#labels === 0 ? [0, 0, 1, this.#ttl] : [...this.bytes.subarray(at, at + 4)];
    if (this.#labels > 0) entry[2]! &= 0xfe; // S is only on the innermost
    this.bytes = joined(this.bytes.subarray(0, at), entry, this.bytes.subarray(at));
    this.#setType(TYPE_MPLS);
    this.#labels++;
  }

  #setLabelBits(shift: number, bits: number, value: number): void {
    const at = this.#fields.layer3;
    const entry = (u32(this.bytes, at) & ~(bits << shift)) | (value << shift);
    this.bytes.set([(entry >>> 24) & 255, (entry >>> 16) & 255, (entry >>> 8) & 255, entry & 255], at);
  }
}

/** RFC 1624 equation 3: HC' = ~(~HC + ~m + m'). A wrong checksum stays just as wrong. */
export function correctedChecksum(checksum: number, before: number, after: number): number {
  let sum = (~checksum & 0xffff) + (~before & 0xffff) + (after & 0xffff);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

// ── run ────────────────────────────────────────────────────────────────────────────────────────────────────

/** One table entered: the row that was hit, and the fields it saw. */
export interface Step {
  row: Row;
  fields: Fields;
}

/** The longest frame accepted, without FCS. */
const LONGEST_BYTES = 9216;

/** Sends one frame through the pipeline; `frame` itself is not changed. */
export function runModel(intent: ModelIntent, inPort: number, frame: Uint8Array): ModelResult {
  return traceModel(intent, inPort, frame).result;
}

/** As runModel, with the rows that were hit. */
export function traceModel(
  intent: ModelIntent,
  inPort: number,
  frame: Uint8Array,
): { result: ModelResult; steps: Step[] } {
  const steps: Step[] = [];
  const tables: number[] = [];
  const dropped = (reason: string): { result: ModelResult; steps: Step[] } => {
    return { result: { verdict: "drop", reason, port: null, frame: null, tables }, steps };
  };
  const refusal = refusalOf(intent, inPort, frame);
  if (refusal !== null) return dropped(refusal);

  let bytes: Uint8Array = Uint8Array.from(frame);
  let end: End = { by: "goto", table: 0 };
  while (end.by === "goto") {
    const table: number = end.table;
    const fields = readFields(inPort, bytes);
    const row = flowTableOf(intent).lookup(table, fields);
    tables.push(table);
    steps.push({ row, fields });
    const packet = new Packet(bytes, fields);
    end = packet.execute(row.actions);
    bytes = packet.bytes;
  }

  if (end.by === "drop" || end.by === "ttl-expired") {
    return dropped(reasonOf(intent, steps.at(-1)!, end.by === "ttl-expired"));
  }
  const port = end.by === "reply" ? inPort : end.port;
  if (end.by === "output" && port === inPort) return dropped("same-port");
  const mtu = [intent.uplink, ...intent.vms].find(({ ofport }) => ofport === port)!.mtu;
  if (mtu !== undefined && bytes.length > mtu + 14) return dropped("too-long");
  return { result: { verdict: end.by, reason: null, port, frame: bytes, tables }, steps };
}

/** Why a frame does not even enter table 0, or null. */
function refusalOf(intent: ModelIntent, inPort: number, frame: Uint8Array): string | null {
  if (frame.length < 14) return "too-short";
  if (frame.length > LONGEST_BYTES) return "too-long";
  const known = [intent.uplink, ...intent.vms].some(({ ofport }) => ofport === inPort);
  return known ? null : "unknown-port";
}

// ── reason ─────────────────────────────────────────────────────────────────────────────────────────────────

/** The reason of a drop that a row caused; every such drop has one, which is asserted. */
function reasonOf(intent: ModelIntent, { row, fields }: Step, expired: boolean): string {
  const at = `${row.table}/${row.priority}`;
  const reasons: Record<string, () => string | undefined> = {
    "0/500": () => "vlan-tagged",
    "0/0": () => reasonFromVm(intent, fields),
    "10/0": () => {
      if (!fields.readable) return "malformed";
      if (fields.mpls_label !== intent.label && fields.mpls_label !== 0) return "unknown-label";
      return fields.mpls_bos === 0 ? "label-stack" : undefined;
    },
    "20/400": () => "arp-probe",
    "20/390": () => "arp-suppressed",
    "20/360": () => "arp-suppressed",
    "20/0": () => (fields.readable ? "arp-suppressed" : "malformed"),
    "30/100": () => (fields.readable ? "no-local-vm" : "malformed"),
    "40/300": () => "martian",
    "40/0": () => "no-route",
    "50/100": () => "bridge-suppressed",
  };
  const reason = expired ? "ttl-expired" : reasons[at]?.();
  if (reason === undefined)
    throw new Error(`model: a drop without a reason: ${at} ${JSON.stringify(fields)}`);
  return reason;
}

/** Why table 0 has no row for this frame of a VM; undefined when nothing speaks against it. */
function reasonFromVm(intent: ModelIntent, fields: Fields): string | undefined {
  const vm = intent.vms.find(({ ofport }) => ofport === fields.in_port);
  if (vm === undefined) return undefined;
  const isArp = fields.dl_type === TYPE_ARP;
  const isIp = fields.dl_type === TYPE_IP;
  const own = vm.addresses.map(ipNumber);
  if (fields.dl_src !== vm.mac) return "spoofed-source";
  if ((isArp || isIp) && !fields.readable) return "malformed";
  if (isArp && fields.arp_sha !== vm.mac) return "spoofed-source";
  if (isArp && fields.arp_spa !== 0 && !own.includes(fields.arp_spa)) return "spoofed-source";
  if (isIp && !own.includes(fields.nw_src)) return "spoofed-source";
  if (isIp && L3_OUT.includes(vm.path) && fields.dl_dst_group === 1) return "multicast-destination";
  return isArp || isIp ? undefined : "not-ip";
}
