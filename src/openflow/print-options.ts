/**
 * Options of everything that prints flows, and the state of one list of actions while it is printed. The
 * entries of actions/ and print.ts share them.
 */
import type { Action } from "./ast.ts";
import type { Protocol } from "./parse-context.ts";
import { formatName } from "./values.ts";

export interface PrintOptions {
  /** Print actions as this OpenFlow version does; as written if absent. */
  readonly version?: Protocol;
  /** Names of ports by number. */
  readonly ports?: ReadonlyMap<number, string>;
  /** Names of tables by number. */
  readonly tables?: ReadonlyMap<number, string>;
  /** False leaves out what `--no-stats` leaves out (default: true). */
  readonly stats?: boolean;
}

/** One list of actions while it is printed. */
export interface Printing extends PrintOptions {
  /** Whether the packet has a VLAN tag here: OpenFlow 1.3 pushes a tag where 1.0 only sets a VID. */
  isTagged: boolean;
  /** Prints a list of actions inside an action. */
  readonly printList: (actions: readonly Action[], printing: Printing) => string;
}

export function formatTable(table: number, { tables }: PrintOptions): string {
  const name = tables?.get(table);
  return name === undefined ? String(table) : formatName(name);
}
