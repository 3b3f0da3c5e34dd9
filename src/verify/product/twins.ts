/**
 * Compares large tables by columns, without a text for each flow. The rows of subtables are sorted by key,
 * so one pass over both is enough.
 */
import type { Band, Node } from "../symbolic/bands.ts";
import type { Program } from "../symbolic/compiled-tables.ts";
import { type Form, type Forms, joinedForms } from "../symbolic/forms.ts";
import { listingsOf } from "../symbolic/listing.ts";
import { flowValues } from "../symbolic/slot-values.ts";
import { Subtable } from "../symbolic/sorted-subtable.ts";
import type { Template } from "../symbolic/templates.ts";

let uniqueCount = 0;

/** A form for each of two large tables, with equal text if they hold the same flows. */
export function twinForms(
  programs: readonly [Program, Program],
  table: number,
  forms: readonly [Forms, Forms],
): readonly [readonly Form[], readonly Form[]] {
  const [a, b] = programs.map(program => program.tables.get(table) ?? []) as [Band[], Band[]];
  // Clauses of conjunctive matches are not in subtables.
  const isPlain = programs.every(program => (listingsOf(program).get(table)?.clauses.length ?? 0) === 0);
  const [left, right] = [tableForm(a, table, forms[0]), tableForm(b, table, forms[1])];
  const isTwin = isPlain && left.text === right.text && haveSameRows(a, b, table, forms);
  const named = ({ text, tables }: Form): Form[] => [
    { text: isTwin ? text : `large ${uniqueCount++}`, tables },
  ];
  return [named(left), named(right)];
}

/** Everything in a table except the keys and values of its subtables' rows. */
function tableForm(bands: readonly Band[], table: number, forms: Forms): Form {
  const parts = bands.map(({ priority, nodes }) => {
    const { text, tables } = joinedForms(
      sorted(nodes).map(node => nodeForm(node, table, forms)),
      "\n",
    );
    return { text: `${priority}\n${text}`, tables };
  });
  return joinedForms(parts, "\n\n");
}

function nodeForm(node: Node, table: number, forms: Forms): Form {
  if (node instanceof Subtable) {
    const parts = new Map(
      node.templates.map(one => [forms.template(one, table).text, forms.template(one, table)]),
    );
    const { text, tables } = joinedForms(
      [...parts].sort(([x], [y]) => (x < y ? -1 : 1)).map(([, form]) => form),
      "\n",
    );
    return { text: `${nodeName(node)}\n${text}`, tables };
  }
  const { template, flow } = node;
  // The match of such a flow is not all in its tests.
  if (template.unknown !== null) return { text: `large ${uniqueCount++}`, tables: [] };
  const { text, tables } = forms.flow(template.steps, flowValues(template, flow), table);
  return { text: `${nodeName(node)} ${template.isMiss} ${text}`, tables };
}

function nodeName(node: Node): string {
  const tests = node instanceof Subtable ? node.constants : node.tests;
  const shared = tests.map(({ word, mask, value }) => `${word}/${mask}=${value}`).join();
  return node instanceof Subtable ? `${node.size} of ${shared} ${node.words} ${node.masks}` : shared;
}

const sorted = (nodes: readonly Node[]): Node[] =>
  nodes
    .map(node => [nodeName(node), node] as const)
    .sort(([x], [y]) => (x < y ? -1 : 1))
    .map(([, node]) => node);

/** For two tables of the same form: whether the rows of their subtables have equal keys and values. */
function haveSameRows(
  a: readonly Band[],
  b: readonly Band[],
  table: number,
  forms: readonly [Forms, Forms],
): boolean {
  return a.every(({ nodes }, at) => {
    const others = sorted(b[at]!.nodes);
    return sorted(nodes).every((node, index) => {
      const other = others[index]!;
      if (!(node instanceof Subtable && other instanceof Subtable)) return true;
      return (
        node.keys.every((key, k) => key.every((value, row) => value === other.keys[k]![row])) &&
        haveSameValues(node, other, table, forms)
      );
    });
  });
}

function haveSameValues(a: Subtable, b: Subtable, table: number, forms: readonly [Forms, Forms]): boolean {
  const texts = [a, b].map((subtable, side) =>
    subtable.templates.map(one => forms[side]!.template(one, table).text),
  );
  const columns = [a, b].map(subtable => subtable.templates.map(one => columnsOf(subtable, one)));
  for (let row = 0; row < a.size; row++) {
    const [left, right] = [a.templateOf[row]!, b.templateOf[row]!];
    if (texts[0]![left] !== texts[1]![right]) return false;
    const [own, others] = [columns[0]![left]!, columns[1]![right]!];
    for (let k = 0; k < own.length; k++) if (own[k]![row] !== others[k]![row]) return false;
  }
  return true;
}

/** The values of a template's slots, in the order of the slots. */
export const columnsOf = (subtable: Subtable, { slots }: Template): Uint32Array[] =>
  [...slots.values()].flatMap(({ at, words }) =>
    (words === 2 ? [at, at + 1] : [at]).map(word => subtable.valuesAt(word)),
  );
