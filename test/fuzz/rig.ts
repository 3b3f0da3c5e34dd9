/**
 * A switch that may be asked anything: it is started anew when a question ends it, and then says so as its answer.
 * Open vSwitch 3.1 does have assertions that flows and a frame can make fail.
 */
import {
  type Answer,
  type Input,
  type ParsedFlow,
  type Protocol,
  Switch,
  SwitchError,
} from "../../src/verify/index.ts";
import { linesOfAnswer } from "../openflow/interpret/compare.ts";
import { PORTS, type Rules } from "./world.ts";

/** An answer as lines: outputs, packet-ins. */
export type Lines = readonly string[];

/** The line that stands for a switch that ended instead of answering. */
const ENDED = /assertion (.*) failed/;
export const DEATH = "the switch ended";
/** What its own words or those of ovs-ofctl are when it ended. */
const GONE = /ended|connection dropped|failed to connect|Protocol error|Broken pipe/;

/** The switch does not take rules that were parsed well. */
export class Refusal extends Error {}

export class Rig {
  #switch: Switch | null = null;
  #groups = "";
  /** How often the switch ended. */
  deaths = 0;

  async #running(): Promise<Switch> {
    this.#switch ??= await Switch.start({ ports: PORTS });
    return this.#switch;
  }

  /** Forgets a switch that ended; the line that says how. Any other error is thrown again. */
  async #bury(error: unknown): Promise<string> {
    if (!(error instanceof SwitchError) || !GONE.test(error.message)) throw error;
    await this.close();
    this.#groups = "";
    this.deaths++;
    return `${DEATH}: ${ENDED.exec(error.message)?.[1] ?? "no last words"}`;
  }

  async parseFlows(lines: readonly string[], protocol: Protocol): Promise<ParsedFlow[]> {
    try {
      return await (await this.#running()).parseFlows(lines, { protocol });
    } catch (error) {
      await this.#bury(error);
      return this.parseFlows(lines, protocol);
    }
  }

  /** Puts rules on a switch that has forgotten all frames; its message when it refuses them. */
  async install(rules: Rules): Promise<string | null> {
    try {
      await this.#write(rules);
      return null;
    } catch (error) {
      if (!(error instanceof SwitchError)) throw error;
      if (!GONE.test(error.message)) return error.message;
      // It thought of the frames of earlier rules once more, and that was too much.
      await this.#bury(error);
      return this.install(rules);
    }
  }

  async #write({ groups, flows, protocol }: Rules): Promise<void> {
    const sw = await this.#running();
    const text = groups.join("\n");
    if (text !== this.#groups) {
      await sw.replaceFlows("");
      this.#groups = "";
      await sw.replaceGroups(text);
      this.#groups = text;
    }
    await sw.replaceFlows(flows.join("\n"), { protocol });
  }

  /**
   * What becomes of frames under rules that the switch takes. The first that ends the switch gets a line that says so;
   * those behind it may get no answer (null).
   */
  async ask(rules: Rules, inputs: readonly Input[]): Promise<(Lines | null)[]> {
    if (inputs.length === 0) return [];
    const message = await this.install(rules);
    if (message !== null) throw new Refusal(message);
    let answers: Answer[];
    try {
      answers = await (await this.#running()).sendMany(inputs);
    } catch (error) {
      const death = await this.#bury(error);
      if (inputs.length === 1) return [[death]];
      const half = inputs.length >> 1;
      const before = await this.ask(rules, inputs.slice(0, half));
      const behind = inputs.slice(half);
      const hasDied = before.some(answer => answer === null || answer[0]?.startsWith(DEATH));
      return [...before, ...(hasDied ? behind.map(() => null) : await this.ask(rules, behind))];
    }
    return answers.map(linesOfAnswer);
  }

  async close(): Promise<void> {
    await this.#switch?.close();
    this.#switch = null;
  }
}
