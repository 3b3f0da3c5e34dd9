/**
 * All limits of an intent. They follow from the core's tables and from what a user can read, not
 * from a protocol; each error states the limit. Ranges of single values (an OpenFlow port
 * number, a label) are in schema-table.ts.
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
  /** Errors, and warnings, that are listed; further ones are only counted. */
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

/** Labels of one route: Open vSwitch supports three (FLOW_MAX_MPLS_LABELS); a fourth push fails. */
export const LABELS_MAX = 3;

/** Prints a count with thousands separators: 1,048,576. */
export function formatCount(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ",");
}
