/**
 * No field of the registry is forgotten on its way through the prover: a match on it makes a difference that a frame shows,
 * and a value written to it is seen outside. A word that the input space, the frame builder or the commit to bytes lacks
 * would be a proof of "equal" that is none. The fields that cannot make a difference are listed, with the reason.
 */
import { FIELDS, type Field, FlowColumns } from "../../src/openflow/index.ts";
import { type Proof, prove } from "../../src/verify/index.ts";
import { assert, suite } from "../harness.ts";
import { matchOf, prerequisiteOf, sampleValueOf } from "../openflow/field-samples.ts";

const test = suite("verify › fields");

/** Zero, or unset, in every frame that comes in from a port. */
const ZERO_AT_ENTRY = /^(metadata|reg\d+|xreg\d+|xxreg\d+|ct_.*|conj_id|dp_hash|actset_output|packet_type)$/;
/** What the prover does not model, and says so. */
const UNKNOWN = /^(recirc_id|nsh_.*)$/;

/** Not written by a set_field alone: only within ct, or with a tag that is there. */
const NOT_ALONE = /^(ct_mark|ct_label|dl_vlan|vlan_vid|dl_vlan_pcp)$/;

const read = (lines: readonly string[]): { flows: FlowColumns } => {
  const flows = new FlowColumns(Buffer.from(lines.map(line => `${line}\n`).join("")), "flows");
  assert.is(flows.errorCount, 0, flows.problems.map(({ message }) => message).join("; "));
  return { flows };
};

const compare = (a: readonly string[], b: readonly string[]): Proof => prove(read(a), read(b));

function verdictOf(field: Field): Proof["verdict"] {
  if (UNKNOWN.test(field.name)) return "unknown";
  return ZERO_AT_ENTRY.test(field.name) ? "equal" : "different";
}

for (const field of FIELDS) {
  if (field.place === null) continue;
  test(`a match on ${field.name} counts`, () => {
    const rest = "priority=0 actions=output:3";
    const proof = compare([`priority=10,${matchOf(field)} actions=output:2`, rest], [rest]);
    assert.is(proof.verdict, verdictOf(field), JSON.stringify(proof.unknown));
  });
}

for (const field of FIELDS) {
  if (field.place === null || !field.isWritable || NOT_ALONE.test(field.name)) continue;
  test(`a value written to ${field.name} counts`, () => {
    const match = prerequisiteOf(field);
    const flow = (written: string): string => `${match} actions=${written}output:2,controller`.trimStart();
    const proof = compare([flow(`set_field:${sampleValueOf(field)}->${field.name},`)], [flow("")]);
    assert.is(
      proof.verdict,
      UNKNOWN.test(field.name) ? "unknown" : "different",
      JSON.stringify(proof.unknown),
    );
  });
}

test("recirc_id that an action reads is unknown, because the datapath allocates it", () => {
  const flows = (port: number): string[] => [
    "table=0,mpls actions=pop_mpls:0x0800,goto_table:1",
    "table=1 actions=move:NXM_NX_RECIRC_ID[]->NXM_NX_REG0[],goto_table:2",
    "table=2,priority=10,reg0=0 actions=output:2",
    `table=2,priority=1 actions=output:${port}`,
  ];
  assert.is(compare(flows(3), flows(4)).verdict, "unknown");
});

test.run();
