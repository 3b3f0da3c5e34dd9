/**
 * The pipeline's six tables, declared once: a line here is a line of the table of rows in docs/pipeline.md,
 * with that page's words for the values (U, Umac, vmac, LABEL, TC of a hypervisor; W, mac, A of a VM; PREFIX,
 * via, PUSHES of a route). flow.ts has the values of one flow as numbers and prints it by its row;
 * recognize.ts reads flow text back by the same rows. Each template is taken apart once, here.
 */

/** The object that a row belongs to, and its purpose; part of its cookie. */
export type RowKind = "pipeline" | "L2-in" | "L3-in" | "route" | "L2-out" | "L3-out";

/** Bits of a cookie: `owner << 32 | kind | table`; the owner is a VM's id, or 0 for pipeline and routes. */
const KIND_BITS: Readonly<Record<RowKind, number>> = {
  pipeline: 0x10000,
  "L2-in": 0x20000,
  "L3-in": 0x30000,
  route: 0x40000,
  "L2-out": 0x50000,
  "L3-out": 0x60000,
};

/** A word of a template, in place of a value. */
export type Word =
  | "U"
  | "Umac"
  | "vmac"
  | "LABEL"
  | "TC"
  | "W"
  | "mac"
  | "A"
  | "PREFIX"
  | "via"
  | "PUSHES"
  | "L";

/** One condition of a match: `ip`, `arp_op=1`, `in_port=W`. */
export interface Term {
  readonly field: string;
  /** The value as text; null where a word stands in its place, or for a protocol. */
  readonly text: string | null;
  readonly word: Word | null;
}

/**
 * One row of the pipeline. A row of kind `pipeline` exists once, one of kind `route` once per route, any
 * other once per VM that has one of its kinds, or, if its match has the word A, once per address of such a
 * VM. The /0 route has a row of its own.
 */
export interface PipelineRow {
  readonly table: number;
  readonly priority: number | "100+plen";
  /** As ovs-ofctl writes it, with words in place of values; empty: every frame. */
  readonly match: string;
  readonly actions: string;
  readonly kinds: readonly RowKind[];
  /** Its place in PIPELINE_ROWS. */
  readonly index: number;
  readonly terms: readonly Term[];
  /** The templates as text, word, text, word, … text. */
  readonly matchParts: readonly string[];
  /** The match with its conditions in the order in which a switch prints them. */
  readonly printedParts: readonly string[];
  readonly actionParts: readonly string[];
  /** The words of the match, and those of match and actions. */
  readonly matchWords: ReadonlySet<Word>;
  readonly words: ReadonlySet<Word>;
  /** The table of its goto_table; null if it has none. */
  readonly next: number | null;
}

/** The meaning of PUSHES: this for each label, from the innermost out. */
export const PUSH = "push_mpls:0x8847,set_field:L->mpls_label,set_field:TC->mpls_tc";

const RESPONDER =
  "move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[],set_field:vmac->eth_src,set_field:2->arp_op," +
  "move:NXM_NX_ARP_SHA[]->NXM_NX_ARP_THA[],set_field:vmac->arp_sha," +
  "push:NXM_OF_ARP_SPA[],move:NXM_OF_ARP_TPA[]->NXM_OF_ARP_SPA[],pop:NXM_OF_ARP_TPA[],in_port";
const UNICAST = "00:00:00:00:00:00/01:00:00:00:00:00";
const DELIVER = "dec_ttl,set_field:vmac->eth_src,set_field:mac->eth_dst,output:W";
const FORWARD = "dec_ttl,set_field:Umac->eth_src,set_field:via->eth_dst,PUSHES,output:U";

type Line = readonly [number, number | "100+plen", string, string, ...RowKind[]];

const LINES: readonly Line[] = [
  // 0 classify
  [0, 500, "vlan_tci=0x1000/0x1000", "drop", "pipeline"],
  [0, 400, "in_port=U,dl_dst=Umac,mpls", "goto_table:10", "pipeline"],
  [0, 390, "in_port=U,dl_dst=Umac,ip", "goto_table:30", "pipeline"],
  [0, 380, "in_port=U,arp", "goto_table:20", "pipeline"],
  [0, 370, "in_port=U", "goto_table:50", "pipeline"],
  [0, 300, "in_port=W,dl_src=mac,arp,arp_sha=mac,arp_spa=A", "goto_table:20", "L2-out", "L3-out"],
  [0, 300, "in_port=W,dl_src=mac,arp,arp_sha=mac,arp_spa=0.0.0.0", "goto_table:20", "L2-out", "L3-out"],
  [0, 300, `in_port=W,dl_src=mac,dl_dst=${UNICAST},ip,nw_src=A`, "goto_table:30", "L3-out"],
  [0, 300, "in_port=W,dl_src=mac,ip,nw_src=A", "goto_table:50", "L2-out"],
  [0, 0, "", "drop", "pipeline"],
  // 10 label
  [10, 100, "mpls,mpls_label=LABEL,mpls_bos=1", "pop_mpls:0x0800,goto_table:30", "pipeline"],
  [10, 100, "mpls,mpls_label=0,mpls_bos=1", "pop_mpls:0x0800,goto_table:30", "pipeline"],
  [10, 0, "", "drop", "pipeline"],
  // 20 arp
  [20, 400, "in_port=W,arp,arp_spa=0.0.0.0", "drop", "L3-out"],
  [20, 390, "in_port=W,arp,arp_tpa=A", "drop", "L3-out"],
  [20, 380, "in_port=W,dl_dst=ff:ff:ff:ff:ff:ff,arp,arp_op=1", RESPONDER, "L3-out"],
  [20, 380, "in_port=W,dl_dst=vmac,arp,arp_op=1", RESPONDER, "L3-out"],
  [20, 370, "in_port=W,arp,arp_op=2", "goto_table:50", "L2-in"],
  [20, 360, "in_port=W,arp", "drop", "L3-out"],
  [20, 350, "in_port=W,arp,arp_tpa=A", "output:U", "L2-out"],
  [20, 300, "arp,arp_op=1,arp_tpa=A", "output:W", "L2-in"],
  [20, 290, "in_port=W,arp", "goto_table:50", "L2-out"],
  [20, 200, "in_port=U,arp,arp_op=2", "goto_table:50", "pipeline"],
  [20, 0, "", "drop", "pipeline"],
  // 30 local
  [30, 200, "ip,nw_dst=A", DELIVER, "L3-in"],
  [30, 100, "in_port=U", "drop", "pipeline"],
  [30, 0, "", "goto_table:40", "pipeline"],
  // 40 remote
  [40, 300, "ip,nw_dst=0.0.0.0/8", "drop", "pipeline"],
  [40, 300, "ip,nw_dst=127.0.0.0/8", "drop", "pipeline"],
  [40, 300, "ip,nw_dst=224.0.0.0/3", "drop", "pipeline"],
  [40, "100+plen", "ip,nw_dst=PREFIX", FORWARD, "route"],
  [40, 100, "ip", FORWARD, "route"],
  [40, 0, "", "drop", "pipeline"],
  // 50 bridge
  [50, 200, "dl_dst=mac", "output:W", "L2-in"],
  [50, 100, "in_port=U", "drop", "pipeline"],
  [50, 0, "", "output:U", "pipeline"],
];

const WORD = /\b(?:U|Umac|vmac|LABEL|TC|W|mac|A|PREFIX|via|PUSHES|L)\b/g;

/** A template as text, word, text, word, … text. */
export function partsOf(template: string): string[] {
  const parts: string[] = [];
  let end = 0;
  for (const { 0: word, index } of template.matchAll(WORD)) {
    parts.push(template.slice(end, index), word);
    end = index + word.length;
  }
  parts.push(template.slice(end));
  return parts;
}

const wordsIn = (parts: readonly string[]): Word[] => parts.filter((_, index) => index % 2 === 1) as Word[];

function termOf(condition: string): Term {
  const [field = "", value = null] = condition.split("=", 2);
  const word = value === null ? undefined : wordsIn(partsOf(value))[0];
  return { field, text: word === undefined ? value : null, word: word ?? null };
}

/** The fields of the pipeline in the order of match_format() in Open vSwitch's lib/match.c. */
const PRINT_ORDER =
  "ip arp mpls in_port vlan_tci dl_src dl_dst nw_src nw_dst " +
  "arp_spa arp_tpa arp_op arp_sha mpls_label mpls_bos";
const PRINT_RANK: ReadonlyMap<string, number> = new Map(
  PRINT_ORDER.split(" ").map((field, rank) => [field, rank]),
);

function printRank(condition: string): number {
  const rank = PRINT_RANK.get(condition.split("=", 1)[0]!);
  if (rank === undefined) throw new Error(`internal error: no print order for ${JSON.stringify(condition)}`);
  return rank;
}

function rowOf([table, priority, match, actions, ...kinds]: Line, index: number): PipelineRow {
  const [matchParts, actionParts] = [partsOf(match), partsOf(actions)];
  const next = /goto_table:(\d+)$/.exec(actions)?.[1];
  const conditions = match === "" ? [] : match.split(",");
  return {
    table,
    priority,
    match,
    actions,
    kinds,
    index,
    terms: conditions.map(termOf),
    matchParts,
    printedParts: partsOf(conditions.toSorted((one, other) => printRank(one) - printRank(other)).join()),
    actionParts,
    matchWords: new Set(wordsIn(matchParts)),
    words: new Set([...wordsIn(matchParts), ...wordsIn(actionParts)]),
    next: next === undefined ? null : Number(next),
  };
}

/** All rows, by table, then priority downwards. */
export const PIPELINE_ROWS: readonly PipelineRow[] = LINES.map(rowOf);

/** The numbers of the tables, in order. */
export const PIPELINE_TABLES: readonly number[] = [...new Set(PIPELINE_ROWS.map(({ table }) => table))];

/** The two rows of routes: prefixes of 1…32 bits, and the default route. */
export const [ROUTE_ROW, DEFAULT_ROUTE_ROW] = PIPELINE_ROWS.filter(({ kinds }) =>
  kinds.includes("route"),
) as [PipelineRow, PipelineRow];

/** The cookie in hex, as ovs-ofctl prints it: `owner << 32 | kind | table`. */
export function cookieOf(table: number, kind: RowKind, owner: number): string {
  const low = (KIND_BITS[kind] | table).toString(16);
  return owner === 0 ? `0x${low}` : `0x${owner.toString(16)}${low.padStart(8, "0")}`;
}

const KINDS = new Map<number, RowKind>(
  Object.entries(KIND_BITS).map(([kind, bits]) => [bits, kind as RowKind]),
);

/** Whether flows of a kind belong to a VM, whose id is then in their cookie. */
export const isOfVm = (kind: RowKind): boolean => kind !== "pipeline" && kind !== "route";

/** Decodes kind and owner from a cookie of this table; null if the flow is not of the pipeline. */
export function ownershipOf(cookie: string, table: number): { kind: RowKind; owner: number } | null {
  const digits = cookie.slice(2);
  const low = Number.parseInt(digits.slice(-8), 16);
  const owner = digits.length > 8 ? Number.parseInt(digits.slice(0, -8), 16) : 0;
  const kind = (low & 0xff) === table ? KINDS.get((low & 0xffffff00) >>> 0) : undefined;
  if (kind === undefined || isOfVm(kind) !== owner > 0) return null;
  return { kind, owner };
}
