/**
 * Which compiled flow a frame matches in one table, for people who ask why. The rows of the pipeline are tried from the
 * highest priority down: each is spelt with the frame's own values, and the flows are asked whether they have just that
 * (tuple space search, as Open vSwitch's classifier does it). Not in the data path, and not what decides: the core does.
 * Frames are read as Open vSwitch reads them (lib/flow.c, miniflow_extract).
 */

import { formatIpv4, formatMac, isGroupMac, maskOf, parseIpv4 } from "../wire/index.ts";
import type { Flows } from "./compile.ts";
import { PIPELINE_ROWS, PIPELINE_TABLES, type PipelineRow } from "./tables.ts";

/** The fields that rows look at, as flow text spells them; absent: not of this frame's protocol. */
type Fields = ReadonlyMap<string, string>;

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
    ["in_port", String(inPort)],
    ["dl_dst", macAt(view, 0)],
    ["dl_src", macAt(view, 6)],
  ]);
  let type = view.getUint16(12);
  let layer3 = ETHERNET_BYTES;
  if (TAGS.includes(type) && frame.length >= 18) return fields.set("vlan_tci", "0x1000");
  if (type < 0x0600) {
    const isSnap = frame.length >= SNAP_BYTES && startsWith(frame.subarray(ETHERNET_BYTES), SNAP);
    type = isSnap ? view.getUint16(20) : 0;
    layer3 = SNAP_BYTES;
  }
  const protocol = ETHERTYPES.get(type);
  if (protocol === undefined) return fields;
  fields.set(protocol, protocol);
  for (const [name, value] of READERS[protocol]!(
    new DataView(view.buffer, view.byteOffset + layer3, frame.length - layer3),
  ))
    fields.set(name, value);
  return fields;
}

type Reader = (packet: DataView) => [string, string][];

/** By protocol: its fields, which are zero when the packet cannot be read. */
const READERS: Readonly<Record<string, Reader>> = {
  ip: packet => {
    const available = packet.byteLength;
    const header = available < 20 ? 0 : (packet.getUint8(0) & 15) * 4;
    const total = available < 20 ? 0 : packet.getUint16(2);
    const isReadable = header >= 20 && header <= total && total <= available;
    return [
      ["nw_src", formatIpv4(isReadable ? packet.getUint32(12) : 0)],
      ["nw_dst", formatIpv4(isReadable ? packet.getUint32(16) : 0)],
    ];
  },
  arp: packet => {
    const bytes = new Uint8Array(packet.buffer, packet.byteOffset, packet.byteLength);
    const isReadable = bytes.length >= 28 && startsWith(bytes, ARP_OF_IPV4);
    const op = isReadable ? packet.getUint16(6) : 0;
    return [
      ["arp_op", String(op > 255 ? 0 : op)],
      ["arp_sha", isReadable ? macAt(packet, 8) : formatMac(0)],
      ["arp_spa", formatIpv4(isReadable ? packet.getUint32(14) : 0)],
      ["arp_tpa", formatIpv4(isReadable ? packet.getUint32(24) : 0)],
    ];
  },
  mpls: packet => {
    const entry = packet.byteLength < 4 ? null : packet.getUint32(0);
    if (entry === null) return [];
    return [
      ["mpls_label", String(entry >>> 12)],
      ["mpls_bos", String((entry >>> 8) & 1)],
    ];
  },
};

function startsWith(bytes: Uint8Array, expected: readonly number[]): boolean {
  return expected.every((byte, index) => bytes[index] === byte);
}

function macAt(view: DataView, at: number): string {
  return formatMac(view.getUint16(at) * 2 ** 32 + view.getUint32(at + 2));
}

/** The table that a flow's actions lead to. */
const GOTO = /goto_table:(\d+)$/;
const LABEL_TABLE = 10;

/**
 * Indices of the flows that a frame matches in `tables`, those it meets, in their order. Throws when a flow leads to
 * another table than the next one.
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
    const next = GOTO.exec(flows.at(found).actions)?.[1];
    if (next !== undefined && Number(next) !== tables[index + 1]) {
      throw new Error(`line ${found + 1} leads to table ${next}, not ${tables[index + 1]}`);
    }
    if (table === LABEL_TABLE && next !== undefined) seen = popped(seen);
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

/** Index of the flow of `table` that a frame with these fields matches; each table has one for every frame. */
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
  const address = parseIpv4(fields.get("nw_dst") ?? "");
  return address === null ? -1 : flows.route(address);
}

/** The flow of a row that has the frame's values, or -1. */
function flowOf(flows: Flows, row: PipelineRow, fields: Fields): number {
  const terms: string[] = [];
  for (const condition of row.match === "" ? [] : row.match.split(",")) {
    const term = termOf(condition, fields);
    if (term === null) return -1;
    terms.push(term);
  }
  return flows.find(row.table, row.priority as number, terms.join(","));
}

/** A row's condition with the frame's value in it, or as it stands if it has a mask that lets the frame pass; or null. */
function termOf(condition: string, fields: Fields): string | null {
  const [name, wanted = ""] = condition.split("=") as [string, string?];
  const value = fields.get(name);
  if (value === undefined) return null;
  if (wanted === "") return condition;
  const [masked, mask] = wanted.split("/");
  if (mask === undefined) return `${name}=${value}`;
  return UNDER_MASK[name]!(value, masked!, mask) ? condition : null;
}

/** Whether a value equals another one under a mask, by field; the masks are those of the rows. */
const UNDER_MASK: Readonly<Record<string, (value: string, masked: string, mask: string) => boolean>> = {
  vlan_tci: (value, masked) => value === masked,
  dl_dst: value => !isGroupMac(Number.parseInt(value.replaceAll(":", ""), 16)),
  nw_dst: (value, masked, length) => (parseIpv4(value)! & maskOf(Number(length))) >>> 0 === parseIpv4(masked),
};
