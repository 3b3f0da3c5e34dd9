/**
 * Types of the private switch and the checks of their values: options, ports, frames and answers, and the
 * words for ovs-vsctl that configure it. This file starts nothing. ovs-vsctl(8), ovs-vswitchd.conf.db(5).
 */
import { join } from "node:path";
import { SwitchError } from "../../src/host/index.ts";
import { MARKER_PRIORITY } from "./markers.ts";
import type { PacketIn } from "./switch-messages.ts";

/**
 * A port of the switch. An output of more than `mtu` + 14 bytes (+ 18 with a VLAN tag) is dropped, as on a
 * real port.
 */
export interface SwitchPort {
  /** OpenFlow port number, 1…65279. */
  number: number;
  /** At most 15 characters; "p" and the number by default. */
  name?: string;
  /** 68…65535; 9216 by default. */
  mtu?: number;
}

export interface SwitchOptions {
  ports: readonly SwitchPort[];
  /**
   * Numbers of tunnel ports, whose endpoints and keys come from the flow. They send no frames: only `trace`
   * shows their outputs.
   */
  tunnels?: readonly number[];
  /** What runs before the first `replaceFlows`: nothing (secure, the default) or NORMAL (standalone). */
  failMode?: "secure" | "standalone";
  /**
   * Ids of controllers whose packet-ins are seen, besides 0: those that `controller(id=…)` names. None by
   * default.
   */
  controllerIds?: readonly number[];
  /**
   * A folder with another version of Open vSwitch in `bin` and `share/openvswitch`; the installed one by
   * default.
   */
  programs?: string;
}

/** An OpenFlow version as `ovs-ofctl -O` names it. */
export type Protocol = "OpenFlow10" | "OpenFlow13" | "OpenFlow15";

/** A frame to send in: 14…65535 bytes. Dummy ports reject shorter ones. */
export interface Input {
  inPort: number;
  frame: Uint8Array;
}

/** A frame that left the switch. */
export interface Output {
  port: number;
  frame: Uint8Array;
}

/**
 * The outputs and packet-ins of one frame. Outputs of one port are in the order in which it sent them; ports
 * are in the order of their numbers, because the userspace datapath collects a frame's outputs by port before
 * it sends any (`trace` prints the order of the actions). Packet-ins of one controller id are in their order,
 * ids in theirs. Not included: outputs to LOCAL, and packet-ins for an id that the switch was not started
 * with.
 */
export interface Answer {
  outputs: Output[];
  packetIns: PacketIn[];
}

export interface TextOptions {
  /** OpenFlow13 by default. */
  protocol?: Protocol;
}

export interface DumpOptions extends TextOptions {
  /** Port names instead of numbers; false by default. */
  names?: boolean;
  /** Durations, counters and cookies of 0; true by default. */
  stats?: boolean;
}

/** The flow-mod that Open vSwitch prints for one line of flow text, or its error message. */
export type ParsedFlow = { text: string } | { error: string };

export const FRAME_BYTES_MIN = 14;
export const FRAME_BYTES_MAX = 65_535;
const PORT_NUMBER_MAX = 0xfeff;
const MTU_DEFAULT = 9216;

export type Port = Required<SwitchPort>;

export function checkPorts(ports: readonly SwitchPort[]): Port[] {
  const checked = ports.map(({ number, name = `p${number}`, mtu = MTU_DEFAULT }) => ({ number, name, mtu }));
  for (const { number, name, mtu } of checked) {
    if (!Number.isInteger(number) || number < 1 || number > PORT_NUMBER_MAX)
      throw new SwitchError(`port number ${number}: expected 1…${PORT_NUMBER_MAX}`);
    if (!/^[A-Za-z][\w.-]{0,14}$/.test(name) || name === "br0")
      throw new SwitchError(
        `port name "${name}": expected a letter, then at most 14 of a-z A-Z 0-9 _ . - (but not br0)`,
      );
    if (!Number.isInteger(mtu) || mtu < 68 || mtu > 65_535)
      throw new SwitchError(`port ${name}: mtu ${mtu}: expected 68…65535`);
  }
  for (const key of ["number", "name"] as const) {
    const twice = checked.find((port, i) => checked.findIndex(other => other[key] === port[key]) !== i);
    if (twice !== undefined) throw new SwitchError(`two ports have the ${key} ${twice[key]}`);
  }
  return checked.sort((a, b) => a.number - b.number);
}

/** Name of the fifo into which the switch writes what the port sends. */
export const fifoOf = ({ number }: Port): string => `tap${number}`;

/** The words for ovs-vsctl that make the bridge and its ports. */
export function configurationOf(
  ports: readonly Port[],
  tunnels: readonly number[],
  failMode: string,
  folder: string,
): string[] {
  const words = ["add-br", "br0", "--", "set", "bridge", "br0", "datapath-type=dummy"];
  words.push(`fail-mode=${failMode}`, "protocols=OpenFlow10,OpenFlow13,OpenFlow15");
  for (const port of ports) {
    words.push("--", "add-port", "br0", port.name, "--", "set", "interface", port.name, "type=dummy");
    words.push(`ofport_request=${port.number}`, `mtu_request=${port.mtu}`);
    words.push(`options:tx_pcap=${join(folder, fifoOf(port))}`);
  }
  for (const number of tunnels) {
    const name = `tun${number}`;
    words.push("--", "add-port", "br0", name, "--", "set", "interface", name, "type=geneve");
    // Two tunnels of the same endpoints and keys differ in the UDP port.
    words.push("options:remote_ip=flow", "options:key=flow", `options:dst_port=${6000 + number}`);
    words.push(`ofport_request=${number}`);
  }
  return words;
}

/** Rejects flows of the marker flow's priority in table 0: which of two such flows matches is undefined. */
export function checkPriorities(text: string): void {
  if (!text.includes(`priority=${MARKER_PRIORITY}`)) return;
  for (const [index, line] of text.split("\n").entries()) {
    const match = line.split(/\bactions?=/)[0]!;
    if (!match.includes(`priority=${MARKER_PRIORITY}`) || /\btable=(?!0\b)/.test(match)) continue;
    const why = `priority ${MARKER_PRIORITY} in table 0 is kept for the marker frames of the private switch`;
    throw new SwitchError(`line ${index + 1}: ${why}; expected ${MARKER_PRIORITY - 1} or less`);
  }
}

/**
 * Throws a SwitchError for a port that does not exist and for a frame of a length that dummy ports reject.
 */
export function checkInput(
  { inPort, frame }: Input,
  index: number,
  ports: ReadonlyMap<number, unknown>,
): void {
  if (!ports.has(inPort))
    throw new SwitchError(
      `frame ${index}: there is no port ${inPort}; expected one of ${[...ports.keys()].join(", ")}`,
    );
  if (frame.length < FRAME_BYTES_MIN || frame.length > FRAME_BYTES_MAX)
    throw new SwitchError(
      `frame ${index}: ${frame.length} bytes; expected ${FRAME_BYTES_MIN}…${FRAME_BYTES_MAX}`,
    );
}
