/**
 * Actions that copy bits between fields and the stack: move, push, pop (ovs-actions(7), "Header Field
 * Modification Actions" and "Stack Actions").
 */
import { type ActionReading, arrow } from "../arguments.ts";
import type { Action, Subfield } from "../ast.ts";
import { Fault, type Pair } from "../lexer.ts";
import { formatSubfield, parseSubfield } from "../subfield.ts";
import { type ActionEntry, type ActionOf, ALL_VERSIONS } from "./entry.ts";
import { checkWritable } from "./set.ts";

function parseMove(context: ActionReading, pair: Pair): Action {
  const [left, right] = arrow(pair);
  const [from, to] = [parseSubfield(left), parseSubfield(right)];
  if (from.bits !== to.bits)
    throw new Fault(pair.span, `move of ${from.bits} bits into ${to.bits}: both sides must be of one width`);
  checkWritable(to.field, right, context.nesting);
  context.consistency.field(from.field, left, "move");
  context.consistency.field(to.field, right, "move");
  return { type: "move", span: pair.span, from, to };
}

/** The argument of push and pop. */
const stackField = (pair: Pair): Subfield => parseSubfield(pair.value.text === "" ? pair.key : pair.value);

function parsePush(context: ActionReading, pair: Pair): Action {
  const from = stackField(pair);
  context.consistency.field(from.field, pair.value, "push");
  return { type: "push", span: pair.span, from };
}

function parsePop(context: ActionReading, pair: Pair): Action {
  const to = stackField(pair);
  checkWritable(to.field, pair.value, context.nesting);
  context.consistency.field(to.field, pair.value, "pop");
  return { type: "pop", span: pair.span, to };
}

const isPort = ({ field }: Subfield): boolean => field.format === "port";

const NOT_THERE =
  "Ignored if the packet does not have the field. Fields of tun_metadata and NSH, and recirc_id: unknown.";

export const move: ActionEntry<ActionOf<"move">> = {
  spellings: { move: { parse: parseMove, example: "actions=move:NXM_NX_REG0[]->NXM_NX_REG1[]" } },
  print: ({ from, to }) => `move:${formatSubfield(from)}->${formatSubfield(to)}`,
  versions: ALL_VERSIONS,
  inWriteActions: true,
  setPart: "change",
  bytes: [40, 40],
  recirculates: true,
  freezing: "alone",
  support: "executed",
  docs: [NOT_THERE],
  movesPorts: ({ from, to }) => isPort(from) || isPort(to),
};

export const push: ActionEntry<ActionOf<"push">> = {
  spellings: { push: { parse: parsePush, example: "actions=push:NXM_NX_REG0[]" } },
  print: ({ from }) => `push:${formatSubfield(from)}`,
  versions: ALL_VERSIONS,
  inWriteActions: false,
  setPart: null,
  bytes: [24, 24],
  recirculates: true,
  freezing: "alone",
  support: "executed",
  docs: ["The stack holds less than 64 kB. A field that the packet does not have is pushed as 0."],
  movesPorts: ({ from }) => isPort(from),
};

export const pop: ActionEntry<ActionOf<"pop">> = {
  spellings: { pop: { parse: parsePop, example: "actions=pop:NXM_NX_REG0[]" } },
  print: ({ to }) => `pop:${formatSubfield(to)}`,
  versions: ALL_VERSIONS,
  inWriteActions: false,
  setPart: null,
  bytes: [24, 24],
  recirculates: true,
  freezing: "alone",
  support: "executed",
  docs: ["An empty stack leaves the field unchanged."],
  movesPorts: ({ to }) => isPort(to),
};
