/** `slash32 compile INTENT`: the flows of an intent, as text for ovs-ofctl or as JSON, a piece at a time. */

import { Sink } from "../capture/index.ts";
import { formatProblem, type Intent, loadIntent } from "../intent/index.ts";
import { Flows, flowText, printFlow } from "../pipeline/index.ts";
import { compileJson, flowJson } from "../report/index.ts";
import { type Context, refuseOverwriting, say } from "./context.ts";
import { UsageError, UserError } from "./errors.ts";
import { work } from "./second-thread.ts";

const PIECE_BYTES = 256 * 1024;
/** Flows are no traffic: their file is as other programs make it. */
const FLOWS_MODE = 0o666;

export function compile(context: Context): number {
  const named = context.text("intent");
  const paths = [...context.positionals, ...(named === undefined ? [] : [named])];
  if (paths.length !== 1) throw new UsageError("compile needs one intent: slash32 compile INTENT");
  refuseOverwriting(context, ["write"], paths[0]!);
  const { intent, errors, warnings } = loadIntent(paths[0]!);
  for (const error of errors) say(formatProblem(error));
  if (!context.isQuiet) for (const warning of warnings) say(`${formatProblem(warning)} (warning)`);
  if (intent === null) return 1;
  const sink = new Sink(context.text("write") ?? "-", FLOWS_MODE);
  try {
    writeLines(sink, LINES[context.format](intent, new Flows(intent)));
    sink.finish();
  } finally {
    sink.abandon();
  }
  return 0;
}

/** The output by format, in strings that follow each other. */
const LINES: Record<Context["format"], (intent: Intent, flows: Flows) => Iterable<string>> = {
  *text(_, flows) {
    for (const flow of flows) yield `${flowText(flow)}\n`;
  },
  *json(intent, flows) {
    yield `${compileJson(intent, flows.count).slice(0, -1)},"flows":[`;
    let comma = "";
    for (const flow of flows) {
      yield comma + flowJson(printFlow(flow));
      comma = ",";
    }
    yield "]}\n";
  },
  *ndjson(intent, flows) {
    for (const flow of flows) yield `${flowJson(printFlow(flow))}\n`;
    yield `${compileJson(intent, flows.count)}\n`;
  },
};

/** A signal leaves nothing behind. */
function writeLines(sink: Sink, lines: Iterable<string>): void {
  work.begin();
  const piece = Buffer.allocUnsafe(PIECE_BYTES);
  let used = 0;
  for (const line of lines) {
    // A character takes three bytes at most, and no line is long: an intent's name has at most 255 characters.
    if (used + line.length * 3 > PIECE_BYTES) {
      if (work.isStopped()) throw new UserError(`${sink.name}: interrupted, and removed`);
      sink.write(piece.subarray(0, used));
      used = 0;
    }
    used += piece.write(line, used);
  }
  sink.write(piece.subarray(0, used));
}
