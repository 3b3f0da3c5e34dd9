/**
 * A switch that may be asked anything: it is started anew when a question ends it, and then says so as its
 * answer, or when it gives no answer for long. Open vSwitch 3.1 does have assertions that flows and a frame
 * can make fail, and frames that it looks at anew a million times.
 */

import { SwitchError } from "../../src/host/index.ts";
import { type OvsVersion, USUAL_OVS } from "../../src/openflow/index.ts";
import { linesOfAnswer } from "../openflow/interpret/compare.ts";
import {
  type Answer,
  type Input,
  type ParsedFlow,
  PrivateSwitch,
  type Protocol,
} from "../ovs/private-switch.ts";
import { programsOf } from "../ovs/versions.ts";
import { PORTS, type Rules } from "./world.ts";

/** An answer as lines: outputs, packet-ins. */
export type Lines = readonly string[];

/** The line that stands for a switch that ended instead of answering. */
const ENDED = /assertion (.*) failed/;
export const DEATH = "the switch ended";
/** What its own words or those of ovs-ofctl are when it ended. */
const GONE = /ended|connection dropped|failed to connect|Protocol error|Broken pipe/;

/** Rules with this may have become more than was written, once a frame met them. */
const LEARNS = /\blearn\(/;

/** How long an answer may take, for as many frames (one or more), on a machine that does other things too. */
const ANSWER_MS = 40_000;
const FRAMES_AT_ONCE = 250;

/** The switch said nothing in that time. */
class Silence extends Error {}

/** The switch does not take rules that were parsed well. */
export class Refusal extends Error {}

export class Rig {
  readonly ovs: OvsVersion;
  #switch: PrivateSwitch | null = null;
  #groups = "";
  /** The rules on the switch, as text, null when that is not sure; and whether they have met frames. */
  #installed: string | null = null;
  #hasMetFrames = false;
  /** Whether it was given any rules before. */
  #hasPast = false;
  /** How often the switch ended. */
  deaths = 0;
  /** How often it gave no answer in time, and was ended for it. */
  silences = 0;

  constructor(ovs: OvsVersion = USUAL_OVS) {
    this.ovs = ovs;
  }

  async #running(): Promise<PrivateSwitch> {
    this.#switch ??= await PrivateSwitch.start({ ports: PORTS, ...programsOf(this.ovs) });
    return this.#switch;
  }

  /** Waits for what the switch was asked; when that takes too long, ends it and throws Silence. */
  async #within<T>(question: Promise<T>, ms = ANSWER_MS): Promise<T> {
    let isSilent = false;
    const timer = setTimeout(() => {
      isSilent = true;
      this.silences++;
      void this.close();
    }, ms);
    try {
      return await question;
    } catch (error) {
      if (isSilent) throw new Silence(`the switch gave no answer in ${ms / 1000} s`);
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Forgets a switch that ended; the line that says how. Any other error is thrown again. */
  async #bury(error: unknown): Promise<string> {
    if (!(error instanceof SwitchError) || !GONE.test(error.message)) throw error;
    await this.close();
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
    const sw = await this.#running();
    const hasPast = this.#hasPast;
    try {
      await this.#within(this.#write(sw, rules));
      return null;
    } catch (error) {
      if (error instanceof Silence && hasPast) return this.install(rules);
      if (!(error instanceof SwitchError)) throw error;
      if (!GONE.test(error.message)) return error.message;
      // It thought of the frames of earlier rules once more, and that was too much.
      await this.#bury(error);
      return this.install(rules);
    }
  }

  async #write(sw: PrivateSwitch, { groups, flows, protocol }: Rules): Promise<void> {
    this.#hasPast = true;
    const text = groups.join("\n");
    const wanted = [protocol, text, ...flows].join("\n");
    const isThere = this.#installed === wanted;
    if (isThere && !this.#hasMetFrames) return;
    if (isThere && !LEARNS.test(wanted)) {
      await sw.forgetFrames();
      this.#hasMetFrames = false;
      return;
    }
    this.#installed = null;
    if (text !== this.#groups) {
      await sw.replaceFlows("");
      this.#groups = "";
      await sw.replaceGroups(text);
      this.#groups = text;
    }
    await sw.replaceFlows(flows.join("\n"), { protocol });
    this.#installed = wanted;
    this.#hasMetFrames = false;
  }

  /**
   * What becomes of frames under rules that the switch takes. The first that ends the switch gets a line that
   * says so; those behind it may get no answer (null), and so do all when together they take too long.
   */
  async ask(rules: Rules, inputs: readonly Input[]): Promise<(Lines | null)[]> {
    if (inputs.length === 0) return [];
    const message = await this.install(rules);
    if (message !== null) throw new Refusal(message);
    let answers: Answer[];
    this.#hasMetFrames = true;
    try {
      const ms = ANSWER_MS * Math.ceil(inputs.length / FRAMES_AT_ONCE);
      answers = await this.#within((await this.#running()).sendMany(inputs), ms);
    } catch (error) {
      if (error instanceof Silence) return inputs.map(() => null);
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
    const ended = this.#switch;
    this.#switch = null;
    this.#groups = "";
    this.#installed = null;
    this.#hasPast = false;
    await ended?.close();
  }
}
