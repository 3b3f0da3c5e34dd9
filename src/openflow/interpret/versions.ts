/**
 * Differences between versions of Open vSwitch that show in what becomes of a frame, as measured on 3.1.0 and
 * 3.5.0 (test/ovs): a table of data, so that the interpreter and the prover read the same. Versions in
 * between were not measured.
 */

/** A version whose behaviour is executed. */
export type OvsVersion = "3.1" | "3.5";

export interface OvsBehaviour {
  /** How often the datapath recirculates a packet; it drops the packet instead of doing so once more. */
  readonly recirculations: number;
  /** Whether a clone begins with a copy of the action set, and so executes it, or with an empty one. */
  readonly clonesActionSet: boolean;
}

export const OVS_VERSIONS: Readonly<Record<OvsVersion, OvsBehaviour>> = {
  "3.1": { recirculations: 6, clonesActionSet: true },
  "3.5": { recirculations: 8, clonesActionSet: false },
};

export const USUAL_OVS: OvsVersion = "3.1";

/** The differences in words, for docs/language.md. */
export const VERSION_DIFFERENCES: readonly ({ readonly of: string } & Readonly<
  Record<OvsVersion, string>
>)[] = [
  {
    of: "clone",
    "3.1":
      "begins with a copy of the action set and executes it at its end: an output in the set leaves twice",
    "3.5": "begins with an empty action set; it executes only the actions written inside the clone",
  },
  {
    of: "recirculation after pop_mpls",
    "3.1": `at most ${OVS_VERSIONS["3.1"].recirculations} times, then it is dropped`,
    "3.5": `at most ${OVS_VERSIONS["3.5"].recirculations} times, then it is dropped`,
  },
];
