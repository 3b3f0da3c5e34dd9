/**
 * A lookup among many single flows: an index finds those that a path can match, so that a lookup costs what
 * overlaps with the path, not what the table holds.
 */
import { KEY } from "../../openflow/index.ts";
import type { Band, Rule } from "../symbolic/bands.ts";
import type { Cube } from "../symbolic/input-space.ts";
import { flowValues } from "../symbolic/slot-values.ts";
import { Subtable } from "../symbolic/sorted-subtable.ts";
import { maskOf, type Word } from "../symbolic/terms.ts";
import type { Outcome } from "./conjunctive.ts";
import { CubeIndex, type Known } from "./cube-index.ts";
import { type Clause, type Cubes, FREE, isOneBit } from "./cubes.ts";
import type { Path } from "./path-condition.ts";

/** Fewer flows are tried one after the other. */
const MIN_RULES = 16;
/** So few matches are not searched by the index. */
const FEW_CLAUSES = 200;

/** Bands of single flows, one behind the other, without flows of one priority that overlap. */
export interface RuleRun {
  readonly rules: readonly Rule[];
  readonly index: CubeIndex<number>;
}

/** A table in parts, the highest priority first. */
export type Part = RuleRun | Band;

const partsOf = new WeakMap<readonly Band[], readonly Part[]>();

/** The parts of a table. */
export function tableParts(bands: readonly Band[]): readonly Part[] {
  let parts = partsOf.get(bands);
  if (parts === undefined) {
    parts = [...divided(bands)];
    partsOf.set(bands, parts);
  }
  return parts;
}

function* divided(bands: readonly Band[]): Generator<Part> {
  let run: Band[] = [];
  for (const band of [...bands, null]) {
    if (band !== null && isPlain(band)) {
      run.push(band);
      continue;
    }
    const rules = run.flatMap(({ nodes }) => nodes as readonly Rule[]);
    if (rules.length >= MIN_RULES) yield { rules, index: indexOf(rules) };
    else yield* run;
    run = [];
    if (band !== null) yield band;
  }
}

const isPlain = ({ nodes, overlapping, conjunctions, hidden }: Band): boolean =>
  conjunctions.length === 0 &&
  hidden.size === 0 &&
  overlapping.every(({ length }) => length === 0) &&
  nodes.every(node => !(node instanceof Subtable) && node.tests.every(({ word }) => word !== KEY.conjId));

const indexOf = (rules: readonly Rule[]): CubeIndex<number> =>
  new CubeIndex(rules.map(({ tests }) => tests.map(({ word, mask, value }) => ({ of: word, mask, value }))));

/** The bits of key words that a path gives. */
function knownOn(path: Path, key: readonly Word[]): Known<number> {
  const known = new Map<number, { mask: number; value: number }>();
  return at => {
    let bits = known.get(at);
    if (bits === undefined) {
      bits = bitsOf(path.cubes, key[at]!);
      known.set(at, bits);
    }
    return bits;
  };
}

function bitsOf(cubes: Cubes, word: Word): { mask: number; value: number } {
  let [mask, value, at] = [0, 0, 0];
  for (const segment of word.segments) {
    if (at >= 32) break;
    const bits = maskOf(segment.bits);
    if (segment.is === "const") {
      mask |= bits << at;
      value |= (segment.value & bits) << at;
    } else if (segment.is === "atom") {
      const cube = cubes.get(segment.atom) ?? FREE;
      mask |= ((cube.mask >>> segment.from) & bits) << at;
      value |= ((cube.value >>> segment.from) & bits) << at;
    }
    at += segment.bits;
  }
  return { mask: mask >>> 0, value: value >>> 0 };
}

/** Looks up a run on a path: adds an outcome for each rule that can match, and returns what matches none. */
export function lookUpRun(
  run: RuleRun,
  key: readonly Word[],
  path: Path,
  outcomes: Outcome[],
): readonly Path[] {
  path.budget.step();
  const known = knownOn(path, key);
  const candidates = run.index.find(known);
  const denied = new Denied(run, known);
  let rest = path;
  for (const [tried, at] of candidates.entries()) {
    path.budget.step();
    const { tests, template, flow } = run.rules[at]!;
    const flat = rest.flatten(tests.map(({ word, mask, value }) => ({ word: key[word]!, mask, value })));
    if (flat === null) continue;
    // Rows that were matched before decide: one after the other.
    if (flat.columns.size > 0)
      return oneByOne(run, candidates.slice(tried), key, denied.missed(rest), outcomes);
    const { literals } = flat;
    const clauses = denied.within(at);
    if (clauses === null) continue;
    const yes = rest.assumeAndDeny(literals, clauses);
    if (yes !== null)
      outcomes.push({ path: yes, slotValues: flowValues(template, flow), ambiguousWith: null });
    if (literals.length === 0) return [];
    if (yes === null) continue;
    const [only] = literals;
    if (literals.length === 1 && isOneBit(only!.mask)) {
      const failed = rest.deny(literals);
      if (failed === null) return [];
      rest = failed;
    } else denied.add(at, literals);
    if (denied.isTimeToAsk() && denied.missed(rest).length === 0) return [];
  }
  return denied.missed(rest);
}

const met = (a: Cube, b: Cube): Cube => ({ mask: a.mask | b.mask, value: a.value | b.value });

/** The matches that a path does not have. */
class Denied {
  readonly #run: RuleRun;
  readonly #known: Known<number>;
  readonly #clauses = new Map<number, Clause>();
  #nextQuestion = 4;

  constructor(run: RuleRun, known: Known<number>) {
    this.#run = run;
    this.#known = known;
  }

  add(at: number, clause: Clause): void {
    this.#clauses.set(at, clause);
  }

  /** Those that a packet may have that matches a rule; null if it has one for certain. */
  within(at: number): readonly Clause[] | null {
    if (this.#clauses.size < FEW_CLAUSES) return [...this.#clauses.values()];
    const { rules, index } = this.#run;
    const { tests } = rules[at]!;
    const own = new Map(tests.map(test => [test.word, met(this.#known(test.word), test)]));
    const bits: Known<number> = word => own.get(word) ?? this.#known(word);
    if (index.covers(bits, other => this.#clauses.has(other))) return null;
    const found = index.find(bits);
    return found.map(other => this.#clauses.get(other)).filter(clause => clause !== undefined);
  }

  /** Now and then: rules may already match all of a path, long before the last one. */
  isTimeToAsk(): boolean {
    if (this.#clauses.size < this.#nextQuestion) return false;
    this.#nextQuestion *= 2;
    return true;
  }

  /** What is left of a path. */
  missed(path: Path): readonly Path[] {
    if (this.#clauses.size === 0) return [path];
    const missed = path.assumeAndDeny([], [...this.#clauses.values()]);
    return missed === null ? [] : [missed];
  }
}

function oneByOne(
  { rules }: RuleRun,
  candidates: readonly number[],
  key: readonly Word[],
  given: readonly Path[],
  outcomes: Outcome[],
): readonly Path[] {
  let rest = given;
  for (const at of candidates) {
    const { tests, template, flow } = rules[at]!;
    const left: Path[] = [];
    for (const path of rest) {
      path.budget.step();
      const { yes, no } = path.split(
        tests.map(({ word, mask, value }) => ({ word: key[word]!, mask, value })),
      );
      left.push(...no);
      if (yes !== null)
        outcomes.push({ path: yes, slotValues: flowValues(template, flow), ambiguousWith: null });
    }
    rest = left;
    if (rest.length === 0) break;
  }
  return rest;
}
