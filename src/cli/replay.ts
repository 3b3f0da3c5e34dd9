/** `slash32 replay`: captures through the core, and what became of the frames. */
import { identityOf, touchedBy } from "../capture/index.ts";
import { Core } from "../core/index.ts";
import { CachingInterpreter } from "../openflow/index.ts";
import {
  type AgainstResult,
  type Damage,
  type FlowAt,
  type ReplayResult,
  replay,
  startSecondCore,
} from "../replay/index.ts";
import {
  type AgainstReport,
  count,
  type ReplayReport,
  replayJson,
  replayMarkdown,
  replayText,
  type VerifyPlace,
} from "../report/index.ts";
import { formatHex } from "../wire/index.ts";
import { type Context, print, refuseOverwriting, say, sayText, writeReport } from "./context.ts";
import { UsageError, UserError } from "./errors.ts";
import { type Bridge, comparedCode, portNames, readBridge, refuseClash } from "./flows.ts";
import { loadedIntent, type Origins, originsOf, shellOf } from "./places.ts";
import { progressLine } from "./progress.ts";
import { Interruption } from "./signals.ts";
import { isScreen } from "./terminal.ts";

const REPORT_WRITERS: Record<string, (report: ReplayReport) => string> = {
  ".json": report => `${replayJson(report)}\n`,
  ".ndjson": report => `${replayJson(report)}\n`,
  "-": report => `${replayJson(report)}\n`,
  ".md": replayMarkdown,
};

export async function replayCommand(context: Context): Promise<number> {
  const captures = context.texts("read");
  const files = context.texts("report");
  checkUsage(context, captures, files);
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
  for (const file of files) writeReport(file, REPORT_WRITERS[extensionOf(file)]!(report));
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
  return `interrupted by ${signal} after ${count(bytes)} bytes; all frames read so far are in the report and in the output files`;
}

/** The cores to use at most; undefined: as many as there are. */
function threadsOf(context: Context): number | undefined {
  const text = context.text("threads");
  if (text !== undefined && text !== "1" && text !== "2") {
    throw new UsageError(`--threads: "${text}" is neither 1 nor 2`);
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

/** A difference is one whatever else went wrong; without one, all frames must have been decided. */
export function againstCode(
  context: Context,
  report: AgainstReport,
  { flows }: Bridge,
  code: number,
): number {
  const compared = comparedCode(report, flows.skipped);
  if (compared !== 0) return compared;
  if (report.frames === 0 && code === 0 && !context.flag("allow-empty")) {
    throw new UserError(
      "no frame was compared: all are snapped or too long; --allow-empty makes that no error",
    );
  }
  return code;
}

const WORDS: Record<string, string> = {
  intent: "the intent is",
  against: "the flows are",
  groups: "the groups are",
  ports: "the ports are",
};

function checkUsage(context: Context, captures: readonly string[], files: readonly string[]): void {
  if (context.positionals.length > 0) {
    throw new UsageError(`"${context.positionals[0]}" is not expected; a capture is given with -r`);
  }
  if (captures.length === 0) throw new UsageError("replay needs a capture: -r [PORT=]CAPTURE");
  const inputs = ["intent", "against", "groups", "ports"].filter(name => context.text(name) === "-");
  const words = inputs.map(name => (name === "against" ? "the flows" : `the ${name}`));
  if (captures.some(text => text === "-" || text.endsWith("=-"))) words.push("a capture");
  if (words.length > 1) throw new UsageError(`standard input can be ${words.join(" or ")}, not both`);
  const idle = ["diff", "groups", "lenient"].find(
    name => context.text(name) !== undefined || context.flag(name),
  );
  if (idle !== undefined && context.text("against") === undefined)
    throw new UsageError(`--${idle} goes with --against FLOWS`);
  for (const file of files) {
    if (!(extensionOf(file) in REPORT_WRITERS))
      throw new UsageError(`--report ${file}: replay writes .json, .ndjson and .md, and JSON to -`);
  }
  if (onStandardOutput(context).length > 1) {
    throw new UsageError(`${onStandardOutput(context).join(" and ")} cannot all be standard output`);
  }
  for (const read of ["intent", "against", "groups", "ports"])
    refuseOverwriting(context, ["write", "drops", "diff", "report"], context.text(read), WORDS[read]);
  refuseReports(context, captures, files);
}

/** Reports are written last: none may replace a capture, read or written, or another report. */
function refuseReports(context: Context, captures: readonly string[], files: readonly string[]): void {
  const written = ["write", "drops", "diff"]
    .map(option => context.text(option))
    .filter(name => name !== undefined);
  const read = captures.flatMap(text => [text, text.slice(text.indexOf("=") + 1)]);
  const touched = new Set([...written.flatMap(touchedBy), ...read.map(identityOf)]);
  const reports = new Set<string>();
  for (const file of files.filter(name => name !== "-")) {
    const own = touchedBy(file);
    if (own.some(identity => touched.has(identity)))
      throw new UsageError(
        `--report ${file}: is also a capture that is read or written; choose another file`,
      );
    if (own.some(identity => reports.has(identity)))
      throw new UsageError(`--report ${file}: is also being written; choose another file`);
    for (const identity of own) reports.add(identity);
  }
}

/** The options whose data goes to standard output. */
function onStandardOutput(context: Context): string[] {
  const options = { write: "-w", drops: "--drops", diff: "--diff" };
  const data = Object.entries(options).flatMap(([name, shown]) =>
    context.text(name) === "-" ? [shown] : [],
  );
  return [...data, ...context.texts("report").flatMap(file => (file === "-" ? ["--report"] : []))];
}

/** What the writer of a report goes by: the extension, or `-` itself. */
function extensionOf(file: string): string {
  return file === "-" ? file : (/\.[^./]+$/.exec(file)?.[0] ?? "");
}

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

/** What was compared, with the commands that show the differences. */
export function againstReport(
  context: Context,
  { differences, ...rest }: AgainstResult,
  nameOf: (port: number) => string | null,
  origins: Origins = () => null,
): AgainstReport {
  const [intent, file, diff] = ["intent", "against", "diff"].map(option => context.text(option));
  const [ports, groups] = ["ports", "groups"].map(option => {
    const text = context.text(option);
    return text === undefined ? [] : [`--${option}`, text];
  }) as [string[], string[]];
  const lenient = context.flag("lenient") ? ["--lenient"] : [];
  const isWritten = diff !== undefined && diff !== "-";
  const command = ({ inPort, frame, number }: AgainstResult["differences"][number]): string => {
    const which = isWritten ? ["-r", `${diff}:${number}`] : ["-i", String(inPort), formatHex(frame)];
    const sides = [
      ["-n", intent!, ...ports],
      ["-n", intent!, "-f", file!, ...ports, ...groups, ...lenient],
    ];
    return sides.map(words => shellOf(["slash32", "trace", ...words, ...which])).join("; ");
  };
  return {
    ...rest,
    file: file!,
    differences: differences.map(one => ({
      frames: one.frames,
      inPort: one.inPort,
      inPortName: nameOf(one.inPort),
      hex: formatHex(one.frame),
      core: one.core,
      flows: one.flows,
      compiled: one.compiled === null ? null : compiledPlace(intent!, one.compiled, origins),
      installed:
        one.installed === null
          ? null
          : {
              file: file!,
              line: one.installed.line,
              text: one.installed.text,
              compiledLine: null,
              origin: null,
            },
      command: command(one),
    })),
  };
}

function compiledPlace(intent: string, { line, text }: FlowAt, origins: Origins): VerifyPlace {
  const origin = origins(line);
  return { file: origin?.file ?? intent, line: origin?.line ?? 0, text, compiledLine: line, origin };
}

/** The report goes to standard output, unless data does. */
function show(context: Context, report: ReplayReport): void {
  const isTaken = onStandardOutput(context).length > 0;
  if (context.format !== "text") {
    (isTaken ? say : (line: string) => print(`${line}\n`))(replayJson(report));
  } else if (!context.isQuiet) {
    const text = replayText(report, context.palette(isTaken ? 2 : 1));
    if (isTaken) sayText(text);
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
  if (
    report.frames === 0 &&
    code === 0 &&
    report.interruptedBy === undefined &&
    !context.flag("allow-empty")
  ) {
    throw new UserError("no frame was read; --allow-empty makes that no error");
  }
  return code;
}
