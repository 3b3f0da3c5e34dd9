/**
 * The words of an edit of an intent: the routes and VMs to set and remove, what an edit
 * changed, and the error of an edit that is not made. editable-intent.ts makes edits,
 * edit-json.ts reads and writes them as JSON.
 */
import { UserError } from "../errors/index.ts";
import type { Prefix } from "../wire/index.ts";
import type { NextHop, Vm } from "./types.ts";

/** A route that is not part of a table. */
export interface Route extends Prefix, NextHop {}

/** The VMs and routes to set and remove. Setting one replaces that with the same id or prefix. */
export interface IntentEdit {
  readonly vms: { readonly set: readonly Vm[]; readonly remove: readonly number[] };
  readonly routes: { readonly set: readonly Route[]; readonly remove: readonly Prefix[] };
}

/**
 * An edit that is not made: it is not valid, it conflicts with the intent in force, or it exceeds a limit.
 */
export class EditError extends UserError {
  override readonly name = "EditError";
  readonly code: "bad" | "conflict" | "full";

  constructor(code: EditError["code"], message: string) {
    super(message);
    this.code = code;
  }
}

/** A VM that an edit changed; null: it did not exist before, or does not exist after. */
export interface VmChange {
  readonly before: Vm | null;
  readonly after: Vm | null;
}

/** What an edit changed; VMs and routes that were already as requested are left out. */
export interface IntentChange {
  readonly vms: readonly VmChange[];
  /** Next hops to write before the routes that use them; no route uses these numbers before. */
  readonly nextHops: readonly { readonly index: number; readonly hop: NextHop }[];
  /** Prefix, length and next hop (NO_NEXT_HOP: removed), one after the other. */
  readonly routes: Uint32Array;
}

/** In `IntentChange.routes`: the route is removed. */
export const NO_NEXT_HOP = 0xffffffff;

/** Throws EditError if a list names something twice. */
export function refuseTwice<T>(
  list: readonly T[],
  path: string,
  name: (item: T) => string,
  key: (item: T) => number | string = name,
): void {
  const seen = new Set<number | string>();
  for (const item of list) {
    const own = key(item);
    if (seen.has(own)) throw new EditError("bad", `${path}: ${name(item)} is given twice; keep one`);
    seen.add(own);
  }
}
