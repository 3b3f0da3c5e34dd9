/**
 * The capture of live ports: every frame as received, with the verdict in its comment, and as sent, each on
 * the interface of its port with its direction (pcapng, epb_flags). The main thread writes it from the
 * mirror. It never stops the live ports: if a write fails, packets are counted as lost, and the capture
 * continues with a new section of the same file when there is room.
 */
import { directionOptions, pcapngHeader, pcapngPacketWith } from "../capture/index.ts";
import { REASONS, VERDICTS } from "../core/index.ts";
import { CaptureFile, type Written } from "./capture-file.ts";
import { LiveError } from "./errors.ts";
import type { Mirrored } from "./mirror.ts";

const MICROSECONDS = 6;
/** Bytes gathered before they are written. */
const CHUNK_BYTES = 256 * 1024;
/**
 * Delay before the next attempt after a failure: doubled each time, until a write succeeds for the longest
 * delay.
 */
const FIRST_WAIT_MS = 1000;
const LAST_WAIT_MS = 10_000;

/**
 * `running`; `waiting`: a write failed, the next attempt follows; `limit`: complete, at the allowed size;
 * `failed`: ended for good by its reader or the system; `done`: ended with the live ports.
 */
export type CaptureState = "running" | "waiting" | "limit" | "failed" | "done";

/** What became of a capture so far. */
export interface CaptureCounts {
  readonly state: CaptureState;
  /** Packets written, and packets that could not be. */
  readonly packets: number;
  readonly lost: number;
  /** Bytes written. */
  readonly bytes: number;
}

export interface CaptureOptions {
  /** Largest size of the file in bytes; null: as large as the disk allows. */
  readonly mostBytes: number | null;
  /** Told what a person should know, in one line. */
  readonly onNote: (text: string) => void;
  /** Milliseconds of a clock that only goes forwards; performance.now but in tests. */
  readonly clock?: () => number;
}

interface Block {
  readonly bytes: Uint8Array;
  readonly isPacket: boolean;
}

/** Reads a size: bytes, or a number with K, M or G (1024, 1024², 1024³ bytes). Throws LiveError. */
export function parseSize(option: string, text: string): number {
  const [, digits = "", unit = ""] = /^(\d{1,15})([KMG]?)$/i.exec(text) ?? [];
  const bytes = Number(digits) * 1024 ** " KMG".indexOf(unit === "" ? " " : unit.toUpperCase());
  if (digits !== "" && bytes > 0 && Number.isSafeInteger(bytes)) return bytes;
  throw new LiveError(
    `${option}: "${text}" is not a size; expected bytes, or a number with K, M or G, as 100M`,
  );
}

export class PassingCapture {
  readonly #file: CaptureFile;
  readonly #options: CaptureOptions;
  readonly #clock: () => number;
  #interfaces = new Map<number, number>();
  #names = new Map<number, string>();
  readonly #comments = new Map<string, Uint8Array>();
  /** The section header for the ports as they are. */
  #header: Uint8Array = new Uint8Array(0);
  #blocks: Block[] = [];
  #bytes = 0;
  #state: CaptureState = "running";
  #packets = 0;
  #lost = 0;
  /** Lost packets of which a note has told already. */
  #told = 0;
  #waitMs = FIRST_WAIT_MS;
  #retryAt = 0;
  #resumedAt = Number.NEGATIVE_INFINITY;

  /** Throws LiveError, SinkError. */
  constructor(name: string, options: CaptureOptions) {
    this.#options = options;
    this.#clock = options.clock ?? (() => performance.now());
    this.#file = new CaptureFile(name);
  }

  get counts(): CaptureCounts {
    return { state: this.#state, packets: this.#packets, lost: this.#lost, bytes: this.#file.length };
  }

  /**
   * Starts a section: the ports by number, in the order of their interfaces, and their names. Throws
   * LiveError at first.
   */
  begin(ports: ReadonlyMap<number, string>): void {
    const isFirst = this.#header.length === 0;
    this.#names = new Map(ports);
    this.#interfaces = new Map([...ports.keys()].map((port, index) => [port, index]));
    this.#comments.clear();
    this.#header = pcapngHeader([...ports.values()], MICROSECONDS);
    const { mostBytes } = this.#options;
    if (isFirst && mostBytes !== null && mostBytes < this.#header.length)
      throw new LiveError(
        `--capture-limit: ${mostBytes} bytes are too few; the names of the ports take ${this.#header.length}`,
      );
    if (this.#state === "running") this.#put({ bytes: this.#header, isPacket: false });
  }

  write({ inPort, outPort, verdict, reason, time, frame, out }: Mirrored): void {
    const at = BigInt(Math.round(time * 1000));
    const word = VERDICTS[verdict]!;
    const end = out.length > 0 ? (this.#names.get(outPort) ?? outPort) : REASONS[reason];
    this.#packet(inPort, at, frame, `${word} ${end}`, "inbound");
    if (out.length > 0)
      this.#packet(outPort, at, out, `from ${this.#names.get(inPort) ?? inPort}`, "outbound");
  }

  #packet(
    port: number,
    time: bigint,
    frame: Uint8Array,
    comment: string,
    direction: "inbound" | "outbound",
  ): void {
    const index = this.#interfaces.get(port);
    if (index === undefined) return;
    if (this.#state === "waiting" || this.#state === "failed") this.#lost++;
    if (this.#state !== "running") return;
    const key = `${direction} ${comment}`;
    let options = this.#comments.get(key);
    if (options === undefined) {
      options = directionOptions(comment, direction);
      this.#comments.set(key, options);
    }
    this.#put({ bytes: pcapngPacketWith(index, time, frame, options), isPacket: true });
  }

  #put(block: Block): void {
    this.#blocks.push(block);
    this.#bytes += block.bytes.length;
    if (this.#bytes >= CHUNK_BYTES) this.#flush();
  }

  /** To be called now and then: writes what has gathered, and tries again what could not be written. */
  tick(): void {
    if (this.#state === "running") this.#flush();
    if (this.#state === "waiting" && this.#clock() >= this.#retryAt) this.#resume();
  }

  #flush(): void {
    const blocks = this.#blocks;
    this.#blocks = [];
    this.#bytes = 0;
    if (blocks.length === 0) return;
    const room = (this.#options.mostBytes ?? Number.POSITIVE_INFINITY) - this.#file.length;
    const written = this.#file.write(
      blocks.map(({ bytes }) => bytes),
      room,
    );
    const packets = blocks.slice(0, written.blocks).filter(({ isPacket }) => isPacket).length;
    this.#packets += packets;
    if (written.problem !== null) {
      this.#lost += blocks.slice(written.blocks).filter(({ isPacket }) => isPacket).length;
      this.#fail(written);
    } else if (written.blocks < blocks.length) this.#endAtLimit();
    else if (this.#clock() >= this.#resumedAt + LAST_WAIT_MS) this.#waitMs = FIRST_WAIT_MS;
  }

  #fail({ problem, isFinal }: Written): void {
    const { name } = this.#file;
    if (isFinal) {
      this.#options.onNote(`--capture ${name}: ${problem}; the capture ends, frames go on`);
      this.#end("failed");
      return;
    }
    this.#state = "waiting";
    this.#retryAt = this.#clock() + this.#waitMs;
    this.#waitMs = Math.min(this.#waitMs * 2, LAST_WAIT_MS);
    this.#options.onNote(
      `--capture ${name}: ${problem}; packets are not written until it can be, frames go on`,
    );
  }

  /** Goes on with a section of its own, so that what stands before is whole by itself. */
  #resume(): void {
    const room = (this.#options.mostBytes ?? Number.POSITIVE_INFINITY) - this.#file.length;
    const { blocks, problem, isFinal } = this.#file.write([this.#header], room);
    if (problem !== null && isFinal) this.#fail({ blocks, problem, isFinal });
    else if (problem !== null) {
      this.#retryAt = this.#clock() + this.#waitMs;
      this.#waitMs = Math.min(this.#waitMs * 2, LAST_WAIT_MS);
    } else if (blocks === 0) this.#endAtLimit();
    else {
      this.#state = "running";
      this.#resumedAt = this.#clock();
      const missing = this.#lost - this.#told;
      this.#told = this.#lost;
      this.#options.onNote(`--capture ${this.#file.name}: goes on; ${missing} packets were not written`);
    }
  }

  #endAtLimit(): void {
    const { name, length } = this.#file;
    this.#options.onNote(`--capture ${name}: complete at its limit, ${length} bytes; frames go on`);
    this.#end("limit");
  }

  #end(state: CaptureState): void {
    this.#state = state;
    const problem = this.#file.finish();
    if (problem === null) return;
    this.#state = "failed";
    this.#options.onNote(`--capture ${this.#file.name}: ${problem}`);
  }

  /** Ends the file under its own name. False when packets are missing in it, or it could not be completed. */
  finish(): boolean {
    if (this.#state === "running") this.#flush();
    if (this.#state === "running" || this.#state === "waiting") this.#end("done");
    const missing = this.#lost - this.#told;
    if (missing > 0)
      this.#options.onNote(`--capture ${this.#file.name}: ${missing} packets were not written`);
    this.#told = this.#lost;
    return this.#state !== "failed" && this.#lost === 0;
  }

  abandon(): void {
    if (this.#state === "running" || this.#state === "waiting") this.#file.abandon();
  }
}
