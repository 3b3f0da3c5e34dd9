/** `slash32 init`: an intent from the flows of a bridge, to standard output; what could not be read, to standard error. */

import { recoverIntent } from "../agent/index.ts";
import { readLiveBridge } from "../host/index.ts";
import { parsePorts } from "../openflow/index.ts";
import { type Context, print, say } from "./context.ts";
import { UsageError, UserError } from "./errors.ts";

export function init(context: Context): number {
  const bridge = context.text("bridge");
  if (bridge === undefined || context.positionals.length > 0)
    throw new UsageError("init reads a bridge: slash32 init --bridge BRIDGE");
  const live = readLiveBridge(bridge, { database: context.text("db"), protocols: "OpenFlow13" });
  const ports = parsePorts(live.ports, `ports of ${bridge}`).ports;
  const names = new Map([...ports].map(([name, number]) => [number, name]));
  const dump = Buffer.from(live.flows).toString("latin1");
  const name = /([^/]+?)(?:\.mgmt)?$/.exec(bridge)?.[1] ?? bridge;
  const { text, unread } = recoverIntent(dump, name, names);
  for (const line of unread) say(`${bridge}: ${line}`);
  if (text === null) throw new UserError(`${bridge}: no intent can be told from these flows`);
  print(text);
  return unread.length === 0 ? 0 : 2;
}
