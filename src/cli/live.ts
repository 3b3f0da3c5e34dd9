/** `slash32 live`: the pipeline on real devices, until it is told to stop. */
import { Live, parsePort } from "../live/index.ts";
import { type Context, print, say } from "./context.ts";
import { UsageError } from "./errors.ts";

export async function liveCommand(context: Context): Promise<number> {
  const ports = context.texts("port").map(text => parsePort(text, context.flag("promiscuous")));
  if (ports.length === 0) throw new UsageError("live needs a port: --port NAME=DEVICE");
  const intent = context.intent();
  const live = await Live.start({
    intent,
    ports,
    isSmallMtuAllowed: context.flag("allow-small-mtu"),
    onNote: text => say(`slash32: ${text}`),
  });
  say("slash32: live");
  await new Promise<void>(resolve => {
    process.once("SIGINT", resolve);
    process.once("SIGTERM", resolve);
  });
  const { counters, ...rest } = await live.stop();
  print(`${JSON.stringify({ ...rest, ...counters, drops: [...counters.drops] })}\n`);
  return 0;
}
