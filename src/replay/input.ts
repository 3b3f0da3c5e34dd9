/**
 * One capture being read: its source, its window in the core's memory, and its interfaces. The core walks over the
 * packets; here the window is refilled, headers are read, ports and clocks are set, and faults become words.
 */
import * as abi from "../../assembly/abi.ts";
import {
  ETHERNET,
  FormatError,
  type InterfaceDescription,
  linkTypeName,
  openSource,
  PCAP_HEADER_BYTES,
  readHeaderBlock,
  readOpening,
  type Source,
  SourceError,
} from "../capture/index.ts";
import type { Core } from "../core/index.ts";
import { ReplayError } from "./errors.ts";
import type { InterfacePool } from "./interface-pool.ts";
import type { PortNames } from "./ports.ts";

/** An interface's share of the clock: how fine it counts, and how many seconds to add. */
interface Clock {
  readonly exponent: number;
  readonly isBinary: boolean;
  readonly offsetSeconds: bigint;
}

/** What is wrong with a capture behind its header. */
export interface Damage {
  readonly message: string;
  /** True when the file merely ends too early. */
  readonly isTruncation: boolean;
}

/** Bytes read at a time: the window may hold more, but what is in flight should stay in the processor's cache. */
const READ_BYTES = 0x40000;

/** Interface records that a capture begins with. */
const FIRST_INTERFACES = 16;

/** The earliest time 0 of the core's clock, in seconds of 1970: 272 years before, so that 312 years after are left. */
const EARLIEST_BASE = -(2n ** 33n);
const MAX_TIME = 2n ** 64n - 1n;

/** How the core counts time: in 10^-resolution seconds since `base`, which is in seconds of 1970 and never later. */
export interface Timescale {
  readonly resolution: number;
  readonly base: bigint;
}

/** Decimal digits that are kept of a timestamp's fraction: nanoseconds. */
export const FINEST_RESOLUTION = 9;

const { CaptureFault } = abi;

const LENGTHS = {
  usual: abi.RecordLengths.Usual,
  swapped: abi.RecordLengths.Swapped,
  either: abi.RecordLengths.Either,
} as const;

/** Counters of odd packets, and where the first one of each is. */
const ODDITIES: readonly (readonly [number, number])[] = [
  [abi.CAPTURE_EMPTY_FRAMES, abi.CAPTURE_EMPTY_AT],
  [abi.CAPTURE_LONG_RECORDS, abi.CAPTURE_LONG_AT],
  [abi.CAPTURE_ODD_TIMES, abi.CAPTURE_ODD_TIME_AT],
];

/** What an interface that is not read counts in. */
const NO_RESOLUTION = { exponent: 0, isBinary: false } as const;

const LEAVE_OUT = "; --skip-other-interfaces leaves such interfaces out";

const FAULTS: Record<number, (value: number) => string> = {
  [CaptureFault.RecordTooLarge]: value =>
    `the record says that ${value} bytes were captured; at most ${abi.MAX_RECORD_BYTES} are possible`,
  [CaptureFault.BlockLength]: value =>
    `the block says that it has ${value} bytes; its length must be a multiple of 4 and hold the block's header`,
  [CaptureFault.BlockTrailer]: value => `the block's second length, ${value}, differs from its first`,
  [CaptureFault.PacketOverrun]: value => `the packet's ${value} bytes reach past the end of its block`,
  [CaptureFault.OptionOverrun]: value => `option ${value} reaches past the end of its block`,
  [CaptureFault.UnknownInterface]: value =>
    `the packet is of interface ${value}, which is not described before it`,
  [CaptureFault.BlockTooLarge]: value =>
    `the block says that it has ${value} bytes; at most ${abi.WINDOW_BYTES} can be read`,
  [CaptureFault.ByteOrder]: value =>
    `the section's byte-order magic is 0x${value.toString(16)}; expected 0x1a2b3c4d, either way round`,
};

export class Input {
  /** Undefined until `open`. */
  source: Source | undefined;
  /** As given by the user. */
  readonly name: string;
  readonly #core: Core;
  readonly #ports: PortNames;
  /** The port that all frames enter; null: by the name of their interface. */
  readonly #port: number | null;
  /** The port of frames whose interface has no port's name. */
  readonly #fallback: number | null;
  readonly #dropsInterface: (port: number) => number;
  readonly #state: number;
  readonly #window: number;
  #interfaces: number;
  #mostInterfaces = FIRST_INTERFACES;
  readonly #pool: InterfacePool;
  readonly #leavesOut: boolean;
  #clocks: Clock[] = [];
  /** Why interfaces cannot be used, by number. */
  #reasons = new Map<number, string>();
  /** The finest of them, in digits. */
  #digits = 0;
  /** File offset of the window's first byte. */
  #offset = 0;
  /** File offsets of the first packets of each kind of oddity, by the field that counts them. */
  readonly #oddOffsets = new Map<number, number>();
  #damage: Damage | null = null;
  #isStopped = false;

  constructor(options: {
    core: Core;
    index: number;
    pool: InterfacePool;
    /** Whether packets of interfaces that cannot be used are left out. */
    leavesOut: boolean;
    capture: string;
    port: number | null;
    fallback: number | null;
    ports: PortNames;
    dropsInterface: (port: number) => number;
  }) {
    this.#core = options.core;
    this.#ports = options.ports;
    this.#port = options.port;
    this.#fallback = options.fallback;
    this.#dropsInterface = options.dropsInterface;
    this.#state = abi.CAPTURES + options.index * abi.CAPTURE_BYTES;
    this.#window = abi.INPUT + options.index * abi.WINDOW_BYTES;
    this.#pool = options.pool;
    this.#leavesOut = options.leavesOut;
    this.#interfaces = options.pool.take(FIRST_INTERFACES)!;
    this.name = options.capture;
  }

  /** Opens the capture and reads its header. Throws ReplayError when it is none, or not of Ethernet. */
  async open(): Promise<void> {
    try {
      this.source = await openSource(this.name);
    } catch (error) {
      throw error instanceof SourceError ? this.error(error.message) : error;
    }
    this.#core.bytes.fill(0, this.#state, this.#state + abi.CAPTURE_BYTES);
    this.#set(abi.CAPTURE_INTERFACES, this.#interfaces);
    this.#set(abi.CAPTURE_AT, this.#window);
    this.#set(abi.CAPTURE_END, this.#window);
    while (this.#available() < PCAP_HEADER_BYTES && this.#get(abi.CAPTURE_EOF) === 0) await this.refill();
    if (this.#damage !== null && this.#available() < PCAP_HEADER_BYTES)
      throw this.error(this.#damage.message);
    const start = this.#get(abi.CAPTURE_AT);
    const opening = this.#checked(() =>
      readOpening(this.#core.bytes.subarray(start, this.#get(abi.CAPTURE_END))),
    );
    this.#set(abi.CAPTURE_FORMAT, abi.CaptureFormat.PcapNg);
    if (opening.format === "pcapng") return;
    this.#set(abi.CAPTURE_FORMAT, abi.CaptureFormat.Pcap);
    this.#set(abi.CAPTURE_SWAPPED, opening.isSwapped ? 1 : 0);
    this.#set(abi.CAPTURE_LENGTHS, LENGTHS[opening.lengths]);
    this.#set(abi.CAPTURE_AT, start + PCAP_HEADER_BYTES);
    if (this.#port === null && this.#fallback === null) {
      throw this.error(
        `which port do its frames enter? write PORT=${this.name}, PORT one of ${this.#ports.list()}`,
      );
    }
    const { linkType, resolution } = opening;
    this.#describe({
      linkType,
      snapBytes: 0,
      name: null,
      resolution: { exponent: resolution, isBinary: false },
      offsetSeconds: 0n,
    });
    const reason = this.#reasons.get(0);
    if (reason !== undefined && !this.#leavesOut) throw this.error(reason);
  }

  /** Reads no further: a file ends here, a pipe soon. Nothing that is missing behind is damage then. */
  stop(): void {
    this.#isStopped = true;
    this.source?.stop();
  }

  /** File offset of the next packet's record, for a plain file. */
  get offset(): number {
    return this.#position();
  }

  /** Interfaces that are described so far. */
  get interfaceCount(): number {
    return this.#clocks.length;
  }

  /** Address of the first one's record. */
  get interfaceRecords(): number {
    return this.#interfaces;
  }

  /** Goes on at a file offset, as if everything before it had been read; `clock` is the last packet's timestamp. */
  jump(offset: number, clock: bigint): void {
    this.source!.seek(offset);
    this.#offset = offset;
    for (const field of [abi.CAPTURE_EOF, abi.CAPTURE_DONE, abi.CAPTURE_HEAD, abi.CAPTURE_SKIP_BLOCK])
      this.#set(field, 0);
    this.#set(abi.CAPTURE_AT, this.#window);
    this.#set(abi.CAPTURE_END, this.#window);
    new DataView(this.#core.bytes.buffer).setBigUint64(this.#state + abi.CAPTURE_CLOCK, clock, true);
  }

  /** Moves what is left to the window's start and reads behind it. */
  async refill(): Promise<void> {
    const { bytes } = this.#core;
    const at = this.#get(abi.CAPTURE_AT);
    const end = this.#get(abi.CAPTURE_END);
    this.#noteOddOffsets();
    bytes.copyWithin(this.#window, at, end);
    this.#offset += at - this.#window;
    const left = this.#window + (end - at);
    this.#set(abi.CAPTURE_AT, this.#window);
    this.#set(abi.CAPTURE_END, left);
    try {
      const target = bytes.subarray(left, Math.min(left + READ_BYTES, this.#window + abi.WINDOW_BYTES));
      const filled = this.source!.fill(target);
      const read = typeof filled === "number" ? filled : await filled;
      this.#set(abi.CAPTURE_END, left + read);
      if (read === 0) this.#set(abi.CAPTURE_EOF, 1);
    } catch (error) {
      if (!(error instanceof SourceError)) throw error;
      const isMissing = this.#isStopped && error.isTruncation;
      if (!isMissing)
        this.#damage = {
          message: `byte ${this.#offset + left - this.#window}: ${error.message}`,
          isTruncation: error.isTruncation,
        };
      this.#set(abi.CAPTURE_EOF, 1);
    }
  }

  /** Reads the section header or interface description at which the core stands. Throws ReplayError. */
  #readBlock(): void {
    const at = this.#get(abi.CAPTURE_AT);
    const isSwapped = this.#get(abi.CAPTURE_SWAPPED) === 1;
    const view = new DataView(this.#core.bytes.buffer);
    const bytes = view.getUint32(at + 4, !isSwapped);
    const block = this.#checked(() => readHeaderBlock(this.#core.bytes.slice(at, at + bytes), isSwapped));
    if (block.type === "section") {
      this.#set(abi.CAPTURE_INTERFACE_COUNT, 0);
      this.#clocks = [];
      this.#reasons = new Map();
      this.#digits = 0;
    } else {
      this.#describe(block);
    }
    this.#set(abi.CAPTURE_AT, at + bytes);
  }

  #describe(description: InterfaceDescription): void {
    const number = this.#get(abi.CAPTURE_INTERFACE_COUNT);
    if (number === this.#mostInterfaces) this.#grow(number);
    const reason = this.#reasonAgainst(number, description);
    const port = reason === null ? this.#portOf(description.name)! : 0;
    const { exponent, isBinary } = reason === null ? description.resolution : NO_RESOLUTION;
    const isLeftOut = reason !== null && this.#leavesOut;
    const use = isLeftOut ? abi.InterfaceUse.LeaveOut : abi.InterfaceUse.Refuse;
    const record = (this.#interfaces + number * abi.INTERFACE_BYTES) >>> 2;
    const { words } = this.#core;
    words.fill(0, record, record + (abi.INTERFACE_BYTES >>> 2));
    words[record + (abi.INTERFACE_IN_PORT >>> 2)] = port;
    words[record + (abi.INTERFACE_DROPS >>> 2)] = this.#dropsInterface(port);
    words[record + (abi.INTERFACE_SNAPLEN >>> 2)] = description.snapBytes;
    words[record + (abi.INTERFACE_USE >>> 2)] = reason === null ? abi.InterfaceUse.Read : use;
    // Some clock until setClock says which.
    words[record + (abi.INTERFACE_MULTIPLIER >>> 2)] = 1;
    words[record + (abi.INTERFACE_DIVISOR >>> 2)] = 1;
    words.fill(
      0xffffffff,
      record + (abi.INTERFACE_LAST_TIME >>> 2),
      record + (abi.INTERFACE_LAST_TIME >>> 2) + 2,
    );
    if (reason !== null) this.#reasons.set(number, reason);
    const offsetSeconds = reason === null ? description.offsetSeconds : 0n;
    this.#clocks.push({ exponent, isBinary, offsetSeconds });
    this.#digits = Math.max(this.#digits, exponent);
    this.#set(abi.CAPTURE_INTERFACE_COUNT, number + 1);
  }

  /** Moves the records to a stretch that is twice as long. The packet brought forward is the only one that knows its. */
  #grow(number: number): void {
    const at = this.#pool.take(2 * number);
    if (at === null)
      throw this.error(
        `more than ${number} interfaces; there is room for ${abi.MAX_INTERFACES} in all captures together`,
      );
    const before = this.#interfaces;
    this.#core.bytes.copyWithin(at, before, before + number * abi.INTERFACE_BYTES);
    this.#interfaces = at;
    this.#mostInterfaces = 2 * number;
    this.#set(abi.CAPTURE_INTERFACES, at);
    const head = abi.CAPTURE_HEAD_ENTRY + abi.ENTRY_INTERFACE;
    if (this.#get(abi.CAPTURE_HEAD) === 1) this.#set(head, this.#get(head) + at - before);
  }

  /** Why packets of an interface cannot be read, null when they can. */
  #reasonAgainst(number: number, { linkType, resolution, name }: InterfaceDescription): string | null {
    const isPcap = this.#get(abi.CAPTURE_FORMAT) === abi.CaptureFormat.Pcap;
    const { exponent, isBinary } = resolution;
    if (linkType !== ETHERNET) {
      const where = isPcap ? "" : `interface ${number}: `;
      return `${where}link type ${linkTypeName(linkType)}; only 1 EN10MB (Ethernet) can be replayed${LEAVE_OUT}`;
    }
    if (exponent > (isBinary ? 40 : 18)) {
      const unit = `${isBinary ? 2 : 10}^-${exponent} s`;
      return `interface ${number}: timestamps of ${unit} are finer than can be read${LEAVE_OUT}`;
    }
    if (this.#portOf(name) !== null) return null;
    const which =
      name === null ? `interface ${number}, which has no name,` : `interface ${number}, "${name}",`;
    const remedy = `write PORT=${this.name}, or name interfaces ${this.#ports.list()}`;
    return `${which} is no port${this.#ports.ofIntent()}; ${remedy}${LEAVE_OUT}`;
  }

  /** The port that frames of an interface of this name enter, null when that is not known. */
  #portOf(name: string | null): number | null {
    return this.#port ?? (name === null ? null : this.#ports.byName(name)) ?? this.#fallback;
  }

  /**
   * Digits that a timestamp's fraction needs, at most FINEST_RESOLUTION; 0 while no interface is known. A binary
   * fraction needs as many decimal digits as it has binary ones: 2^-3 = 0.125.
   */
  resolution(): number {
    return Math.min(FINEST_RESOLUTION, this.#digits);
  }

  /** True when timestamps are finer than what is kept of them. */
  isCutShort(): boolean {
    return this.#clocks.some(({ exponent, isBinary }) => exponent > (isBinary ? 29 : FINEST_RESOLUTION));
  }

  /** The second that the earliest timestamps may be counted from: 1970, or before it where an if_tsoffset says so. */
  base(): bigint {
    const offsets = this.#clocks.map(({ offsetSeconds }) => offsetSeconds);
    const least = offsets.reduce((least, offset) => (offset < least ? offset : least), 0n);
    return least < EARLIEST_BASE ? EARLIEST_BASE : least;
  }

  /**
   * Sets the core's clock; what it knew of timestamps on the clock before is converted. All interfaces are told, or
   * those from `first` on: a capture may describe tens of thousands, one after the other.
   */
  setClock(scale: Timescale, before: Timescale, first = 0): void {
    for (let number = first; number < this.#clocks.length; number++) this.#setInterfaceClock(number, scale);
    const view = new DataView(this.#core.words.buffer);
    const clock = view.getBigUint64(this.#state + abi.CAPTURE_CLOCK, true);
    const moved = clock + (before.base - scale.base) * 10n ** BigInt(before.resolution);
    const converted = clamped(moved * 10n ** BigInt(scale.resolution - before.resolution));
    view.setBigUint64(this.#state + abi.CAPTURE_CLOCK, converted, true);
    // The head, if there is one, is looked at again: its timestamp is in the old unit.
    if (this.#get(abi.CAPTURE_HEAD) === 1) this.#set(abi.CAPTURE_AT, this.#get(abi.CAPTURE_START));
    this.#set(abi.CAPTURE_HEAD, 0);
  }

  #setInterfaceClock(number: number, { resolution, base }: Timescale): void {
    const { words } = this.#core;
    const { exponent, isBinary, offsetSeconds } = this.#clocks[number]!;
    const record = this.#interfaces + number * abi.INTERFACE_BYTES;
    const units = 10n ** BigInt(resolution);
    const own = (isBinary ? 2n : 10n) ** BigInt(exponent);
    const offset = (offsetSeconds - base) * units;
    // pcap counts seconds apart from their fraction: the divisor's place holds the output units of a second.
    const isPcap = this.#get(abi.CAPTURE_FORMAT) === abi.CaptureFormat.Pcap;
    const shared = isPcap ? own : gcd(units, own);
    words[(record + abi.INTERFACE_MULTIPLIER) >>> 2] = Number(units / shared);
    words[(record + abi.INTERFACE_DIVISOR) >>> 2] = Number(isPcap ? units : own / shared);
    const view = new DataView(words.buffer);
    view.setBigUint64(record + abi.INTERFACE_OFFSET, BigInt.asUintN(64, offset), true);
    // Timestamps t with 0 <= floor(t × units ÷ own) + offset <= 2^64 - 1.
    const earliest = offset < 0n ? divideUp(-offset * own, units) : 0n;
    const latest = divideUp((MAX_TIME - offset + 1n) * own, units) - 1n;
    // Where there are none the first one is above the last one, and every timestamp is odd.
    const [first, last] =
      latest < 0n ? [1n, 0n] : earliest > MAX_TIME ? [MAX_TIME, MAX_TIME - 1n] : [earliest, latest];
    view.setBigUint64(record + abi.INTERFACE_FIRST_TIME, first, true);
    view.setBigUint64(record + abi.INTERFACE_LAST_TIME, clamped(last), true);
  }

  /** Does what the core asks of this capture. A promise only where one is needed. */
  answer(event: abi.Event): Promise<void> | null {
    if (event === abi.Event.Input) return this.refill();
    if (event === abi.Event.Block) this.#readBlock();
    else if (event === abi.Event.Fault) this.#fault();
    else throw new Error(`the core answered with event ${event}`);
    return null;
  }

  /** Brings the next packet forward, for a capture that is read alone. False at the end. */
  async advance(): Promise<boolean> {
    for (;;) {
      const event = this.#core.exports.runCaptures(1, 0);
      if (event === abi.Event.Done) return this.#get(abi.CAPTURE_HEAD) === 1;
      await this.answer(event);
    }
  }

  /** The packet brought forward: the port it enters, its bytes, and how many it had on the wire. */
  head(): { inPort: number; frame: Uint8Array; length: number } {
    const start = this.#get(abi.CAPTURE_HEAD_ENTRY + abi.ENTRY_FRAME);
    const record = this.#get(abi.CAPTURE_HEAD_ENTRY + abi.ENTRY_INTERFACE);
    return {
      inPort: this.#core.words[(record + abi.INTERFACE_IN_PORT) >>> 2]!,
      frame: this.#core.bytes.slice(start, start + this.#get(abi.CAPTURE_HEAD_ENTRY + abi.ENTRY_CAPTURED)),
      length: this.#get(abi.CAPTURE_HEAD_ENTRY + abi.ENTRY_LENGTH),
    };
  }

  /** Notes what the core found wrong, and ends the capture there. */
  #fault(): void {
    const fault = this.#get(abi.CAPTURE_FAULT);
    if (fault === CaptureFault.UnusableInterface)
      throw this.error(this.#reasons.get(this.#get(abi.CAPTURE_FAULT_VALUE))!);
    const isTruncation = fault === CaptureFault.CutShort;
    const value = this.#get(abi.CAPTURE_FAULT_VALUE);
    const what = isTruncation
      ? `the file ends inside a record, ${value} bytes after its start`
      : FAULTS[fault]!(value);
    // A compressed file that ended early says so better than the record that it cut.
    if (!(this.#isStopped && isTruncation))
      this.#damage ??= { message: `byte ${this.#position()}: ${what}`, isTruncation };
    this.#set(abi.CAPTURE_DONE, 1);
  }

  /** What is wrong with the capture, as far as it was read. */
  damages({ resolution, base }: Timescale): Damage[] {
    this.#noteOddOffsets();
    const damages = this.#damage === null ? [] : [this.#damage];
    const empty = this.#oddity(abi.CAPTURE_EMPTY_FRAMES, "a frame of zero bytes", "frames of zero bytes");
    if (empty !== null)
      damages.push({
        message: `${empty}; the capture is damaged (counted as too-short)`,
        isTruncation: false,
      });
    const [from, to] = yearsOf(resolution, base);
    const odd = this.#oddity(abi.CAPTURE_ODD_TIMES, "a timestamp", "timestamps");
    if (odd !== null)
      damages.push({
        message: `${odd} outside the years ${from} to ${to}; the nearest time in them is used`,
        isTruncation: false,
      });
    return damages.map(damage => ({ ...damage, message: `${label(this.name)}: ${damage.message}` }));
  }

  /** Things worth saying that are no errors. */
  notes(): string[] {
    this.#noteOddOffsets();
    const notes: string[] = [];
    const long = this.#oddity(abi.CAPTURE_LONG_RECORDS, "a record", "records");
    if (long !== null)
      notes.push(`${long} with more bytes captured than the frame had; all of them are used`);
    const leftOut = this.#get(abi.CAPTURE_LEFT_OUT);
    if (leftOut > 0)
      notes.push(`${leftOut} ${leftOut === 1 ? "packet" : "packets"} of other interfaces left out`);
    return notes.map(note => `${label(this.name)}: ${note}`);
  }

  /** `byte 40: a frame …` or `byte 40: the first of 3 frames …`; null when there are none. */
  #oddity(counter: number, one: string, many: string): string | null {
    const count = this.#get(counter);
    if (count === 0) return null;
    return `byte ${this.#oddOffsets.get(counter)}: ${count === 1 ? one : `the first of ${count} ${many}`}`;
  }

  /** Packets that were left out because their interface is. */
  get leftOut(): number {
    return this.#get(abi.CAPTURE_LEFT_OUT);
  }

  /** Remembers where oddities begin in the file, before the window moves. */
  #noteOddOffsets(): void {
    for (const [counter, at] of ODDITIES) {
      if (this.#oddOffsets.has(counter) || this.#get(counter) === 0) continue;
      this.#oddOffsets.set(counter, this.#offset + this.#get(at) - this.#window);
    }
  }

  close(): void {
    this.source?.close();
  }

  /** An error about this capture, at the byte where it stands if that is behind the header. */
  error(message: string): ReplayError {
    return new ReplayError(`${label(this.name)}: ${message}`);
  }

  #checked<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      const position = this.#position();
      throw this.error(position === 0 ? error.message : `byte ${position}: ${error.message}`);
    }
  }

  /** File offset of the record or block at which the core stands, or which it is skipping. */
  #position(): number {
    const block = this.#get(abi.CAPTURE_SKIP_BLOCK);
    const skipped = block === 0 ? 0 : block - 4 - this.#get(abi.CAPTURE_SKIP);
    return this.#offset + this.#get(abi.CAPTURE_AT) - this.#window - skipped;
  }

  #available(): number {
    return this.#get(abi.CAPTURE_END) - this.#get(abi.CAPTURE_AT);
  }

  #get(field: number): number {
    return this.#core.words[(this.#state + field) >>> 2]!;
  }

  #set(field: number, value: number): void {
    this.#core.words[(this.#state + field) >>> 2] = value;
  }
}

function label(name: string): string {
  return name === "-" ? "standard input" : name;
}

function gcd(a: bigint, b: bigint): bigint {
  return b === 0n ? a : gcd(b, a % b);
}

/** a ÷ b, rounded up; b is positive. */
function divideUp(a: bigint, b: bigint): bigint {
  return a > 0n ? (a + b - 1n) / b : -(-a / b);
}

/** The nearest number of 64 bits. */
function clamped(value: bigint): bigint {
  return value < 0n ? 0n : value > MAX_TIME ? MAX_TIME : value;
}

const SECONDS_A_YEAR = 31_556_952;

/** The years in which the core's clock begins and ends. */
function yearsOf(resolution: number, base: bigint): [from: number, to: number] {
  const year = (seconds: number): number => 1970 + Math.floor(seconds / SECONDS_A_YEAR);
  return [year(Number(base)), year(Number(base) + 2 ** 64 / 10 ** resolution)];
}
