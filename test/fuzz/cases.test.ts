/**
 * Every case that the fuzzer found and somebody explained: the interpreter answers as the switch did, and a
 * switch, where there is one, still answers so. `UPDATE=1` records its answers anew.
 */
import { USUAL_OVS } from "../../src/openflow/index.ts";
import { assert, suite } from "../harness.ts";
import { allCases, formatCase, parseCase, writeCase } from "./cases.ts";
import { Rig } from "./rig.ts";
import { saidBy } from "./round.ts";
import { interpreterOf } from "./world.ts";

const test = suite("cases of the fuzzer");
const cases = allCases();

test("the text of a case reads back as it was", () => {
  assert.ok(cases.size > 0);
  for (const one of cases.values()) assert.equal(parseCase(formatCase(one)), one);
});

for (const [name, { rules, input, theirs, isUnknown }] of cases)
  test(`${name}: the interpreter`, () => {
    assert.equal(
      saidBy(interpreterOf(rules).run(input.inPort, input.frame)),
      isUnknown ? ["unknown"] : theirs,
    );
  });

// Where the interpreter knows no answer, the switch may give one, another, or end itself.
for (const ovs of ["3.1", "3.5"] as const)
  test(`Open vSwitch ${ovs} answers as recorded`, async () => {
    const rig = new Rig(ovs);
    try {
      for (const [name, one] of cases) {
        if (one.isUnknown) continue;
        const [answer] = await rig.ask(one.rules, [one.input]);
        if (process.env.UPDATE === "1" && ovs === USUAL_OVS) writeCase(name, { ...one, theirs: answer! });
        else assert.equal(answer, one.theirs, name);
      }
    } finally {
      await rig.close();
    }
  });

test.run();
