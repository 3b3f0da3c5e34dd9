/** The work of `slash32 live`: values of options, then one session until it is stopped. */
import type { Intent } from "../intent/index.ts";
import { ANY, Metrics, type PortArgument, parseMetricsAddress, parsePort } from "../live/index.ts";
import { PortNames } from "../replay/index.ts";
import type { Context } from "./context.ts";
import { UsageError } from "./errors.ts";
import { LiveSession } from "./live-session.ts";

export async function liveCommand(context: Context): Promise<number> {
  const ports = context.texts("port").map(text => parsePort(text, context.flag("promiscuous")));
  const metricsAt = context.text("metrics");
  const address = metricsAt === undefined ? null : parseMetricsAddress(metricsAt);
  const duration = secondsOf(context);
  const session = new LiveSession(context, intent => withNames(ports, intent));
  await session.start(address === null ? null : where => Metrics.start(address, where));
  try {
    await session.untilStopped(duration, context.number("count"));
  } finally {
    await session.finish();
  }
  return session.exitCode();
}

/** Seconds to run; undefined: no limit. Throws UsageError. */
function secondsOf(context: Context): number | undefined {
  const text = context.text("duration");
  if (text === undefined) return undefined;
  const seconds = /^\d+(\.\d+)?s?$/.test(text) ? Number.parseFloat(text) : 0;
  if (seconds > 0 && seconds < 1e6) return seconds;
  throw new UsageError(
    `--duration: "${text}" is not a valid time; expected seconds above 0 and below 1000000`,
  );
}

/** Replaces a port's number by its name in the intent. */
function withNames(ports: readonly PortArgument[], intent: Intent): PortArgument[] {
  const names = new PortNames(intent);
  return ports.map(argument => {
    if (argument.port === ANY || names.byName(argument.port) !== null) return argument;
    const number = names.resolve(argument.port);
    return { ...argument, port: (number === null ? null : names.nameOf(number)) ?? argument.port };
  });
}
