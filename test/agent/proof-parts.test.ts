/** What the agent's proofs compare, and what the refusal of a plan says. */
import { bytesOf, Prover, planCheck } from "../../src/agent/proof-client.ts";
import { NO_PORT_KINDS } from "../../src/verify/index.ts";
import { assert, suite } from "../harness.ts";

const test = suite("what proofs of the agent compare");
const SECONDS = 600;

const OURS = "cookie=0x1, table=0, priority=10,in_port=1 actions=output:2";
/** Flows of others in front of ours, and the option that leaves out what they change. */
const FOREIGN: readonly (readonly [flow: string, part: "queue" | "mark" | "packet-in" | "sample"])[] = [
  ["cookie=0x99, table=0, priority=20,in_port=1 actions=set_queue:7,output:2", "queue"],
  ["cookie=0x99, table=0, priority=20,in_port=1 actions=set_field:7->pkt_mark,output:2", "mark"],
  ["cookie=0x99, table=0, priority=20,in_port=1 actions=output:2,controller(id=3)", "packet-in"],
  [
    "cookie=0x99, table=0, priority=20,in_port=1 actions=sample(probability=1,collector_set_id=1,obs_domain_id=0,obs_point_id=0),output:2",
    "sample",
  ],
];

for (const [foreign, part] of FOREIGN)
  test(`a plan is refused by its ${part}, and the refusal names --ignore ${part}`, async () => {
    const prover = new Prover();
    const ignoring = new Prover({ ignored: new Set([part]) });
    try {
      const refusal = await planCheck(prover, [], SECONDS)(OURS, foreign);
      assert.match(refusal ?? "", `--ignore ${part} excludes it`);
      assert.is(await planCheck(ignoring, [], SECONDS)(OURS, foreign), null);
    } finally {
      await Promise.all([prover.close(), ignoring.close()]);
    }
  });

test("a tunnel field in front of a port that is no tunnel is no difference", async () => {
  const foreign = "cookie=0x99, table=0, priority=20,in_port=1 actions=set_tunnel:7,output:2";
  const knowing = new Prover({ portKinds: async () => ({ ...NO_PORT_KINDS, isComplete: true }) });
  const prover = new Prover();
  try {
    assert.is(await planCheck(knowing, [], SECONDS)(OURS, foreign), null);
    assert.match((await planCheck(prover, [], SECONDS)(OURS, foreign)) ?? "", "tun_id differs");
  } finally {
    await Promise.all([knowing.close(), prover.close()]);
  }
});

test("what is the same is equal", async () => {
  const prover = new Prover();
  try {
    const [a, b] = [await bytesOf([OURS]), await bytesOf([OURS])];
    assert.is((await prover.ask(a, b, SECONDS)).verdict, "equal");
  } finally {
    await prover.close();
  }
});

test.run();
