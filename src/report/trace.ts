/** One frame's way through the pipeline, as text and JSON. Pure functions of plain data. */
import { type Palette, tableName } from "./text.ts";

/** A table that the frame met, and the flow it matched there where that is known. */
export interface TraceStep {
  readonly table: number;
  readonly flow: string | null;
  /** Line of the flow in its file, or of the compiled flows. */
  readonly line: number | null;
  readonly actions: string | null;
}

export interface TraceReport {
  readonly inPort: number;
  readonly inPortName: string | null;
  /** Summary of the frame as it came in, one line. */
  readonly before: string;
  readonly outputs: readonly {
    readonly port: number;
    readonly portName: string | null;
    readonly hex: string;
    readonly summary: string;
  }[];
  readonly packetIns: readonly { readonly reason: "action" | "invalid_ttl"; readonly hex: string }[];
  readonly verdict: "output" | "reply" | "drop";
  readonly reason: string | null;
  readonly tables: readonly TraceStep[];
}

/** The JSON object of docs' contract: one line, no line end. */
export function traceJson(trace: TraceReport): string {
  return JSON.stringify({
    type: "trace",
    schema: 1,
    in_port: trace.inPort,
    ...(trace.inPortName === null ? {} : { in_port_name: trace.inPortName }),
    outputs: trace.outputs.map(({ port, portName, hex }) => ({
      port,
      ...(portName === null ? {} : { port_name: portName }),
      frame: hex,
    })),
    packet_ins: trace.packetIns.map(({ reason, hex }) => ({ reason, frame: hex })),
    verdict: trace.verdict,
    reason: trace.reason,
    unknown: [],
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
  const lines = [`${paint.bold("in")}   ${port(trace.inPort, trace.inPortName)}: ${trace.before}`];
  const tables = trace.tables.map(({ table }) => tableName(table));
  if (tables.length > 0) lines.push(`${paint.dim("via")}  ${tables.join(" → ")}`);
  for (const { port: number, portName, summary, hex } of trace.outputs) {
    const word = trace.verdict === "reply" ? "back" : "out ";
    lines.push(`${paint.green(word)} ${port(number, portName)}: ${summary}`, `     ${paint.dim(hex)}`);
  }
  if (trace.verdict === "drop") lines.push(`${paint.yellow("drop")} ${trace.reason}`);
  for (const { reason } of trace.packetIns) lines.push(`     packet-in ${reason}`);
  return `${lines.join("\n")}\n`;
}
