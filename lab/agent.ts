/**
 * The program inside a VM of the lab: TCP and UDP over the VM's own stack, controlled by JSON lines on
 * standard input, with JSON lines on standard output. It checks every byte that it receives: the stream is a
 * function of the position, so that neither peer stores it. It runs outside the lab's process: the lab
 * bundles and starts it.
 */
import { createSocket } from "node:dgram";
import { connect, createServer, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { unreachable } from "../src/wire/index.ts";

/** What can be asked. */
export type Order =
  | { readonly op: "serve"; readonly port: number }
  | { readonly op: "fetch"; readonly address: string; readonly port: number; readonly bytes: number }
  | { readonly op: "stream"; readonly address: string; readonly port: number; readonly ms: number }
  | { readonly op: "end" }
  | { readonly op: "sink" }
  | ({ readonly op: "blast" } & Blast);

/** Datagrams to send. */
export interface Blast {
  readonly address: string;
  /** Of payload. */
  readonly bytes: number;
  readonly count: number;
  readonly burst: number;
  readonly everyMs: number;
}

/** What a fetch or a stream came to. */
export interface Received {
  readonly bytes: number;
  readonly seconds: number;
  /** Position of the first wrong byte, -1 when there is none. */
  readonly wrongAt: number;
  /** Longest time in which nothing arrived, in milliseconds. */
  readonly stallMs: number;
  readonly error: string | null;
}

/** RFC 863. */
const DISCARD = 9;
const CHUNK = 65_536;
const PACE_MS = 2;
const PACE_BYTES = 1_000;

/** 64 KiB that look random; each chunk of a stream is these with its number in front. */
const base = Buffer.alloc(CHUNK);
let state = 0x2545f491;
for (let at = 0; at < CHUNK; at += 4) {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  base.writeInt32LE(state | 0, at);
}

function chunk(number: number): Buffer {
  const bytes = Buffer.from(base);
  bytes.writeUInt32BE(number, 0);
  return bytes;
}

/** Compares what arrives with what must arrive. */
class Checker {
  bytes = 0;
  wrongAt = -1;
  #number = -1;
  #expected: Buffer = base;

  push(data: Buffer): void {
    for (let at = 0; at < data.length; ) {
      const number = Math.floor(this.bytes / CHUNK);
      if (number !== this.#number) {
        this.#expected = chunk(number);
        this.#number = number;
      }
      const inChunk = this.bytes % CHUNK;
      const length = Math.min(CHUNK - inChunk, data.length - at);
      const differs = data.compare(this.#expected, inChunk, inChunk + length, at, at + length) !== 0;
      if (differs && this.wrongAt < 0) this.wrongAt = this.bytes;
      this.bytes += length;
      at += length;
    }
  }
}

/** Writes `total` bytes as fast as they are taken. */
function pour(socket: Socket, total: number): void {
  let sent = 0;
  const more = (): void => {
    while (sent < total) {
      const data = chunk(sent / CHUNK).subarray(0, Math.min(CHUNK, total - sent));
      sent += data.length;
      if (!socket.write(data)) return;
    }
    socket.end();
  };
  socket.on("drain", more);
  more();
}

/** Writes a little every two milliseconds, until the other side ends. */
function trickle(socket: Socket): void {
  let sent = 0;
  const timer = setInterval(() => {
    // What waits for a stalled path is not added to.
    if (socket.writableLength > CHUNK) return;
    const inChunk = sent % CHUNK;
    const data = chunk(Math.floor(sent / CHUNK)).subarray(inChunk, Math.min(inChunk + PACE_BYTES, CHUNK));
    sent += data.length;
    socket.write(data);
  }, PACE_MS);
  const stop = (): void => {
    clearInterval(timer);
    socket.destroy();
  };
  socket.on("end", stop);
  socket.on("close", stop);
}

/** A connection says in its first line how many bytes it wants, or "stream". */
function serve(port: number): Promise<object> {
  return new Promise((resolve, reject) => {
    const server = createServer({ allowHalfOpen: true }, socket => {
      socket.setNoDelay(true);
      socket.on("error", () => undefined);
      socket.once("data", (line: Buffer) => {
        const wanted = line.toString().trim();
        if (wanted === "stream") trickle(socket);
        else pour(socket, Number(wanted));
      });
    });
    server.once("error", reject);
    server.listen(port, () => resolve({}));
  });
}

let endStream: () => void = () => undefined;

/** Receives what `serve` sends, until it ends, or `ms` have passed, or "end" is ordered. */
function receive(address: string, port: number, wish: string, ms: number): Promise<Received> {
  return new Promise(resolve => {
    const checker = new Checker();
    const socket = connect({ host: address, port });
    const started = performance.now();
    let last = started;
    let stallMs = 0;
    let isDone = false;
    const mind = (): void => {
      const now = performance.now();
      stallMs = Math.max(stallMs, now - last);
      last = now;
    };
    const done = (error: string | null): void => {
      if (isDone) return;
      isDone = true;
      clearTimeout(timer);
      mind();
      socket.destroy();
      const seconds = (performance.now() - started) / 1000;
      resolve({ bytes: checker.bytes, seconds, wrongAt: checker.wrongAt, stallMs, error });
    };
    const isStream = wish === "stream";
    const timer = setTimeout(() => done(isStream ? null : "not finished in time"), ms);
    endStream = () => done(null);
    socket.on("connect", () => socket.write(`${wish}\n`));
    socket.on("data", data => {
      mind();
      checker.push(data);
    });
    socket.on("error", error => done(error.message));
    socket.on("end", () => done(isStream ? "the server ended the stream" : null));
  });
}

/** Takes datagrams and forgets them, so that nobody is told that nobody listens. */
function sink(): Promise<object> {
  const socket = createSocket("udp4");
  return new Promise((resolve, reject) => {
    socket.once("error", reject);
    socket.bind(DISCARD, () => resolve({}));
  });
}

/** Sends datagrams, `burst` every `everyMs`; a timer that comes late is made up for. */
async function blast({ address, bytes, count, burst, everyMs }: Blast): Promise<object> {
  const socket = createSocket("udp4");
  const payload = base.subarray(0, bytes);
  await new Promise<void>(resolve => socket.connect(DISCARD, address, resolve));
  const started = performance.now();
  for (let sent = 0; sent < count; ) {
    const due = Math.min(count, (Math.floor((performance.now() - started) / everyMs) + 1) * burst);
    const now = Math.min(due, sent + 2 * burst);
    for (; sent < now; sent++) socket.send(payload);
    await new Promise(resolve => setTimeout(resolve, 1));
  }
  const seconds = (performance.now() - started) / 1000;
  await new Promise<void>(resolve => socket.close(resolve));
  return { seconds };
}

const FETCH_MS = 120_000;

async function answer(order: Order): Promise<object> {
  switch (order.op) {
    case "serve":
      return serve(order.port);
    case "fetch":
      return receive(order.address, order.port, String(order.bytes), FETCH_MS);
    case "stream":
      return receive(order.address, order.port, "stream", order.ms);
    case "end":
      endStream();
      return {};
    case "sink":
      return sink();
    case "blast":
      return blast(order);
    default:
      return unreachable(order);
  }
}

createInterface({ input: process.stdin })
  .on("line", async line => {
    const { id, ...order } = JSON.parse(line) as Order & { id: number };
    const result = await answer(order).catch((error: Error) => ({ failed: error.message }));
    process.stdout.write(`${JSON.stringify({ id, result })}\n`);
  })
  .on("close", () => process.exit());
