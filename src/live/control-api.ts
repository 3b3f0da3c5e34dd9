/**
 * Requests to live ports over their control socket: the intent in force, and changes of it. Whoever can open
 * the socket may do both. docs/live.md has the contract; the intent module checks the edits.
 */

import { HttpError, type HttpRequest, jsonAnswer, refusalOf, UnixServer } from "../host/index.ts";
import { EditError, formatIntent, type Intent, type IntentEdit, parseEdit } from "../intent/index.ts";
import type { Edited } from "./live.ts";

/** The live ports behind the socket. */
export interface Controlled {
  readonly intent: Intent;
  /** Throws EditError. */
  edit(edit: IntentEdit): Promise<Edited>;
}

/** A million routes are some 70 MB. */
const BODY_BYTES_MAX = 128 * 1024 * 1024;
const PATH = "/v1/intent";
const METHODS: readonly string[] = ["GET", "PATCH"];
const STATUS: Readonly<Record<EditError["code"], number>> = { bad: 400, conflict: 409, full: 409 };

/** Serves at `path` until it is closed. Throws SocketError. */
export function startControl(path: string, live: Controlled): Promise<UnixServer> {
  return UnixServer.start({
    path,
    mostBodyBytes: BODY_BYTES_MAX,
    isTaken: "another process serves this socket; give each slash32 live its own --control",
    handle: asked => handle(asked, live),
  });
}

async function handle({ method, path, body }: HttpRequest, live: Controlled) {
  const methods = path === PATH ? METHODS : [];
  if (!methods.includes(method)) throw refusalOf(method, path, methods);
  if (method === "GET")
    return { status: 200, type: "application/json", body: formatIntent(live.intent) } as const;
  try {
    return jsonAnswer(200, await live.edit(parseEdit(body)));
  } catch (error) {
    if (!(error instanceof EditError)) throw error;
    throw new HttpError(STATUS[error.code], error.code, error.message);
  }
}
