/**
 * Several threads on one capture, each with a core of its own (a *lane*), in step through a few shared numbers. A lane
 * takes the next piece of the file and reads it, whatever the others do; waits until it is known where the first packet
 * of the piece begins; walks over the packets, so that the next piece's lane knows the same; runs them; and waits for
 * its turn to write, if anything is written: the output is the same, byte for byte, as that of one core. Where anything but whole, good packets
 * comes, all lanes stop and the ordinary replay goes on from that byte.
 */
import { readSync, writeSync } from "node:fs";
import * as abi from "../../assembly/abi.ts";
import { ioMessage } from "../capture/index.ts";
import type { Core } from "../core/index.ts";
import { ReplayError } from "./errors.ts";

/**
 * Bytes of one piece: with its output, what stays in a core's own cache; few enough that the output of small frames, a
 * third larger at the most, is written at once.
 */
const PIECE_BYTES = 0x40000;
/** Room in the window in front of a piece, for the packet that begins in the piece before. */
const FRONT_BYTES = abi.WINDOW_BYTES - PIECE_BYTES;
/** Where a piece is read to. */
const PIECE = abi.INPUT + FRONT_BYTES;
/** Bytes of a message about a lane that failed. */
const MESSAGE_BYTES = 1024;
/**
 * Looks at a shared number before a lane sleeps, some 50 µs: being woken takes as long, and the other lane is seldom
 * further behind. More of them would keep the other lane from running where there are not two cores to be had.
 */
const LOOKS = 20_000;

/** Indices of the shared 32-bit numbers: pieces taken, walked over and written; then what became of the lanes. */
const TAKEN = 0;
const WALKED = 1;
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
const DONE_BYTES = 2;
const DONE_FRAMES = 3;
const WORDS_BYTES = 32;
const LONGS_BYTES = 32;

/** Where a packet begins in the file, and the timestamp of the one before it. */
export interface Place {
  readonly offset: number;
  readonly clock: bigint;
}

/** The numbers that lanes share, and what each wants to know of the others. */
export class Shared {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #longs: BigUint64Array;
  readonly #message: Uint8Array;

  constructor(buffer = new SharedArrayBuffer(WORDS_BYTES + LONGS_BYTES + MESSAGE_BYTES)) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer, 0, WORDS_BYTES / 4);
    this.#longs = new BigUint64Array(buffer, WORDS_BYTES, LONGS_BYTES / 8);
    this.#message = new Uint8Array(buffer, WORDS_BYTES + LONGS_BYTES, MESSAGE_BYTES);
  }

  /** Where the first piece that nobody has walked over begins. Only for its lane, or when all lanes have ended. */
  get start(): Place {
    return { offset: Number(this.#longs[START]), clock: this.#longs[CLOCK]! };
  }
  set start({ offset, clock }: Place) {
    this.#longs[START] = BigInt(offset);
    this.#longs[CLOCK] = clock;
  }

  /** Bytes and frames of the pieces that all lanes have done. */
  get doneBytes(): number {
    return Number(Atomics.load(this.#longs, DONE_BYTES));
  }
  get doneFrames(): number {
    return Number(Atomics.load(this.#longs, DONE_FRAMES));
  }
  did(bytes: number, frames: number): void {
    Atomics.add(this.#longs, DONE_BYTES, BigInt(bytes));
    Atomics.add(this.#longs, DONE_FRAMES, BigInt(frames));
  }

  /** The number of a piece that nobody has taken yet. */
  take(): number {
    return Atomics.add(this.#words, TAKEN, 1);
  }

  /** Waits until every piece before this one is walked over. Null when the lanes stopped before it. */
  awaitStart(piece: number): Place | null {
    return this.#await(WALKED, piece, STOPPED) ? this.start : null;
  }

  /** This piece is walked over: the next one begins there. */
  walked(piece: number, next: Place): void {
    this.start = next;
    this.#set(WALKED, piece + 1);
  }

  /** Waits until every piece before this one is written. False when another lane failed. */
  awaitTurn(piece: number): boolean {
    return this.#await(WRITTEN, piece, FAILED);
  }

  /** This piece is written. */
  wrote(piece: number): void {
    this.#set(WRITTEN, piece + 1);
  }

  get isStopped(): boolean {
    return Atomics.load(this.#words, STOPPED) !== 0;
  }

  /** No piece from here on is walked over. */
  stop(): void {
    Atomics.store(this.#words, STOPPED, 1);
    Atomics.notify(this.#words, WALKED);
  }

  #set(index: number, value: number): void {
    Atomics.store(this.#words, index, value);
    Atomics.notify(this.#words, index);
  }

  /** Waits until a number has this value. False when `end` is set instead. */
  #await(index: number, value: number, end: number): boolean {
    for (let looks = 0; ; looks++) {
      const now = Atomics.load(this.#words, index);
      if (now === value) return true;
      if (Atomics.load(this.#words, end) !== 0) return false;
      // A short sleep: `end` may have been set since it was looked at.
      if (looks >= LOOKS) Atomics.wait(this.#words, index, now, 100);
    }
  }

  /** The other lane begins. False when the main one is through without it. */
  begin(): boolean {
    return Atomics.compareExchange(this.#words, LIFE, WAITED_FOR, RUNNING) === WAITED_FOR;
  }

  /** The other lane has ended, its counters copied. */
  finish(): void {
    this.#set(LIFE, FINISHED);
  }

  /** Waits for the other lane, unless it never began: its thread may not have started at all. */
  awaitFinish(): void {
    if (Atomics.compareExchange(this.#words, LIFE, WAITED_FOR, NOT_WANTED) === WAITED_FOR) return;
    while (Atomics.load(this.#words, LIFE) === RUNNING) Atomics.wait(this.#words, LIFE, RUNNING, 1000);
  }

  fail(message: string): void {
    new TextEncoder().encodeInto(message, this.#message.subarray(0, MESSAGE_BYTES - 1));
    Atomics.store(this.#words, FAILED, 1);
    Atomics.notify(this.#words, WRITTEN);
    this.stop();
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
 * Does one piece of a capture whose first packet begins at `first`. False when the lanes have stopped. The core's capture
 * 0 is set up, tables and outputs too. Throws ReplayError when the operating system refuses.
 */
export function runPiece(core: Core, shared: Shared, files: LaneFiles, first: number): boolean {
  if (shared.isStopped) return false;
  const isWriting = files.output !== null || files.drops !== null;
  const number = shared.take();
  const bytes = takePiece(core, shared, files, { number, at: first + number * PIECE_BYTES });
  if (bytes === 0) return false;
  let frames = 0;
  for (;;) {
    const event = core.exports.runCaptures(1, 0xffffffff);
    frames += core.exports.framesRead();
    if (event !== abi.Event.Full) break;
    if (isWriting && !shared.awaitTurn(number)) return false;
    write(core, files);
  }
  if (isWriting && !shared.awaitTurn(number)) return false;
  write(core, files);
  if (isWriting) shared.wrote(number);
  shared.did(bytes, frames);
  return true;
}

/**
 * Reads the piece that stands `at` an offset, and the front part of the packet that reaches into it, and puts the whole
 * packets into the window. Gives their bytes; 0 when there is none or they are not plain, or the lanes have stopped.
 */
function takePiece(
  core: Core,
  shared: Shared,
  files: LaneFiles,
  { number, at }: { number: number; at: number },
): number {
  const end = PIECE + read(core, files, PIECE, PIECE_BYTES, at);
  const start = shared.awaitStart(number);
  if (start === null) return 0;
  const front = at - start.offset;
  if (front < 0) throw new Error(`a piece at ${at} begins at ${start.offset}`);
  const isWhole = front <= FRONT_BYTES && read(core, files, PIECE - front, front, start.offset) === front;
  if (!isWhole) {
    shared.stop();
    return 0;
  }
  setWindow(core, PIECE - front, end, start.clock);
  const behind = core.exports.walk();
  const bytes = behind - (PIECE - front);
  if (bytes === 0) {
    shared.stop();
    return 0;
  }
  shared.walked(number, { offset: start.offset + bytes, clock: clockOf(core) });
  setWindow(core, PIECE - front, behind, start.clock);
  return bytes;
}

/** Reads so many bytes at an offset of the file to an address of the core; gives how many there were. */
function read(core: Core, { input, names }: LaneFiles, to: number, bytes: number, offset: number): number {
  let filled = 0;
  while (filled < bytes) {
    const more = named(names.input, () =>
      readSync(input, core.bytes, to + filled, bytes - filled, offset + filled),
    );
    if (more === 0) break;
    filled += more;
  }
  return filled;
}

/** The window holds whole packets from `at` up to `end`, and the clock stands at the packet before. */
function setWindow(core: Core, at: number, end: number, clock: bigint): void {
  const { words } = core;
  words[(abi.CAPTURES + abi.CAPTURE_AT) >>> 2] = at;
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

const NOTHING = new Uint8Array(0x1000);

/**
 * Where bytes other than zero stand, in pieces of a page. Of the counters of 65,536 ports a few are used, and looking
 * at each takes milliseconds.
 */
export function* usedPieces(bytes: Uint8Array): Generator<readonly [from: number, to: number]> {
  for (let from = 0; from < bytes.length; from += NOTHING.length) {
    const to = Math.min(from + NOTHING.length, bytes.length);
    if (Buffer.compare(bytes.subarray(from, to), NOTHING.subarray(0, to - from)) !== 0) yield [from, to];
  }
}
