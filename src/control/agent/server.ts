/**
 * HTTP and JSON on a unix socket that only its owner may open (0600): create, destroy, path, list, and what goes on. The
 * contract is docs/agent.openapi.json. The socket is also what keeps a second agent from starting beside the first.
 */
import { chmodSync, existsSync, unlinkSync } from "node:fs";
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import { connect } from "node:net";
import { type Path, parseVm } from "../../intent/index.ts";
import { PATHS } from "./admission.ts";
import { type Agent, RequestError } from "./agent.ts";

/** The socket cannot be had: one line for a person. */
export class SocketError extends Error {
  override readonly name = "SocketError";
}

const BODY_BYTES_MAX = 65_536;
const ID_MAX = 2 ** 32 - 1;
const HANDOVER_MS = 30_000;
const CODES: Readonly<Record<RequestError["code"], number>> = {
  "bad-request": 400,
  "not-found": 404,
  conflict: 409,
  quarantine: 409,
  jump: 409,
};

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

interface Call {
  readonly agent: Agent;
  readonly id: number;
  readonly body: string;
  readonly onHandover: () => void;
}

type Handler = (call: Call) => Answer | Promise<Answer>;

/** Accepted and written down, but not in step yet, is 202. */
const shown = (view: { state: string }): Answer => ({
  status: view.state === "in-step" ? 200 : 202,
  body: view,
});

function vmOfBody({ id, body }: Call) {
  const { vm, errors } = parseVm(body, "body");
  if (vm === null) {
    const [{ line, col, message }] = errors as [(typeof errors)[number]];
    throw new RequestError("bad-request", `body:${line}:${col}: ${message}`);
  }
  if (vm.id !== id) throw new RequestError("bad-request", `the body is VM ${vm.id}, the address VM ${id}`);
  return vm;
}

function pathOfBody({ body }: Call): Path {
  let path: unknown;
  try {
    path = (JSON.parse(body) as { path?: unknown } | null)?.path;
  } catch {
    throw new RequestError("bad-request", 'the body is no JSON; {"path":"dual-l2"} would be right');
  }
  if (PATHS.includes(path as Path)) return path as Path;
  throw new RequestError("bad-request", `path: ${PATHS.join(", ")} would be right`);
}

/** Method and path, N standing for a VM's id. */
const HANDLERS: Readonly<Record<string, Handler>> = {
  "GET /v1/vms": ({ agent }) => ({ status: 200, body: agent.list() }),
  "GET /v1/vms/N": ({ agent, id }) => {
    const view = agent.view(id);
    if (view === null) throw new RequestError("not-found", `there is no VM ${id}`);
    return { status: 200, body: view };
  },
  "PUT /v1/vms/N": async call => shown(await call.agent.create(vmOfBody(call))),
  "DELETE /v1/vms/N": async ({ agent, id }) => {
    await agent.destroy(id);
    return { status: 200, body: { id, destroyed: true } };
  },
  "PUT /v1/vms/N/path": async call => shown(await call.agent.setPath(call.id, pathOfBody(call))),
  "GET /v1/status": ({ agent }) => ({ status: 200, body: agent.status() }),
  "POST /v1/reconcile": async ({ agent }) => ({ status: 200, body: await agent.request("all") }),
  "POST /v1/handover": ({ onHandover }) => {
    setImmediate(onHandover);
    return { status: 202, body: { handover: true } };
  },
};

async function bodyOf(message: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of message as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > BODY_BYTES_MAX)
      throw new RequestError("bad-request", `a body has at most ${BODY_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

export class AgentServer {
  readonly #agent: Agent;
  readonly #path: string;
  readonly #onHandover: () => void;
  readonly #server: Server;

  private constructor(agent: Agent, path: string, onHandover: () => void) {
    this.#agent = agent;
    this.#path = path;
    this.#onHandover = onHandover;
    this.#server = createServer((message, response) => void this.#answer(message, response));
  }

  /** Begins to answer at `path`. Throws SocketError when it cannot, or when another agent answers there. */
  static async start(agent: Agent, path: string, onHandover: () => void): Promise<AgentServer> {
    await clearPath(path);
    const server = new AgentServer(agent, path, onHandover);
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

  /** Ends; the socket is gone when it resolves. */
  async close(): Promise<void> {
    const closed = new Promise<void>(resolve => this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    setTimeout(() => this.#server.closeAllConnections(), 100).unref();
    await closed;
    if (existsSync(this.#path)) unlinkSync(this.#path);
  }

  async #answer(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const send = (status: number, type: string, text: string): void => {
      response.writeHead(status, { "content-type": type }).end(text);
    };
    const json = ({ status, body }: Answer): void =>
      send(status, "application/json", `${JSON.stringify(body)}\n`);
    try {
      const path = (message.url ?? "").replace(/\?.*$/, "");
      if (path === "/metrics") return send(200, "text/plain; version=0.0.4", await this.#agent.metrics());
      const digits = /^\/v1\/vms\/(\d{1,10})(?=\/|$)/.exec(path)?.[1] ?? "0";
      const id = Number(digits);
      const handler = HANDLERS[`${message.method} ${path.replace(`/v1/vms/${digits}`, "/v1/vms/N")}`];
      if (handler === undefined || id > ID_MAX)
        throw new RequestError("not-found", `there is no ${message.method} ${path}`);
      const body = await bodyOf(message);
      json(await handler({ agent: this.#agent, id, body, onHandover: this.#onHandover }));
    } catch (error) {
      const code = error instanceof RequestError ? error.code : "unavailable";
      const status = error instanceof RequestError ? CODES[error.code] : 503;
      json({ status, body: { code, message: (error as Error).message } });
    }
  }
}

/** Removes a socket that nobody answers at. Throws SocketError when somebody does, or when it is no socket of ours. */
async function clearPath(path: string): Promise<void> {
  if (!existsSync(path)) return;
  if (await isAnswered(path))
    throw new SocketError(`${path}: an agent answers there already; --take-over has it hand over`);
  unlinkSync(path);
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

/** One request to an agent's socket; what it answered. */
export function ask(
  path: string,
  method: string,
  target: string,
  body = "",
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath: path, method, path: target, agent: false }, response => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        text += chunk;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
    });
    asked.once("error", error => reject(new SocketError(`${path}: ${error.message}`)));
    asked.end(body);
  });
}

/** Has the agent that answers at `path`, if one does, end after its round, and waits until it has. */
export async function takeOver(path: string): Promise<boolean> {
  if (!existsSync(path) || !(await isAnswered(path))) return false;
  await ask(path, "POST", "/v1/handover");
  const until = performance.now() + HANDOVER_MS;
  while (existsSync(path) && (await isAnswered(path))) {
    if (performance.now() > until)
      throw new SocketError(`${path}: the agent there did not end within ${HANDOVER_MS / 1000} s`);
    await new Promise(resolve => setTimeout(resolve, 10));
  }
  return true;
}
