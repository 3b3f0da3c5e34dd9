/**
 * A write that `writesOf` lacks is a false "equal", and the compiler cannot see it. So each action of the
 * registry runs on frames in the interpreter, and each bit of the flow key that it changes must be in the
 * writes of its steps. The mutants show that a forgotten write is found.
 */
import { pathToFileURL } from "node:url";
import {
  ACTIONS,
  type ActionKind,
  compileActions,
  type Flow,
  Interpreter,
  KEY,
  KEY_WORDS,
  kindOf,
  parseFlow,
  parseGroups,
  type Step,
} from "../../src/openflow/index.ts";
import { type Write, writesOf } from "../../src/verify/symbolic/writes.ts";
import { bundleModule } from "../bundle.ts";
import { FRAMES } from "../fuzz/place-frames.ts";
import { FORMS, NEEDS, SHARED_FLOWS, SHARED_GROUPS } from "../fuzz/places.ts";
import { assert, suite } from "../harness.ts";
import { WORLD } from "../openflow/interpret/frames.ts";

const test = suite("verify › writes");

type WritesOf = (step: Step) => readonly Write[];

/** The key at the lookups before and behind the actions of a flow; `steps` ran between them. */
interface Run {
  readonly text: string;
  readonly kinds: readonly ActionKind[];
  readonly steps: readonly Step[];
  readonly before: Uint32Array;
  readonly after: Uint32Array;
}

const INSTRUCTIONS = [
  "clear_actions",
  "write_actions(output:2)",
  "write_actions(group:1)",
  "write_metadata:5/7",
];
const ALL_FORMS = [...FORMS, ...INSTRUCTIONS.map(text => ({ text, need: "any" as const, isInSets: false }))];

/** Sets words that actions change. Beside an action set the end of a label stack is unknown. */
const FIRST = ["", "write_actions(output:5),"].map(
  set => `actions=set_field:2->reg2,set_queue:7,${set}goto_table:1`,
);

/** Null for what Open vSwitch refuses too: an action that needs more of the match, or must stand alone. */
const flowOf = (text: string): Flow | null => parseFlow(text, { file: "flow", line: 1 }).flow;

/** All forms of all actions, each with its frames; those that do not reach the next table are left out. */
function* runs(): Generator<Run> {
  const { groups } = parseGroups(SHARED_GROUPS.join("\n"), "groups");
  const shared = SHARED_FLOWS.map(line => flowOf(line)!);
  const asked = FIRST.flatMap(first => ALL_FORMS.map(form => ({ ...form, first: flowOf(first)! })));
  for (const { text, need, isInSets, first } of asked) {
    if (isInSets === true) continue;
    const flow = flowOf(`table=1,${NEEDS[need].match} actions=${text},goto_table:2`);
    if (flow === null) continue;
    const interpreter = new Interpreter([first, flow, ...shared], { ports: WORLD.ports, groups });
    const steps = [flow, ...(text.startsWith("resubmit") ? shared : [])].flatMap(({ actions }) =>
      compileActions(actions, 1),
    );
    for (const frame of FRAMES(need, false)) {
      const keys = new Map<number, Uint32Array>();
      interpreter.run(1, frame, {
        lookedUp: ({ table }, key) => void keys.set(table, key.slice()),
        putOut: () => undefined,
        recirculated: () => undefined,
      });
      const [before, after] = [keys.get(1), keys.get(2)];
      if (before !== undefined && after !== undefined)
        yield { text, kinds: flow.actions.map(kindOf), steps, before, after };
    }
  }
}

const RUNS = [...runs()];

/** Whether a write allows the change of all of these bits. */
function allows({ value, only, mask }: Write, bits: number, old: number, now: number): boolean {
  if ((bits & ~mask) !== 0) return false;
  if (only === "one less") return ((old - 1) & mask) >>> 0 === (now & mask) >>> 0;
  return value === null || ((value ^ now) & bits) === 0;
}

/** Words that change although no write allows it, as `text: word N`. */
function unwritten(by: WritesOf): string[] {
  const found = new Set<string>();
  for (const { text, steps, before, after } of RUNS) {
    const writes = steps.flatMap(step => by(step));
    // The first word is recirc_id, which neither a match nor an action can read: unknown.
    for (let word = KEY.recircId + 1; word < KEY_WORDS; word++) {
      const [old, now] = [before[word]!, after[word]!];
      const isAllowed = (bit: number): boolean =>
        writes.some(write => write.word === word && allows(write, bit, old, now));
      for (let rest = (old ^ now) >>> 0; rest !== 0; rest = (rest & (rest - 1)) >>> 0)
        if (!isAllowed(rest & -rest)) found.add(`${text}: word ${word}`);
    }
  }
  return [...found];
}

test("an action changes no bit that its writes lack", () => {
  assert.equal(unwritten(writesOf), []);
});

/** Actions behind which no lookup of the same flow comes, and one that is never executed itself. */
const NOT_RUN: ReadonlySet<ActionKind> = new Set(["exit", "conjunction"]);

test("each action that is executed is among them", () => {
  const seen = new Set(RUNS.flatMap(({ kinds }) => kinds));
  // Behind ct only an answer of the tracker goes on: tracker.test.ts.
  const kinds = (Object.keys(ACTIONS) as ActionKind[]).filter(
    kind => !["unknown", "uninterpreted"].includes(ACTIONS[kind].support),
  );
  assert.equal(
    kinds.filter(kind => !seen.has(kind) && !NOT_RUN.has(kind)),
    [],
  );
});

/** A step whose writes are forgotten, and an action that shows it. */
const FORGOTTEN: readonly (readonly [find: string, put: string, shownBy: string])[] = [
  ["return anyOf(step.to);", "return [];", "push:NXM_NX_REG2[],pop:NXM_NX_REG0[]"],
  ["return TAGS;", "return [];", "pop_vlan"],
  ["any(KEY.vlanTci, KEY.mplsLse)", "any(KEY.vlanTci)", "push_vlan:0x8100"],
  ["return LABELLED;", "return [];", "pop_mpls:0x0800"],
  ["...any(KEY.mplsLse, KEY_WORDS)", "...any(KEY.mplsLse)", "pop_mpls:0x0800"],
  ["word: KEY.nwTtl, mask: 0xff", "word: KEY.nwTtl, mask: 0", "dec_ttl"],
  ["return any(KEY.mplsLse);", "return [];", "dec_mpls_ttl"],
  ["return any(KEY.skbPriority);", "return [];", "set_queue:1"],
  ["return any(KEY.actsetOutput);", "return [];", "clear_actions"],
];

for (const [find, put, shownBy] of FORGOTTEN)
  test(`canary: ${find} becomes ${put}`, async () => {
    const module = await bundleModule("src/verify/symbolic/writes.ts", (path, text) => {
      if (path !== "src/verify/symbolic/writes.ts") return text;
      assert.is(text.split(find).length, 2, "the file has the text to replace once");
      return text.replace(find, put);
    });
    const mutant = (await import(pathToFileURL(module).href)) as { writesOf: WritesOf };
    const found = unwritten(mutant.writesOf);
    assert.ok(
      found.some(line => line.startsWith(`${shownBy}: word `)),
      found.join("\n") || "nothing found",
    );
  });

test.run();
