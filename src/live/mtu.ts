/**
 * Whether the MTUs of live ports fit each other: a full packet of a routed VM must fit the uplink with all
 * its labels (RFC 3032, section 3). Only devices that are open are checked.
 */
import type { DeviceSpec } from "./device.ts";
import type { PortOfIntent } from "./thread-protocol.ts";

const LABEL_BYTES = 4;

/** A port as far as its MTU is concerned. */
export interface MtuPort {
  readonly name: string;
  readonly device: { readonly mtu: number | null; readonly spec: DeviceSpec };
  readonly isOpen: boolean;
}

export interface MtuInputs {
  readonly ports: ReadonlyMap<string, MtuPort>;
  /** Ports of the intent by name. */
  readonly known: ReadonlyMap<string, PortOfIntent>;
  readonly uplink: string;
  /** Labels of the route that has most. */
  readonly mostLabels: number;
}

/** One line about the VM whose packets exceed the uplink's MTU most; null if all fit. */
export function mtuProblem({ ports, known, uplink, mostLabels }: MtuInputs): string | null {
  const out = ports.get(uplink);
  const room = out?.isOpen === true ? out.device.mtu : null;
  if (out === undefined || room === null) return null;
  const mtuOf = (port: MtuPort): number | null =>
    known.get(port.name)?.mtu ?? (port.isOpen ? port.device.mtu : null);
  const needed = (port: MtuPort): number => (mtuOf(port) ?? 0) + mostLabels * LABEL_BYTES;
  let worst: MtuPort | undefined;
  for (const port of ports.values()) {
    if (known.get(port.name)?.isRouted !== true) continue;
    if (worst === undefined || needed(port) > needed(worst)) worst = port;
  }
  if (worst === undefined || needed(worst) <= room) return null;
  const { text, target } = out.device.spec;
  const labels = `${mostLabels} label${mostLabels === 1 ? "" : "s"}`;
  const packets = `packets of ${worst.name} (MTU ${mtuOf(worst)}) with ${labels}`;
  return (
    `${uplink}: the MTU of ${text} is ${room}, too small for ${packets}: ` +
    `make it ${needed(worst)} or more (ip link set dev ${target} mtu ${needed(worst)}), ` +
    `or the VMs' ${room - mostLabels * LABEL_BYTES} or less`
  );
}
