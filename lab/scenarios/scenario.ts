/** What a scenario of the lab is, and how it says that something does not hold. */
import { OvsEngine } from "../engines.ts";
import type { Lab } from "../lab.ts";
import { isTimed, LabError } from "../machine.ts";

export interface Settings {
  /** The form for everyday tests: less data, shorter pauses, one case of each kind. */
  readonly isShort: boolean;
}

/** A story that is acted out in a running lab and leaves it as it was. */
export interface Scenario {
  readonly name: string;
  readonly title: string;
  /** What was measured, a line each. Throws a LabError when something does not hold. */
  run(lab: Lab, settings: Settings): Promise<string[]>;
}

/** Throws a LabError unless it holds. */
export function check(holds: boolean, what: string): void {
  if (!holds) throw new LabError(what);
}

/** Proves after every change of an intent that the flows in each Open vSwitch are those of the intent. */
export function proveChanges(lab: Lab): { count: number } {
  const proofs = { count: 0 };
  lab.onChange = async names => {
    for (const name of names) {
      const engine = lab.engine(name);
      if (!(engine instanceof OvsEngine)) continue;
      const verdict = await engine.verify();
      check(verdict === "equal", `${name}: slash32 verify says ${verdict}`);
      proofs.count++;
    }
  };
  return proofs;
}

/** A limit on time or speed, which holds on an idle machine. */
export function checkTimed(holds: boolean, what: string): void {
  if (isTimed) check(holds, what);
}

/** A machine that is busy elsewhere is late now and then; what is lost is forgiven never. */
const TRIES = 3;

/**
 * Repeats a timed action until it is within its limit, three times at most; returns all results, the last
 * decides.
 */
export async function inTime<T extends { readonly ms: number }>(
  limitMs: number,
  what: string,
  measure: () => Promise<T>,
): Promise<T[]> {
  const tries: T[] = [];
  do tries.push(await measure());
  while (isTimed && tries.at(-1)!.ms > limitMs && tries.length < TRIES);
  const shown = tries.map(({ ms }) => rounded(ms, 0)).join(", ");
  checkTimed(tries.at(-1)!.ms <= limitMs, `${what}: ${shown} ms; expected at most ${limitMs} ms`);
  return tries;
}

export const rounded = (value: number, digits = 1): string => value.toFixed(digits);
