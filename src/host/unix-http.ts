/**
 * HTTP and JSON on a unix socket that only its owner may open (0600), and requests to one: what live ports and the agent
 * have in common. The socket also keeps a second process from answering in the same place. Who may ask what is not here.
 */
import { UserError } from "../errors/index.ts";
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

/** The socket cannot be had: one line for a person. */
export class SocketError extends UserError {
  override readonly name = "SocketError";
}

/** A request that is answered with a status other than 200. */
export class HttpError extends UserError {
  override readonly name = "HttpError";
  readonly status: number;
  readonly code: string;
  /** Of 405: what is answered at this path. */
  readonly allow: readonly string[];

  constructor(status: number, code: string, message: string, allow: readonly string[] = []) {
    super(message);
    this.status = status;
    this.code = code;
    this.allow = allow;
  }
}

/**
 * The methods of a path in the order of an Allow header: where there is GET there is HEAD, which is GET without its body.
 * RFC 9110, 9.3.2 and 10.2.1.
 */
export function allowed(methods: readonly string[]): string[] {
  return methods.flatMap(method => (method === "GET" ? ["GET", "HEAD"] : [method]));
}

/** Nothing is at a path, or something that does not take this method (RFC 9110, 15.5.5 and 15.5.6). */
export function refusalOf(method: string, path: string, methods: readonly string[]): HttpError {
  if (methods.length === 0) return new HttpError(404, "not-found", `there is no ${path}`);
  const allow = allowed(methods);
  const message = `${path} does not take ${method}; expected ${allow.join(", ")}`;
  return new HttpError(405, "method-not-allowed", message, allow);
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
  return { status, type: "application/json", body: `${harmlessJson(JSON.stringify(body))}\n` };
}

/** What a terminal would act upon and JSON.stringify leaves as it is: DEL and C1 controls, direction marks, separators. */
const ACTED_UPON = /[\u007f-\u009f\p{Cf}\p{Zl}\p{Zp}]/gu;

/** The same JSON with such characters as escapes. */
export function harmlessJson(json: string): string {
  return json.replace(ACTED_UPON, sign =>
    [...Array(sign.length).keys()]
      .map(at => `\\u${sign.charCodeAt(at).toString(16).padStart(4, "0")}`)
      .join(""),
  );
}

export interface UnixServerOptions {
  readonly path: string;
  readonly mostBodyBytes: number;
  /** Said when somebody answers at the path already, as a whole sentence about it. */
  readonly isTaken: string;
  /** Throws HttpError; what else it throws is answered with 503. */
  readonly handle: (asked: HttpRequest) => HttpAnswer | Promise<HttpAnswer>;
}

/** What an address of AF_UNIX holds, unix(7); the kernel is given the beginning of a longer one. */
const PATH_BYTES_MAX = 107;
/** Connections that are still open when it ends are given this long. */
const LAST_ANSWERS_MS = 100;

export class UnixServer {
  readonly #options: UnixServerOptions;
  #server: Server;
  /** The socket's own number: at its path there may be another's by now. */
  #inode: number | null = null;

  private constructor(options: UnixServerOptions) {
    this.#options = options;
    this.#server = this.#make();
  }

  #make(): Server {
    const server = createServer((message, response) => void this.#answer(message, response));
    // Some only want to hear when it ends, and ask nothing.
    server.headersTimeout = 0;
    server.requestTimeout = 0;
    // A connection that cannot be taken (no descriptor is left) is its caller's trouble, and ends nothing else.
    server.on("error", () => undefined);
    return server;
  }

  /** Begins to answer. Throws SocketError when it cannot, or when somebody else answers there. */
  static async start(options: UnixServerOptions): Promise<UnixServer> {
    const { path } = options;
    if (Buffer.byteLength(path) > PATH_BYTES_MAX)
      throw new SocketError(`${path}: is too long for a socket; ${PATH_BYTES_MAX} bytes at most`);
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
   * Makes the socket anew when somebody removed it: nobody could ask any more, and a second process could begin beside this.
   * False: that has happened, the socket is another's by now. Rejects with SocketError when it cannot be made.
   */
  async keep(): Promise<boolean> {
    const inode = inodeOf(this.#options.path);
    if (inode !== null) return inode === this.#inode;
    this.#server.close();
    this.#server = this.#make();
    await this.#listen();
    return true;
  }

  /** Ends; the socket is gone as soon as nobody is answered any more, and may be another's when it resolves. */
  async close(): Promise<void> {
    const { path } = this.#options;
    const inode = inodeOf(path);
    const isOthers = inode !== null && inode !== this.#inode;
    // What ends here removes whatever is at its path.
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
      // To HEAD Node sends no body, whatever it is given.
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
      // What is left of a body that is too large is not read.
      if (status === 413) headers.connection = "close";
      send(jsonAnswer(status, { code, message: (error as Error).message }), headers);
    }
  }
}

/** How much of a body that is too large is read on, so that its sender comes to read the answer. */
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

/** Removes a socket that nobody answers at. Throws SocketError when somebody does, and for what is no socket. */
async function clearPath(path: string, isTaken: string): Promise<void> {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return;
  if (!stats.isSocket()) throw new SocketError(`${path}: is there and is no socket; it is not removed`);
  if (await isAnswered(path)) throw new SocketError(`${path}: ${isTaken}`);
  unlinkSync(path);
}

/** What connect(2) says where nobody listens. */
const NOBODY = new Set(["ECONNREFUSED", "ENOENT", "ENOTSOCK"]);

/** Whether somebody listens at a socket; one who is too busy to take a connection does. */
export function isAnswered(path: string): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(!NOBODY.has(error.code ?? "")));
  });
}

/** One request to a socket; what was answered. Rejects with SocketError, also when nothing is said for `withinMs`; 0: never. `connections` are used again; false: one for each. */
export function ask(
  path: string,
  method: string,
  target: string,
  body = "",
  withinMs = 0,
  connections: Agent | false = false,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath: path, method, path: target, agent: connections }, response => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.once("error", error => reject(new SocketError(`${path}: ${error.message}`)));
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString("utf8") }),
      );
    });
    asked.setTimeout(withinMs, () => asked.destroy(new Error(`no answer within ${withinMs / 1000} s`)));
    asked.once("error", error => reject(new SocketError(`${path}: ${error.message}`)));
    asked.end(body);
  });
}
