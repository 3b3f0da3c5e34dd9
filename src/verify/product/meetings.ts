/**
 * Tables in which a packet may meet two flows of one priority that do different things. The matches alone name many pairs
 * that no packet meets (overlaps.ts): here packets are reached from where they come in, as *cubes*, bits that are known and
 * bits that may be anything, joined wherever two come to the same table. So nothing is missed and little is kept: a pair
 * that is ruled out here is never met. Those that are left may be; that is asked while proving.
 *
 * Connection tracking is reached too: its results are anything that ovs-fields(7), "ct_state", allows.
 */
import type { Program } from "../symbolic/compiled-tables.ts";
import { listingsOf } from "../symbolic/listing.ts";
import { flowOf, type Goal, goalsOf, MAX_PAIRS, TooMany } from "./ambiguity-goals.ts";
import { LastingBits } from "./lasting-bits.ts";
import { Reachability } from "./reachability.ts";

/** Tables in which overlapping may meet, each with one of them. */
export function meetingTables(program: Program): ReadonlyMap<number, number> {
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
    for (const some of byFrames(goals, bits).values()) reached.run(some, tables);
  } catch (error) {
    if (!(error instanceof TooMany)) throw error;
    noteAll(program, tables);
  }
  return tables;
}

/** Every table that has overlapping or conjunctive matches at all. */
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

/**
 * Goals by the frames that can come to them: of a word that nothing writes to in such a way that a packet would come to the
 * goal by it, the packet must have had the value from the start.
 */
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
