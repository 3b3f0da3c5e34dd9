/**
 * The private switch's flow text: writing flows and groups, printing and parsing flows, all through
 * ovs-ofctl(8). Each method is one or a few processes; the order of calls is the caller's matter.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { SwitchError } from "../../src/host/index.ts";
import { type Daemons, runProgram } from "./daemons.ts";
import { MARKER_COOKIE } from "./markers.ts";
import { checkPriorities, type DumpOptions, type ParsedFlow, type Protocol } from "./switch-config.ts";

/** The prefix of a flow-mod in the output of parse-flows. */
const FLOW_MOD = /^(?:OFPT|NXT)_FLOW_MOD .*?\(xid=0x[0-9a-f]+\): /;

/** A message of ovs-ofctl as one line: with the caller's line numbers, only the first error, no hex dumps. */
function oneLine(error: unknown, linesBefore: number): SwitchError {
  const text = error instanceof Error ? error.message : String(error);
  const lines = text.split("\n").filter(line => !/^[0-9a-f]{8} {2}/.test(line));
  const message = lines.find(line => line.startsWith("Error ")) ?? lines.join("; ");
  const moved = message.replace(/^ovs-ofctl: -:(\d+)/, (_, n) => `line ${Number(n) - linesBefore}`);
  return new SwitchError(moved.replace(/^ovs-ofctl: /, ""));
}

/** ovs-ofctl on the bridge of one private switch. */
export class FlowText {
  /** Management socket of the bridge. */
  readonly #bridge: string;
  readonly #env: NodeJS.ProcessEnv;

  constructor({ folder, env }: Daemons) {
    this.#bridge = join(folder, "br0.mgmt");
    this.#env = env;
  }

  /**
   * Adds flows, atomically except with OpenFlow10. `before`: lines in front of `text` that do not count in
   * messages; `marker`: the flow of the marker frames. Throws SwitchError with the line and Open vSwitch's
   * message.
   */
  async write(before: string, text: string, marker: string, protocol: Protocol): Promise<void> {
    checkPriorities(text);
    const bundle = protocol === "OpenFlow10" ? [] : ["--bundle"];
    const words = ["-O", protocol, ...bundle, "add-flows", this.#bridge, "-"];
    try {
      await this.#ofctl(words, `${before}${text}\n${marker}\n`);
    } catch (error) {
      // Without a bundle the old flows may be gone, and the marker's with them.
      if (protocol === "OpenFlow10") await this.write("", "", marker, "OpenFlow13");
      throw oneLine(error, before === "" ? 0 : 1);
    }
  }

  async writeGroups(text: string, protocol: Protocol): Promise<void> {
    const words = ["-O", protocol, "--bundle", "add-groups", this.#bridge, "-"];
    try {
      await this.#ofctl(words, `delete\n${text}\n`);
    } catch (error) {
      throw oneLine(error, 1);
    }
  }

  /** As `ovs-ofctl dump-flows`, without the reply header and the marker's flow. */
  async dump({ protocol = "OpenFlow13", names = false, stats = true }: DumpOptions): Promise<string> {
    const words = ["-O", protocol, names ? "--names" : "--no-names", ...(stats ? [] : ["--no-stats"])];
    const text = await this.#ofctl([...words, "dump-flows", this.#bridge]);
    const lines = text.split("\n").filter(line => line.includes("actions="));
    return lines
      .filter(line => !line.includes(`cookie=${MARKER_COOKIE}`))
      .map(line => `${line}\n`)
      .join("");
  }

  /** Parses all lines at once. If one is rejected, parses those before it and those behind it separately. */
  async parse(lines: readonly string[], protocol: Protocol): Promise<ParsedFlow[]> {
    if (lines.length === 0) return [];
    const odd = lines.findIndex(line => line.includes("\n") || /^\s*(#|$)/.test(line));
    if (odd >= 0) return this.#parseAround(lines, odd, "expected one flow per line", protocol);
    try {
      const text = await this.#ofctl(["-O", protocol, "parse-flows", "-"], `${lines.join("\n")}\n`);
      const flows = text.split("\n").filter(line => FLOW_MOD.test(line));
      assert.equal(flows.length, lines.length, "one flow-mod a line");
      return flows.map(line => ({ text: line.replace(FLOW_MOD, "") }));
    } catch (error) {
      if (!(error instanceof SwitchError)) throw error;
      const { message } = oneLine(error, 0);
      const at = /^line (\d+): (.*)$/s.exec(message);
      if (at !== null) return this.#parseAround(lines, Number(at[1]) - 1, at[2]!, protocol);
      if (lines.length === 1) return [{ error: message }];
      // No single line is wrong: two of them need different versions of OpenFlow.
      const half = lines.length >> 1;
      const parts = [lines.slice(0, half), lines.slice(half)];
      return [...(await this.parse(parts[0]!, protocol)), ...(await this.parse(parts[1]!, protocol))];
    }
  }

  async #parseAround(
    lines: readonly string[],
    at: number,
    error: string,
    protocol: Protocol,
  ): Promise<ParsedFlow[]> {
    const before = await this.parse(lines.slice(0, at), protocol);
    return [...before, { error }, ...(await this.parse(lines.slice(at + 1), protocol))];
  }

  #ofctl(words: string[], input = ""): Promise<string> {
    return runProgram("ovs-ofctl", words, this.#env, input);
  }
}
