/**
 * The path of one frame through the pipeline or through flows, as text and JSON. Pure functions of plain
 * data.
 */
import {
  alongText,
  outputObject,
  packetInObject,
  packetInText,
  type ShownOutput,
  type ShownPacketIn,
} from "./ends.ts";
import { type Palette, tableName } from "./text.ts";

/** A table that the frame met, and the flow it matched there. */
export interface TraceStep {
  readonly table: number;
  /** Priority and match: `priority=400,in_port=1,…`; null if no flow matched. */
  readonly flow: string | null;
  /** Line of the flow in its file, or among the compiled flows; counts from 1. */
  readonly line: number | null;
  readonly actions: string | null;
  /** The flows whose conjunction actions led to it; absent if it matched by itself. */
  readonly clauses?: readonly TraceClause[];
}

/** A flow that is a clause of a conjunctive match. */
export interface TraceClause {
  readonly flow: string;
  readonly line: number;
  readonly actions: string;
}

/** Changes between one table and the next. */
export interface TraceEvent {
  /**
   * Changed fields (`nw_ttl: 64 → 63`), and a summary of the packet if it was parsed again behind a popped
   * label.
   */
  readonly changes: readonly { readonly field: string; readonly before: string; readonly after: string }[];
  readonly readAgain: string | null;
}

export interface TraceReport {
  readonly inPort: number;
  readonly inPortName: string | null;
  /** State beside the bytes of the frame, as a match: `tun_id=0x64`; empty if there is none. */
  readonly state: string;
  /** Summary of the frame as it came in, one line. */
  readonly before: string;
  readonly outputs: readonly ShownOutput[];
  readonly packetIns: readonly ShownPacketIn[];
  /** Effects beside the packet, as the actions stand in the flows: learn(…), NORMAL. */
  readonly others: readonly string[];
  readonly verdict: "output" | "reply" | "drop" | "unknown" | "ambiguous";
  readonly reason: string | null;
  readonly unknown: readonly { readonly feature: string; readonly line: number }[];
  /** Flows of one table with equal priority that both match and differ. */
  readonly ambiguous: readonly {
    readonly table: number;
    readonly lines: readonly number[];
    /**
     * Lines of flows with conjunction actions whose order decides; absent where both flows match by
     * themselves.
     */
    readonly clauses?: readonly number[];
  }[];
  readonly tables: readonly TraceStep[];
  /** Whether the tables are those of the pipeline, whose names are known. */
  readonly isPipeline: boolean;
  /** One for each table, or none at all. */
  readonly events: readonly TraceEvent[];
  /** Further lines, for example why the outcome was discarded. */
  readonly notes: readonly string[];
}

/** The JSON object of docs' contract: one line, no line end. */
export function traceJson(trace: TraceReport): string {
  return JSON.stringify({
    type: "trace",
    schema: 1,
    in_port: trace.inPort,
    ...(trace.inPortName === null ? {} : { in_port_name: trace.inPortName }),
    ...(trace.state === "" ? {} : { state: trace.state }),
    outputs: trace.outputs.map(outputObject),
    packet_ins: trace.packetIns.map(packetInObject),
    verdict: trace.verdict,
    reason: trace.reason,
    unknown: trace.unknown,
    ...(trace.ambiguous.length === 0 ? {} : { ambiguous: trace.ambiguous }),
    tables: trace.tables,
  });
}

/** The object that answers a bad line of a batch. */
export function traceErrorJson(line: number, message: string): string {
  return JSON.stringify({ type: "error", schema: 1, line, message });
}

/** A few lines of text. */
export function traceText(trace: TraceReport, paint: Palette): string {
  const port = (number: number, name: string | null): string =>
    name === null ? String(number) : `${name} (${number})`;
  const state = trace.state === "" ? "" : ` with ${trace.state}`;
  const lines = [`${paint.bold("in")}   ${port(trace.inPort, trace.inPortName)}${state}: ${trace.before}`];
  const tables = trace.tables.map(({ table }) => (trace.isPipeline ? tableName(table) : String(table)));
  if (tables.length > 0) lines.push(`${paint.dim("via")}  ${tables.join(" → ")}`);
  trace.tables.forEach((step, index) => {
    lines.push(...stepLines(step, trace.events[index], paint));
  });
  for (const output of trace.outputs) {
    const word = trace.verdict === "reply" ? "back" : "out ";
    const where = `${port(output.port, output.portName)}${alongText(output)}`;
    lines.push(`${paint.green(word)} ${where}: ${output.summary}`, `     ${paint.dim(output.hex)}`);
  }
  lines.push(...verdictLines(trace, paint));
  for (const packetIn of trace.packetIns) lines.push(`     ${packetInText(packetIn)}`);
  return `${lines.join("\n")}\n`;
}

function stepLines(step: TraceStep, event: TraceEvent | undefined, paint: Palette) {
  const { table, flow, line, actions } = step;
  const lines = [
    flow === null
      ? `     ${paint.dim(`table=${table}:`)} no flow matches`
      : `     ${paint.dim(`table=${table}, line ${line}:`)} ${flowText(flow, actions)}`,
  ];
  for (const clause of step.clauses ?? [])
    lines.push(
      `       ${paint.dim(`clause, line ${clause.line}:`)} ${flowText(clause.flow, clause.actions)}`,
    );
  for (const { field, before, after } of event?.changes ?? []) {
    lines.push(`       ${paint.cyan(field)}: ${before} → ${after}`);
  }
  if (event?.readAgain != null) lines.push(`       ${paint.dim("parsed again:")} ${event.readAgain}`);
  return lines;
}

const flowText = (flow: string, actions: string | null): string =>
  `${flow === "" ? "" : `${flow} `}actions=${actions}`;

function verdictLines({ verdict, reason, unknown, ambiguous, notes }: TraceReport, paint: Palette): string[] {
  const lines: string[] = [];
  const [note, ...more] = notes;
  if (verdict === "drop") lines.push([paint.yellow("drop"), reason ?? note ?? ""].join(" ").trimEnd());
  else if (note !== undefined) more.unshift(note);
  if (reason !== null && note !== undefined) more.unshift(note);
  for (const { feature, line } of unknown) lines.push(`${paint.red("unknown")} ${feature}, line ${line}`);
  for (const { table, lines: both, clauses } of ambiguous) {
    const found = `lines ${both.join(" and ")}`;
    const why =
      clauses === undefined
        ? `${found} both match with equal priority and differ`
        : `${found} differ; the order of the clauses in lines ${clauses.join(", ")} decides between them`;
    lines.push(`${paint.red("ambiguous")} table ${table}: ${why}`);
  }
  return [...lines, ...more.map(text => `     ${text}`)];
}
