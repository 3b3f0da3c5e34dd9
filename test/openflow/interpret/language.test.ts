/**
 * docs/language.md says what the interpreter does: it is made from the same table, and the table from what
 * happens.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ACTION_FEATURES, FIELDS, Interpreter, MATCH_FEATURES } from "../../../src/openflow/index.ts";
import { assert, suite } from "../../harness.ts";
import { flowsOf } from "./compare.ts";
import { languagePage } from "./language-page.ts";

const test = suite("the page of the flow language");
const FILE = join(import.meta.dirname, "../../../docs/language.md");
const FRAME = Uint8Array.from(
  Buffer.from(`020000000002020000000001080045000014${"00".repeat(8)}0a0000010a000002`, "hex"),
);

test("docs/language.md is up to date (UPDATE=1 writes it)", () => {
  if (process.env.UPDATE === "1") writeFileSync(FILE, languagePage());
  assert.is(readFileSync(FILE, "utf8"), languagePage());
});

/** An action for each name that is kept as text, so that its row can be tried. */
const SAMPLES: Record<string, string> = {
  learn: "learn(table=1,NXM_OF_ETH_SRC[])",
  fin_timeout: "fin_timeout(idle_timeout=5)",
  sample: "sample(probability=1,collector_set_id=1,obs_domain_id=0,obs_point_id=0)",
  ct_clear: "ct_clear",
  note: "note:00",
  meter: "meter:1",
  ct: "ct(commit)",
  multipath: "multipath(eth_src,50,modulo_n,1,0,NXM_NX_REG0[])",
  bundle: "bundle(eth_src,0,hrw,ofport,members:2,3)",
  bundle_load: "bundle_load(eth_src,0,hrw,ofport,NXM_NX_REG0[],members:2,3)",
  check_pkt_larger: "check_pkt_larger(1500)->NXM_NX_REG0[0]",
  decap: "decap()",
  NORMAL: "NORMAL",
  FLOOD: "FLOOD",
};

test("a row says what happens", () => {
  for (const [name, text] of Object.entries(SAMPLES)) {
    const row = ACTION_FEATURES.find(feature => feature.name === name);
    assert.ok(row !== undefined, name);
    const match = name === "fin_timeout" ? "tcp" : "ip";
    const flows = flowsOf([
      "priority=2,ip actions=resubmit(,1)",
      `table=1,${match} actions=${text},output:2`,
    ]);
    const frame = FRAME.slice();
    if (match === "tcp") frame[23] = 6;
    const { verdict, unknown, outlives } = new Interpreter(flows).run(1, frame);
    // Without an answer of the tracker, one frame alone is unknown.
    const isUnknown = row.support === "unknown" || row.support === "uninterpreted";
    assert.is(verdict, isUnknown ? "unknown" : "output", `${name}: ${verdict}`);
    assert.equal(unknown, isUnknown ? [{ feature: name, line: 2 }] : [], name);
    assert.equal(outlives, name === "learn" ? [{ feature: "learn", line: 2 }] : [], name);
  }
});

test("every field of the registry is in a row", () => {
  const patterns = MATCH_FEATURES.flatMap(({ name }) => name.split(", ")).map(
    name => new RegExp(`^${name.replaceAll("*", ".*")}$`),
  );
  const missing = FIELDS.filter(
    ({ name, aliases }) => ![name, ...aliases].some(one => patterns.some(p => p.test(one))),
  );
  assert.equal(
    missing.map(({ name }) => name),
    [],
  );
});

test.run();
