/**
 * The results of the conjunctive matches of one priority on a path. Open vSwitch visits the matching clauses
 * in an unspecified order and takes the first id that is complete and leads to a flow. If several ids are
 * complete, the result is certain if one of them is first in every order, or if all lead to flows that do
 * the same; otherwise the result is ambiguous, as for two ordinary flows of one priority.
 */
import { KEY } from "../../openflow/index.ts";
import type { Node } from "../symbolic/bands.ts";
import type { Program } from "../symbolic/compiled-tables.ts";
import { type Conjunction, doShare, outdoes, waysBefore } from "../symbolic/conjunctions.ts";
import { flowValues } from "../symbolic/slot-values.ts";
import { Subtable } from "../symbolic/sorted-subtable.ts";
import type { SlotValues } from "../symbolic/state.ts";
import type { Template } from "../symbolic/templates.ts";
import type { Word } from "../symbolic/terms.ts";
import type { Clauses } from "./clauses.ts";
import { differ } from "./matched-flows.ts";
import type { Path } from "./path-condition.ts";

/** The result of a lookup on a part of the path: a flow, no flow, or two flows of which either may match. */
export interface Outcome {
  readonly path: Path;
  readonly slotValues: SlotValues | null;
  readonly ambiguousWith: SlotValues | null;
}

const SILENT = "conjunction: an id without a flow, and another id of the same clauses";

/** The lookup that the conjunctive matches are part of. */
interface ConjunctionLookup {
  readonly program: Program;
  readonly clauses: Clauses;
  readonly key: readonly Word[];
  /** The results of a lookup with the conj_id of a conjunction on a path. */
  readonly lookUpId: (conjunction: Conjunction, path: Path) => readonly Outcome[];
}

/** A part of the path, and the complete ids without a flow so far. */
interface Pending {
  readonly path: Path;
  readonly silent: readonly Conjunction[];
}

/** Adds the results to `outcomes`; returns the paths without one. */
export function lookUpConjunctions(
  context: ConjunctionLookup,
  conjunctions: readonly Conjunction[],
  paths: readonly Path[],
  outcomes: Outcome[],
): readonly Path[] {
  const { clauses, key, lookUpId } = context;
  let pending: readonly Pending[] = paths.map(path => ({ path, silent: [] }));
  for (const [index, conjunction] of conjunctions.entries()) {
    const next: Pending[] = [];
    for (const { path, silent } of pending)
      for (const part of clauses.divide(conjunction.clauses, key, path)) {
        if (!part.isMet) next.push({ path: part.path, silent });
        else if (conjunction.oddity !== null)
          outcomes.push(unknown(context, conjunction, conjunction.oddity, part.path));
        else
          for (const answer of lookUpId(conjunction, part.path)) {
            if (answer.slotValues === null)
              next.push({ path: answer.path, silent: [...silent, conjunction] });
            else if (silent.some(other => doShare(other, conjunction)))
              outcomes.push(unknown(context, conjunction, SILENT, answer.path));
            else outcomes.push(...besideOthers(context, conjunction, conjunctions.slice(index + 1), answer));
          }
      }
    pending = next;
  }
  return pending.map(({ path }) => path);
}

/** The results of a complete id, divided by those of other ids that are complete, too. */
function besideOthers(
  context: ConjunctionLookup,
  own: Conjunction,
  others: readonly Conjunction[],
  answer: Outcome,
): readonly Outcome[] {
  const { slotValues, ambiguousWith } = answer;
  if (slotValues === null || ambiguousWith !== null) return [answer];
  const outcomes: Outcome[] = [];
  let rest: readonly Path[] = [answer.path];
  for (const other of others) {
    if (outdoes(own, other)) continue;
    const left: Path[] = [];
    for (const path of rest)
      for (const part of context.clauses.divide(other.clauses, context.key, path)) {
        if (!part.isMet) left.push(part.path);
        else left.push(...besideOne(context, { own, other, others, slotValues }, part.path, outcomes));
      }
    rest = left;
  }
  return [...outcomes, ...rest.map(path => ({ path, slotValues, ambiguousWith: null }))];
}

/** Two complete ids, the result of the first, and other ids that may be complete. */
interface Both {
  readonly own: Conjunction;
  readonly other: Conjunction;
  readonly others: readonly Conjunction[];
  readonly slotValues: SlotValues;
}

/** The paths on which another complete id makes no difference; adds the others to `outcomes`. */
function besideOne(
  context: ConjunctionLookup,
  both: Both,
  given: Path,
  outcomes: Outcome[],
): readonly Path[] {
  const { own, other, others, slotValues } = both;
  if (other.oddity !== null) {
    outcomes.push(unknown(context, other, other.oddity, given));
    return [];
  }
  const order = divideByWays(context, waysBefore(other, own), given);
  const left = [...order.never];
  for (const path of order.sometimes)
    for (const found of context.lookUpId(other, path)) {
      const isAnother =
        found.slotValues !== null &&
        (found.ambiguousWith !== null || differ(context.program, found.path, slotValues, found.slotValues));
      if (found.slotValues === null && doShare(own, other))
        outcomes.push(unknown(context, other, SILENT, found.path));
      else if (!isAnother) left.push(found.path);
      else {
        const back = divideByWays(context, waysBefore(own, other), found.path);
        for (const one of back.sometimes)
          outcomes.push(
            found.ambiguousWith !== null
              ? { ...found, path: one }
              : { path: one, slotValues, ambiguousWith: found.slotValues },
          );
        // There the other id is complete first in every order.
        const rest = others.filter(one => one !== other);
        for (const one of back.never)
          outcomes.push(...besideOthers(context, other, rest, { ...found, path: one }));
      }
    }
  return left;
}

/** Splits a path on which the ids are complete by whether one of some ways is possible. */
function divideByWays(
  { clauses, key }: ConjunctionLookup,
  ways: ReturnType<typeof waysBefore>,
  path: Path,
): { readonly sometimes: readonly Path[]; readonly never: readonly Path[] } {
  const sometimes: Path[] = [];
  let never: readonly Path[] = [path];
  for (const way of ways) {
    const parts = never.flatMap(one => clauses.divide(way, key, one));
    sometimes.push(...parts.filter(({ isMet }) => isMet).map(part => part.path));
    never = parts.filter(({ isMet }) => !isMet).map(part => part.path);
  }
  return { sometimes, never };
}

function unknown(
  { program }: ConjunctionLookup,
  { clauses, line }: Conjunction,
  feature: string,
  path: Path,
): Outcome {
  const { flow } = clauses[0]![0]!;
  const template: Template = {
    id: -1,
    first: flow,
    isMiss: false,
    flows: program.flows,
    steps: [
      {
        do: "unknown",
        feature,
        text: feature,
        line,
        needsReparse: false,
        inSet: null,
        freezing: "alone",
        bytes: [0, 1024],
      },
    ],
    slots: new Map(),
    unknown: feature,
  };
  return { path, slotValues: flowValues(template, flow), ambiguousWith: null };
}

// --- Flows that match conj_id
// --------------------------------------------------------------------------------------

const idsIn = new WeakMap<Subtable, ReadonlySet<number> | null>();

/** The conj_ids that the rows of a subtable match; null if it does not compare conj_id. */
function idsOf(subtable: Subtable): ReadonlySet<number> | null {
  const known = idsIn.get(subtable);
  if (known !== undefined) return known;
  const at = subtable.words.indexOf(KEY.conjId);
  const fixed = subtable.constants.find(({ word }) => word === KEY.conjId);
  const ids = at >= 0 ? new Set(subtable.keys[at]) : fixed === undefined ? null : new Set([fixed.value]);
  idsIn.set(subtable, ids);
  return ids;
}

/** Whether a node matches this conj_id and no other; null if it does not compare conj_id. */
export function matchesId(node: Node, id: number): boolean | null {
  if (node instanceof Subtable) return idsOf(node)?.has(id) ?? null;
  const test = node.tests.find(({ word }) => word === KEY.conjId);
  return test === undefined ? null : test.value === id;
}
