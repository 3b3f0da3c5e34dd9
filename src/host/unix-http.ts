/**
 * HTTP and JSON on a unix socket that only its owner can open (mode 0600): a server, and requests to one, for
 * live ports and the agent. The socket also prevents a second process from serving at the same path. Paths
 * and methods belong to the callers. RFC 9110; unix(7).
 */

import { chmodSync, lstatSync, renameSync, unlinkSync } from "node:fs";
import {
  type Agent,
  createServer,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from "node:http";
import { connect } from "node:net";
import { UserError } from "../errors/index.ts";

/** A socket cannot be opened or used: one line for the user. */
export class SocketError extends UserError {
  override readonly name = "SocketError";
}

/** A request that gets a status other than 200. */
export class HttpError extends UserError {
  override readonly name = "HttpError";
  readonly status: number;
  readonly code: string;
  /** For 405: the methods of this path. */
  readonly allow: readonly string[];

  constructor(status: number, code: string, message: string, allow: readonly string[] = []) {
    super(message);
    this.status = status;
    this.code = code;
    this.allow = allow;
  }
}

/** The methods of a path for an Allow header: GET implies HEAD. RFC 9110, 9.3.2 and 10.2.1. */
function allowed(methods: readonly string[]): string[] {
  return methods.flatMap(method => (method === "GET" ? ["GET", "HEAD"] : [method]));
}

/** The error for an unknown path, or for a method that the path lacks (RFC 9110, 15.5.5 and 15.5.6). */
export function refusalOf(method: string, path: string, methods: readonly string[]): HttpError {
  if (methods.length === 0) return new HttpError(404, "not-found", `there is no ${path}`);
  const allow = allowed(methods);
  const message = `${path} does not take ${method}; expected ${allow.join(", ")}`;
  return new HttpError(405, "method-not-allowed", message, allow);
}

export interface HttpRequest {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly body: string;
}

/** A response; `body` is sent as it is. */
export interface HttpAnswer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

/** A response with JSON, in one line. */
export function jsonAnswer(status: number, body: unknown): HttpAnswer {
  return { status, type: "application/json", body: `${harmlessJson(JSON.stringify(body))}\n` };
}

/**
 * Characters that affect a terminal and that JSON.stringify does not escape: DEL, C1, format and separators.
 */
const TERMINAL_CONTROLS = /[\u007f-\u009f\p{Cf}\p{Zl}\p{Zp}]/gu;

/** The same JSON with these characters escaped. */
export function harmlessJson(json: string): string {
  return json.replace(TERMINAL_CONTROLS, sign =>
    [...Array(sign.length).keys()]
      .map(at => `\\u${sign.charCodeAt(at).toString(16).padStart(4, "0")}`)
      .join(""),
  );
}

export interface UnixServerOptions {
  readonly path: string;
  readonly mostBodyBytes: number;
  /** The message if another process already serves at the path. */
  readonly isTaken: string;
  /** Throws HttpError; any other error becomes status 503. */
  readonly handle: (request: HttpRequest) => HttpAnswer | Promise<HttpAnswer>;
}

/** Length of an AF_UNIX address, unix(7); a longer one would be cut off. */
const PATH_BYTES_MAX = 107;
/** Time that open connections have to finish when the server closes. */
const LAST_ANSWERS_MS = 100;

export class UnixServer {
  readonly #options: UnixServerOptions;
  #server: Server;
  /** Inode of the server's own socket; another process may have replaced it at the path. */
  #inode: number | null = null;

  private constructor(options: UnixServerOptions) {
    this.#options = options;
    this.#server = this.#make();
  }

  #make(): Server {
    const server = createServer((message, response) => void this.#answer(message, response));
    // A peer may hold an idle connection to notice the end of the server.
    server.headersTimeout = 0;
    server.requestTimeout = 0;
    // A connection that cannot be accepted (no file descriptor is left) must not end the process.
    server.on("error", () => undefined);
    return server;
  }

  /** Starts to serve. Throws SocketError if it cannot, or if another process serves there. */
  static async start(options: UnixServerOptions): Promise<UnixServer> {
    const { path } = options;
    if (Buffer.byteLength(path) > PATH_BYTES_MAX)
      throw new SocketError(
        `${path}: the path is too long for a socket; expected at most ${PATH_BYTES_MAX} bytes`,
      );
    await clearPath(path, options.isTaken);
    const server = new UnixServer(options);
    await server.#listen();
    return server;
  }

  async #listen(): Promise<void> {
    const { path } = this.#options;
    const before = process.umask(0o177);
    try {
      await new Promise<void>((resolve, reject) => {
        this.#server.once("error", (error: Error) => reject(new SocketError(`${path}: ${error.message}`)));
        this.#server.listen(path, resolve);
      });
      chmodSync(path, 0o600);
    } finally {
      process.umask(before);
    }
    this.#inode = inodeOf(path);
  }

  /**
   * Makes the socket again if it was removed: no client could connect, and a second process could start.
   * Returns false if that has happened: another process has a socket at the path. Rejects with SocketError if
   * it cannot make it.
   */
  async keep(): Promise<boolean> {
    const inode = inodeOf(this.#options.path);
    if (inode !== null) return inode === this.#inode;
    this.#server.close();
    this.#server = this.#make();
    await this.#listen();
    return true;
  }

  /** Closes the server and removes its socket, but not the socket of another process at the same path. */
  async close(): Promise<void> {
    const { path } = this.#options;
    const inode = inodeOf(path);
    const isOthers = inode !== null && inode !== this.#inode;
    // Server.close() unlinks whatever is at the path: move the socket of another process aside first.
    const aside = `${path}.${process.pid}`;
    if (isOthers) renameSync(path, aside);
    const closed = new Promise<void>(resolve => this.#server.close(() => resolve()));
    if (isOthers) renameSync(aside, path);
    this.#server.closeIdleConnections();
    setTimeout(() => this.#server.closeAllConnections(), LAST_ANSWERS_MS).unref();
    await closed;
  }

  async #answer(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const send = (
      { status, type, body }: HttpAnswer,
      headers: Readonly<Record<string, string>> = {},
    ): void => {
      const length = Buffer.byteLength(body);
      // Node sends no body in response to HEAD.
      response.writeHead(status, { "content-type": type, "content-length": length, ...headers }).end(body);
    };
    try {
      const path = (message.url ?? "").replace(/\?.*$/, "");
      const body = await bodyOf(message, this.#options.mostBodyBytes);
      const method = message.method === "HEAD" ? "GET" : (message.method ?? "");
      send(await this.#options.handle({ method, path, body }));
    } catch (error) {
      const isOurs = error instanceof HttpError;
      const { status, code } = isOurs ? error : { status: 503, code: "unavailable" };
      const headers: Record<string, string> = {};
      if (isOurs && error.allow.length > 0) headers.allow = error.allow.join(", ");
      // The rest of a body that is too large is not read.
      if (status === 413) headers.connection = "close";
      send(jsonAnswer(status, { code, message: (error as Error).message }), headers);
    }
  }
}

/**
 * Bytes of a body that is too large that are read and discarded, so that its sender gets to read the
 * response.
 */
const DISCARDED_BYTES = 16 * 1024 * 1024;

/** Throws HttpError for a body that is too large (RFC 9110, 15.5.14). */
async function bodyOf(message: IncomingMessage, most: number): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  await new Promise<void>((resolve, reject) => {
    message.once("error", reject);
    message.once("end", resolve);
    message.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= most) chunks.push(chunk);
      else chunks.length = 0;
      if (bytes > most + DISCARDED_BYTES) resolve();
    });
  });
  if (bytes > most)
    throw new HttpError(413, "too-large", `the body is too large; expected at most ${most} bytes`);
  return Buffer.concat(chunks).toString("utf8");
}

const inodeOf = (path: string): number | null => lstatSync(path, { throwIfNoEntry: false })?.ino ?? null;

/** Removes a socket without a listener. Throws SocketError if it has one, or if the file is not a socket. */
async function clearPath(path: string, isTaken: string): Promise<void> {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return;
  if (!stats.isSocket())
    throw new SocketError(`${path}: the file exists and is not a socket; remove it, or choose another path`);
  if (await isAnswered(path)) throw new SocketError(`${path}: ${isTaken}`);
  unlinkSync(path);
}

/** Errors of connect(2) without a listener. */
const NO_LISTENER = new Set(["ECONNREFUSED", "ENOENT", "ENOTSOCK"]);

/** Whether a process listens at a socket, including one that is too busy to accept a connection. */
export function isAnswered(path: string): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(!NO_LISTENER.has(error.code ?? "")));
  });
}

/**
 * Sends one request to a socket and returns the response. Rejects with SocketError, also after `withinMs`
 * without data (0: no limit). `connections`: a pool to reuse; false: one connection per request.
 */
export function ask(
  path: string,
  method: string,
  target: string,
  body = "",
  withinMs = 0,
  connections: Agent | false = false,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath: path, method, path: target, agent: connections }, response => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.once("error", error => reject(new SocketError(`${path}: ${error.message}`)));
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString("utf8") }),
      );
    });
    sent.setTimeout(withinMs, () => sent.destroy(new Error(`no answer within ${withinMs / 1000} s`)));
    sent.once("error", error => reject(new SocketError(`${path}: ${error.message}`)));
    sent.end(body);
  });
}
