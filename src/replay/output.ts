/**
 * The captures being written: headers and the core's output areas go to their sinks. There is one interface for each
 * port of the intent, in the order of the numbers; the drops have one more for each other number given with `-r` or `-i`.
 */
import * as abi from "../../assembly/abi.ts";
import { commentOption, pcapHeader, pcapngHeader, type Sink } from "../capture/index.ts";
import { type Core, REASONS } from "../core/index.ts";
import type { Timescale } from "./timescale.ts";

/** Whether a name ends in `.pcap` or `.pcap.gz`; all other names are written as pcapng. */
export function isPcapName(name: string): boolean {
  return /\.pcap(\.gz)?$/.test(name);
}

export class Output {
  readonly #core: Core;
  readonly #area: number;
  readonly #names: readonly string[];
  readonly #sink: Sink | null;
  readonly #isPcap: boolean;
  #bytesWritten = 0;

  /** `area` is abi.OUTPUT or abi.DROPS; without a sink nothing is written. */
  constructor(core: Core, area: number, names: readonly string[], sink: Sink | null) {
    this.#core = core;
    this.#area = area;
    this.#names = names;
    this.#sink = sink;
    this.#isPcap = sink !== null && isPcapName(sink.name);
  }

  get format(): abi.OutputFormat {
    if (this.#sink === null) return abi.OutputFormat.None;
    return this.#isPcap ? abi.OutputFormat.Pcap : abi.OutputFormat.PcapNg;
  }

  /** Whether two threads may write it, and the file descriptor (null: nothing is written). */
  get shared(): { readonly isPossible: boolean; readonly fd: number | null } {
    const fd = this.#sink?.fd ?? null;
    return { isPossible: this.#sink === null || fd !== null, fd };
  }

  /** Writes a file header, or, in the middle of a pcapng, a new section with other timestamps. */
  begin({ resolution, base }: Timescale): void {
    if (this.#isPcap && this.#bytesWritten > 0) return;
    this.#write(
      this.#isPcap ? pcapHeader(resolution > 6 ? 9 : 6) : pcapngHeader(this.#names, resolution, base),
    );
  }

  /** Writes the first `bytes` bytes of the area. */
  flush(bytes: number): void {
    this.#write(this.#core.bytes.subarray(this.#area, this.#area + bytes));
  }

  #write(bytes: Uint8Array): void {
    if (this.#sink === null || bytes.length === 0) return;
    this.#sink.write(bytes);
    this.#bytesWritten += bytes.length;
  }

  finish(): void {
    this.#sink?.finish();
  }

  abandon(): void {
    this.#sink?.abandon();
  }
}

/** Writes the comments of dropped packets (the drop reasons) to the core's memory. */
export function setReasonComments(core: Core): void {
  REASONS.forEach((reason, index) => {
    const at = abi.REASON_OPTIONS + index * abi.REASON_OPTIONS_BYTES;
    const options = commentOption(reason);
    core.words[at >>> 2] = options.length;
    core.bytes.set(options, at + 4);
  });
}
