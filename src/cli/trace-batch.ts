/**
 * `slash32 trace --batch`: a line of JSON in, a line of JSON out, in order and at once, for other programs. Lines are
 * answered as they come, and all answers to one read are written together.
 */
import { createReadStream } from "node:fs";
import { StringDecoder } from "node:string_decoder";
import { ioMessage } from "../capture/index.ts";
import { traceErrorJson } from "../report/index.ts";
import { parseHex } from "../wire/index.ts";
import { print } from "./context.ts";
import { UserError } from "./errors.ts";
import type { Tracer } from "./tracers.ts";

/** Answers that are written at once, in characters. */
const PIECE = 1 << 18;

/** Bytes of a file that are read at once. */
const READ_BYTES = 1 << 18;

/** Traces every line of a file, `-` being standard input. The exit code: 1 when a line was bad. */
export async function traceBatch(tracer: Tracer, file: string): Promise<number> {
  const input: AsyncIterable<Buffer> =
    file === "-" ? process.stdin : createReadStream(file, { highWaterMark: READ_BYTES });
  const batch = new Batch(tracer);
  try {
    for await (const chunk of input) batch.take(chunk);
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(`${file}: ${ioMessage(error)}`);
  }
  batch.end();
  if (batch.answers === 0)
    throw new UserError(`${file === "-" ? "standard input" : file}: is empty; expected lines of JSON`);
  return batch.code;
}

class Batch {
  answers = 0;
  code = 0;
  readonly #tracer: Tracer;
  readonly #decoder = new StringDecoder("utf8");
  readonly #reader: RequestReader;
  #line = 0;
  #rest = "";
  #out = "";

  constructor(tracer: Tracer) {
    this.#tracer = tracer;
    this.#reader = new RequestReader(tracer);
  }

  take(chunk: Buffer): void {
    const text = this.#rest + this.#decoder.write(chunk);
    let start = 0;
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", start)) {
      this.#answer(text.slice(start, end));
      start = end + 1;
    }
    this.#rest = text.slice(start);
    this.#flush();
  }

  end(): void {
    const rest = this.#rest + this.#decoder.end();
    if (rest !== "") this.#answer(rest);
    this.#flush();
  }

  #flush(): void {
    if (this.#out !== "") print(this.#out);
    this.#out = "";
  }

  #answer(text: string): void {
    this.#line++;
    if (text.trim() === "") return;
    this.answers++;
    const request = this.#reader.read(text);
    if (typeof request === "string") {
      this.code = 1;
      this.#out += `${traceErrorJson(this.#line, request)}\n`;
    } else {
      this.#out += `${this.#tracer.line(request.inPort, request.frame)}\n`;
    }
    if (this.#out.length > PIECE) this.#flush();
  }
}

interface Request {
  readonly inPort: number;
  /** Valid until the next request is read. */
  readonly frame: Uint8Array;
}

/** The usual line, which needs no JSON parser. */
const USUAL = /^\{"in_port": ?(\d{1,9}), ?"frame": ?"([0-9a-f]*)"\}\r?$/;

class RequestReader {
  readonly #tracer: Tracer;
  #bytes = Buffer.alloc(1 << 14);

  constructor(tracer: Tracer) {
    this.#tracer = tracer;
  }

  /** The request in a line, or what is wrong with it. */
  read(text: string): Request | string {
    const usual = USUAL.exec(text);
    const hex = usual?.[2] ?? "";
    if (usual === null || hex.length % 2 === 1) return this.#readJson(text);
    const length = hex.length / 2;
    if (length > this.#bytes.length) this.#bytes = Buffer.alloc(2 * length);
    this.#bytes.write(hex, "hex");
    return { inPort: Number(usual[1]), frame: this.#bytes.subarray(0, length) };
  }

  #readJson(text: string): Request | string {
    let request: unknown;
    try {
      request = JSON.parse(text);
    } catch {
      return 'not JSON; expected {"in_port":1,"frame":"hex"}';
    }
    if (typeof request !== "object" || request === null)
      return 'expected an object: {"in_port":1,"frame":"hex"}';
    const { in_port, frame } = request as Record<string, unknown>;
    // In JSON a number is a number: only text can be a name.
    const isNumber =
      Number.isInteger(in_port) && (in_port as number) >= 0 && (in_port as number) <= 0xffffffff;
    const named = typeof in_port === "string" ? this.#tracer.ports.resolve(in_port) : null;
    const inPort = isNumber ? (in_port as number) : named;
    if (inPort === null) return `in_port: ${JSON.stringify(in_port)} is neither a port's name nor a number`;
    if (typeof frame !== "string") return "frame: expected the frame's bytes as text in hex";
    try {
      return { inPort, frame: parseHex(frame) };
    } catch (error) {
      return `frame: ${(error as Error).message}`;
    }
  }
}
