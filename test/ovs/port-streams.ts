/**
 * What comes out of the private switch: a fifo per port, into which the switch writes a capture of what the port sends
 * (`options:tx_pcap`), and the packet-ins of its management socket. Each is a stream of frames in which markers stand;
 * what lies between two markers belongs to one frame that was sent in. A fifo, because a dummy port's stream socket
 * silently drops what goes beyond 100 waiting frames, while a full fifo makes the switch wait.
 */
import { constants, openSync } from "node:fs";
import { Socket } from "node:net";

const FILE_HEADER_BYTES = 24;
const RECORD_HEADER_BYTES = 16;
/** The magic number of a pcap file, as read by a host of the writer's byte order. */
const PCAP_MAGIC = 0xa1b2c3d4;

/** What can be asked of a stream whatever its items are. */
export interface Marked {
  readonly name: string;
  /** The number of the marker that came last, 0 before the first. */
  readonly lastMarker: number;
}

/** A stream of items, cut by numbered markers. */
export class MarkedStream<Item> implements Marked {
  readonly name: string;
  readonly #sequenceOf: (item: Item) => number | undefined;
  readonly #onMarker: () => void;
  #items: Item[] = [];
  #lastMarker = 0;
  /** Everything that came, markers too. */
  count = 0;

  /** `sequenceOf` tells a marker's number, undefined for all else; `onMarker` is called after each marker. */
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
   * Takes all that came, as `frames` lists: one for each marker from `first` on.
   * @throws Error if the markers are not exactly those, or something came after the last
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

/** Cuts the records of a pcap stream into frames. */
export class PcapSplitter {
  #pending: Buffer = Buffer.alloc(0);
  #littleEndian: boolean | undefined;

  /** Takes what arrived; gives back the frames that are whole by now. */
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

/** Reads the fifo at `path` and gives every frame to `stream`. Keeps no process alive; `destroy()` closes it. */
export function readTap(path: string, stream: MarkedStream<Buffer>): Socket {
  // Open for writing too: the switch may then come and go without an end of file in between.
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  const socket = new Socket({ fd, readable: true, writable: false });
  const splitter = new PcapSplitter();
  socket.on("data", chunk => {
    for (const frame of splitter.push(chunk)) stream.push(frame);
  });
  // A tap that breaks shows as a marker that never comes.
  socket.on("error", () => undefined);
  socket.unref();
  return socket;
}
