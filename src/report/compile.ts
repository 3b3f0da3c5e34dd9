/** Compiled flows as JSON. Pure functions of plain data. */

/** A flow as it is in JSON. */
export interface FlowReport {
  readonly table: number;
  readonly priority: number;
  /** In hex: it has 64 bits, and a number of JSON is exact up to 53. */
  readonly cookie: string;
  readonly kind: string;
  /** The id of the VM it belongs to; 0 if there is none. */
  readonly owner: number;
  readonly match: string;
  readonly actions: string;
}

/** One flow: an object on one line, without its end. */
export function flowJson({ table, priority, cookie, kind, owner, match, actions }: FlowReport): string {
  return JSON.stringify({ type: "flow", schema: 1, table, priority, cookie, kind, owner, match, actions });
}

/** The last object: a summary. */
export function compileJson(
  intent: { readonly name: string; readonly bridge: string },
  count: number,
): string {
  return JSON.stringify({ type: "compile", schema: 1, name: intent.name, bridge: intent.bridge, count });
}
