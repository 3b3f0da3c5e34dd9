/**
 * The pipeline's six tables, declared once: a line here is a line of the table of rows in docs/pipeline.md, in the
 * words of that page (U, Umac, vmac, LABEL; W, mac, A for one VM; PREFIX, via for one route). Whoever writes flows fills
 * these templates in, and `Recognizer` reads flows back against them, so that no compiler can emit a row that is not
 * here. Not a parser of flow text: a flow is recognised when it is spelt as here.
 */

/** Whose a row is, and why it is there; part of its cookie. */
export type RowKind = "pipeline" | "L2-in" | "L3-in" | "route" | "L2-out" | "L3-out";

/** Bits of a cookie: `owner << 32 | kind | table`, the owner being a VM's id, or 0 for pipeline and routes. */
export const KIND_BITS: Readonly<Record<RowKind, number>> = {
  pipeline: 0x10000,
  "L2-in": 0x20000,
  "L3-in": 0x30000,
  route: 0x40000,
  "L2-out": 0x50000,
  "L3-out": 0x60000,
};

/**
 * One row of the pipeline. A row of kind `pipeline` is there once, one of kind `route` for each route, any other for
 * each VM that has (one of) its kinds, or, when it says A, for each address of such a VM. A /0 route has a row of its own.
 */
export interface PipelineRow {
  readonly table: number;
  readonly priority: number | "100+plen";
  /** As ovs-ofctl writes it, with words in place of values; empty: everything. */
  readonly match: string;
  readonly actions: string;
  readonly kinds: readonly RowKind[];
}

/** What PUSHES stands for: this for each label, from the innermost out. */
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

/** All rows, by table, then priority downwards. */
export const PIPELINE_ROWS: readonly PipelineRow[] = LINES.map(
  ([table, priority, match, actions, ...kinds]) => ({ table, priority, match, actions, kinds }),
);

/** The numbers of the tables, in order. */
export const PIPELINE_TABLES: readonly number[] = [...new Set(PIPELINE_ROWS.map(({ table }) => table))];

const WORD = /\b(?:U|Umac|vmac|LABEL|TC|W|mac|A|PREFIX|via|PUSHES|L)\b/g;

/** Templates taken apart: text, word, text, word, … text. */
const PARTS = new Map<string, readonly string[]>();

function partsOf(template: string): readonly string[] {
  const known = PARTS.get(template);
  if (known !== undefined) return known;
  const parts: string[] = [];
  let end = 0;
  for (const { 0: word, index } of template.matchAll(WORD)) {
    parts.push(template.slice(end, index), word);
    end = index + word.length;
  }
  parts.push(template.slice(end));
  PARTS.set(template, parts);
  return parts;
}

/** Puts values in the place of words. A value that is empty, as PUSHES may be, takes the comma behind it along. */
export function fill(template: string, values: Readonly<Record<string, string>>): string {
  const parts = partsOf(template);
  let text = parts[0]!;
  for (let index = 1; index < parts.length; index += 2) {
    const value = values[parts[index]!];
    if (value === undefined) throw new Error(`${template}: no value for ${parts[index]}`);
    text += value + (value === "" ? parts[index + 1]!.slice(1) : parts[index + 1]!);
  }
  return text;
}

/** The words that a template uses. */
export function wordsOf(template: string): ReadonlySet<string> {
  return new Set(partsOf(template).filter((_, index) => index % 2 === 1));
}

/** How a route's destination stands in its match: 10.0.0.0/8; a host is written without its length. */
export function prefixText(address: string, length: number): string {
  return length === 32 ? address : `${address}/${length}`;
}

/** What a row says, filled in; `owner` is a VM's id or 0. */
export interface RowInstance {
  readonly table: number;
  readonly priority: number;
  readonly kind: RowKind;
  readonly owner: number;
  /** In hex; see cookieOf. */
  readonly cookie: string;
  readonly match: string;
  readonly actions: string;
}

/** The cookie in hex, as ovs-ofctl prints it: `owner << 32 | kind | table`. */
export function cookieOf(table: number, kind: RowKind, owner: number): string {
  const low = (KIND_BITS[kind] | table).toString(16);
  return owner === 0 ? `0x${low}` : `0x${owner.toString(16)}${low.padStart(8, "0")}`;
}

const MAC = "[0-9a-f]{2}(?::[0-9a-f]{2}){5}";
const IPV4 = "\\d{1,3}(?:\\.\\d{1,3}){3}";

/** What stands for a word that is not the same in all flows of a switch. */
const WORD_PATTERNS: Readonly<Record<string, string>> = {
  W: "\\d{1,5}",
  mac: MAC,
  via: MAC,
  A: `(?!0\\.)${IPV4}`,
  L: "\\d{2,7}",
};

/** A row at one priority, and how its flows are spelt. */
interface Pattern {
  readonly row: PipelineRow;
  readonly match: RegExp;
  readonly actions: RegExp;
}

/**
 * Tells which rows a flow is an instance of, in one switch: `constants` are the values of U, Umac, vmac, LABEL and TC.
 * What is one VM's or one route's own is only known by its shape here, and the same word has the same value
 * throughout a match.
 */
export class Recognizer {
  readonly #patterns = new Map<number, Pattern[]>();

  constructor(constants: Readonly<Record<string, string>>) {
    for (const row of PIPELINE_ROWS) {
      // A prefix of length 0 is written as no prefix at all, which is a row of its own.
      const lengths = row.priority === "100+plen" ? Array.from({ length: 32 }, (_, i) => i + 1) : [0];
      for (const length of lengths) {
        const key = keyOf(row.table, row.priority === "100+plen" ? 100 + length : row.priority);
        const values = { ...constants, PREFIX: "" };
        const prefix = length === 32 ? IPV4 : `${IPV4}/${length}`;
        const pattern = {
          row,
          match: patternOf(row.match, values, prefix),
          actions: patternOf(row.actions, values, prefix),
        };
        this.#patterns.set(key, [...(this.#patterns.get(key) ?? []), pattern]);
      }
    }
  }

  /** The rows that a flow is an instance of: one for every flow of this pipeline, none for any other. */
  rowsOf(flow: RowInstance): readonly PipelineRow[] {
    const hasOwner = flow.kind !== "pipeline" && flow.kind !== "route";
    if (hasOwner !== flow.owner > 0) return [];
    if (flow.cookie !== cookieOf(flow.table, flow.kind, flow.owner)) return [];
    const candidates = this.#patterns.get(keyOf(flow.table, flow.priority)) ?? [];
    return candidates
      .filter(({ row }) => row.kinds.includes(flow.kind))
      .filter(({ match, actions }) => match.test(flow.match) && actions.test(flow.actions))
      .map(({ row }) => row);
  }
}

function keyOf(table: number, priority: number): number {
  return table * 0x10000 + priority;
}

/** What a template's fillings look like. A word that occurs again has to have the same value. */
function patternOf(template: string, constants: Readonly<Record<string, string>>, prefix: string): RegExp {
  const seen = new Set<string>();
  const source = escaped(template).replace(WORD, word => {
    if (word === "PREFIX") return prefix;
    if (word === "PUSHES") return "PUSHES";
    const constant = constants[word];
    if (constant !== undefined) return escaped(constant);
    if (seen.has(word)) return `\\k<${word}>`;
    seen.add(word);
    return `(?<${word}>${WORD_PATTERNS[word]})`;
  });
  const push = escaped(PUSH).replace(WORD, word =>
    word === "L" ? WORD_PATTERNS.L! : escaped(constants[word]!),
  );
  return new RegExp(`^${source.replace("PUSHES,", `(?:${push},){0,3}`)}$`);
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");
}
