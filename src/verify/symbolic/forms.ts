/**
 * Normal forms of steps: text with a placeholder for each table that the steps lead to. Steps of two
 * programs are equivalent if their texts are equal and the tables that fill the placeholders are equivalent.
 * Notation and group numbers are gone: a group is replaced by what it does. Steps that no text can describe
 * get a unique text.
 */

import { type Action, compileActions, type Group, PORT, type Step } from "../../openflow/index.ts";
import { unreachable } from "../../wire/index.ts";
import { tablesReached } from "./asked.ts";
import type { Program } from "./compiled-tables.ts";
import { isSimple } from "./simple-steps.ts";
import { bindGroup, isRowSet, isSingleFlow, NO_VALUES } from "./slot-values.ts";
import type { Bound, SlotValues } from "./state.ts";
import type { Template } from "./templates.ts";

/** A text with placeholders, and the tables that fill them, in order. */
export interface Form {
  readonly text: string;
  readonly tables: readonly number[];
}

/** A longer form is not compared: it gets a unique text. */
const MAX_TEXT = 100_000;
/** Stands for a table. */
const PLACEHOLDER = "\u0000";
const NOTHING: Form = { text: "", tables: [] };

let uniqueCount = 0;
/** A form that equals no other. */
const uniqueForm = (): Form => ({ text: `uniqueForm ${uniqueCount++}`, tables: [] });

/** Concatenates forms. */
export function joinedForms(forms: readonly Form[], by: string): Form {
  return { text: forms.map(({ text }) => text).join(by), tables: forms.flatMap(({ tables }) => tables) };
}

interface Place {
  /** The table that contains the step. */
  readonly table: number;
  /** The step runs later, from a table not known here, so the numbers of its tables are part of the form. */
  readonly isLater: boolean;
  /** The enclosing groups, the outermost first. */
  readonly groups: readonly number[];
}

/** Normal forms of the steps of one program. */
export class Forms {
  readonly #program: Program;
  /** Forms of steps without slots, by table. */
  readonly #known = new WeakMap<Step, Map<string, Form>>();
  readonly #templates = new Map<Template, Form>();

  constructor(program: Program) {
    this.#program = program;
  }

  list(list: readonly Bound[], from: number, table: number, isLater = false): Form {
    const place: Place = { table, isLater, groups: [] };
    if (from >= list.length) return NOTHING;
    return joinedForms(
      list.slice(from).map(({ step, slotValues }) => this.#step(step, slotValues, place)),
      ";",
    );
  }

  /** The form of a list of actions. */
  actions(actions: readonly Action[], table: number): Form {
    return this.flow(compileActions(actions, 0), NO_VALUES, table);
  }

  /** The form of the steps of a flow. */
  flow(steps: readonly Step[], slotValues: SlotValues, table: number): Form {
    return this.#list(steps, slotValues, { table, isLater: false, groups: [] });
  }

  /** The form of a template, with slot numbers instead of values. */
  template(template: Template, table: number): Form {
    let form = this.#templates.get(template);
    if (form === undefined) {
      form = this.flow(template.steps, { ...NO_VALUES, template }, table);
      this.#templates.set(template, form);
    }
    return form;
  }

  #list(steps: readonly Step[], slotValues: SlotValues, place: Place): Form {
    const form = joinedForms(
      steps.map(step => this.#step(step, slotValues, place)),
      ";",
    );
    return form.text.length > MAX_TEXT ? uniqueForm() : form;
  }

  #step(step: Step, slotValues: SlotValues, place: Place): Form {
    if ((slotValues.template?.slots.size ?? 0) > 0) return this.#made(step, slotValues, place);
    const name = `${place.table} ${place.isLater} ${place.groups}`;
    const known = this.#known.get(step) ?? new Map<string, Form>();
    this.#known.set(step, known);
    let form = known.get(name);
    if (form === undefined) {
      form = this.#made(step, slotValues, place);
      known.set(name, form);
    }
    return form;
  }

  #made(step: Step, slotValues: SlotValues, place: Place): Form {
    if (isSimple(step)) return this.#plain(step, slotValues, place);
    switch (step.do) {
      case "clone": {
        const { text, tables } = this.#list(step.steps, slotValues, place);
        return { text: `clone ${step.isCopied} ${step.needsReparse}(${text})`, tables };
      }
      case "write_actions": {
        const { text, tables } = this.#list(step.steps, slotValues, { ...place, isLater: true });
        return { text: `write(${text})`, tables };
      }
      case "group":
        return this.#group(step, place);
      case "output":
      case "output_field":
      case "resubmit":
      case "pop_mpls":
      case "set":
      case "move":
      case "push":
      case "pop":
      case "exit":
      case "effect":
      case "track":
      case "unknown":
        return this.#plain(step, slotValues, place);
      default:
        return unreachable(step);
    }
  }

  /** The form of a step without nested steps: its text, and the tables that it leads to. */
  #plain(step: Step, slotValues: SlotValues, place: Place): Form {
    if (place.isLater && step.do === "resubmit" && step.table === null) return uniqueForm();
    const tables = tablesReached(this.#program, step, place.table);
    const text = textOf(step, slotValues);
    return text === null
      ? uniqueForm()
      : { text: text + tables.map(next => placeholderOf(next, place)).join(""), tables };
  }

  #group(step: Extract<Step, { do: "group" }>, place: Place): Form {
    const group = this.#program.groups.get(step.group);
    // A group that is missing may be defined differently on each switch.
    if (group === undefined) return uniqueForm();
    // The liveness of a group depends on its content.
    if (group.buckets.some(({ watchGroup }) => watchGroup !== null)) return uniqueForm();
    const around = place.groups.indexOf(step.group);
    if (around >= 0) return { text: `group ${around}`, tables: [] };
    const inside: Place = { ...place, groups: [...place.groups, step.group] };
    const buckets = bindGroup(group).map((list, index) => {
      const { text, tables } = this.#list(
        list.map(bound => bound.step),
        NO_VALUES,
        inside,
      );
      return { text: `${bucketText(group, index)}(${text})`, tables };
    });
    const { text, tables } = joinedForms(buckets, "|");
    const whole = `group ${group.type} ${group.selection} ${step.needsReparse} [${text}]`;
    return whole.length > MAX_TEXT ? uniqueForm() : { text: whole, tables };
  }
}

/** A bucket's parameters, except its actions and its watched group. */
function bucketText({ buckets }: Group, index: number): string {
  const { id, weight, watchPort } = buckets[index]!;
  return `${id} ${weight} ${watchPort}`;
}

/** A resubmit to the same or an earlier table counts as a level of depth (limit 64). */
const placeholderOf = (next: number, { table, isLater }: Place): string =>
  `${PLACEHOLDER}${next <= table ? "back" : ""}${isLater ? next : ""}`;

/** The text of a step without its line and with its slot values; null if they are not constant. */
function textOf(step: Step, slotValues: SlotValues): string | null {
  const shown: Record<string, unknown> = { ...step, line: 0, bytes: undefined, freezing: undefined };
  if (step.do === "resubmit") {
    shown.table = 0;
    if (step.port === PORT.inPort) shown.port = null;
  }
  if (step.do === "track") {
    shown.table = step.table === null ? null : 0;
    // The text has them.
    shown.marks = undefined;
  }
  if (step.do === "set" || step.do === "output") {
    const value = valueIn(step, slotValues);
    if (value === null) return null;
    shown[step.do === "set" ? "value" : "port"] = value;
  }
  return JSON.stringify(shown, shownValue);
}

/**
 * The value of a set or the port of an output: the slot number if there is no flow, null if many flows share
 * the template.
 */
function valueIn(step: Extract<Step, { do: "set" | "output" }>, slotValues: SlotValues): unknown {
  const { template } = slotValues;
  const slot = template?.slots.get(step);
  const masked = (words: readonly number[]): unknown =>
    step.do === "set" ? words.map((word, index) => (word & step.mask[index]!) >>> 0) : words[0];
  if (template === null || slot === undefined) return masked(step.do === "set" ? step.value : [step.port]);
  if (isRowSet(slotValues)) return null;
  if (!isSingleFlow(slotValues)) return `slot ${[...template.slots.keys()].indexOf(step)} ${slot.words}`;
  const at = (word: number): number => template.flows.valueAt(slotValues.flow, slot.at + word);
  return masked(slot.words === 2 ? [at(1), at(0), 0, 0] : [at(0), 0, 0, 0]);
}

function shownValue(name: string, value: unknown): unknown {
  if (name === "field") return (value as { name: string }).name;
  if (typeof value === "bigint") return `${value}n`;
  return value instanceof Uint8Array ? [...value] : value;
}
