/**
 * The judge: what the enumeration of every packet says of two programs, and whether the prover says the
 * same. Two engines run every packet, the interpreter on bytes and the evaluator on records; where they
 * disagree nobody is believed.
 */

import {
  type Flow,
  FlowColumns,
  type Group,
  Interpreter,
  KEY,
  type Outcome,
  PACKET_IN_WORDS,
  parseFlow,
  parseGroups,
} from "../../../src/openflow/index.ts";
import { type FlowTable, type Proof, type ProofOptions, prove } from "../../../src/verify/prove.ts";
import { shrunk } from "../shrink.ts";
import { Beyond, Evaluator, type Packet, type Sent, Tie } from "./evaluate.ts";
import { flowText, groupText, type Program, type Rule, ruleText } from "./language.ts";
import { frameOf, packetOf, packetsOf, spaceOf, UNREAD, type World } from "./world.ts";

export type Prover = (a: FlowTable, b: FlowTable, options: ProofOptions) => Proof;

export interface Case {
  readonly world: World;
  readonly a: Program;
  readonly b: Program;
}

/** What is wrong, or null; and what is so. */
export interface Judgement {
  readonly truth: "equal" | "different" | "ambiguous" | "undecided";
  readonly verdict: Proof["verdict"];
  readonly wrong: string | null;
  /** Features that the prover left open. */
  readonly open: readonly string[];
  readonly packets: number;
  /** Packets of which the evaluator had an opinion, too. */
  readonly agreed: number;
  readonly proof: Proof;
}

export interface Table extends FlowTable {
  readonly groups: readonly Group[];
}

const parsed = new Map<string, Flow | null>();

/** A line that was read before is not read again: most rules of a mutant are those of the original. */
function flowOf(text: string): Flow | null {
  let flow = parsed.get(text);
  if (flow === undefined) {
    if (parsed.size > 100_000) parsed.clear();
    flow = parseFlow(text, { file: "rule", line: 1 }).flow;
    parsed.set(text, flow);
  }
  return flow;
}

/**
 * Flows read one by one, where a dump has columns: what FlowColumns says of lines of which no two are alike.
 */
class Lines {
  readonly problems = [];
  readonly templates = [];
  readonly errorCount = 0;
  readonly skipped = 0;
  readonly count: number;
  readonly file: string;
  readonly #flows: readonly Flow[];

  constructor(flows: readonly Flow[], file: string) {
    this.#flows = flows.map((flow, i) => ({ ...flow, source: { file, line: i + 1 } }));
    this.count = flows.length;
    this.file = file;
  }

  templateOf(): null {
    return null;
  }

  lineOf(index: number): number {
    return index + 1;
  }

  flow(index: number): Flow {
    return this.#flows[index]!;
  }

  filledFlow(index: number): Flow {
    return this.#flows[index]!;
  }
}

/** Rules of one table and priority from which on columns are worth their while. */
const COLUMNS_FROM = 8;

function hasBand({ rules }: Program): boolean {
  const counts = new Map<string, number>();
  for (const { table, priority } of rules) {
    const name = `${table} ${priority}`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return Math.max(0, ...counts.values()) >= COLUMNS_FROM;
}

/**
 * The table that people would write; null when the parser refuses a line. Read as columns where that says
 * more.
 */
export function tableOf(program: Program, name: string): Table | null {
  const read = program.rules.map(rule => flowOf(ruleText(rule)));
  if (read.includes(null)) return null;
  const flows = hasBand(program)
    ? new FlowColumns(Buffer.from(flowText(program)), name)
    : (new Lines(read as Flow[], name) as unknown as FlowColumns);
  const { groups, problems } = parseGroups(groupText(program), `${name}.groups`);
  return problems.some(({ level }) => level === "error") ? null : { flows, groups };
}

/** The interpreter of a table. */
export function interpreterOf({ flows, groups }: Table): Interpreter {
  return new Interpreter(
    Array.from({ length: flows.count }, (_, i) => flows.flow(i)),
    { groups, isTraced: false },
  );
}

/** reg0, reg1 and the low word of metadata, all that these worlds write. */
const TOLD_WORDS = [KEY.registers, KEY.registers + 1, KEY.metadata + 1].map(word =>
  PACKET_IN_WORDS.indexOf(word),
);

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/** What everybody outside sees, as a text; "ambiguous" and "unknown" for themselves. */
export function seenOf({ verdict, outputs, packetIns }: Outcome): string {
  if (verdict === "ambiguous" || verdict === "unknown") return verdict;
  const sent = outputs.map(({ port, frame }) => `${port}:${hex(frame)}`);
  const told = packetIns
    .filter(({ reason }) => reason !== "invalid_ttl")
    .map(({ frame, reason, state }) => {
      const [reg0, reg1, metadata] = TOLD_WORDS.map(at => state[at]);
      return `0:${hex(frame)} ${reason} ${reg0} ${reg1} ${metadata}`;
    });
  return [...sent, ...told].join(" ");
}

/** The same of the evaluator; null when it has no opinion. */
export function evaluated(evaluator: Evaluator, packet: Packet): string | null {
  let sent: Sent[];
  try {
    sent = evaluator.run(packet);
  } catch (error) {
    if (error instanceof Tie) return "ambiguous";
    if (error instanceof Beyond) return null;
    throw error;
  }
  const text = ({ port, packet, told }: Sent): string =>
    `${port}:${hex(frameOf(packet))}${told === undefined ? "" : ` ${told.reason} ${told.reg0} ${told.reg1} ${told.metadata}`}`;
  return [...sent.filter(({ port }) => port > 0), ...sent.filter(({ port }) => port === 0)]
    .map(text)
    .join(" ");
}

/** Runs every packet on both engines. */
export class Engines {
  readonly program: Program;
  readonly table: Table;
  readonly #interpreter: Interpreter;
  readonly #evaluator: Evaluator;
  readonly #seen = new Map<Packet, string>();
  agreed = 0;

  /** Null when a line cannot be read. */
  static of(program: Program, name: string): Engines | null {
    const table = tableOf(program, name);
    return table === null ? null : new Engines(table, program);
  }

  private constructor(table: Table, program: Program) {
    this.table = table;
    this.program = program;
    this.#interpreter = interpreterOf(table);
    this.#evaluator = new Evaluator(program);
  }

  /** What is seen of a packet; remembered. Throws Disagreement. */
  run({ packet, frame }: Enumerated): string {
    const known = this.#seen.get(packet);
    if (known !== undefined) return known;
    const seen = this.runFrame(packet.inPort, frame);
    this.#seen.set(packet, seen);
    // The evaluator knows nothing of what ends the switch, which the interpreter leaves open.
    const own = seen === "unknown" ? null : evaluated(this.#evaluator, packet);
    if (own === null) return seen;
    if (own !== seen) throw new Disagreement(packet, seen, own);
    this.agreed++;
    return seen;
  }

  /** The rules that the packets seen so far have hit. */
  get hits(): readonly Rule[] {
    return [...this.#evaluator.hits];
  }

  runFrame(inPort: number, frame: Uint8Array): string {
    return seenOf(this.#interpreter.run(inPort, frame));
  }
}

/** The two engines of the enumeration are at odds. */
export class Disagreement extends Error {
  constructor(packet: Packet, interpreter: string, evaluator: string) {
    super(`${JSON.stringify(packet)}: the interpreter says "${interpreter}", the evaluator "${evaluator}"`);
  }
}

interface Enumerated {
  readonly packet: Packet;
  readonly frame: Uint8Array;
}

/** A world and every packet of it. */
export class Enumeration {
  readonly world: World;
  readonly all: readonly Enumerated[];
  readonly #members: ReadonlySet<string>;

  constructor(world: World) {
    this.world = world;
    this.all = [...packetsOf(world)].map(packet => ({ packet, frame: frameOf(packet) }));
    this.#members = new Set(
      this.all.flatMap(({ packet }) => [nameOf(packet), nameOf({ ...packet, body: UNREAD })]),
    );
  }

  /** Whether a frame is one of this world, or, behind labels, the beginning of one. */
  has(inPort: number, frame: Uint8Array): boolean {
    const packet = packetOf(inPort, frame);
    return (
      packet !== null &&
      (packet.labels.length > 0 || packet.body !== UNREAD) &&
      this.#members.has(nameOf(packet))
    );
  }
}

const nameOf = (packet: Packet): string => JSON.stringify(packet);

/** Judges one case; null when a program cannot be read. */
export function judge(
  { world, a, b }: Case,
  prover: Prover = prove,
  options: ProofOptions = {},
): Judgement | null {
  const [left, right] = [Engines.of(a, "a"), Engines.of(b, "b")];
  return left === null || right === null
    ? null
    : judgeEngines(new Enumeration(world), left, right, prover, options);
}

/** The same where one side is judged again and again. */
export function judgeEngines(
  packets: Enumeration,
  a: Engines,
  b: Engines,
  prover: Prover = prove,
  options: ProofOptions = {},
): Judgement {
  let truth: Judgement["truth"] = "equal";
  for (const one of packets.all) {
    const [x, y] = [a.run(one), b.run(one)];
    if (x === "unknown" || y === "unknown") truth = truth === "different" ? truth : "undecided";
    else if (x === "ambiguous" || y === "ambiguous") truth = truth === "equal" ? "ambiguous" : truth;
    else if (x !== y) truth = "different";
  }
  const within = { ...options, space: spaceOf(packets.world) };
  let proof = prover(a.table, b.table, within);
  // Tables that are alike are equal also in what is open. Frame by frame the proof must leave it open, too.
  if (truth === "undecided" && proof.verdict === "equal")
    proof = prover(a.table, b.table, { ...within, isThorough: true });
  const wrong = falsehood(truth, proof, packets, a, b);
  const open = proof.unknown.map(({ feature }) => feature);
  return {
    truth,
    verdict: proof.verdict,
    wrong,
    open,
    packets: packets.all.length,
    agreed: a.agreed + b.agreed,
    proof,
  };
}

function falsehood(
  truth: Judgement["truth"],
  proof: Proof,
  packets: Enumeration,
  a: Engines,
  b: Engines,
): string | null {
  const { verdict, unknown } = proof;
  const unconfirmed = unknown.find(({ feature }) => feature.startsWith("unconfirmed"));
  if (unconfirmed !== undefined) return unconfirmed.feature;
  // What is ambiguous for one frame and open for another may be called ambiguous: the frame that shows it is
  // tried below.
  const isEither = truth === "undecided" && verdict === "ambiguous";
  if (verdict !== truth && verdict !== "unknown" && !isEither)
    return `it is ${truth}, and was called ${verdict}`;
  for (const { inPort, frame } of proof.differences) {
    if (!packets.has(inPort, frame)) return `a counterexample outside this world: ${inPort} ${hex(frame)}`;
    if (a.runFrame(inPort, frame) === b.runFrame(inPort, frame))
      return `a counterexample without a difference: ${inPort} ${hex(frame)}`;
  }
  for (const { side, inPort, frame } of proof.ambiguous) {
    if (!packets.has(inPort, frame)) return `an ambiguity that is not of this world: ${inPort} ${hex(frame)}`;
    if ((side === "a" ? a : b).runFrame(inPort, frame) !== "ambiguous")
      return `no ambiguity: ${inPort} ${hex(frame)}`;
  }
  return null;
}

/** Makes a case smaller while `isStill` holds: rules, actions, tests and buckets are left out. */
export const shrink = (start: Case, isStill: (one: Case) => boolean): Case =>
  shrunk(start, smallerOnes, isStill);

function* smallerOnes({ world, a, b }: Case): Generator<Case> {
  for (const text of new Set(a.rules.map(rule => JSON.stringify(rule)))) {
    const drop = (program: Program): Program => ({
      ...program,
      rules: program.rules.filter(rule => JSON.stringify(rule) !== text),
    });
    if (b.rules.some(rule => JSON.stringify(rule) === text)) yield { world, a: drop(a), b: drop(b) };
  }
  for (const program of smallerPrograms(a)) yield { world, a: program, b };
  for (const program of smallerPrograms(b)) yield { world, a, b: program };
  for (const [i, rule] of a.rules.entries()) {
    const j = b.rules.findIndex(other => JSON.stringify(other) === JSON.stringify(rule));
    if (j < 0) continue;
    const replaced = (program: Program, at: number, by: Program["rules"][number]): Program => ({
      ...program,
      rules: program.rules.with(at, by),
    });
    for (const [at] of rule.actions.entries()) {
      const less = { ...rule, actions: rule.actions.filter((_, k) => k !== at) };
      yield { world, a: replaced(a, i, less), b: replaced(b, j, less) };
    }
    for (const [at] of rule.tests.entries()) {
      const less = { ...rule, tests: rule.tests.filter((_, k) => k !== at) };
      yield { world, a: replaced(a, i, less), b: replaced(b, j, less) };
    }
  }
  for (const smaller of smallerWorlds(world)) yield { world: smaller, a, b };
}

function* smallerPrograms(program: Program): Generator<Program> {
  const { rules, groups } = program;
  for (const [at, rule] of rules.entries()) {
    yield { ...program, rules: rules.filter((_, i) => i !== at) };
    for (const [k] of rule.actions.entries())
      yield {
        ...program,
        rules: rules.with(at, { ...rule, actions: rule.actions.filter((_, i) => i !== k) }),
      };
    for (const [k] of rule.tests.entries())
      yield { ...program, rules: rules.with(at, { ...rule, tests: rule.tests.filter((_, i) => i !== k) }) };
  }
  for (const [at] of groups.entries()) yield { ...program, groups: groups.filter((_, i) => i !== at) };
}

function* smallerWorlds(world: World): Generator<World> {
  if (world.ports.length > 1) for (const port of world.ports) yield { ...world, ports: [port] };
  if (world.dstBits > 0) yield { ...world, dstBits: 0 };
  if (world.srcBits > 0) yield { ...world, srcBits: 0 };
  if (world.arp !== null) yield { ...world, arp: null };
  if (world.depth > 0) yield { ...world, depth: world.depth - 1 };
  if (world.hasOther) yield { ...world, hasOther: false };
  if (world.labelTtl.length > 1) for (const ttl of world.labelTtl) yield { ...world, labelTtl: [ttl] };
  const { ip } = world;
  if (ip.ttl.length > 1) for (const ttl of ip.ttl) yield { ...world, ip: { ...ip, ttl: [ttl] } };
  if (ip.tos.length > 1) for (const tos of ip.tos) yield { ...world, ip: { ...ip, tos: [tos] } };
  if (ip.srcBits > 0) yield { ...world, ip: { ...ip, srcBits: 0 } };
  if (ip.dstBits > 1) yield { ...world, ip: { ...ip, dstBits: ip.dstBits - 1 } };
}

/** A case as people can read it and the tests can keep it. */
export const caseText = ({ world, a, b }: Case): string =>
  `${JSON.stringify(world)}\n--- a\n${flowText(a)}${groupText(a)}--- b\n${flowText(b)}${groupText(b)}`;
