/**
 * What the conjunctive matches of one priority come to on a path. Open vSwitch goes through the clauses that match in an
 * order that nobody knows and takes the first id that is complete and leads to a flow. Where several ids are complete
 * and one of them is so first in every order, it is that one; where they lead to flows that do the same, it is any of
 * them; and else two flows are told, as where two ordinary flows of one priority match.
 */
import { KEY } from "../../openflow/index.ts";
import type { Clauses } from "./clauses.ts";
import { type Conjunction, doShare, outdoes } from "./conjunctions.ts";
import { MapNode } from "./maps.ts";
import type { Path } from "./path.ts";
import type { Node, Program, Template } from "./program.ts";
import { differ } from "./rivals.ts";
import { rowSource } from "./sources.ts";
import type { Source } from "./state.ts";
import type { Word } from "./terms.ts";

/** What a lookup comes to on a part of the path: a flow, none, or two of which nobody knows. */
export interface Outcome {
  readonly path: Path;
  readonly source: Source | null;
  readonly rival: Source | null;
}

const SILENT = "conjunction: an id that leads to no flow, beside another one of the same flows";

/** The lookup that they are part of. */
interface Asking {
  readonly program: Program;
  readonly clauses: Clauses;
  readonly key: readonly Word[];
  /** What the table has for an id on a path. */
  readonly ask: (conjunction: Conjunction, path: Path) => readonly Outcome[];
}

/** Ids that are complete and lead to nothing. */
interface Pending {
  readonly path: Path;
  readonly silent: readonly Conjunction[];
}

/** Adds what is found to `outcomes`; gives back where nothing is. */
export function lookUpConjunctions(
  asking: Asking,
  conjunctions: readonly Conjunction[],
  paths: readonly Path[],
  outcomes: Outcome[],
): readonly Path[] {
  const { clauses, key, ask } = asking;
  let pending: readonly Pending[] = paths.map(path => ({ path, silent: [] }));
  for (const [index, conjunction] of conjunctions.entries()) {
    const next: Pending[] = [];
    for (const { path, silent } of pending)
      for (const part of clauses.divide(conjunction, key, path)) {
        if (!part.isMet) next.push({ path: part.path, silent });
        else if (conjunction.oddity !== null)
          outcomes.push(unknown(asking, conjunction, conjunction.oddity, part.path));
        else
          for (const answer of ask(conjunction, part.path)) {
            if (answer.source === null) next.push({ path: answer.path, silent: [...silent, conjunction] });
            else if (silent.some(other => doShare(other, conjunction)))
              outcomes.push(unknown(asking, conjunction, SILENT, answer.path));
            else outcomes.push(...besideOthers(asking, conjunctions, index, answer));
          }
      }
    pending = next;
  }
  return pending.map(({ path }) => path);
}

/** What is found for an id, divided by what those behind it lead to, if they are complete too. */
function besideOthers(
  asking: Asking,
  conjunctions: readonly Conjunction[],
  index: number,
  answer: Outcome,
): readonly Outcome[] {
  const { source, rival } = answer;
  if (source === null || rival !== null) return [answer];
  const outcomes: Outcome[] = [];
  const own = conjunctions[index]!;
  let rest: readonly Path[] = [answer.path];
  for (let at = index + 1; at < conjunctions.length; at++) {
    const other = conjunctions[at]!;
    if (outdoes(own, other)) continue;
    const left: Path[] = [];
    for (const path of rest)
      for (const part of asking.clauses.divide(other, asking.key, path)) {
        if (part.isMet) left.push(...besideOne(asking, own, other, source, part.path, outcomes));
        else left.push(part.path);
      }
    rest = left;
  }
  return [...outcomes, ...rest.map(path => ({ path, source, rival: null }))];
}

/** Where another id is complete too: gives back where that does not matter. */
function besideOne(
  asking: Asking,
  own: Conjunction,
  other: Conjunction,
  source: Source,
  path: Path,
  outcomes: Outcome[],
): readonly Path[] {
  if (other.oddity !== null) {
    outcomes.push(unknown(asking, other, other.oddity, path));
    return [];
  }
  const left: Path[] = [];
  for (const found of asking.ask(other, path)) {
    if (found.rival !== null) outcomes.push(found);
    else if (found.source === null && doShare(own, other))
      outcomes.push(unknown(asking, other, SILENT, found.path));
    else if (found.source !== null && differ(asking.program, found.path, source, found.source))
      outcomes.push({ path: found.path, source, rival: found.source });
    else left.push(found.path);
  }
  return left;
}

function unknown({ program }: Asking, { clauses, line }: Conjunction, feature: string, path: Path): Outcome {
  const template: Template = {
    id: -1,
    program,
    steps: [{ do: "unknown", feature, line, needsReparse: false }],
    slots: new Map(),
    unknown: feature,
  };
  return { path, source: rowSource(template, clauses[0]![0]!.flow), rival: null };
}

// --- Flows that match a conj_id ------------------------------------------------------------------------------------

const idsIn = new WeakMap<MapNode, ReadonlySet<number> | null>();

/** The ids that some row of a map matches; null when it does not compare them. */
function idsOf(map: MapNode): ReadonlySet<number> | null {
  const known = idsIn.get(map);
  if (known !== undefined) return known;
  const at = map.words.indexOf(KEY.conjId);
  const fixed = map.constants.find(({ word }) => word === KEY.conjId);
  const ids = at >= 0 ? new Set(map.keys[at]) : fixed === undefined ? null : new Set([fixed.value]);
  idsIn.set(map, ids);
  return ids;
}

/** Whether a node matches an id and no other; null when it matches any. */
export function matchesId(node: Node, id: number): boolean | null {
  if (node instanceof MapNode) return idsOf(node)?.has(id) ?? null;
  const test = node.tests.find(({ word }) => word === KEY.conjId);
  return test === undefined ? null : test.value === id;
}
