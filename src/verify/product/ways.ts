/**
 * The ways to a difference: for each table, the packets that may still meet a difference if they are looked
 * up there. A backward analysis over the flows of one side, as a union of cubes (an over-approximation): it
 * starts with the regions in which tables differ, and follows the lookups that lead there. Packets that are
 * on no way meet only flows that both sides have.
 */
import { KEY, type Step } from "../../openflow/index.ts";
import { learnsOf, tablesReached, writesIn } from "../symbolic/asked.ts";
import type { Program } from "../symbolic/compiled-tables.ts";
import { isSimple } from "../symbolic/simple-steps.ts";
import { bindGroup } from "../symbolic/slot-values.ts";
import { Subtable } from "../symbolic/sorted-subtable.ts";
import type { Template } from "../symbolic/templates.ts";
import { type Write, writesOf } from "../symbolic/writes.ts";
import { Cubes, type Region } from "./differing-flows.ts";
import { KnownBits, type Tests } from "./known-bits.ts";

/** Rows of a subtable that are followed one by one. */
const MAX_ROWS = 5000;
/** Times that a flow is followed backward, in all; beyond that, every packet is on a way. */
const MAX_FOLLOWED = 1_000_000;
const MAX_GROUPS_DEEP = 8;

/** What happens to a packet between the match of a flow and a lookup, undone from the last one on. */
type Before = Step | "anything" | readonly Write[];

/** A lookup that the flows of a template cause. */
interface Call {
  readonly tables: readonly number[];
  readonly before: readonly Before[];
}

class TooMany extends Error {}

/** For each table with a way to a difference, the packets on it; null if every packet may be on one. */
export function waysTo(
  program: Program,
  regions: ReadonlyMap<number, Region>,
): ReadonlyMap<number, Region> | null {
  const ways = new Ways(program, regions);
  try {
    ways.follow();
  } catch (error) {
    if (!(error instanceof TooMany)) throw error;
    return null;
  }
  return ways.regions();
}

class Ways {
  readonly #program: Program;
  readonly #of = new Map<number, Cubes>();
  readonly #calls = new Map<Template, Map<number, readonly Call[]>>();
  readonly #everyWrite: readonly Write[];
  #followed = 0;

  constructor(program: Program, regions: ReadonlyMap<number, Region>) {
    this.#program = program;
    this.#everyWrite = [
      ...[...writesIn(program).values()].flat(),
      ...learnsOf(program).flatMap(learn => writesOf(learn)),
    ].map(write => ({ ...write, value: null }));
    for (const [table, region] of regions) for (const cube of region) this.#cubesOf(table).add(cube);
  }

  regions(): Map<number, Region> {
    return new Map([...this.#of].map(([table, { cubes }]) => [table, cubes]));
  }

  #cubesOf(table: number): Cubes {
    const cubes = this.#of.get(table) ?? new Cubes();
    this.#of.set(table, cubes);
    return cubes;
  }

  /** Most tables lead to later ones, so the last ones come first. */
  follow(): void {
    const tables = [...this.#program.tables.keys()].sort((a, b) => b - a);
    let changed: ReadonlySet<number> = new Set(this.#of.keys());
    while (changed.size > 0) {
      const grown = new Set<number>();
      for (const table of tables) {
        const isNew = (next: number): boolean => changed.has(next) || grown.has(next);
        if (this.#followTable(table, isNew)) grown.add(table);
      }
      changed = grown;
    }
  }

  #followTable(table: number, isNew: (table: number) => boolean): boolean {
    let hasGrown = false;
    for (const { nodes } of this.#program.tables.get(table) ?? [])
      for (const node of nodes) {
        const templates = node instanceof Subtable ? node.templates : [node.template];
        const calls = templates.map(one =>
          this.#callsOf(one, table).filter(({ tables }) =>
            tables.some(next => isNew(next) && this.#of.has(next)),
          ),
        );
        if (calls.every(({ length }) => length === 0)) continue;
        if (!(node instanceof Subtable)) {
          if (this.#followFlow(table, node.tests, node.template, node.flow, calls[0]!)) hasGrown = true;
        } else if (node.size > MAX_ROWS) {
          for (const [index, template] of templates.entries())
            if (this.#followFlow(table, node.constants, template, -1, calls[index]!)) hasGrown = true;
        } else if (this.#followRows(table, node, calls)) hasGrown = true;
      }
    return hasGrown;
  }

  #followRows(table: number, subtable: Subtable, calls: readonly (readonly Call[])[]): boolean {
    let hasGrown = false;
    for (let row = 0; row < subtable.size; row++) {
      const index = subtable.templateOf[row]!;
      if (calls[index]!.length === 0) continue;
      const [template, flow] = [subtable.templates[index]!, subtable.flows[row]!];
      if (this.#followFlow(table, subtable.testsAt(row), template, flow, calls[index]!)) hasGrown = true;
    }
    return hasGrown;
  }

  #followFlow(
    table: number,
    tests: Tests,
    template: Template,
    flow: number,
    calls: readonly Call[],
  ): boolean {
    let hasGrown = false;
    for (const { tables, before } of calls)
      for (const next of tables)
        for (const cube of this.#of.get(next)?.cubes ?? []) {
          if (++this.#followed > MAX_FOLLOWED) throw new TooMany();
          const was = undone(cube, before, template, flow);
          if (was === null || !tests.every(test => test.word === KEY.conjId || was.agreesWith(test)))
            continue;
          for (const { word, mask, value } of tests) if (word !== KEY.conjId) was.set(word, mask, value);
          if (this.#cubesOf(table).add(was)) hasGrown = true;
        }
    return hasGrown;
  }

  // --- Calls -----------------------------------------------------------------------------------------------

  #callsOf(template: Template, table: number): readonly Call[] {
    const known = this.#calls.get(template) ?? new Map<number, readonly Call[]>();
    this.#calls.set(template, known);
    let calls = known.get(table);
    if (calls === undefined) {
      const found: Call[] = [];
      this.#addCalls(template.steps, table, [], found, 0);
      calls = found;
      known.set(table, calls);
    }
    return calls;
  }

  #addCalls(
    steps: readonly Step[],
    table: number,
    given: readonly Before[],
    into: Call[],
    depth: number,
  ): void {
    if (depth > MAX_GROUPS_DEEP) throw new TooMany();
    const before = [...given];
    for (const step of steps) {
      if (isSimple(step)) {
        before.push(step);
        continue;
      }
      // An action set runs at the end, behind other flows and in another order.
      if (step.do === "write_actions") this.#addCalls(step.steps, table, ["anything"], into, depth + 1);
      else if ("steps" in step) this.#addCalls(step.steps, table, before, into, depth + 1);
      else if (step.do === "group") {
        const group = this.#program.groups.get(step.group);
        for (const list of group === undefined ? [] : bindGroup(group))
          this.#addCalls(
            list.map(bound => bound.step),
            table,
            ["anything"],
            into,
            depth + 1,
          );
      }
      const tables = tablesReached(this.#program, step, table);
      before.push(step);
      if (tables.length > 0) {
        into.push({ tables, before: [...before] });
        // The tables that were looked up may have written to the packet.
        before.push(this.#everyWrite);
      }
    }
  }
}

/** The packets that may become those of a cube; null if there are none. */
function undone(
  cube: KnownBits,
  before: readonly Before[],
  template: Template,
  flow: number,
): KnownBits | null {
  const was = cube.copy();
  // A resubmit may give another port for a lookup, which then is not the packet's own.
  was.forget(KEY.inPort, 0xffffffff);
  for (let at = before.length - 1; at >= 0; at--) {
    const one = before[at]!;
    if (one === "anything") return new KnownBits();
    const isSure = "do" in one && one.do === "set" && one.prerequisite === "none";
    for (const { word, mask, value } of "do" in one ? writesOf(one, template, flow) : one) {
      const isOther = value !== null && !was.agreesWith({ word, mask, value });
      if (isOther && isSure) return null;
      // A write that may not happen leaves a value that it cannot have written.
      if (!isOther) was.forget(word, mask);
    }
  }
  return was;
}
