/**
 * One capture being read: its source, its state and window in the core's memory, and its interfaces. The core walks over
 * the packets and stops at events; here the window is refilled, headers are read, and damage becomes a message with its
 * byte offset.
 */
import * as abi from "../../assembly/abi.ts";
import {
  type ByteSource,
  FormatError,
  openSource,
  PCAP_HEADER_BYTES,
  readHeaderBlock,
  readOpening,
  SourceError,
} from "../capture/index.ts";
import type { Core } from "../core/index.ts";
import { CaptureState } from "./capture-state.ts";
import { ReplayError } from "./errors.ts";
import { faultMessage } from "./faults.ts";
import { type InterfaceOptions, InterfaceTable } from "./interface-table.ts";
import { EMPTY_FRAMES, LONG_RECORDS, ODD_TIMES, Oddities } from "./oddities.ts";
import { rescaled, type Timescale, yearsOf } from "./timescale.ts";

/** Damage in a capture after its header. */
export interface Damage {
  readonly message: string;
  /** True if the file only ends too early. */
  readonly isTruncation: boolean;
}

/** Bytes of one read: the window may hold more, but these stay in the processor's cache. */
const READ_BYTES = 0x40000;

const LENGTHS = {
  usual: abi.RecordLengths.Usual,
  swapped: abi.RecordLengths.Swapped,
  either: abi.RecordLengths.Either,
} as const;

export class Input {
  /** Undefined until `open`. */
  source: ByteSource | undefined;
  /** As given by the user. */
  readonly name: string;
  readonly #core: Core;
  readonly #state: CaptureState;
  readonly #oddities: Oddities;
  readonly #options: InterfaceOptions;
  readonly interfaces: InterfaceTable;
  #damage: Damage | null = null;
  #isStopped = false;

  constructor(options: InterfaceOptions & { readonly core: Core; readonly index: number }) {
    this.name = options.capture;
    this.#core = options.core;
    this.#options = options;
    this.#state = new CaptureState(options.core, options.index);
    this.#oddities = new Oddities(this.#state);
    this.interfaces = new InterfaceTable(this.#state, options);
  }

  /** Opens the capture and reads its header. Throws ReplayError if it is not a capture, or not of Ethernet. */
  async open(): Promise<void> {
    try {
      this.source = await openSource(this.name);
    } catch (error) {
      throw error instanceof SourceError ? this.error(error.message) : error;
    }
    const state = this.#state;
    state.reset();
    state.set(abi.CAPTURE_INTERFACES, this.interfaces.records);
    while (state.available < PCAP_HEADER_BYTES && state.get(abi.CAPTURE_EOF) === 0) await this.refill();
    if (this.#damage !== null && state.available < PCAP_HEADER_BYTES) throw this.error(this.#damage.message);
    const opening = this.#checked(() => readOpening(state.bytes));
    state.set(abi.CAPTURE_FORMAT, abi.CaptureFormat.PcapNg);
    if (opening.format === "pcapng") return;
    state.set(abi.CAPTURE_FORMAT, abi.CaptureFormat.Pcap);
    state.set(abi.CAPTURE_SWAPPED, opening.isSwapped ? 1 : 0);
    state.set(abi.CAPTURE_LENGTHS, LENGTHS[opening.lengths]);
    state.set(abi.CAPTURE_AT, state.get(abi.CAPTURE_AT) + PCAP_HEADER_BYTES);
    const { port, fallback, ports, leavesOut } = this.#options;
    if (port === null && fallback === null) {
      throw this.error(
        `a pcap does not name the port that its frames enter; write PORT=${this.name}, PORT one of ${ports.list()}`,
      );
    }
    this.interfaces.add({
      linkType: opening.linkType,
      snapBytes: 0,
      name: null,
      resolution: { exponent: opening.resolution, isBinary: false },
      offsetSeconds: 0n,
    });
    const reason = this.interfaces.reason(0);
    if (reason !== undefined && !leavesOut) throw this.error(reason);
  }

  /** Stops reading: a file ends here, a pipe soon. A record that is incomplete then is not damage. */
  stop(): void {
    this.#isStopped = true;
    this.source?.stop();
  }

  close(): void {
    this.source?.close();
  }

  /** File offset of the next packet's record, for a plain file. */
  get offset(): number {
    return this.#state.position;
  }

  /** Continues at a file offset, as if everything before it had been read; `clock` is the last packet's timestamp. */
  jump(offset: number, clock: bigint): void {
    this.source!.seek(offset);
    this.#state.jump(offset, clock);
  }

  /** Moves what is left to the window's start and reads behind it. */
  async refill(): Promise<void> {
    this.#oddities.note();
    const target = this.#state.makeRoom(READ_BYTES);
    const end = this.#state.get(abi.CAPTURE_END);
    try {
      const filled = this.source!.fill(target);
      const read = typeof filled === "number" ? filled : await filled;
      this.#state.set(abi.CAPTURE_END, end + read);
      if (read === 0) this.#state.set(abi.CAPTURE_EOF, 1);
    } catch (error) {
      if (!(error instanceof SourceError)) throw error;
      const { message, isTruncation } = error;
      if (!(this.#isStopped && isTruncation))
        this.#damage = { message: `byte ${this.#state.offsetOf(end)}: ${message}`, isTruncation };
      this.#state.set(abi.CAPTURE_EOF, 1);
    }
  }

  /** Reads the section header or interface description at which the core stands. Throws ReplayError. */
  #readBlock(): void {
    const at = this.#state.get(abi.CAPTURE_AT);
    const isSwapped = this.#state.get(abi.CAPTURE_SWAPPED) === 1;
    const view = new DataView(this.#core.bytes.buffer);
    const bytes = view.getUint32(at + 4, !isSwapped);
    this.#checked(() => {
      const block = readHeaderBlock(this.#core.bytes.slice(at, at + bytes), isSwapped);
      if (block.type === "section") this.interfaces.clear();
      else this.interfaces.add(block);
    });
    this.#state.set(abi.CAPTURE_AT, at + bytes);
  }

  /**
   * Sets the core's clock; the last packet's timestamp is converted from the clock before. Sets it for all interfaces,
   * or those from `first` on: a capture may describe tens of thousands, one after the other.
   */
  setClock(scale: Timescale, before: Timescale, first = 0): void {
    const state = this.#state;
    this.interfaces.setClock(scale, first);
    state.clock = rescaled(state.clock, before, scale);
    // The next packet, if there is one, is read again: its timestamp is in the old unit.
    if (state.get(abi.CAPTURE_HEAD) === 1) state.set(abi.CAPTURE_AT, state.get(abi.CAPTURE_START));
    state.set(abi.CAPTURE_HEAD, 0);
  }

  /** Handles an event of this capture. A promise only if bytes must be awaited. */
  answer(event: abi.Event): Promise<void> | null {
    if (event === abi.Event.Input) return this.refill();
    if (event === abi.Event.Block) this.#readBlock();
    else if (event === abi.Event.Fault) this.#fault();
    else throw new Error(`internal error: event ${event} is not one of a capture`);
    return null;
  }

  /** Reads up to the next packet, of a capture that is read alone; false at the end. */
  async advance(): Promise<boolean> {
    for (;;) {
      const event = this.#core.exports.runCaptures(1, 0);
      if (event === abi.Event.Done) return this.#state.get(abi.CAPTURE_HEAD) === 1;
      await this.answer(event);
    }
  }

  /** The next packet: the port it enters, its bytes, and its length on the wire. */
  head(): { inPort: number; frame: Uint8Array; length: number } {
    const field = (name: number): number => this.#state.get(abi.CAPTURE_HEAD_ENTRY + name);
    const start = field(abi.ENTRY_FRAME);
    return {
      inPort: this.#core.words[(field(abi.ENTRY_INTERFACE) + abi.INTERFACE_IN_PORT) >>> 2]!,
      frame: this.#core.bytes.slice(start, start + field(abi.ENTRY_CAPTURED)),
      length: field(abi.ENTRY_LENGTH),
    };
  }

  /** Records the damage that the core found, and ends the capture there. */
  #fault(): void {
    const fault: abi.CaptureFault = this.#state.get(abi.CAPTURE_FAULT);
    const value = this.#state.get(abi.CAPTURE_FAULT_VALUE);
    if (fault === abi.CaptureFault.UnusableInterface) throw this.error(this.interfaces.reason(value)!);
    if (fault === abi.CaptureFault.None) throw new Error("internal error: a fault event without a fault");
    const isTruncation = fault === abi.CaptureFault.CutShort;
    const message = `byte ${this.#state.position}: ${faultMessage(fault, value)}`;
    // If compressed data ended early, that error is already recorded, and it names the cause.
    if (!(this.#isStopped && isTruncation)) this.#damage ??= { message, isTruncation };
    this.#state.set(abi.CAPTURE_DONE, 1);
  }

  /** The damage in what was read of the capture. */
  damages(scale: Timescale): Damage[] {
    const damages = this.#damage === null ? [] : [this.#damage];
    const found = (message: string): void => void damages.push({ message, isTruncation: false });
    const empty = this.#oddities.describe(EMPTY_FRAMES);
    if (empty !== null) found(`${empty}; the capture is damaged (counted as too-short)`);
    const [from, to] = yearsOf(scale);
    const odd = this.#oddities.describe(ODD_TIMES);
    if (odd !== null) found(`${odd} outside the years ${from} to ${to}; the nearest time in them is used`);
    return damages.map(damage => ({ ...damage, message: `${label(this.name)}: ${damage.message}` }));
  }

  /** Notes for the user that are not errors. */
  notes(): string[] {
    const notes: string[] = [];
    const long = this.#oddities.describe(LONG_RECORDS);
    if (long !== null)
      notes.push(`${long} with more bytes captured than the frame had; all of them are used`);
    if (this.leftOut > 0)
      notes.push(`${this.leftOut} ${this.leftOut === 1 ? "packet" : "packets"} of other interfaces skipped`);
    return notes.map(note => `${label(this.name)}: ${note}`);
  }

  /** Packets that were skipped because their interface cannot be used. */
  get leftOut(): number {
    return this.#state.get(abi.CAPTURE_LEFT_OUT);
  }

  /** An error of this capture. */
  error(message: string): ReplayError {
    return new ReplayError(`${label(this.name)}: ${message}`);
  }

  /** Turns errors of headers into errors of this capture, at their byte if that is not the first. */
  #checked<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      const { position } = this.#state;
      throw this.error(position === 0 ? error.message : `byte ${position}: ${error.message}`);
    }
  }
}

function label(name: string): string {
  return name === "-" ? "standard input" : name;
}
