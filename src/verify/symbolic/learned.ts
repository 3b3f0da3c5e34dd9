/**
 * Tables in which a learned flow may overlap another flow of its priority: one in the dump, or one learned
 * with another mask. Then the result depends on the order of installation.
 */
import { findField, KEY } from "../../openflow/index.ts";
import { type LearnStep, learnedPriority, learnedTable, learnsOf } from "./asked.ts";
import type { Node } from "./bands.ts";
import type { Program } from "./compiled-tables.ts";
import { Subtable } from "./sorted-subtable.ts";
import { eachPiece } from "./writes.ts";

interface Learn {
  /** Null if the text of the action does not give it. */
  readonly table: number | null;
  readonly priority: number | null;
  readonly mask: string | null;
  readonly line: number;
}

/** These tables, each with the line of the learn action. */
export function learnedAmbiguities(program: Program): ReadonlyMap<number, number> {
  const found = new Map<number, number>();
  const learns: readonly Learn[] = learnsOf(program).map(step => ({
    table: learnedTable(step),
    priority: learnedPriority(step),
    mask: learnedMask(step),
    line: step.line,
  }));
  for (const [at, learn] of learns.entries()) {
    const tables = learn.table === null ? [...program.tables.keys()] : [learn.table];
    for (const table of tables) if (mayBeAmbiguous(program, table, learn)) found.set(table, learn.line);
    for (const other of learns.slice(at + 1)) {
      const isApart =
        differ(learn.table, other.table) || differ(learn.priority, other.priority) || areAlike(learn, other);
      if (isApart) continue;
      const table = learn.table ?? other.table;
      for (const one of table === null ? tables : [table]) found.set(one, learn.line);
    }
  }
  return found;
}

const differ = (a: number | null, b: number | null): boolean => a !== null && b !== null && a !== b;

/** Flows with the same mask have the same match or disjoint matches. */
const areAlike = (a: Learn, b: Learn): boolean => a.mask !== null && a.mask === b.mask;

function mayBeAmbiguous(program: Program, table: number, { priority, mask }: Learn): boolean {
  return (program.tables.get(table) ?? []).some(
    band =>
      !differ(band.priority, priority) &&
      (band.conjunctions.length > 0 || band.nodes.some(node => mask === null || maskOf(node) !== mask)),
  );
}

function maskOf(node: Node): string | null {
  if (node instanceof Subtable)
    return nameOf([
      ...node.constants.map(({ word, mask }) => [word, mask] as const),
      ...node.words.map((word, k) => [word, node.masks[k]!] as const),
    ]);
  if (node.template.unknown !== null) return null;
  return nameOf(node.tests.map(({ word, mask }) => [word, mask] as const));
}

const nameOf = (masks: readonly (readonly [word: number, mask: number])[]): string =>
  [...masks]
    .sort(([a], [b]) => a - b)
    .map(([word, mask]) => `${word}/${mask}`)
    .join();

/** Parts of a learn action that are not part of the learned match. */
const NO_MATCH =
  /^(load:|output:|\w*timeout=|cookie=|priority=|table=|limit=|send_flow_rem$|delete_learned$)/;

/** The bits that a learned flow matches; null if they cannot be parsed from the text. */
function learnedMask({ text }: LearnStep): string | null {
  const parts = text.replace(/^learn\(|\)$/g, "").split(/[,\s]+/);
  const masks = new Map<number, number>();
  for (const part of parts) {
    if (part === "" || NO_MATCH.test(part)) continue;
    const given = /^(\w+)(?:\[(?:(\d+)(?:\.\.(\d+))?)?\])?(?:=|$)/.exec(part);
    const field = given === null ? undefined : findField(given[1]!);
    if (field === undefined || field.place === null || field.place.word === KEY.inPort) return null;
    // Other names of the tag also match its presence bit.
    if (field.place.word === KEY.vlanTci && field.name !== "vlan_tci") return null;
    const start = Number(given![2] ?? 0);
    const end = given![2] === undefined ? field.bits - 1 : Number(given![3] ?? start);
    eachPiece(field, start, end - start + 1, (word, shift, count) => {
      const bits = ((count >= 32 ? 0xffffffff : 2 ** count - 1) << shift) >>> 0;
      masks.set(word, ((masks.get(word) ?? 0) | bits) >>> 0);
    });
  }
  return nameOf([...masks]);
}
