/**
 * From classes of frames that differ to differences that can be shown: a frame of the class is looked for, made into
 * bytes, and run through the interpreter with both tables. Only what differs there too is told as a difference; differences
 * with the same flows on both sides are one, with a count.
 */
import { extract, type Flow, KEY, KEY_WORDS, type Outcome } from "../../openflow/index.ts";
import type { Candidate } from "./compare.ts";
import { Confirming, chainOf, sameOutcome } from "./confirm.ts";
import { fieldsBetween } from "./fields-between.ts";
import type { Behaviour, Difference, Findings, FlowLine } from "./findings.ts";
import { isForetold } from "./foretold.ts";
import { frameOf, isExact } from "./frame.ts";
import type { Path } from "./path.ts";
import type { Listener, Pair, Product } from "./product.ts";
import type { Program } from "./program.ts";
import { countLanes, lanesOf } from "./rivals.ts";
import { isLanes, type LaneSource } from "./sources.ts";
import { INPUT_WORDS } from "./space.ts";
import type { State } from "./state.ts";
import { type Input, Solver } from "./witness.ts";

/** No frame is longer. */
const MAX_FRAME_BYTES = 65_535;
/** Inputs of one candidate that are tried before it counts as unconfirmed. */
const TRIES = 4;
/** A frame would have to be found whose labels are also a packet, or its LLC header labels. */
const READ_TWICE = "bytes that are read in more than one way";

/** Differences with the same flows on both sides. */
interface Group {
  /** Of the one that is told. */
  readonly index: number;
  /** Rows of the table that are affected, and how many are hit alike. */
  readonly rows: Set<number>;
  of: number;
}

/** Hears of classes that differ, and adds those to the findings for which there is a frame that the interpreter confirms. */
export class Showing implements Listener {
  readonly #findings: Findings;
  readonly #product: Product;
  readonly #solver: Solver;
  readonly #groups = new Map<string, Group>();
  readonly #interpreters: readonly [Confirming, Confirming];

  constructor(programs: readonly [Program, Program], product: Product, findings: Findings) {
    this.#findings = findings;
    this.#product = product;
    this.#solver = new Solver(product.readings);
    this.#interpreters = [new Confirming(programs[0]), new Confirming(programs[1])];
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
      const frame = frameOf(this.#product.readings, search.input, readingOf(pair));
      const inPort = portOf(search.input);
      const outcome = this.#interpreters[side].run(inPort, frame);
      const [found] = outcome.ambiguous;
      isExactly &&= this.#isExact(pair, search.input);
      for (const { feature, line } of outcome.unknown) {
        isOpen = true;
        this.#findings.unknownAt(side === 0 ? "a" : "b", feature, line);
      }
      if (found === undefined) continue;
      const [first, second] = found.flows.map(lineOf);
      this.#findings.ambiguities.push({
        side: side === 0 ? "a" : "b",
        inPort,
        frame,
        flows: [first!, second!],
      });
      return true;
    }
    if (isOpen) return true;
    const feature = isExactly ? "unconfirmed ambiguity" : READ_TWICE;
    this.#findings.unknownAt(side === 0 ? "a" : "b", feature, 0);
    return true;
  }

  differs(pair: Pair, { path, what, unknown, minBytes }: Candidate): boolean {
    const name = `${chainName(pair.a)} / ${chainName(pair.b)} ${what}`;
    const group = this.#groups.get(name);
    if (group !== undefined) {
      this.#count(group, pair, path);
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
        this.#findings.unknownAt(null, unknown.feature, unknown.line);
        return true;
      }
      isExactly &&= this.#isExact(pair, search.input);
      const told = this.#confirm(pair, path, search.input, what, minBytes ?? 0);
      if (told === "open") isOpen = true;
      if (told === null || told === "open") continue;
      const made: Group = { index: this.#findings.differences.length, rows: new Set(), of: 0 };
      this.#groups.set(name, made);
      this.#findings.differences.push(told);
      this.#count(made, pair, path);
      return this.#findings.differences.length < this.#findings.max;
    }
    if (isOpen) return true;
    this.#findings.unknownAt(null, isExactly ? `unconfirmed difference (${what})` : READ_TWICE, 0);
    return true;
  }

  /** Whether the words of an input are those of one frame. */
  #isExact({ a, b }: Pair, input: Input): boolean {
    const contents = [a, b].map(({ packet }) => packet.content).filter(content => content > 0);
    if (new Set(contents).size > 1 || Math.max(a.recirculations, b.recirculations) > 1) return false;
    return contents.every(content => isExact(this.#product.readings, input, content));
  }

  /** Adds the rows of one more path to those that are affected; a row that is hit in several ways is one. */
  #count(group: Group, pair: Pair, path: Path): void {
    const source = rowsHit(pair);
    if (source !== null) {
      const lanes = lanesOf(source.domain, path);
      const count = countLanes(source.domain, path);
      for (let i = 0; i < count; i++) group.rows.add(source.flowOf(lanes(i)));
      group.of = Math.max(group.of, countLanes(source.domain, pair.path));
    }
    const { index, rows, of } = group;
    const affected = rows.size === 0 ? "every frame of its class" : `${rows.size} of ${of} rows`;
    this.#findings.differences[index] = { ...this.#findings.differences[index]!, affected };
  }

  #confirm(pair: Pair, path: Path, input: Input, what: string, minBytes: number): Difference | "open" | null {
    const frame = padded(frameOf(this.#product.readings, input, readingOf(pair)), minBytes);
    if (this.#isExact(pair, input) && !isReadAs(frame, input)) return null;
    const inPort = portOf(input);
    const outcomes = ([0, 1] as const).map(side => this.#interpreters[side].run(inPort, frame));
    const [a, b] = outcomes as [Outcome, Outcome];
    if (outcomes.some(({ verdict }) => verdict === "unknown" || verdict === "ambiguous")) {
      for (const [side, { unknown, ambiguous }] of outcomes.entries()) {
        const name = side === 0 ? "a" : "b";
        for (const { feature, line } of unknown) this.#findings.unknownAt(name, feature, line);
        for (const { flows } of ambiguous) {
          if (this.#findings.ambiguities.length >= this.#findings.max) break;
          const [first, second] = flows.map(lineOf);
          this.#findings.ambiguities.push({ side: name, inPort, frame, flows: [first!, second!] });
        }
      }
      return "open";
    }
    if (sameOutcome(a, b)) return null;
    if (!isForetold(pair.a.out, path, input, a) || !isForetold(pair.b.out, path, input, b)) return null;
    const behaviour = (outcome: typeof a): Behaviour => ({
      outputs: outcome.outputs,
      packetIns: outcome.packetIns,
      flows: chainOf(outcome).map(lineOf),
    });
    const told = what.startsWith("word ") ? fieldsBetween(a, b) : what;
    return { inPort, frame, a: behaviour(a), b: behaviour(b), what: told, affected: "" };
  }
}

const lineOf = ({ source, text }: Flow): FlowLine => ({ file: source.file, line: source.line, text });

/** Behind its packet a frame may have any bytes. */
function padded(frame: Uint8Array, bytes: number): Uint8Array {
  if (frame.length >= bytes) return frame;
  const long = new Uint8Array(Math.min(bytes, MAX_FRAME_BYTES));
  long.set(frame);
  return long;
}

/** LOCAL is 65534 to people. */
function portOf(input: Input): number {
  const port = input.valueOf(0, KEY.inPort);
  return port > 0xffff ? port & 0xffff : port;
}

const readingOf = ({ a, b }: Pair): number => Math.max(a.packet.content, b.packet.content);

const chainName = ({ hits }: State): string => hits.map(({ source }) => source.template?.id).join();

/** Whether a frame is read as the words it was made from. */
function isReadAs(frame: Uint8Array, input: Input): boolean {
  const key = new Uint32Array(KEY_WORDS);
  extract(frame, key, { labelsAt: 0, layer3At: 0, layer4At: 0, paddingBytes: 0 });
  return INPUT_WORDS.every(word => word === KEY.inPort || key[word] === input.valueOf(0, word));
}

/** The rows that were hit last of those that are hit by many frames alike: a's, or b's where a has none; null: none. */
const rowsHit = ({ a, b }: Pair): LaneSource | null =>
  [a, b].flatMap(({ hits }) =>
    hits
      .map(({ source }) => source)
      .filter(isLanes)
      .slice(-1),
  )[0] ?? null;
