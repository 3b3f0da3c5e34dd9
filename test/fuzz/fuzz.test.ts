/**
 * The short form of the fuzzer: random flow tables over the whole language, and the compiled flows of random
 * intents, against a private Open vSwitch; and interpreters that were made wrong on purpose, which frames of
 * that kind must catch. FUZZ_FRAMES=N asks for N frames of each (3,000); SEED repeats a run, `npm run fuzz`
 * goes on for longer.
 */
import { pathToFileURL } from "node:url";
import type { OvsVersion } from "../../src/openflow/index.ts";
import { bundleModule } from "../bundle.ts";
import { assert, seed, suite } from "../harness.ts";
import { rng } from "../model/random.ts";
import { runIntents } from "./intents.ts";
import { Rig } from "./rig.ts";
import { rounds, saidBy, unlike } from "./round.ts";
import { Statistics } from "./statistics.ts";
import {
  type Candidate,
  chooseFrames,
  interpreterOf,
  LANGUAGE,
  type Language,
  type Rules,
  randomFlows,
} from "./world.ts";

const test = suite("fuzz");
const wanted = Number(process.env.FUZZ_FRAMES ?? 1500);
/** 3,000 frames, as in the test of random tables. */
const CANARY_ROUNDS = 12;
const CANARY_FRAMES = 250;
const BUCKETS =
  "group_id=1,type=all,bucket=actions=set_field:02:00:00:00:00:02->eth_src,output:3,bucket=actions=output:2";

/** Random tables and frames through the interpreter and a switch, which must agree. */
async function fuzz(ovs: OvsVersion, wanted: number): Promise<Statistics> {
  const first = seed();
  const statistics = new Statistics();
  const rig = new Rig(ovs);
  const differences: string[] = [];
  process.stdout.write(`\n  SEED=${first}\n`);
  try {
    for await (const round of rounds(rig, first, statistics, () => statistics.frames >= wanted)) {
      for (const { rules, input, theirs, ours } of round.differences)
        differences.push(
          `round ${round.number}, ${input === null ? rules.flows[0] : `in_port ${input.inPort} ${Buffer.from(input.frame).toString("hex")}`}: switch ${theirs}, interpreter ${ours}`,
        );
    }
  } finally {
    await rig.close();
  }
  process.stdout.write(`  ${statistics}\n`);
  assert.is(
    differences.length,
    0,
    `${differences.length} differ; npm run fuzz -- --seed ${first} --frames ${statistics.frames} --ovs ${ovs}\n${differences.slice(0, 3).join("\n")}`,
  );
  return statistics;
}

test("random tables and frames: the interpreter says what the switch says", async () => {
  const { shares } = await fuzz("3.1", wanted);
  // A few tables say nothing about the generator.
  if (wanted < 3000) return;
  const { splitting, met } = shares;
  assert.ok(splitting > 0.6, `${splitting} of the tables split their frames`);
  assert.ok(met > 0.2, `${met} of the flows are met`);
});

test("random tables and frames on Open vSwitch 3.5", async () => {
  await fuzz("3.5", Math.ceil(wanted / 5));
});

/** Compiled flows of random intents through core, interpreter and a switch, which must agree. */
async function fuzzIntents(ovs: OvsVersion, wanted: number): Promise<void> {
  const first = seed();
  const perIntent = Math.max(30, Math.ceil(wanted / 100));
  const intents = Math.ceil(wanted / perIntent);
  process.stdout.write(`\n  SEED=${first}: ${intents} intents, ${perIntent} frames each\n`);
  const { frames, differences } = await runIntents(first, intents, perIntent, ovs);
  assert.ok(frames >= wanted, `${frames} frames`);
  assert.is(differences.length, 0, `${differences.length} differ\n${differences.slice(0, 3).join("\n")}`);
}

test("compiled intents: core, interpreter and switch say the same", () => fuzzIntents("3.1", wanted));

test("compiled intents on Open vSwitch 3.5", () => fuzzIntents("3.5", Math.ceil(wanted / 5)));

/** Ways to be wrong: a file of the interpreter, what stands there, what is put in its place. */
const MUTATIONS: readonly (readonly [name: string, file: string, from: string, to: string])[] = [
  ["the precedence as traffic class", "mpls.ts", "(key[KEY.nwTos]! >>> 2) & 7", "key[KEY.nwTos]! >>> 5"],
  ["a pop that takes one label of two", "commit.ts", "while (have > common) {", "if (have > common) {"],
  ["dec_ttl by two", "key-changes.ts", "flow[KEY.nwTtl]! - 1;", "flow[KEY.nwTtl]! - 2;"],
  ["dec_ttl lets 1 pass", "key-changes.ts", "flow[KEY.nwTtl]! > 1)", "flow[KEY.nwTtl]! > 0)"],
  ["output to in_port", "emitter.ts", "if (port !== inPort) this.#emit(port);", "this.#emit(port);"],
  ["protocol 0 is written", "commit.ts", "if (flow[KEY.nwProto] !== 0) {", "if (flow !== base) {"],
  ["labels after a push keep S", "mpls.ts", "key[KEY.mplsLse]! & ~BOTTOM", "key[KEY.mplsLse]!"],
  ["no recirculation after a pop", "key-changes.ts", "if (!isMplsType(type)) key.wasMpls = true;", ""],
  ["changes in a bucket stay", "translate.ts", "key.flow = flow;\n    key.wasMpls = wasMpls;", ""],
];

/** The language as its source with one mistake in it says it. */
async function mutated(file: string, from: string, to: string): Promise<Language> {
  let met = 0;
  const bundle = await bundleModule("src/openflow/index.ts", (path, text) => {
    if (path !== `src/openflow/interpret/${file}`) return text;
    met += text.split(from).length - 1;
    return text.replace(from, () => to);
  });
  assert.is(met, 1, `${file} has "${from}" once`);
  return (await import(pathToFileURL(bundle).href)) as Language;
}

/** Ten copies of a packet, each recirculated and copied again: a million at the depth that is allowed. */
const MULTIPLIED: Rules = {
  groups: [`group_id=1,type=all${",bucket=actions=pop_mpls:0x0800,resubmit(,0)".repeat(10)}`],
  flows: ["table=0,priority=1,ip actions=push_mpls:0x8847,group:1", "table=0,priority=0 actions=output:1"],
  protocol: "OpenFlow13",
};

test("a frame that would take minutes is not sent, and counted; the others are", () => {
  const { frames, tedious } = chooseFrames(rng(1), interpreterOf(MULTIPLIED), 20);
  assert.ok(tedious > 0, `${tedious} frames take too much work`);
  assert.is(frames.length, 20);
});

test("no frame is drawn when it is late", () => {
  assert.is(chooseFrames(rng(1), interpreterOf(MULTIPLIED), 20, () => true).frames.length, 0);
});

type Questions = readonly { readonly rules: Rules; readonly frames: readonly Candidate[] }[];

/**
 * Tables and frames as the first test draws them, always the same, with the outcomes that the switch agrees
 * to.
 */
function questions(): Questions {
  return Array.from({ length: CANARY_ROUNDS }, (_, number) => {
    const r = rng(number);
    const flows = randomFlows(r)
      .filter(line => LANGUAGE.parseFlow(line).flow !== null)
      .map(line => line.replace(/\bgroup:\d/g, "group:1"));
    const rules: Rules = { groups: [BUCKETS], flows, protocol: "OpenFlow13" };
    return { rules, frames: chooseFrames(r, interpreterOf(rules), CANARY_FRAMES).frames };
  });
}

/** Whether a frame shows that an interpreter of this language does not do as the switch does. */
function isCaught(asked: Questions, language: Language): boolean {
  return asked.some(({ rules, frames }) => {
    const interpreter = interpreterOf(rules, language);
    return frames.some(({ input, outcome }) => unlike(interpreter, input, saidBy(outcome)) !== null);
  });
}

test("canaries: an interpreter with a mistake in it is caught by as many frames", async () => {
  const asked = questions();
  assert.not.ok(isCaught(asked, LANGUAGE), "the right one is caught");
  for (const [name, file, from, to] of MUTATIONS) {
    const language = await mutated(file, from, to);
    assert.ok(isCaught(asked, language), `not caught: ${name}`);
  }
});

test.run();
