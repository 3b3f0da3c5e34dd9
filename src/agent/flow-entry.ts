/**
 * One entry of the flow table, desired or observed: a typed flow of the pipeline under a key, which stands
 * for table, priority and match, however they are spelled: Open vSwitch has one flow for each. An observed
 * flow keeps its text only if slash32 would not print it so: foreign flows, and flows that another party
 * changed.
 */

import { canonicalText, parseFlow } from "../openflow/index.ts";
import {
  actionsText,
  type FlowText,
  isSameFlow,
  PIPELINE_ROWS,
  type PipelineFlow,
  printedMatchText,
  printFlow,
  type Recognizer,
  type RowKind,
  respell,
} from "../pipeline/index.ts";

/** Text of a flow that is not as the pipeline would print it. `kind` null: a foreign flow, by its cookie. */
export interface RawFlow extends FlowText {
  readonly kind: RowKind | null;
  readonly owner: number;
}

export class FlowEntry {
  readonly key: string;
  /** Null: its match is not that of a row of this hypervisor's pipeline. */
  readonly flow: PipelineFlow | null;
  /** Null: exactly as `flow` is printed. */
  readonly raw: RawFlow | null;
  /** Timeouts and flags (no flow of ours has any), or the bridge's fingerprint of the VM; else empty. */
  readonly tag: string;

  constructor(key: string, flow: PipelineFlow | null, raw: RawFlow | null, tag: string) {
    this.key = key;
    this.flow = flow;
    this.raw = raw;
    this.tag = tag;
  }

  get #head(): { readonly table: number; readonly priority: number } {
    return this.raw ?? this.flow!;
  }

  get table(): number {
    return this.#head.table;
  }

  get priority(): number {
    return this.#head.priority;
  }

  /** Null: a foreign flow. */
  get kind(): RowKind | null {
    return this.raw === null ? this.flow!.kind : this.raw.kind;
  }

  /** A VM's id; 0 for pipeline, routes and foreign flows. */
  get owner(): number {
    return (this.raw ?? this.flow!).owner;
  }

  /** The VM's address in the match; null if there is none. */
  get address(): number | null {
    return this.flow?.row.matchWords.has("A") ? this.flow.address : null;
  }

  /** The parts of the flow as text. */
  get text(): FlowText {
    return this.raw ?? printFlow(this.flow!);
  }
}

/** The starts of keys by table and priority: a dump has thousands of flows with each. */
const keyStarts = new Map<number, string>();

/** The key of a flow; `match` as a switch prints it. */
function keyOf(table: number, priority: number, match: string): string {
  const place = table * 0x10000 + priority;
  let start = keyStarts.get(place);
  if (start === undefined) {
    start = `${table}/${priority}/`;
    keyStarts.set(place, start);
  }
  return start + match;
}

/** The key of a typed flow. */
export const keyOfFlow = (flow: PipelineFlow): string =>
  keyOf(flow.table, flow.priority, printedMatchText(flow));

/** The entry of a flow as slash32 makes it. */
export const entryOf = (flow: PipelineFlow, tag = ""): FlowEntry =>
  new FlowEntry(keyOfFlow(flow), flow, null, tag);

/** Tables and priorities that the pipeline uses. */
const PLACES: ReadonlySet<string> = new Set(
  PIPELINE_ROWS.flatMap(({ table, priority }) =>
    priority === "100+plen"
      ? Array.from({ length: 32 }, (_, index) => `${table}/${101 + index}`)
      : [`${table}/${priority}`],
  ),
);

/** The entry that is known for the key of a dumped flow, if it is printed exactly like it; else null. */
function sameAsKnown(raw: RawFlow, key: string, tag: string, known: KnownEntries): FlowEntry | null {
  const entry = known.get(key);
  if (entry === undefined || entry.raw !== null || entry.tag !== tag) return null;
  const { kind, owner } = entry.flow!;
  return kind === raw.kind && owner === raw.owner && actionsText(entry.flow!) === raw.actions ? entry : null;
}

export type KnownEntries = ReadonlyMap<string, FlowEntry>;

/** The entry of a dumped flow: the known one, if that is printed exactly like it. */
export function entryOfText(
  raw: RawFlow,
  tag: string,
  recognizer: Recognizer,
  known: KnownEntries,
): FlowEntry {
  const { cookie, table, priority, match, actions, kind, owner } = raw;
  const printed = keyOf(table, priority, match);
  const same = kind === null || known.size === 0 ? null : sameAsKnown(raw, printed, tag, known);
  if (same !== null) return same;
  const found = kind === null ? null : recognizer.recognize(raw, { kind, owner });
  if (found?.isExact)
    return new FlowEntry(found.isPrinted ? printed : keyOfFlow(found.flow), found.flow, null, tag);
  const kept = { cookie, table, priority, match, actions, kind, owner };
  if (found !== null) return new FlowEntry(keyOfFlow(found.flow), found.flow, kept, tag);
  // A flow in a place of the pipeline may obstruct one of ours under another spelling.
  const respelt = PLACES.has(`${table}/${priority}`) ? respell(raw) : null;
  return new FlowEntry(respelt === null ? printed : keyOf(table, priority, respelt.match), null, kept, tag);
}

const actionsByEntry = new WeakMap<FlowEntry, string | null>();

/** The actions in a form that does not depend on their spelling; null if they cannot be parsed. */
function canonicalActions(entry: FlowEntry): string | null {
  let canonical = actionsByEntry.get(entry);
  if (canonical === undefined) {
    const { table, match, actions } = entry.text;
    const text = `table=${table}${match === "" ? "" : `,${match}`} actions=${actions}`;
    const { flow } = parseFlow(text, undefined, { isPrinted: true });
    canonical = flow === null ? null : canonicalText(flow.actions);
    actionsByEntry.set(entry, canonical);
  }
  return canonical;
}

/** Whether two entries of one key are the same flow, however it is spelt: cookie, actions and tag. */
export function isSameEntry(one: FlowEntry, other: FlowEntry): boolean {
  if (one === other) return true;
  if (one.tag !== other.tag) return false;
  if (one.raw === null && other.raw === null) return isSameFlow(one.flow!, other.flow!);
  const [a, b] = [one.text, other.text];
  if (a.cookie !== b.cookie) return false;
  if (a.actions === b.actions) return true;
  const canonical = canonicalActions(one);
  return canonical !== null && canonical === canonicalActions(other);
}
