/**
 * Conjunctive matches as the interpreter executes them: the tie rules one by one, random tables against a
 * model that tries every order of the flows, and the same tables on a real switch, installed in two orders.
 * CONJUNCTIVE_TABLES says how many of those.
 */

import {
  CachingInterpreter,
  type Flow,
  FlowColumns,
  Interpreter,
  type Outcome,
} from "../../../src/openflow/index.ts";
import { assert, draws, peer, seed, suite } from "../../harness.ts";
import { rng } from "../../model/random.ts";
import { PrivateSwitch } from "../../ovs/private-switch.ts";
import {
  frameOf,
  isSmall,
  isUndecided,
  PACKETS,
  portsOf,
  type Row,
  randomRows,
  textOf,
} from "../../verify/conjunctive/tables.ts";
import { flowsOf } from "./compare.ts";

const test = suite("conjunctive matches");
const TABLES = Number(process.env.CONJUNCTIVE_TABLES ?? draws(60));

/** UDP from 10.0.0.1 to 10.0.0.2, port 3. */
const FRAME = frameOf({ src: 1, dst: 2, port: 3, isFragment: false });

const run = (lines: readonly string[], frame = FRAME): Outcome =>
  new Interpreter(flowsOf(lines)).run(1, frame);

/** Where a frame goes: a port, "drop", or what else becomes of it. */
function seenOf({ verdict, outputs }: Outcome): string {
  return verdict === "output" ? outputs.map(({ port }) => port).join() : verdict;
}

const SRC = "priority=10,ip,nw_src=10.0.0.1 actions=conjunction(7,1/2)";
const DST = "priority=10,ip,nw_dst=10.0.0.2 actions=conjunction(7,2/2)";
const ID = "priority=10,conj_id=7,ip actions=output:2";
const REST = "priority=0 actions=output:9";

/** What the frame above comes to. */
const EXPECTED: readonly (readonly [name: string, lines: readonly string[], seen: string])[] = [
  ["all clauses are met", [SRC, DST, ID, REST], "2"],
  ["one clause is not met", [SRC, DST.replace("0.2", "0.9"), ID, REST], "9"],
  ["clauses without the others are no match", [SRC], "drop"],
  ["the flow of the id may have any priority", [SRC, DST, ID.replace("10", "1"), REST], "2"],
  ["also a higher one", [SRC, DST, ID.replace("10", "99"), REST], "2"],
  [
    "an ordinary flow of the same priority wins",
    [SRC, DST, ID, REST, "priority=10,udp,tp_dst=3 actions=output:4"],
    "4",
  ],
  ["one of a lower priority does not", [SRC, DST, ID, REST, "priority=9,udp,tp_dst=3 actions=output:4"], "2"],
  [
    "with the id the table is asked for whatever is highest, which need not be the flow of the id",
    [SRC, DST, ID.replace("10", "1"), REST, "priority=9,udp,tp_dst=3 actions=output:4"],
    "4",
  ],
  [
    "and so lower clauses do not count where an ordinary flow is found with the id",
    [
      SRC,
      DST,
      REST,
      "priority=9,ip,nw_src=10.0.0.1 actions=conjunction(8,1/2)",
      "priority=9,ip,nw_dst=10.0.0.2 actions=conjunction(8,2/2)",
      "conj_id=8 actions=output:5",
    ],
    "9",
  ],
  [
    "lower clauses count where nothing is found with the id",
    [
      SRC,
      DST,
      "priority=9,ip,nw_src=10.0.0.0/8 actions=conjunction(8,1/2)",
      "priority=9,ip,nw_dst=10.0.0.0/8 actions=conjunction(8,2/2)",
      "priority=1,conj_id=8 actions=output:5",
    ],
    "5",
  ],
  [
    "clauses of several priorities are not weighed together",
    [SRC, DST.replace("priority=10", "priority=9"), ID, REST],
    "9",
  ],
  [
    "a clause hides the flow with its match below it from those who ask with an id",
    [SRC, DST, "priority=5,ip,nw_src=10.0.0.1 actions=output:6", REST],
    "9",
  ],
  ["but not from a lookup without one", [SRC, "priority=5,ip,nw_src=10.0.0.1 actions=output:6", REST], "6"],
  [
    "of a clause and a flow with one match and priority the last stands",
    [SRC, "priority=10,ip,nw_src=10.0.0.1 actions=output:6", DST, ID, REST],
    "6",
  ],
  [
    "one flow that is both clauses is not enough",
    ["priority=10,ip actions=conjunction(7,1/2),conjunction(7,2/2)", ID, REST],
    "9",
  ],
  [
    "but beside any other clause of its priority it is",
    [
      "priority=10,ip actions=conjunction(7,1/2),conjunction(7,2/2)",
      "priority=10,udp actions=conjunction(1,1/3)",
      ID,
      REST,
    ],
    "2",
  ],
  [
    "of two ids of the same flows the one that stands first in all of them is taken",
    [
      "priority=10,ip,nw_src=10.0.0.1 actions=conjunction(7,1/2),conjunction(8,1/2)",
      "priority=10,ip,nw_dst=10.0.0.2 actions=conjunction(7,2/2),conjunction(8,2/2)",
      ID,
      "priority=10,conj_id=8,ip actions=output:5",
    ],
    "2",
  ],
  [
    "if it stands first in one of them only, their order decides",
    [
      "priority=10,ip,nw_src=10.0.0.1 actions=conjunction(7,1/2),conjunction(8,1/2)",
      "priority=10,ip,nw_dst=10.0.0.2 actions=conjunction(8,2/2),conjunction(7,2/2)",
      ID,
      "priority=10,conj_id=8,ip actions=output:5",
    ],
    "ambiguous",
  ],
  [
    "unless both do the same",
    [
      "priority=10,ip,nw_src=10.0.0.1 actions=conjunction(7,1/2),conjunction(8,1/2)",
      "priority=10,ip,nw_dst=10.0.0.2 actions=conjunction(8,2/2),conjunction(7,2/2)",
      ID,
      "priority=10,conj_id=8,ip actions=output:2",
    ],
    "2",
  ],
  ["flows of a conj_id do not match by themselves", [ID, REST], "9"],
  ["conj_id=0 always does", ["priority=10,conj_id=0 actions=output:3", REST], "3"],
  [
    "the id is gone in the next table",
    [
      SRC,
      DST,
      ID.replace("output:2", "resubmit(,1)"),
      "table=1,priority=2,conj_id=7 actions=output:3",
      "table=1 actions=output:4",
    ],
    "4",
  ],
  [
    "a table that is reached has its own",
    ["priority=1 actions=resubmit(,1)", ...[SRC, DST, ID, REST].map(line => `table=1,${line}`)],
    "2",
  ],
  ["note may stand beside it", [SRC.replace("conj", "note:01.02,conj"), DST, ID, REST], "2"],
  ["in a list it does nothing", ["priority=1 actions=clone(conjunction(7,1/2)),output:3"], "3"],
];

for (const [name, lines, seen] of EXPECTED) {
  test(name, () => {
    assert.is(seenOf(run(lines)), seen);
    if (seen !== "ambiguous")
      assert.is(seenOf(run([...lines].reverse())), /last stands/.test(name) ? "2" : seen);
    const columns = new FlowColumns(Buffer.from(lines.join("\n")), "flows");
    assert.is(seenOf(new Interpreter(columns, { isForFew: true }).run(1, FRAME)), seen);
  });
}

test("the same frame on a switch, installed in two orders", async () => {
  peer("ovs-vswitchd");
  const sw = await PrivateSwitch.start({ ports: [1, 2, 3, 4, 5, 6, 9].map(number => ({ number })) });
  try {
    for (const [name, lines, seen] of EXPECTED) {
      const turned = [...lines].reverse();
      for (const order of /last stands/.test(name) ? [lines] : [lines, turned]) {
        await sw.replaceFlows("");
        await sw.replaceFlows(order.join("\n"));
        const { outputs } = await sw.send(1, FRAME);
        const told = outputs.length === 0 ? "drop" : outputs.map(({ port }) => port).join();
        if (seen !== "ambiguous") assert.is(told, seen, `${name}\n${order.join("\n")}`);
        else assert.ok(["2", "5"].includes(told), name);
      }
    }
  } finally {
    await sw.close();
  }
});

test("the flow that was found comes with the clauses that led to it", () => {
  const [first] = run([ID, DST, SRC, REST]).tables;
  const textOfFlow = ({ text }: Flow): string => text;
  assert.is(first!.flow?.text, ID);
  assert.equal(first!.clauses?.map(textOfFlow), [DST, SRC]);
  assert.is(run([SRC, ID, REST]).tables[0]!.clauses, undefined);
});

test("where the order decides both flows are told, and all clauses that they have", () => {
  const lines = [
    "priority=10,ip,nw_src=10.0.0.1 actions=conjunction(7,1/2),conjunction(8,1/2)",
    "priority=10,ip,nw_dst=10.0.0.2 actions=conjunction(8,2/2),conjunction(7,2/2)",
    ID,
    "priority=10,conj_id=8,ip actions=output:5",
  ];
  const [found] = run(lines).ambiguous;
  assert.equal(found!.flows.map(({ text }) => text).sort(), [lines[3], ID].sort());
  assert.equal(
    found!.clauses?.map(({ text }) => text),
    lines.slice(0, 2),
  );
  // Two ordinary flows have none.
  const [plain] = run(["priority=5,ip actions=output:2", "priority=5,udp actions=output:3"]).ambiguous;
  assert.is(plain!.clauses, undefined);
});

test("what is remembered of a frame holds for frames that read alike, and for no others", () => {
  const lines = [SRC, DST, ID, REST, "priority=20,udp,tp_dst=1 actions=output:4"];
  const cached = new CachingInterpreter(flowsOf(lines));
  for (let round = 0; round < 2; round++)
    for (const packet of PACKETS)
      assert.is(seenOf(cached.run(1, frameOf(packet))), seenOf(run(lines, frameOf(packet))));
  assert.ok(cached.hits > PACKETS.length, "most are remembered");
});

const undecided = (rows: readonly Row[]): number =>
  PACKETS.filter(packet => isUndecided(rows, packet)).length;

/** Random tables, the last of them odd. */
function* tables(from: number, count: number): Generator<{ name: string; rows: Row[] }> {
  for (let made = 0, at = from; made < count; at++) {
    const rows = randomRows(rng(at), { isOdd: at % 3 === 0, hasRegister: at % 4 === 1 });
    if (rows.length === 0 || !isSmall(rows)) continue;
    made++;
    yield { name: `SEED=${at}\n${textOf(rows)}`, rows };
  }
}

test("random tables against a model that tries every order", () => {
  const from = seed();
  let [byClauses, open] = [0, 0];
  for (const { name, rows } of tables(from, 3 * TABLES)) {
    const lines = textOf(rows).split("\n");
    const columns = new FlowColumns(Buffer.from(lines.join("\n")), "flows");
    const [made, cached] = [new Interpreter(flowsOf(lines)), new CachingInterpreter(columns)];
    const searched = new Interpreter(columns, { isForFew: true });
    open += undecided(rows);
    for (const [index, packet] of PACKETS.entries()) {
      const frame = frameOf(packet);
      const outcome = made.run(1, frame);
      const wanted = isUndecided(rows, packet) ? "ambiguous" : `${[...portsOf(rows, packet)][0] || "drop"}`;
      assert.is(seenOf(outcome), wanted, `${JSON.stringify(packet)} ${name}`);
      assert.is(seenOf(cached.run(1, frame)), wanted, `remembered, ${name}`);
      if (index % 8 === 0) assert.is(seenOf(searched.run(1, frame)), wanted, `searched, ${name}`);
      if (outcome.tables.some(({ clauses }) => clauses !== undefined)) byClauses++;
    }
  }
  process.stdout.write(`seed ${from}: ${byClauses} frames by clauses, ${open} ambiguous\n`);
  assert.ok(byClauses > TABLES && open > TABLES / 4, "too few tables with conjunctive matches");
});

test("random tables on a switch, installed in two orders", async () => {
  peer("ovs-vswitchd");
  const from = seed();
  const sw = await PrivateSwitch.start({ ports: [1, 2, 3, 4].map(number => ({ number })) });
  const inputs = PACKETS.map(packet => ({ inPort: 1, frame: frameOf(packet) }));
  let [frames, open, varied] = [0, 0, 0];
  try {
    for (const { name, rows } of tables(from, TABLES)) {
      const interpreter = new Interpreter(flowsOf(textOf(rows).split("\n")));
      const seen: string[][] = PACKETS.map(() => []);
      for (const order of [rows, [...rows].reverse()]) {
        // Subtables that are there already keep their place.
        await sw.replaceFlows("");
        await sw.replaceFlows(textOf(order));
        for (const [index, { outputs }] of (await sw.sendMany(inputs)).entries())
          seen[index]!.push(outputs.length === 0 ? "drop" : `${outputs[0]!.port}`);
      }
      for (const [index, packet] of PACKETS.entries()) {
        frames++;
        const outcome = interpreter.run(1, inputs[index]!.frame);
        const told = seen[index]!;
        if (outcome.verdict === "ambiguous") {
          open++;
          varied += told[0] === told[1] ? 0 : 1;
          const can = new Set([...portsOf(rows, packet)].map(port => `${port || "drop"}`));
          assert.ok(
            told.every(one => can.has(one)),
            `${told} of ${[...can]}, ${name}`,
          );
        } else assert.equal(told, [seenOf(outcome), seenOf(outcome)], `${JSON.stringify(packet)} ${name}`);
      }
    }
  } finally {
    await sw.close();
  }
  process.stdout.write(`seed ${from}: ${frames} frames, ${open} ambiguous, of which ${varied} varied\n`);
  assert.ok(varied > 0, "nothing that is called ambiguous was seen to vary");
});

test.run();
