/**
 * Capture files for tests, written and read in the plainest way: whole files in memory, one function a block.
 * It shares nothing with the reader of the product, so that a mistake there does not hide behind the same
 * mistake here. Times are written in the units of their interface and read as nanoseconds. Formats:
 * draft-ietf-opsawg-pcap and -pcapng.
 */

const ETHERNET = 1;
const SECTION_HEADER = 0x0a0d0d0a;
const [IF_NAME, IF_TSRESOL, IF_TSOFFSET] = [2, 9, 14];

/** A buffer of so many bytes, filled by way of a DataView. */
function filled(size: number, fill: (view: DataView) => void): Buffer {
  const buffer = Buffer.alloc(size);
  fill(new DataView(buffer.buffer, buffer.byteOffset, size));
  return buffer;
}

export interface PcapRecord {
  /** In units of the file: microseconds or nanoseconds. */
  readonly time: bigint;
  readonly frame: Uint8Array;
  /** Bytes on the wire, when more than were captured. */
  readonly length?: number;
}

/** A classic pcap file. */
export function pcap(records: readonly PcapRecord[], { isNano = false, isBig = false } = {}): Buffer {
  const head = filled(24, view => {
    view.setUint32(0, isNano ? 0xa1b23c4d : 0xa1b2c3d4, !isBig);
    view.setUint16(4, 2, !isBig);
    view.setUint16(6, 4, !isBig);
    view.setUint32(16, 65535, !isBig);
    view.setUint32(20, ETHERNET, !isBig);
  });
  const second = isNano ? 1_000_000_000n : 1_000_000n;
  const parts = records.flatMap(({ time, frame, length }) => [
    filled(16, view => {
      view.setUint32(0, Number(time / second), !isBig);
      view.setUint32(4, Number(time % second), !isBig);
      view.setUint32(8, frame.length, !isBig);
      view.setUint32(12, length ?? frame.length, !isBig);
    }),
    frame,
  ]);
  return Buffer.concat([head, ...parts]);
}

export interface InterfaceOptions {
  readonly name?: string;
  /** The byte of if_tsresol as it stands in the file: 9 is 10^-9, 0x80 + 10 is 2^-10. */
  readonly resolution?: number;
  readonly offsetSeconds?: bigint;
  readonly snapBytes?: number;
  readonly linkType?: number;
}

export interface PacketOptions {
  readonly link?: number;
  /** Bytes on the wire, when more than were captured. */
  readonly length?: number;
  /** Options, already encoded: what `option` gives, one behind the other. */
  readonly options?: readonly Uint8Array[];
}

/** A pcapng file, block by block, in the byte order of the section that was begun last. */
export class PcapNg {
  readonly #blocks: Buffer[] = [];
  #isBig = false;

  bytes(): Buffer {
    return Buffer.concat(this.#blocks);
  }

  get size(): number {
    return this.#blocks.reduce((sum, { length }) => sum + length, 0);
  }

  section(isBig = false, options: readonly Uint8Array[] = []): this {
    this.#isBig = isBig;
    const fixed = filled(16, view => {
      view.setUint32(0, 0x1a2b3c4d, !isBig);
      view.setUint16(4, 1, !isBig);
      view.setBigInt64(8, -1n, !isBig);
    });
    return this.block(SECTION_HEADER, fixed, ...options);
  }

  interface({ name, resolution, offsetSeconds, snapBytes = 0, linkType = ETHERNET }: InterfaceOptions): this {
    const fixed = filled(8, view => {
      view.setUint16(0, linkType, !this.#isBig);
      view.setUint32(4, snapBytes, !this.#isBig);
    });
    const options: Buffer[] = [];
    if (name !== undefined) options.push(this.option(IF_NAME, Buffer.from(name)));
    if (resolution !== undefined) options.push(this.option(IF_TSRESOL, Uint8Array.of(resolution)));
    if (offsetSeconds !== undefined) {
      const value = filled(8, view => view.setBigInt64(0, offsetSeconds, !this.#isBig));
      options.push(this.option(IF_TSOFFSET, value));
    }
    if (options.length > 0) options.push(this.option(0, new Uint8Array(0)));
    return this.block(1, fixed, ...options);
  }

  /** An Enhanced Packet Block; `time` in units of its interface. */
  packet(time: bigint, frame: Uint8Array, { link = 0, length, options = [] }: PacketOptions = {}): this {
    const fixed = filled(20, view => {
      view.setUint32(0, link, !this.#isBig);
      this.#setTimeAndSizes(view, time, frame, length);
    });
    return this.block(6, fixed, padded(frame), ...options);
  }

  /** The obsolete Packet Block: a 16-bit interface and a count of drops. */
  oldPacket(time: bigint, frame: Uint8Array, { link = 0, length, options = [] }: PacketOptions = {}): this {
    const fixed = filled(20, view => {
      view.setUint16(0, link, !this.#isBig);
      view.setUint16(2, 0xffff, !this.#isBig);
      this.#setTimeAndSizes(view, time, frame, length);
    });
    return this.block(2, fixed, padded(frame), ...options);
  }

  #setTimeAndSizes(view: DataView, time: bigint, frame: Uint8Array, length: number | undefined): void {
    view.setUint32(4, Number(time >> 32n), !this.#isBig);
    view.setUint32(8, Number(time & 0xffff_ffffn), !this.#isBig);
    view.setUint32(12, frame.length, !this.#isBig);
    view.setUint32(16, length ?? frame.length, !this.#isBig);
  }

  /** A Simple Packet Block: no time, no interface, no captured length. */
  simplePacket(frame: Uint8Array, length = frame.length): this {
    return this.block(
      3,
      filled(4, view => view.setUint32(0, length, !this.#isBig)),
      padded(frame),
    );
  }

  /** Any block, its body's length a multiple of 4. */
  block(type: number, ...parts: readonly Uint8Array[]): this {
    const body = Buffer.concat(parts);
    if (body.length % 4 !== 0) throw new Error(`a block's body of ${body.length} bytes`);
    const length = filled(4, view => view.setUint32(0, body.length + 12, !this.#isBig));
    const kind = filled(4, view => view.setUint32(0, type, !this.#isBig));
    this.#blocks.push(Buffer.concat([kind, length, body, length]));
    return this;
  }

  /** One option, padded to four bytes. */
  option(code: number, value: Uint8Array): Buffer {
    const head = filled(4, view => {
      view.setUint16(0, code, !this.#isBig);
      view.setUint16(2, value.length, !this.#isBig);
    });
    return Buffer.concat([head, padded(value)]);
  }
}

function padded(bytes: Uint8Array): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);
}

// ── Reading ────────────────────────────────────────────────────────────────────────────────────────────────

export interface ReadInterface {
  readonly name: string | null;
  readonly linkType: number;
  /** The byte of if_tsresol, 6 when there is none. */
  readonly resolution: number;
  readonly offsetSeconds: bigint;
}

export interface ReadPacket {
  /** Index of its section and of its interface in that section; 0 in pcap. */
  readonly section: number;
  readonly link: number;
  /** The interface's name, null in pcap. */
  readonly name: string | null;
  /** Nanoseconds since 1970. */
  readonly time: bigint;
  readonly frame: Buffer;
  readonly length: number;
  readonly comments: readonly string[];
}

export interface ReadCapture {
  readonly format: "pcap" | "pcapng";
  /** Interfaces by section; none in pcap. */
  readonly sections: readonly (readonly ReadInterface[])[];
  readonly packets: readonly ReadPacket[];
  /** 6 or 9 in pcap, -1 in pcapng. */
  readonly resolution: number;
}

/** Reads a capture of either format and asserts everything about it that can be asserted. */
export function readCapture(bytes: Uint8Array): ReadCapture {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  return file.readUInt32LE(0) === SECTION_HEADER ? readPcapNg(file) : readPcap(file);
}

function readPcap(file: Buffer): ReadCapture {
  const magic = file.readUInt32LE(0);
  if (magic !== 0xa1b2c3d4 && magic !== 0xa1b23c4d)
    throw new Error("no pcap file of this machine's byte order");
  if (file.readUInt32LE(20) !== ETHERNET) throw new Error("the link type is not Ethernet");
  const resolution = magic === 0xa1b23c4d ? 9 : 6;
  const packets: ReadPacket[] = [];
  let at = 24;
  while (at < file.length) {
    const [seconds, fraction] = [file.readUInt32LE(at), file.readUInt32LE(at + 4)];
    const [captured, length] = [file.readUInt32LE(at + 8), file.readUInt32LE(at + 12)];
    if (fraction >= 10 ** resolution) throw new Error(`a fraction of ${fraction}`);
    const time = BigInt(seconds) * 1_000_000_000n + BigInt(fraction) * (resolution === 9 ? 1n : 1000n);
    const frame = file.subarray(at + 16, at + 16 + captured);
    packets.push({ section: 0, link: 0, name: null, time, frame, length, comments: [] });
    at += 16 + captured;
  }
  if (at !== file.length) throw new Error("the last record is cut short");
  return { format: "pcap", sections: [], packets, resolution };
}

/** A file as our program writes it: little-endian, section headers, interfaces and enhanced packets only. */
function readPcapNg(file: Buffer): ReadCapture {
  const sections: ReadInterface[][] = [];
  const packets: ReadPacket[] = [];
  for (let at = 0; at < file.length; ) {
    const [type, length] = [file.readUInt32LE(at), file.readUInt32LE(at + 4)];
    const block = file.subarray(at, at + length);
    if (length % 4 !== 0 || block.length !== length) throw new Error(`block of ${length} bytes at ${at}`);
    if (block.readUInt32LE(length - 4) !== length)
      throw new Error(`the lengths of the block at ${at} differ`);
    if (type === SECTION_HEADER) {
      if (block.readUInt32LE(8) !== 0x1a2b3c4d) throw new Error("not little-endian");
      sections.push([]);
    } else if (type === 1) {
      sections.at(-1)!.push(readInterface(block));
    } else if (type === 6) {
      packets.push(readPacket(block, sections));
    } else {
      throw new Error(`a block of type ${type} at ${at}`);
    }
    at += length;
  }
  return { format: "pcapng", sections, packets, resolution: -1 };
}

function* optionsOf(block: Buffer, first: number): Generator<[number, Buffer]> {
  for (let at = first; at < block.length - 4; ) {
    const [code, length] = [block.readUInt16LE(at), block.readUInt16LE(at + 2)];
    if (at + 4 + length > block.length - 4) throw new Error(`option ${code} reaches past its block`);
    if (code === 0) return;
    yield [code, block.subarray(at + 4, at + 4 + length)];
    at += 4 + length + (-length & 3);
  }
}

function readInterface(block: Buffer): ReadInterface {
  const options = new Map(optionsOf(block, 16));
  return {
    name: options.get(IF_NAME)?.toString() ?? null,
    linkType: block.readUInt16LE(8),
    resolution: options.get(IF_TSRESOL)?.[0] ?? 6,
    offsetSeconds: options.get(IF_TSOFFSET)?.readBigInt64LE() ?? 0n,
  };
}

function readPacket(block: Buffer, sections: readonly (readonly ReadInterface[])[]): ReadPacket {
  const link = block.readUInt32LE(8);
  const described = sections.at(-1)![link];
  if (described === undefined) throw new Error(`a packet of interface ${link}, which nobody described`);
  const units = (BigInt(block.readUInt32LE(12)) << 32n) | BigInt(block.readUInt32LE(16));
  const captured = block.readUInt32LE(20);
  const { resolution } = described;
  const second = resolution >= 0x80 ? 2n ** BigInt(resolution - 0x80) : 10n ** BigInt(resolution);
  const comments = [...optionsOf(block, 28 + captured + (-captured & 3))]
    .filter(([code]) => code === 1)
    .map(([, text]) => text.toString());
  return {
    section: sections.length - 1,
    link,
    name: described.name,
    time: (units * 1_000_000_000n) / second + described.offsetSeconds * 1_000_000_000n,
    frame: block.subarray(28, 28 + captured),
    length: block.readUInt32LE(24),
    comments,
  };
}
