/**
 * A lookup on a path: the flows that can match, the highest priority first, each with its part of the path,
 * and the rest of the path for a table miss. subtable-lookup.ts handles subtables, conjunctive.ts the
 * conjunctive matches.
 */
import { KEY } from "../../openflow/index.ts";
import type { Band, Node } from "../symbolic/bands.ts";
import type { Program } from "../symbolic/compiled-tables.ts";
import type { Conjunction } from "../symbolic/conjunctions.ts";
import { flowValues } from "../symbolic/slot-values.ts";
import { Subtable } from "../symbolic/sorted-subtable.ts";
import type { SlotValues, State } from "../symbolic/state.ts";
import type { Terms, Word } from "../symbolic/terms.ts";
import { Clauses } from "./clauses.ts";
import { lookUpConjunctions, matchesId, type Outcome } from "./conjunctive.ts";
import { differ } from "./matched-flows.ts";
import type { Path } from "./path-condition.ts";
import { lookUpRun, tableParts } from "./rule-run.ts";
import { type Found, SubtableLookups } from "./subtable-lookup.ts";

export class Lookups {
  readonly #terms: Terms;
  readonly #clauses: Clauses;
  readonly #subtables: SubtableLookups;

  constructor(terms: Terms) {
    this.#terms = terms;
    this.#clauses = new Clauses(terms);
    this.#subtables = new SubtableLookups(terms);
  }

  /** All results of a state's pending lookup. */
  run(program: Program, state: State, path: Path): Outcome[] {
    const { lookup } = state;
    if (lookup === null) throw new Error("internal error: there is no pending lookup");
    const key = state.flow.with(KEY.inPort, lookup.inPort);
    const outcomes: Outcome[] = [];
    const bands = program.tables.get(lookup.table) ?? [];
    const id = key[KEY.conjId]!.value ?? 0;
    let rest: readonly Path[] = [path];
    for (const band of tableParts(bands)) {
      if ("index" in band) {
        rest = rest.flatMap(left => lookUpRun(band, key, left, outcomes));
        continue;
      }
      rest = this.#ordinary(program, band, key, rest, outcomes, node => matchesId(node, id) !== false);
      if (band.conjunctions.length > 0 && rest.length > 0) {
        const lookUpId = (conjunction: Conjunction, on: Path): readonly Outcome[] =>
          this.#lookUpId(program, bands, key, conjunction, on);
        const context = { program, clauses: this.#clauses, key, lookUpId };
        rest = lookUpConjunctions(context, band.conjunctions, rest, outcomes);
      }
      if (rest.length === 0) break;
    }
    return [...outcomes, ...rest.map(left => ({ path: left, slotValues: null, ambiguousWith: null }))];
  }

  /**
   * A lookup with a conj_id. On this path no flow of the conjunction's priority or a higher one matches
   * without a conj_id, so of those only flows that compare it are candidates. Clauses do not match, but they
   * hide flows.
   */
  #lookUpId(
    program: Program,
    bands: readonly Band[],
    given: readonly Word[],
    { id, priority }: Conjunction,
    path: Path,
  ): readonly Outcome[] {
    const key = given.with(KEY.conjId, this.#terms.constant(id));
    const outcomes: Outcome[] = [];
    let rest: readonly Path[] = [path];
    for (const band of bands) {
      const isCandidate = (node: Node): boolean => {
        const matches = matchesId(node, id);
        return matches === true || (matches === null && band.priority < priority);
      };
      const isFound = (node: Node): boolean => isCandidate(node) && !band.hidden.has(node);
      rest = this.#ordinary(program, band, key, rest, outcomes, isFound);
      if (rest.length === 0) break;
    }
    return [...outcomes, ...rest.map(left => ({ path: left, slotValues: null, ambiguousWith: null }))];
  }

  /** The ordinary flows of a band for which `isCandidate` holds. */
  #ordinary(
    program: Program,
    { nodes, overlapping }: Band,
    key: readonly Word[],
    paths: readonly Path[],
    outcomes: Outcome[],
    isCandidate: (node: Node) => boolean,
  ): readonly Path[] {
    let rest = paths;
    for (const [index, node] of nodes.entries()) {
      if (!isCandidate(node)) continue;
      const left: Path[] = [];
      for (const path of rest) {
        const found = this.#node(node, key, path);
        left.push(...found.misses);
        for (const hit of found.hits) {
          const others = overlapping[index]!.map(other => nodes[other]!).filter(isCandidate);
          if (others.length === 0) outcomes.push({ ...hit, ambiguousWith: null });
          else outcomes.push(...this.#withOverlapping(program, hit, others, key));
        }
      }
      rest = left;
      if (rest.length === 0) break;
    }
    return rest;
  }

  /** Splits off the parts where another flow of the same priority matches, too, and acts differently. */
  #withOverlapping(
    program: Program,
    hit: { path: Path; slotValues: SlotValues },
    others: readonly Node[],
    key: readonly Word[],
  ): Outcome[] {
    const outcomes: Outcome[] = [];
    let rest: readonly Path[] = [hit.path];
    for (const other of others) {
      const left: Path[] = [];
      for (const path of rest) {
        const found = this.#node(other, key, path);
        left.push(...found.misses);
        for (const { path: both, slotValues } of found.hits) {
          if (differ(program, both, hit.slotValues, slotValues))
            outcomes.push({ path: both, slotValues: hit.slotValues, ambiguousWith: slotValues });
          else left.push(both);
        }
      }
      rest = left;
    }
    return [...outcomes, ...rest.map(path => ({ path, slotValues: hit.slotValues, ambiguousWith: null }))];
  }

  #node(node: Node, key: readonly Word[], path: Path): Found {
    path.budget.step();
    if (node instanceof Subtable) return this.#subtables.find(node, key, path);
    const { yes, no } = path.split(
      node.tests.map(({ word, mask, value }) => ({ word: key[word]!, mask, value })),
    );
    return {
      hits: yes === null ? [] : [{ path: yes, slotValues: flowValues(node.template, node.flow) }],
      misses: no,
    };
  }
}
