/**
 * A capture of what passes live ports: every frame as it came in, the verdict in its comment, and as it left, each on the
 * interface of its port with its direction (pcapng's epb_flags). Written from the mirror in the main thread.
 */
import { directionOptions, pcapngHeader, pcapngPacketWith, Sink } from "../capture/index.ts";
import { REASONS, VERDICTS } from "../core/index.ts";
import type { Mirrored } from "./mirror.ts";

const MICROSECONDS = 6;
/** Bytes gathered before they are written. */
const CHUNK_BYTES = 256 * 1024;

export class PassingCapture {
  readonly #sink: Sink;
  #interfaces = new Map<number, number>();
  #names = new Map<number, string>();
  readonly #options = new Map<string, Uint8Array>();
  #pieces: Uint8Array[] = [];
  #bytes = 0;
  /** Packets written. */
  count = 0;

  /** Throws SinkError. */
  constructor(name: string) {
    this.#sink = new Sink(name);
  }

  /** Begins a section: the ports, by number in the order of their interfaces, and their names. */
  begin(ports: ReadonlyMap<number, string>): void {
    this.#names = new Map(ports);
    this.#interfaces = new Map([...ports.keys()].map((port, index) => [port, index]));
    this.#options.clear();
    this.#put(pcapngHeader([...ports.values()], MICROSECONDS));
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
    const key = `${direction} ${comment}`;
    let options = this.#options.get(key);
    if (options === undefined) {
      options = directionOptions(comment, direction);
      this.#options.set(key, options);
    }
    this.#put(pcapngPacketWith(index, time, frame, options));
    this.count++;
  }

  #put(bytes: Uint8Array): void {
    this.#pieces.push(bytes);
    this.#bytes += bytes.length;
    if (this.#bytes >= CHUNK_BYTES) this.#flush();
  }

  #flush(): void {
    this.#sink.write(Buffer.concat(this.#pieces));
    this.#pieces = [];
    this.#bytes = 0;
  }

  /** Ends the file under its own name. Throws SinkError. */
  finish(): void {
    this.#flush();
    this.#sink.finish();
  }

  abandon(): void {
    this.#sink.abandon();
  }
}
