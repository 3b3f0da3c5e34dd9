/**
 * The packets of a capture one by one, with the port they enter: for looking at single frames. Uses the same reading
 * as a replay, a packet at a time, so it is for thousands of frames and not for millions.
 */
import * as abi from "../../assembly/abi.ts";
import type { Core } from "../core/index.ts";
import { ReplayError } from "./errors.ts";
import { type Damage, Input } from "./input.ts";
import { InterfacePool } from "./interface-pool.ts";
import { type PortNames, parseCaptureArgument } from "./ports.ts";

export interface CapturedFrame {
  /** Counts from 1, as Wireshark does. */
  readonly number: number;
  readonly inPort: number;
  readonly frame: Uint8Array;
  /** Bytes of the frame on the wire; more than `frame` holds when it was snapped. */
  readonly length: number;
}

export interface ReadOptions {
  /** Whether packets of interfaces that cannot be used are left out. */
  readonly leavesOut: boolean;
  /** Given what is worth knowing and no error, at the end. */
  readonly onNote: (note: string) => void;
  /** Given what is wrong with the capture, behind the frames that could be read. */
  readonly onDamage: (damage: Damage) => void;
}

/** Timestamps play no part here: whatever they are, none is odd. */
const SCALE = { resolution: 0, base: 0n };

/**
 * Frames of one capture (`[PORT=]CAPTURE`) in order, as far as a replay reads them. Throws ReplayError when it is no
 * capture or lacks a port.
 */
export async function* readFrames(
  core: Core,
  ports: PortNames,
  capture: string,
  inPort: number | null,
  { leavesOut, onNote, onDamage }: ReadOptions,
): AsyncGenerator<CapturedFrame> {
  const argument = parseCaptureArgument(capture, ports);
  const named = argument.port === null ? null : ports.resolve(argument.port);
  if (argument.port !== null && named === null) {
    throw new ReplayError(ports.stranger(argument.port));
  }
  const input = new Input({
    core,
    index: 0,
    pool: new InterfacePool(),
    leavesOut,
    capture: argument.capture,
    port: named,
    fallback: inPort,
    ports,
    dropsInterface: () => 0,
  });
  try {
    await input.open();
    core.exports.resetCaptures();
    core.exports.setOutput(abi.OutputFormat.None, abi.OutputFormat.None, 1, 0);
    for (let number = 1; await input.advance(); number++) {
      yield { number, ...input.head() };
      core.exports.runCaptures(1, 1);
    }
    for (const note of input.notes()) onNote(note);
    for (const damage of input.damages(SCALE)) onDamage(damage);
  } finally {
    input.close();
  }
}
