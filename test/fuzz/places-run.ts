/**
 * Cells of the product of actions and places (places.ts), many on one switch at a time: which of them Open
 * vSwitch takes, and what becomes of their frames there and in the interpreter. Flows and groups go in one by
 * one, not as a bundle, so that one that is refused leaves the others be.
 */

import { execFile } from "node:child_process";
import { join } from "node:path";
import { SwitchError } from "../../src/host/index.ts";
import { Interpreter, type Outcome, parseFlow, parseGroups } from "../../src/openflow/index.ts";
import { hexOf } from "../openflow/interpret/compare.ts";
import { type Answer, PrivateSwitch } from "../ovs/private-switch.ts";
import { seenLines, toldLines } from "./packet-in.ts";
import { type Cell, SHARED_FLOWS, SHARED_GROUPS } from "./places.ts";

const PORTS = [1, 2, 3, 4, 5, 6];
/** Ids that some actions name. */
const CONTROLLER_IDS = [5, 6];
const PROTOCOL = "OpenFlow13";
const LOCAL = 65534;
/** Cells on the switch at a time. */
const CELLS = 400;

/** A frame on which the two differ. */
export interface Difference {
  readonly cell: Cell;
  readonly input: Cell["frames"][number];
  readonly theirs: readonly string[];
  readonly ours: readonly string[];
}

export interface Tally {
  cells: number;
  /** Cells that Open vSwitch does not take, with its word for it, shortened. */
  readonly refused: Map<string, number>;
  /** Cells that it takes and our reader does not. */
  readonly misread: { readonly cell: Cell; readonly why: string }[];
  frames: number;
  /** Frames whose outcome the interpreter leaves open, by the first feature. */
  readonly open: Map<string, number>;
  stale: number;
  /** Cells that ended the switch. */
  readonly deaths: string[];
  readonly differences: Difference[];
}

export const newTally = (): Tally => ({
  cells: 0,
  refused: new Map(),
  misread: [],
  frames: 0,
  open: new Map(),
  stale: 0,
  deaths: [],
  differences: [],
});

const count = (counts: Map<string, number>, name: string): void => {
  counts.set(name, (counts.get(name) ?? 0) + 1);
};

/** Outputs by port, each port's in order. */
function outputLines(outputs: readonly { readonly port: number; readonly frame: Uint8Array }[]): string[] {
  const seen = outputs.filter(({ port }) => port !== LOCAL);
  const ports = [...new Set(seen.map(({ port }) => port))].sort((a, b) => a - b);
  return ports.flatMap(port =>
    seen.filter(one => one.port === port).map(({ frame }) => `${port} ${hexOf(frame)}`),
  );
}

/** What is compared of an outcome. */
const linesOfOutcome = ({ outputs, packetIns }: Outcome): string[] => [
  ...outputLines(outputs),
  ...seenLines(packetIns, [0, ...CONTROLLER_IDS]),
];
const linesOfAnswer = ({ outputs, packetIns }: Answer): string[] => [
  ...outputLines(outputs),
  ...toldLines(packetIns),
];

/** Runs ovs-ofctl; what it writes to standard error, whatever its exit status. */
function ofctl(
  sw: PrivateSwitch,
  words: readonly string[],
  input: string,
): Promise<{ out: string; err: string }> {
  return new Promise(resolve => {
    const bridge = join(sw.whereabouts.folder, "br0.mgmt");
    const [command, ...rest] = words;
    const child = execFile(
      "ovs-ofctl",
      ["-O", PROTOCOL, command!, bridge, ...rest],
      { encoding: "utf8", maxBuffer: 2 ** 28 },
      (_, out, err) => resolve({ out, err }),
    );
    child.stdin!.on("error", () => undefined);
    child.stdin!.end(input);
  });
}

/** A line that ovs-ofctl is given, and the cell it is of; null for what all cells share. */
interface Line {
  readonly text: string;
  readonly cell: Cell | null;
}

/**
 * Numbers of messages: that of the first line, and how far the next one is; a barrier stands between them.
 */
const XID = { first: 6, step: 2 };

/**
 * Sends lines one by one. ovs-ofctl stops at the first that is refused: by itself, before it sends anything,
 * or by the switch, with all before it installed. The rest is given to it again, without the cell of that
 * line.
 */
async function addAll(
  sw: PrivateSwitch,
  command: "add-flows" | "add-groups",
  lines: readonly Line[],
): Promise<Map<Cell, string>> {
  const refused = new Map<Cell, string>();
  let left = lines;
  while (left.length > 0) {
    const { err } = await ofctl(sw, [command, "-"], `${left.map(({ text }) => text).join("\n")}\n`);
    const own = /^ovs-ofctl: -:(\d+): (.*)/m.exec(err);
    const theirs = /^OFPT_ERROR .*\(xid=(0x[0-9a-f]+)\): (\S+)/m.exec(err);
    if (own === null && theirs === null) {
      if (/^ovs-ofctl/m.test(err)) throw new SwitchError(err);
      break;
    }
    const at = own === null ? (Number(theirs![1]) - XID.first) / XID.step : Number(own[1]) - 1;
    const cell = left[at]?.cell;
    if (cell === null || cell === undefined) throw new Error(`not of a cell: ${err}`);
    refused.set(cell, own?.[2] ?? theirs![2]!);
    left = (own === null ? left.slice(at + 1) : left).filter(line => line.cell !== cell);
  }
  return refused;
}

async function addGroups(sw: PrivateSwitch, cells: readonly Cell[]): Promise<Map<Cell, string>> {
  const shared = SHARED_GROUPS.map(text => ({ text, cell: null }));
  return addAll(sw, "add-groups", [
    ...shared,
    ...cells.flatMap(cell => cell.groups.map(text => ({ text, cell }))),
  ]);
}

/** Adds the flows of cells whose groups are there. What ovs-ofctl takes alone it takes among others. */
async function addFlows(sw: PrivateSwitch, cells: readonly Cell[]): Promise<Map<Cell, string>> {
  const lines = cells.flatMap(cell => cell.flows.map(text => ({ text, cell })));
  const parsed = await sw.parseFlows(
    lines.map(({ text }) => text),
    { protocol: PROTOCOL },
  );
  const refused = new Map<Cell, string>();
  for (const [i, one] of parsed.entries()) if ("error" in one) refused.set(lines[i]!.cell, one.error);
  const shared = SHARED_FLOWS.map(text => ({ text, cell: null }));
  const left = [...shared, ...lines.filter(({ cell }) => !refused.has(cell))];
  for (const [cell, why] of await addAll(sw, "add-flows", left)) refused.set(cell, why);
  return refused;
}

/** The interpreter of all these cells together; those that our reader refuses are left out, and told. */
function interpreterOf(cells: readonly Cell[], tally: Tally): { interpreter: Interpreter; read: Cell[] } {
  const read: Cell[] = [];
  const flows = SHARED_FLOWS.map(text => parseFlow(text, undefined, { protocol: PROTOCOL }).flow!);
  const groups = [...parseGroups(SHARED_GROUPS.join("\n"), "shared").groups];
  for (const cell of cells) {
    const own = cell.flows.map(text => parseFlow(text, undefined, { protocol: PROTOCOL }));
    const ownGroups = parseGroups(cell.groups.join("\n"), "groups", { protocol: PROTOCOL });
    const wrong = [
      ...own.flatMap(({ flow, problems }) => (flow === null ? problems : [])),
      ...ownGroups.problems,
    ].find(({ level }) => level === "error");
    if (wrong !== undefined) {
      tally.misread.push({ cell, why: wrong.message });
      continue;
    }
    read.push(cell);
    flows.push(...own.map(({ flow }) => flow!));
    groups.push(...ownGroups.groups);
  }
  return { interpreter: new Interpreter(flows, { ports: PORTS, groups, isPortLive: () => true }), read };
}

interface Asked {
  readonly cell: Cell;
  readonly input: Cell["frames"][number];
  readonly ours: readonly string[];
}

/** The frames of which the interpreter knows the outcome. */
function asked(interpreter: Interpreter, cells: readonly Cell[], tally: Tally): Asked[] {
  const out: Asked[] = [];
  for (const cell of cells)
    for (const input of cell.frames) {
      const outcome = interpreter.run(input.inPort, input.frame);
      if (outcome.verdict === "unknown" || outcome.verdict === "ambiguous")
        count(tally.open, outcome.unknown[0]?.feature ?? outcome.verdict);
      else out.push({ cell, input, ours: linesOfOutcome(outcome) });
    }
  return out;
}

/** One lot of cells on a fresh switch. Throws a SwitchError when one of them ends it. */
async function runLot(cells: readonly Cell[], tally: Tally): Promise<void> {
  const sw = await PrivateSwitch.start({
    ports: PORTS.map(number => ({ number })),
    controllerIds: CONTROLLER_IDS,
  });
  try {
    const noGroup = await addGroups(sw, cells);
    const withGroups = cells.filter(cell => !noGroup.has(cell));
    const noFlow = await addFlows(sw, withGroups);
    const taken = withGroups.filter(cell => !noFlow.has(cell));
    const { interpreter, read } = interpreterOf(taken, tally);
    const questions = asked(interpreter, read, tally);
    await sw.forgetFrames();
    const answers = await sw.sendMany(questions.map(({ input }) => input));
    for (const [i, { cell, input, ours }] of questions.entries()) {
      let theirs = linesOfAnswer(answers[i]!);
      if (theirs.join() === ours.join()) continue;
      await sw.forgetFrames();
      theirs = linesOfAnswer(await sw.send(input.inPort, input.frame));
      if (theirs.join() === ours.join()) tally.stale++;
      else tally.differences.push({ cell, input, theirs, ours });
    }
    tally.cells += taken.length;
    tally.frames += questions.length;
    for (const why of [...noGroup.values(), ...noFlow.values()])
      count(tally.refused, why.replace(/^20.*ovs-ofctl: -:\d+: /, ""));
  } finally {
    await sw.close();
  }
}

/**
 * What ovs-ofctl says of a whole file, without a line, when one of its lines needs another version of
 * OpenFlow.
 */
const OTHER_VERSION = /none of the usable flow formats/;

/** Runs cells; a lot that ends the switch is halved until the cell is found that does. */
export async function runCells(cells: readonly Cell[], tally: Tally): Promise<void> {
  for (let at = 0; at < cells.length; at += CELLS) await runOrHalve(cells.slice(at, at + CELLS), tally);
}

async function runOrHalve(cells: readonly Cell[], tally: Tally): Promise<void> {
  const before = tally.differences.length;
  try {
    await runLot(cells, tally);
  } catch (error) {
    if (!(error instanceof SwitchError)) throw error;
    tally.differences.length = before;
    if (cells.length === 1 && OTHER_VERSION.test(error.message)) count(tally.refused, "another version");
    else if (cells.length === 1) tally.deaths.push(`${cells[0]!.name}: ${error.message}`);
    else {
      const half = cells.length >> 1;
      await runOrHalve(cells.slice(0, half), tally);
      await runOrHalve(cells.slice(half), tally);
    }
  }
}
