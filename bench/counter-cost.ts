/**
 * The cost of counters: the core beside a build of itself that does not count, made at bench time from the
 * same sources with the same compiler passes. The sources are edited as text on their way into the compiler;
 * a run on frames proves that the edits had their effect. Only a checkout has the sources.
 */
import { readFileSync } from "node:fs";
import { join, normalize } from "node:path";
import { pathToFileURL } from "node:url";
import { Core, type Counters, instantiateCore } from "../src/core/index.ts";
import type { Case, Effort, Section } from "./cases.ts";
import { type MemoryKind, type Subject, timeMode, trafficOf } from "./core.ts";
import { ratioOf, spreadOf } from "./harness.ts";
import { CoreWindows, checkSamePackets, type Mode } from "./memory.ts";
import { isCheckout, ROOT } from "./paths.ts";

/** The only statement that counts, as in assembly/count.ts; it is removed. */
const COUNTS = "store<u64>(at, load<u64>(at) + by);";
const COUNTS_IN = "assembly/count.ts";

interface Compiler {
  compileCore(
    root: string,
    target: string,
    edit: (name: string, text: string) => string,
  ): Promise<Uint8Array<ArrayBuffer>>;
}

/** A core that does not count. Throws when the sources do not count in the way that is known here. */
export async function uncountedCore(statement = COUNTS): Promise<Core> {
  const met = readFileSync(join(ROOT, COUNTS_IN), "utf8").split(statement).length - 1;
  if (met !== 1)
    throw new Error(
      `${COUNTS_IN} has ${met} times "${statement}", not once: bench/counter-cost.ts must follow`,
    );
  const { compileCore } = (await import(pathToFileURL(join(ROOT, "bin/compile.mjs")).href)) as Compiler;
  const wasm = await compileCore(ROOT, "release", (name, text) =>
    normalize(name) === normalize(COUNTS_IN) ? text.replace(statement, "") : text,
  );
  return new Core(instantiateCore(wasm));
}

/** Throws unless the packets are alike and nothing was counted. */
function checkUncounted(windows: CoreWindows, packets: Buffer): void {
  const other = windows.pass();
  checkSamePackets(packets, other.packets);
  const counted = Object.entries(other.counters as Counters).filter(([, value]) =>
    typeof value === "number" ? value !== 0 : [...value].length > 0,
  );
  if (counted.length > 0)
    throw new Error(`the core that does not count counted ${counted.map(([name]) => name)}`);
}

const SUBJECTS: readonly MemoryKind[] = ["inbound", "outbound", "mix"];
const WITHOUT = "the same without counting";

export async function countingRow(effort: Effort): Promise<Section> {
  const title = "In memory, cost of counters";
  if (!isCheckout) {
    return {
      title,
      notes: ["skipped: a core without counters is compiled from the sources, of a checkout"],
      cases: [],
    };
  }
  const core = await uncountedCore();
  const cases: Case[] = [];
  for (const kind of SUBJECTS) {
    const subject: Subject = { kind, entries: 1_000, distribution: "uniform", layout: "scattered" };
    const traffic = trafficOf(subject, effort);
    const ours = { name: "ours", windows: new CoreWindows(traffic), frames: traffic.frames };
    const without = { name: WITHOUT, windows: new CoreWindows(traffic, core), frames: traffic.frames };
    checkUncounted(without.windows, ours.windows.check().packets);
    for (const mode of ["judge", "write"] as const) {
      const samples = await timeMode(ours, null, [without], mode, effort);
      cases.push(countingCase(subject, mode, samples.get("ours")!, samples.get(WITHOUT)!));
    }
  }
  return {
    title,
    notes: [
      "ours: as built; without: compiled just now from the same sources, less the statement that counts",
      "both write the same packets, and the second counts nothing; checked before anything is timed",
      "a drop's reason is part of the decision and in both; counting it is only in the first",
    ],
    cases,
  };
}

function countingCase(
  { kind, entries, distribution, layout }: Subject,
  mode: Mode,
  ours: readonly number[],
  without: readonly number[],
): Case {
  return {
    name: `${kind}, counted`,
    remark: "",
    entries,
    distribution,
    addresses: layout,
    mode,
    unit: "ns/frame",
    value: spreadOf(ours),
    frames: 1,
    yardsticks: [
      { name: WITHOUT, value: spreadOf(without), timesFaster: ratioOf(ours, without), objection: null },
    ],
    target: {
      what: `counters and reasons: with ÷ without, ${kind}, ${mode}`,
      kind: "times slower at most",
      target: 1.1,
      stretch: 1.03,
    },
  };
}
