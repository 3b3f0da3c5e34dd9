/**
 * Tables in which a packet can match two flows of equal priority that act differently (an ambiguity). The
 * matches alone report many pairs that no packet reaches (symbolic/overlaps.ts). reachability.ts propagates
 * packets as cubes from the input, joined where two arrive at the same table: an over-approximation, so a
 * pair that it excludes is never matched. The proof decides the remaining pairs.
 *
 * Connection tracking is included: its results are any that ovs-fields(7), "ct_state", allows.
 */
import type { Program } from "../symbolic/compiled-tables.ts";
import { listingsOf } from "../symbolic/listing.ts";
import { flowOf, type Goal, goalsOf, MAX_PAIRS, TooMany } from "./ambiguity-goals.ts";
import { LastingBits } from "./lasting-bits.ts";
import { Reachability } from "./reachability.ts";

/** Tables that can be ambiguous, each with the index of a flow. */
export function ambiguousTables(program: Program): ReadonlyMap<number, number> {
  const goals: Goal[] = [];
  const tables = new Map<number, number>();
  try {
    for (const goal of goalsOf(program)) {
      goals.push(goal);
      if (goals.length > MAX_PAIRS) throw new TooMany();
    }
    if (goals.length === 0) return tables;
    const bits = new LastingBits(program);
    const reached = new Reachability(program, bits);
    for (const some of byFrames(goals, bits).values()) noteReached(reached, some, tables);
  } catch (error) {
    if (!(error instanceof TooMany)) throw error;
    noteAll(program, tables);
  }
  return tables;
}

/**
 * Goals together are quick to exclude. One alone is excluded more often, as fewer packets are joined for it:
 * so each goal of a table that is reached is tried again by itself.
 */
function noteReached(reached: Reachability, goals: readonly Goal[], tables: Map<number, number>): void {
  const together = new Map<number, number>();
  reached.run(goals, together);
  for (const goal of goals)
    if (together.has(goal.table) && !tables.has(goal.table)) reached.run([goal], tables);
}

/** All tables with overlaps or conjunctive matches. */
function noteAll(program: Program, tables: Map<number, number>): void {
  for (const [table, { clauses }] of listingsOf(program))
    if (clauses.length > 0) tables.set(table, clauses[0]!);
  for (const [table, bands] of program.tables)
    for (const { overlapping, nodes } of bands)
      for (const [i, others] of overlapping.entries())
        if (others.length > 0) {
          tables.set(table, flowOf(nodes[i]!));
        }
}

/** Groups goals by the initial bits of the packets that can reach them. */
function byFrames(goals: readonly Goal[], bits: LastingBits): Map<string, Goal[]> {
  const groups = new Map<string, Goal[]>();
  for (const goal of goals) {
    const name = JSON.stringify(bits.of(goal.tests));
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [goal]);
    else group.push(goal);
  }
  return groups;
}
