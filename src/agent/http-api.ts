/**
 * HTTP and JSON on a unix socket of mode 0600, as in docs/agent.openapi.json. The socket also prevents a
 * second agent.
 */

import { existsSync } from "node:fs";
import {
  ask,
  HttpError,
  type HttpRequest,
  isAnswered,
  jsonAnswer,
  refusalOf,
  SocketError,
  UnixServer,
} from "../host/index.ts";
import { type Path, parseVm } from "../intent/index.ts";
import { PATHS } from "./admission.ts";
import type { Agent } from "./agent.ts";
import { notFound, RequestError } from "./vm-requests.ts";

const BODY_BYTES_MAX = 65_536;
const ID_MAX = 2 ** 32 - 1;
const HANDOVER_MS = 30_000;
const CODES: Readonly<Record<RequestError["code"], number>> = {
  "bad-request": 400,
  "not-found": 404,
  conflict: 409,
  quarantine: 409,
  jump: 409,
  full: 409,
};

interface Answer {
  readonly status: number;
  readonly body: unknown;
  /** Of a body that is text already; else it is JSON. */
  readonly type?: string;
}

interface Call {
  readonly agent: Agent;
  readonly id: number;
  readonly body: string;
  readonly onHandover: () => void;
}

type Handler = (call: Call) => Answer | Promise<Answer>;

/** A request that is stored and not yet applied is answered by 202. */
const shown = (view: { state: string }): Answer => ({
  status: view.state === "in-step" ? 200 : 202,
  body: view,
});

function vmOfBody({ id, body }: Call) {
  const { vm, errors } = parseVm(body, "body");
  if (vm === null) {
    const [{ line, column, message }] = errors as [(typeof errors)[number]];
    throw new RequestError("bad-request", `body:${line}:${column}: ${message}`);
  }
  if (vm.id !== id)
    throw new RequestError("bad-request", `body: id ${vm.id} differs from the id in the path, ${id}`);
  return vm;
}

function pathOfBody({ body }: Call): Path {
  let path: unknown;
  try {
    path = (JSON.parse(body) as { path?: unknown } | null)?.path;
  } catch {
    throw new RequestError("bad-request", 'body: not valid JSON; expected {"path":"dual-l2"}');
  }
  if (PATHS.includes(path as Path)) return path as Path;
  throw new RequestError(
    "bad-request",
    `path: ${JSON.stringify(path)} is not a path; expected ${PATHS.join(", ")}`,
  );
}

/** By method and path; N stands for a VM's id. */
const HANDLERS: Readonly<Record<string, Handler>> = {
  "GET /v1/vms": async ({ agent }) => {
    await agent.ready();
    return { status: 200, body: agent.vms.list() };
  },
  "GET /v1/vms/N": async ({ agent, id }) => {
    await agent.ready();
    const view = agent.vms.view(id);
    if (view === null) throw notFound(id);
    return { status: 200, body: view };
  },
  "PUT /v1/vms/N": async call => shown(await call.agent.vms.create(vmOfBody(call))),
  "DELETE /v1/vms/N": async ({ agent, id }) => {
    await agent.vms.destroy(id);
    return { status: 200, body: { id, destroyed: true } };
  },
  "PUT /v1/vms/N/path": async call => shown(await call.agent.vms.setPath(call.id, pathOfBody(call))),
  "GET /v1/status": ({ agent }) => ({ status: 200, body: agent.status() }),
  "POST /v1/reconcile": async ({ agent }) => ({ status: 200, body: await agent.request("all") }),
  "POST /v1/handover": ({ onHandover }) => {
    setImmediate(onHandover);
    return { status: 202, body: { handover: true } };
  },
  "GET /metrics": async ({ agent }) => ({
    status: 200,
    type: "text/plain; version=0.0.4",
    body: await agent.metrics(),
  }),
};

/** All endpoints, as method and path. */
export const ROUTES: readonly string[] = Object.keys(HANDLERS).map(key => key.replace("/N", "/{id}"));

/** The methods of a path; N stands for an id. */
const methodsAt = (pattern: string): string[] =>
  Object.keys(HANDLERS).flatMap(key => {
    const [method = "", path] = key.split(" ");
    return path === pattern ? [method] : [];
  });

/** Starts to listen at `path`. Throws SocketError if it cannot, or if another agent listens there. */
export function startServer(agent: Agent, path: string, onHandover: () => void): Promise<UnixServer> {
  return UnixServer.start({
    path,
    mostBodyBytes: BODY_BYTES_MAX,
    isTaken: "another agent uses this socket; stop it, or start with --take-over",
    handle: asked => handle(agent, asked, onHandover),
  });
}

async function handle(agent: Agent, { method, path, body }: HttpRequest, onHandover: () => void) {
  const digits = /^\/v1\/vms\/(\d{1,10})(?=\/|$)/.exec(path)?.[1];
  const id = Number(digits ?? 1);
  const isNone = path.startsWith("/v1/vms/N") || id < 1 || id > ID_MAX;
  const pattern = isNone ? "" : path.replace(`/v1/vms/${digits}`, "/v1/vms/N");
  const handler = HANDLERS[`${method} ${pattern}`];
  if (handler === undefined) throw refusalOf(method, path, methodsAt(pattern));
  try {
    const { status, type, body: said } = await handler({ agent, id, body, onHandover });
    return type === undefined ? jsonAnswer(status, said) : { status, type, body: String(said) };
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    throw new HttpError(CODES[error.code], error.code, error.message);
  }
}

/** Stops the agent that listens at `path`, if there is one, and waits until it has ended. */
export async function takeOver(path: string, withinMs = HANDOVER_MS): Promise<boolean> {
  if (!existsSync(path) || !(await isAnswered(path))) return false;
  const until = performance.now() + withinMs;
  await ask(path, "POST", "/v1/handover", "", withinMs);
  while (existsSync(path) && (await isAnswered(path))) {
    if (performance.now() > until)
      throw new SocketError(`${path}: the agent that uses it did not stop within ${withinMs / 1000} s`);
    await new Promise(resolve => setTimeout(resolve, 10));
  }
  return true;
}
