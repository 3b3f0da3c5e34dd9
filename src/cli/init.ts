/**
 * The work of `slash32 init`: reads the flows of a bridge and prints the intent that compiles to them;
 * flows that it cannot explain go to standard error.
 */
import { recoverIntent } from "../agent/index.ts";
import { readLiveBridge } from "../host/index.ts";
import { parsePorts } from "../openflow/index.ts";
import { type Context, print, say } from "./context.ts";
import { UserError } from "./errors.ts";

export function init(context: Context): number {
  const bridge = context.text("bridge")!;
  const live = readLiveBridge(bridge, { database: context.text("db"), protocols: "OpenFlow13" });
  const ports = parsePorts(live.ports, `ports of ${bridge}`).ports;
  const names = new Map([...ports].map(([name, number]) => [number, name]));
  const dump = Buffer.from(live.flows).toString("latin1");
  const name = /([^/]+?)(?:\.mgmt)?$/.exec(bridge)?.[1] ?? bridge;
  const { text, unread } = recoverIntent(dump, name, names);
  for (const line of unread) say(`${bridge}: ${line}`);
  if (text === null)
    throw new UserError(`${bridge}: the flows do not determine an intent: label or uplink is missing`);
  print(text);
  return unread.length === 0 ? 0 : 2;
}
