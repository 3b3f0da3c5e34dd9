/**
 * Live ports (`slash32 live --control SOCKET`) in place of a bridge: their flows follow from their intent,
 * and changes are sent as VMs and routes, a VM as a unit, because no flow encodes its name, port and MTU.
 * Label, MACs and uplink must be the agent's.
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
import { Flows, flowText, type PipelineFlow } from "../pipeline/index.ts";
import type { Prefix } from "../wire/index.ts";
import type { Desired } from "./desired-state.ts";
import { type Change, flowOf } from "./flow-changes.ts";
import { entryOf, type FlowEntry } from "./flow-entry.ts";
import { type AttachedBridge, BridgeError } from "./ofctl-bridge.ts";

const TARGET = "/v1/intent";
const SLICE = 2000;
const WITHIN_MS = 60_000;

/** Live ports behind a control socket. */
export class LiveBridge implements AttachedBridge {
  readonly socket: string;
  readonly #base: Intent;
  readonly #connections = new Agent({ keepAlive: true, maxSockets: 1 });

  /** `base` is the agent's intent: live ports with another one are not written to. */
  constructor(socket: string, base: Intent) {
    this.socket = socket;
    this.#base = base;
  }

  readonly tagOf = ({ name, port, mtu }: Vm): string => JSON.stringify([name, port, mtu]);

  async *flows(): AsyncGenerator<readonly FlowEntry[]> {
    const intent = await this.intent();
    const tags = new Map(intent.vms.map(vm => [vm.id, this.tagOf(vm)]));
    yield* slicesOf(new Flows(intent), flow => entryOf(flow, tags.get(flow.owner)));
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

  /** The current intent. Rejects with BridgeError, also if it has another base. */
  async intent(): Promise<Intent> {
    const text = await this.#ask("GET", "");
    let intent: Intent;
    try {
      intent = readIntentDocument(text);
    } catch (error) {
      if (!(error instanceof EditError)) throw error;
      throw new BridgeError(`live ports at ${this.socket}: ${error.message}`, false);
    }
    const other = differenceFrom(this.#base, intent);
    if (other === null) return intent;
    const hint = "start slash32 live with the agent's intent";
    throw new BridgeError(
      `live ports at ${this.socket}: ${other} differs from the agent's intent; ${hint}`,
      false,
    );
  }

  async write(changes: readonly Change[], desired: Desired): Promise<void> {
    const set: Route[] = [];
    const remove: Prefix[] = [];
    const ids = new Set<number>();
    for (const change of changes) {
      const { key, kind, owner, flow } = flowOf(change);
      if (owner !== 0) ids.add(owner);
      else if (flow?.nextHop == null || kind === "pipeline")
        throw new Error(`internal error: live ports on the same base differ in the pipeline: ${key}`);
      else if (change.op === "add") set.push({ address: flow.address, length: flow.length, ...flow.nextHop });
      else remove.push({ address: flow.address, length: flow.length });
    }
    const vms = [...ids].map(id => ({ id, vm: desired.vms.get(id) }));
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
      throw new BridgeError(`${error.message}; start slash32 live --control ${this.socket}`, false);
    }
    if (answer.status === 200) return answer.text;
    throw new BridgeError(`live ports at ${this.socket}: ${messageOf(answer.text)}`, answer.status < 500);
  }
}

/** Flows made a few at a time, so that other work has its turn between two slices. */
function* slicesOf<T>(
  flows: Iterable<PipelineFlow>,
  make: (flow: PipelineFlow) => T,
): Generator<readonly T[]> {
  let slice: T[] = [];
  for (const flow of flows) {
    if (slice.push(make(flow)) < SLICE) continue;
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

/** The first key of the base that an intent has another value for; null: none. */
function differenceFrom(base: Intent, { label, virtualMac, trafficClass, uplink }: Intent): string | null {
  if (label !== base.label) return "label";
  if (virtualMac !== base.virtualMac) return "virtualMac";
  if (trafficClass !== base.trafficClass) return "trafficClass";
  if (uplink.ofport !== base.uplink.ofport) return "uplink.ofport";
  return uplink.mac === base.uplink.mac ? null : "uplink.mac";
}

/** The line of `agent doctor` about live ports: rejects unless they answer and have the agent's base. */
export async function examineLive(socket: string, base: Intent): Promise<string> {
  const { vms, routes } = await new LiveBridge(socket, base).intent();
  return `${vms.length} VMs and ${routes.count} routes`;
}
