/**
 * Columns against the parser: every line of a dump gives the same flow by both ways, on random dumps that mix shapes,
 * odd lines, colours, comments, carriage returns, reply headers and errors; and flow tables loaded from columns answer
 * as tables loaded from flows do.
 */
import {
  FlowColumns,
  Interpreter,
  type Outcome,
  parseFlows,
  type TextProblem,
} from "../../src/openflow/index.ts";
import { assert, seed, suite } from "../harness.ts";
import { flowsOf as pipelineOf } from "../model/flows.ts";
import { type Rng, randomFrame, randomIntent, rng } from "../model/random.ts";
import { linesOf } from "./interpret/compare.ts";
import { randomFrame as anyFrame, WORLD } from "./interpret/frames.ts";
import { randomFlows } from "./interpret/tables.ts";

const test = suite("openflow/columns");
const dumps = Number(process.env.DUMPS ?? 6);
const encoder = new TextEncoder();

const asText = (value: unknown): string =>
  JSON.stringify(value, (_, inner) => (typeof inner === "bigint" ? `${inner}n` : inner));

const HEADER = "OFPST_FLOW reply (OF1.3) (xid=0x2):";
const BROKEN = ["priority=1,nw_dst=1.2.3.4.5 actions=drop", "table=0,colour=red actions=drop", "ip"];

/** Lines of many values and few shapes, as a switch prints them. */
function printed(r: Rng): string[] {
  const stats = (): string =>
    ` cookie=0x${r.below(0x7fffffff).toString(16)}, duration=${r.below(9999)}.${r.below(999)}s, table=${r.below(3)}, n_packets=${r.below(1e9)}, n_bytes=${r.below(1e9)}, `;
  const address = (): string => [10, r.below(256), r.below(256), r.below(256)].join(".");
  const mac = (): string =>
    `52:54:00:00:${(16 + r.below(200)).toString(16)}:${(16 + r.below(200)).toString(16)}`;
  const shapes: (() => string)[] = [
    () =>
      `${stats()}priority=132,ip,nw_dst=${address()} actions=dec_ttl,set_field:${mac()}->eth_dst,output:${1 + r.below(40)}`,
    () =>
      `${stats()}priority=${100 + 8 * r.below(4)},ip,nw_src=${address()}/${r.pick([8, 16, 24, 31])} actions=output:${1 + r.below(300)}`,
    () =>
      `${stats()}priority=400,in_port=${1 + r.below(9)},dl_dst=${mac()},mpls actions=goto_table:${3 + r.below(9)}`,
    () =>
      `${stats()}mpls,mpls_label=${r.below(1 << 20)},mpls_bos=1 actions=pop_mpls:0x0800,resubmit(,${r.below(9)})`,
    () =>
      `${stats()}dl_src=${mac()}/ff:ff:ff:ff:00:00,reg0=0x${r.below(0xffff).toString(16)} actions=load:0x${r.below(0xffff).toString(16)}->NXM_NX_REG1[]`,
    () => `${stats()}metadata=0x${r.below(0x7fffffff).toString(16)}00000001/0xffffffff00000001 actions=drop`,
    () =>
      `${stats()}tcp,tp_dst=0x${(r.below(256) << 4).toString(16)}/0xfff0 actions=CONTROLLER:${r.below(65535)}`,
  ];
  return Array.from({ length: 60 }, () => r.pick(shapes)());
}

/** What may stand between and around flows. */
function disguised(r: Rng, line: string): string {
  if (r.chance(4)) return line.replace(/(actions)/, "\u001b[31m$1\u001b[m");
  if (r.chance(4)) return `${line} # a remark`;
  if (r.chance(3)) return `${line}\r`;
  if (r.chance(2)) return line.toUpperCase().replace(/^ COOKIE/, " cookie");
  return line;
}

function randomDump(r: Rng): string {
  const lines = [...printed(r), ...randomFlows(r), ...pipelineOf(randomIntent(r)).slice(0, 120)];
  for (let at = lines.length - 1; at > 0; at--) {
    const other = r.below(at + 1);
    [lines[at], lines[other]] = [lines[other]!, lines[at]!];
  }
  const mixed = lines.flatMap(line => [
    ...(r.chance(2) ? [HEADER] : []),
    ...(r.chance(2) ? ["", "# remark"] : []),
    ...(r.chance(3) ? [r.pick(BROKEN)] : []),
    disguised(r, line),
  ]);
  return mixed.join(r.chance(20) ? "\r\n" : "\n") + r.pick(["", "\n"]);
}

const problemsOf = (problems: readonly TextProblem[]): string[] => problems.map(asText);

for (const lenient of [false, true]) {
  test(`columns are what the parser says, line by line${lenient ? ", leniently" : ""}`, () => {
    const start = seed();
    process.stdout.write(`\n  SEED=${start}: ${dumps} dumps\n`);
    for (let round = 0; round < dumps; round++) {
      const text = randomDump(rng((start + round) >>> 0));
      const parsed = parseFlows(text, "dump", { lenient });
      const columns = new FlowColumns(encoder.encode(text), "dump", { lenient });
      const where = `SEED=${start + round}`;
      assert.is(columns.count, parsed.flows.length, where);
      assert.is(columns.headers, parsed.headers, where);
      parsed.flows.forEach((flow, index) => {
        assert.is(asText(columns.flow(index)), asText(flow), `${where}: flow ${index}`);
        assert.is(columns.lineOf(index), flow.source.line, `${where}: flow ${index}`);
      });
      assert.equal(problemsOf(columns.problems), problemsOf(parsed.problems), where);
      if (lenient) assert.is(columns.skipped, parsed.skipped, where);
      assert.ok(columns.shapes.length > 0, "some lines have shapes");
    }
  });
}

function told(outcome: Outcome): string {
  const lines = outcome.tables.map(({ table, flow }) => `${table}:${flow?.source.line ?? "-"}`);
  return [outcome.verdict, ...linesOf(outcome), lines.join(" ")].join("\n");
}

test("a table from columns answers as one from flows", () => {
  const start = seed();
  process.stdout.write(`\n  SEED=${start}\n`);
  let met = 0;
  for (let round = 0; round < 20; round++) {
    const r = rng((start + round) >>> 0);
    const intent = randomIntent(r);
    const isPipeline = r.chance(60);
    // Twice the same match: the last one counts.
    const own = isPipeline ? pipelineOf(intent) : randomFlows(r);
    const lines = [
      ...own,
      ...own.filter(() => r.chance(10)).map(line => line.replace(/actions=.*/, "actions=IN_PORT")),
    ];
    const text = lines.join("\n");
    const { flows } = parseFlows(text, "dump", { lenient: true });
    const [plain, columns] = [flows, new FlowColumns(encoder.encode(text), "dump", { lenient: true })].map(
      one => new Interpreter(one),
    ) as [Interpreter, Interpreter];
    for (let n = 0; n < 200; n++) {
      const { inPort, frame } = isPipeline
        ? randomFrame(r, intent)
        : { inPort: r.pick(WORLD.ports), frame: anyFrame(r) };
      const expected = plain.run(inPort, frame);
      met += expected.tables.length;
      assert.is(told(columns.run(inPort, frame)), told(expected), `SEED=${start + round}, frame ${n}`);
    }
  }
  assert.ok(met > 3000, `${met} tables were met`);
});

test("a hundred thousand routes are columns, and few of them are ever flows", () => {
  const lines = Array.from({ length: 100_000 }, (_, n) => {
    const address = [10, n >>> 16, (n >>> 8) & 255, n & 255].join(".");
    return `table=0,priority=132,ip,nw_dst=${address} actions=dec_ttl,output:${1 + (n % 500)}`;
  });
  const columns = new FlowColumns(encoder.encode(lines.join("\n")), "dump");
  assert.is(columns.count, lines.length);
  assert.ok(columns.shapes.length < 5, `${columns.shapes.length} shapes`);
  for (const index of [0, 1, 65_536, 99_999]) assert.is(columns.flow(index).text, lines[index]);
});

test.run();
