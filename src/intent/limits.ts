/**
 * The limits of an intent, all in one place. They are what the core's tables hold and what a person can read,
 * not what a protocol allows; each error that comes from one of them names it. Ranges of single values (an
 * OpenFlow port number, a label) are not here: they belong to their keys, see keys.ts.
 */

export interface Limits {
  /** VMs in one intent. */
  readonly vms: number;
  /** Addresses of all VMs together. */
  readonly addresses: number;
  /** Routes of `routes` and `routesFile` together. */
  readonly routes: number;
  /** Distinct pairs of a label stack and a next hop's MAC. */
  readonly nextHops: number;
  /** Bytes of the intent file. */
  readonly intentBytes: number;
  /**
   * YAML words and signs, blanks too: what its reader manages in 5 s and 1 GB;
   * 100,000 inline routes have 2,700,000.
   */
  readonly intentParts: number;
  /** Bytes of the routesFile: a million routes take about 45 MB. */
  readonly routesBytes: number;
  /** Problems listed one by one, of errors and of warnings each; the rest is counted. */
  readonly problems: number;
}

export const LIMITS: Limits = {
  vms: 4_095,
  addresses: 65_536,
  routes: 1_048_576,
  nextHops: 1_048_576,
  intentBytes: 16 * 1024 * 1024,
  intentParts: 3_000_000,
  routesBytes: 256 * 1024 * 1024,
  problems: 100,
};

/** Labels on one route: Open vSwitch keeps three (FLOW_MAX_MPLS_LABELS), a fourth push fails. */
export const LABELS_MAX = 3;

/** Prints a count as people read it: 1,048,576. */
export function formatCount(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ",");
}
