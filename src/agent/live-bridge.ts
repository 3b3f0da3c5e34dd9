/**
 * Live ports (`slash32 live --control SOCKET`) in the place of a bridge: what is there is the flows that the intent in force
 * compiles to, and what is written are its VMs and routes. A VM is written whole, since its name, port and MTU stand in no
 * flow. Label, MACs and uplink are what the live ports were started with, and must be the agent's.
 */

import { Agent } from "node:http";
import { ask, SocketError, watchSocket } from "../host/index.ts";
import {
  EditError,
  formatEdit,
  type Intent,
  type Route,
  readIntentDocument,
  type Vm,
} from "../intent/index.ts";
import { Flows, flowText, type RowInstance } from "../pipeline/index.ts";
import { ipv4FromBits, macFromBits, type Prefix } from "../wire/index.ts";
import type { Wanted } from "./desired-state.ts";
import type { Edit } from "./flow-changes.ts";
import type { ResolvedRoute } from "./flow-entries.ts";
import type { InstalledRow } from "./observed-state.ts";
import { type AttachedBridge, BridgeError } from "./ofctl-bridge.ts";
import { parsePrefix } from "./rib.ts";

const TARGET = "/v1/intent";
const SLICE = 2000;
const WITHIN_MS = 60_000;

/** Live ports behind a control socket. */
export class LiveBridge implements AttachedBridge {
  readonly socket: string;
  readonly #base: Intent;
  readonly #connections = new Agent({ keepAlive: true, maxSockets: 1 });

  /** `base` is the agent's: live ports with another one are not written to. */
  constructor(socket: string, base: Intent) {
    this.socket = socket;
    this.#base = base;
  }

  readonly tagOf = ({ name, port, mtu }: Vm): string => JSON.stringify([name, port, mtu]);

  async *rows(): AsyncGenerator<readonly InstalledRow[]> {
    const intent = await this.intent();
    const tags = new Map(intent.vms.map(vm => [vm.id, this.tagOf(vm)]));
    yield* slicesOf(new Flows(intent), row => ({
      ...row,
      extras: tags.get(row.owner) ?? "",
      isAsWritten: true,
    }));
  }

  async *lines(): AsyncGenerator<readonly string[]> {
    yield* slicesOf(new Flows(await this.intent()), flowText);
  }

  attach(onChange: (isThere: boolean) => void): () => void {
    const end = watchSocket(this.socket, false, onChange);
    return () => {
      end();
      this.#connections.destroy();
    };
  }

  /** The intent in force. Rejects with BridgeError, also when it stands on another base. */
  async intent(): Promise<Intent> {
    const text = await this.#ask("GET", "");
    let intent: Intent;
    try {
      intent = readIntentDocument(text);
    } catch (error) {
      if (!(error instanceof EditError)) throw error;
      throw new BridgeError(`live ports at ${this.socket}: ${error.message}`, false);
    }
    const other = otherThan(this.#base, intent);
    if (other === null) return intent;
    const hint = "start them with that intent";
    throw new BridgeError(
      `live ports at ${this.socket}: ${other} is not as in the agent's intent; ${hint}`,
      false,
    );
  }

  async write(edits: readonly Edit[], wanted: Wanted): Promise<void> {
    const set: Route[] = [];
    const remove: Prefix[] = [];
    const ids = new Set<number>();
    for (const edit of edits) {
      const { kind, owner, match } = edit.op === "add" ? edit.row : edit.before;
      if (kind === "pipeline") throw new Error(`a row of the pipeline is another on the same base: ${match}`);
      if (owner !== 0) ids.add(owner);
      else if (edit.op === "add") set.push(routeOf(edit.row.route!));
      else remove.push(prefixOf(match));
    }
    const vms = [...ids].map(id => ({ id, vm: wanted.vms.get(id) }));
    const body = formatEdit({
      vms: {
        set: vms.flatMap(({ vm }) => vm ?? []),
        remove: vms.filter(({ vm }) => vm === undefined).map(({ id }) => id),
      },
      routes: { set, remove },
    });
    await this.#ask("PATCH", body);
  }

  async #ask(method: string, body: string): Promise<string> {
    let answer: { status: number; text: string };
    try {
      answer = await ask(this.socket, method, TARGET, body, WITHIN_MS, this.#connections);
    } catch (error) {
      if (!(error instanceof SocketError)) throw error;
      throw new BridgeError(`${error.message}; slash32 live --control ${this.socket} is to run there`, false);
    }
    if (answer.status === 200) return answer.text;
    throw new BridgeError(`live ports at ${this.socket}: ${messageOf(answer.text)}`, answer.status < 500);
  }
}

/** Rows made a few at a time, so that whoever takes them can give others their turn. */
function* slicesOf<T>(flows: Iterable<RowInstance>, make: (row: RowInstance) => T): Generator<readonly T[]> {
  let slice: T[] = [];
  for (const row of flows) {
    if (slice.push(make(row)) < SLICE) continue;
    yield slice;
    slice = [];
  }
  yield slice;
}

function messageOf(text: string): string {
  try {
    return (JSON.parse(text) as { message: string }).message;
  } catch {
    return text.trim().slice(0, 200);
  }
}

/** The first thing that follows from the base and is another in an intent; null: there is none. */
function otherThan(base: Intent, { label, virtualMac, trafficClass, uplink }: Intent): string | null {
  if (label !== base.label) return "label";
  if (virtualMac !== base.virtualMac) return "virtualMac";
  if (trafficClass !== base.trafficClass) return "trafficClass";
  if (uplink.ofport !== base.uplink.ofport) return "uplink.ofport";
  return uplink.mac === base.uplink.mac ? null : "uplink.mac";
}

/** The prefix of a route's row, as Flows writes it. */
function prefixOf(match: string): Prefix {
  const text = /nw_dst=([\d./]+)/.exec(match)?.[1] ?? "0.0.0.0/0";
  const found = parsePrefix(text.includes("/") ? text : `${text}/32`);
  if (found === null) throw new Error(`no prefix of a route: ${match}`);
  return { address: ipv4FromBits(found.prefix), length: found.length };
}

function routeOf({ prefix, length, labels, via }: ResolvedRoute): Route {
  return { address: ipv4FromBits(prefix), length, labels, via: macFromBits(via) };
}

/** What a doctor says of live ports: rejects unless they answer and have the base that the agent has. */
export async function examineLive(socket: string, base: Intent): Promise<string> {
  const { vms, routes } = await new LiveBridge(socket, base).intent();
  return `${vms.length} VMs and ${routes.count} routes`;
}
