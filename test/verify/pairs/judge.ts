/**
 * The switch as a judge of verdicts: what it does with a frame under each of two tables. Real frames where
 * they can come in by a wire; ofproto/trace where they come out of a tunnel or bring a mark or a priority
 * along.
 */

import { SwitchError } from "../../../src/host/index.ts";
import { toldLines } from "../../fuzz/packet-in.ts";
import { type Answer, PrivateSwitch } from "../../ovs/private-switch.ts";
import { PORTS, type Rules, TUNNELS } from "./families.ts";
import type { Question } from "./frames.ts";

const PROTOCOL = "OpenFlow13";
const CONTROLLER_IDS = [5, 6];

/** The switch does not take these rules. */
export class Refused extends Error {}

/** A question ended the switch. */
export class Death extends Error {}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/**
 * Outputs by port, then packet-ins with all they carry; those of expired TTLs are no part of the contract.
 */
export function linesOf({ outputs, packetIns }: Answer, hasExpired = false): string[] {
  const told = packetIns.filter(({ reason }) => hasExpired || reason !== "invalid_ttl");
  return [...outputs.map(({ port, frame }) => `${port} ${hex(frame)}`), ...toldLines(told)];
}

/** What an output is sent with, and what was done to the packet before. */
interface Sending {
  tunnel: string;
  queue: string;
  mark: string;
  changes: string;
}

/** Datapath actions apart, at the commas that are in no parentheses. */
function split(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let part = "";
  for (const char of text) {
    depth += char === "(" ? 1 : char === ")" ? -1 : 0;
    if (char === "," && depth === 0) {
      parts.push(part);
      part = "";
    } else part += char;
  }
  return [...parts, part];
}

/**
 * What can be seen of a trace of a packet with this state: each output with queue, mark, tunnel and changes,
 * and each packet-in, in their order.
 */
export function traceLines(text: string, state: readonly string[]): string[] {
  const lines: string[] = [];
  const came = (name: string): string => {
    const value = Number(state.find(one => one.startsWith(`${name}=`))?.slice(name.length + 1) ?? 0);
    return value === 0 ? "0" : `0x${value.toString(16)}`;
  };
  const now: Sending = { tunnel: "", queue: came("skb_priority"), mark: came("pkt_mark"), changes: "" };
  for (const [, actions] of text.matchAll(/^Datapath actions: (.*)$/gm))
    for (const action of split(actions!)) {
      const set = /^set\((tunnel|skb_priority|skb_mark)\((.*)\)\)$/.exec(action);
      if (set?.[1] === "tunnel") now.tunnel = set[2]!;
      else if (set?.[1] === "skb_priority") now.queue = set[2]!;
      else if (set?.[1] === "skb_mark") now.mark = set[2]!;
      else if (action === "drop") continue;
      else if (/^userspace/.test(action)) {
        const told = action.replace(/(recirc_id|rule_cookie|pid|dont_send)=[^,)]*,?/g, "");
        if (!/reason=2\b/.test(told)) lines.push(`${told} ${now.changes}`);
      } else if (/^(\d+|[a-z]\w*_sys(_\d+)?)$/.test(action))
        lines.push(`${action} ${Object.values(now).join(" ")}`);
      else now.changes += ` ${action.replace(/recirc\(.*\)/, "recirc")}`;
    }
  return lines;
}

/** Open vSwitch forgets a tunnel without an endpoint; that of IPv6 is one of which no rule speaks. */
const withEndpoint = (inPort: number, state: readonly string[]): readonly string[] =>
  TUNNELS.includes(inPort) && !state.some(one => one.startsWith("tun_dst="))
    ? [...state, "tun_ipv6_dst=fc00::77"]
    : state;

/** A private switch with tunnels beside its ports, started anew when a question ends it. */
export class Judge {
  #switch: PrivateSwitch | null = null;
  #groups = "";
  deaths = 0;

  async #running(): Promise<PrivateSwitch> {
    if (this.#switch !== null) return this.#switch;
    const ports = PORTS.map(number => ({ number }));
    const sw = await PrivateSwitch.start({ ports, tunnels: TUNNELS, controllerIds: CONTROLLER_IDS });
    this.#switch = sw;
    this.#groups = "";
    return sw;
  }

  /** Ends the switch after an error that says that it is gone; any other error is thrown again. */
  async #bury(error: unknown): Promise<never> {
    if (!(error instanceof SwitchError) || !/ended|dropped|failed to connect|Broken pipe/.test(error.message))
      throw error;
    await this.close();
    this.deaths++;
    throw new Death(error.message);
  }

  /** Puts rules on the switch; throws Refused. */
  async install({ groups, flows }: Rules): Promise<void> {
    const sw = await this.#running();
    const text = groups.join("\n");
    try {
      if (text !== this.#groups) {
        await sw.replaceFlows("");
        this.#groups = "?";
        await sw.replaceGroups(text, { protocol: PROTOCOL });
        this.#groups = text;
      }
      await sw.replaceFlows(flows.join("\n"), { protocol: PROTOCOL });
    } catch (error) {
      if (error instanceof SwitchError && !/ended|dropped|failed to connect|Broken pipe/.test(error.message))
        throw new Refused(error.message);
      await this.#bury(error);
    }
  }

  /** What becomes of real frames under the rules that are there. */
  async answers(questions: readonly Question[]): Promise<Answer[]> {
    try {
      return await (await this.#running()).sendMany(questions);
    } catch (error) {
      return this.#bury(error);
    }
  }

  async forget(): Promise<void> {
    await (await this.#running()).forgetFrames();
  }

  /** What ofproto/trace says of each. */
  async traces(questions: readonly Question[]): Promise<string[]> {
    const sw = await this.#running();
    try {
      return await Promise.all(
        questions.map(({ inPort, frame, state }) =>
          sw.trace(inPort, hex(frame), withEndpoint(inPort, state)),
        ),
      );
    } catch (error) {
      return this.#bury(error);
    }
  }

  async close(): Promise<void> {
    const sw = this.#switch;
    this.#switch = null;
    await sw?.close();
  }
}
