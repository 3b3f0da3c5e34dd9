/**
 * A frame while the switch rewrites it: bytes with room in front for labels and tags, and where its layers
 * begin. It is what Open vSwitch calls dp_packet; it knows nothing of flows. Offsets count from the first
 * byte of the frame and move with it; -1 where the layer is not there.
 */

/** Where the layers of a frame begin. */
export interface Layers {
  /** The label stack; -1 without one. */
  labelsAt: number;
  /** Behind Ethernet, tags and labels; -1 under 14 bytes. */
  layer3At: number;
  /** Behind the IP header and IPv6 extension headers; -1 unless both could be read. */
  layer4At: number;
  /** Bytes behind the end of the IP packet. */
  paddingBytes: number;
}

const HEADROOM = 64;

/** Bytes that copies share: a buffer for each would cost more than the copying. */
const SHARED_BYTES = 1 << 16;

/** Views of more than that, which few frames need, are made anew. */
const MAX_START = 2 * HEADROOM;
const MAX_LENGTH = 1600;

/**
 * Views of one buffer: those of usual sizes are made once, because making one costs more than copying a
 * frame.
 */
class Views {
  readonly #buffer: ArrayBuffer;
  /** By start, then by length. */
  readonly #made: Uint8Array[][] = [];

  constructor(buffer: ArrayBuffer) {
    this.#buffer = buffer;
  }

  of(start: number, length: number): Uint8Array {
    if (start > MAX_START || length > MAX_LENGTH) return new Uint8Array(this.#buffer, start, length);
    this.#made[start] ??= [];
    const views = this.#made[start];
    views[length] ??= new Uint8Array(this.#buffer, start, length);
    return views[length];
  }
}

/** Copies of frames that nobody writes to any more, one behind the other in buffers that they share. */
export class Copies {
  #buffer = new Uint8Array(0);
  #views = new Views(this.#buffer.buffer);
  #at = 0;

  /** Gives up all copies: what is copied next is written over them. */
  forget(): void {
    this.#at = 0;
  }

  /** A copy of the first `length` bytes. */
  of(bytes: Uint8Array, length = bytes.length): Uint8Array {
    if (this.#at + length > this.#buffer.length) {
      if (length > SHARED_BYTES >>> 2) return bytes.slice(0, length);
      this.#buffer = new Uint8Array(SHARED_BYTES);
      this.#views = new Views(this.#buffer.buffer);
      this.#at = 0;
    }
    const copy = this.#views.of(this.#at, length);
    copy.set(length === bytes.length ? bytes : bytes.subarray(0, length));
    this.#at += length;
    return copy;
  }
}

export class Packet implements Layers {
  bytes: Uint8Array;
  labelsAt = -1;
  layer3At = -1;
  layer4At = -1;
  paddingBytes = 0;
  /** Bytes that the next output leaves off at the end. */
  cutBytes = 0;
  #buffer: Uint8Array<ArrayBuffer>;
  #views: Views;
  #start: number;
  #end = HEADROOM;

  constructor() {
    this.#buffer = new Uint8Array(HEADROOM + 2048);
    this.#views = new Views(this.#buffer.buffer);
    this.#start = HEADROOM;
    this.bytes = this.#buffer.subarray(HEADROOM, HEADROOM);
  }

  /** Becomes a packet with the bytes of `frame`, whose layers nobody has looked for yet. */
  load(frame: Uint8Array): this {
    const size = HEADROOM + frame.length;
    if (this.#buffer.length < size) this.#take(new Uint8Array(size));
    this.#buffer.set(frame, HEADROOM);
    this.#start = HEADROOM;
    this.#end = size;
    this.#see();
    this.labelsAt = -1;
    this.layer3At = -1;
    this.layer4At = -1;
    this.paddingBytes = 0;
    this.cutBytes = 0;
    return this;
  }

  /** A copy with the same layers. */
  clone(): Packet {
    const copy = new Packet().load(this.bytes);
    copy.labelsAt = this.labelsAt;
    copy.layer3At = this.layer3At;
    copy.layer4At = this.layer4At;
    copy.paddingBytes = this.paddingBytes;
    copy.cutBytes = this.cutBytes;
    return copy;
  }

  /** Bytes of layer 4 without the padding; 0 when there is no layer 4. */
  layer4Bytes(): number {
    return this.layer4At < 0 ? 0 : this.bytes.length - this.layer4At - this.paddingBytes;
  }

  #take(buffer: Uint8Array<ArrayBuffer>): void {
    this.#buffer = buffer;
    this.#views = new Views(buffer.buffer);
  }

  /** Opens `count` bytes before offset `at`, by moving what is in front of them: a few, one by one. */
  insert(at: number, count: number): void {
    if (this.#start < count) {
      const larger = new Uint8Array(HEADROOM + count + this.bytes.length);
      larger.set(this.bytes, HEADROOM + count);
      this.#take(larger);
      this.#start = HEADROOM + count;
      this.#end = larger.length;
    }
    const buffer = this.#buffer;
    const start = this.#start;
    for (let i = start; i < start + at; i++) buffer[i - count] = buffer[i]!;
    this.#start -= count;
    this.#see();
  }

  /** Takes out the `count` bytes at offset `at`. */
  remove(at: number, count: number): void {
    const buffer = this.#buffer;
    const start = this.#start;
    for (let i = start + at - 1; i >= start; i--) buffer[i + count] = buffer[i]!;
    this.#start += count;
    this.#see();
  }

  #see(): void {
    this.bytes = this.#views.of(this.#start, this.#end - this.#start);
  }

  /** Moves the offsets of all layers that are there, as the tags and labels in front of them come and go. */
  moveLayers(count: number): void {
    if (this.labelsAt >= 0) this.labelsAt += count;
    this.moveInnerLayers(count);
  }

  /** The same for the layers behind the labels. */
  moveInnerLayers(count: number): void {
    if (this.layer3At >= 0) this.layer3At += count;
    if (this.layer4At >= 0) this.layer4At += count;
  }
}
