/**
 * Over-approximations from the steps of a program alone: which tables they look up, which flows they learn,
 * and what any step writes to a word of the flow key. No packet can do more.
 */

import { KEY, PORT, type Step } from "../../openflow/index.ts";
import { unreachable } from "../../wire/index.ts";
import type { Program } from "./compiled-tables.ts";
import { isSimple } from "./simple-steps.ts";
import { bindGroup } from "./slot-values.ts";
import { Subtable } from "./sorted-subtable.ts";
import type { Template } from "./templates.ts";
import { eachPiece, type Write, writesOf } from "./writes.ts";

/** Writes stored for one word; beyond that, one entry stands for any write. */
const MAX_WRITES = 256;
/** Flows of a subtable whose values are enumerated one by one. */
const MAX_ROWS = 64;

/** All flows of a program with their templates; for a large subtable only its templates, with flow -1. */
function* flowsOf(program: Program): Generator<readonly [Template, number]> {
  for (const { nodes } of [...program.tables.values()].flat())
    for (const node of nodes) {
      if (!(node instanceof Subtable)) yield [node.template, node.flow];
      else if (node.size > MAX_ROWS) for (const template of node.templates) yield [template, -1];
      else
        for (let row = 0; row < node.size; row++)
          yield [node.templates[node.templateOf[row]!]!, node.flows[row]!];
    }
}

/** Every step of a program, including nested ones. */
function* stepsOf(program: Program): Generator<readonly [Step, Template | null, number]> {
  function* inside(
    steps: readonly Step[],
    template: Template | null,
    flow: number,
  ): ReturnType<typeof stepsOf> {
    for (const step of steps) {
      yield [step, template, flow];
      if ("steps" in step) yield* inside(step.steps, template, flow);
    }
  }
  for (const [template, flow] of flowsOf(program)) yield* inside(template.steps, template, flow);
  for (const group of program.groups.values())
    for (const list of bindGroup(group))
      yield* inside(
        list.map(({ step }) => step),
        null,
        -1,
      );
}

export type LearnStep = Extract<Step, { do: "effect" | "unknown" }>;

const isLearn = (step: Step): step is LearnStep =>
  step.do === "effect" ? step.effect === "learns" : step.do === "unknown" && step.text.startsWith("learn(");

interface Summary {
  readonly writes: ReadonlyMap<number, readonly Write[]>;
  readonly learns: readonly LearnStep[];
}

const summaries = new WeakMap<Program, Summary>();

function summaryOf(program: Program): Summary {
  let summary = summaries.get(program);
  if (summary !== undefined) return summary;
  const writes = new Map<number, Write[]>();
  const learns = new Set<LearnStep>();
  for (const [step, template, flow] of stepsOf(program)) {
    if (isLearn(step)) learns.add(step);
    for (const write of writesOf(step, template, flow)) {
      const list = writes.get(write.word);
      if (list === undefined) writes.set(write.word, [write]);
      else if (list.length < MAX_WRITES) list.push(write);
      else if (list.length === MAX_WRITES) list.push({ word: write.word, mask: 0xffffffff, value: null });
    }
  }
  summary = { writes, learns: [...learns] };
  summaries.set(program, summary);
  return summary;
}

/** All writes to each word, by any step. */
export const writesIn = (program: Program): Summary["writes"] => summaryOf(program).writes;

/** All steps that learn flows, including nested ones. */
export const learnsOf = (program: Program): readonly LearnStep[] => summaryOf(program).learns;

/** The table into which a step learns; null if its text does not give a number. */
export function learnedTable({ text }: LearnStep): number | null {
  const given = /[(,\s]table\s*=\s*([^,)\s]*)/.exec(text);
  if (given === null) return 1;
  return /^\d+$/.test(given[1]!) ? Number(given[1]) : null;
}

/** Default priority of a flow in Open vSwitch. */
const USUAL_PRIORITY = 32768;
/** The priority of the flows that a step learns; null if its text does not give a number. */
export function learnedPriority({ text }: LearnStep): number | null {
  const given = /[(,\s]priority\s*=\s*([^,)\s]*)/.exec(text);
  if (given === null) return USUAL_PRIORITY;
  return /^\d+$/.test(given[1]!) ? Number(given[1]) : null;
}

/** Unknown steps that look up no table, whatever their arguments. */
const REACHES_NOTHING = new RegExp(
  "^(multipath|bundle|bundle_load|check_pkt_larger|learn|dec_nsh_ttl|nat|controller\\(|" +
    "(set_field|move|push|pop) of )",
);

/** Tables that a step itself looks up; nested lists and buckets are not included. */
export function tablesReached(program: Program, step: Step, table: number): readonly number[] {
  if (isSimple(step)) return [];
  switch (step.do) {
    case "resubmit":
      return [step.table ?? table];
    case "output":
      return step.port === PORT.table ? [0] : [];
    case "output_field":
      return mayBeTable(program, step) ? [0] : [];
    // If nothing is left to do, the recirculated packet starts again at table 0.
    case "pop_mpls":
      return [0];
    case "track":
      return step.table === null ? [] : [step.table];
    case "unknown":
      return reachedByUnknown(step, table);
    case "group":
    case "set":
    case "move":
    case "push":
    case "pop":
    case "write_actions":
    case "clone":
    case "exit":
    case "effect":
      return [];
    default:
      return unreachable(step);
  }
}

function reachedByUnknown(
  { feature, text }: Extract<Step, { do: "unknown" }>,
  table: number,
): readonly number[] {
  if (feature === "resubmit(ct)") {
    const next = /^resubmit\([^,]*,(\d*),ct\)$/.exec(text);
    if (next === null) return everyTable();
    return [next[1] === "" ? table : Number(next[1])];
  }
  return REACHES_NOTHING.test(feature) ? [] : everyTable();
}

const everyTable = (): number[] => Array.from({ length: 256 }, (_, table) => table);

/**
 * Whether an output to a field may be an output to TABLE: false if every value that is ever written to the
 * field lacks a bit of that port number.
 */
function mayBeTable(program: Program, { from }: Extract<Step, { do: "output_field" }>): boolean {
  const place = from.field.place;
  if (place === null || place.word < KEY.metadata || place.word >= KEY.tunnelId) return true;
  let mayBe = 0;
  let isOpen = false;
  eachPiece(from.field, from.start, from.bits, (word, shift, count, at) => {
    if (at >= 16) return;
    const mask = count >= 32 ? 0xffffffff : ((2 ** count - 1) << shift) >>> 0;
    for (const write of writesIn(program).get(word) ?? []) {
      if ((write.mask & mask) === 0) continue;
      if (write.value === null) isOpen = true;
      else mayBe |= ((write.value & mask) >>> shift) << at;
    }
  });
  return isOpen || (mayBe & PORT.table & 0xffff) === (PORT.table & 0xffff);
}
