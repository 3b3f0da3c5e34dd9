/**
 * Connection tracking on a real Open vSwitch: what the interpreter does behind ct is what `ofproto/trace
 * --ct-next` says, and the frame and tracker state of a counterexample make a switch whose tracker is in that
 * state differ as they should. TRACKER_SWITCH_TABLES says how many random tables, SEED which.
 */
import { FlowColumns, givenTracker, Interpreter, parseTrackerAnswer } from "../../src/openflow/index.ts";
import { prove } from "../../src/verify/index.ts";
import { frameOfExpression } from "../../src/wire/index.ts";
import { assert, seed, suite } from "../harness.ts";
import { type Answer, PrivateSwitch } from "../ovs/private-switch.ts";
import { Random } from "./tiny/random.ts";
import { FRAMES, randomLines, textOf } from "./tracker/world.ts";

const test = suite("connection tracking on Open vSwitch");
const TABLES = Number(process.env.TRACKER_SWITCH_TABLES ?? 12);
const PORTS = [1, 2, 3, 4].map(number => ({ number }));
const STATES = ["trk,new", "trk,est", "trk,est,rpl", "trk,rel", "trk,inv", "trk,new,rel"];

const read = (text: string): FlowColumns => new FlowColumns(Buffer.from(`${text}\n`), "flows");
const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/** What `ofproto/trace` does not follow: marks that ct writes, the original tuple, translated addresses. */
const FOLLOWED = /nat|exec|ct_mark|ct_label|ct_nw|CT_MARK/;

/** What happens to frames that no other flow of a table matches. */
const OTHERWISE = [
  "table=0,priority=0,ip actions=output:2,ct(table=1,zone=7),output:3",
  ...[1, 2].map(table => `table=${table},priority=0 actions=output:${table},resubmit(,${table + 1})`),
  "table=3,priority=0 actions=output:4",
].join("\n");

/** The parts of a list of datapath actions that are not inside of parentheses of others. */
function partsOf(actions: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let part = "";
  for (const letter of actions) {
    if (letter === "(") depth++;
    if (letter === ")") depth--;
    if (letter === "," && depth === 0) {
      parts.push(part);
      part = "";
    } else part += letter;
  }
  return [...parts, part];
}

/** The ports that a trace puts out by, in the order of the datapath: what recirculates runs where it stands. */
function portsIn(trace: string): number[] {
  const passes = new Map<string, string>();
  for (const section of trace.split(/={20,}\n(?=recirc)/)) {
    const id = /^recirc\((0x[0-9a-f]+)\)/.exec(section)?.[1] ?? "";
    passes.set(id, /Datapath actions: (.*)/.exec(section)?.[1] ?? "");
  }
  const run = (id: string): number[] =>
    partsOf(passes.get(id) ?? "").flatMap(part => {
      const next = /^recirc\((0x[0-9a-f]+)\)$/.exec(part)?.[1];
      return next !== undefined ? run(next) : /^\d+$/.test(part) ? [Number(part)] : [];
    });
  return run("");
}

const portsOf = ({ outputs }: { readonly outputs: readonly { port: number }[] }): number[] =>
  outputs.map(({ port }) => port);

test("ofproto/trace --ct-next and the interpreter put out by the same ports", async () => {
  const from = seed();
  const sw = await PrivateSwitch.start({ ports: PORTS });
  let compared = 0;
  let putOut = 0;
  try {
    for (let index = 0; index < TABLES; index++) {
      const r = new Random(from + index);
      const kept = randomLines(r).filter(line => !FOLLOWED.test(`${line.match} ${line.actions}`));
      const text = `${textOf(kept)}\n${OTHERWISE}`;
      if (read(text).errorCount > 0) continue;
      await sw.replaceFlows(text);
      const interpreter = new Interpreter(read(text));
      for (const frame of FRAMES.filter(() => r.chance(0.4))) {
        const state = r.pick(STATES);
        const answer = parseTrackerAnswer(state);
        assert.ok(typeof answer !== "string", state);
        const options = Array.from({ length: 6 }, () => ["--ct-next", state]).flat();
        const trace = await sw.trace(1, hexOf(frame), [], options);
        const ours = interpreter.run(1, frame, null, undefined, givenTracker(new Array(6).fill(answer)));
        if (ours.effects === null) continue;
        compared++;
        putOut += ours.effects.outputs.length;
        assert.equal(
          portsOf(ours.effects),
          portsIn(trace),
          `seed ${from + index}, ${state}\n${text}\n${trace}`,
        );
      }
    }
  } finally {
    await sw.close();
  }
  process.stdout.write(`  seed ${from}: ${compared} frames, ${putOut} outputs\n`);
  assert.ok(putOut > compared / 4, "frames leave");
});

const ETHERNET = ["02:00:00:00:00:02", "02:00:00:00:00:01"] as const;

/** A UDP frame, and the answer to it. */
function conversation(port: number): { readonly there: Uint8Array; readonly back: Uint8Array } {
  const [far, near] = ETHERNET;
  const ends = [`10.0.0.1`, `10.0.0.2`] as const;
  return {
    there: frameOfExpression(
      `eth(dst=${far}, src=${near}).ipv4(src=${ends[0]}, dst=${ends[1]}).udp(src=${port}, dst=53)`,
    ),
    back: frameOfExpression(
      `eth(dst=${near}, src=${far}).ipv4(src=${ends[1]}, dst=${ends[0]}).udp(src=53, dst=${port})`,
    ),
  };
}

test("a counterexample and its tracker state: the switch differs when its tracker is in that state", async () => {
  const rules = [
    "table=1,priority=9,ct_state=+new+trk,udp actions=ct(commit,zone=5),output:2",
    "table=1,priority=8,ct_state=+est-rpl+trk,udp actions=output:3",
    "table=1,priority=7,ct_state=+rpl+trk,udp actions=output:4",
  ];
  const enter = "udp actions=ct(table=1,zone=5)";
  const whole = [enter, ...rules].join("\n");
  const sw = await PrivateSwitch.start({ ports: PORTS });
  try {
    for (const [index, state] of ["new", "est", "est,rpl"].entries()) {
      const without = [enter, ...rules.filter((_, at) => at !== index)].join("\n");
      const proof = prove({ flows: read(whole) }, { flows: read(without) });
      assert.is(proof.verdict, "different");
      const [difference] = proof.differences;
      assert.is(difference!.tracker.length, 1, "one question");
      // The same connection state, brought about by a conversation of its own.
      const { there, back } = conversation(2000 + index);
      const asked = state === "est,rpl" ? back : there;
      const answer = async (text: string): Promise<Answer> => {
        await sw.replaceFlows(text);
        return sw.send(1, asked);
      };
      await sw.replaceFlows("udp actions=ct(commit,zone=5)");
      if (state !== "new") {
        await sw.send(1, there);
        await sw.send(1, back);
      }
      const tracker = (): ReturnType<typeof givenTracker> => {
        const given = parseTrackerAnswer(state);
        assert.ok(typeof given !== "string", state);
        return givenTracker([given]);
      };
      for (const text of [without, whole]) {
        const ours = new Interpreter(read(text)).run(1, asked, null, undefined, tracker());
        const theirs = await answer(text);
        assert.equal(portsOf(theirs), portsOf(ours.effects!), `${state}\n${text}`);
      }
    }
  } finally {
    await sw.close();
  }
});

test.run();
