/**
 * Actions that push and pop headers, and those that count a TTL down (ovs-actions(7), "Encapsulation and
 * Decapsulation Actions" and "Metadata Actions"). What the packet is behind them is noted for the checks of
 * action-checks.ts.
 */
import { type ActionParser, type ActionReading, bare, listed, number, numbered } from "../arguments.ts";
import type { Action } from "../ast.ts";
import { clip, Fault, type Pair } from "../lexer.ts";
import { type ActionEntry, type ActionOf, ALL_VERSIONS, align8, FROM_11 } from "./entry.ts";

/** The parser of an action whose argument is an Ethernet type, one of those that are known. */
const typed = (known: readonly number[] | null, actionOf: (type: number, pair: Pair) => Action) =>
  numbered("the Ethernet type", 0xffff, (type, pair) => {
    if (known !== null && !known.includes(type)) {
      const names = known.map(one => `0x${one.toString(16)}`).join(" and ");
      throw new Fault(
        pair.value,
        `${pair.key.text} cannot push type ${clip(pair.value.text)}: ${names} are possible`,
      );
    }
    return actionOf(type, pair);
  });

const pushOf = typed([0x8100, 0x88a8], (ethertype, { span }) => ({ type: "push_vlan", span, ethertype }));

const parsePushVlan: ActionParser = (context, pair) => {
  const push = pushOf(context, pair);
  const { isKnown, protocols } = context.consistency;
  if (isKnown && protocols.innerVlan === "tagged")
    throw new Fault(pair.span, "this is the third VLAN tag; Open vSwitch supports two (OFPBAC_BAD_TAG)");
  return push;
};

const hex4 = (type: number): string => `0x${type.toString(16).padStart(4, "0")}`;

export const pushVlan: ActionEntry<ActionOf<"push_vlan">> = {
  spellings: {
    push_vlan: {
      parse: parsePushVlan,
      example: "actions=push_vlan:0x8100",
      becomes: consistency => {
        consistency.become({ vlan: "tagged", innerVlan: consistency.protocols.vlan });
      },
    },
  },
  print: ({ ethertype }, printing) => {
    printing.isTagged = true;
    return `push_vlan:${hex4(ethertype)}`;
  },
  versions: FROM_11,
  inWriteActions: true,
  setPart: "push_vlan",
  bytes: [8, 8],
  recirculates: true,
  freezing: "alone",
  support: "executed",
  docs: [""],
};

const POP_VLAN: ActionEntry<ActionOf<"pop_vlan">>["spellings"][string] = {
  parse: bare("pop_vlan"),
  example: "dl_vlan=5 actions=pop_vlan",
  needs: ["tag"],
  becomes: consistency => {
    consistency.become({ vlan: consistency.protocols.innerVlan, innerVlan: "untagged" });
  },
};

export const popVlan: ActionEntry<ActionOf<"pop_vlan">> = {
  spellings: { pop_vlan: POP_VLAN, strip_vlan: { ...POP_VLAN, example: "dl_vlan=5 actions=strip_vlan" } },
  print: (_, printing) => {
    printing.isTagged = false;
    return "pop_vlan";
  },
  printIn: {
    OpenFlow10: (_, printing) => {
      printing.isTagged = false;
      return "strip_vlan";
    },
  },
  versions: ALL_VERSIONS,
  inWriteActions: true,
  setPart: "pop_vlan",
  bytes: [8, 8],
  recirculates: true,
  freezing: "alone",
  support: "executed",
  docs: ["Does nothing to a packet without a tag."],
};

export const pushMpls: ActionEntry<ActionOf<"push_mpls">> = {
  spellings: {
    push_mpls: {
      parse: typed([0x8847, 0x8848], (ethertype, { span }) => ({ type: "push_mpls", span, ethertype })),
      example: "actions=push_mpls:0x8847",
      needs: ["frame"],
      becomes: (consistency, { ethertype }) => {
        consistency.become({ dlType: ethertype, nwProto: 0, icmp6Type: -1 });
      },
    },
  },
  print: ({ ethertype }) => `push_mpls:${hex4(ethertype)}`,
  versions: ALL_VERSIONS,
  inWriteActions: true,
  setPart: "push_mpls",
  bytes: [8, 8],
  recirculates: true,
  freezing: "alone",
  support: "executed",
  docs: ["At most three labels; the frame is dropped if there would be a fourth."],
};

export const popMpls: ActionEntry<ActionOf<"pop_mpls">> = {
  spellings: {
    pop_mpls: {
      parse: typed(null, (ethertype, { span }) => ({ type: "pop_mpls", span, ethertype })),
      example: "mpls actions=pop_mpls:0x0800",
      needs: ["frame", "mpls"],
      becomes: (consistency, { ethertype }) => {
        consistency.become({ dlType: ethertype });
      },
    },
  },
  print: ({ ethertype }) => `pop_mpls:${hex4(ethertype)}`,
  versions: ALL_VERSIONS,
  inWriteActions: true,
  setPart: "pop_mpls",
  bytes: [8, 8],
  recirculates: true,
  freezing: "alone",
  support: "executed",
  docs: [
    [
      "The packet recirculates if a later action needs the headers under the label. Some label stacks",
      "without a bottom make Open vSwitch terminate, which is unknown.",
    ].join(" "),
  ],
};

function parseDecTtl(context: ActionReading, pair: Pair): Action {
  const ids = pair.value.text === "" ? [] : listed(pair.value);
  const controllers = ids.map(id => number(context, id, 0xffff, "the controller's id"));
  return { type: "dec_ttl", span: pair.span, controllers };
}

/** Bytes of dec_ttl: a controller id has two. Without a list it is the controller of id 0. */
const decTtlBytes = (ids: number): number => align8(8 + 2 * Math.max(1, ids));

export const decTtl: ActionEntry<ActionOf<"dec_ttl">> = {
  spellings: { dec_ttl: { parse: parseDecTtl, example: "ip actions=dec_ttl", needs: ["ip"] } },
  print: ({ controllers }) => (controllers.length === 0 ? "dec_ttl" : `dec_ttl(${controllers.join(",")})`),
  versions: ALL_VERSIONS,
  inWriteActions: true,
  setPart: "dec_ttl",
  bytes: ({ controllers }) => [decTtlBytes(controllers.length), decTtlBytes(controllers.length)],
  recirculates: true,
  freezing: "with its table",
  support: "executed",
  docs: ["A TTL of 0 or 1 ends the list of actions that contains it."],
  sentAs: action => (action.controllers.length === 0 ? [{ ...action, controllers: [0] }] : [action]),
};

export const decMplsTtl: ActionEntry<ActionOf<"dec_mpls_ttl">> = {
  spellings: {
    dec_mpls_ttl: {
      parse: bare("dec_mpls_ttl"),
      example: "mpls actions=dec_mpls_ttl",
      needs: ["mpls"],
    },
  },
  print: () => "dec_mpls_ttl",
  versions: ALL_VERSIONS,
  inWriteActions: true,
  setPart: "dec_mpls_ttl",
  bytes: [8, 8],
  recirculates: true,
  freezing: "with its table",
  support: "executed",
  docs: ["A TTL of 0 or 1, or a packet without a label, ends the list of actions that contains it."],
};

export const decNshTtl: ActionEntry<ActionOf<"dec_nsh_ttl">> = {
  spellings: {
    dec_nsh_ttl: {
      parse: bare("dec_nsh_ttl"),
      example: "dl_type=0x894f actions=dec_nsh_ttl",
      needs: ["nsh"],
    },
  },
  print: () => "dec_nsh_ttl",
  versions: FROM_11,
  inWriteActions: true,
  setPart: "dec_nsh_ttl",
  bytes: [8, 8],
  recirculates: true,
  freezing: "with its table",
  support: "unknown",
  docs: ["Network service headers are not parsed."],
};
