/**
 * The work of `slash32 replay`: runs captures through the core and, with --against, through flows; prints
 * the counters and writes reports. The exit status is 2 for a difference, 1 for what could not be read or
 * decided.
 */
import { Core } from "../core/index.ts";
import { CachingInterpreter } from "../openflow/index.ts";
import { type Damage, type ReplayResult, replay, startSecondCore } from "../replay/index.ts";
import {
  type AgainstReport,
  count,
  type ReplayReport,
  replayJson,
  replayMarkdown,
  replayText,
} from "../report/index.ts";
import { againstReport, portReports } from "./against-report.ts";
import { onStandardOutput } from "./checks.ts";
import { REPORT_ENDINGS, type ReportEnding } from "./commands/replay.ts";
import { type Context, print, say, sayText, writeReport } from "./context.ts";
import { UsageError, UserError } from "./errors.ts";
import { type Bridge, comparedCode, portNames, readBridge, refuseClash } from "./flows.ts";
import { loadedIntent, originsOf } from "./places.ts";
import { progressLine } from "./progress.ts";
import { Interruption } from "./signals.ts";
import { isScreen } from "./terminal.ts";

const REPORT_WRITERS: Readonly<Record<ReportEnding, (report: ReplayReport) => string>> = {
  ".json": report => `${replayJson(report)}\n`,
  ".ndjson": report => `${replayJson(report)}\n`,
  "-": report => `${replayJson(report)}\n`,
  ".md": replayMarkdown,
};

export async function replayCommand(context: Context): Promise<number> {
  const captures = context.texts("read");
  const files = context.texts("report");
  const plan = { captures, threads: threadsOf(context), count: context.number("count") };
  const flows = context.text("against");
  // The interpreter follows the frames in their order, on one core.
  const second = flows === undefined ? startSecondCore(plan) : undefined;
  const path = context.text("intent");
  const loaded = flows === undefined || path === undefined ? null : loadedIntent(context, path);
  const intent = loaded?.intent ?? context.intent();
  const bridge = flows === undefined ? null : readBridge(context, flows, intent);
  const core = Core.load();
  core.install(intent);
  const progress = isScreen(2) && !context.isQuiet ? progressLine(process.stderr) : null;
  const interruption = new Interruption();
  let result: ReplayResult;
  try {
    result = await replay({
      core,
      intent,
      ...plan,
      second,
      inPort: context.text("in-port"),
      leavesOut: context.flag("skip-other-interfaces"),
      interruption,
      output: context.text("write"),
      drops: context.text("drops"),
      ...againstOf(context, bridge),
      ports: bridge?.ports ?? portNames(context, intent),
      onProgress: progress?.update,
    });
  } finally {
    interruption.dispose();
    progress?.clear();
  }
  const report = reportOf(context, result, loaded, interruption.name);
  for (const file of files) writeReport(file, REPORT_WRITERS[endingOf(file)](report));
  show(context, report);
  if (!context.isQuiet) for (const note of result.notes) say(note);
  if (context.flag("verbose")) {
    for (const { name, readBytes } of result.captures) say(`${name}: ${count(readBytes)} bytes read`);
  }
  if (interruption.name !== null) say(`slash32: ${interruptedText(result, interruption.name)}`);
  const code = interruption.exitCode(exitCode(context, report, result.damages));
  if (interruption.name !== null) return code;
  return report.against === null ? code : againstCode(context, report.against, bridge!, code);
}

/** How far the captures were read when a signal came. */
function interruptedText({ captures }: ReplayResult, signal: string): string {
  const bytes = captures.reduce((sum, { readBytes }) => sum + readBytes, 0);
  return (
    `interrupted by ${signal} after ${count(bytes)} bytes; ` +
    "the report and the output files have all frames read so far"
  );
}

/** The cores to use at most; undefined: as many as there are. */
function threadsOf(context: Context): number | undefined {
  const text = context.text("threads");
  if (text !== undefined && text !== "1" && text !== "2") {
    throw new UsageError(`--threads: "${text}" is not valid; expected 1 or 2`);
  }
  return text === undefined ? undefined : Number(text);
}

function againstOf(context: Context, bridge: Bridge | null): { against?: AgainstOption } {
  if (bridge === null) return {};
  refuseClash(context, bridge);
  const interpreter = new CachingInterpreter(bridge.flows, { ...bridge.options, isFleeting: true });
  return { against: { interpreter, diff: context.text("diff") } };
}

interface AgainstOption {
  readonly interpreter: CachingInterpreter;
  readonly diff: string | undefined;
}

/** 2 if frames differ, whatever else failed; without a difference all frames must have been decided. */
function againstCode(context: Context, report: AgainstReport, { flows }: Bridge, code: number): number {
  const compared = comparedCode(report, flows.skipped);
  if (compared !== 0) return compared;
  if (report.frames === 0 && code === 0 && !context.flag("allow-empty")) {
    throw new UserError(
      "no frame was compared, all are snapped or too long; to accept that, add --allow-empty",
    );
  }
  return code;
}

/** The format of a report; the command's checks admit only names that have one. */
const endingOf = (file: string): ReportEnding =>
  file === "-" ? file : REPORT_ENDINGS.find(ending => file.endsWith(ending))!;

function reportOf(
  context: Context,
  { counters, ports, seconds, leftOut, against }: ReplayResult,
  loaded: ReturnType<typeof loadedIntent> | null,
  interruptedBy: string | null,
): ReplayReport {
  const origins = loaded === null ? undefined : originsOf(loaded.intent, loaded.places);
  return {
    leftOut,
    ...(interruptedBy === null ? {} : { interruptedBy }),
    frames: counters.frames,
    snapped: counters.snapped,
    bytes: counters.bytes,
    seconds,
    drops: counters.drops,
    tables: counters.tables,
    against: against === null ? null : againstReport(context, against, port => ports.nameOf(port), origins),
    ports: portReports(counters, port => ports.nameOf(port)),
  };
}

/** The report goes to standard output, unless data does. */
function show(context: Context, report: ReplayReport): void {
  const isTaken = onStandardOutput(context, ["write", "drops", "diff", "report"]).length > 0;
  if (context.format !== "text") {
    (isTaken ? say : (line: string) => print(`${line}\n`))(replayJson(report));
  } else if (!context.isQuiet) {
    const text = replayText(report, context.palette(isTaken ? 2 : 1));
    if (isTaken) sayText(text);
    else print(text);
  }
}

/**
 * Prints the damage of captures. Exit status 1 for damage that is not allowed. Throws UserError if nothing
 * was read.
 */
function exitCode(context: Context, report: ReplayReport, damages: readonly Damage[]): number {
  let code = 0;
  for (const { message, isTruncation } of damages) {
    const isAllowed = isTruncation && context.flag("allow-truncated");
    if (!isAllowed) code = 1;
    if (!isAllowed || !context.isQuiet) say(`slash32: ${message}${isAllowed ? " (allowed)" : ""}`);
  }
  if (
    report.frames === 0 &&
    code === 0 &&
    report.interruptedBy === undefined &&
    !context.flag("allow-empty")
  ) {
    throw new UserError("no frame was read; to accept that, add --allow-empty");
  }
  return code;
}
