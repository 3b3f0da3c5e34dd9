/**
 * Capture files, written and (classic pcap only) read in the plainest way: whole files in memory. This serves
 * the scripts of this folder and nothing else; it is on purpose not the reader of the product, so that a
 * mistake there does not hide behind the same mistake here. Format: draft-ietf-opsawg-pcap and -pcapng.
 */

const LINKTYPE_ETHERNET = 1;
const SNAPLEN = 262_144;
const MAGIC = { micro: 0xa1b2c3d4, nano: 0xa1b23c4d };

export interface Captured {
  /** Nanoseconds since 1970. */
  readonly time: bigint;
  readonly frame: Uint8Array;
}

export interface TaggedCaptured extends Captured {
  /** Index into the list of interface names. */
  readonly interface: number;
  readonly comment?: string;
}

/** A buffer of `size` bytes filled by `fill` through a DataView. */
function filled(size: number, fill: (view: DataView) => void): Buffer {
  const buffer = Buffer.alloc(size);
  fill(new DataView(buffer.buffer, buffer.byteOffset, size));
  return buffer;
}

/** A classic pcap file; microseconds unless `nano`, little-endian unless `bigEndian`. */
export function pcap(records: readonly Captured[], { nano = false, bigEndian = false } = {}): Buffer {
  const le = !bigEndian;
  const head = filled(24, view => {
    view.setUint32(0, nano ? MAGIC.nano : MAGIC.micro, le);
    view.setUint16(4, 2, le);
    view.setUint16(6, 4, le);
    view.setUint32(16, SNAPLEN, le);
    view.setUint32(20, LINKTYPE_ETHERNET, le);
  });
  const bodies = records.map(({ time, frame }) => {
    const header = filled(16, view => {
      view.setUint32(0, Number(time / 1_000_000_000n), le);
      view.setUint32(4, Number((time % 1_000_000_000n) / (nano ? 1n : 1000n)), le);
      view.setUint32(8, frame.length, le);
      view.setUint32(12, frame.length, le);
    });
    return Buffer.concat([header, frame]);
  });
  return Buffer.concat([head, ...bodies]);
}

/** One pcapng option, padded to four bytes. */
function option(code: number, value: Uint8Array): Buffer {
  const head = filled(4, view => {
    view.setUint16(0, code, true);
    view.setUint16(2, value.length, true);
  });
  return Buffer.concat([head, value, Buffer.alloc(-value.length & 3)]);
}

function block(type: number, ...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  const length = filled(4, view => view.setUint32(0, body.length + 12, true));
  return Buffer.concat([filled(4, view => view.setUint32(0, type, true)), length, body, length]);
}

const END_OF_OPTIONS = Buffer.alloc(4);

/** A pcapng file of one section: little-endian, nanoseconds, no word about the machine that wrote it. */
export function pcapng(interfaces: readonly string[], records: readonly TaggedCaptured[]): Buffer {
  const section = filled(16, view => {
    view.setUint32(0, 0x1a2b3c4d, true);
    view.setUint16(4, 1, true);
    view.setBigInt64(8, -1n, true);
  });
  const descriptions = interfaces.map(name => {
    const fixed = filled(8, view => {
      view.setUint16(0, LINKTYPE_ETHERNET, true);
      view.setUint32(4, SNAPLEN, true);
    });
    // if_name is 2, if_tsresol is 9: ten to the minus nine.
    return block(1, fixed, option(2, Buffer.from(name)), option(9, Uint8Array.of(9)), END_OF_OPTIONS);
  });
  const packets = records.map(record => {
    const fixed = filled(20, view => {
      view.setUint32(0, record.interface, true);
      view.setUint32(4, Number(record.time >> 32n), true);
      view.setUint32(8, Number(record.time & 0xffff_ffffn), true);
      view.setUint32(12, record.frame.length, true);
      view.setUint32(16, record.frame.length, true);
    });
    const padding = Buffer.alloc(-record.frame.length & 3);
    const comment =
      record.comment === undefined ? [] : [option(1, Buffer.from(record.comment)), END_OF_OPTIONS];
    return block(6, fixed, record.frame, padding, ...comment);
  });
  return Buffer.concat([block(0x0a0d0d0a, section), ...descriptions, ...packets]);
}

/** Reads what tcpdump writes: classic pcap, either resolution and byte order, Ethernet, nothing cut off. */
export function readPcap(file: Uint8Array): Captured[] {
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  const magics: readonly number[] = [MAGIC.micro, MAGIC.nano];
  const le = magics.includes(view.getUint32(0, true));
  const magic = view.getUint32(0, le);
  if (!magics.includes(magic)) throw new Error("this is no classic pcap file");
  if (view.getUint32(20, le) !== LINKTYPE_ETHERNET) throw new Error("the link type is not Ethernet");
  const unit = magic === MAGIC.nano ? 1n : 1000n;
  const records: Captured[] = [];
  for (let at = 24; at < file.length; ) {
    const [captured, original] = [view.getUint32(at + 8, le), view.getUint32(at + 12, le)];
    if (captured !== original) throw new Error(`the frame at byte ${at} is snapped`);
    const time = BigInt(view.getUint32(at, le)) * 1_000_000_000n + BigInt(view.getUint32(at + 4, le)) * unit;
    records.push({ time, frame: file.subarray(at + 16, at + 16 + captured) });
    at += 16 + captured;
  }
  return records;
}
