/**
 * Actions and instructions that continue elsewhere or act later: resubmit, goto_table, group, the action set
 * and the metadata (ovs-actions(7), "Firewalling Actions" aside from ct, "Programming and Control Flow
 * Actions" and "Instructions").
 */
import { type ActionReading, bare, listed, numbered, port, table } from "../arguments.ts";
import { type Action, PORT } from "../ast.ts";
import { fieldNamed } from "../fields.ts";
import { clip, Fault, type Pair } from "../lexer.ts";
import { formatTable, type Printing } from "../print-options.ts";
import { formatHex, formatPort, ones, readValue } from "../values.ts";
import { type ActionEntry, type ActionOf, ALL_VERSIONS, type ByteBounds, FROM_11 } from "./entry.ts";
import { setBytes } from "./set.ts";

/** OpenFlow's number for "no table in particular". */
const NO_TABLE = 255;

function parseResubmit(context: ActionReading, pair: Pair): Action {
  const parts = listed(pair.value);
  const [inPort, next, ct] = parts;
  if (parts.length > 3 || (ct !== undefined && ct.text !== "ct" && ct.text !== ""))
    throw new Fault(
      parts[3] ?? ct!,
      "resubmit takes a port, a table and ct: resubmit(,10), resubmit(1,10,ct)",
    );
  let to = inPort!.text === "" ? PORT.inPort : port(context, inPort!);
  if (to === PORT.inPort) to = -1;
  const number = next === undefined || next.text === "" ? NO_TABLE : table(context, next);
  if (to < 0 && number === NO_TABLE)
    throw new Fault(pair.span, "resubmit needs a port or a table: resubmit:1, resubmit(,10)");
  const withCt = ct?.text === "ct";
  if (withCt && context.consistency.isKnown && !context.consistency.protocols.isTracked)
    throw new Fault(
      ct!,
      "resubmit with ct needs a ct_state of a connection in the match (OFPBAC_MATCH_INCONSISTENT)",
    );
  return {
    type: "resubmit",
    span: pair.span,
    port: to < 0 ? null : to,
    table: number === NO_TABLE ? null : number,
    ct: withCt,
  };
}

function formatResubmit({ port, table, ct }: ActionOf<"resubmit">, printing: Printing): string {
  if (port !== null && table === null && !ct) return `resubmit:${formatPort(port, printing.ports)}`;
  const parts = [
    port === null ? "" : formatPort(port, printing.ports),
    table === null ? "" : formatTable(table, printing),
  ];
  return `resubmit(${[...parts, ...(ct ? ["ct"] : [])].join(",")})`;
}

export const resubmit: ActionEntry<ActionOf<"resubmit">> = {
  spellings: { resubmit: { parse: parseResubmit, example: "actions=resubmit(,7)" } },
  print: formatResubmit,
  versions: ALL_VERSIONS,
  inWriteActions: true,
  setPart: "resubmit",
  bytes: [8, 16],
  recirculates: true,
  freezing: ({ table }) => (table === null ? "with its table" : "alone"),
  support: "executed",
  docs: [
    [
      "At most 64 levels, 4096 lookups and 64 kB of stack. Beyond these, the frame and its outputs are",
      "dropped, which is unknown after two recirculations.",
    ].join(" "),
    { name: "resubmit(…,ct)", support: "unknown", note: "Depends on connection tracking." },
  ],
  ports: ({ port }) => (port === null ? [] : [port]),
};

export const gotoTable: ActionEntry<ActionOf<"goto_table">> = {
  spellings: {
    goto_table: {
      parse: (context, pair) => ({
        type: "goto_table",
        span: pair.span,
        table: table(context, pair.value),
      }),
      example: "actions=goto_table:7",
    },
  },
  print: ({ table }, printing) => `goto_table:${formatTable(table, printing)}`,
  printIn: { OpenFlow10: ({ table }, printing) => `resubmit(,${formatTable(table, printing)})` },
  versions: FROM_11,
  instruction: "goto_table",
  inWriteActions: false,
  setPart: null,
  bytes: [8, 16],
  recirculates: true,
  freezing: "alone",
  support: "executed",
  docs: ["Like resubmit, at the end of a flow."],
};

export const group: ActionEntry<ActionOf<"group">> = {
  spellings: {
    group: {
      parse: numbered("the group", 0xffffffff, (group, { span }) => ({ type: "group", span, group })),
      example: "actions=group:3",
    },
  },
  print: ({ group }) => `group:${group}`,
  versions: ALL_VERSIONS,
  inWriteActions: true,
  setPart: "group",
  bytes: [8, 8],
  recirculates: false,
  freezing: "with its table",
  support: "executed",
  docs: [
    "Types all and indirect; type ff if the live ports are given or its first bucket watches nothing.",
    {
      name: "group of type select",
      support: "unknown",
      note: [
        "The bucket depends on a hash. In a proof, the same group at the end of both inputs counts as",
        "equal; with later actions, or after a recirculation, it is unknown.",
      ].join(" "),
    },
  ],
};

const METADATA = fieldNamed("metadata");

function parseMetadata(context: ActionReading, pair: Pair): Action {
  const masked = readValue(METADATA, pair.value.text, context.reading.ports);
  if (typeof masked === "string")
    throw new Fault(pair.span, `write_metadata: ${clip(pair.value.text)} ${masked}`);
  context.reading.value(pair.value, METADATA);
  return { type: "write_metadata", span: pair.span, value: masked.value, mask: masked.mask };
}

export const writeMetadata: ActionEntry<ActionOf<"write_metadata">> = {
  spellings: { write_metadata: { parse: parseMetadata, example: "actions=write_metadata:0x5" } },
  print: ({ value, mask }) =>
    `write_metadata:${formatHex(value)}${mask === ones(64) ? "" : `/${formatHex(mask)}`}`,
  versions: ALL_VERSIONS,
  instruction: "write_metadata",
  inWriteActions: false,
  setPart: null,
  bytes: setBytes(METADATA),
  recirculates: true,
  freezing: "alone",
  support: "executed",
  docs: [""],
  settings: ({ value, mask }) =>
    mask === 0n ? [] : [{ type: "set", field: METADATA, value: value & mask, mask }],
};

const LIST_HEAD_BYTES = 8;

/** Bytes of an action that holds a list. */
export const listBytes = ([least, most]: ByteBounds): ByteBounds => [
  LIST_HEAD_BYTES + least,
  LIST_HEAD_BYTES + most,
];

function parseWriteActions(context: ActionReading, pair: Pair): Action | null {
  const consistency = context.consistency.inner("set");
  const nested: ActionReading = {
    ...context,
    nesting: "write_actions",
    depth: context.depth + 1,
    consistency,
  };
  const actions = context.readList(nested, pair.value);
  // An empty action set is not an instruction.
  return actions.length === 0 ? null : { type: "write_actions", span: pair.span, actions };
}

export const writeActions: ActionEntry<ActionOf<"write_actions">> = {
  spellings: { write_actions: { parse: parseWriteActions, example: "actions=write_actions(output:2)" } },
  print: ({ actions }, printing) => `write_actions(${printing.printList(actions, { ...printing })})`,
  versions: FROM_11,
  instruction: "write_actions",
  inWriteActions: false,
  setPart: null,
  bytes: ({ actions }, ofList) => listBytes(ofList(actions)),
  recirculates: true,
  freezing: "alone",
  support: "executed",
  docs: [
    [
      "In the fixed order of Open vSwitch. Unknown if the action set is longer than the rest of the actions",
      "when a packet recirculates after pop_mpls: Open vSwitch terminates.",
    ].join(" "),
  ],
  list: ({ actions }) => actions,
};

export const clearActions: ActionEntry<ActionOf<"clear_actions">> = {
  spellings: {
    clear_actions: {
      parse: bare("clear_actions"),
      example: "actions=clear_actions",
    },
  },
  print: () => "clear_actions",
  versions: FROM_11,
  instruction: "clear_actions",
  inWriteActions: false,
  setPart: null,
  bytes: [8, 8],
  recirculates: true,
  freezing: "alone",
  support: "executed",
  docs: [""],
};
