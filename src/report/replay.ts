/**
 * The report of a replay, as text, JSON and Markdown. Pure functions of plain data: they read no file, no
 * clock and no terminal.
 */
import { ruleOf } from "./finding.ts";
import { code, fenced, plain } from "./markdown.ts";
import { bar, count as n, type Palette, table, tableName } from "./text.ts";
import { placeText, type VerifyPlace } from "./verify.ts";
import { placeObject } from "./verify-json.ts";

/** Frames and bytes of one port. */
export interface PortReport {
  readonly port: number;
  /** Null when the intent has no such port. */
  readonly name: string | null;
  readonly rxFrames: number;
  readonly rxBytes: number;
  readonly txFrames: number;
  readonly txBytes: number;
  readonly replies: number;
  readonly drops: number;
}

export interface AgainstDifference {
  readonly frames: number;
  readonly inPort: number;
  readonly inPortName: string | null;
  readonly hex: string;
  readonly core: string;
  readonly flows: string;
  /** The flow of the intent, if the tables on the path determine it, and the flow of the bridge. */
  readonly compiled: VerifyPlace | null;
  readonly installed: VerifyPlace | null;
  /** A shell line that traces the first frame through both. */
  readonly command: string;
}

/** The comparison with the flows of a bridge. */
export interface AgainstReport {
  /** The file of the flows. */
  readonly file: string;
  /** Frames that were compared. */
  readonly frames: number;
  readonly different: number;
  /** Frames whose outcome the flows do not determine. */
  readonly unknown: number;
  readonly ambiguous: number;
  /** By the flows at which core and bridge diverge, most frames first; each with its first frame. */
  readonly differences: readonly AgainstDifference[];
  /** Frames with differences that are not listed. */
  readonly others: number;
  readonly undecided: readonly { readonly what: string; readonly frames: number }[];
}

export interface ReplayReport {
  readonly frames: number;
  readonly snapped: number;
  /** Packets of interfaces that were left out; they are not among the frames. */
  readonly leftOut?: number;
  /** The signal that ended the replay early. */
  readonly interruptedBy?: string;
  readonly bytes: number;
  readonly seconds: number;
  readonly ports: readonly PortReport[];
  /** Frames by drop reason; only those that occurred. */
  readonly drops: ReadonlyMap<string, number>;
  /** Frames that entered each table. */
  readonly tables: ReadonlyMap<number, number>;
  readonly against: AgainstReport | null;
}

export function outputsOf(report: ReplayReport): number {
  return report.ports.reduce((sum, { txFrames }) => sum + txFrames, 0);
}

export function repliesOf(report: ReplayReport): number {
  return report.ports.reduce((sum, { replies }) => sum + replies, 0);
}

export function dropsOf(report: ReplayReport): number {
  return [...report.drops.values()].reduce((sum, frames) => sum + frames, 0);
}

/** `outputs` of the JSON: frames by port number, ports without any left out. */
export function outputsByPort(
  ports: readonly { readonly port: number; readonly txFrames: number }[],
): [port: number, frames: number][] {
  return ports.filter(({ txFrames }) => txFrames > 0).map(({ port, txFrames }) => [port, txFrames]);
}

/** The JSON object of docs' contract: one line, no line end. */
export function replayJson(report: ReplayReport): string {
  const outputs = outputsByPort(report.ports);
  return JSON.stringify({
    type: "replay",
    schema: 1,
    frames: report.frames,
    outputs: Object.fromEntries(outputs),
    replies: repliesOf(report),
    drops: Object.fromEntries(report.drops),
    snapped: report.snapped,
    ...(report.leftOut ? { left_out: report.leftOut } : {}),
    ...(report.interruptedBy === undefined ? {} : { interrupted: report.interruptedBy }),
    bytes: report.bytes,
    seconds: report.seconds,
    ...(report.against === null ? {} : { against: againstJson(report.against) }),
  });
}

/** Zero counts are left out, except for frames and different. */
export function againstJson(report: AgainstReport): object {
  const { frames, different, unknown, ambiguous, differences, others, undecided } = report;
  return {
    frames,
    different,
    ...(unknown === 0 ? {} : { unknown }),
    ...(ambiguous === 0 ? {} : { ambiguous }),
    ...(differences.length === 0 ? {} : { differences: differences.map(differenceObject) }),
    ...(others === 0 ? {} : { others }),
    ...(undecided.length === 0 ? {} : { undecided }),
  };
}

const differenceObject = (one: AgainstDifference): object => ({
  frames: one.frames,
  in_port: one.inPort,
  ...(one.inPortName === null ? {} : { in_port_name: one.inPortName }),
  frame: one.hex,
  core: one.core,
  flows: one.flows,
  a: one.compiled === null ? null : placeObject(one.compiled),
  b: one.installed === null ? null : placeObject(one.installed),
  replay: one.command,
});

/** A page of text with bars. */
export function replayText(report: ReplayReport, paint: Palette): string {
  const { frames, bytes, seconds, snapped } = report;
  const verdicts: [string, number][] = [
    ["output", outputsOf(report)],
    ["reply", repliesOf(report)],
    ["drop", dropsOf(report)],
  ];
  if (snapped > 0) verdicts.push(["snapped", snapped]);
  const drops = [...report.drops].sort(([, a], [, b]) => b - a);
  const tables = [...report.tables].map(([number, met]): [string, number] => [tableName(number), met]);
  const sections = [
    `${paint.bold(`${n(frames)} frames`)}, ${n(bytes)} bytes ` +
      `in ${duration(seconds)} (${rate(frames, seconds)})`,
    section("verdict", verdicts, frames, paint, paint.green),
    section("drop reason", drops, frames, paint, paint.yellow),
    section("table", tables, frames, paint, paint.cyan),
    ports(report, paint),
    report.against === null ? "" : againstText(report.against, paint),
  ];
  return `${sections.filter(text => text !== "").join("\n\n")}\n`;
}

function section(
  title: string,
  rows: readonly [string, number][],
  total: number,
  paint: Palette,
  color: (text: string) => string,
): string {
  if (rows.length === 0) return "";
  const lines = rows.map(([name, frames]) => [
    `  ${name}`,
    n(frames),
    percent(frames, total),
    color(bar(total === 0 ? 0 : frames / total)),
  ]);
  return table([[paint.bold(title), paint.dim("frames"), "", ""], ...lines], "lrrl");
}

function ports(report: ReplayReport, paint: Palette): string {
  const head = ["port", "in", "bytes in", "out", "bytes out", "replies", "dropped"].map((text, index) =>
    index === 0 ? paint.bold(text) : paint.dim(text),
  );
  const rows = report.ports.map(port => [
    `  ${port.port} ${port.name ?? paint.dim("(no such port)")}`,
    ...[port.rxFrames, port.rxBytes, port.txFrames, port.txBytes, port.replies, port.drops].map(n),
  ]);
  return table([head, ...rows], "lrrrrrr");
}

/** Undecided causes, and differences, that are shown. */
const SHOWN = 5;
const DIFFERENCES_SHOWN = 10;

/** The comparison, as a section of the text. */
export function againstText(report: AgainstReport, paint: Palette): string {
  const { file, frames, different, unknown, ambiguous, differences, undecided } = report;
  const rows: [string, number][] = [
    ["same", frames - different - unknown - ambiguous],
    ["different", different],
    ["unknown", unknown],
    ["ambiguous", ambiguous],
  ];
  const counted = rows.filter(([, met]) => met > 0);
  const lines = [section(`against ${file}`, counted, frames, paint, paint.cyan)];
  if (counted.length === 0) lines.push(`${paint.bold(`against ${file}`)}: no frame was compared`);
  for (const one of differences.slice(0, DIFFERENCES_SHOWN)) lines.push(...differenceLines(one, paint));
  const rest = differences.slice(DIFFERENCES_SHOWN);
  const further = rest.reduce((sum, one) => sum + one.frames, report.others);
  if (further > 0)
    lines.push(
      `  … and ${n(further)} more ${frameWord(further)} at ${n(rest.length)} more flow pairs; ` +
        "use --format json or --report FILE.json for all",
    );
  for (const { what, frames: met } of undecided.slice(0, SHOWN))
    lines.push(`  ${paint.yellow("undecided:")} ${what} (${n(met)})`);
  if (undecided.length > SHOWN) lines.push(`  … and ${n(undecided.length - SHOWN)} more`);
  return lines.filter(line => line !== "").join("\n");
}

const frameWord = (frames: number): string => (frames === 1 ? "frame" : "frames");

function differenceLines(one: AgainstDifference, paint: Palette): string[] {
  const { frames, core, flows, compiled, installed, command } = one;
  const row = (sign: string, place: VerifyPlace | null): string[] =>
    place === null ? [] : [`    ${sign} ${paint.dim(`${placeText(place)}:`)} ${ruleOf(place.text)}`];
  return [
    `  ${n(frames)} ${frameWord(frames)}: ${paint.red("core:")} ${core}; ${paint.red("flows:")} ${flows}`,
    ...row("-", compiled),
    ...row("+", installed),
    `    ${paint.cyan("$")} ${command}`,
  ];
}

/** Markdown, for a summary page of CI. */
export function replayMarkdown(report: ReplayReport): string {
  const { frames, bytes, seconds, snapped } = report;
  const drops = [...report.drops].map(([reason, dropped]) => `| \`${reason}\` | ${n(dropped)} |`);
  const portRows = report.ports.map(
    ({ port, name, rxFrames, txFrames, replies, drops: dropped }) =>
      `| ${port} ${plain(name ?? "")} | ${n(rxFrames)} | ${n(txFrames)} | ${n(replies)} | ${n(dropped)} |`,
  );
  return `${[
    "# Replay",
    "",
    `${n(frames)} frames, ${n(bytes)} bytes in ${duration(seconds)}: ${n(outputsOf(report))} forwarded, ` +
      `${n(repliesOf(report))} answered, ${n(dropsOf(report))} dropped, ${n(snapped)} snapped.` +
      (report.interruptedBy === undefined ? "" : ` Interrupted by ${report.interruptedBy}.`),
    "",
    "| drop reason | frames |",
    "|---|--:|",
    ...drops,
    "",
    "| port | in | out | replies | dropped |",
    "|---|--:|--:|--:|--:|",
    ...portRows,
    ...(report.against === null ? [] : againstMarkdown(report.against)),
  ].join("\n")}\n`;
}

function againstMarkdown(report: AgainstReport): string[] {
  const { file, frames, different, unknown, ambiguous, differences, others } = report;
  const shown = differences.slice(0, MARKDOWN_SHOWN);
  const rest = different - others - shown.reduce((sum, one) => sum + one.frames, 0) + others;
  const rows = shown.map(
    one => `| ${n(one.frames)} | ${plain(one.core)} | ${plain(one.flows)} | ${whereOf(one)} |`,
  );
  const table = ["", "| frames | core | flows | where |", "|--:|---|---|---|", ...rows];
  return [
    "",
    `Against ${code(file)}: ${n(frames)} frames compared, ${n(different)} differ, ` +
      `${n(unknown + ambiguous)} are undecided.`,
    ...(rows.length === 0 ? [] : [...table, "", fenced(shown.map(({ command }) => command).join("\n"))]),
    ...(rest === 0 ? [] : ["", `${n(rest)} more ${frameWord(rest)}; a .json report has all.`]),
  ];
}

/** Differences printed in Markdown; GitHub accepts one megabyte a step. */
const MARKDOWN_SHOWN = 50;

const whereOf = ({ compiled, installed }: AgainstDifference): string =>
  [compiled, installed].flatMap(place => (place === null ? [] : [code(placeText(place))])).join(" ");

function percent(part: number, whole: number): string {
  return whole === 0 ? "" : `${((100 * part) / whole).toFixed(1)} %`;
}

function duration(seconds: number): string {
  return seconds < 1 ? `${(seconds * 1000).toFixed(1)} ms` : `${seconds.toFixed(2)} s`;
}

function rate(frames: number, seconds: number): string {
  const perSecond = seconds > 0 ? frames / seconds : 0;
  return perSecond >= 1e6
    ? `${(perSecond / 1e6).toFixed(1)} Mpps`
    : `${n(Math.round(perSecond))} frames a second`;
}
