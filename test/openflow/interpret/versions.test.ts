/**
 * Where Open vSwitch 3.1 and 3.5 differ: the interpreter, the prover and the program as each of them, and
 * each switch itself where it is there.
 */

import {
  FlowColumns,
  Interpreter,
  OVS_VERSIONS,
  type OvsVersion,
  parseFlows,
} from "../../../src/openflow/index.ts";
import { prove } from "../../../src/verify/index.ts";
import { failsWith, inFolder, succeeds } from "../../cli/base.ts";
import { assert, suite } from "../../harness.ts";
import { PrivateSwitch } from "../../ovs/private-switch.ts";
import { programsOf } from "../../ovs/versions.ts";

const test = suite("versions of Open vSwitch");
const VERSIONS = Object.keys(OVS_VERSIONS) as OvsVersion[];
const HEADER = "OFPST_FLOW reply (OF1.3) (xid=0x2):\n";
const PORTS = [1, 2, 3, 4];
/** An IPv4 packet with TTL 64. */
const FRAME = Buffer.from("020000000002020000000001080045000014000000004001" + "66e70a0000010a000002", "hex");

interface Differing {
  readonly name: string;
  readonly flows: string;
  /** The ports of outputs, in their order. */
  readonly ports: Readonly<Record<OvsVersion, readonly number[]>>;
  /** Flows that do the same in that version and not in the other. */
  readonly same: Readonly<Record<OvsVersion, string>>;
}

const repeated = (count: number): number[] => Array.from({ length: count }, () => 2);
/** One look at a packet after the other, each with an output. */
const AGAIN = "actions=2,push_mpls:0x8847,pop_mpls:0x0800,resubmit(,0)";

const DIFFERING: readonly Differing[] = [
  {
    name: "a clone and an action set",
    flows: "table=0 actions=write_actions(output:3),goto_table:1\ntable=1 actions=clone(output:2),4",
    ports: { "3.1": [2, 3, 4, 3], "3.5": [2, 4, 3] },
    same: { "3.1": "actions=2,3,4,3", "3.5": "actions=2,4,3" },
  },
  {
    name: "a clone, reached by resubmit, that writes an action set of its own",
    flows:
      "ip actions=write_actions(set_field:9->nw_ttl,output:3),goto_table:1\ntable=1,ip actions=clone(resubmit(,2)),4\n" +
      "table=2 actions=write_actions(output:2)",
    ports: { "3.1": [2, 4, 3], "3.5": [2, 4, 3] },
    same: {
      "3.1": "ip actions=clone(set_field:9->nw_ttl,output:2),4,set_field:9->nw_ttl,output:3",
      "3.5": "ip actions=output:2,4,set_field:9->nw_ttl,output:3",
    },
  },
  {
    name: "how often a packet recirculates",
    flows: `ip ${AGAIN}`,
    ports: { "3.1": repeated(7), "3.5": repeated(9) },
    same: { "3.1": `ip actions=${repeated(7)}`, "3.5": `ip actions=${repeated(9)}` },
  },
];

const read = (text: string): FlowColumns => new FlowColumns(Buffer.from(text), "flows");

for (const { name, flows, ports, same } of DIFFERING) {
  for (const ovs of VERSIONS) {
    test(`${name}: the interpreter as ${ovs}`, () => {
      const interpreter = new Interpreter(parseFlows(flows, "flows").flows, { ports: PORTS, ovs });
      const { outputs } = interpreter.run(1, FRAME);
      assert.equal(
        outputs.map(({ port }) => port),
        ports[ovs],
      );
    });

    test(`${name}: the prover as ${ovs}`, () => {
      for (const other of VERSIONS) {
        const proof = prove({ flows: read(flows) }, { flows: read(same[other]) }, { ovs });
        assert.is(
          proof.verdict,
          ovs === other ? "equal" : "different",
          `${other}: ${JSON.stringify(proof.unknown)}`,
        );
      }
    });

    test(`${name}: Open vSwitch ${ovs}`, async () => {
      const sw = await PrivateSwitch.start({ ports: PORTS.map(number => ({ number })), ...programsOf(ovs) });
      try {
        await sw.replaceFlows(flows);
        const { outputs } = await sw.send(1, FRAME);
        // The switch puts out by port, whatever the order of the actions.
        assert.equal(
          outputs.map(({ port }) => port),
          [...ports[ovs]].sort(),
        );
      } finally {
        await sw.close();
      }
    });
  }
}

test("--ovs: diff, trace and the command that a finding shows", () => {
  const [{ flows, same }] = DIFFERING as [Differing];
  inFolder({ "a.flows": HEADER + flows, "b.flows": HEADER + same["3.5"] }, folder => {
    const usual = folder.run(["diff", "a.flows", "b.flows"]);
    assert.is(usual.code, 2, usual.stderr);
    assert.is(folder.run(["diff", "a.flows", "b.flows", "--ovs", "3.5"]).code, 0);
    const found = folder.run(["diff", "a.flows", "b.flows", "--ovs", "3.1"]);
    assert.match(found.stdout, "slash32 trace -f a.flows --ovs 3.1 -i ");
    const outputs = (words: string[]): number => {
      const ran = folder.run([
        "trace",
        "-f",
        "a.flows",
        ...words,
        "-i",
        "1",
        FRAME.toString("hex"),
        "--format",
        "json",
      ]);
      succeeds(ran);
      return JSON.parse(ran.stdout).outputs.length;
    };
    assert.equal([outputs([]), outputs(["--ovs", "3.5"])], [4, 3]);
  });
});

test("--ovs: a wrong value, and none where it means nothing", () => {
  inFolder({ "a.flows": `${HEADER} actions=drop\n` }, folder => {
    for (const value of ["3.4", "3.1.0", "toString"]) {
      const message = `--ovs: "${value}" is not a known version; expected 3.1 or 3.5`;
      failsWith(folder.run(["diff", "a.flows", "a.flows", "--ovs", value]), message);
      failsWith(folder.run(["trace", "-f", "a.flows", "--ovs", value, "-i", "1", "00"]), message);
      failsWith(folder.run(["verify", "-n", "hv.yaml", "-f", "a.flows", "--ovs", value]), message);
    }
    failsWith(
      folder.run(["trace", "-n", "hv.yaml", "--ovs", "3.5", "-i", "1", "00"]),
      "--ovs requires --flows FLOWS",
    );
  });
});

test.run();
