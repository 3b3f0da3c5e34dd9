/**
 * `npm run fuzz -- [--seconds N] [--frames N] [--seed S] [--round R] [--size N] [--cases N] [--ovs 3.1|3.5]`: random flow tables and frames through
 * the interpreter and through a private Open vSwitch, for as long as asked (60 seconds unless something is said, a few
 * more to finish a round, half a minute to make a difference small). Frames that take too much work are not sent, and
 * counted. Differences are made small and written to test/fuzz/cases/, the first N of them (3); exit 1 when there were any.
 */
import { parseArgs } from "node:util";
import { OVS_VERSIONS, type OvsVersion, USUAL_OVS } from "../../src/openflow/index.ts";
import { keep } from "./investigate.ts";
import { Rig } from "./rig.ts";
import { type Difference, rounds } from "./round.ts";
import { Statistics } from "./statistics.ts";

const OPTIONS = {
  seconds: { type: "string" },
  frames: { type: "string" },
  seed: { type: "string" },
  round: { type: "string" },
  size: { type: "string" },
  cases: { type: "string" },
  ovs: { type: "string" },
} as const;

const USAGE =
  "fuzz: --seconds N, --frames N, --seed S, --round R (begin there), --size N (frames a round; 250), --cases N (write so many; 3), --ovs 3.1|3.5 (3.5: as OVS35_DIR has it)";
const SHRINK_SECONDS = 30;
/** A round may end so late; then it asks no more. */
const GRACE_SECONDS = 3;
const PROGRESS_MS = 10_000;

type Given = Record<Exclude<keyof typeof OPTIONS, "ovs">, number | null> & { ovs: OvsVersion };

function given(): Given {
  const { values } = parseArgs({ options: OPTIONS });
  const { ovs = USUAL_OVS } = values;
  if (!Object.keys(OVS_VERSIONS).includes(ovs))
    throw new Error(`--ovs ${ovs}: expected ${Object.keys(OVS_VERSIONS).join(" or ")}`);
  const names = Object.keys(OPTIONS).filter(name => name !== "ovs");
  const numbers = names.map(name => {
    const text = values[name as keyof typeof OPTIONS];
    if (text !== undefined && !/^\d+$/.test(text))
      throw new Error(`--${name} ${text}: a whole number would be right`);
    return [name, text === undefined ? null : Number(text)];
  });
  return { ...Object.fromEntries(numbers), ovs };
}

/** One line for a difference that is not looked into. */
function described({ input, rules, theirs, ours }: Difference): string {
  if (input === null) return `the switch takes a line that we refuse (${ours}): ${rules.flows[0]}`;
  return `in_port ${input.inPort} ${Buffer.from(input.frame).toString("hex")}\n    switch ${theirs}\n    ours   ${ours}`;
}

async function main(options: Given): Promise<number> {
  const seed = (options.seed ?? Date.now()) >>> 0;
  const seconds = options.seconds ?? (options.frames === null ? 60 : Number.POSITIVE_INFINITY);
  const frames = options.frames ?? Number.POSITIVE_INFINITY;
  const started = performance.now();
  const elapsed = (): number => (performance.now() - started) / 1000;
  const statistics = new Statistics();
  const rig = new Rig(options.ovs);
  let [found, written, shown] = [0, 0, 0];
  process.stdout.write(`seed ${seed}, Open vSwitch ${options.ovs}\n`);
  try {
    const isEnough = (): boolean => elapsed() >= seconds || statistics.frames >= frames;
    const isLate = (): boolean => elapsed() >= seconds + GRACE_SECONDS;
    const sizes = { first: options.round ?? 0, frames: options.size ?? 250, isLate };
    for await (const { number, differences } of rounds(rig, seed, statistics, isEnough, sizes)) {
      for (const difference of differences.slice(0, 3))
        process.stdout.write(`  round ${number}: ${described(difference)}\n`);
      found += differences.length;
      const first = differences.find(({ input }) => input !== null);
      if (first !== undefined && written < (options.cases ?? 3)) {
        process.stdout.write(`  round ${number}: ${await keep(rig, first, seed, number, SHRINK_SECONDS)}\n`);
        written++;
      }
      if (performance.now() - shown < PROGRESS_MS) continue;
      shown = performance.now();
      process.stderr.write(
        `  ${Math.round(elapsed())} s, ${statistics.frames} frames, ${found} differences\n`,
      );
    }
  } finally {
    await rig.close();
  }
  process.stdout.write(
    `${statistics}\n  the switch ended ${rig.deaths} times, gave no answer in time ${rig.silences} times\n`,
  );
  process.stdout.write(
    `seed ${seed}: ${statistics.frames} frames in ${elapsed().toFixed(1)} s, ${found} differences\n`,
  );
  return found > 0 ? 1 : 0;
}

try {
  process.exitCode = await main(given());
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n${USAGE}\n`);
  process.exitCode = 2;
}
