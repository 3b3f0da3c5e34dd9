/**
 * The protocol of two threads that replay one capture, each with a core of its own (a *worker* here, the main thread
 * included). The file is divided into chunks. A worker takes the next chunk and reads it, whatever the other does; waits
 * until the start of the chunk's first packet is known; walks over the packets, which gives the start of the next chunk;
 * runs them; and waits for its turn to write. So the output is the same, byte for byte, as that of one core. At anything
 * but whole, valid packets both workers stop, and the ordinary replay continues from that byte.
 */
import { readSync, writeSync } from "node:fs";
import * as abi from "../../assembly/abi.ts";
import { ioMessage } from "../capture/index.ts";
import type { Core } from "../core/index.ts";
import { ReplayError } from "./errors.ts";

/**
 * Bytes of one chunk. A chunk and its output fit the cache of one core, and the output of small frames, which is at most
 * a third larger, fits the output area, so that it is written at once.
 */
const CHUNK_BYTES = 0x40000;
/** Room in the window before a chunk, for the packet that begins in the chunk before. */
const FRONT_BYTES = abi.WINDOW_BYTES - CHUNK_BYTES;
/** Address that a chunk is read to. */
const CHUNK = abi.INPUT + FRONT_BYTES;
/** Bytes of an error message of a worker. */
const MESSAGE_BYTES = 1024;
/**
 * Polls of a shared number before a worker sleeps, about 50 µs: waking up takes as long, and the other worker is seldom
 * further behind. With more polls, the other worker would not run where only one core is free.
 */
const POLLS = 20_000;

/** Indices of the shared 32-bit numbers: chunks taken, walked over and written; then the state of the workers. */
const TAKEN = 0;
const WALKED = 1;
const WRITTEN = 2;
const STOPPED = 3;
const FAILED = 4;
const LIFE = 5;
/** Values of LIFE: the state of the second worker. */
const WAITED_FOR = 0;
const RUNNING = 1;
const FINISHED = 2;
const NOT_WANTED = 3;
/** Indices of the shared 64-bit numbers, which follow the 32-bit ones. */
const START = 0;
const CLOCK = 1;
const DONE_BYTES = 2;
const DONE_FRAMES = 3;
const WORDS_BYTES = 32;
const LONGS_BYTES = 32;

/** File offset of a packet, and the timestamp of the packet before it. */
export interface Position {
  readonly offset: number;
  readonly clock: bigint;
}

/** The numbers that the workers share. */
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

  /** Start of the first chunk not yet walked over. For the worker of that chunk, or after both have ended. */
  get start(): Position {
    return { offset: Number(this.#longs[START]), clock: this.#longs[CLOCK]! };
  }
  set start({ offset, clock }: Position) {
    this.#longs[START] = BigInt(offset);
    this.#longs[CLOCK] = clock;
  }

  /** Bytes and frames of the chunks that are complete. */
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

  /** The number of the next chunk that no worker has taken. */
  take(): number {
    return Atomics.add(this.#words, TAKEN, 1);
  }

  /** Waits until every earlier chunk is walked over; null if the workers stopped before this one. */
  awaitStart(chunk: number): Position | null {
    return this.#await(WALKED, chunk, STOPPED) ? this.start : null;
  }

  /** Marks a chunk as walked over: the next one begins at `next`. */
  walked(chunk: number, next: Position): void {
    this.start = next;
    this.#set(WALKED, chunk + 1);
  }

  /** Waits until every earlier chunk is written; false if the other worker failed. */
  awaitTurn(chunk: number): boolean {
    return this.#await(WRITTEN, chunk, FAILED);
  }

  /** Marks a chunk as written. */
  wrote(chunk: number): void {
    this.#set(WRITTEN, chunk + 1);
  }

  get isStopped(): boolean {
    return Atomics.load(this.#words, STOPPED) !== 0;
  }

  /** No further chunk is walked over. */
  stop(): void {
    Atomics.store(this.#words, STOPPED, 1);
    Atomics.notify(this.#words, WALKED);
  }

  #set(index: number, value: number): void {
    Atomics.store(this.#words, index, value);
    Atomics.notify(this.#words, index);
  }

  /** Waits until a number has this value; false if `end` is set instead. */
  #await(index: number, value: number, end: number): boolean {
    for (let polls = 0; ; polls++) {
      const now = Atomics.load(this.#words, index);
      if (now === value) return true;
      if (Atomics.load(this.#words, end) !== 0) return false;
      // A short sleep: `end` may have been set since it was read.
      if (polls >= POLLS) Atomics.wait(this.#words, index, now, 100);
    }
  }

  /** Starts the second worker; false if the main thread has already finished without it. */
  begin(): boolean {
    return Atomics.compareExchange(this.#words, LIFE, WAITED_FOR, RUNNING) === WAITED_FOR;
  }

  /** The second worker has ended, and its counters are copied. */
  finish(): void {
    this.#set(LIFE, FINISHED);
  }

  /** Waits for the second worker, unless it has not begun: its thread may not have started at all. */
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

  /** The error of a worker; null if there is none. */
  get failure(): string | null {
    if (Atomics.load(this.#words, FAILED) === 0) return null;
    const bytes = this.#message.slice();
    return new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0)));
  }
}

/** File descriptors of the capture and the outputs; null if an output is not written. */
export interface WorkerFiles {
  readonly input: number;
  readonly output: number | null;
  readonly drops: number | null;
  /** Their names, for messages. */
  readonly names: { readonly input: string; readonly output: string; readonly drops: string };
}

/**
 * Runs one chunk of a capture whose first packet begins at `first`; false if the workers have stopped. The core's
 * capture 0, tables and outputs must be set up. Throws ReplayError if reading or writing fails.
 */
export function runChunk(core: Core, shared: Shared, files: WorkerFiles, first: number): boolean {
  if (shared.isStopped) return false;
  const isWriting = files.output !== null || files.drops !== null;
  const number = shared.take();
  const bytes = takeChunk(core, shared, files, { number, at: first + number * CHUNK_BYTES });
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
 * Reads the chunk at an offset, and the first part of the packet that reaches into it, and sets the window to the whole
 * packets. Returns their bytes; 0 if there are none, they are not valid, or the workers have stopped.
 */
function takeChunk(
  core: Core,
  shared: Shared,
  files: WorkerFiles,
  { number, at }: { number: number; at: number },
): number {
  const end = CHUNK + read(core, files, CHUNK, CHUNK_BYTES, at);
  const start = shared.awaitStart(number);
  if (start === null) return 0;
  const front = at - start.offset;
  if (front < 0) throw new Error(`internal error: the chunk at ${at} begins at ${start.offset}`);
  const isWhole = front <= FRONT_BYTES && read(core, files, CHUNK - front, front, start.offset) === front;
  if (!isWhole) {
    shared.stop();
    return 0;
  }
  setWindow(core, CHUNK - front, end, start.clock);
  const behind = core.exports.walk();
  const bytes = behind - (CHUNK - front);
  if (bytes === 0) {
    shared.stop();
    return 0;
  }
  shared.walked(number, { offset: start.offset + bytes, clock: clockOf(core) });
  setWindow(core, CHUNK - front, behind, start.clock);
  return bytes;
}

/** Reads bytes at an offset of the file to an address in the core; returns how many there were. */
function read(core: Core, { input, names }: WorkerFiles, to: number, bytes: number, offset: number): number {
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

/** Sets the window to the whole packets from `at` up to `end`, and the clock to the packet before. */
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

function write(core: Core, files: WorkerFiles): void {
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

/** Adds the file's name to the error of an operation. */
function named(name: string, operation: () => number): number {
  try {
    return operation();
  } catch (error) {
    throw new ReplayError(`${name}: ${ioMessage(error)}`);
  }
}

const NOTHING = new Uint8Array(0x1000);

/**
 * The pages that contain bytes other than zero. Of the counters of 65,536 ports only a few are used, and adding all of
 * them takes milliseconds.
 */
export function* usedPages(bytes: Uint8Array): Generator<readonly [from: number, to: number]> {
  for (let from = 0; from < bytes.length; from += NOTHING.length) {
    const to = Math.min(from + NOTHING.length, bytes.length);
    if (Buffer.compare(bytes.subarray(from, to), NOTHING.subarray(0, to - from)) !== 0) yield [from, to];
  }
}
