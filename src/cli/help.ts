/**
 * The help of a command and of the program, made from the commands' objects: `-h` fits one screen, `--help`
 * has all.
 */
import type { Command, Option } from "./command.ts";

const COLUMNS = 100;
/** Column at which the help of an option begins. */
const OPTION_COLUMN = 32;

/** Short help has the common options and one example; full help has everything. */
export function helpOf(command: Command, isFull: boolean): string {
  const { name, synopsis, summary, details, examples, options, subcommands = {} } = command;
  const listed = options.filter(one => (isFull ? one.name !== "h" : one.isCommon));
  const words = Object.entries(subcommands).map(
    ([word, one]) => `  slash32 ${name} ${word}`.padEnd(OPTION_COLUMN) + one.summary,
  );
  const last = isFull
    ? optionLines({ name: "", short: "h", help: "print the short help" })
    : optionLines({ name: "help", help: "print all options" });
  return `${[
    `slash32 ${name} ${synopsis}`,
    `  ${summary}`,
    ...(isFull ? details.map(paragraph => `\n${wrapped(paragraph, COLUMNS).join("\n")}`) : []),
    ...(words.length === 0 ? [] : ["", ...words]),
    "",
    ...listed.map(optionLines),
    last,
    "",
    ...(isFull ? examples : examples.slice(0, 1)).map(example => `  $ ${example}`),
  ].join("\n")}\n`;
}

/** `  -f, --flows FLOWS   the output of …`, its help wrapped. */
function optionLines({ name, short, value, help }: Option): string {
  const names = [short === undefined ? "   " : `-${short}`, name === "" ? "" : `--${name}`];
  const separator = short === undefined || name === "" ? " " : ", ";
  const left = `  ${names.join(separator)}${value === undefined ? "" : ` ${value}`}`.trimEnd();
  const [first = "", ...more] = wrapped(help, COLUMNS - OPTION_COLUMN);
  const indent = " ".repeat(OPTION_COLUMN);
  const isWide = left.length > OPTION_COLUMN - 3;
  const head = isWide ? [left, indent + first] : [left.padEnd(OPTION_COLUMN) + first];
  return [...head, ...more.map(line => indent + line)].join("\n");
}

function wrapped(text: string, width: number): string[] {
  const lines: string[] = [""];
  for (const word of text.split(" ")) {
    const line = lines.at(-1)!;
    if (line.length + word.length + 1 > width) lines.push(word);
    else lines[lines.length - 1] = line === "" ? word : `${line} ${word}`;
  }
  return lines;
}

/** The program's own help. */
export function programHelp(version: string, commands: readonly Command[]): string {
  const rows = commands.map(({ name, summary }) => `  ${name.padEnd(10)}${summary}`);
  return `${[
    `slash32 ${version}: the data plane of a routed hypervisor`,
    "",
    "  slash32 COMMAND [OPTION]…",
    "",
    ...rows,
    "",
    "Run slash32 COMMAND --help for all options of a command.",
    "Exit status: 0 success; 1 error or inconclusive; 2 difference found or check failed.",
    "",
    "  $ slash32 replay -n hv1.yaml -r uplink0=fabric.pcap -w out.pcapng",
  ].join("\n")}\n`;
}
