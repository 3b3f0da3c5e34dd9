/**
 * Random worlds for the fuzzer: groups, flows in several tables that call each other, and frames that find
 * their ways through them. Frames are drawn blindly and then chosen by where the interpreter takes them: one
 * of every way comes before the second of any, so that most tables split their frames and most flows are met.
 * The choice says nothing about what the answers should be.
 */

import {
  type Flow,
  type Group,
  Interpreter,
  type Outcome,
  type OvsVersion,
  parseFlow,
  parseGroups,
  type Tracker,
  USUAL_OVS,
  type Watcher,
} from "../../src/openflow/index.ts";
import type { Rng } from "../model/random.ts";
import { randomFrame, WORLD } from "../openflow/interpret/frames.ts";
import type { Input, Protocol } from "../ovs/private-switch.ts";
import { GROUP_COUNT, randomActionSet, randomActions, type Scene, TABLES } from "./actions.ts";
import { randomMatch } from "./matches.ts";

export const PORTS = WORLD.ports.map(number => ({ number }));

/** What a switch is given: lines of ovs-ofctl. */
export interface Rules {
  readonly groups: readonly string[];
  readonly flows: readonly string[];
  /** The version in which the lines go to the switch: what it makes of some spellings depends on it. */
  readonly protocol: Protocol;
  /** The version of the switch; 3.1 by default. */
  readonly ovs?: OvsVersion;
}

/** The parts of the flow language that are put to the test; a canary brings its own. */
export interface Language {
  readonly Interpreter: typeof Interpreter;
  readonly parseFlow: typeof parseFlow;
  readonly parseGroups: typeof parseGroups;
}

export const LANGUAGE: Language = { Interpreter, parseFlow, parseGroups };

/** Chances in 100: a table with few priorities has flows of equal ones, whose overlaps are ambiguous. */
const TIES = 12;

function randomFlow(r: Rng, table: number, priority: number): string {
  const { parts, known } = randomMatch(r);
  const scene: Scene = { r, known, table, depth: 0 };
  const actions = randomActions(
    scene,
    r.weighted([
      [1, () => 0],
      [10, () => r.between(1, 6)],
      [1, () => 12],
    ]),
  );
  if (r.chance(3)) actions.push("clear_actions");
  if (r.chance(12)) actions.push(`write_actions(${randomActionSet(scene).join(",")})`);
  if (r.chance(8)) actions.push(`write_metadata:${r.below(3)}${r.pick(["", "/1"])}`);
  if (table < TABLES - 1 && r.chance(table === 0 ? 80 : 45))
    actions.push(`goto_table:${r.between(table + 1, TABLES - 1)}`);
  const head = [`table=${table}`, `priority=${priority}`, ...parts].join(",");
  return `${head} actions=${actions.length === 0 ? "drop" : actions.join(",")}`;
}

/** Between 3 and 9 flows a table, the lowest of which often matches everything. */
function tableOfFlows(r: Rng, table: number): string[] {
  const isTied = r.chance(TIES);
  const lines = Array.from({ length: r.between(3, 9) }, (_, n) =>
    randomFlow(r, table, isTied ? r.between(1, 5) : 100 * n + 1 + r.below(100)),
  );
  if (r.chance(table === 0 ? 90 : 60)) {
    const scene: Scene = { r, known: { type: 0, protocol: 0, discovery: 0, tags: 0 }, table, depth: 0 };
    const next = table < TABLES - 1 ? [`goto_table:${table + 1}`] : [];
    lines.push(
      `table=${table},priority=0 actions=${[...randomActions(scene, r.between(1, 2)), ...next].join(",")}`,
    );
  }
  return lines;
}

export function randomFlows(r: Rng): string[] {
  return Array.from({ length: TABLES }, (_, table) => tableOfFlows(r, table)).flat();
}

/** A bucket may name groups behind its own only, as Open vSwitch refuses circles. */
function randomGroup(r: Rng, id: number): string {
  const scene: Scene = {
    r,
    known: { type: r.pick([0, 0, 0x0800, 0x8847]), protocol: 0, discovery: 0, tags: 0 },
    table: r.below(TABLES),
    depth: 1,
  };
  const type = r.pick(["all", "all", "indirect", "ff", "select"]);
  const bucket = (): string => {
    const actions = randomActionSet(scene).filter(
      action => !action.startsWith("group:") && action !== "in_port",
    );
    const watch = type === "ff" ? `watch_port:${r.pick(WORLD.ports)},` : "";
    return `bucket=${watch}actions=${[...actions, `output:${r.pick(WORLD.ports)}`].join(",")}`;
  };
  const count = type === "indirect" ? 1 : r.between(1, 3);
  return [`group_id=${id}`, `type=${type}`, ...Array.from({ length: count }, bucket)].join(",");
}

/** Groups 1 … GROUP_COUNT. */
export function randomGroups(r: Rng): string[] {
  return Array.from({ length: GROUP_COUNT }, (_, n) => randomGroup(r, n + 1));
}

/** Flows and groups as values, or the first thing that is wrong with them. */
export function read(
  rules: Rules,
  language: Language = LANGUAGE,
): { flows: Flow[]; groups: readonly Group[] } | string {
  const flows: Flow[] = [];
  for (const [index, line] of rules.flows.entries()) {
    const at = { file: "flows", line: index + 1 };
    const { flow, problems } = language.parseFlow(line, at, { protocol: rules.protocol });
    if (flow === null) return `${line}: ${problems.map(({ message }) => message).join("; ")}`;
    flows.push(flow);
  }
  const { groups, problems } = language.parseGroups(rules.groups.join("\n"), "groups");
  const wrong = problems.find(({ level }) => level === "error");
  return wrong === undefined ? { flows, groups } : `group ${wrong.line}: ${wrong.message}`;
}

/** An interpreter of these rules on a switch with PORTS, all of them up. They must be right. */
export function interpreterOf(rules: Rules, language: Language = LANGUAGE): Interpreter {
  const values = read(rules, language);
  if (typeof values === "string") throw new Error(values);
  const { groups } = values;
  const options = { ports: WORLD.ports, groups, isPortLive: () => true, ovs: rules.ovs ?? USUAL_OVS };
  return new language.Interpreter(values.flows, options);
}

/**
 * How often one frame may recirculate. Six times in a row at most, but of several copies each time, and
 * of the copies of each copy: a few lines can ask for billions, for which nobody waits.
 */
const MAX_READINGS = 500;

class Tedious extends Error {}

/** What the interpreter makes of a frame; null when that is too much work. */
export function outcomeOf(
  interpreter: Interpreter,
  { inPort, frame }: Input,
  tracker: Tracker | null = null,
): Outcome | null {
  let left = MAX_READINGS;
  const watcher: Watcher = {
    lookedUp: () => undefined,
    putOut: () => undefined,
    recirculated: () => {
      if (--left < 0) throw new Tedious();
    },
  };
  try {
    return interpreter.run(inPort, frame, watcher, undefined, tracker);
  } catch (error) {
    if (error instanceof Tedious) return null;
    throw error;
  }
}

/** Ports and packet-ins, without the bytes: two frames with different ones met different outcomes. */
export function outcomeClass({ verdict, outputs, packetIns }: Outcome): string {
  return `${verdict} ${outputs.map(({ port }) => port)} ${packetIns.map(({ reason }) => reason)}`;
}

/** The flows that a frame met, in order, and what became of it. */
export function wayOf(outcome: Outcome): string {
  const met = outcome.tables.map(({ table, flow }) => flow?.source.line ?? `-${table}`);
  return `${met.slice(0, 40)} ${outcomeClass(outcome)} ${outcome.errors}`;
}

export const isDecided = ({ verdict }: Outcome): boolean => verdict !== "unknown" && verdict !== "ambiguous";

/** What one answer may hold, so that the switch's sockets are never flooded. */
const MAX_PACKET_INS = 4;
const MAX_OUTPUTS = 60;

const isModest = ({ outputs, packetIns }: Outcome): boolean =>
  packetIns.length <= MAX_PACKET_INS && outputs.length <= MAX_OUTPUTS;

export interface Candidate {
  readonly input: Input;
  readonly outcome: Outcome;
}

export interface Chosen {
  readonly frames: readonly Candidate[];
  /** Candidates whose outcome is undecided, or too much to send, or too much work. */
  readonly undecided: number;
  readonly immodest: number;
  readonly tedious: number;
}

const OVERSUPPLY = 3;

/** A frame: a new one, or one that came out for an earlier one. Null for one that is too much work. */
function* candidates(r: Rng, interpreter: Interpreter, count: number): Generator<Candidate | null> {
  const came: Uint8Array[] = [];
  for (let n = 0; n < count; n++) {
    const again = came.length > 0 && r.chance(15) ? r.pick(came) : null;
    const input = { inPort: r.pick(WORLD.ports), frame: again ?? randomFrame(r) };
    const outcome = outcomeOf(interpreter, input);
    if (outcome === null) {
      yield null;
      continue;
    }
    for (const { frame } of outcome.outputs.slice(0, 2))
      if (frame.length >= 14 && frame.length < 400) came.push(frame);
    yield { input, outcome };
  }
}

/** Chooses `count` frames for these rules; fewer when `isLate` before they are drawn. */
export function chooseFrames(
  r: Rng,
  interpreter: Interpreter,
  count: number,
  isLate: () => boolean = () => false,
): Chosen {
  const ways = new Map<string, Candidate[]>();
  let undecided = 0;
  let immodest = 0;
  let tedious = 0;
  for (const candidate of candidates(r, interpreter, OVERSUPPLY * count)) {
    if (isLate()) break;
    if (candidate === null) tedious++;
    else if (!isDecided(candidate.outcome)) undecided++;
    else if (!isModest(candidate.outcome)) immodest++;
    else {
      const way = wayOf(candidate.outcome);
      ways.set(way, [...(ways.get(way) ?? []), candidate]);
    }
  }
  const frames: Candidate[] = [];
  const deepest = Math.max(0, ...[...ways.values()].map(({ length }) => length));
  for (let depth = 0; depth < deepest && frames.length < count; depth++)
    for (const same of ways.values())
      if (same[depth] !== undefined && frames.length < count) frames.push(same[depth]!);
  return { frames, undecided, immodest, tedious };
}
