/**
 * The tiny language: flow tables small enough that every frame of a tiny world can be tried. A program is
 * data here, written out as flow text for those who read that; evaluate.ts runs the data itself, without the
 * parser. It has the features whose meaning is intricate in Open vSwitch (ovs-actions(7)) and values of a
 * few bits, nothing else.
 */

/** Names of the fields, as matches have them, and how wide the part is that a world uses. */
export const FIELDS = {
  in_port: { bits: 2, nxm: "NXM_OF_IN_PORT", isMaskable: false },
  dl_dst: { bits: 2, nxm: "NXM_OF_ETH_DST", isMaskable: true },
  dl_src: { bits: 2, nxm: "NXM_OF_ETH_SRC", isMaskable: true },
  nw_src: { bits: 3, nxm: "NXM_OF_IP_SRC", isMaskable: true },
  nw_dst: { bits: 3, nxm: "NXM_OF_IP_DST", isMaskable: true },
  nw_tos: { bits: 8, nxm: "NXM_OF_IP_TOS", isMaskable: false },
  nw_ttl: { bits: 8, nxm: "NXM_NX_IP_TTL", isMaskable: false },
  arp_op: { bits: 2, nxm: "NXM_OF_ARP_OP", isMaskable: false },
  arp_spa: { bits: 3, nxm: "NXM_OF_ARP_SPA", isMaskable: true },
  arp_tpa: { bits: 3, nxm: "NXM_OF_ARP_TPA", isMaskable: true },
  mpls_label: { bits: 3, nxm: "OXM_OF_MPLS_LABEL", isMaskable: false },
  mpls_tc: { bits: 3, nxm: "OXM_OF_MPLS_TC", isMaskable: false },
  mpls_bos: { bits: 1, nxm: "OXM_OF_MPLS_BOS", isMaskable: false },
  mpls_ttl: { bits: 8, nxm: "NXM_NX_MPLS_TTL", isMaskable: false },
  reg0: { bits: 3, nxm: "NXM_NX_REG0", isMaskable: true },
  reg1: { bits: 3, nxm: "NXM_NX_REG1", isMaskable: true },
  metadata: { bits: 3, nxm: "OXM_OF_METADATA", isMaskable: true },
} as const;

export type FieldName = keyof typeof FIELDS;

export interface Test {
  readonly field: FieldName;
  readonly value: number;
  /** Bits that count, of the low `bits` of the field; the bits above them always do, but for registers. */
  readonly mask: number;
}

export type Action =
  | { readonly do: "output"; readonly port: number }
  | { readonly do: "in_port" | "controller" | "push_mpls" | "dec_ttl" | "dec_mpls_ttl" | "exit" | "clear" }
  | { readonly do: "set"; readonly field: FieldName; readonly value: number; readonly spelling: number }
  | { readonly do: "move"; readonly from: FieldName; readonly to: FieldName; readonly bits: number }
  | { readonly do: "push" | "pop"; readonly field: FieldName }
  | { readonly do: "pop_mpls"; readonly type: 0x0800 | 0x8847 }
  | { readonly do: "resubmit"; readonly table: number; readonly port: number | null }
  | { readonly do: "goto"; readonly table: number }
  | { readonly do: "group"; readonly group: number }
  | { readonly do: "clone" | "write"; readonly actions: readonly Action[] };

/** What a rule asks for before its tests: a type of frame. */
export type RuleKind = "any" | "ip" | "arp" | "mpls";

export interface Rule {
  readonly table: number;
  readonly priority: number;
  readonly kind: RuleKind;
  readonly tests: readonly Test[];
  readonly actions: readonly Action[];
  readonly cookie: number;
}

export interface Group {
  readonly id: number;
  readonly type: "all" | "indirect";
  readonly buckets: readonly (readonly Action[])[];
}

export interface Program {
  readonly rules: readonly Rule[];
  /** Rules that some packet of a world hits, where that is known: a change there is likelier to be seen. */
  readonly live?: readonly Rule[];
  readonly groups: readonly Group[];
}

const mac = (low: number): string => `02:00:00:00:00:${low.toString(16).padStart(2, "0")}`;

/** Fields whose values stand in front of a fixed prefix. */
const asMac = new Set<FieldName>(["dl_dst", "dl_src"]);
const asAddress = new Set<FieldName>(["nw_src", "nw_dst", "arp_spa", "arp_tpa"]);
const asRegister = new Set<FieldName>(["reg0", "reg1", "metadata"]);

function valueText(field: FieldName, value: number): string {
  if (asMac.has(field)) return mac(value);
  if (asAddress.has(field)) return `10.0.0.${value}`;
  return asRegister.has(field) ? `0x${value.toString(16)}` : `${value}`;
}

function testText({ field, value, mask }: Test): string {
  const all = (1 << FIELDS[field].bits) - 1;
  const text = `${field}=${valueText(field, value)}`;
  if (asRegister.has(field)) return `${text}/0x${mask.toString(16)}`;
  if (mask === all) return text;
  const low = (0xff & ~all) | mask;
  if (asMac.has(field)) return `${text}/ff:ff:ff:ff:ff:${low.toString(16).padStart(2, "0")}`;
  return `${text}/255.255.255.${low}`;
}

/** OpenFlow 1.0's words, where there are any. */
const MOD: Partial<Record<FieldName, (value: string) => string>> = {
  dl_dst: value => `mod_dl_dst:${value}`,
  dl_src: value => `mod_dl_src:${value}`,
  nw_src: value => `mod_nw_src:${value}`,
  nw_dst: value => `mod_nw_dst:${value}`,
  nw_tos: value => `mod_nw_tos:${value}`,
  nw_ttl: value => `mod_nw_ttl:${value}`,
  mpls_label: value => `set_mpls_label(${value})`,
  mpls_tc: value => `set_mpls_tc(${value})`,
  mpls_ttl: value => `set_mpls_ttl(${value})`,
};

/** Names that set_field goes by, where Open vSwitch prints others than in a match. */
const OXM: Partial<Record<FieldName, string>> = { dl_dst: "eth_dst", dl_src: "eth_src", nw_dst: "ip_dst" };

const fullHex = (field: FieldName, value: number): string => {
  if (asMac.has(field)) return `0x0200000000${value.toString(16).padStart(2, "0")}`;
  if (asAddress.has(field)) return `0x0a0000${value.toString(16).padStart(2, "0")}`;
  return `0x${value.toString(16)}`;
};

function setText(field: FieldName, value: number, spelling: number): string {
  const text = valueText(field, value);
  const mod = MOD[field];
  if (spelling === 1 && mod !== undefined) return mod(text);
  if (spelling === 2 && field !== "nw_tos") return `load:${fullHex(field, value)}->${FIELDS[field].nxm}[]`;
  return `set_field:${text}->${OXM[field] ?? field}`;
}

export function actionText(action: Action): string {
  switch (action.do) {
    case "output":
      return `output:${action.port}`;
    case "controller":
      return "CONTROLLER:65535";
    case "push_mpls":
      return "push_mpls:0x8847";
    case "clear":
      return "clear_actions";
    case "set":
      return setText(action.field, action.value, action.spelling);
    case "move": {
      const part = `[0..${action.bits - 1}]`;
      return `move:${FIELDS[action.from].nxm}${part}->${FIELDS[action.to].nxm}${part}`;
    }
    case "push":
    case "pop":
      return `${action.do}:${FIELDS[action.field].nxm}[]`;
    case "pop_mpls":
      return `pop_mpls:0x${action.type.toString(16).padStart(4, "0")}`;
    case "resubmit":
      return `resubmit(${action.port ?? ""},${action.table})`;
    case "goto":
      return `goto_table:${action.table}`;
    case "group":
      return `group:${action.group}`;
    case "clone":
      return `clone(${action.actions.map(actionText).join()})`;
    case "write":
      return `write_actions(${action.actions.map(actionText).join()})`;
    default:
      return action.do;
  }
}

export function ruleText({ table, priority, kind, tests, actions, cookie }: Rule): string {
  const match = [`priority=${priority}`, ...(kind === "any" ? [] : [kind]), ...tests.map(testText)];
  const list = actions.length === 0 ? "drop" : actions.map(actionText).join();
  return `cookie=0x${cookie.toString(16)}, table=${table}, ${match.join()} actions=${list}`;
}

export const flowText = ({ rules }: Program): string => rules.map(rule => `${ruleText(rule)}\n`).join("");

export const groupText = ({ groups }: Program): string =>
  groups
    .map(({ id, type, buckets }) => {
      const list = buckets.map(bucket => `,bucket=actions=${bucket.map(actionText).join()}`);
      return `group_id=${id},type=${type}${list.join("")}\n`;
    })
    .join("");
