/**
 * What a row of the benchmark gives, and how much is done for it. Types and tables of data; nothing runs
 * here.
 */
import type { MicroEffort, Spread } from "./harness.ts";
import type { Mode } from "./memory.ts";
import type { Layout } from "./traffic.ts";
import type { Distribution } from "./workloads.ts";

/** Something that was timed in the same run, to compare with. */
export interface Yardstick {
  readonly name: string;
  /** Null when there is no figure; `objection` says why. */
  readonly value: Spread | null;
  /** Theirs over ours, pair by pair. */
  readonly timesFaster: Spread | null;
  readonly objection: string | null;
}

export type Unit = "s" | "ms" | "µs" | "ns" | "ns/frame" | "ns/edit" | "MB" | "bytes" | "frames";

export interface Case {
  /** Short, and its own within a section. */
  readonly name: string;
  /** What a person should know beside the name; may be empty. */
  readonly remark: string;
  /** Entries in the table that decides; null where there is none. */
  readonly entries: number | null;
  /** How the entries are drawn. */
  readonly distribution: Distribution | null;
  /** Whether neighbouring entries are neighbours in memory addresses too. */
  readonly addresses?: Layout;
  /** Only decided and counted, or also rewritten and written out. */
  readonly mode?: Mode;
  /** Different addresses that one pass looks up, before the first comes again. */
  readonly visited?: number;
  readonly unit: Unit;
  readonly value: Spread;
  /** Frames that one sample stands for, where that is a number of them. */
  readonly frames: number | null;
  readonly yardsticks: readonly Yardstick[];
  /** What the figure is held against. */
  readonly target: Target | null;
  readonly moreTargets?: readonly Target[];
}

export interface Target {
  /** What the figure is, in a reader's words. */
  readonly what: string;
  /** The figure in its unit, how many times faster or slower than a yardstick, or million frames a second. */
  readonly kind: "at most" | "times faster" | "times slower at most" | "Mpps at least";
  /** The yardstick that a ratio is to; the first when not given. */
  readonly beside?: string;
  readonly target: number;
  readonly stretch: number | null;
}

/** Rows that are printed together. */
export interface Section {
  readonly title: string;
  /** What has to be known to read the figures. */
  readonly notes: readonly string[];
  readonly cases: readonly Case[];
}

/** How much is done: `long` for figures, `short` for CI (90 seconds), `smoke` to see that it works. */
export interface Effort {
  readonly name: "smoke" | "short" | "long";
  readonly captures: readonly { readonly frames: number; readonly rounds: number }[];
  readonly entries: number;
  readonly warmups: number;
  readonly starts: number;
  readonly streamBytes: number;
  readonly streamBlockBytes: number;
  readonly routes: number;
  readonly loads: number;
  /** Sizes of the table that is edited. */
  readonly editedEntries: readonly number[];
  /** Times that a table is grown from empty. */
  readonly growths: number;
  /** Edits in one batch, and batches of each kind. */
  readonly batches: readonly { readonly edits: number; readonly rounds: number }[];
  readonly prefixEdits: number;
  /** Prefixes of length 24 that come one by one into a table that has none. */
  readonly prefixGrowth: number;
  readonly memory: MicroEffort;
  /** Rows in memory: all, or those that CI needs. */
  readonly isWhole: boolean;
  /** Entries at most, and windows that take turns where a table is large; cycles of the mix. */
  readonly mostEntries: number;
  readonly windowCount: number;
  readonly mixCycles: number;
}

export const EFFORTS: Readonly<Record<Effort["name"], Effort>> = {
  smoke: {
    name: "smoke",
    captures: [{ frames: 20_000, rounds: 1 }],
    entries: 1_000,
    warmups: 0,
    starts: 1,
    streamBytes: 20_000_000,
    streamBlockBytes: 4_000_000,
    routes: 20_000,
    loads: 1,
    editedEntries: [2_000],
    growths: 1,
    batches: [{ edits: 1_000, rounds: 2 }],
    prefixEdits: 20,
    prefixGrowth: 200,
    memory: { rounds: 1, samples: 2, sampleSeconds: 0.001 },
    isWhole: false,
    mostEntries: 1_000,
    windowCount: 2,
    mixCycles: 1,
  },
  short: {
    name: "short",
    captures: [{ frames: 1_000_000, rounds: 3 }],
    entries: 1_000,
    warmups: 1,
    starts: 10,
    streamBytes: 200_000_000,
    streamBlockBytes: 64_000_000,
    routes: 1_000_000,
    loads: 3,
    editedEntries: [1_000, 1_000_000],
    growths: 2,
    batches: [
      { edits: 1_000, rounds: 100 },
      { edits: 65_536, rounds: 4 },
    ],
    prefixEdits: 200,
    prefixGrowth: 20_000,
    memory: { rounds: 5, samples: 2, sampleSeconds: 0.01 },
    isWhole: false,
    mostEntries: 1_000_000,
    windowCount: 64,
    mixCycles: 7,
  },
  long: {
    name: "long",
    captures: [{ frames: 1_000_000, rounds: 5 }],
    entries: 1_000,
    warmups: 1,
    starts: 20,
    streamBytes: 2_000_000_000,
    streamBlockBytes: 64_000_000,
    routes: 1_000_000,
    loads: 7,
    editedEntries: [1_000, 100_000, 1_000_000],
    growths: 5,
    batches: [
      { edits: 1_000, rounds: 500 },
      { edits: 65_536, rounds: 15 },
    ],
    prefixEdits: 1_000,
    prefixGrowth: 40_000,
    memory: { rounds: 7, samples: 3, sampleSeconds: 0.02 },
    isWhole: true,
    mostEntries: 1_000_000,
    windowCount: 64,
    mixCycles: 7,
  },
};
