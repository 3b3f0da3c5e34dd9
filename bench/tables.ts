/**
 * Rows about the tables: single edits in batches, as BGP will make them, beside a JavaScript Map that gets
 * the same edits; prefixes of other lengths; and a million routes from a file.
 */
import { Core, editRoutes, type RouteEdit, setNextHop } from "../src/core/index.ts";
import { loadIntent } from "../src/intent/index.ts";
import { macFromBits } from "../src/wire/index.ts";
import type { Case, Effort, Section, Target, Yardstick } from "./cases.ts";
import {
  meanSpreadOf,
  Peer,
  ratioOf,
  runCommand,
  type Spread,
  scaled,
  spreadOf,
  takeTurns,
} from "./harness.ts";
import { programFile } from "./paths.ts";
import { numbers, writeIntent } from "./traffic.ts";

const NEXT_HOPS = 1000;
/** 2^32 divided by the golden ratio, made odd: i × GOLDEN mod 2^32 scatters and never repeats. */
const GOLDEN = 0x9e3779b1;

function prefixOf(index: number): number {
  return Math.imul(index, GOLDEN) >>> 0;
}

/** A core, and what takes all routes out of it and leaves it with NEXT_HOPS next hops. */
function emptyCore(folder: string): { core: Core; empty: () => void } {
  const file = writeIntent(folder, "empty", { localCount: 4, routeCount: 0, nextHopCount: 0 });
  const core = Core.load();
  const intent = loadIntent(file).intent!;
  const empty = (): void => {
    core.install(intent);
    for (let index = 0; index < NEXT_HOPS; index++) {
      setNextHop(core, index, { labels: [2000 + index], via: macFromBits(0x0200000000fe) }, 0);
    }
  };
  empty();
  return { core, empty };
}

function nanoseconds(run: () => void): number {
  const start = process.hrtime.bigint();
  run();
  return Number(process.hrtime.bigint() - start);
}

// ── /32 edits ──────────────────────────────────────────────────────────────────────────────────────────────

function editMap(map: Map<number, number>, edits: readonly RouteEdit[]): void {
  for (const { prefix, nextHop } of edits) {
    if (nextHop === null) map.delete(prefix);
    else map.set(prefix, nextHop);
  }
}

/** What edits of one kind took, a sample a batch, in ns an edit. */
class Edits {
  readonly ours: number[] = [];
  readonly map: number[] = [];
  worstBatchMs = 0;

  /** Makes the same edits in the core and in the Map, the one right after the other. */
  time(core: Core, map: Map<number, number>, edits: readonly RouteEdit[]): void {
    const took = nanoseconds(() => editRoutes(core, edits));
    this.worstBatchMs = Math.max(this.worstBatchMs, took / 1e6);
    this.ours.push(took / edits.length);
    this.map.push(nanoseconds(() => editMap(map, edits)) / edits.length);
  }

  case(name: string, entries: number, target: Target | null): Case {
    const yardstick: Yardstick = {
      name: "Map<number, number>",
      value: meanSpreadOf(this.map),
      timesFaster: meanRatio(this.ours, this.map),
      objection: null,
    };
    return {
      name,
      remark: `worst batch ${this.worstBatchMs.toFixed(2)} ms`,
      entries,
      distribution: "uniform",
      unit: "ns/edit",
      value: meanSpreadOf(this.ours),
      frames: null,
      yardsticks: [yardstick],
      target,
    };
  }
}

/** The ratio of the means, and no spread: single batches of a Map that is just growing say nothing. */
function meanRatio(ours: readonly number[], theirs: readonly number[]): Spread {
  return spreadOf([meanSpreadOf(theirs).value / meanSpreadOf(ours).value]);
}

type Next = (index: number) => number | null;

function batchOf(indices: readonly number[], nextHop: Next): RouteEdit[] {
  return indices.map(index => ({ prefix: prefixOf(index), length: 32, nextHop: nextHop(index) }));
}

/**
 * From nothing to `entries`, several times; then changes, removals and additions of `rounds` batches there.
 */
function editCases(effort: Effort, folder: string, entries: number, edits: number, rounds: number): Case[] {
  const { core, empty } = emptyCore(folder);
  const kinds = { grow: new Edits(), change: new Edits(), remove: new Edits(), add: new Edits() };
  let map = new Map<number, number>();
  for (let growth = 0; growth < effort.growths; growth++) {
    empty();
    map = new Map();
    for (let first = 0; first < entries; first += edits) {
      const indices = Array.from({ length: Math.min(edits, entries - first) }, (_, offset) => first + offset);
      kinds.grow.time(
        core,
        map,
        batchOf(indices, index => index % NEXT_HOPS),
      );
    }
  }
  const random = numbers(entries + edits);
  for (let round = 0; round < rounds; round++) {
    const chosen = new Set<number>();
    while (chosen.size < edits) chosen.add(random(entries));
    const indices = [...chosen];
    kinds.change.time(
      core,
      map,
      batchOf(indices, index => (index + round) % NEXT_HOPS),
    );
    kinds.remove.time(
      core,
      map,
      batchOf(indices, () => null),
    );
    kinds.add.time(
      core,
      map,
      batchOf(indices, index => (index + 1) % NEXT_HOPS),
    );
  }
  const size = edits.toLocaleString("en");
  const oneCase = (kind: string, timed: Edits, isHeld = true): Case => {
    const what = `${kind}, /32, the slowest of the sizes and batches below`;
    const target: Target = { what, kind: "at most", target: 1000, stretch: null };
    return timed.case(`${kind}, batches of ${size}`, entries, isHeld ? target : null);
  };
  return [
    // What growing costs is shared out among many edits; a thousand are not many.
    oneCase("add from empty", kinds.grow, entries > 1_000),
    oneCase("add", kinds.add),
    oneCase("change", kinds.change),
    oneCase("delete", kinds.remove),
  ];
}

/** b. Adds, changes and deletes of /32 routes. */
export function editsRow(effort: Effort, folder: string): Section {
  const cases: Case[] = [];
  for (const entries of effort.editedEntries) {
    for (const { edits, rounds } of effort.batches) {
      // A table of a thousand has no 65,536 entries to edit.
      if (edits <= entries) cases.push(...editCases(effort, folder, entries, edits, rounds));
    }
  }
  return {
    title: "Edits of /32 routes",
    notes: [
      "editRoutes of src/core, the staging of the edits included; addresses scattered",
      "the mean of all batches, so that growth counts in full; least and greatest of single batches beside",
      "their ratio is that of the means",
      "doubling a table has a fixed part whatever its size: a small one grown from empty shows it most",
    ],
    cases,
  };
}

// ── Other prefixes ─────────────────────────────────────────────────────────────────────────────────────────

/**
 * Times that each edit is made; the quickest counts, so that an interruption is not taken for the table's.
 */
const REPEATS = 5;

/** What adds and deletes of one prefix length took, in µs: the quickest of REPEATS for each prefix. */
class PrefixEdits {
  readonly quickest: number[] = [];
  slowest = 0;

  note(repeats: readonly number[]): void {
    this.quickest.push(Math.min(...repeats));
    this.slowest = Math.max(this.slowest, ...repeats);
  }

  case(kind: string, length: number, entries: number): Case {
    return {
      name: `${kind} a /${length}`,
      remark: `slowest run ${(this.slowest / 1e3).toFixed(3)} ms`,
      entries,
      distribution: "uniform",
      unit: "µs",
      value: spreadOf(this.quickest),
      frames: null,
      yardsticks: [],
      target: {
        what: `${kind} a shorter prefix, the worst of all`,
        kind: "at most",
        target: 1000,
        stretch: null,
      },
    };
  }
}

function prefixCases(core: Core, length: number, edits: number, entries: number): Case[] {
  const adds = new PrefixEdits();
  const deletes = new PrefixEdits();
  const random = numbers(7 + length);
  const mask = length === 0 ? 0 : -1 << (32 - length);
  for (let edit = 0; edit < edits; edit++) {
    const prefix = (prefixOf(random(0x7fffffff)) & mask) >>> 0;
    const took = { add: [] as number[], delete: [] as number[] };
    for (let repeat = 0; repeat < REPEATS; repeat++) {
      took.add.push(nanoseconds(() => editRoutes(core, [{ prefix, length, nextHop: 2 }])) / 1e3);
      took.delete.push(nanoseconds(() => editRoutes(core, [{ prefix, length, nextHop: null }])) / 1e3);
    }
    adds.note(took.add);
    deletes.note(took.delete);
  }
  return [adds.case("add", length, entries), deletes.case("delete", length, entries)];
}

function fill(core: Core, entries: number): void {
  const edits: RouteEdit[] = [];
  for (let index = 0; index < entries; index++)
    edits.push({ prefix: prefixOf(index), length: 32, nextHop: 1 });
  editRoutes(core, edits);
}

/**
 * Many /24 come one by one into a table that has none: what growing costs then, the /32 routes beside
 * included.
 */
function growingCase(core: Core, empty: () => void, effort: Effort, entries: number): Case {
  const adds = new PrefixEdits();
  const runs: number[][] = [];
  for (let run = 0; run < effort.growths; run++) {
    empty();
    fill(core, entries);
    const took: number[] = [];
    for (let index = 0; index < effort.prefixGrowth; index++) {
      const edit = { prefix: (0x20000000 + index * 256) >>> 0, length: 24, nextHop: 2 };
      took.push(nanoseconds(() => editRoutes(core, [edit])) / 1e3);
    }
    runs.push(took);
  }
  for (let index = 0; index < effort.prefixGrowth; index++) adds.note(runs.map(took => took[index]!));
  const one = adds.case("add", 24, entries);
  return { ...one, name: `add ${effort.prefixGrowth.toLocaleString("en")} /24 one by one` };
}

/** b. Adds and deletes of shorter prefixes, one a call, in a full table. */
export function prefixesRow(effort: Effort, folder: string): Section {
  const entries = Math.max(...effort.editedEntries);
  const { core, empty } = emptyCore(folder);
  fill(core, entries);
  const single = [24, 16, 8, 0].flatMap(length => prefixCases(core, length, effort.prefixEdits, entries));
  return {
    title: "Edits of shorter prefixes",
    notes: [
      `one edit a call, made ${REPEATS} times (one by one: ${effort.growths}); its quickest run counts`,
      'and so "greatest" is the worst of the table itself; the slowest run, interrupted or not, is beside',
    ],
    cases: [...single, growingCase(core, empty, effort, entries)],
  };
}

// ── A million routes ───────────────────────────────────────────────────────────────────────────────────────

const LOADER = [process.execPath, programFile("bench-load")];

/** Loads an intent and fills a core in a new process; gives the seconds of both. */
function loadOnce(intent: string, wanted: number): Record<string, number> {
  const { load, pack, routes } = JSON.parse(runCommand([...LOADER, "intent", intent]).stdout);
  if (routes !== wanted) throw new Error(`of ${wanted} routes ${routes} were loaded`);
  return { load, pack, "load and pack": load + pack };
}

function splitOnce(list: string): Record<string, number> {
  return { split: JSON.parse(runCommand([...LOADER, "split", list]).stdout).split };
}

const ROUTE_MEASURES = [
  { name: "load", remark: "read and check, loadIntent" },
  { name: "pack", remark: "fill the tables, Core.install" },
  { name: "load and pack", remark: "" },
];

/** c. A routesFile into tables, every time in a new process. */
export function routesRow(effort: Effort, folder: string): Section {
  const { routes, loads } = effort;
  const intent = writeIntent(folder, "routes", { localCount: 4, routeCount: routes, nextHopCount: 3000 });
  const list = intent.replace(/\.yaml$/, ".txt");
  const wc = new Peer("wc -l", ["wc", "-l", list]);
  const contenders = [{ run: () => loadOnce(intent, routes) }, { run: () => splitOnce(list) }, wc];
  const samples = takeTurns(contenders, loads, effort.warmups);
  const beside = (own: number[], name: string, objection: string | null): Yardstick => {
    const theirs = samples.get(name);
    if (objection !== null || theirs === undefined)
      return { name, value: null, timesFaster: null, objection };
    return { name, value: scaled(spreadOf(theirs), 1e3), timesFaster: ratioOf(own, theirs), objection: null };
  };
  const cases = ROUTE_MEASURES.map(({ name, remark }): Case => {
    const own = samples.get(name)!;
    const isHeld = name === "load and pack" && routes === 1_000_000;
    const what = "1,000,000 routes from file into tables";
    return {
      name,
      remark,
      entries: routes,
      distribution: null,
      unit: "ms",
      value: scaled(spreadOf(own), 1e3),
      frames: null,
      yardsticks: [beside(own, "split", null), beside(own, wc.name, wc.objection)],
      target: isHeld ? { what, kind: "at most", target: 1000, stretch: 500 } : null,
    };
  });
  return {
    title: "Routes from a file",
    notes: [
      "3,000 next hops; a new process every time, its start not counted",
      "split: readFileSync and split at line ends, in a new process too; wc -l: the whole process",
    ],
    cases,
  };
}
