/**
 * A thin wrapper around uvu: suites that count, skip with a reason, and run one after the other. uvu itself can
 * neither skip at run time nor return counts. Peers (tcpdump, tshark …) are asked for with `peer()`: without them a
 * test is skipped and says what is missing, or fails when REQUIRE_PEERS=1.
 */
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { suite as uvuSuite } from "uvu";

export * as assert from "uvu/assert";

export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

export const counts: Counts = { passed: 0, failed: 0, skipped: 0 };

/** Thrown by `skip()`; the harness counts it as skipped, with its reason. */
class Skip extends Error {}

export type TestBody = () => void | Promise<void>;

export interface Suite {
  (name: string, body: TestBody): void;
  run(): void;
}

/** A named group of tests. Call `.run()` at the end of the file, as with uvu. */
export function suite(name: string): Suite {
  const inner = uvuSuite(name);
  const test = (title: string, body: TestBody): void => {
    inner(title, async () => {
      try {
        await body();
        counts.passed++;
      } catch (error) {
        if (error instanceof Skip) {
          counts.skipped++;
          process.stdout.write(`  skipped: ${name} › ${title}: ${error.message}\n`);
          return;
        }
        counts.failed++;
        throw error;
      }
    });
  };
  return Object.assign(test, { run: () => inner.run() });
}

/** Ends the running test as skipped, unless REQUIRE_PEERS=1 makes a missing peer a failure. */
export function skip(reason: string): never {
  if (process.env.REQUIRE_PEERS === "1") throw new Error(`REQUIRE_PEERS=1, but: ${reason}`);
  throw new Skip(reason);
}

/** Ends the running test as skipped, in any case: it needs something that not even every CI has. */
export function skipOptional(reason: string): never {
  throw new Skip(reason);
}

/** Ends the running test as skipped when the program `command` is not on PATH. */
export function peer(command: string): void {
  // Without a shell: a machine under load may refuse a process, and that is not a missing program.
  const isHere = (process.env.PATH ?? "").split(delimiter).some(folder => {
    try {
      accessSync(join(folder, command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
  if (!isHere) skip(`${command} is not installed`);
}

/** How many draws a random test makes: all of `full` with DRAWS=all, as in `.ci/run`; a third of them in everyday runs. */
export const draws = (full: number): number => (process.env.DRAWS === "all" ? full : Math.ceil(full / 3));

/** How long a test waits for what must happen: a machine that does other things too is no failure. */
export const WAIT_MS = 300_000;

/** Whether limits on time hold, which need an idle machine: with TIMED=1. */
export const isTimed = process.env.TIMED === "1";

let turns = 0;

/**
 * Whether one of many similar cases, each of which starts the program, is tried: all with DRAWS=all, as in `.ci/run`;
 * every third in everyday runs, always the same.
 */
export const isTried = (): boolean => process.env.DRAWS === "all" || turns++ % 3 === 0;

/** What the draws of a plain run begin with: the same commit gives the same answer twice. */
const USUAL_SEED = 20_261_123;

/**
 * The seed of a property test, always printed by the caller: SEED from the environment, the clock with `SEED=random`,
 * else always the same, so that a red run is the change's doing and not the day's luck.
 */
export function seed(): number {
  const { SEED = USUAL_SEED } = process.env;
  return (SEED === "random" ? Date.now() : Number(SEED)) >>> 0;
}
