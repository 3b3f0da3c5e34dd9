/**
 * What may be asked of live ports over their control socket: which intent is in force, and changes of it. Whoever may open
 * the socket may do both. The contract stands in docs/live.md; the edits themselves are checked by the intent room.
 */

import { HttpError, type HttpRequest, jsonAnswer, refusalOf, UnixServer } from "../host/index.ts";
import { EditError, formatIntent, type Intent, type IntentEdit, parseEdit } from "../intent/index.ts";
import type { Edited } from "./live.ts";

/** What the socket speaks for. */
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

/** Answers at `path` until it is closed. Throws SocketError. */
export function startControl(path: string, live: Controlled): Promise<UnixServer> {
  return UnixServer.start({
    path,
    mostBodyBytes: BODY_BYTES_MAX,
    isTaken: "somebody answers there already; give each slash32 live a socket of its own",
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
