/** The work of `slash32 compile`: the flows of an intent, as text for ovs-ofctl or as JSON, in pieces. */
import { Sink } from "../capture/index.ts";
import { formatDiagnostic } from "../errors/index.ts";
import { type Intent, loadIntent } from "../intent/index.ts";
import { Flows, flowText, printFlow } from "../pipeline/index.ts";
import { compileJson, flowJson } from "../report/index.ts";
import { oneIntent } from "./checks.ts";
import { type Context, say } from "./context.ts";
import { UserError } from "./errors.ts";
import { work } from "./second-thread.ts";

const PIECE_BYTES = 256 * 1024;
/** Flows are not traffic: the file may be read by everybody, as far as the umask allows. */
const FLOWS_MODE = 0o666;

export function compile(context: Context): number {
  const { intent, errors, warnings } = loadIntent(oneIntent(context));
  for (const error of errors) say(formatDiagnostic(error));
  if (!context.isQuiet) for (const warning of warnings) say(`${formatDiagnostic(warning)} (warning)`);
  if (intent === null) return 1;
  // Before there is a file: from here on a signal is answered by removing it.
  work.begin();
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

/** Writes all lines. A signal ends it; the caller then removes the file. Throws UserError. */
function writeLines(sink: Sink, lines: Iterable<string>): void {
  const piece = Buffer.allocUnsafe(PIECE_BYTES);
  let used = 0;
  for (const line of lines) {
    // A character takes three bytes at most, and no line is long: an intent's name has at most 255
    // characters.
    if (used + line.length * 3 > PIECE_BYTES) {
      if (work.isStopped()) throw new UserError(`${sink.name}: interrupted; the incomplete file was removed`);
      sink.write(piece.subarray(0, used));
      used = 0;
    }
    used += piece.write(line, used);
  }
  sink.write(piece.subarray(0, used));
}
