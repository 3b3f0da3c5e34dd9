/**
 * `slash32 trace --batch`: a line of JSON in, a line of JSON out, in order and at once, for other programs.
 * Lines are answered as they come, and all answers to one read are written together.
 */
import { createReadStream } from "node:fs";
import { ioMessage } from "../capture/index.ts";
import { type EnteringState, NO_STATE } from "../openflow/index.ts";
import { traceErrorJson } from "../report/index.ts";
import { parseHex } from "../wire/index.ts";
import { UserError } from "./errors.ts";
import { Answers } from "./ndjson-writer.ts";
import { givenFlow } from "./trace-flow.ts";
import type { Tracer } from "./tracers.ts";

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
  readonly #reader: RequestReader;
  readonly #out = new Answers();
  #line = 0;
  /** The beginning of a line whose end has not come. */
  #rest: Buffer[] = [];

  constructor(tracer: Tracer) {
    this.#tracer = tracer;
    this.#reader = new RequestReader(tracer);
  }

  take(chunk: Buffer): void {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      if (this.#rest.length === 0) this.#answer(chunk, start, end);
      else this.#answerRest(chunk.subarray(0, end));
      start = end + 1;
    }
    if (start < chunk.length) this.#rest.push(chunk.subarray(start));
    this.#out.flush();
  }

  end(): void {
    if (this.#rest.length > 0) this.#answerRest(Buffer.alloc(0));
    this.#out.flush();
  }

  /** Answers the line that began earlier and ends with `more`. */
  #answerRest(more: Buffer): void {
    const line = Buffer.concat([...this.#rest, more]);
    this.#rest = [];
    this.#answer(line, 0, line.length);
  }

  /** Answers the line `bytes[start … end)`. */
  #answer(bytes: Buffer, start: number, end: number): void {
    this.#line++;
    const request = this.#reader.read(bytes, start, end);
    if (request === null) return;
    this.answers++;
    if (typeof request === "string") {
      this.code = 1;
      this.#out.text(traceErrorJson(this.#line, request));
    } else {
      this.#tracer.write(request.inPort, request.frame, request.state, this.#out);
    }
    this.#out.endLine();
  }
}

interface Request {
  readonly inPort: number;
  /** Valid until the next request is read. */
  readonly frame: Uint8Array;
  readonly state: EnteringState;
}

const NEWLINE = 10;
const RETURN = 13;
const SPACE = 32;
/** More are no 32-bit number for sure. */
const MAX_PORT_DIGITS = 9;

/** What stands around the number and the digits; a space may stand behind a colon or a comma. */
const OPEN = Buffer.from('{"in_port":');
const COMMA = Buffer.from(",");
const FRAME = Buffer.from('"frame":');
const QUOTE = Buffer.from('"');
const CLOSE = Buffer.from('"}');

/** What a digit stands for, -1 for all else; the usual line has no capitals. */
const DIGIT_VALUES = new Int8Array(256).fill(-1);
for (const [value, digit] of Buffer.from("0123456789abcdef").entries()) DIGIT_VALUES[digit] = value;

/** The place behind `literal`, -1 where it does not stand. */
function behind(bytes: Buffer, at: number, literal: Buffer): number {
  for (let i = 0; i < literal.length; i++) if (bytes[at + i] !== literal[i]) return -1;
  return at + literal.length;
}

/** The same with a space that may follow. */
function behindSpaced(bytes: Buffer, at: number, literal: Buffer): number {
  const next = behind(bytes, at, literal);
  return next >= 0 && bytes[next] === SPACE ? next + 1 : next;
}

/** Bytes from digits; false where something else stands. */
function readHex(digits: Buffer, from: number, to: number, bytes: Uint8Array): boolean {
  for (let at = from, i = 0; at < to; at += 2, i++) {
    const value = (DIGIT_VALUES[digits[at]!]! << 4) | DIGIT_VALUES[digits[at + 1]!]!;
    if (value < 0) return false;
    bytes[i] = value;
  }
  return true;
}

class RequestReader {
  readonly #tracer: Tracer;
  #frame = new Uint8Array(1 << 14);
  /** The beginning of #frame, by its length; a view costs more than the bytes. */
  #frames: Uint8Array[] = [];

  constructor(tracer: Tracer) {
    this.#tracer = tracer;
  }

  /** The request in a line, what is wrong with it, or null for a line of nothing but space. */
  read(bytes: Buffer, start: number, end: number): Request | string | null {
    const usual = this.#readUsual(bytes, start, end);
    if (usual !== null) return usual;
    const text = bytes.toString("utf8", start, end);
    return text.trim() === "" ? null : this.#readJson(text);
  }

  /** The usual line, which needs no JSON parser: `{"in_port":1,"frame":"00ff…"}`. */
  #readUsual(bytes: Buffer, start: number, end: number): Request | null {
    const last = bytes[end - 1] === RETURN ? end - 1 : end;
    const number = behindSpaced(bytes, start, OPEN);
    if (number < 0) return null;
    let at = number;
    let inPort = 0;
    for (let digit = DIGIT_VALUES[bytes[at]!]!; digit >= 0 && digit < 10; digit = DIGIT_VALUES[bytes[++at]!]!)
      inPort = 10 * inPort + digit;
    if (at === number || at - number > MAX_PORT_DIGITS) return null;
    at = behindSpaced(bytes, at, COMMA);
    if (at >= 0) at = behindSpaced(bytes, at, FRAME);
    if (at >= 0) at = behind(bytes, at, QUOTE);
    const stop = last - CLOSE.length;
    if (at < 0 || stop < at || (stop - at) % 2 === 1 || behind(bytes, stop, CLOSE) < 0) return null;
    const length = (stop - at) / 2;
    if (length > this.#frame.length) {
      this.#frame = new Uint8Array(2 * length);
      this.#frames = [];
    }
    if (!readHex(bytes, at, stop, this.#frame)) return null;
    return { inPort, frame: this.#firstBytes(length), state: NO_STATE };
  }

  #firstBytes(length: number): Uint8Array {
    this.#frames[length] ??= this.#frame.subarray(0, length);
    return this.#frames[length];
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
    const { in_port, frame, state = "" } = request as Record<string, unknown>;
    // In JSON a number is a number: only text can be a name.
    const isNumber =
      Number.isInteger(in_port) && (in_port as number) >= 0 && (in_port as number) <= 0xffffffff;
    const named = typeof in_port === "string" ? this.#tracer.ports.resolve(in_port) : null;
    const inPort = isNumber ? (in_port as number) : named;
    if (inPort === null) return `in_port: ${JSON.stringify(in_port)} is not a port name or number`;
    if (typeof frame !== "string") return "frame: expected the frame's bytes as text in hex";
    if (typeof state !== "string") return 'state: expected text, such as "tun_id=0x64,pkt_mark=1"';
    try {
      return { inPort, frame: parseHex(frame), state: this.#stateOf(state) };
    } catch (error) {
      return error instanceof UserError ? error.message : `frame: ${(error as Error).message}`;
    }
  }

  #stateOf(text: string): EnteringState {
    if (text === "") return NO_STATE;
    const { inPort, state, frame } = givenFlow(text, this.#tracer.ports);
    if (inPort !== null || frame !== null)
      throw new UserError(
        'state: expected fields other than in_port and packet fields, such as "tun_id=0x64"',
      );
    return state;
  }
}
