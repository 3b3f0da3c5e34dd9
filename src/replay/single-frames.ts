/**
 * The packets of a capture one by one, with the port that each enters. Uses the reader of a replay, one packet at a
 * time, so it is made for thousands of frames and not for millions.
 */
import * as abi from "../../assembly/abi.ts";
import type { Core } from "../core/index.ts";
import { type Damage, Input } from "./input.ts";
import { InterfacePool } from "./interface-pool.ts";
import { portOf } from "./plan-inputs.ts";
import { type PortNames, parseCaptureArgument } from "./ports.ts";

export interface CapturedFrame {
  /** Counts from 1, as Wireshark does. */
  readonly number: number;
  readonly inPort: number;
  readonly frame: Uint8Array;
  /** Bytes of the frame on the wire; more than `frame` has if the capture was snapped. */
  readonly length: number;
}

export interface ReadOptions {
  /** Whether packets of interfaces that cannot be used are skipped. */
  readonly leavesOut: boolean;
  /** Called with each note at the end. */
  readonly onNote: (note: string) => void;
  /** Called with each damage of the capture, after the frames that could be read. */
  readonly onDamage: (damage: Damage) => void;
}

/** Timestamps are not used here, and none is out of range. */
const SCALE = { resolution: 0, base: 0n };

/**
 * Frames of one capture (`[PORT=]CAPTURE`) in order, as far as a replay reads them. Throws ReplayError if it is not a
 * capture, or no port is given for its frames.
 */
export async function* readFrames(
  core: Core,
  ports: PortNames,
  capture: string,
  inPort: number | null,
  { leavesOut, onNote, onDamage }: ReadOptions,
): AsyncGenerator<CapturedFrame> {
  const argument = parseCaptureArgument(capture, ports);
  const named = portOf({ capture: "", port: argument.port }, ports);
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
