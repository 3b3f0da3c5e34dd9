/**
 * Columns against the parser: every line of a dump gives the same flow by both ways, and every row the values
 * of its flow, on random dumps that mix templates, numbers of every width and spelling, odd lines, colours,
 * comments, carriage returns, reply headers and errors; and flow tables loaded from columns answer as tables
 * loaded from flows do.
 */
import {
  type Action,
  type Flow,
  FlowColumns,
  Interpreter,
  type Outcome,
  parseFlows,
  type TextProblem,
} from "../../../src/openflow/index.ts";
import { assert, seed, suite } from "../../harness.ts";
import { flowsOf as pipelineOf } from "../../model/flows.ts";
import { type Rng, randomFrame, randomIntent, rng } from "../../model/random.ts";
import { linesOf } from "../interpret/compare.ts";
import { randomFrame as anyFrame, WORLD } from "../interpret/frames.ts";
import { randomFlows } from "../interpret/tables.ts";

const test = suite("openflow/columns");
const dumps = Number(process.env.DUMPS ?? 6);
const encoder = new TextEncoder();

const asText = (value: unknown): string =>
  JSON.stringify(value, (_, inner) => (typeof inner === "bigint" ? `${inner}n` : inner));

/** A flow but for the places of its parts in its line, whatever the order of its properties. */
function withoutSpans(flow: Flow): string {
  const { table, priority, cookie, idleTimeout, hardTimeout, importance, flags, stats, source, text } = flow;
  const plain = { table, priority, cookie, idleTimeout, hardTimeout, importance, flags, stats, source, text };
  const lists = [flow.match, flow.actions].map(list => asText(list).replaceAll(/"span":\{[^}]*\}/g, ""));
  return [asText(plain), ...lists].join("\n");
}

const HEADER = "OFPST_FLOW reply (OF1.3) (xid=0x2):";
const BROKEN = ["priority=1,nw_dst=1.2.3.4.5 actions=drop", "table=0,colour=red actions=drop", "ip"];

/** A number of up to that many digits; each width is as likely as any other. */
function digits(r: Rng, most: number): string {
  return Array.from({ length: 1 + r.below(most) }, (_, at) => (at === 0 ? 1 + r.below(9) : r.below(10))).join(
    "",
  );
}

/** Times as switches print them, and as they never do: some of these are no numbers to the parser. */
function duration(r: Rng): string {
  if (r.chance(90)) return `${digits(r, 6)}.${r.below(1000)}s`;
  return r.pick([
    "0s",
    "12",
    "12s",
    "12.s",
    ".5s",
    "1.0123456789s",
    `${digits(r, 18)}.5s`,
    "007.10s",
    "1e3s",
  ]);
}

/** Lines of many values and few templates, as a switch prints them. */
function printed(r: Rng): string[] {
  const counter = (): string =>
    r.chance(95) ? digits(r, 12) : r.pick([digits(r, 20), "0", "00", "0x5", "-1"]);
  const stats = (): string =>
    ` cookie=0x${digits(r, r.pick([3, 16]))}, duration=${duration(r)}, table=${r.below(3)}, n_packets=${counter()}, n_bytes=${counter()}, ${r.chance(50) ? "" : `idle_age=${digits(r, 5)}, `}`;
  const address = (): string => [10, r.below(256), r.below(256), r.below(256)].join(".");
  const mac = (): string =>
    `52:54:00:00:${(16 + r.below(200)).toString(16)}:${(16 + r.below(200)).toString(16)}`;
  const templates: (() => string)[] = [
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
    // Values that a mask leaves nothing of, reserved ports, and numbers beyond their field.
    () => `${stats()}reg${r.below(2)}=0x${r.below(8).toString(16)}00/0x700 actions=drop`,
    () =>
      `${stats()}in_port=${r.pick([1, 7, 65533, 65534, 70000])} actions=output:${r.pick([2, 65279, 65280, 65533])}`,
    () =>
      `${stats()}mpls,mpls_tc=${r.below(9)} actions=set_field:${r.below(9)}->mpls_tc,output:${1 + r.below(9)}`,
    () =>
      `${stats()}ip,nw_ttl=${r.below(300)},nw_src=${address()} actions=mod_nw_ttl:${r.below(300)},output:1`,
    () => `${stats()}ipv6,ipv6_dst=2001:db8::${r.below(4)} actions=output:${1 + r.below(9)}`,
    () => `${stats()}priority=${r.below(4)} actions=output:${1 + r.below(4)},output:${1 + r.below(4)}`,
    () => `${stats()}cookie=0x${digits(r, 4)},dl_src=${mac()} actions=set_field:${mac()}->eth_src,output:1`,
  ];
  return Array.from({ length: 150 }, () => r.pick(templates)());
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

/** What stands in the flow where a slot says. */
function leafOf(flow: Flow, leaf: FlowColumns["templates"][number]["slots"][number]["leaf"]): bigint {
  if (leaf.of === "cookie") return flow.cookie;
  if (leaf.of === "match") return flow.match[leaf.index]!.value;
  let actions: readonly Action[] = flow.actions;
  let action: Action | undefined;
  for (const index of leaf.path) {
    action = actions[index]!;
    actions = "actions" in action ? action.actions : "nested" in action ? action.nested : [];
  }
  if (action?.type === "set") return action.value;
  assert.is(action?.type, "output");
  return action?.type === "output" ? BigInt(action.port) : -1n;
}

/** Holds the row of a flow against it; gives how many values were compared. */
function rowIs(columns: FlowColumns, index: number, flow: Flow, where: string): number {
  const template = columns.templateOf(index);
  for (const { leaf, at, words } of template?.slots ?? []) {
    const [upper, lower] = words === 2 ? [at, at + 1] : [null, at];
    const high = upper === null ? 0n : BigInt(columns.valueAt(index, upper)) << 32n;
    assert.is(high | BigInt(columns.valueAt(index, lower)), leafOf(flow, leaf), `${where}: ${flow.text}`);
  }
  return template?.slots.length ?? 0;
}

const problemsOf = (problems: readonly TextProblem[]): string[] => problems.map(asText);

for (const lenient of [false, true]) {
  test(`columns are what the parser says, line by line${lenient ? ", leniently" : ""}`, () => {
    const start = seed();
    process.stdout.write(`\n  SEED=${start}: ${dumps} dumps\n`);
    let compared = 0;
    for (let round = 0; round < dumps; round++) {
      const text = randomDump(rng((start + round) >>> 0));
      const parsed = parseFlows(text, "dump", { lenient });
      const columns = new FlowColumns(encoder.encode(text), "dump", {
        lenient,
        learnedAt: 2 + (round % 2),
      });
      const where = `SEED=${start + round}`;
      assert.is(columns.count, parsed.flows.length, where);
      assert.is(columns.headers, parsed.headers, where);
      parsed.flows.forEach((flow, index) => {
        assert.is(asText(columns.flow(index)), asText(flow), `${where}: flow ${index}`);
        assert.is(withoutSpans(columns.filledFlow(index)), withoutSpans(flow), `${where}: flow ${index}`);
        assert.is(columns.lineOf(index), flow.source.line, `${where}: flow ${index}`);
        compared += rowIs(columns, index, flow, `${where}: flow ${index}`);
      });
      assert.equal(problemsOf(columns.problems), problemsOf(parsed.problems), where);
      if (lenient) assert.is(columns.skipped, parsed.skipped, where);
      assert.ok(columns.templates.length > 0, "some lines have templates");
    }
    assert.ok(compared > 100 * dumps, `${compared} values were compared`);
  });
}

test("a value of which a mask leaves a few bits is not taken for one that means nothing", () => {
  const matches = [
    ...["0.0.0.0", "128.0.0.0", "1.2.3.4", "200.0.0.0"].map(address => `ip,nw_dst=${address}/128.0.0.0`),
    ...["00", "01"].map(octet => `dl_dst=${octet}:00:00:00:00:00/01:00:00:00:00:00`),
    ...["0x0", "0x10000", "0x80000000"].map(value => `reg0=${value}/0xffff0000`),
    ...["0x0", "0x8000"].map(value => `tcp,tp_dst=${value}/0x8000`),
    ...["0", "32768"].map(value => `tcp,tp_src=${value}/0x8000`),
    ...["0x0", "0x8000000000000000"].map(value => `metadata=${value}/0x8000000000000000`),
  ];
  for (const one of [matches, matches.toReversed()]) {
    const text = one.map(match => `table=1,priority=7,${match} actions=output:1`).join("\n");
    const columns = new FlowColumns(encoder.encode(text), "dump");
    const { flows } = parseFlows(text, "dump");
    assert.is(columns.count, flows.length);
    for (const [index, flow] of flows.entries())
      assert.is(withoutSpans(columns.filledFlow(index)), withoutSpans(flow), one[index]);
  }
});

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

/** The rows of lines that were read as columns, null for those that were read by themselves. */
function rowsOf(lines: readonly string[]): (string | null)[] {
  const columns = new FlowColumns(encoder.encode(lines.join("\n")), "dump", { learnedAt: 2 });
  return lines.map((_, index) => {
    const template = columns.templateOf(index);
    if (template === null) return null;
    const values = Array.from({ length: template.rowWords }, (_, at) => columns.valueAt(index, at));
    return `${template.id}: ${values.join(" ")}`;
  });
}

const rows: readonly (readonly [what: string, lines: readonly string[], rows: readonly (string | null)[]])[] =
  [
    [
      // Once it was taken for a number without a meaning, as other small numbers change nothing under the
      // mask.
      "a masked value of 0 is a value",
      ["0x0", "0x0", "0x100", "0x1ff"].map(value => `metadata=${value}/0xff00 actions=drop`),
      ["0: 0 0", "0: 0 0", "0: 0 256", "0: 0 256"],
    ],
    [
      "a reserved port is no value of an output",
      [7, 8, 65533, 65533, 9].map(port => `in_port=1 actions=output:${port}`),
      ["0: 1 7", "0: 1 8", "1: 1", "1: 1", "0: 1 9"],
    ],
    [
      "lines that begin alike are told from each other by what comes later",
      ["1 actions=drop", "1 actions=drop", "2 actions=output:3", "2 actions=output:3", "4 actions=drop"].map(
        rest => `in_port=${rest}`,
      ),
      ["0: 1", "0: 1", "1: 2 3", "1: 2 3", "0: 4"],
    ],
    [
      "of two lines that differ in many numbers each is its own",
      ["1.2.3.4", "1.2.3.4", "0.0.0.0", "255.255.255.255", "128.0.0.1"].map(
        address => `ip,nw_src=${address},nw_dst=1.2.3.4 actions=set_field:${address}->ip_src,output:1`,
      ),
      [
        "0: 16909060 16909060 16909060 1",
        "0: 16909060 16909060 16909060 1",
        "0: 0 16909060 0 1",
        "0: 4294967295 16909060 4294967295 1",
        "0: 2147483649 16909060 2147483649 1",
      ],
    ],
    [
      "each line of a text of its own is read by itself",
      [1, 2, 3].map(n => `ipv6,ipv6_dst=2001:db${n}::a actions=drop`),
      [null, null, null],
    ],
  ];

for (const [what, lines, expected] of rows) {
  test(what, () => {
    assert.equal(rowsOf(lines), expected);
  });
}

test("where a line ends is seen as the parser sees it", () => {
  const line = "in_port=1 actions=output:2";
  for (const end of ["\n", "\r\n", "\r\r\n", "\n\n", "\r", " \n", "\0\n", "\n\u001b[0m", `\n${HEADER}\r\n`]) {
    const text = `${line}\n${line}\n${line}${end}${line}${end}${line}`;
    const parsed = parseFlows(text, "dump");
    const columns = new FlowColumns(encoder.encode(text), "dump");
    assert.is(columns.count, parsed.flows.length, JSON.stringify(end));
    assert.is(columns.headers, parsed.headers, JSON.stringify(end));
    for (const [index, flow] of parsed.flows.entries())
      assert.is(asText(columns.flow(index)), asText(flow), JSON.stringify(end));
    assert.equal(problemsOf(columns.problems), problemsOf(parsed.problems), JSON.stringify(end));
  }
});

test("of very many lines without a template some are kept as flows, and each is found again", () => {
  const texts = Array.from({ length: 16_400 }, (_, n) => `ipv6,ipv6_dst=${n.toString(16)}::a actions=drop`);
  const columns = new FlowColumns(encoder.encode(texts.map(text => `${text} # own`).join("\n")), "dump");
  assert.is(columns.templates.length, 0);
  assert.is(columns.count, texts.length);
  for (const index of [0, 16_383, 16_384, 16_399]) {
    assert.is(columns.flow(index).text, `${texts[index]} `);
    assert.is(columns.flow(index).source.line, index + 1);
  }
});

test("a hundred thousand routes are columns, and few of them are ever flows", () => {
  const lines = Array.from({ length: 100_000 }, (_, n) => {
    const address = [10, n >>> 16, (n >>> 8) & 255, n & 255].join(".");
    return `table=0,priority=132,ip,nw_dst=${address} actions=dec_ttl,output:${1 + (n % 500)}`;
  });
  const columns = new FlowColumns(encoder.encode(lines.join("\n")), "dump");
  assert.is(columns.count, lines.length);
  assert.ok(columns.templates.length < 5, `${columns.templates.length} templates`);
  for (const index of [0, 1, 65_536, 99_999]) assert.is(columns.flow(index).text, lines[index]);
});

test("values whose mask hides most numbers, first as 0, then with bits", () => {
  const matches = [
    ["dl_dst=00:00:00:00:00:00/01:00:00:00:00:00", "dl_dst=01:00:00:00:00:00/01:00:00:00:00:00"],
    ["ip,nw_dst=0.0.0.0/128.0.0.0", "ip,nw_dst=128.0.0.0/128.0.0.0"],
    ["reg0=0/0xffff0000", "reg0=0x10000/0xffff0000"],
  ];
  const line = (match: string, n: number): string =>
    ` cookie=0x0, duration=1.${n}s, table=0, n_packets=${n}, n_bytes=0, priority=10,${match} actions=drop`;
  const text = matches
    .flatMap(([zero, one]) => [zero!, zero!, zero!, one!, one!, zero!, one!])
    .map(line)
    .join("\n");
  const columns = new FlowColumns(encoder.encode(text), "dump");
  const { flows } = parseFlows(text, "dump");
  assert.is(flows.length, 21);
  flows.forEach((flow, index) => {
    assert.is(withoutSpans(columns.filledFlow(index)), withoutSpans(flow), `flow ${index}`);
  });
});

test.run();
