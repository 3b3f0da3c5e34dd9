/**
 * Where two tables of one number differ: the matches of flows that only one side has, or that act
 * differently. A lookup depends on the set of flows that a packet matches, so both tables do the same with
 * every packet that matches none of these.
 */
import { isTableMiss, KEY } from "../../openflow/index.ts";
import type { Node } from "../symbolic/bands.ts";
import type { Program } from "../symbolic/compiled-tables.ts";
import type { Form, Forms } from "../symbolic/forms.ts";
import { listingsOf, matchName } from "../symbolic/listing.ts";
import { testsOf, variantsOf } from "../symbolic/match-tests.ts";
import { flowValues } from "../symbolic/slot-values.ts";
import { Subtable } from "../symbolic/sorted-subtable.ts";
import { KnownBits, type Tests } from "./known-bits.ts";
import { columnsOf } from "./twins.ts";

/** More cubes are joined into one. */
const MAX_CUBES = 64;
/** A subtable of more rows is compared only with one whose rows are sorted by the same words. */
const MAX_UNSORTED = 50_000;

/** Packets as a union of cubes. */
export type Region = readonly KnownBits[];

/** Every packet. */
export const EVERYTHING: Region = [new KnownBits()];

export interface Sides {
  readonly programs: readonly [Program, Program];
  readonly forms: readonly [Forms, Forms];
  /** Whether steps of both sides that lead to these tables go on alike outside of the regions. */
  readonly areAligned: (a: readonly number[], b: readonly number[]) => boolean;
}

/** The packets with which two tables of one number may do different things. */
export function differingRegion(sides: Sides, table: number): Region {
  const listings = sides.programs.map(program => listingsOf(program).get(table));
  const found = new Cubes();
  const isLarge = listings.some(listing => listing?.flows === null);
  if (!isLarge)
    addFlows(
      sides,
      table,
      listings.map(listing => listing?.flows ?? []),
      found,
    );
  // Clauses of conjunctive matches are not in subtables.
  else if (listings.some(listing => (listing?.clauses.length ?? 0) > 0)) return EVERYTHING;
  else if (!addNodes(sides, table, found)) return EVERYTHING;
  return found.cubes;
}

/** A cube of the packets that satisfy tests; a lookup sets the conj_id itself. */
function cubeOf(tests: Tests): KnownBits {
  const cube = new KnownBits();
  for (const { word, mask, value } of tests) if (word !== KEY.conjId) cube.set(word, mask, value);
  return cube;
}

/** A union of cubes that stays small: cubes within others are left out, and many are joined. */
export class Cubes {
  #cubes: KnownBits[] = [];
  #isJoined = false;

  get cubes(): Region {
    return this.#cubes;
  }

  /** Whether the union grew. */
  add(cube: KnownBits): boolean {
    if (this.#cubes.some(other => isWithin(cube, other))) return false;
    if (this.#isJoined) return this.#cubes[0]!.join(cube);
    this.#cubes = [...this.#cubes.filter(other => !isWithin(other, cube)), cube];
    if (this.#cubes.length <= MAX_CUBES) return true;
    const [first, ...others] = this.#cubes;
    const all = first!.copy();
    for (const other of others) all.join(other);
    this.#cubes = [all];
    this.#isJoined = true;
    return true;
  }
}

/** Whether each packet of a cube is in another one. */
function isWithin(inner: KnownBits, outer: KnownBits): boolean {
  for (let word = 0; word < outer.known.length; word++) {
    const known = outer.known[word]!;
    if (known === 0) continue;
    if ((known & ~inner.known[word]!) !== 0 || ((inner.value[word]! ^ outer.value[word]!) & known) !== 0)
      return false;
  }
  return true;
}

// --- Tables flow by flow -----------------------------------------------------------------------------------

interface Listed {
  readonly form: Form;
  readonly tests: readonly Tests[];
}

function addFlows(
  sides: Sides,
  table: number,
  [left, right]: readonly (readonly number[])[],
  found: Cubes,
): void {
  const a = listed(sides, 0, table, left!);
  const b = listed(sides, 1, table, right!);
  const add = ({ tests }: Listed): void => {
    for (const variant of tests) found.add(cubeOf(variant));
  };
  for (const [name, own] of a) {
    const other = b.get(name);
    if (other === undefined || !sameForms(sides, own.form, other.form)) add(own);
  }
  for (const [name, other] of b) if (!a.has(name)) add(other);
}

/** Flows by priority and match; of flows with equal priority and match, the last one. */
function listed({ programs, forms }: Sides, side: 0 | 1, table: number, indices: readonly number[]) {
  const found = new Map<string, Listed>();
  for (const index of indices) {
    const flow = programs[side].flows.filledFlow(index);
    const { text, tables } = forms[side].actions(flow.actions, table);
    const form = { text: `${isTableMiss(flow)} ${text}`, tables };
    found.set(matchName(flow), { form, tests: variantsOf(testsOf(flow.match)) });
  }
  return found;
}

const sameForms = ({ areAligned }: Sides, a: Form, b: Form): boolean =>
  a.text === b.text && areAligned(a.tables, b.tables);

// --- Tables by columns -------------------------------------------------------------------------------------

/** Flows of one priority that compare the same bits: a subtable, or a few rules. */
interface Group {
  readonly nodes: Node[];
}

/** False if the nodes cannot be compared. */
function addNodes(sides: Sides, table: number, found: Cubes): boolean {
  const [a, b] = sides.programs.map(program => groupsOf(program, table));
  if (a === null || b === null) return false;
  for (const name of new Set([...a!.keys(), ...b!.keys()])) {
    const [left, right] = [a!.get(name)?.nodes ?? [], b!.get(name)?.nodes ?? []];
    const isSorted =
      left.length === 1 && right.length === 1 && addSorted(sides, table, left[0]!, right[0]!, found);
    if (!isSorted && !addUnsorted(sides, table, left, right, found)) return false;
  }
  return true;
}

/** Null if the match of a flow is not all in its tests. */
function groupsOf(program: Program, table: number): Map<string, Group> | null {
  const groups = new Map<string, Group>();
  for (const { priority, nodes } of program.tables.get(table) ?? [])
    for (const node of nodes) {
      if (!(node instanceof Subtable) && node.template.unknown !== null) return null;
      const name = `${priority} ${maskName(node)}`;
      const group = groups.get(name) ?? { nodes: [] };
      groups.set(name, group);
      group.nodes.push(node);
    }
  return groups;
}

const maskName = (node: Node): string =>
  node instanceof Subtable
    ? [
        ...node.constants.map(({ word, mask }) => `${word}/${mask}`),
        ...node.words.map((word, k) => `${word}/${node.masks[k]!}`),
      ]
        .sort()
        .join()
    : node.tests
        .map(({ word, mask }) => `${word}/${mask}`)
        .sort()
        .join();

/** The rows of two subtables with the same words, in one pass; false if their words differ. */
function addSorted(sides: Sides, table: number, a: Node, b: Node, found: Cubes): boolean {
  if (!(a instanceof Subtable && b instanceof Subtable) || !a.isAlike(b)) return false;
  const name = ({ constants }: Subtable): string =>
    constants.map(({ word, value }) => `${word}=${value}`).join();
  if (name(a) !== name(b)) return false;
  const same = sameRows(sides, table, a, b);
  const differing: Tests[] = [];
  for (let [i, j] = [0, 0]; i < a.size || j < b.size; ) {
    const order = i === a.size ? 1 : j === b.size ? -1 : compareKeys(a, i, b, j);
    const [own, other] = [i, j];
    if (order <= 0) i++;
    if (order >= 0) j++;
    if (order === 0 && same(own, other)) continue;
    differing.push(order <= 0 ? a.testsAt(own) : b.testsAt(other));
    if (differing.length > MAX_CUBES) break;
  }
  for (const tests of differing.length > MAX_CUBES ? [a.constants] : differing) found.add(cubeOf(tests));
  return true;
}

function compareKeys(a: Subtable, i: number, b: Subtable, j: number): number {
  for (let k = 0; k < a.keys.length; k++) {
    const [left, right] = [a.keys[k]![i]!, b.keys[k]![j]!];
    if (left !== right) return left < right ? -1 : 1;
  }
  return 0;
}

/** Tells whether a row of one subtable acts as a row of another one. */
function sameRows(sides: Sides, table: number, a: Subtable, b: Subtable): (i: number, j: number) => boolean {
  const [left, right] = [a, b].map((subtable, side) =>
    subtable.templates.map(one => ({
      form: sides.forms[side]!.template(one, table),
      columns: columnsOf(subtable, one),
      isMiss: one.isMiss,
    })),
  );
  const pairs = left!.map(one =>
    right!.map(other => one.isMiss === other.isMiss && sameForms(sides, one.form, other.form)),
  );
  return (i, j) => {
    const [one, other] = [a.templateOf[i]!, b.templateOf[j]!];
    if (!pairs[one]![other]!) return false;
    const [own, others] = [left![one]!.columns, right![other]!.columns];
    return own.every((column, k) => column[i] === others[k]![j]);
  };
}

/** Rules, and rows that are sorted by other words, by the texts of their matches. */
function addUnsorted(
  sides: Sides,
  table: number,
  a: readonly Node[],
  b: readonly Node[],
  found: Cubes,
): boolean {
  const size = (nodes: readonly Node[]): number =>
    nodes.reduce((sum, node) => sum + (node instanceof Subtable ? node.size : 1), 0);
  if (size(a) + size(b) > MAX_UNSORTED) return false;
  const [left, right] = [byMatch(sides, 0, table, a), byMatch(sides, 1, table, b)];
  for (const [name, { tests, form }] of left) {
    const other = right.get(name);
    if (other === undefined || !sameForms(sides, form(), other.form())) found.add(cubeOf(tests));
  }
  for (const [name, { tests }] of right) if (!left.has(name)) found.add(cubeOf(tests));
  return true;
}

function byMatch({ forms }: Sides, side: 0 | 1, table: number, nodes: readonly Node[]) {
  const found = new Map<string, { readonly tests: Tests; readonly form: () => Form }>();
  for (const node of nodes)
    for (const { tests, template, flow } of eachFlow(node)) {
      const name = [...tests]
        .sort((x, y) => x.word - y.word)
        .map(({ word, value }) => `${word}=${value}`)
        .join();
      const form = (): Form => {
        const { text, tables } = forms[side].flow(template.steps, flowValues(template, flow), table);
        return { text: `${template.isMiss} ${text}`, tables };
      };
      found.set(name, { tests, form });
    }
  return found;
}

function* eachFlow(node: Node) {
  if (!(node instanceof Subtable)) yield node;
  else
    for (let row = 0; row < node.size; row++)
      yield {
        tests: node.testsAt(row),
        template: node.templates[node.templateOf[row]!]!,
        flow: node.flows[row]!,
      };
}
