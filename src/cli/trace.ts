/** `slash32 trace -n INTENT`: the core's view of single frames, given as hex, from a capture, or line by line. */
import { createReadStream, existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { ioMessage } from "../capture/index.ts";
import { Core, type FrameOut } from "../core/index.ts";
import type { Intent } from "../intent/index.ts";
import { PortNames, parseCaptureArgument, readFrames } from "../replay/index.ts";
import { type TraceReport, traceErrorJson, traceJson, traceText } from "../report/index.ts";
import { formatHex, parseHex, summarize } from "../wire/index.ts";
import { type Context, print } from "./context.ts";
import { UsageError, UserError } from "./errors.ts";

interface Tracer {
  readonly core: Core;
  readonly intent: Intent;
  readonly ports: PortNames;
}

export async function trace(context: Context): Promise<number> {
  const batch = context.text("batch");
  const captures = context.texts("read");
  const hex = context.positionals;
  if ([batch !== undefined, captures.length > 0, hex.length > 0].filter(Boolean).length !== 1) {
    throw new UsageError("trace needs one of: frames in hex, -r CAPTURE, --batch FILE");
  }
  if (batch === "-" && context.text("intent") === "-") {
    throw new UsageError("standard input can be the intent or the batch, not both");
  }
  const intent = context.intent();
  const core = Core.load();
  core.install(intent);
  const tracer = { core, intent, ports: new PortNames(intent) };
  if (batch !== undefined) return traceBatch(tracer, batch);
  if (captures.length > 0) await traceCaptures(context, tracer, captures);
  else traceHex(context, tracer, hex);
  return 0;
}

/** Traces a frame; the core is asked with a batch of one. */
function traceFrame({ core, ports }: Tracer, inPort: number, frame: Uint8Array): TraceReport {
  const out = core.runFrames([{ inPort, frame }])[0]!;
  return {
    inPort,
    inPortName: ports.nameOf(inPort),
    before: summarize(frame),
    outputs: outputsOf(out, ports),
    packetIns:
      out.reason === "ttl-expired" ? [{ reason: "invalid_ttl", hex: formatHex(seenAt(out, frame)) }] : [],
    verdict: out.verdict,
    reason: out.reason,
    tables: out.tables.map(table => ({ table, flow: null, line: null, actions: null })),
  };
}

function outputsOf({ port, frame }: FrameOut, ports: PortNames): TraceReport["outputs"] {
  if (port === null || frame === null) return [];
  return [{ port, portName: ports.nameOf(port), hex: formatHex(frame), summary: summarize(frame) }];
}

/** The frame as dec_ttl meets it: its label popped, if it had one (behind byte 14, or behind LLC and SNAP). */
function seenAt({ isPopped }: FrameOut, frame: Uint8Array): Uint8Array {
  if (!isPopped) return frame;
  const header = frame[12]! < 6 ? 22 : 14;
  const popped = new Uint8Array(frame.length - 4);
  popped.set(frame.subarray(0, header));
  popped.set(frame.subarray(header + 4), header);
  popped.set([0x08, 0x00], 12);
  return popped;
}

function portGiven(context: Context, { ports }: Tracer): number | null {
  const text = context.text("in-port");
  if (text === undefined) return null;
  const number = ports.resolve(text);
  if (number === null)
    throw new UsageError(`-i: "${text}" is no port of the intent, which has ${ports.list()}`);
  return number;
}

function show(context: Context, report: TraceReport): void {
  if (context.format === "text") print(traceText(report, context.palette(process.stdout)));
  else print(`${traceJson(report)}\n`);
}

function traceHex(context: Context, tracer: Tracer, texts: readonly string[]): void {
  const inPort = portGiven(context, tracer);
  if (inPort === null)
    throw new UsageError(
      `trace needs the port that the frame enters: -i PORT, one of ${tracer.ports.list()}`,
    );
  const frames = texts.map(text => {
    try {
      return parseHex(text);
    } catch (error) {
      throw new UserError(`frame: ${(error as Error).message}`);
    }
  });
  for (const frame of frames) show(context, traceFrame(tracer, inPort, frame));
}

async function traceCaptures(context: Context, tracer: Tracer, captures: readonly string[]): Promise<void> {
  const inPort = portGiven(context, tracer);
  let left = context.number("count") ?? Number.POSITIVE_INFINITY;
  let shown = 0;
  for (const text of captures) {
    const { capture, number } = splitNumber(text, tracer.ports);
    let isFound = number === null;
    for await (const frame of readFrames(tracer.core, tracer.intent, capture, inPort)) {
      if (left-- <= 0) break;
      if (number !== null && frame.number !== number) continue;
      if (frame.length !== frame.frame.length) {
        throw new UserError(
          `${capture}: frame ${frame.number} is snapped: ${frame.frame.length} of ${frame.length} bytes`,
        );
      }
      show(context, traceFrame(tracer, frame.inPort, frame.frame));
      shown++;
      isFound = true;
      if (number !== null) break;
    }
    if (!isFound) {
      throw new UserError(
        `${capture}: has no frame ${number}${left < 0 ? " among those that -c allows" : ""}`,
      );
    }
  }
  if (shown === 0) throw new UserError("no frame was read");
}

/** `CAPTURE:N`, unless a file has just that name. */
function splitNumber(text: string, ports: PortNames): { capture: string; number: number | null } {
  const [, capture, digits] = /^(.*):(\d+)$/.exec(text) ?? [];
  const isFile = existsSync(parseCaptureArgument(text, ports).capture);
  if (capture === undefined || isFile) return { capture: text, number: null };
  return { capture, number: Number(digits) };
}

async function traceBatch(tracer: Tracer, file: string): Promise<number> {
  const input = file === "-" ? process.stdin : createReadStream(file);
  let line = 0;
  let answers = 0;
  let code = 0;
  try {
    for await (const text of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
      line++;
      if (text.trim() === "") continue;
      answers++;
      const answer = answerTo(tracer, text);
      if (typeof answer !== "string") {
        print(`${traceJson(answer)}\n`);
        continue;
      }
      code = 1;
      print(`${traceErrorJson(line, answer)}\n`);
    }
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(`${file}: ${ioMessage(error)}`);
  }
  if (answers === 0)
    throw new UserError(`${file === "-" ? "standard input" : file}: is empty; expected lines of JSON`);
  return code;
}

/** A trace, or what is wrong with the line. */
function answerTo(tracer: Tracer, text: string): TraceReport | string {
  let request: unknown;
  try {
    request = JSON.parse(text);
  } catch {
    return 'not JSON; expected {"in_port":1,"frame":"hex"}';
  }
  if (typeof request !== "object" || request === null)
    return 'expected an object: {"in_port":1,"frame":"hex"}';
  const { in_port, frame } = request as Record<string, unknown>;
  // In JSON a number is a number: only text can be a name.
  const isNumber = Number.isInteger(in_port) && (in_port as number) >= 0 && (in_port as number) <= 0xffffffff;
  const named = typeof in_port === "string" ? tracer.ports.resolve(in_port) : null;
  const inPort = isNumber ? (in_port as number) : named;
  if (inPort === null) return `in_port: ${JSON.stringify(in_port)} is neither a port's name nor a number`;
  if (typeof frame !== "string") return "frame: expected the frame's bytes as text in hex";
  try {
    return traceFrame(tracer, inPort, parseHex(frame));
  } catch (error) {
    return `frame: ${(error as Error).message}`;
  }
}
