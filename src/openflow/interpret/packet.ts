/**
 * A frame while the switch rewrites it: bytes with room in front for labels and tags, and where its layers begin. It
 * is what Open vSwitch calls dp_packet; it knows nothing of flows. Offsets count from the first byte of the frame and
 * move with it; -1 where the layer is not there.
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

/** Copies of frames that nobody writes to any more, one behind the other in buffers that they share. */
export class Copies {
  #buffer = new Uint8Array(0);
  #at = 0;

  /** A copy of the first `length` bytes. */
  of(bytes: Uint8Array, length = bytes.length): Uint8Array {
    if (this.#at + length > this.#buffer.length) {
      if (length > SHARED_BYTES >>> 2) return bytes.slice(0, length);
      this.#buffer = new Uint8Array(SHARED_BYTES);
      this.#at = 0;
    }
    const copy = new Uint8Array(this.#buffer.buffer, this.#at, length);
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
  #buffer: Uint8Array;
  #start: number;
  #end = HEADROOM;

  constructor() {
    this.#buffer = new Uint8Array(HEADROOM + 2048);
    this.#start = HEADROOM;
    this.bytes = this.#buffer.subarray(HEADROOM, HEADROOM);
  }

  /** Becomes a packet with the bytes of `frame`, whose layers nobody has looked for yet. */
  load(frame: Uint8Array): this {
    const size = HEADROOM + frame.length;
    if (this.#buffer.length < size) this.#buffer = new Uint8Array(size);
    this.#buffer.set(frame, HEADROOM);
    this.#start = HEADROOM;
    this.#end = size;
    this.bytes = new Uint8Array(this.#buffer.buffer, HEADROOM, frame.length);
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

  /** Opens `count` bytes before offset `at`, by moving what is in front of them.. */
  insert(at: number, count: number): void {
    if (this.#start < count) {
      const larger = new Uint8Array(HEADROOM + count + this.bytes.length);
      larger.set(this.bytes, HEADROOM + count);
      this.#buffer = larger;
      this.#start = HEADROOM + count;
      this.#end = larger.length;
    }
    this.#buffer.copyWithin(this.#start - count, this.#start, this.#start + at);
    this.#start -= count;
    this.#see();
  }

  /** Takes out the `count` bytes at offset `at`. */
  remove(at: number, count: number): void {
    this.#buffer.copyWithin(this.#start + count, this.#start, this.#start + at);
    this.#start += count;
    this.#see();
  }

  #see(): void {
    this.bytes = new Uint8Array(this.#buffer.buffer, this.#start, this.#end - this.#start);
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
