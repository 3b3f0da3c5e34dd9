/**
 * A VM migrates from the layer-2 path to the layer-3 path and back, while the edge pings it a thousand times
 * a second, VMs on the layer-2 path and on another hypervisor's layer-3 path ping it, and it receives a TCP
 * stream. Nothing is lost.
 */
import type { Lab } from "../lab.ts";
import { sleep } from "../machine.ts";
import { PATHS, type Path } from "../plan.ts";
import { check, checkTimed, inTime, rounded, type Scenario } from "./scenario.ts";

const STALL_MS = 200;
/** Of the pings that an idle machine would send. */
const LEAST_SHARE = 0.3;
const UP_AND_DOWN: readonly Path[] = [...PATHS.slice(1), ...PATHS.slice(0, -1).reverse()];

/** Walks one VM up and down; what was measured. Throws a LabError when anything is lost or stalls. */
export async function migrate(lab: Lab, name: string, pauseMs: number, intervalMs = 1): Promise<string[]> {
  const what = `${name}: the TCP stream stalled`;
  const tries = await inTime(STALL_MS, what, () => migrateOnce(lab, name, pauseMs, intervalMs));
  return tries.flatMap(({ lines }) => lines);
}

async function migrateOnce(
  lab: Lab,
  name: string,
  pauseMs: number,
  intervalMs: number,
): Promise<{ readonly ms: number; readonly lines: string[] }> {
  const vm = lab.vm(name);
  const host = lab.host(name);
  const neighbour = lab.vms.find(other => other.path === "l2" && other !== vm)!;
  const server = lab.vms.find(other => other.path === "l3" && other.hypervisor === "hv2")!;
  await lab.host(server.name).serve();
  await Promise.all([
    lab.host("edge").ping(host, 2),
    lab.host(neighbour.name).ping(host, 2),
    host.ping(lab.host(server.name), 2),
  ]);
  const fast = lab.host("edge").startPing(host, intervalMs);
  const routed = lab.host(server.name).startPing(host, 4);
  const bridged = lab.host(neighbour.name).startPing(host, 10);
  const stream = host.startStream(lab.host(server.name));
  const started = performance.now();
  await sleep(pauseMs);
  for (const path of UP_AND_DOWN) {
    const from = vm.path;
    await lab.step(vm, path);
    lab.say(`  ${name}: ${from} → ${path}`);
    await sleep(pauseMs);
  }
  const seconds = (performance.now() - started) / 1000;
  const [edge, l3, l2] = [await fast.stop(), await routed.stop(), await bridged.stop()];
  const tcp = await stream.stop();
  const rate = edge.sent / seconds;
  const engine = lab.engine(vm.hypervisor).name;
  check(edge.lost === 0, `${name}: ${edge.lost} of ${edge.sent} pings from the edge lost`);
  check(l3.lost === 0, `${name}: ${l3.lost} of ${l3.sent} pings from ${server.name} (l3) lost`);
  check(l2.lost === 0, `${name}: ${l2.lost} of ${l2.sent} pings from ${neighbour.name} (l2) lost`);
  checkTimed(
    edge.sent > (LEAST_SHARE * 1000 * seconds) / intervalMs,
    `${name}: only ${rounded(rate, 0)} pings a second`,
  );
  check(tcp.error === null, `${name}: the TCP stream ended: ${tcp.error}`);
  check(tcp.wrongAt < 0, `${name}: byte ${tcp.wrongAt} of the TCP stream is wrong`);
  const lines = [
    `${name} on ${vm.hypervisor} (${engine}), ${UP_AND_DOWN.length} steps in ${rounded(seconds)} s:`,
    `  ping edge → ${name}: ${edge.sent} sent (${rounded(rate, 0)} a second), ${edge.lost} lost, ` +
      `${edge.duplicates} twice, longest gap ${rounded(edge.gapMs)} ms`,
    `  ping ${server.name} (l3) → ${name}: ${l3.sent} sent, ${l3.lost} lost`,
    `  ping ${neighbour.name} (l2) → ${name}: ${l2.sent} sent, ${l2.lost} lost`,
    `  TCP ${server.name} → ${name}: ${rounded(tcp.bytes / 1e6)} MB, ` +
      `longest stall ${rounded(tcp.stallMs)} ms, all bytes equal`,
  ];
  return { ms: tcp.stallMs, lines };
}

export const migration: Scenario = {
  name: "migration",
  title: "l2 → dual-l2 → dual-l3 → l3 and back under load, nothing lost",
  async run(lab, { isShort }) {
    const names = lab.vms.filter(({ path }) => path === "l2").map(({ name }) => name);
    const lines: string[] = [];
    // The last is the one on slash32, of whose steps fewer have to be proved.
    for (const name of isShort ? names.slice(-1) : names)
      lines.push(...(await migrate(lab, name, isShort ? 150 : 600)));
    return lines;
  },
};
