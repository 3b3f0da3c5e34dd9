/**
 * Counters and comparisons as reports have them (replay and live): ports with their names, and differences
 * between core and flows with the commands that show them.
 */
import type { Counters } from "../core/index.ts";
import type { AgainstResult, FlowAt } from "../replay/index.ts";
import type { AgainstReport, ReplayReport, VerifyPlace } from "../report/index.ts";
import { formatHex } from "../wire/index.ts";
import type { Context } from "./context.ts";
import { type Origins, shellOf } from "./places.ts";

/** Counters of ports, with names. */
export function portReports(
  { ports }: Pick<Counters, "ports">,
  nameOf: (port: number) => string | null,
): ReplayReport["ports"] {
  return ports.map(port => ({
    port: port.port,
    name: nameOf(port.port),
    rxFrames: port.rxFrames,
    rxBytes: port.rxBytes,
    txFrames: port.txFrames,
    txBytes: port.txBytes,
    replies: port.replyFrames,
    drops: port.dropFrames,
  }));
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
