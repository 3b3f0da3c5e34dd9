/**
 * Which compiled flow a frame matches in one table, for people who want to know why. The rows of the pipeline
 * are tried from the highest priority down: the frame's values are put in the place of a row's words, and the
 * flows are searched for exactly those (tuple space search, as in Open vSwitch's classifier). Not in the data
 * path: the core decides. Frames are read as Open vSwitch reads them (lib/flow.c, miniflow_extract).
 */

import { isGroupMac, maskOf, parseIpv4, parseMac } from "../wire/index.ts";
import type { Flows } from "./compile.ts";
import type { Hypervisor } from "./flow.ts";
import { PIPELINE_ROWS, PIPELINE_TABLES, type PipelineRow, type Term, type Word } from "./tables.ts";

/**
 * The fields that rows compare, by their names in flow text, as numbers; absent: not of this frame's
 * protocol.
 */
type Fields = ReadonlyMap<string, number>;

const ETHERTYPES: ReadonlyMap<number, string> = new Map([
  [0x0800, "ip"],
  [0x0806, "arp"],
  [0x8847, "mpls"],
]);
const TAGS = [0x8100, 0x88a8];
const ETHERNET_BYTES = 14;
const SNAP_BYTES = 22;
const SNAP = [0xaa, 0xaa, 0x03, 0, 0, 0];
/** hrd 1, pro 0x0800, hln 6, pln 4 (RFC 826). */
const ARP_OF_IPV4 = [0, 1, 8, 0, 6, 4];

/** Reads the fields of a frame of at least 14 bytes. */
function readFields(inPort: number, frame: Uint8Array): Fields {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const fields = new Map([
    ["in_port", inPort],
    ["dl_dst", macAt(view, 0)],
    ["dl_src", macAt(view, 6)],
  ]);
  let type = view.getUint16(12);
  let layer3 = ETHERNET_BYTES;
  if (TAGS.includes(type) && frame.length >= 18) return fields.set("vlan_tci", 0x1000);
  if (type < 0x0600) {
    const isSnap = frame.length >= SNAP_BYTES && startsWith(frame.subarray(ETHERNET_BYTES), SNAP);
    type = isSnap ? view.getUint16(20) : 0;
    layer3 = SNAP_BYTES;
  }
  const protocol = ETHERTYPES.get(type);
  if (protocol === undefined) return fields;
  fields.set(protocol, 1);
  for (const [name, value] of READERS[protocol]!(
    new DataView(view.buffer, view.byteOffset + layer3, frame.length - layer3),
  ))
    fields.set(name, value);
  return fields;
}

type Reader = (packet: DataView) => [string, number][];

/** By protocol: its fields, which are zero when the packet cannot be read. */
const READERS: Readonly<Record<string, Reader>> = {
  ip: packet => {
    const available = packet.byteLength;
    const header = available < 20 ? 0 : (packet.getUint8(0) & 15) * 4;
    const total = available < 20 ? 0 : packet.getUint16(2);
    const isReadable = header >= 20 && header <= total && total <= available;
    return [
      ["nw_src", isReadable ? packet.getUint32(12) : 0],
      ["nw_dst", isReadable ? packet.getUint32(16) : 0],
    ];
  },
  arp: packet => {
    const bytes = new Uint8Array(packet.buffer, packet.byteOffset, packet.byteLength);
    const isReadable = bytes.length >= 28 && startsWith(bytes, ARP_OF_IPV4);
    const op = isReadable ? packet.getUint16(6) : 0;
    return [
      ["arp_op", op > 255 ? 0 : op],
      ["arp_sha", isReadable ? macAt(packet, 8) : 0],
      ["arp_spa", isReadable ? packet.getUint32(14) : 0],
      ["arp_tpa", isReadable ? packet.getUint32(24) : 0],
    ];
  },
  mpls: packet => {
    const entry = packet.byteLength < 4 ? null : packet.getUint32(0);
    if (entry === null) return [];
    return [
      ["mpls_label", entry >>> 12],
      ["mpls_bos", (entry >>> 8) & 1],
    ];
  },
};

function startsWith(bytes: Uint8Array, expected: readonly number[]): boolean {
  return expected.every((byte, index) => bytes[index] === byte);
}

function macAt(view: DataView, at: number): number {
  return view.getUint16(at) * 2 ** 32 + view.getUint32(at + 2);
}

const LABEL_TABLE = 10;

/**
 * Indices of the flows that a frame matches in `tables`, those it meets, in their order. Throws when a flow
 * leads to another table than the next one.
 */
export function matchedFlows(
  flows: Flows,
  tables: readonly number[],
  inPort: number,
  frame: Uint8Array,
): number[] {
  let seen = frame;
  return tables.map((table, index) => {
    const found = matchedFlow(flows, table, readFields(inPort, seen));
    const { next } = flows.at(found).row;
    if (next !== null && next !== tables[index + 1])
      throw new Error(`internal error: line ${found + 1} leads to table ${next}, not ${tables[index + 1]}`);
    if (table === LABEL_TABLE && next !== null) seen = popped(seen);
    return found;
  });
}

/** A frame without its label, which stands behind byte 14, or behind LLC and SNAP: pop_mpls:0x0800. */
export function popped(frame: Uint8Array): Uint8Array {
  const header = frame[12]! < 6 ? SNAP_BYTES : ETHERNET_BYTES;
  const rest = new Uint8Array(frame.length - 4);
  rest.set(frame.subarray(0, header));
  rest.set(frame.subarray(header + 4), header);
  rest.set([0x08, 0x00], 12);
  return rest;
}

/**
 * Index of the flow of `table` that a frame with these fields matches; each table has one for every frame.
 */
function matchedFlow(flows: Flows, table: number, fields: Fields): number {
  for (const row of ROWS_OF.get(table)!) {
    const index = row.kinds.includes("route") ? routeOf(flows, fields) : flowOf(flows, row, fields);
    if (index >= 0) return index;
  }
  throw new Error(`table ${table} has no flow for every frame`);
}

/** Rows by table, the highest priority first. */
const ROWS_OF: ReadonlyMap<number, readonly PipelineRow[]> = new Map(
  PIPELINE_TABLES.map(number => [number, PIPELINE_ROWS.filter(({ table }) => table === number)]),
);

function routeOf(flows: Flows, fields: Fields): number {
  const address = fields.get("nw_dst");
  return address === undefined ? -1 : flows.route(address);
}

/** The flow of a row that has the frame's values, or -1. */
function flowOf(flows: Flows, row: PipelineRow, fields: Fields): number {
  const bound = new Map<Word, number>();
  for (const term of row.terms) {
    const value = fields.get(term.field);
    if (value === undefined || !passes(term, value, flows.hypervisor, bound)) return -1;
  }
  return flows.find(row, {
    port: bound.get("W") ?? 0,
    mac: bound.get("mac") ?? 0,
    address: bound.get("A") ?? 0,
  });
}

/**
 * Whether a frame's value may pass a condition; the value of a VM's word is the frame's, the same throughout
 * a row.
 */
function passes(
  { field, text, word }: Term,
  value: number,
  own: Hypervisor,
  bound: Map<Word, number>,
): boolean {
  if (word !== null) {
    const known = CONSTANTS[word]?.(own) ?? bound.get(word);
    bound.set(word, value);
    return known === undefined || known === value;
  }
  return text === null || CONDITIONS[field]!(value, text);
}

const CONSTANTS: Readonly<Partial<Record<Word, (own: Hypervisor) => number>>> = {
  U: ({ uplink }) => uplink,
  Umac: ({ uplinkMac }) => uplinkMac,
  vmac: ({ virtualMac }) => virtualMac,
  LABEL: ({ label }) => label,
};

const isNumber = (value: number, text: string): boolean => value === Number(text);
const isUnder = (value: number, text: string): boolean => {
  const [address = "", length = "32"] = text.split("/");
  return (value & maskOf(Number(length))) >>> 0 === parseIpv4(address);
};

/** Conditions of rows with a value of their own, by field; masks are those that occur in the rows. */
const CONDITIONS: Readonly<Record<string, (value: number, text: string) => boolean>> = {
  vlan_tci: (value, text) => isNumber(value, text.slice(0, text.indexOf("/"))),
  dl_dst: (value, text) => (text.includes("/") ? !isGroupMac(value) : value === parseMac(text)),
  nw_dst: isUnder,
  arp_spa: isUnder,
  arp_op: isNumber,
  mpls_label: isNumber,
  mpls_bos: isNumber,
};
