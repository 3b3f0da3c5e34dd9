/**
 * Traffic between every pair of {Open vSwitch, slash32} and {same host, other host, edge}: pings, and a TCP
 * transfer whose every byte is compared.
 */
import { check, rounded, type Scenario } from "./scenario.ts";

const PAIRS = [
  ["vm11", "vm12"],
  ["vm11", "vm21"],
  ["vm21", "vm11"],
  ["vm11", "edge"],
  ["vm21", "vm22"],
  ["vm21", "vm31"],
  ["vm21", "edge"],
  ["edge", "vm31"],
  ["edge", "vm12"],
] as const;
const BYTES = 50_000_000;
const SHORT_BYTES = 2_000_000;

export const transfers: Scenario = {
  name: "transfers",
  title: "ping and a byte-compared TCP transfer between every pair of places",
  async run(lab, { isShort }) {
    const bytes = isShort ? SHORT_BYTES : BYTES;
    const where = (name: string): string => {
      if (name === "edge") return "edge";
      const { hypervisor } = lab.vm(name);
      return `${hypervisor} ${lab.engine(hypervisor).name}`;
    };
    const lines: string[] = [];
    await Promise.all([...new Set(PAIRS.map(([, to]) => to))].map(name => lab.host(name).serve()));
    for (const [from, to] of PAIRS) {
      const [client, server] = [lab.host(from), lab.host(to)];
      const ping = await client.ping(server, 10, 10);
      check(ping.lost === 0, `${from} → ${to}: ${ping.lost} of ${ping.sent} pings lost`);
      const got = await client.fetch(server, bytes);
      const pair = `${from} (${where(from)}) ← ${to} (${where(to)})`;
      check(got.error === null, `${pair}: ${got.error} after ${got.bytes} bytes`);
      check(got.wrongAt < 0, `${pair}: byte ${got.wrongAt} is wrong`);
      check(got.bytes === bytes, `${pair}: ${got.bytes} of ${bytes} bytes`);
      const speed = rounded(bytes / 1e6 / got.seconds);
      lines.push(
        `${pair}: ping ${rounded(ping.medianMs, 2)} ms, ${bytes / 1e6} MB at ${speed} MB/s, all bytes equal`,
      );
    }
    return lines;
  },
};
