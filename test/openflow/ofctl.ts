/**
 * What `ovs-ofctl parse-flows` makes of lines: for each the match and actions of the flow it would send, or
 * null where it refuses the line. A refused line ends the program, so those that we expect to be refused are
 * asked one by one.
 */
import { spawnSync } from "node:child_process";
import type { Protocol } from "../../src/openflow/index.ts";
import { WAIT_MS } from "../harness.ts";

const MESSAGE =
  /(?:OFPT|NXT)_FLOW_MOD[^\n]*?(?:: (?:ADD (?:table:\d+ ?)?([^\n]*)|\*\*\*decode error[^\n]*))\n/g;

/** Takes away what is no match and no action. */
function essence(text: string): string {
  const at = text.indexOf("actions=");
  const head = text
    .slice(0, at)
    .split(" ")
    .filter(
      word =>
        !/^(?:(?:cookie|idle|hard|importance):|(?:send_flow_rem|check_overlap|reset_counts|no_\w+_counts)$)/.test(
          word,
        ),
    );
  return `${head.filter(Boolean).join(" ")}${head.some(Boolean) ? " " : ""}${text.slice(at)}`;
}

function run(
  version: Protocol,
  lines: readonly string[],
): { status: number | null; out: (string | null)[]; error: string } {
  const done = spawnSync("ovs-ofctl", ["-O", version, "parse-flows", "-"], {
    input: `${lines.join("\n")}\n`,
    encoding: "utf8",
    maxBuffer: 1 << 28,
    timeout: 2 * WAIT_MS,
  });
  const out = [...done.stdout.matchAll(MESSAGE)].map(([, text]) =>
    text === undefined ? null : essence(text),
  );
  return { status: done.status, out, error: done.stderr };
}

/** Answers for all lines; `isExpected` says which are expected to be taken. */
export function askOfctl(
  version: Protocol,
  lines: readonly string[],
  isExpected: readonly boolean[],
): (string | null)[] {
  const answers: (string | null)[] = lines.map(() => null);
  let open = [...lines.keys()].filter(index => isExpected[index]);
  while (open.length > 0) {
    const { status, out, error } = run(
      version,
      open.map(index => lines[index]!),
    );
    if (status === 0) {
      if (out.length !== open.length) throw new Error(`${open.length} lines, ${out.length} answers`);
      for (const [at, index] of open.entries()) answers[index] = out[at]!;
      break;
    }
    const refused = /^ovs-ofctl: -:(\d+): /m.exec(error);
    // A line without a protocol in common spoils them all and is not named: find it by halves.
    if (refused === null) {
      if (open.length === 1) break;
      const half = open.length >> 1;
      for (const part of [open.slice(0, half), open.slice(half)]) {
        const found = askOfctl(
          version,
          part.map(index => lines[index]!),
          part.map(() => true),
        );
        for (const [at, index] of part.entries()) answers[index] = found[at]!;
      }
      break;
    }
    open = open.filter((_, at) => at !== Number(refused[1]) - 1);
  }
  for (const [index, line] of lines.entries()) {
    if (isExpected[index]) continue;
    const { status, out } = run(version, [line]);
    answers[index] = status === 0 ? (out[0] ?? null) : null;
  }
  return answers;
}
