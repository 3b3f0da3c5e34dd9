/**
 * `slash32 trace`: one frame's way through an intent's pipeline or through a bridge's flows. Frames are
 * given as hex or as builder expressions, from a capture, or line by line.
 */
import { existsSync } from "node:fs";
import { Core } from "../core/index.ts";
import { NO_STATE, parseTrackerAnswer, type TrackerAnswer } from "../openflow/index.ts";
import { type PortNames, parseCaptureArgument, readFrames } from "../replay/index.ts";
import { type TraceReport, traceText } from "../report/index.ts";
import { frameOfExpression, isExpression, parseHex } from "../wire/index.ts";
import { bridgeAt } from "./bundle-input.ts";
import { type Context, print, say } from "./context.ts";
import { UsageError, UserError } from "./errors.ts";
import { portNames } from "./flows.ts";
import { Answers } from "./ndjson-writer.ts";
import { traceBatch } from "./trace-batch.ts";
import { givenFlow, isFlowText } from "./trace-flow.ts";
import { CoreTracer, FlowTracer, type Traced, type Tracer } from "./tracers.ts";

export async function trace(context: Context): Promise<number> {
  const batch = context.text("batch");
  const captures = context.texts("read");
  const frames = context.positionals;
  const tracer = await tracerFor(context);
  if (batch !== undefined) return traceBatch(tracer, batch);
  if (captures.length > 0) return traceCaptures(context, tracer, captures);
  traceFrames(context, tracer, frames);
  return 0;
}

/** With flows, an intent beside them gives names to ports and nothing else. */
async function tracerFor(context: Context): Promise<Tracer> {
  const flows = context.text("flows");
  if (flows === undefined) {
    const intent = context.intent();
    return new CoreTracer(intent, portNames(context, intent));
  }
  const intent = context.text("intent") === undefined ? null : context.intent();
  const bridge = await bridgeAt(context, flows, intent);
  return new FlowTracer(bridge, context.texts("ct-next").map(trackerAnswer));
}

function trackerAnswer(text: string): TrackerAnswer {
  const answer = parseTrackerAnswer(text);
  if (typeof answer === "string") throw new UsageError(`--ct-next: ${answer}`);
  return answer;
}

function portGiven(context: Context, { ports }: Tracer): number | null {
  const text = context.text("in-port");
  if (text === undefined) return null;
  const number = ports.resolve(text);
  if (number === null) throw new UsageError(`-i: ${ports.notAPort(text)}`);
  return number;
}

function show(context: Context, tracer: Tracer, { inPort, frame, state }: Traced): void {
  if (context.format !== "text") {
    const answers = new Answers();
    tracer.write(inPort, frame, state, answers);
    answers.endLine();
    answers.flush();
    return;
  }
  const report: TraceReport = tracer.trace(inPort, frame, state);
  print(traceText(report, context.palette(1)));
}

function traceFrames(context: Context, tracer: Tracer, texts: readonly string[]): void {
  for (const one of framesOf(texts, portGiven(context, tracer), tracer)) show(context, tracer, one);
}

/**
 * Frames as they were given. A flow with no field of a packet says the port and the state of the frames
 * behind it, as `ofproto/trace BRIDGE FLOW PACKET` has it.
 */
function framesOf(texts: readonly string[], given: number | null, tracer: Tracer): Traced[] {
  const frames: Traced[] = [];
  let [inPort, state] = [given, NO_STATE];
  const add = (frame: Uint8Array): void => {
    if (inPort === null)
      throw new UsageError(`trace needs the input port of the frame: -i PORT, one of ${tracer.ports.list()}`);
    frames.push({ inPort, frame, state });
  };
  for (const text of texts) {
    if (!isFlowText(text)) {
      add(frameOfText(text));
      continue;
    }
    const flow = givenFlow(text, tracer.ports);
    if (given !== null && flow.inPort !== null && flow.inPort !== given)
      throw new UsageError(`-i gives port ${given}, but the flow has in_port=${flow.inPort}`);
    [inPort, state] = [flow.inPort ?? given, flow.state];
    if (flow.frame !== null) add(flow.frame);
  }
  if (frames.length === 0)
    throw new UsageError("the flow has no packet fields; add some (ip,nw_dst=…), or a frame after the flow");
  return frames;
}

function frameOfText(text: string): Uint8Array {
  try {
    return isExpression(text) ? frameOfExpression(text) : parseHex(text);
  } catch (error) {
    throw new UserError(`frame: ${(error as Error).message}`);
  }
}

/**
 * Frames of captures, read as a replay reads them: a snapped frame and a damaged capture are named on
 * standard error, and the next one follows. Exit status 1 if a capture was damaged, or a frame that was
 * asked for could not be traced.
 */
async function traceCaptures(context: Context, tracer: Tracer, captures: readonly string[]): Promise<number> {
  const inPort = portGiven(context, tracer);
  const reader = Core.load();
  let left = context.number("count") ?? Number.POSITIVE_INFINITY;
  let code = 0;
  let shown = 0;
  let snapped = 0;
  let isDamaged = false;
  const options = {
    leavesOut: context.flag("skip-other-interfaces"),
    onNote: (note: string) => {
      if (!context.isQuiet) say(note);
    },
    onDamage: ({ message }: { readonly message: string }) => {
      say(`slash32: ${message}`);
      isDamaged = true;
      code = 1;
    },
  };
  for (const text of captures) {
    const { capture, number } = splitNumber(text, tracer.ports);
    let isFound = number === null;
    isDamaged = false;
    for await (const frame of readFrames(reader, tracer.ports, capture, inPort, options)) {
      if (left-- <= 0) break;
      if (number !== null && frame.number !== number) continue;
      isFound = true;
      if (frame.length !== frame.frame.length) {
        say(
          `slash32: ${capture}: skipped frame ${frame.number}, which is snapped: ` +
            `${frame.frame.length} of ${frame.length} bytes`,
        );
        snapped++;
        if (number !== null) code = 1;
      } else {
        show(context, tracer, { inPort: frame.inPort, frame: frame.frame, state: NO_STATE });
        shown++;
      }
      if (number !== null) break;
    }
    if (!isFound && !isDamaged) {
      throw new UserError(`${capture}: has no frame ${number}${left < 0 ? " within the limit of -c" : ""}`);
    }
  }
  if (shown === 0 && snapped === 0 && code === 0) throw new UserError("no frame was read");
  return shown === 0 ? 1 : code;
}

/** `CAPTURE:N`, unless a file has just that name. */
function splitNumber(text: string, ports: PortNames): { capture: string; number: number | null } {
  const [, capture, digits] = /^(.*):(\d+)$/.exec(text) ?? [];
  const isFile = existsSync(parseCaptureArgument(text, ports).capture);
  if (capture === undefined || isFile) return { capture: text, number: null };
  return { capture, number: Number(digits) };
}
