/**
 * Made-up figures in the shape that `--json` prints, for the tests of the plots and of the guard: every kind of row,
 * as many as there can be. Nothing was measured; the numbers only have to differ from each other.
 */
import type { Bench, BenchCase } from "../../bench/result.ts";

function besideC(
  one: Partial<BenchCase> & { section: string; name: string },
  ns: number,
  times: number,
): BenchCase {
  const theirs = ns / times;
  return {
    ...one,
    ns_per_frame: ns,
    min: ns * 0.9,
    max: ns * 1.2,
    yardstick: "gcc -O3",
    yardstick_ns_per_frame: theirs,
    yardstick_min: theirs * 0.95,
    yardstick_max: theirs * 1.1,
    ratio: times,
    ratio_min: times * 0.9,
    ratio_max: times * 1.1,
    ratio_target: 1.4,
  };
}

const LOADS = [
  { distribution: "uniform", addresses: "scattered" },
  { distribution: "zipf", addresses: "scattered" },
  { distribution: "uniform", addresses: "dense" },
  { distribution: "zipf", addresses: "dense" },
];

function memoryCases(): BenchCase[] {
  return ["inbound", "outbound", "arp", "bridge", "drop", "mix"].flatMap((name, kind) =>
    [1_000, 100_000, 1_000_000].flatMap((entries, size) =>
      LOADS.flatMap((load, place) =>
        ["judge", "write"].map((mode, form) => {
          const of = { section: `In memory, ${name}`, name, entries, ...load, mode };
          const ns = 20 + kind + size * (10 - 3 * place) + 12 * form;
          return besideC(of, ns, 1.1 + 0.05 * kind + 0.3 * size - 0.1 * place + 0.02 * form);
        }),
      ),
    ),
  );
}

function captureCases(): BenchCase[] {
  const tools = ["gcc -O3", "tcprewrite", "tcpdump -r -w", "editcap"];
  return ["inbound", "outbound"].flatMap((direction, which) =>
    [1, 5].flatMap(size =>
      ["one core", "two cores"].flatMap((cores, few) =>
        ["replay alone", "whole process"].flatMap((figure, whole) =>
          tools.map((yardstick, index): BenchCase => {
            const ns = 90 - 30 * few + 40 * whole + 5 * which + size;
            const theirs = 70 + 100 * index + which;
            const one = {
              section: `Capture → capture, ${direction}`,
              name: `${direction} ${size}M → .pcap, ${cores}, ${figure}`,
              entries: 1_000,
              distribution: "uniform",
            };
            return { ...besideC(one, ns, ns / theirs), yardstick };
          }),
        ),
      ),
    ),
  );
}

/** All kinds of figures. */
export function figures(): Bench {
  return {
    machine: "Some Processor <& others>, 2 cores, Node 20.20.2 (V8 11.3.244.8), Linux 6.18",
    commit: "0123abc",
    date: "2025-01-01",
    effort: "long",
    cases: [...captureCases(), ...memoryCases()],
  };
}
