/**
 * Queries of the captures of a running lab. dumpcap writes in blocks; a query therefore first waits for a
 * *canary*, a frame that was sent last. Without it, "no frame was seen" would be no evidence. tcpdump(1),
 * pcap-filter(7).
 */
import { join } from "node:path";
import type { Lab } from "./lab.ts";
import { execute, LabError, until } from "./machine.ts";

/** Lines that `tcpdump` prints of a node's capture, for the packets that match. */
export async function captured(lab: Lab, node: string, filter: string): Promise<string[]> {
  if (lab.captures === null) throw new LabError("this lab makes no captures");
  const file = join(lab.captures, `${node}.pcapng`);
  // A capture that is being written may end in half a packet, which is 1 and no error of ours.
  const text = await execute("tcpdump", ["-nn", "-e", "-r", file, filter], { codes: [0, 1] });
  return text.split("\n").filter(line => line !== "");
}

/** Waits until a packet that was sent last is in a node's capture. */
export function seen(lab: Lab, node: string, filter: string, atLeast = 1): Promise<void> {
  return until(`a frame "${filter}" in ${node}.pcapng`, async () => {
    const lines = await captured(lab, node, filter);
    return lines.length >= atLeast;
  });
}
