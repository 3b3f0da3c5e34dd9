/**
 * Common parts of the rows that need routing daemons in a namespace: a case beside a bare client, and a
 * section that is measured on a machine of the lab. Such rows need a checkout: the peers of their yardsticks
 * are development packages.
 */
import { missingDaemons } from "../lab/daemons.ts";
import { Machine, whyNot } from "../lab/machine.ts";
import type { Case, Section, Target, Unit } from "./cases.ts";
import { ratioOf, spreadOf } from "./harness.ts";

export interface RoutingFigure {
  readonly name: string;
  readonly remark: string;
  readonly unit: Unit;
  readonly samples: readonly number[];
  /** Samples of the bare client that only watches. */
  readonly bare?: readonly number[];
  readonly target: (Omit<Target, "what" | "stretch"> & { readonly what?: string }) | null;
}

/** A case from the samples of slash32 and of the bare client. */
export function routingCase({ name, remark, unit, samples, bare, target }: RoutingFigure): Case {
  const stick = (theirs: readonly number[]) => ({
    name: "bare WatchEvent client",
    value: spreadOf(theirs),
    timesFaster: ratioOf(samples, theirs),
    objection: null,
  });
  return {
    name,
    remark,
    entries: null,
    distribution: null,
    frames: null,
    unit,
    value: spreadOf(samples),
    yardsticks: bare === undefined ? [] : [stick(bare)],
    target: target === null ? null : { what: name, stretch: null, ...target },
  };
}

/** Measures on a new machine, or says in a note why it cannot. */
export async function routingSection(
  title: string,
  notes: readonly string[],
  measure: (machine: Machine) => Promise<Case[]>,
): Promise<Section> {
  const missing = await missingDaemons();
  const reason = (await whyNot()) ?? (missing === "" ? null : `not installed: ${missing}`);
  if (reason !== null) return { title, notes: [`Not measured: ${reason}.`], cases: [] };
  const machine = new Machine();
  try {
    return { title, notes, cases: await measure(machine) };
  } finally {
    await machine.close();
  }
}
