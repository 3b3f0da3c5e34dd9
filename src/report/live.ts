/**
 * The report of live ports, as text for a terminal and as JSON: totals at the end, and a page with rates
 * while the ports run. Pure functions of plain data.
 */
import {
  againstJson,
  againstText,
  dropsOf,
  outputsByPort,
  outputsOf,
  type ReplayReport,
  repliesOf,
} from "./replay.ts";
import { bar, count as n, type Palette, table } from "./text.ts";

/** A port and its device. */
export interface LivePort {
  readonly name: string;
  /** Its number in the intent, null when the intent has no such port now. */
  readonly port: number | null;
  readonly device: string;
  readonly isOpen: boolean;
  /** Frames that could not be sent, and that the kernel dropped before they were read. */
  readonly sendLost: number;
  readonly receiveLost: number;
  /** Frames with a checksum completed, large frames cut, and tags put back. */
  readonly completed: number;
  readonly segmented: number;
  readonly restored: number;
}

export interface LiveReport extends ReplayReport {
  readonly devices: readonly LivePort[];
  /** Frames for a port that has no device, or whose device is away. */
  readonly undelivered: number;
  /** Calls of the core. */
  readonly batches: number;
  /** Intents that were reloaded, and rejected. */
  readonly reloads: number;
  readonly refused: number;
  /** Changes that came over the control socket. */
  readonly edits: number;
  /** Frames that --capture or --against missed because they arrived too fast. */
  readonly missed: number;
  /** State of --capture; null without it. */
  readonly capture: LiveCapture | null;
}

/** A capture beside live ports. */
export interface LiveCapture {
  /** `running`, `waiting` for room, `limit` reached, `failed`, `done`. */
  readonly state: string;
  /** Packets written, and packets that could not be. */
  readonly packets: number;
  readonly lost: number;
  readonly bytes: number;
}

/** One line of JSON, no line end. `isLast` is false for the lines while it runs. */
export function liveJson(report: LiveReport, isLast = true): string {
  const outputs = outputsByPort(report.ports);
  return JSON.stringify({
    type: "live",
    schema: 1,
    frames: report.frames,
    outputs: Object.fromEntries(outputs),
    replies: repliesOf(report),
    drops: Object.fromEntries(report.drops),
    undelivered: report.undelivered,
    bytes: report.bytes,
    seconds: report.seconds,
    batches: report.batches,
    reloads: report.reloads,
    refused: report.refused,
    edits: report.edits,
    missed: report.missed,
    ...(report.capture === null ? {} : { capture: report.capture }),
    ports: report.devices.map(device => portJson(device, report)),
    ...(report.against === null ? {} : { against: againstJson(report.against) }),
    ...(isLast ? {} : { running: true }),
  });
}

function portJson({ name, port, device, isOpen, ...counts }: LivePort, { ports }: LiveReport): object {
  const counted = ports.find(other => other.port === port);
  return {
    port,
    port_name: name,
    device,
    open: isOpen,
    in: counted?.rxFrames ?? 0,
    in_bytes: counted?.rxBytes ?? 0,
    out: counted?.txFrames ?? 0,
    out_bytes: counted?.txBytes ?? 0,
    replies: counted?.replies ?? 0,
    drops: counted?.drops ?? 0,
    send_lost: counts.sendLost,
    receive_lost: counts.receiveLost,
    completed: counts.completed,
    segmented: counts.segmented,
    restored: counts.restored,
  };
}

/** A page; `before` is the report of `seconds` earlier, for rates, or null for totals only. */
export function liveText(report: LiveReport, before: LiveReport | null, paint: Palette): string {
  const seconds = before === null ? report.seconds : report.seconds - before.seconds;
  const frames = report.frames - (before?.frames ?? 0);
  const fill = report.batches > 0 ? report.frames / report.batches : 0;
  const head =
    `${paint.bold(`${n(report.frames)} frames`)} in ${report.seconds.toFixed(1)} s; ` +
    `${mpps(frames, seconds)} Mpps${before === null ? " on average" : ""}, ${fill.toFixed(1)} a batch`;
  const sections = [
    head,
    verdicts(report, paint),
    portTable(report, before, seconds, paint),
    notes(report),
    report.against === null ? "" : againstText(report.against, paint),
  ];
  return `${sections.filter(text => text !== "").join("\n\n")}\n`;
}

function mpps(frames: number, seconds: number): string {
  return (seconds > 0 ? frames / seconds / 1e6 : 0).toFixed(3);
}

function verdicts(report: LiveReport, paint: Palette): string {
  const rows: [string, number][] = [
    ["output", outputsOf(report)],
    ["reply", repliesOf(report)],
    ["drop", dropsOf(report)],
    ...[...report.drops]
      .sort(([, a], [, b]) => b - a)
      .map(([why, met]): [string, number] => [`  ${why}`, met]),
  ];
  const lines = rows.map(([name, met]) => [
    `  ${name}`,
    n(met),
    name.startsWith("  ") ? "" : paint.green(bar(report.frames === 0 ? 0 : met / report.frames)),
  ]);
  return table([[paint.bold("verdict"), paint.dim("frames"), ""], ...lines], "lrl");
}

function portTable(report: LiveReport, before: LiveReport | null, seconds: number, paint: Palette): string {
  const head = ["port", "device", "in", "Mpps", "out", "Mpps", "dropped", "lost"].map((text, index) =>
    index === 0 ? paint.bold(text) : paint.dim(text),
  );
  const rows = report.devices.map(device => {
    const now = report.ports.find(({ port }) => port === device.port);
    const then = before?.ports.find(({ port }) => port === device.port);
    const [came, went] = [now?.rxFrames ?? 0, (now?.txFrames ?? 0) + (now?.replies ?? 0)];
    const wentThen = (then?.txFrames ?? 0) + (then?.replies ?? 0);
    return [
      `  ${device.port ?? "-"} ${device.name}`,
      device.isOpen ? device.device : paint.red(`${device.device} (away)`),
      n(came),
      mpps(came - (then?.rxFrames ?? 0), seconds),
      n(went),
      mpps(went - wentThen, seconds),
      n(now?.drops ?? 0),
      n(device.sendLost + device.receiveLost),
    ];
  });
  return table([head, ...rows], "llrrrrrr");
}

/** Counts that are not 0, a line each. */
function notes(report: LiveReport): string {
  const sum = (field: "completed" | "segmented" | "restored"): number =>
    report.devices.reduce((total, device) => total + device[field], 0);
  const rows: [number, string][] = [
    [report.undelivered, "frames to a port without a device"],
    [sum("completed"), "checksums completed for senders that offload them"],
    [sum("segmented"), "segments cut from larger frames"],
    [sum("restored"), "VLAN tags put back"],
    [report.reloads, "intents reloaded"],
    [report.refused, "intents rejected"],
    [report.edits, "edits over the control socket"],
    [report.capture?.lost ?? 0, "packets that --capture could not write"],
    [report.missed, "frames that --capture or --against missed because they arrived too fast"],
  ];
  return rows
    .filter(([met]) => met > 0)
    .map(([met, what]) => `  ${n(met)} ${what}`)
    .join("\n");
}
