/**
 * The interfaces that a capture describes: for each a record in the core's memory (abi.INTERFACE_…) with the port that
 * its frames enter and the conversion of its timestamps, or the reason why its packets cannot be read. A pcap has one
 * interface, each section of a pcapng any number.
 */
import * as abi from "../../assembly/abi.ts";
import { ETHERNET, FormatError, type InterfaceDescription, linkTypeName } from "../capture/index.ts";
import type { CaptureState } from "./capture-state.ts";
import type { InterfacePool } from "./interface-pool.ts";
import type { PortNames } from "./ports.ts";
import { baseOf, type Clock, conversionOf, FINEST_RESOLUTION, type Timescale } from "./timescale.ts";

/** Interface records that a capture begins with. */
const FIRST_INTERFACES = 16;

/** The finest units of timestamps that can be converted: 10^-18 s and 2^-40 s. */
const FINEST_EXPONENT = { decimal: 18, binary: 40 } as const;

const SKIP = "; --skip-other-interfaces skips its packets";

export interface InterfaceOptions {
  readonly pool: InterfacePool;
  /** The capture's name, for messages. */
  readonly capture: string;
  /** Whether packets of interfaces that cannot be used are skipped. */
  readonly leavesOut: boolean;
  /** The port that all frames enter; null: by the name of their interface. */
  readonly port: number | null;
  /** The port of frames whose interface is not named after a port. */
  readonly fallback: number | null;
  readonly ports: PortNames;
  /** Index of a port among the interfaces of the drops' capture. */
  readonly dropsInterface: (port: number) => number;
}

export class InterfaceTable {
  readonly #state: CaptureState;
  readonly #options: InterfaceOptions;
  /** Address of the first record, and how many fit. */
  #at: number;
  #room = FIRST_INTERFACES;
  #clocks: Clock[] = [];
  /** Why interfaces cannot be used, by number. */
  #reasons = new Map<number, string>();
  /** The largest exponent of the clocks. */
  #digits = 0;

  constructor(state: CaptureState, options: InterfaceOptions) {
    this.#state = state;
    this.#options = options;
    this.#at = options.pool.take(FIRST_INTERFACES)!;
  }

  /** Address of the first record. */
  get records(): number {
    return this.#at;
  }

  get count(): number {
    return this.#clocks.length;
  }

  /** Why interface `number` cannot be used; undefined if it can. */
  reason(number: number): string | undefined {
    return this.#reasons.get(number);
  }

  /** Forgets all interfaces: a section of a pcapng describes its own. */
  clear(): void {
    this.#state.set(abi.CAPTURE_INTERFACE_COUNT, 0);
    this.#clocks = [];
    this.#reasons = new Map();
    this.#digits = 0;
  }

  /** Adds an interface. Throws FormatError if there is no room. */
  add(description: InterfaceDescription): void {
    const number = this.#state.get(abi.CAPTURE_INTERFACE_COUNT);
    if (number === this.#room) this.#grow(number);
    const reason = this.#reasonAgainst(number, description);
    if (reason !== null) this.#reasons.set(number, reason);
    const isUsed = reason === null;
    const { exponent, isBinary } = isUsed ? description.resolution : { exponent: 0, isBinary: false };
    this.#clocks.push({ exponent, isBinary, offsetSeconds: isUsed ? description.offsetSeconds : 0n });
    this.#digits = Math.max(this.#digits, exponent);
    this.#writeRecord(number, description, isUsed);
    this.#state.set(abi.CAPTURE_INTERFACE_COUNT, number + 1);
  }

  #writeRecord(number: number, { name, snapBytes }: InterfaceDescription, isUsed: boolean): void {
    const { words } = this.#state.core;
    const record = (this.#at + number * abi.INTERFACE_BYTES) >>> 2;
    const set = (field: number, value: number): void => {
      words[record + (field >>> 2)] = value;
    };
    const unused = this.#options.leavesOut ? abi.InterfaceUse.LeaveOut : abi.InterfaceUse.Refuse;
    const port = isUsed ? this.#portOf(name)! : 0;
    words.fill(0, record, record + (abi.INTERFACE_BYTES >>> 2));
    set(abi.INTERFACE_IN_PORT, port);
    set(abi.INTERFACE_DROPS, this.#options.dropsInterface(port));
    set(abi.INTERFACE_SNAPLEN, snapBytes);
    set(abi.INTERFACE_USE, isUsed ? abi.InterfaceUse.Read : unused);
    // A valid clock until setClock sets the real one.
    set(abi.INTERFACE_MULTIPLIER, 1);
    set(abi.INTERFACE_DIVISOR, 1);
    set(abi.INTERFACE_LAST_TIME, 0xffffffff);
    set(abi.INTERFACE_LAST_TIME + 4, 0xffffffff);
  }

  /** Moves the records to a place with twice the room. The next packet's queue entry is the only pointer to one. */
  #grow(number: number): void {
    const at = this.#options.pool.take(2 * number);
    if (at === null)
      throw new FormatError(
        `more than ${number} interfaces; at most ${abi.MAX_INTERFACES} records fit, for all captures together`,
      );
    const before = this.#at;
    this.#state.core.bytes.copyWithin(at, before, before + number * abi.INTERFACE_BYTES);
    this.#at = at;
    this.#room = 2 * number;
    this.#state.set(abi.CAPTURE_INTERFACES, at);
    const head = abi.CAPTURE_HEAD_ENTRY + abi.ENTRY_INTERFACE;
    if (this.#state.get(abi.CAPTURE_HEAD) === 1) this.#state.set(head, this.#state.get(head) + at - before);
  }

  /** Why packets of an interface cannot be read; null if they can. */
  #reasonAgainst(number: number, { linkType, resolution, name }: InterfaceDescription): string | null {
    const { capture, ports } = this.#options;
    if (linkType !== ETHERNET) {
      const where = this.#isPcap ? "" : `interface ${number}: `;
      const which = `link type ${linkTypeName(linkType)}`;
      return `${where}${which}; only 1 EN10MB (Ethernet) can be replayed${SKIP}`;
    }
    const { exponent, isBinary } = resolution;
    if (exponent > (isBinary ? FINEST_EXPONENT.binary : FINEST_EXPONENT.decimal)) {
      const unit = `${isBinary ? 2 : 10}^-${exponent} s`;
      return `interface ${number}: timestamps of ${unit} are too fine; at most 10^-18 s or 2^-40 s${SKIP}`;
    }
    if (this.#portOf(name) !== null) return null;
    const which =
      name === null ? `interface ${number} has no name` : `interface ${number}, "${name}", is not a port`;
    const whose = name === null ? "" : ports.ofIntent();
    return `${which}${whose}; write PORT=${capture}, or name interfaces ${ports.list()}${SKIP}`;
  }

  get #isPcap(): boolean {
    return this.#state.get(abi.CAPTURE_FORMAT) === abi.CaptureFormat.Pcap;
  }

  /** The port that frames of an interface of this name enter; null if it is not known. */
  #portOf(name: string | null): number | null {
    const { port, ports, fallback } = this.#options;
    return port ?? (name === null ? null : ports.byName(name)) ?? fallback;
  }

  // ── Time ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Digits that a timestamp's fraction needs, at most FINEST_RESOLUTION; 0 while no interface is known. A binary
   * fraction needs as many decimal digits as it has binary ones: 2^-3 = 0.125.
   */
  get resolution(): number {
    return Math.min(FINEST_RESOLUTION, this.#digits);
  }

  /** True if timestamps are finer than what is kept of them. */
  get isCutShort(): boolean {
    return this.#clocks.some(({ exponent, isBinary }) => exponent > (isBinary ? 29 : FINEST_RESOLUTION));
  }

  /** The second that the earliest timestamps may be counted from. */
  get base(): bigint {
    return baseOf(this.#clocks);
  }

  /** Writes the conversion of timestamps of the interfaces from `first` on. */
  setClock(scale: Timescale, first: number): void {
    const { words } = this.#state.core;
    const view = new DataView(words.buffer);
    for (let number = first; number < this.#clocks.length; number++) {
      const record = this.#at + number * abi.INTERFACE_BYTES;
      const conversion = conversionOf(this.#clocks[number]!, scale, this.#isPcap);
      words[(record + abi.INTERFACE_MULTIPLIER) >>> 2] = conversion.multiplier;
      words[(record + abi.INTERFACE_DIVISOR) >>> 2] = conversion.divisor;
      view.setBigUint64(record + abi.INTERFACE_OFFSET, conversion.offset, true);
      view.setBigUint64(record + abi.INTERFACE_FIRST_TIME, conversion.firstTime, true);
      view.setBigUint64(record + abi.INTERFACE_LAST_TIME, conversion.lastTime, true);
    }
  }
}
