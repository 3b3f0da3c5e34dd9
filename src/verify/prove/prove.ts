/**
 * The question and its answer: do two flow tables do the same with every frame on every port? A difference is only told
 * with a frame that shows it, run through the interpreter with both tables. What is not modelled, and what was found
 * but cannot be shown, makes the answer "unknown", never "equal".
 */
import {
  extract,
  type Flow,
  type FlowColumns,
  type Group,
  type Interpreter,
  KEY,
  KEY_WORDS,
} from "../../openflow/index.ts";
import type { Candidate } from "./compare.ts";
import { chainOf, interpreterOf, sameOutcome } from "./confirm.ts";
import { frameOf } from "./frame.ts";
import type { Path } from "./path.ts";
import { type Limits, type Listener, OutOfBudget, type Pair, Product } from "./product.ts";
import { Program } from "./program.ts";
import { countKeys } from "./size.ts";
import { EVERY_FRAME, INPUT_WORDS, type Space } from "./space.ts";
import type { State } from "./state.ts";
import { type Input, Solver } from "./witness.ts";

export interface FlowTable {
  readonly flows: FlowColumns;
  readonly groups?: readonly Group[];
}

export interface FlowLine {
  readonly file: string;
  readonly line: number;
  readonly text: string;
}

/** What one side does with the frame of a difference. */
export interface Behaviour {
  readonly outputs: readonly { readonly port: number; readonly frame: Uint8Array }[];
  readonly packetIns: readonly { readonly reason: string; readonly frame: Uint8Array }[];
  readonly flows: readonly FlowLine[];
}

export interface Difference {
  readonly inPort: number;
  readonly frame: Uint8Array;
  readonly a: Behaviour;
  readonly b: Behaviour;
  /** What differs first, for people: port, eth_dst, mpls_lse … */
  readonly what: string;
  /** Rows of the table that differ in the same way, of how many that were hit alike. */
  readonly affected: string;
}

export interface Ambiguous {
  readonly side: "a" | "b";
  readonly inPort: number;
  readonly frame: Uint8Array;
  readonly flows: readonly [FlowLine, FlowLine];
}

export interface Unknown {
  readonly feature: string;
  readonly line: number;
  readonly side: "a" | "b" | null;
}

export interface Proof {
  readonly verdict: "equal" | "different" | "ambiguous" | "unknown";
  /** Classes of frames that were told apart. */
  readonly classes: number;
  /** How many flow keys there are, and were covered, as a power of two. */
  readonly packets: string;
  readonly flows: { readonly a: number; readonly b: number };
  readonly seconds: number;
  readonly differences: readonly Difference[];
  readonly ambiguous: readonly Ambiguous[];
  readonly unknown: readonly Unknown[];
}

export interface ProofOptions {
  readonly space?: Space;
  /** Classes of frames before the answer is unknown(budget): 1,000,000. */
  readonly maxClasses?: number;
  /** Seconds: 300. */
  readonly maxSeconds?: number;
  /** Differences of different kinds that are looked for: 20. */
  readonly maxDifferences?: number;
}

/** Compares two flow tables. */
export function prove(a: FlowTable, b: FlowTable, options: ProofOptions = {}): Proof {
  const started = performance.now();
  const programs = [new Program(a.flows, a.groups), new Program(b.flows, b.groups)] as const;
  const limits: Limits = {
    classes: options.maxClasses ?? 1_000_000,
    milliseconds: (options.maxSeconds ?? 300) * 1000,
  };
  const space = options.space ?? EVERY_FRAME;
  const product = new Product(programs[0], programs[1], space, limits);
  const findings = new Findings(programs, product, options.maxDifferences ?? 20);
  for (const [index, { flows }] of [a, b].entries())
    if (flows.skipped > 0 || flows.errorCount > 0)
      findings.unknownAt(index === 0 ? "a" : "b", "flows that cannot be read", flows.problems[0]?.line ?? 0);
  try {
    product.run(findings);
  } catch (error) {
    if (!(error instanceof OutOfBudget)) throw error;
    findings.unknownAt(null, "budget", 0);
  }
  return {
    verdict: findings.verdict,
    classes: product.classes,
    packets: `2^${countKeys(space).toFixed(1)}`,
    flows: { a: a.flows.count, b: b.flows.count },
    seconds: (performance.now() - started) / 1000,
    differences: findings.differences,
    ambiguous: findings.ambiguities,
    unknown: [...findings.unknowns.values()],
  };
}

/** Inputs of one candidate that are tried before it counts as unconfirmed. */
const TRIES = 4;

class Findings implements Listener {
  readonly differences: Difference[] = [];
  readonly ambiguities: Ambiguous[] = [];
  readonly unknowns = new Map<string, Unknown>();
  readonly #programs: readonly [Program, Program];
  readonly #product: Product;
  readonly #solver: Solver;
  readonly #maxDifferences: number;
  readonly #groups = new Map<string, { index: number; count: number; of: number }>();
  readonly #interpreters: [Interpreter | null, Interpreter | null] = [null, null];

  constructor(programs: readonly [Program, Program], product: Product, maxDifferences: number) {
    this.#programs = programs;
    this.#product = product;
    this.#solver = new Solver(product.readings);
    this.#maxDifferences = maxDifferences;
  }

  get verdict(): Proof["verdict"] {
    if (this.differences.length > 0) return "different";
    if (this.ambiguities.length > 0) return "ambiguous";
    return this.unknowns.size > 0 ? "unknown" : "equal";
  }

  unknownAt(side: Unknown["side"], feature: string, line: number): void {
    this.unknowns.set(`${side} ${feature} ${line}`, { feature, line, side });
  }

  unknown(pair: Pair, side: 0 | 1, feature: string, line: number): boolean {
    const name = side === 0 ? "a" : "b";
    if (this.unknowns.has(`${name} ${feature} ${line}`)) return true;
    const search = this.#solver.find(pair.path);
    if (search.input !== null || !search.isProof) this.unknownAt(name, feature, line);
    return true;
  }

  ambiguous(pair: Pair, side: 0 | 1): boolean {
    if (this.ambiguities.length >= this.#maxDifferences) return true;
    for (let skip = 0; skip < TRIES; skip++) {
      const search = this.#solver.find(pair.path, skip);
      if (search.input === null) {
        if (!search.isProof || skip > 0) this.unknownAt(side === 0 ? "a" : "b", "unconfirmed ambiguity", 0);
        return true;
      }
      const frame = frameOf(this.#product.readings, search.input, readingOf(pair));
      const inPort = portOf(search.input);
      const [found] = this.#run(side, inPort, frame).ambiguous;
      if (found === undefined) continue;
      const [first, second] = found.flows.map(lineOf);
      this.ambiguities.push({ side: side === 0 ? "a" : "b", inPort, frame, flows: [first!, second!] });
      return true;
    }
    this.unknownAt(side === 0 ? "a" : "b", "unconfirmed ambiguity", 0);
    return true;
  }

  differs(pair: Pair, { path, what, unknown }: Candidate): boolean {
    const [count, of] = lanesOf(path, pair.path);
    const name = `${chainName(pair.a)} / ${chainName(pair.b)} ${what}`;
    const group = this.#groups.get(name);
    if (group !== undefined) {
      group.count += count;
      group.of = Math.max(group.of, of);
      this.#retell(group);
      return true;
    }
    let skip = 0;
    for (; skip < TRIES; skip++) {
      const search = this.#solver.find(path, skip);
      if (search.input === null) {
        if (skip === 0 && search.isProof) return true;
        break;
      }
      if (unknown !== null) {
        this.unknownAt(null, unknown.feature, unknown.line);
        return true;
      }
      const told = this.#confirm(pair, search.input, what);
      if (told === null) continue;
      const made = { index: this.differences.length, count, of };
      this.#groups.set(name, made);
      this.differences.push(told);
      this.#retell(made);
      return this.differences.length < this.#maxDifferences;
    }
    this.unknownAt(null, `unconfirmed difference (${what})`, 0);
    return true;
  }

  #retell({ index, count, of }: { index: number; count: number; of: number }): void {
    const affected = of === 0 ? "every frame of its class" : `${count} of ${of} rows`;
    this.differences[index] = { ...this.differences[index]!, affected };
  }

  #run(side: 0 | 1, inPort: number, frame: Uint8Array): ReturnType<Interpreter["run"]> {
    this.#interpreters[side] ??= interpreterOf(this.#programs[side]);
    return this.#interpreters[side].run(inPort, frame);
  }

  #confirm(pair: Pair, input: Input, what: string): Difference | null {
    const frame = frameOf(this.#product.readings, input, readingOf(pair));
    if (!isReadAs(frame, input)) return null;
    const inPort = portOf(input);
    const outcomes = ([0, 1] as const).map(side => this.#run(side, inPort, frame));
    const [a, b] = outcomes as [ReturnType<Interpreter["run"]>, ReturnType<Interpreter["run"]>];
    if (outcomes.some(({ verdict }) => verdict === "unknown" || verdict === "ambiguous")) return null;
    if (sameOutcome(a, b)) return null;
    const behaviour = (outcome: typeof a): Behaviour => ({
      outputs: outcome.outputs,
      packetIns: outcome.packetIns,
      flows: chainOf(outcome).map(lineOf),
    });
    return { inPort, frame, a: behaviour(a), b: behaviour(b), what, affected: "" };
  }
}

const lineOf = ({ source, text }: Flow): FlowLine => ({ file: source.file, line: source.line, text });

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

/** Lanes of a candidate and of the class it is part of, by the domain in which they differ, or the largest. */
function lanesOf(path: Path, before: Path): [number, number] {
  let best: [number, number] = [0, 0];
  for (const [domain, lanes] of path.lanes) {
    const all = before.lanes.get(domain)?.length ?? lanes.length;
    if (lanes.length !== all) return [lanes.length, all];
    if (all > best[1]) best = [lanes.length, all];
  }
  return best;
}
