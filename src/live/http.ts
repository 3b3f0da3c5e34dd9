/**
 * HTTP and JSON on a unix socket that only its owner may open (0600), and requests to one: what live ports and the agent
 * have in common. The socket also keeps a second process from answering in the same place. Who may ask what is not here.
 */
import { chmodSync, existsSync, unlinkSync } from "node:fs";
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import { connect } from "node:net";

/** The socket cannot be had: one line for a person. */
export class SocketError extends Error {
  override readonly name = "SocketError";
}

/** A request that is answered with a status other than 200. */
export class HttpError extends Error {
  override readonly name = "HttpError";
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export interface HttpRequest {
  readonly method: string;
  /** Without what follows a question mark. */
  readonly path: string;
  readonly body: string;
}

/** What is sent; `body` is text already. */
export interface HttpAnswer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

/** An answer of JSON, in one line. */
export function jsonAnswer(status: number, body: unknown): HttpAnswer {
  return { status, type: "application/json", body: `${JSON.stringify(body)}\n` };
}

export interface UnixServerOptions {
  readonly path: string;
  readonly mostBodyBytes: number;
  /** Said when somebody answers at the path already, as a whole sentence about it. */
  readonly isTaken: string;
  /** Throws HttpError; what else it throws is answered with 503. */
  readonly handle: (asked: HttpRequest) => HttpAnswer | Promise<HttpAnswer>;
}

/** Connections that are still open when it ends are given this long. */
const LAST_ANSWERS_MS = 100;

export class UnixServer {
  readonly #options: UnixServerOptions;
  readonly #server: Server;

  private constructor(options: UnixServerOptions) {
    this.#options = options;
    this.#server = createServer((message, response) => void this.#answer(message, response));
    // Some only want to hear when it ends, and ask nothing.
    this.#server.headersTimeout = 0;
    this.#server.requestTimeout = 0;
  }

  /** Begins to answer. Throws SocketError when it cannot, or when somebody else answers there. */
  static async start(options: UnixServerOptions): Promise<UnixServer> {
    const { path } = options;
    await clearPath(path, options.isTaken);
    const server = new UnixServer(options);
    const before = process.umask(0o177);
    try {
      await new Promise<void>((resolve, reject) => {
        server.#server.once("error", (error: Error) => reject(new SocketError(`${path}: ${error.message}`)));
        server.#server.listen(path, resolve);
      });
      chmodSync(path, 0o600);
    } finally {
      process.umask(before);
    }
    return server;
  }

  /** Ends; the socket is gone as soon as nobody is answered any more, and may be another's when it resolves. */
  async close(): Promise<void> {
    const closed = new Promise<void>(resolve => this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    setTimeout(() => this.#server.closeAllConnections(), LAST_ANSWERS_MS).unref();
    await closed;
  }

  async #answer(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const send = ({ status, type, body }: HttpAnswer): void => {
      response.writeHead(status, { "content-type": type }).end(body);
    };
    try {
      const path = (message.url ?? "").replace(/\?.*$/, "");
      const body = await bodyOf(message, this.#options.mostBodyBytes);
      send(await this.#options.handle({ method: message.method ?? "", path, body }));
    } catch (error) {
      const { status, code } = error instanceof HttpError ? error : { status: 503, code: "unavailable" };
      send(jsonAnswer(status, { code, message: (error as Error).message }));
    }
  }
}

async function bodyOf(message: IncomingMessage, most: number): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of message as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > most) throw new HttpError(400, "bad-request", `a body has at most ${most} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** Removes a socket that nobody answers at. Throws SocketError when somebody does. */
async function clearPath(path: string, isTaken: string): Promise<void> {
  if (!existsSync(path)) return;
  if (await isAnswered(path)) throw new SocketError(`${path}: ${isTaken}`);
  unlinkSync(path);
}

/** Whether somebody listens at a socket. */
export function isAnswered(path: string): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

/** One request to a socket; what was answered. Rejects with SocketError. */
export function ask(
  path: string,
  method: string,
  target: string,
  body = "",
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath: path, method, path: target, agent: false }, response => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.once("error", error => reject(new SocketError(`${path}: ${error.message}`)));
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString("utf8") }),
      );
    });
    asked.once("error", error => reject(new SocketError(`${path}: ${error.message}`)));
    asked.end(body);
  });
}
