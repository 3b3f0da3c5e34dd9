/**
 * A switch of its own for text: ports and tables with awkward names, tunnel options, groups and meters, so
 * that random flows can be installed in any OpenFlow version and printed in any other. Frames never pass it.
 */
import { spawnSync } from "node:child_process";
import type { Protocol } from "../../src/openflow/index.ts";
import { type Daemons, startDaemons } from "../ovs/daemons.ts";

export const PORT_NAMES: ReadonlyMap<string, number> = new Map([
  ["vnet0", 1],
  ["tap-web", 2],
  ["eth1.100", 3],
  ["7", 4],
  ['a"b\\c#d', 11],
  ["drop", 77],
]);

export const TABLE_NAMES: ReadonlyMap<string, number> = new Map([
  ["Classifier", 1],
  ["acl, out", 3],
  ["5", 4],
  ["Output", 206],
]);

export type Dialect = Protocol | "OpenFlow14";
export const DIALECTS: readonly Dialect[] = ["OpenFlow10", "OpenFlow13", "OpenFlow14", "OpenFlow15"];
/** Ways to print a dump. */
export const WAYS: readonly (readonly string[])[] = [
  ["--no-names"],
  ["--names"],
  ["--no-stats"],
  ["--names", "--no-stats"],
  ["--sort"],
  ["--rsort=in_port", "--names"],
];

/** The version that our reader knows a dialect by. */
export const protocolOf = (dialect: Dialect): Protocol => (dialect === "OpenFlow14" ? "OpenFlow13" : dialect);

/** A line that ovs-ofctl or the switch did not take, with the message of the former. */
export interface Refused {
  readonly line: string;
  readonly message: string;
}

const OPTIONS =
  "{class=0xffff,type=0,len=4}->tun_metadata0,{class=0xffff,type=1,len=8}->tun_metadata1,{class=0xffff,type=2,len=124}->tun_metadata2";

export class PrintingSwitch {
  readonly #daemons: Daemons;

  private constructor(daemons: Daemons) {
    this.#daemons = daemons;
  }

  static async start(): Promise<PrintingSwitch> {
    const words = ["add-br", "br0", "--", "set", "bridge", "br0", "datapath-type=dummy", "fail-mode=secure"];
    words.push("protocols=OpenFlow10,OpenFlow13,OpenFlow14,OpenFlow15");
    for (const [name, number] of PORT_NAMES) {
      words.push("--", "add-port", "br0", name, "--", "set", "interface", name, "type=dummy");
      words.push(`ofport_request=${number}`);
    }
    for (const [name, number] of TABLE_NAMES) {
      words.push("--", "set", "bridge", "br0", `flow_tables:${number}=@t${number}`);
      words.push("--", `--id=@t${number}`, "create", "Flow_Table", `name=${JSON.stringify(name)}`);
    }
    const made = new PrintingSwitch(
      await startDaemons(
        ["unused"],
        () => undefined,
        () => words,
        null,
      ),
    );
    made.#must(["add-tlv-map", made.#bridge, OPTIONS]);
    for (let group = 0; group < 9; group++)
      made.#must([
        "-O",
        "OpenFlow13",
        "add-group",
        made.#bridge,
        `group_id=${group},type=all,bucket=output:1`,
      ]);
    for (let meter = 1; meter < 6; meter++)
      made.#must([
        "-O",
        "OpenFlow13",
        "add-meter",
        made.#bridge,
        `meter=${meter},kbps,band=type=drop,rate=1`,
      ]);
    return made;
  }

  get #bridge(): string {
    return `${this.#daemons.folder}/br0.mgmt`;
  }

  #ofctl(words: readonly string[], input = ""): { status: number | null; stdout: string; stderr: string } {
    const { env } = this.#daemons;
    const done = spawnSync("ovs-ofctl", words, { env, input, encoding: "utf8", maxBuffer: 1 << 28 });
    return { status: done.status, stdout: done.stdout, stderr: done.stderr };
  }

  #must(words: readonly string[]): void {
    const { status, stderr } = this.#ofctl(words);
    if (status !== 0) throw new Error(`ovs-ofctl ${words.join(" ")}: ${stderr}`);
  }

  clear(): void {
    this.#must(["-O", "OpenFlow13", "del-flows", this.#bridge]);
  }

  /** Installs lines; those that ovs-ofctl refuses are given back. What the switch refuses, a dump lacks. */
  install(dialect: Dialect, lines: readonly string[]): Refused[] {
    const refused: Refused[] = [];
    const add = (part: string[]): void => {
      while (part.length > 0) {
        const words = ["-O", dialect, "--no-names", "add-flows", this.#bridge, "-"];
        const { stderr } = this.#ofctl(words, `${part.join("\n")}\n`);
        const found = /^ovs-ofctl: -:(\d+): (.*)/m.exec(stderr);
        if (found !== null) {
          const [line] = part.splice(Number(found[1]) - 1, 1);
          refused.push({ line: line!, message: found[2]! });
        } else if (/usable flow formats/.test(stderr)) {
          // One of them cannot be said in this version, or two of them need different extensions.
          if (part.length === 1) {
            refused.push({ line: part[0]!, message: "no usable flow format" });
            return;
          }
          add(part.slice(0, part.length >> 1));
          add(part.slice(part.length >> 1));
          return;
        } else return;
      }
    };
    add([...lines]);
    return refused;
  }

  /** A dump, or null when ovs-ofctl could not decode it whole. */
  dump(dialect: Dialect, way: readonly string[]): { text: string; isWhole: boolean } {
    const { status, stdout, stderr } = this.#ofctl(["-O", dialect, ...way, "dump-flows", this.#bridge]);
    // What a shell's 2>&1 would put into the file.
    const isWhole = status === 0 && !/decode error|\|WARN\|.*(?:bad|error)/.test(stdout + stderr);
    return { text: isWhole ? stdout : stderr + stdout, isWhole };
  }

  async stop(): Promise<void> {
    await this.#daemons.stop();
  }
}
