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

/** Decimal digits that are kept of a timestamp's fraction: nanoseconds. */
export const FINEST_RESOLUTION = 9;

const { CaptureFault } = abi;

const FAULTS: Record<number, (value: number) => string> = {
  [CaptureFault.CapturedOverLength]: value =>
    `the record says that ${value} bytes were captured of a shorter frame; the capture is damaged`,
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
  readonly #interfaces: number;
  readonly #mostInterfaces: number;
  #clocks: Clock[] = [];
  /** The finest of them, in digits. */
  #digits = 0;
  /** File offset of the window's first byte. */
  #offset = 0;
  /** File offset of the first frame of zero bytes. */
  #emptyOffset: number | null = null;
  #damage: Damage | null = null;

  constructor(options: {
    core: Core;
    index: number;
    inputCount: number;
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
    this.#mostInterfaces = Math.floor(abi.MAX_INTERFACES / options.inputCount);
    this.#interfaces = abi.INTERFACES + options.index * this.#mostInterfaces * abi.INTERFACE_BYTES;
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
  }

  /** File offset of the next packet's record, for a plain file. */
  get offset(): number {
    return this.#position();
  }

  /** Interfaces that are described so far. */
  get interfaceCount(): number {
    return this.#clocks.length;
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
    this.#noteEmptyFrame();
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
      this.#digits = 0;
    } else {
      this.#describe(block);
    }
    this.#set(abi.CAPTURE_AT, at + bytes);
  }

  #describe(description: InterfaceDescription): void {
    const number = this.#get(abi.CAPTURE_INTERFACE_COUNT);
    const { exponent, isBinary } = description.resolution;
    if (description.linkType !== ETHERNET) {
      const where = this.#get(abi.CAPTURE_FORMAT) === abi.CaptureFormat.PcapNg ? `interface ${number}: ` : "";
      throw this.error(
        `${where}link type ${linkTypeName(description.linkType)}; only 1 EN10MB (Ethernet) can be replayed`,
      );
    }
    if (number === this.#mostInterfaces)
      throw this.error(`more than ${number} interfaces; that many are held`);
    if (exponent > (isBinary ? 40 : 18)) {
      throw this.error(
        `interface ${number}: timestamps of ${isBinary ? 2 : 10}^-${exponent} s are finer than can be read`,
      );
    }
    const port = this.#port ?? this.#portOf(number, description.name);
    const record = (this.#interfaces + number * abi.INTERFACE_BYTES) >>> 2;
    const { words } = this.#core;
    words[record + (abi.INTERFACE_IN_PORT >>> 2)] = port;
    words[record + (abi.INTERFACE_DROPS >>> 2)] = this.#dropsInterface(port);
    words[record + (abi.INTERFACE_SNAPLEN >>> 2)] = description.snapBytes;
    // Some clock until setClock says which.
    words[record + (abi.INTERFACE_MULTIPLIER >>> 2)] = 1;
    words[record + (abi.INTERFACE_DIVISOR >>> 2)] = 1;
    this.#clocks.push({ exponent, isBinary, offsetSeconds: description.offsetSeconds });
    this.#digits = Math.max(this.#digits, exponent);
    this.#set(abi.CAPTURE_INTERFACE_COUNT, number + 1);
  }

  #portOf(number: number, name: string | null): number {
    const port = (name === null ? null : this.#ports.byName(name)) ?? this.#fallback;
    if (port !== null) return port;
    const which =
      name === null ? `interface ${number}, which has no name,` : `interface ${number}, "${name}",`;
    throw this.error(
      `${which} is no port${this.#ports.ofIntent()}; write PORT=${this.name}, or name interfaces ${this.#ports.list()}`,
    );
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

  /**
   * Makes the core count in 10^-resolution seconds; what it knew of timestamps in the unit before is converted. All
   * interfaces are told, or those from `first` on: a capture may describe tens of thousands, one after the other.
   */
  setClock(resolution: number, before: number, first = 0): void {
    const { words } = this.#core;
    const units = 10n ** BigInt(resolution);
    for (let number = first; number < this.#clocks.length; number++) {
      const { exponent, isBinary, offsetSeconds } = this.#clocks[number]!;
      const record = this.#interfaces + number * abi.INTERFACE_BYTES;
      const own = (isBinary ? 2n : 10n) ** BigInt(exponent);
      // pcap counts seconds apart from their fraction: the divisor's place holds the output units of a second.
      const isPcap = this.#get(abi.CAPTURE_FORMAT) === abi.CaptureFormat.Pcap;
      const shared = isPcap ? own : gcd(units, own);
      words[(record + abi.INTERFACE_MULTIPLIER) >>> 2] = Number(units / shared);
      words[(record + abi.INTERFACE_DIVISOR) >>> 2] = Number(isPcap ? units : own / shared);
      const view = new DataView(words.buffer);
      view.setBigUint64(record + abi.INTERFACE_OFFSET, BigInt.asUintN(64, offsetSeconds * units), true);
    }
    const view = new DataView(words.buffer);
    const clock = view.getBigUint64(this.#state + abi.CAPTURE_CLOCK, true);
    view.setBigUint64(this.#state + abi.CAPTURE_CLOCK, clock * 10n ** BigInt(resolution - before), true);
    // The head, if there is one, is looked at again: its timestamp is in the old unit.
    if (this.#get(abi.CAPTURE_HEAD) === 1) this.#set(abi.CAPTURE_AT, this.#get(abi.CAPTURE_START));
    this.#set(abi.CAPTURE_HEAD, 0);
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
    const isTruncation = fault === CaptureFault.CutShort;
    const value = this.#get(abi.CAPTURE_FAULT_VALUE);
    const what = isTruncation
      ? `the file ends inside a record, ${value} bytes after its start`
      : FAULTS[fault]!(value);
    // A compressed file that ended early says so better than the record that it cut.
    this.#damage ??= { message: `byte ${this.#position()}: ${what}`, isTruncation };
    this.#set(abi.CAPTURE_DONE, 1);
  }

  /** What is wrong with the capture, as far as it was read; null when nothing is. */
  damage(): Damage | null {
    if (this.#damage !== null) {
      return { ...this.#damage, message: `${label(this.name)}: ${this.#damage.message}` };
    }
    this.#noteEmptyFrame();
    const empty = this.#get(abi.CAPTURE_EMPTY_FRAMES);
    if (empty === 0) return null;
    const frames = empty === 1 ? "a frame of zero bytes" : `the first of ${empty} frames of zero bytes`;
    return {
      message: `${label(this.name)}: byte ${this.#emptyOffset}: ${frames}; the capture is damaged (counted as too-short)`,
      isTruncation: false,
    };
  }

  #noteEmptyFrame(): void {
    if (this.#emptyOffset !== null || this.#get(abi.CAPTURE_EMPTY_FRAMES) === 0) return;
    this.#emptyOffset = this.#offset + this.#get(abi.CAPTURE_EMPTY_AT) - this.#window;
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
