/**
 * Turns candidates into counterexamples: finds an input, encodes it as a frame, cross-checks it, and lets
 * the interpreter confirm that the outcomes differ. Only confirmed differences are reported. Differences
 * with the same matched flows on both sides are grouped, with a count.
 */
import {
  type Ambiguity,
  type EnteringState,
  extract,
  type Flow,
  KEY,
  KEY_WORDS,
  type Outcome,
} from "../../openflow/index.ts";
import type { Behaviour, Difference, Findings, FlowLine } from "../findings.ts";
import type { Path } from "../paths/path-condition.ts";
import type { Candidate } from "../product/compare-packets.ts";
import type { Listener, Pair, Product } from "../product/lockstep.ts";
import type { Program } from "../symbolic/compiled-tables.ts";
import { isTunnel, TUNNEL_WORDS } from "../symbolic/entering.ts";
import { SNAP_WORD } from "../symbolic/extractions.ts";
import { FRAME_FORMATS, INPUT_WORDS } from "../symbolic/input-space.ts";
import type { Hit, State } from "../symbolic/state.ts";
import type { Template } from "../symbolic/templates.ts";
import type { Word } from "../symbolic/terms.ts";
import { accompanying, type ComparisonRules, ConfirmingInterpreter, surelyDiffer } from "./confirm.ts";
import { agreesWithOutcome } from "./cross-check.ts";
import { frameOf, isExact } from "./encode-frame.ts";
import { evaluate, type Input, Solver } from "./find-input.ts";
import { differingFields } from "./output-diff.ts";
import { countAlike, countRowsLike, DifferingRows, RowFinder } from "./rows.ts";
import { TrackerAnswers } from "./tracker-answers.ts";

/** The length limit of a frame. */
const MAX_FRAME_BYTES = 65_535;
/** Inputs to try for one candidate before it counts as unconfirmed. */
const TRIES = 4;
/** Frames of one group to consider for the most ordinary one. */
const MAX_CONSIDERED = 8;
/** A frame whose labels are also a packet, or whose LLC header is labels, would be necessary. */
/** Each side asks the tracker something that the other does not: nothing ties the answers together. */
const UNLIKE = "ct, which the other side asks something else";
const EXTRACTED_TWICE = "bytes that are extracted in more than one way";

/** Differences with the same matched flows on both sides. */
interface Group {
  /** Index of the reported difference. */
  index: number;
  /** The affected rows of the table, and how many rows matched together. */
  readonly rows: DifferingRows;
  of: number;
  /** Distance of the reported frame from an ordinary one. */
  oddness: readonly number[];
  considered: number;
}

/** Receives the results of the product construction and adds the confirmed ones to the findings. */
export class Counterexamples implements Listener {
  readonly #findings: Findings;
  readonly #product: Product;
  readonly #programs: readonly [Program, Program];
  readonly #solver: Solver;
  readonly #groups = new Map<string, Group>();
  /**
   * Candidates without a frame: reported as unknown unless another candidate of the same group has a frame.
   */
  readonly #unconfirmed = new Map<string, string>();
  readonly #interpreters: readonly [ConfirmingInterpreter, ConfirmingInterpreter];
  readonly #rules: ComparisonRules;
  readonly #finder: RowFinder;
  readonly #hasRows: boolean;

  constructor(
    programs: readonly [Program, Program],
    product: Product,
    findings: Findings,
    { ignored, hasRows }: { readonly ignored: ComparisonRules["ignored"]; readonly hasRows: boolean },
  ) {
    this.#hasRows = hasRows;
    this.#rules = { ignored, ports: product.extractions.space.ports };
    this.#findings = findings;
    this.#product = product;
    this.#programs = programs;
    this.#solver = new Solver(product.extractions);
    this.#interpreters = [new ConfirmingInterpreter(programs[0]), new ConfirmingInterpreter(programs[1])];
    this.#finder = new RowFinder(programs, this.#solver, (pair, path, input, minBytes) => {
      const frame = padded(frameOf(this.#product.extractions, input, extractionOf(pair)), minBytes);
      const { outcomes, tracker } = this.#runBoth(pair, path, input, frame);
      const isSure = !tracker.isContradictory && !tracker.areQuestionsUnlike;
      return isSure && surelyDiffer(...outcomes, this.#rules) ? outcomes : null;
    });
  }

  unknown(pair: Pair, side: 0 | 1, feature: string, line: number): boolean {
    const name = side === 0 ? "a" : "b";
    if (this.#findings.unknowns.has(`${name} ${feature} ${line}`)) return true;
    const search = this.#solver.find(pair.path);
    if (search.input !== null || !search.isProof) this.#findings.unknownAt(name, feature, line);
    return true;
  }

  ambiguous(pair: Pair, side: 0 | 1): boolean {
    if (this.#findings.ambiguities.length >= this.#findings.max) return true;
    let isOpen = false;
    let isExactly = true;
    for (let skip = 0; skip < TRIES; skip++) {
      const search = this.#solver.find(pair.path, skip);
      if (search.input === null) {
        if (skip === 0 && search.isProof) return true;
        break;
      }
      const frame = frameOf(this.#product.extractions, search.input, extractionOf(pair));
      const inPort = portOf(search.input);
      const entering = this.#enteringOf(search.input);
      const tracker = new TrackerAnswers(pair, wordsOf(pair.path, search.input));
      const outcome = this.#interpreters[side].run(inPort, frame, entering, tracker.of(side));
      const [found] = tracker.isContradictory ? [] : outcome.ambiguous;
      isExactly &&= this.#isExact(pair, search.input);
      for (const { feature, line } of outcome.unknown) {
        isOpen = true;
        this.#findings.unknownAt(side === 0 ? "a" : "b", feature, line);
      }
      if (found === undefined) continue;
      this.#findings.ambiguities.push({
        side: side === 0 ? "a" : "b",
        inPort,
        frame,
        state: entering,
        tracker: tracker.states,
        flows: linesOf(found),
      });
      return true;
    }
    if (isOpen) return true;
    const feature = isExactly ? "unconfirmed ambiguity" : EXTRACTED_TWICE;
    this.#findings.unknownAt(side === 0 ? "a" : "b", feature, 0);
    return true;
  }

  differs(pair: Pair, { path, what, unknown, minBytes }: Candidate): boolean {
    const name = `${chainName(pair.a)} / ${chainName(pair.b)} ${what}`;
    const group = this.#groups.get(name);
    if (group !== undefined) {
      if (unknown === null) this.#improve(group, pair, path, what, minBytes ?? 0);
      if (unknown === null) this.#count(group, pair, path, minBytes ?? 0);
      return true;
    }
    let isOpen = false;
    let isExactly = true;
    let skip = 0;
    for (; skip < TRIES; skip++) {
      const search = this.#solver.find(path, skip);
      if (search.input === null) {
        if (skip === 0 && search.isProof) return true;
        break;
      }
      if (unknown !== null) {
        const side = unknown.side === undefined ? null : unknown.side === 0 ? "a" : "b";
        this.#findings.unknownAt(side, unknown.feature, unknown.line);
        return true;
      }
      isExactly &&= this.#isExact(pair, search.input);
      const confirmed = this.#confirm(pair, path, search.input, what, minBytes ?? 0);
      if (confirmed === "open") isOpen = true;
      if (confirmed === null || confirmed === "open") continue;
      const made: Group = {
        index: this.#findings.differences.length,
        rows: confirmed.rows,
        of: 0,
        oddness: oddnessOf(search.input),
        considered: 1,
      };
      this.#groups.set(name, made);
      this.#findings.differences.push(confirmed);
      this.#count(made, pair, path, minBytes ?? 0);
      return this.#findings.differences.length < this.#findings.max;
    }
    if (isOpen) return true;
    this.#unconfirmed.set(name, isExactly ? `unconfirmed difference (${what})` : EXTRACTED_TWICE);
    return true;
  }

  /** Replaces the frame of a group if another path has a more ordinary one. */
  #improve(group: Group, pair: Pair, path: Path, what: string, minBytes: number): void {
    if (!isLess(this.#leastOddness(path), group.oddness) || group.considered++ >= MAX_CONSIDERED) return;
    const { input } = this.#solver.find(path);
    if (input === null) return;
    const oddness = oddnessOf(input);
    if (!isLess(oddness, group.oddness)) return;
    const { frame, both } = this.#run(pair, path, input, minBytes);
    if (both === null || both.outcomes.some(isOpen) || both.tracker.areQuestionsUnlike) return;
    const confirmed = this.#differenceOf(input, frame, both, what);
    if (confirmed === null) return;
    group.oddness = oddness;
    this.#findings.differences[group.index] = confirmed;
  }

  /** A lower bound of the oddness of all frames on a path. */
  #leastOddness({ cubes, formatBits }: Path): readonly number[] {
    const isSet = (word: number): number =>
      (cubes.get(this.#product.extractions.atom(0, word))?.value ?? 0) === 0 ? 0 : 1;
    const format = 31 - Math.clz32(formatBits[0]! & -formatBits[0]!);
    return [isSet(SNAP_WORD), isSet(KEY.vlanTci), format, 0];
  }

  /** Sorts the differences by the oddness of their frames, and reports the unconfirmed candidates. */
  finish(): void {
    for (const [name, feature] of this.#unconfirmed)
      if (!this.#groups.has(name)) this.#findings.unknownAt(null, feature, 0);
    const groups = [...this.#groups.values()].sort((a, b) =>
      isLess(a.oddness, b.oddness) ? -1 : isLess(b.oddness, a.oddness) ? 1 : 0,
    );
    for (const { rows } of groups) rows.sort();
    const { differences } = this.#findings;
    differences.splice(0, differences.length, ...groups.map(({ index }) => differences[index]!));
    for (const [index, group] of groups.entries()) group.index = index;
  }

  /** Whether the extractions of an input belong to one frame. */
  #isExact({ a, b }: Pair, input: Input): boolean {
    const formatBits = [a, b].map(({ packet }) => packet.extraction).filter(extraction => extraction > 0);
    if (new Set(formatBits).size > 1 || Math.max(a.recirculations, b.recirculations) > 1) return false;
    return formatBits.every(extraction => isExact(this.#product.extractions, input, extraction));
  }

  /** Adds the rows of one more path to a group; a row that matches on several paths counts once. */
  #count(group: Group, pair: Pair, path: Path, minBytes: number): void {
    if (!this.#hasRows) return;
    this.#finder.find(group.rows, pair, path, minBytes);
    group.of = Math.max(group.of, countAlike(pair));
    if (group.of === 0 && group.rows.count > 0) {
      const { a, b } = group.rows.at(0);
      group.of = Math.max(countRowsLike(this.#programs[0], a), countRowsLike(this.#programs[1], b));
    }
    const { index, rows, of } = group;
    const affected =
      of === 0 ? "every frame of its class" : `${rows.count} of ${Math.max(of, rows.count)} rows`;
    this.#findings.differences[index] = { ...this.#findings.differences[index]!, affected, rows, alike: of };
  }

  /** The frame of an input and both outcomes; null outcomes if the cross-check fails. */
  #run(
    pair: Pair,
    path: Path,
    input: Input,
    minBytes: number,
  ): { readonly frame: Uint8Array; readonly both: Both | null } {
    const frame = padded(frameOf(this.#product.extractions, input, extractionOf(pair)), minBytes);
    if (this.#isExact(pair, input) && !isReadAs(frame, input)) return { frame, both: null };
    const both = this.#runBoth(pair, path, input, frame);
    const { outcomes, tracker } = both;
    const isAsSaid =
      outcomes.some(isOpen) ||
      (!tracker.isContradictory &&
        agreesWithOutcome(pair.a.out, path, input, outcomes[0]) &&
        agreesWithOutcome(pair.b.out, path, input, outcomes[1]));
    return { frame, both: isAsSaid ? both : null };
  }

  /** Runs a frame with both tables, and with the answers that the input gives in place of the tracker's. */
  #runBoth(pair: Pair, path: Path, input: Input, frame: Uint8Array): Both {
    const tracker = new TrackerAnswers(pair, wordsOf(path, input));
    const [inPort, entering] = [portOf(input), this.#enteringOf(input)];
    const run = (side: 0 | 1): Outcome =>
      this.#interpreters[side].run(inPort, frame, entering, tracker.of(side));
    return { outcomes: [run(0), run(1)], tracker };
  }

  #confirm(pair: Pair, path: Path, input: Input, what: string, minBytes: number): Found | "open" | null {
    const { frame, both } = this.#run(pair, path, input, minBytes);
    if (both === null) return null;
    const { outcomes, tracker } = both;
    const inPort = portOf(input);
    if (tracker.areQuestionsUnlike) {
      for (const { side, line } of tracker.states)
        if (side !== "both") this.#findings.unknownAt(side, UNLIKE, line);
      return "open";
    }
    if (!outcomes.some(isOpen)) {
      const confirmed = this.#differenceOf(input, frame, both, what);
      if (confirmed !== null || outcomes.every(({ unknown }) => unknown.length === 0)) return confirmed;
    }
    for (const [side, { unknown, ambiguous }] of outcomes.entries()) {
      const name = side === 0 ? "a" : "b";
      for (const { feature, line } of unknown) this.#findings.unknownAt(name, feature, line);
      for (const found of ambiguous) {
        if (this.#findings.ambiguities.length >= this.#findings.max) break;
        const state = this.#enteringOf(input);
        const flows = linesOf(found);
        this.#findings.ambiguities.push({
          side: name,
          inPort,
          frame,
          state,
          tracker: tracker.states,
          flows,
        });
      }
    }
    return "open";
  }

  /** The accompanying state of an input. */
  #enteringOf(input: Input): EnteringState {
    const words = this.#product.extractions.space.entering.map(
      word => [word, input.valueOf(0, word)] as const,
    );
    return new Map(words.filter(([, value]) => value !== 0));
  }

  /** Null if the outcomes do not differ for certain. The rows are added later. */
  #differenceOf(
    input: Input,
    frame: Uint8Array,
    { outcomes: [a, b], tracker }: Both,
    what: string,
  ): Found | null {
    if (!surelyDiffer(a, b, this.#rules)) return null;
    const inPort = portOf(input);
    const state = this.#enteringOf(input);
    const confirmed = what.startsWith("word ") ? differingFields(a, b, this.#rules) : what;
    const tunnels = tunnelsIn(inPort, state, [a, b], this.#rules);
    const rows = new DifferingRows(this.#programs);
    const sides = { a: behaviourOf(a), b: behaviourOf(b) };
    const found = { inPort, frame, state, tunnels, tracker: tracker.states, ...sides };
    return { ...found, what: confirmed, affected: "", rows, alike: 0 };
  }
}

/** The outcomes of one frame on both sides, and the answers of the tracker that they got. */
interface Both {
  readonly outcomes: readonly [Outcome, Outcome];
  readonly tracker: TrackerAnswers;
}

/** The values of words for an input. */
const wordsOf =
  (path: Path, input: Input): ((word: Word) => number) =>
  word =>
    evaluate(path, input.elements, word, input.valued);

const isOpen = ({ effects }: Outcome): boolean => effects === null;

interface Found extends Difference {
  readonly rows: DifferingRows;
}

const behaviourOf = (outcome: Outcome): Behaviour => ({
  ...outcome.effects!,
  errors: outcome.errors,
  flows: outcome.tables.flatMap(({ flow, clauses }) => {
    if (flow === null) return [];
    return [clauses === undefined ? lineOf(flow) : { ...lineOf(flow), clauses: clauses.map(lineOf) }];
  }),
});

/** Ports that must be tunnels for two outcomes to differ, if it is not known whether they are. */
function tunnelsIn(
  inPort: number,
  state: EnteringState,
  [a, b]: readonly [Outcome, Outcome],
  by: ComparisonRules,
): number[] {
  const isOpenPort = (port: number): boolean => isTunnel(by.ports, port) === null;
  const found = new Set<number>();
  if ([...state.keys()].some(word => TUNNEL_WORDS.includes(word)) && isOpenPort(inPort)) found.add(inPort);
  const outputs = [a, b].flatMap(({ effects }) => effects!.outputs.map(({ port }) => port));
  const others = new Set([...by.ports.others, ...outputs.filter(isOpenPort)]);
  // If the outcomes differ with none of these ports as a tunnel, it does not matter.
  if (surelyDiffer(a, b, { ...by, ports: { ...by.ports, others } })) return [...found];
  for (const [index, output] of a.effects!.outputs.entries()) {
    const other = b.effects!.outputs[index];
    if (other === undefined || !isOpenPort(output.port)) continue;
    if (accompanying(output, by).join() !== accompanying(other, by).join()) found.add(output.port);
  }
  return [...found];
}

/** Both flows, the first one with the clauses that led to it. */
function linesOf({ flows: [first, second], clauses }: Ambiguity): readonly [FlowLine, FlowLine] {
  const confirmed = lineOf(first);
  return [clauses === undefined ? confirmed : { ...confirmed, clauses: clauses.map(lineOf) }, lineOf(second)];
}

const lineOf = ({ source, text }: Flow): FlowLine => ({ file: source.file, line: source.line, text });

/** A frame may have any padding behind its packet. */
function padded(frame: Uint8Array, bytes: number): Uint8Array {
  if (frame.length >= bytes) return frame;
  const long = new Uint8Array(Math.min(bytes, MAX_FRAME_BYTES));
  long.set(frame);
  return long;
}

/** LOCAL is 65534 for people. */
function portOf(input: Input): number {
  const port = input.valueOf(0, KEY.inPort);
  return port > 0xffff ? port & 0xffff : port;
}

const extractionOf = ({ a, b }: Pair): number => Math.max(a.packet.extraction, b.packet.extraction);

const formats = new WeakMap<Template, string>();
const NUMBERS = /\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b|\b0x[0-9a-f]+\b|\d+/gi;

/**
 * Table, priority and text of a flow without its numbers: equal for the rows of a table and for similar
 * flows.
 */
function patternOf({ slotValues, table }: Hit): string {
  const { template } = slotValues;
  if (template === null) return "";
  let format = formats.get(template);
  if (format === undefined) {
    const { priority, text } = template.flows.flow(template.first);
    format = `${priority} ${text.replace(NUMBERS, "#")}`;
    formats.set(template, format);
  }
  return `${table} ${format}`;
}

const chainName = ({ hits }: State): string => hits.map(patternOf).join("\n");

/** Whether the extraction of a frame returns the words from which it was encoded. */
function isReadAs(frame: Uint8Array, input: Input): boolean {
  const key = new Uint32Array(KEY_WORDS);
  extract(frame, key, { labelsAt: 0, layer3At: 0, layer4At: 0, paddingBytes: 0 });
  return INPUT_WORDS.every(word => word === KEY.inPort || key[word] === input.valueOf(0, word));
}

/**
 * Distance of an input from ordinary frames, the most important component first; zeros are the most
 * ordinary. Formats are sorted by how ordinary they are. A port other than 1 is needed for the difference.
 */
function oddnessOf(input: Input): readonly number[] {
  const format = FRAME_FORMATS.indexOf(input.formats[0]!);
  return [
    input.valueOf(0, SNAP_WORD),
    input.valueOf(0, KEY.vlanTci) === 0 ? 0 : 1,
    format,
    portOf(input) - 1,
  ];
}

/** Whether a list is lexicographically less than another one of its length. */
function isLess(a: readonly number[], b: readonly number[]): boolean {
  const at = a.findIndex((degree, index) => degree !== b[index]);
  return at >= 0 && a[at]! < b[at]!;
}
