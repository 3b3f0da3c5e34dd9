/**
 * Rows of a difference: every flow that is wrong, no flow that is not, whatever the shape of the tables.
 * Which rows there must be is known from how the tables were made; none of it is read off the proof.
 */
import { FlowColumns } from "../../src/openflow/index.ts";
import { type Proof, prove } from "../../src/verify/index.ts";
import { assert, seed, suite } from "../harness.ts";
import { rng } from "../model/random.ts";

const test = suite("rows of a difference");

const columns = (lines: readonly string[], name: string): FlowColumns =>
  new FlowColumns(Buffer.from(lines.map(line => `${line}\n`).join("")), name);

interface Row {
  readonly a: string | null;
  readonly b: string | null;
  readonly missing: "a" | "b" | null;
}

interface Judged {
  readonly proof: Proof;
  /** Rows of all differences, each once, by the texts of the flows. */
  readonly rows: readonly Row[];
}

function judge(a: readonly string[], b: readonly string[]): Judged {
  const [left, right] = [columns(a, "a"), columns(b, "b")];
  const proof = prove({ flows: left }, { flows: right }, { maxDifferences: Number.POSITIVE_INFINITY });
  const textOf = (flows: FlowColumns, flow: number): string | null => (flow < 0 ? null : flows.textOf(flow));
  const rows = new Map<number, Row>();
  for (const difference of proof.differences)
    for (let index = 0; index < difference.rows.count; index++) {
      const pair = difference.rows.at(index);
      rows.set(difference.rows.nameAt(index), {
        a: textOf(left, pair.a),
        b: textOf(right, pair.b),
        missing: pair.missing,
      });
    }
  return { proof, rows: [...rows.values()] };
}

const address = (n: number): string => `10.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}`;
const route = (n: number, label: number, more = ""): string =>
  `table=0,priority=132,ip,nw_dst=${address(n)} actions=dec_ttl,push_mpls:0x8847,set_field:${label}->mpls_label,${more}output:1`;
const table = (count: number, label = (n: number) => 1000 + n): string[] => [
  ...Array.from({ length: count }, (_, n) => route(n, label(n))),
  "table=0,priority=0 actions=drop",
];

/** That the rows are those of the lines that differ, and no others. */
function hasRows(a: readonly string[], b: readonly string[], wrong: readonly number[]): void {
  const { proof, rows } = judge(a, b);
  assert.is(proof.verdict, "different");
  assert.is(proof.isComplete, true);
  const expected = wrong.map(n => ({ a: a[n]!, b: b[n]!, missing: null }));
  const sorted = (list: readonly Row[]): string[] => list.map(one => JSON.stringify(one)).sort();
  assert.equal(sorted(rows), sorted(expected));
}

test("300 labels wrong among 1,000: 300 rows of one difference", () => {
  const a = table(1000);
  const b = table(1000, n => (n % 10 < 3 ? 5000 + n : 1000 + n));
  hasRows(
    a,
    b,
    Array.from({ length: 1000 }, (_, n) => n).filter(n => n % 10 < 3),
  );
  assert.is(judge(a, b).proof.differences.length, 1);
});

test("random tables, sizes and places, in order and out of order", () => {
  const start = seed();
  process.stdout.write(`\n  SEED=${start}\n`);
  for (let round = 0; round < 30; round++) {
    const r = rng((start + round) >>> 0);
    const count = r.between(1, round % 3 === 0 ? 6 : 60);
    const wrong = Array.from({ length: count }, (_, n) => n).filter(() => r.chance(30));
    const isWrong = new Set(wrong);
    if (wrong.length === 0) continue;
    const a = table(count);
    const b = table(count, n => (isWrong.has(n) ? 900_000 + n : 1000 + n));
    const order = new Map(b.map(line => [line, r.u32()]));
    const shuffled = [...b].sort((one, other) => Number(order.get(one)) - Number(order.get(other)));
    const { rows, proof } = judge(a, shuffled);
    assert.is(proof.verdict, "different", `SEED=${start + round}`);
    const found = rows.map(row => row.b).sort();
    assert.equal(found, wrong.map(n => b[n]!).sort(), `SEED=${start + round}`);
  }
});

test("flows that are missing on one side, and flows that only the other side has", () => {
  const a = table(40);
  const b = a.filter((_, n) => n % 4 !== 0 || n === 40);
  const gone = Array.from({ length: 10 }, (_, n) => a[4 * n]!).sort();
  const less = judge(a, b).rows;
  assert.equal(less.map(row => row.a).sort(), gone);
  assert.ok(
    less.every(({ missing, b: taken }) => missing === "b" && taken === a[40]),
    JSON.stringify(less),
  );
  const more = judge(b, a).rows;
  assert.equal(more.map(row => row.b).sort(), gone);
  assert.ok(more.every(({ missing }) => missing === "a"));
});

test("a wrong flow that no frame reaches is no row", () => {
  // The /24 is covered by its 256 addresses, which are right.
  const covered = Array.from({ length: 256 }, (_, n) => route(n, 7));
  const nets = (label: (net: number) => number): string[] =>
    Array.from(
      { length: 20 },
      (_, net) =>
        `table=0,priority=100,ip,nw_dst=10.0.${net}.0/24 actions=push_mpls:0x8847,set_field:${label(net)}->mpls_label,output:1`,
    );
  const a = [...covered, ...nets(net => 100 + net)];
  const b = [...covered, ...nets(net => (net < 3 ? 900 + net : 100 + net))];
  const { rows, proof } = judge(a, b);
  assert.is(proof.verdict, "different");
  assert.equal(
    rows.map(row => row.b).sort(),
    [1, 2].map(net => b[256 + net]!),
    "10.0.0.0/24 is behind its addresses",
  );
  assert.ok(proof.differences.every(({ rows: { openCount } }) => openCount === 0));
});

test("the wrong row is the one where the two part, in whichever table, and not the last that was hit", () => {
  const chain = (wrong: ReadonlySet<number>): string[] => [
    ...Array.from(
      { length: 30 },
      (_, n) =>
        `table=0,priority=10,ip,nw_src=${address(n)} actions=set_field:${wrong.has(n) ? 77 : 0}->ip_dscp,resubmit(,1)`,
    ),
    ...Array.from(
      { length: 30 },
      (_, n) => `table=1,priority=10,ip,nw_dst=${address(100 + n)} actions=output:${n + 2}`,
    ),
  ];
  const wrong = [3, 17, 18];
  // 77 is no DSCP of six bits; any other of 0 will do.
  const a = chain(new Set()).map(line => line.replace("set_field:77", "set_field:9"));
  const b = chain(new Set(wrong)).map(line => line.replace("set_field:77", "set_field:9"));
  hasRows(a, b, wrong);
});

test("rows that are spelt in another OpenFlow version are compared by what they mean", () => {
  const a = Array.from(
    { length: 50 },
    (_, n) =>
      `table=0,priority=9,ip,nw_dst=${address(n)} actions=set_field:02:00:00:00:00:${(n + 16).toString(16)}->eth_dst,output:1`,
  );
  const b = a.map((line, n) =>
    line
      .replace(/set_field:(\S+)->eth_dst/, "mod_dl_dst:$1")
      .replace(/mod_dl_dst:\S+?,/, text => (n === 11 || n === 31 ? "mod_dl_dst:02:00:00:00:01:01," : text)),
  );
  hasRows(a, b, [11, 31]);
});

test("few flows, each of a shape of its own, are rows of one difference as well", () => {
  const a = table(5);
  const b = table(5, n => (n === 1 || n === 3 ? 4000 + n : 1000 + n));
  hasRows(a, b, [1, 3]);
  assert.is(judge(a, b).proof.differences.length, 1);
});

test("two things wrong at different flows are two differences, with rows of their own", () => {
  const a = table(60);
  const b = a.map((line, n) => {
    if (n < 5) return line.replace("->mpls_label", "0->mpls_label");
    return n < 9 ? line.replace("output:1", "output:2") : line;
  });
  const { proof } = judge(a, b);
  const counts = proof.differences.map(({ what, rows }) => `${what} ${rows.count}`).sort();
  // Where the port that a frame came in by is one of the two, nothing leaves there.
  assert.equal(counts, ["an output too few 4", "an output too many 4", "mpls_label 5", "port 4"]);
});

test("a search that stops early says that it is not complete", () => {
  const a = table(20);
  const b = a.map((line, n) =>
    n % 2 === 0 ? line.replace("output:1", "output:2") : line.replace("->mpls_label", "0->mpls_label"),
  );
  const [left, right] = [columns(a, "a"), columns(b, "b")];
  const proof = prove({ flows: left }, { flows: right }, { maxDifferences: 1 });
  assert.is(proof.differences.length, 1);
  assert.is(proof.isComplete, false);
  const stopped = prove({ flows: left }, { flows: right }, { isStopped: () => true });
  assert.is(stopped.isComplete, false);
  assert.ok(stopped.unknown.some(({ feature }) => feature === "interrupted") || stopped.classes < 64);
});

test("who wants a verdict alone gets no rows, and the same verdict", () => {
  const [left, right] = [
    columns(table(40), "a"),
    columns(
      table(40, n => 7000 + n),
      "b",
    ),
  ];
  const proof = prove({ flows: left }, { flows: right }, { hasRows: false });
  assert.is(proof.verdict, "different");
  assert.equal(
    proof.differences.map(({ rows }) => rows.count),
    [0],
  );
});

// ── Names of what differs
// ───────────────────────────────────────────────────────────────────────────────────────

const ACTIONS: readonly (readonly [string, string, string, string])[] = [
  [
    "ip",
    "dec_ttl,push_mpls:0x8847,set_field:7->mpls_label,set_mpls_ttl(9),output:1",
    "push_mpls:0x8847,set_field:7->mpls_label,set_mpls_ttl(9),output:1",
    "nw_ttl behind the label",
  ],
  [
    "ip",
    "set_field:8->ip_dscp,push_mpls:0x8847,set_field:0->mpls_tc,output:1",
    "push_mpls:0x8847,set_field:0->mpls_tc,output:1",
    "nw_tos behind the label",
  ],
  [
    "ip",
    "push_mpls:0x8847,set_field:5->mpls_label,push_mpls:0x8847,set_field:6->mpls_label,output:1",
    "push_mpls:0x8847,set_field:4->mpls_label,push_mpls:0x8847,set_field:6->mpls_label,output:1",
    "mpls_label of label 2",
  ],
  [
    "ip",
    "push_mpls:0x8847,set_field:5->mpls_label,output:1",
    "push_mpls:0x8847,set_field:4->mpls_label,output:1",
    "mpls_label",
  ],
  ["ip", "set_field:192.0.2.9->nw_dst,output:1", "output:1", "ip_dst"],
  ["tcp", "set_field:9->tcp_dst,output:1", "output:1", "tcp_dst"],
];

test("the heading names what differs, also behind labels", () => {
  for (const [match, left, right, name] of ACTIONS) {
    const { proof } = judge([`${match} actions=${left}`], [`${match} actions=${right}`]);
    const whats = proof.differences.map(({ what }) => what);
    assert.ok(
      whats.some(what => what.split(", ").includes(name)),
      `${name}: ${whats.join("; ")}`,
    );
    assert.ok(whats.every(what => !/no field/.test(what)));
  }
});

test("a limit of the switch is named on the side that it hits", () => {
  const loop = ["table=0,ip actions=resubmit(,1)", "table=1,ip actions=resubmit(,1)"];
  const { proof } = judge(["table=0,ip actions=resubmit(,1)", "table=1,ip actions=output:2"], loop);
  assert.ok(proof.differences.length > 0);
  for (const { a, b } of proof.differences) {
    assert.equal(a.errors, []);
    assert.is(b.errors.length, 1);
    assert.match(b.errors[0]!, "64 levels of resubmit");
  }
  const labels = Array.from({ length: 4 }, () => "push_mpls:0x8847").join();
  const many = judge(["ip actions=push_mpls:0x8847,output:1"], [`ip actions=${labels},output:1`]).proof;
  assert.ok(
    many.differences.some(({ b }) => b.errors.length > 0),
    "too many labels",
  );
});

test.run();
