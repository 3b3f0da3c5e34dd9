/**
 * Output streams of the private switch: a fifo per port, into which the switch writes a capture of the frames
 * that the port sends (`options:tx_pcap`), and the packet-ins of its management socket. Each is a stream of
 * frames with markers: items between two markers belong to one frame that was sent in. A fifo, because a
 * dummy port's stream socket silently drops frames beyond 100 waiting ones, while a full fifo makes the
 * switch wait.
 */
import { constants, openSync } from "node:fs";
import { Socket } from "node:net";

const FILE_HEADER_BYTES = 24;
const RECORD_HEADER_BYTES = 16;
/** The magic number of a pcap file, as read by a host of the writer's byte order. */
const PCAP_MAGIC = 0xa1b2c3d4;

/** A marked stream of items of any type. */
export interface Marked {
  readonly name: string;
  /** The number of the last marker; 0 before the first. */
  readonly lastMarker: number;
}

/** A stream of items, cut by numbered markers. */
export class MarkedStream<Item> implements Marked {
  readonly name: string;
  readonly #sequenceOf: (item: Item) => number | undefined;
  readonly #onMarker: () => void;
  #items: Item[] = [];
  #lastMarker = 0;
  /** Number of items received, markers included. */
  count = 0;

  /**
   * `sequenceOf` returns the number of a marker, undefined for other items; `onMarker` is called after each
   * marker.
   */
  constructor(name: string, sequenceOf: (item: Item) => number | undefined, onMarker: () => void) {
    this.name = name;
    this.#sequenceOf = sequenceOf;
    this.#onMarker = onMarker;
  }

  get lastMarker(): number {
    return this.#lastMarker;
  }

  push(item: Item): void {
    this.count++;
    this.#items.push(item);
    const sequence = this.#sequenceOf(item);
    if (sequence === undefined) return;
    this.#lastMarker = sequence;
    this.#onMarker();
  }

  /**
   * Removes all items and returns them as `frames` lists: one for each marker from `first` on.
   * @throws Error if the markers are not exactly those, or an item follows the last one
   */
  take(first: number, frames: number): Item[][] {
    const answers: Item[][] = [[]];
    for (const item of this.#items.splice(0)) {
      const sequence = this.#sequenceOf(item);
      if (sequence === undefined) {
        answers.at(-1)!.push(item);
        continue;
      }
      const wanted = first + answers.length - 1;
      if (sequence !== wanted) throw new Error(`${this.name}: marker ${sequence} instead of ${wanted}`);
      answers.push([]);
    }
    const behind = answers.pop()!;
    if (answers.length !== frames || behind.length !== 0)
      throw new Error(
        `${this.name}: ${answers.length} of ${frames} markers, ${behind.length} frames after them`,
      );
    return answers;
  }
}

/** Waits until all of some streams have received a marker. One wait at a time. */
export class MarkerWait {
  readonly #streams: readonly Marked[];
  #onMarker: () => void = () => undefined;
  #onEnd: (error: Error) => void = () => undefined;

  constructor(streams: readonly Marked[]) {
    this.#streams = streams;
  }

  /** To be called after each marker of any of the streams. */
  check(): void {
    this.#onMarker();
  }

  /** Ends the wait with an error. */
  fail(error: Error): void {
    this.#onEnd(error);
  }

  /** Resolves when all streams have received the marker `sequence`; rejects after `withinMs`. */
  until(sequence: number, withinMs: number): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      const behind = (): Marked[] => this.#streams.filter(({ lastMarker }) => lastMarker !== sequence);
      const timer = setTimeout(() => {
        const names = behind().map(stream => stream.name);
        const seconds = withinMs / 1000;
        reject(new Error(`marker ${sequence} was not received within ${seconds} s: ${names.join(", ")}`));
      }, withinMs);
      this.#onEnd = error => {
        clearTimeout(timer);
        reject(error);
      };
      this.#onMarker = () => {
        if (behind().length > 0) return;
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/** Cuts the records of a pcap stream into frames. */
export class PcapSplitter {
  #pending: Buffer = Buffer.alloc(0);
  #littleEndian: boolean | undefined;

  /** Appends `chunk`; returns the frames that are complete now. */
  push(chunk: Buffer): Buffer[] {
    let rest = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    const frames: Buffer[] = [];
    if (this.#littleEndian === undefined && rest.length >= FILE_HEADER_BYTES) {
      this.#littleEndian = rest.readUInt32LE(0) === PCAP_MAGIC;
      rest = rest.subarray(FILE_HEADER_BYTES);
    }
    while (this.#littleEndian !== undefined && rest.length >= RECORD_HEADER_BYTES) {
      const length = this.#littleEndian ? rest.readUInt32LE(8) : rest.readUInt32BE(8);
      const end = RECORD_HEADER_BYTES + length;
      if (rest.length < end) break;
      frames.push(rest.subarray(RECORD_HEADER_BYTES, end));
      rest = rest.subarray(end);
    }
    this.#pending = rest;
    return frames;
  }
}

/** Reads the fifo at `path` into `stream`. Does not keep this process running; `destroy()` closes it. */
export function readTap(path: string, stream: MarkedStream<Buffer>): Socket {
  // Open for writing too: then there is no end of file while the switch has it closed.
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  const socket = new Socket({ fd, readable: true, writable: false });
  const splitter = new PcapSplitter();
  socket.on("data", chunk => {
    for (const frame of splitter.push(chunk)) stream.push(frame);
  });
  // A broken fifo shows as a marker that is never received.
  socket.on("error", () => undefined);
  socket.unref();
  return socket;
}
