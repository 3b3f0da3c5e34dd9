/**
 * Actions that steer the list they are in or leave the packet unchanged: queues, clone, meter, conjunction,
 * note, exit (ovs-actions(7), "Other Actions" and "Metadata Actions").
 */
import { type ActionReading, bare, number, numbered, readBytes } from "../arguments.ts";
import type { Action } from "../ast.ts";
import { Fault, type Pair } from "../lexer.ts";
import { formatBytes } from "../values.ts";
import { type ActionEntry, type ActionOf, ALL_VERSIONS, ANY_BYTES, FROM_11 } from "./entry.ts";
import { listBytes } from "./tables.ts";

export const setQueue: ActionEntry<ActionOf<"set_queue">> = {
  spellings: {
    set_queue: {
      parse: numbered("the queue", 0xffffffff, (queue, { span }) => ({ type: "set_queue", span, queue })),
      example: "actions=set_queue:3",
    },
  },
  print: ({ queue }) => `set_queue:${queue}`,
  versions: ALL_VERSIONS,
  inWriteActions: true,
  setPart: "change",
  bytes: [8, 8],
  recirculates: false,
  freezing: "alone",
  support: "executed",
  docs: ["The queue is part of the outcome. Its number represents skb_priority."],
};

export const popQueue: ActionEntry<ActionOf<"pop_queue">> = {
  spellings: {
    pop_queue: { parse: bare("pop_queue"), example: "actions=pop_queue" },
  },
  print: () => "pop_queue",
  versions: ALL_VERSIONS,
  inWriteActions: false,
  setPart: null,
  bytes: [8, 8],
  recirculates: true,
  freezing: "alone",
  support: "executed",
  docs: [""],
};

function parseClone(context: ActionReading, pair: Pair): Action {
  const consistency = context.consistency.inner("list");
  const nested: ActionReading = { ...context, nesting: "clone", depth: context.depth + 1, consistency };
  return { type: "clone", span: pair.span, actions: context.readList(nested, pair.value) };
}

export const clone: ActionEntry<ActionOf<"clone">> = {
  spellings: { clone: { parse: parseClone, example: "actions=clone(output:2)" } },
  print: ({ actions }, printing) => `clone(${printing.printList(actions, { ...printing })})`,
  versions: ALL_VERSIONS,
  inWriteActions: false,
  setPart: null,
  bytes: ({ actions }, ofList) => listBytes(ofList(actions)),
  recirculates: true,
  freezing: "alone",
  support: "executed",
  docs: ["Its action set depends on the version of Open vSwitch: see below."],
  list: ({ actions }) => actions,
};

const parseMeter = numbered("the meter", 0xffffffff, (meter, { span, value }) => {
  if (meter === 0 || meter > 0xffff0000)
    throw new Fault(value, `there is no meter ${meter}: they count from 1 to 0xffff0000`);
  return { type: "meter", span, meter };
});

export const meter: ActionEntry<ActionOf<"meter">> = {
  spellings: { meter: { parse: parseMeter, example: "actions=meter:3" } },
  print: ({ meter }) => `meter:${meter}`,
  versions: FROM_11,
  instruction: "meter",
  inWriteActions: false,
  setPart: null,
  bytes: ANY_BYTES,
  recirculates: true,
  freezing: "alone",
  support: "unknown",
  docs: ["Drops by rate. Later actions are executed if the packet passes."],
};

function parseConjunction(context: ActionReading, pair: Pair): Action {
  const found = /^\s*([^,]+),\s*([^/]+)\/(.+?)\s*$/.exec(pair.value.text);
  if (found === null)
    throw new Fault(
      pair.span,
      "conjunction takes its id, a clause and how many there are: conjunction(1,1/2)",
    );
  const [id, clause, clauses] = found
    .slice(1)
    .map(text => number(context, { ...pair.value, text: text!.trim() }, 0xffffffff, "conjunction"));
  if (clauses! < 2 || clauses! > 64)
    throw new Fault(pair.value, `a conjunction has 2 to 64 clauses, not ${clauses}`);
  if (clause! < 1 || clause! > clauses!)
    throw new Fault(pair.value, `there is no clause ${clause} of ${clauses}: they count from 1`);
  return { type: "conjunction", span: pair.span, id: id!, clause: clause!, clauses: clauses! };
}

export const conjunction: ActionEntry<ActionOf<"conjunction">> = {
  spellings: { conjunction: { parse: parseConjunction, example: "actions=conjunction(7,1/2)" } },
  print: ({ id, clause, clauses }) => `conjunction(${id},${clause}/${clauses})`,
  versions: ALL_VERSIONS,
  inWriteActions: true,
  setPart: null,
  isBesideConjunction: true,
  bytes: ANY_BYTES,
  recirculates: true,
  freezing: "left out",
  support: "executed",
  docs: [
    [
      "The flows of one priority are searched together, below ordinary flows of that priority. If all",
      "clauses of an id match, the table is searched again with that conj_id, and the highest ordinary flow",
      "of any priority applies. Ambiguous if the order of installation decides which of two ids is found",
      "first and their flows differ. In a proof unknown if one flow is two clauses of an id, one id has two",
      "numbers of clauses, or an id has 64.",
    ].join(" "),
  ],
};

/** The bytes of a note with the zeros that fill it up to 6 + 8k. */
function formatNote({ bytes: data }: ActionOf<"note">): string {
  const length = 6 + 8 * Math.max(0, Math.ceil((data.length - 6) / 8));
  const padded = new Uint8Array(length);
  padded.set(data);
  return `note:${formatBytes(padded)}`;
}

export const note: ActionEntry<ActionOf<"note">> = {
  spellings: {
    note: {
      parse: (_, pair) => ({ type: "note", span: pair.span, bytes: readBytes(pair.value) }),
      example: "actions=note:01.02.03.04.05.06",
    },
  },
  print: formatNote,
  versions: ALL_VERSIONS,
  inWriteActions: false,
  setPart: null,
  isBesideConjunction: true,
  bytes: ANY_BYTES,
  recirculates: true,
  freezing: "left out",
  support: "no effect",
  docs: [""],
};

export const exit: ActionEntry<ActionOf<"exit">> = {
  spellings: { exit: { parse: bare("exit"), example: "actions=exit" } },
  print: () => "exit",
  versions: ALL_VERSIONS,
  inWriteActions: false,
  setPart: null,
  bytes: [8, 8],
  recirculates: true,
  freezing: "alone",
  support: "executed",
  docs: [""],
};
