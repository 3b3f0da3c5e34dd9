/**
 * Rows about the tables: single edits in batches, as BGP will make them, beside a JavaScript Map that gets
 * the same edits; prefixes of other lengths; and a million routes from a file.
 */
import { join } from "node:path";
import { Core, editRoutes, type RouteEdit, setNextHop } from "../src/core/index.ts";
import { loadIntent } from "../src/intent/index.ts";
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
      setNextHop(core, index, { labels: [2000 + index], via: 0x0200000000fe }, 0);
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

/** The ratio of the means: growth is rare and long, the median would not show it. */
function meanRatio(ours: readonly number[], theirs: readonly number[]): Spread {
  return {
    ...ratioOf(ours, theirs),
    value: meanSpreadOf(theirs).value / meanSpreadOf(ours).value,
    isMean: true,
  };
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
    const what = `/32 ${kind}, batches of ${size}, ${entries.toLocaleString("en")} entries`;
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
      "doubling a table has a fixed part whatever its size: a small one grown from empty shows it most",
    ],
    cases,
  };
}

// ── Other prefixes ─────────────────────────────────────────────────────────────────────────────────────────

/** b. Adds and deletes of shorter prefixes, one a call, in a full table. */
export function prefixesRow(effort: Effort, folder: string): Section {
  const entries = Math.max(...effort.editedEntries);
  const { core } = emptyCore(folder);
  const full: RouteEdit[] = [];
  for (let index = 0; index < entries; index++)
    full.push({ prefix: prefixOf(index), length: 32, nextHop: 1 });
  editRoutes(core, full);
  const random = numbers(7);
  const cases = [24, 16, 8, 0].flatMap(length => {
    const samples: Record<string, number[]> = { add: [], delete: [] };
    for (let edit = 0; edit < effort.prefixEdits; edit++) {
      const mask = length === 0 ? 0 : (-1 << (32 - length)) >>> 0;
      const prefix = (prefixOf(random(0x7fffffff)) & mask) >>> 0;
      samples.add!.push(nanoseconds(() => editRoutes(core, [{ prefix, length, nextHop: 2 }])) / 1e3);
      samples.delete!.push(nanoseconds(() => editRoutes(core, [{ prefix, length, nextHop: null }])) / 1e3);
    }
    return Object.entries(samples).map(
      ([kind, list]): Case => ({
        name: `${kind} a /${length}`,
        remark: "",
        entries,
        distribution: "uniform",
        unit: "µs",
        value: spreadOf(list),
        frames: null,
        yardsticks: [],
        target: { what: `/${length} ${kind}, the worst`, kind: "at most", target: 1000, stretch: null },
      }),
    );
  });
  return {
    title: "Edits of shorter prefixes",
    notes: ["one edit a call; the target is held against the worst of all"],
    cases,
  };
}

// ── A million routes ───────────────────────────────────────────────────────────────────────────────────────

const LOADER = [process.execPath, "--import", "tsx", join(import.meta.dirname, "load.ts")];

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
      target: isHeld ? { what, kind: "at most", target: 1500, stretch: null } : null,
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
