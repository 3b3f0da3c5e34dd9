/**
 * The rows of the model as OpenFlow 1.3 text, for `ovs-ofctl -O OpenFlow13 add-flows`: the same data that the
 * model evaluates, so that loading it into a real Open vSwitch puts the model itself to the test. It is not
 * the text the product writes; two spellings of one row are the same row.
 */
import type { Action, ByteField, Match, ModelIntent, Row, RowKind } from "./model.ts";
import { ipText, rowsOf } from "./model.ts";

const KINDS: Record<RowKind, number> = {
  pipeline: 0x10000,
  "L2-in": 0x20000,
  "L3-in": 0x30000,
  route: 0x40000,
  "L2-out": 0x50000,
  "L3-out": 0x60000,
};

const PROTOCOLS: Record<number, string> = { 2048: "ip", 2054: "arp", 34887: "mpls" };

const NXM: Record<ByteField, string> = {
  eth_dst: "NXM_OF_ETH_DST[]",
  eth_src: "NXM_OF_ETH_SRC[]",
  arp_op: "NXM_OF_ARP_OP[]",
  arp_sha: "NXM_NX_ARP_SHA[]",
  arp_spa: "NXM_OF_ARP_SPA[]",
  arp_tha: "NXM_NX_ARP_THA[]",
  arp_tpa: "NXM_OF_ARP_TPA[]",
};

const hex = (value: number | bigint): string => `0x${value.toString(16)}`;

function matchText({ field, value, mask }: Match): string {
  switch (field) {
    case "vlan_present":
      return "vlan_tci=0x1000/0x1000";
    case "dl_dst_group":
      return `dl_dst=0${value}:00:00:00:00:00/01:00:00:00:00:00`;
    case "dl_type":
      return PROTOCOLS[Number(value)]!;
    case "nw_src":
    case "nw_dst":
    case "arp_spa":
    case "arp_tpa":
      return `${field}=${ipText(Number(value))}${mask === undefined ? "" : `/${ipText(mask)}`}`;
    default:
      return `${field}=${value}`;
  }
}

function actionText(action: Action): string {
  switch (action.do) {
    case "goto_table":
      return `goto_table:${action.table}`;
    case "output":
      return `output:${action.port}`;
    case "in_port":
    case "dec_ttl":
      return action.do;
    case "pop_mpls":
      return "pop_mpls:0x0800";
    case "push_mpls":
      return "push_mpls:0x8847";
    case "set_field":
      return `set_field:${action.value}->${action.field}`;
    case "move":
      return `move:${NXM[action.from]}->${NXM[action.to]}`;
    case "push":
      return `push:${NXM[action.from]}`;
    case "pop":
      return `pop:${NXM[action.to]}`;
  }
}

/** One row as a line, without its end. */
export function flowOf(row: Row): string {
  const cookie = (BigInt(row.owner) << 32n) | BigInt(KINDS[row.kind] + row.table);
  const match = [`priority=${row.priority}`, ...row.match.map(matchText)].join(",");
  const actions = row.actions.length === 0 ? "drop" : row.actions.map(actionText).join(",");
  return `cookie=${hex(cookie)},table=${row.table},${match} actions=${actions}`;
}

/** The flow lines of an intent, sorted by table, then priority downwards, then text. */
export function flowsOf(intent: ModelIntent): string[] {
  return rowsOf(intent)
    .map(row => ({ row, text: flowOf(row) }))
    .sort((a, b) => {
      if (a.row.table !== b.row.table) return a.row.table - b.row.table;
      if (a.row.priority !== b.row.priority) return b.row.priority - a.row.priority;
      return a.text < b.text ? -1 : 1;
    })
    .map(({ text }) => text);
}
