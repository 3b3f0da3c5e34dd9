/** Random frames through a core and through the model, and the first frame on which they differ. */
import * as abi from "../../assembly/abi.ts";
import { Core, type FrameOut } from "../../src/core/index.ts";
import { type Intent, parseIntent } from "../../src/intent/index.ts";
import { type ModelIntent, type ModelResult, runModel } from "../model/model.ts";
import { randomFrame, randomIntent, rng } from "../model/random.ts";

export interface World {
  readonly seed: number;
  readonly intent: ModelIntent;
  readonly frames: readonly { readonly inPort: number; readonly frame: Uint8Array }[];
  readonly expected: readonly ModelResult[];
}

/** A random intent and random frames for it, with what the model says of each. */
export function makeWorld(seed: number, frameCount: number): World {
  const random = rng(seed);
  const intent = randomIntent(random);
  const frames = Array.from({ length: frameCount }, () => randomFrame(random, intent));
  return {
    seed,
    intent,
    frames,
    expected: frames.map(({ inPort, frame }) => runModel(intent, inPort, frame)),
  };
}

/** Intents as the intent file gives them: each is read once for all cores. */
const LOADED = new WeakMap<ModelIntent, Intent>();

function load(intent: ModelIntent): Intent {
  const { intent: loaded, errors } = parseIntent(JSON.stringify(intent), "random.yaml", ".");
  if (loaded === null) throw new Error(`the random intent is not valid: ${errors[0]?.message}`);
  LOADED.set(intent, loaded);
  return loaded;
}

/** Fills a core from a model's intent, by way of the intent file. */
export function install(core: Core, intent: ModelIntent): void {
  core.install(LOADED.get(intent) ?? load(intent));
}

/** Runs a world through a core; null when every verdict, reason, table, port and byte is the model's. */
export function firstDifference(core: Core, world: World): string | null {
  install(core, world.intent);
  const results = core.runFrames(world.frames);
  for (const [index, result] of results.entries()) {
    const wanted = world.expected[index]!;
    const isEqual =
      result.verdict === wanted.verdict &&
      result.reason === wanted.reason &&
      result.port === wanted.port &&
      isSame(result.tables, wanted.tables) &&
      isSame(result.frame ?? NOTHING, wanted.frame ?? NOTHING) &&
      (result.frame === null) === (wanted.frame === null);
    if (isEqual) continue;
    const { inPort, frame } = world.frames[index]!;
    return [
      `seed ${world.seed}, frame ${index}: in_port ${inPort}, ${hex(frame)}`,
      `  model ${describe(wanted)}`,
      `  core  ${describe(result)}`,
    ].join("\n");
  }
  return null;
}

const NOTHING: readonly number[] = [];

function isSame(one: ArrayLike<number>, other: ArrayLike<number>): boolean {
  if (one.length !== other.length) return false;
  for (let at = 0; at < one.length; at++) if (one[at] !== other[at]) return false;
  return true;
}

function describe(result: ModelResult | FrameOut): string {
  const { verdict, reason, port, tables, frame } = result;
  return `${verdict} ${reason ?? ""} port ${port} tables ${tables.join(" ")} ${hex(frame)}`;
}

function hex(frame: Uint8Array | null): string {
  return frame === null ? "-" : Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength).toString("hex");
}

/** Cores of all builds. */
export function allCores(): [string, Core][] {
  return (["release", "scalar", "debug"] as const).map(build => [build, Core.load(build)]);
}

/**
 * Runs frames (at most one window of them) as a pcap capture of a port; gives the records that leave.
 * Frames go through the batches of captures here, and not one by one as in `runFrames`.
 */
export function captured(core: Core, inPort: number, frames: readonly Uint8Array[]): Buffer {
  const { bytes, words, exports } = core;
  const view = new DataView(bytes.buffer);
  let at = abi.INPUT;
  for (const frame of frames) {
    for (const [index, word] of [0, 0, frame.length, frame.length].entries())
      view.setUint32(at + index * 4, word, true);
    bytes.set(frame, at + 16);
    at += 16 + frame.length;
  }
  if (at > abi.INPUT + abi.WINDOW_BYTES) throw new Error("more than a window");
  words.fill(0, abi.CAPTURES >>> 2, (abi.CAPTURES + abi.CAPTURE_BYTES) >>> 2);
  const settings: readonly (readonly [number, number])[] = [
    [abi.CAPTURES + abi.CAPTURE_FORMAT, abi.CaptureFormat.Pcap],
    [abi.CAPTURES + abi.CAPTURE_AT, abi.INPUT],
    [abi.CAPTURES + abi.CAPTURE_END, at],
    [abi.CAPTURES + abi.CAPTURE_EOF, 1],
    [abi.CAPTURES + abi.CAPTURE_INTERFACES, abi.INTERFACES],
    [abi.CAPTURES + abi.CAPTURE_INTERFACE_COUNT, 1],
    [abi.INTERFACES + abi.INTERFACE_IN_PORT, inPort],
    [abi.INTERFACES + abi.INTERFACE_MULTIPLIER, 1],
    [abi.INTERFACES + abi.INTERFACE_DIVISOR, 1_000_000],
  ];
  for (const [place, value] of settings) words[place >>> 2] = value;
  exports.resetCaptures();
  exports.emptyOutput();
  exports.setOutput(abi.OutputFormat.Pcap, abi.OutputFormat.None, 1_000_000, 0);
  const pieces: Uint8Array[] = [];
  for (let done = 0; done < frames.length || pieces.length === 0; done += exports.framesRead()) {
    const event = exports.runCaptures(1, 0xffffffff);
    pieces.push(bytes.slice(abi.OUTPUT, abi.OUTPUT + exports.usedBytes()));
    exports.emptyOutput();
    if (event === abi.Event.Done) break;
    if (event !== abi.Event.Full) throw new Error(`event ${event}`);
  }
  return Buffer.concat(pieces);
}
