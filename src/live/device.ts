/**
 * The device of a live port, which receives and sends frames, and the words by which a user names it
 * (`tap:NAME`, `afpacket:IF`, `pcap:IF`, `unix:PATH`, `punix:PATH`). No input or output in this file.
 */
import type { Batch } from "./batch.ts";
import { LiveError } from "./errors.ts";
import { INTERFACE_NAME_BYTES, UNIX_PATH_BYTES } from "./linux.ts";

/** Where frames come from. */
export interface FrameSource {
  /** Adds frames that wait to the batch, at most so many; gives how many there were. Never waits. */
  receive(batch: Batch, inPort: number, most: number): number;
}

/** Where frames go. */
export interface FrameSink {
  /** Takes a frame that lies in the core's memory; its bytes must stay until `flush`. */
  send(at: number, length: number): void;
  /** Lets go of all frames taken since. */
  flush(): void;
}

/** What happened to frames at a device, outside of the pipeline. */
export interface DeviceCounts {
  /** Frames that could not be sent: the device was full, down, or its MTU too small. */
  sendLost: number;
  /** Frames that the kernel dropped before we read them, as far as it says. */
  receiveLost: number;
  /** Frames that a sender left to offloading: checksum completed, large frames cut, tags restored. */
  completed: number;
  segmented: number;
  restored: number;
}

export interface Device extends FrameSource, FrameSink {
  readonly spec: DeviceSpec;
  /** What to poll, -1 while it is closed. */
  readonly fd: number;
  /** Whether it is to be polled for room to send, too. */
  readonly isBlocked: boolean;
  /** Why it cannot be used any more, null while it can; it is then to be closed and opened again later. */
  readonly failure: string | null;
  /** Whether frames were read that were not given yet, which polling does not tell. */
  readonly hasFrames?: boolean;
  /** Largest layer-3 packet that it takes, null where nothing says. */
  readonly mtu: number | null;
  readonly counts: DeviceCounts;
  /**
   * Opens it. `isReturn`: it was open before, and must not be created anew.
   * @throws LiveError in one line for a person
   */
  open(isReturn: boolean): void;
  /** Makes `failure` say why, unless it says something already. */
  fail(why: string): void;
  close(): void;
}

export type Backend = "tap" | "afpacket" | "pcap" | "unix" | "punix";
const BACKENDS: readonly Backend[] = ["tap", "afpacket", "pcap", "unix", "punix"];

export interface DeviceSpec {
  readonly backend: Backend;
  /** Name of an interface, or path of a socket. */
  readonly target: string;
  /** As it was given. */
  readonly text: string;
  /** BPF filter of a `pcap:` device, empty for none. */
  readonly filter: string;
  readonly isPromiscuous: boolean;
}

/** What `--port` says. */
export interface PortArgument {
  readonly port: string;
  readonly device: DeviceSpec;
}

/**
 * Parses `NAME=DEVICE`. Throws LiveError. `pcap:IF` may have a BPF filter behind a comma; other names may
 * contain commas. NAME may be * for all other ports, with a * in the device for their names. `isPromiscuous`:
 * the flag --promiscuous.
 */
export function parsePort(text: string, isPromiscuous: boolean): PortArgument {
  const at = text.indexOf("=");
  if (at < 1) throw new LiveError(`--port ${text}: expected NAME=DEVICE, as tap101=tap:tap101`);
  const port = text.slice(0, at);
  const device = { ...parseDevice(text.slice(at + 1)), isPromiscuous };
  if (port !== ANY) return { port, device };
  if (device.backend === "pcap")
    throw new LiveError(`--port ${text}: libpcap is not there for *; take afpacket:*`);
  if (!device.target.includes(ANY))
    throw new LiveError(`--port ${text}: the device needs a * for the port's name, as in *=tap:*`);
  return { port, device };
}

/** Stands for every port that has no device of its own, and in a device's name for the port's. */
export const ANY = "*";

/**
 * The device of a port from a template with a * for its name. Throws LiveError if the name cannot be used
 * there.
 */
export function deviceOfPort(template: DeviceSpec, port: string): DeviceSpec {
  if (port.includes("/")) throw new LiveError(`"${port}" cannot stand in ${template.text}: it has a /`);
  return { ...parseDevice(template.text.replaceAll(ANY, port)), isPromiscuous: template.isPromiscuous };
}

function parseDevice(text: string): Omit<DeviceSpec, "isPromiscuous"> {
  const [, word = "", rest = ""] = /^([a-z]+):(.*)$/s.exec(text) ?? [];
  const backend = BACKENDS.find(name => name === word);
  if (backend === undefined) {
    throw new LiveError(
      `"${text}" is not a device; expected tap:NAME, afpacket:IF, pcap:IF, unix:PATH or punix:PATH`,
    );
  }
  const comma = backend === "pcap" ? rest.indexOf(",") : -1;
  const target = comma < 0 ? rest : rest.slice(0, comma);
  const filter = comma < 0 ? "" : rest.slice(comma + 1);
  const isSocket = backend === "unix" || backend === "punix";
  const what = isSocket ? "a socket's path" : "an interface's name";
  const most = isSocket ? UNIX_PATH_BYTES : INTERFACE_NAME_BYTES;
  const bytes = new TextEncoder().encode(target).length;
  if (bytes === 0) throw new LiveError(`"${text}": ${what} is missing`);
  if (bytes > most) throw new LiveError(`"${text}": ${what} has at most ${most} bytes, not ${bytes}`);
  if (!isSocket && /[/\s:]/.test(target))
    throw new LiveError(`"${text}": "${target}" is not an interface name`);
  return { backend, target, text, filter };
}

export function noCounts(): DeviceCounts {
  return { sendLost: 0, receiveLost: 0, completed: 0, segmented: 0, restored: 0 };
}
