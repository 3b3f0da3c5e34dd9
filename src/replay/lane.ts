/**
 * Several threads on one capture, each with a core of its own (a *lane*), in step through a few shared numbers. A lane
 * takes a piece of the file, walks over it to find where the next one begins, lets the others go on from there, runs
 * its piece, and waits for its turn to write: the output is the same, byte for byte, as that of one core. Where
 * anything but whole, good packets comes, all lanes stop and the ordinary replay goes on from that byte.
 */
import { readSync, writeSync } from "node:fs";
import * as abi from "../../assembly/abi.ts";
import { ioMessage } from "../capture/index.ts";
import type { Core } from "../core/index.ts";
import { ReplayError } from "./errors.ts";

/** Bytes of one piece. */
const PIECE_BYTES = 0x40000;
/** Bytes of a message about a lane that failed. */
const MESSAGE_BYTES = 1024;

/** Indices of the shared 32-bit numbers. */
const LOCK = 0;
const NEXT = 1;
const WRITTEN = 2;
const STOPPED = 3;
const FAILED = 4;
const LIFE = 5;
/** What LIFE says of the other lane. */
const WAITED_FOR = 0;
const RUNNING = 1;
const FINISHED = 2;
const NOT_WANTED = 3;
/** Indices of the shared 64-bit numbers, which stand behind. */
const START = 0;
const CLOCK = 1;
const WORDS_BYTES = 32;

/** The numbers that lanes share, and what each wants to know of the others. */
export class Shared {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #longs: BigUint64Array;
  readonly #message: Uint8Array;

  constructor(buffer = new SharedArrayBuffer(WORDS_BYTES + 16 + MESSAGE_BYTES)) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer, 0, WORDS_BYTES / 4);
    this.#longs = new BigUint64Array(buffer, WORDS_BYTES, 2);
    this.#message = new Uint8Array(buffer, WORDS_BYTES + 16, MESSAGE_BYTES);
  }

  /** Where the next piece begins in the file, and the timestamp of the packet before it. Only with the lock. */
  get start(): { offset: number; clock: bigint } {
    return { offset: Number(this.#longs[START]), clock: this.#longs[CLOCK]! };
  }
  set start({ offset, clock }: { offset: number; clock: bigint }) {
    this.#longs[START] = BigInt(offset);
    this.#longs[CLOCK] = clock;
  }

  lock(): void {
    while (Atomics.compareExchange(this.#words, LOCK, 0, 1) !== 0) Atomics.wait(this.#words, LOCK, 1);
  }

  unlock(): void {
    Atomics.store(this.#words, LOCK, 0);
    Atomics.notify(this.#words, LOCK);
  }

  /** The number of a piece that nobody has taken yet. Only with the lock. */
  take(): number {
    return Atomics.add(this.#words, NEXT, 1);
  }

  get taken(): number {
    return Atomics.load(this.#words, NEXT);
  }

  /** Waits until every piece before this one is written. False when another lane failed. */
  await(piece: number): boolean {
    for (;;) {
      if (Atomics.load(this.#words, FAILED) !== 0) return false;
      const written = Atomics.load(this.#words, WRITTEN);
      if (written === piece) return true;
      Atomics.wait(this.#words, WRITTEN, written, 100);
    }
  }

  /** This piece is written. */
  wrote(piece: number): void {
    Atomics.store(this.#words, WRITTEN, piece + 1);
    Atomics.notify(this.#words, WRITTEN);
  }

  get isStopped(): boolean {
    return Atomics.load(this.#words, STOPPED) !== 0;
  }

  stop(): void {
    Atomics.store(this.#words, STOPPED, 1);
  }

  /** The other lane begins. False when the main one is through without it. */
  begin(): boolean {
    return Atomics.compareExchange(this.#words, LIFE, WAITED_FOR, RUNNING) === WAITED_FOR;
  }

  /** The other lane has ended, its counters copied. */
  finish(): void {
    Atomics.store(this.#words, LIFE, FINISHED);
    Atomics.notify(this.#words, LIFE);
  }

  /** Waits for the other lane, unless it never began: its thread may not have started at all. */
  awaitFinish(): void {
    if (Atomics.compareExchange(this.#words, LIFE, WAITED_FOR, NOT_WANTED) === WAITED_FOR) return;
    while (Atomics.load(this.#words, LIFE) === RUNNING) Atomics.wait(this.#words, LIFE, RUNNING, 1000);
  }

  fail(message: string): void {
    new TextEncoder().encodeInto(message, this.#message.subarray(0, MESSAGE_BYTES - 1));
    this.stop();
    Atomics.store(this.#words, FAILED, 1);
    Atomics.notify(this.#words, WRITTEN);
  }

  /** What went wrong in a lane, null when nothing did. */
  get failure(): string | null {
    if (Atomics.load(this.#words, FAILED) === 0) return null;
    const bytes = this.#message.slice();
    return new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0)));
  }
}

/** What a lane works with: the capture and the outputs, by file descriptor; null where nothing is written. */
export interface LaneFiles {
  readonly input: number;
  readonly output: number | null;
  readonly drops: number | null;
  /** The same as people know them. */
  readonly names: { readonly input: string; readonly output: string; readonly drops: string };
}

/**
 * Works off pieces until all lanes stop. The core's capture 0 is set up, tables and outputs too; `onPiece` is told the
 * bytes and frames of each piece that is done. Throws ReplayError when the operating system refuses.
 */
export function runLane(
  core: Core,
  shared: Shared,
  files: LaneFiles,
  onPiece: (bytes: number, frames: number) => void,
): void {
  for (;;) {
    const piece = takePiece(core, shared, files);
    if (piece === null) return;
    const { number, bytes } = piece;
    let frames = 0;
    for (;;) {
      const event = core.exports.runCaptures(1, 0xffffffff);
      frames += core.exports.framesRead();
      if (event !== abi.Event.Full) break;
      if (!shared.await(number)) return;
      write(core, files);
    }
    if (!shared.await(number)) return;
    write(core, files);
    shared.wrote(number);
    onPiece(bytes, frames);
  }
}

/** Reads the next piece into the window, up to the last whole packet. Null when there is none or it is not plain. */
function takePiece(core: Core, shared: Shared, files: LaneFiles): { number: number; bytes: number } | null {
  shared.lock();
  try {
    if (shared.isStopped) return null;
    const { offset, clock } = shared.start;
    const end = abi.INPUT + readPiece(core, files, offset);
    setWindow(core, end, clock);
    const behind = core.exports.walk();
    const bytes = behind - abi.INPUT;
    if (bytes === 0) {
      shared.stop();
      return null;
    }
    shared.start = { offset: offset + bytes, clock: clockOf(core) };
    const number = shared.take();
    setWindow(core, behind, clock);
    return { number, bytes };
  } finally {
    shared.unlock();
  }
}

function readPiece(core: Core, { input, names }: LaneFiles, offset: number): number {
  let filled = 0;
  while (filled < PIECE_BYTES) {
    const bytes = named(names.input, () =>
      readSync(input, core.bytes, abi.INPUT + filled, PIECE_BYTES - filled, offset + filled),
    );
    if (bytes === 0) break;
    filled += bytes;
  }
  return filled;
}

/** The window holds whole packets up to `end`, and the clock stands at the packet before. */
function setWindow(core: Core, end: number, clock: bigint): void {
  const { words } = core;
  words[(abi.CAPTURES + abi.CAPTURE_AT) >>> 2] = abi.INPUT;
  words[(abi.CAPTURES + abi.CAPTURE_END) >>> 2] = end;
  words[(abi.CAPTURES + abi.CAPTURE_SKIP_BLOCK) >>> 2] = 0;
  new DataView(words.buffer).setBigUint64(abi.CAPTURES + abi.CAPTURE_CLOCK, clock, true);
}

function clockOf(core: Core): bigint {
  return new DataView(core.words.buffer).getBigUint64(abi.CAPTURES + abi.CAPTURE_CLOCK, true);
}

function write(core: Core, files: LaneFiles): void {
  const { exports } = core;
  const { output, drops, names } = files;
  writeAll(output, names.output, core.bytes.subarray(abi.OUTPUT, abi.OUTPUT + exports.usedBytes()));
  writeAll(drops, names.drops, core.bytes.subarray(abi.DROPS, abi.DROPS + exports.usedDropsBytes()));
  exports.emptyOutput();
}

function writeAll(fd: number | null, name: string, bytes: Uint8Array): void {
  let at = 0;
  while (fd !== null && at < bytes.length) {
    at += named(name, () => writeSync(fd, bytes, at, bytes.length - at));
  }
}

/** Says which file it was that an operation failed on. */
function named(name: string, operation: () => number): number {
  try {
    return operation();
  } catch (error) {
    throw new ReplayError(`${name}: ${ioMessage(error)}`);
  }
}
