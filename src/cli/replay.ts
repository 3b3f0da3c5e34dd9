/** `slash32 replay`: captures through the core, and what became of the frames. */
import { identityOf, touchedBy } from "../capture/index.ts";
import { Core } from "../core/index.ts";
import { type Damage, type ReplayResult, replay, startSecondCore } from "../replay/index.ts";
import { count, type ReplayReport, replayJson, replayMarkdown, replayText } from "../report/index.ts";
import { type Context, print, refuseOverwriting, say, writeReport } from "./context.ts";
import { UsageError, UserError } from "./errors.ts";
import { progressLine } from "./progress.ts";

const REPORT_WRITERS: Record<string, (report: ReplayReport) => string> = {
  ".json": report => `${replayJson(report)}\n`,
  ".ndjson": report => `${replayJson(report)}\n`,
  "-": report => `${replayJson(report)}\n`,
  ".md": replayMarkdown,
};

export async function replayCommand(context: Context): Promise<number> {
  const captures = context.texts("read");
  const file = context.text("report");
  checkUsage(context, captures, file);
  const plan = { captures, threads: threadsOf(context), count: context.number("count") };
  const second = startSecondCore(plan);
  const intent = context.intent();
  const core = Core.load();
  core.install(intent);
  const progress = process.stderr.isTTY && !context.isQuiet ? progressLine(process.stderr) : null;
  let result: ReplayResult;
  try {
    result = await replay({
      core,
      intent,
      ...plan,
      second,
      inPort: context.text("in-port"),
      output: context.text("write"),
      drops: context.text("drops"),
      onProgress: progress?.update,
    });
  } finally {
    progress?.clear();
  }
  const report = reportOf(result);
  if (file !== undefined) writeReport(file, REPORT_WRITERS[extensionOf(file)]!(report));
  show(context, report);
  if (!context.isQuiet) for (const note of result.notes) say(note);
  if (context.flag("verbose")) {
    for (const { name, readBytes } of result.captures) say(`${name}: ${count(readBytes)} bytes read`);
  }
  return exitCode(context, report, result.damages);
}

/** The cores to use at most; undefined: as many as there are. */
function threadsOf(context: Context): number | undefined {
  const text = context.text("threads");
  if (text !== undefined && text !== "1" && text !== "2") {
    throw new UsageError(`--threads: "${text}" is neither 1 nor 2`);
  }
  return text === undefined ? undefined : Number(text);
}

function checkUsage(context: Context, captures: readonly string[], file: string | undefined): void {
  if (context.positionals.length > 0) {
    throw new UsageError(`"${context.positionals[0]}" is not expected; a capture is given with -r`);
  }
  if (captures.length === 0) throw new UsageError("replay needs a capture: -r [PORT=]CAPTURE");
  if (context.text("intent") === "-" && captures.some(text => text === "-" || text.endsWith("=-"))) {
    throw new UsageError("standard input can be the intent or a capture, not both");
  }
  if (file !== undefined && !(extensionOf(file) in REPORT_WRITERS)) {
    throw new UsageError(`--report ${file}: replay writes .json, .ndjson and .md, and JSON to -`);
  }
  if (onStandardOutput(context).length > 1) {
    throw new UsageError(`${onStandardOutput(context).join(" and ")} cannot all be standard output`);
  }
  refuseOverwriting(context, ["write", "drops", "report"]);
  refuseReport(context, captures, file);
}

/** The report is written last: it must not replace a capture, read or written. */
function refuseReport(context: Context, captures: readonly string[], file: string | undefined): void {
  const own = file === undefined || file === "-" ? null : identityOf(file);
  const written = [context.text("write"), context.text("drops")].filter(name => name !== undefined);
  const read = captures.flatMap(text => [text, text.slice(text.indexOf("=") + 1)]);
  const touched = [...written.flatMap(touchedBy), ...read.map(identityOf)];
  if (own !== null && touched.includes(own)) {
    throw new UsageError(`--report ${file}: is also a capture that is read or written; choose another file`);
  }
}

/** The options whose data goes to standard output. */
function onStandardOutput(context: Context): string[] {
  const options = { write: "-w", drops: "--drops", report: "--report" };
  return Object.entries(options).flatMap(([name, shown]) => (context.text(name) === "-" ? [shown] : []));
}

/** What the writer of a report goes by: the extension, or `-` itself. */
function extensionOf(file: string): string {
  return file === "-" ? file : (/\.[^./]+$/.exec(file)?.[0] ?? "");
}

function reportOf({ counters, ports, seconds }: ReplayResult): ReplayReport {
  return {
    frames: counters.frames,
    snapped: counters.snapped,
    bytes: counters.bytes,
    seconds,
    drops: counters.drops,
    tables: counters.tables,
    ports: counters.ports.map(port => ({
      port: port.port,
      name: ports.nameOf(port.port),
      rxFrames: port.rxFrames,
      rxBytes: port.rxBytes,
      txFrames: port.txFrames,
      txBytes: port.txBytes,
      replies: port.replyFrames,
      drops: port.dropFrames,
    })),
  };
}

/** The report goes to standard output, unless data does. */
function show(context: Context, report: ReplayReport): void {
  const isTaken = onStandardOutput(context).length > 0;
  if (context.format !== "text") {
    (isTaken ? say : (line: string) => print(`${line}\n`))(replayJson(report));
  } else if (!context.isQuiet) {
    const text = replayText(report, context.palette(isTaken ? process.stderr : process.stdout));
    if (isTaken) say(text.trimEnd());
    else print(text);
  }
}

/** Says what was damaged, and whether that, or having read nothing, is a failure. */
function exitCode(context: Context, report: ReplayReport, damages: readonly Damage[]): number {
  let code = 0;
  for (const { message, isTruncation } of damages) {
    const isAllowed = isTruncation && context.flag("allow-truncated");
    if (!isAllowed) code = 1;
    if (!isAllowed || !context.isQuiet) say(`slash32: ${message}${isAllowed ? " (allowed)" : ""}`);
  }
  if (report.frames === 0 && code === 0 && !context.flag("allow-empty")) {
    throw new UserError("no frame was read; --allow-empty makes that no error");
  }
  return code;
}
