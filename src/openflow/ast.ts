/**
 * The syntax tree of flows, groups and actions as Open vSwitch writes them (ovs-fields(7), ovs-actions(7)).
 * It keeps the spelling where two spellings print differently (`mod_dl_dst`, `load`, `set_field`);
 * normal-form.ts makes them one. Values are bigints in the width of their field. Nothing here is mutable.
 */
import type { Diagnostic } from "../errors/index.ts";
import type { Field } from "./fields.ts";

/** Columns of a token within its line, 0-based, end exclusive. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** Bits `start` … `start + bits - 1` of a field, bit 0 the least significant: `NXM_OF_IP_DST[0..7]`. */
export interface Subfield {
  readonly field: Field;
  readonly start: number;
  readonly bits: number;
}

/**
 * One field of a match. `mask` is all ones when the whole field is compared; bits of `value` outside it are
 * 0.
 */
export interface MatchField {
  readonly field: Field;
  readonly value: bigint;
  readonly mask: bigint;
  readonly span: Span;
}

/** Ports as OpenFlow 1.1 numbers them: 32 bits, the reserved ones from 0xfffffff7 on. */
export const PORT = {
  unset: 0xfffffff7,
  inPort: 0xfffffff8,
  table: 0xfffffff9,
  normal: 0xfffffffa,
  flood: 0xfffffffb,
  all: 0xfffffffc,
  controller: 0xfffffffd,
  local: 0xfffffffe,
  none: 0xffffffff,
} as const;

/** How a setting of a field was spelt. All of them write `value` to the bits of `mask` of `field`. */
export type SetSpelling =
  | "set_field"
  | "load"
  | "mod_dl_src"
  | "mod_dl_dst"
  | "mod_nw_src"
  | "mod_nw_dst"
  | "mod_nw_tos"
  | "mod_nw_ecn"
  | "mod_nw_ttl"
  | "mod_tp_src"
  | "mod_tp_dst"
  | "mod_vlan_vid"
  | "mod_vlan_pcp"
  | "set_vlan_vid"
  | "set_vlan_pcp"
  | "set_mpls_label"
  | "set_mpls_tc"
  | "set_mpls_ttl"
  | "set_tunnel"
  | "set_tunnel64";

/** An address translation: nat of ct. */
export interface Nat {
  /** The end that a commit translates; null: as the connection was committed. */
  readonly side: "src" | "dst" | null;
  /** Addresses and ports to choose from, both ends included; null: the tracker chooses. */
  readonly range: {
    readonly isIpv6: boolean;
    readonly addresses: readonly [low: bigint, high: bigint];
    /** [0, 0]: any. */
    readonly ports: readonly [low: number, high: number];
  } | null;
}

/** What ct does, beside its text. */
export interface Tracking {
  /** The table where a tracked copy of the packet goes on; null: no copy does. */
  readonly table: number | null;
  readonly zone: number | Subfield;
  readonly nat: Nat | null;
  /** The action without its table. */
  readonly call: string;
}

/** Actions that are kept as text: two of them are the same exactly if they print alike. */
export type OpaqueName =
  | "learn"
  | "ct"
  | "ct_clear"
  | "multipath"
  | "bundle"
  | "bundle_load"
  | "sample"
  | "fin_timeout"
  | "encap"
  | "decap"
  | "check_pkt_larger"
  | "delete_field"
  | "debug_recirc"
  | "debug_slow";

/** One action or instruction. Each has one entry in actions/. */
export type Action = { readonly span: Span } & (
  | { readonly type: "output"; readonly port: number }
  | { readonly type: "output_field"; readonly from: Subfield }
  | { readonly type: "output_truncated"; readonly port: number; readonly maxBytes: number }
  | {
      readonly type: "controller";
      readonly maxBytes: number;
      readonly reason: string;
      readonly id: number;
      readonly userdata: Uint8Array | null;
      readonly pause: boolean;
      readonly meter: number | null;
    }
  /** `isSplit`: from OpenFlow 1.1 on the switch is sent set_queue, output and pop_queue. */
  | { readonly type: "enqueue"; readonly port: number; readonly queue: number; readonly isSplit: boolean }
  | { readonly type: "group"; readonly group: number }
  /** `port` null: the lookup keeps the packet's in_port; `table` null: the current table. */
  | {
      readonly type: "resubmit";
      readonly port: number | null;
      readonly table: number | null;
      readonly ct: boolean;
    }
  | { readonly type: "goto_table"; readonly table: number }
  | { readonly type: "push_vlan"; readonly ethertype: number }
  | { readonly type: "pop_vlan" }
  | { readonly type: "push_mpls"; readonly ethertype: number }
  | { readonly type: "pop_mpls"; readonly ethertype: number }
  | {
      readonly type: "set";
      readonly spelling: SetSpelling;
      readonly field: Field;
      readonly value: bigint;
      readonly mask: bigint;
    }
  | { readonly type: "move"; readonly from: Subfield; readonly to: Subfield }
  | { readonly type: "push"; readonly from: Subfield }
  | { readonly type: "pop"; readonly to: Subfield }
  | { readonly type: "dec_ttl"; readonly controllers: readonly number[] }
  | { readonly type: "dec_mpls_ttl" }
  | { readonly type: "dec_nsh_ttl" }
  | { readonly type: "set_queue"; readonly queue: number }
  | { readonly type: "pop_queue" }
  | { readonly type: "write_metadata"; readonly value: bigint; readonly mask: bigint }
  | { readonly type: "write_actions"; readonly actions: readonly Action[] }
  | { readonly type: "clear_actions" }
  | { readonly type: "clone"; readonly actions: readonly Action[] }
  | { readonly type: "meter"; readonly meter: number }
  | { readonly type: "conjunction"; readonly id: number; readonly clause: number; readonly clauses: number }
  | { readonly type: "note"; readonly bytes: Uint8Array }
  | { readonly type: "exit" }
  /**
   * Parsed and printed, but kept as text. `text` is its spelling by Open vSwitch; `nested` holds the actions
   * inside (`ct(exec(…))`); `reads` holds the fields whose values its effect depends on; `tracking` is there
   * for ct.
   */
  | {
      readonly type: "opaque";
      readonly name: OpaqueName;
      readonly text: string;
      readonly nested: readonly Action[];
      readonly reads: readonly Subfield[];
      readonly tracking?: Tracking;
    }
);

/** Where a flow stands. Lines count from 1. */
export interface SourceLocation {
  readonly file: string;
  readonly line: number;
}

/** What dump-flows says of a flow's life; null where it does not. */
export interface FlowStats {
  readonly durationSeconds: number | null;
  readonly packets: bigint | null;
  readonly bytes: bigint | null;
  readonly idleAgeSeconds: number | null;
  readonly hardAgeSeconds: number | null;
}

/** One flow of a table. */
export interface Flow {
  readonly table: number;
  readonly priority: number;
  readonly cookie: bigint;
  readonly idleTimeout: number;
  readonly hardTimeout: number;
  readonly importance: number;
  /** send_flow_rem, check_overlap, … in the order in which they stand. */
  readonly flags: readonly string[];
  readonly match: readonly MatchField[];
  readonly actions: readonly Action[];
  readonly stats: FlowStats | null;
  readonly source: SourceLocation;
  /** The line without its end. */
  readonly text: string;
}

export type GroupType = "all" | "select" | "indirect" | "ff";

export interface Bucket {
  readonly id: number | null;
  readonly weight: number | null;
  readonly watchPort: number | null;
  readonly watchGroup: number | null;
  readonly actions: readonly Action[];
}

/** One group of `ovs-ofctl dump-groups`. */
export interface Group {
  readonly id: number;
  readonly type: GroupType;
  /** selection_method=…,fields(…) as written; select groups only. */
  readonly selection: string | null;
  readonly buckets: readonly Bucket[];
  readonly source: SourceLocation;
  readonly text: string;
}

/** A diagnostic of a dump, a list of groups or of ports. */
export type TextProblem = Diagnostic;
