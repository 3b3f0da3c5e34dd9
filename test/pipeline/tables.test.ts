/**
 * The rows of the pipeline as data: they are those of docs/pipeline.md's law in number and order, each compiled flow is
 * recognized in its own text as the numbers that it was made of, and a flow that is not an instance of exactly one row
 * is not recognized. The mutants are flows with one thing wrong.
 */

import { parseIntent } from "../../src/intent/index.ts";
import {
  cookieOf,
  Flows,
  type FlowText,
  flowText,
  hypervisorOf,
  PIPELINE_ROWS,
  PIPELINE_TABLES,
  printedMatchText,
  printFlow,
  Recognizer,
  type RowKind,
  respell,
  routeFlow,
} from "../../src/pipeline/index.ts";
import { macFromBits } from "../../src/wire/index.ts";
import { assert, seed, suite } from "../harness.ts";
import { randomIntent, rng } from "../model/random.ts";

const test = suite("pipeline as data");

const HYPERVISOR = {
  uplink: 1,
  uplinkMac: 0x02_00_00_00_00_01,
  virtualMac: 0xfe_00_00_00_01_01,
  label: 1001,
  trafficClass: 0,
};

interface Line extends Partial<FlowText> {
  readonly kind?: RowKind;
  readonly owner?: number;
}

function flow(line: Line): FlowText {
  const { kind, owner, ...whole } = {
    table: 0,
    priority: 0,
    kind: "pipeline" as const,
    owner: 0,
    match: "",
    actions: "drop",
    ...line,
  };
  return { cookie: cookieOf(whole.table, kind, owner), ...whole };
}

test("rows stand by table, then priority downwards, and every table ends with a row for all frames", () => {
  assert.equal(PIPELINE_TABLES, [0, 10, 20, 30, 40, 50]);
  const rank = ({ table, priority }: { table: number; priority: number | string }): number =>
    table * 1000 - (priority === "100+plen" ? 132 : Number(priority));
  const ranks = PIPELINE_ROWS.map(rank);
  assert.equal(
    ranks,
    ranks.toSorted((a, b) => a - b),
  );
  for (const number of PIPELINE_TABLES) {
    const { priority, match } = PIPELINE_ROWS.filter(({ table }) => table === number).at(-1)!;
    assert.equal([priority, match], [0, ""]);
  }
});

test("cookies", () => {
  assert.is(cookieOf(0, "pipeline", 0), "0x10000");
  assert.is(cookieOf(40, "route", 0), "0x40028");
  assert.is(cookieOf(20, "L3-out", 101), "0x6500060014");
  assert.is(cookieOf(50, "L2-in", 0xffffffff), "0xffffffff00020032");
});

test("a route without labels takes the comma of its pushes along, and labels are pushed from the innermost out", () => {
  const route = (labels: number[]) =>
    printFlow(routeFlow(HYPERVISOR, 0x0a000000, 8, { labels, via: macFromBits(0x02_00_00_00_00_fe) }))
      .actions;
  const [head, tail] = [
    "dec_ttl,set_field:02:00:00:00:00:01->eth_src,set_field:02:00:00:00:00:fe->eth_dst,",
    "output:1",
  ];
  const push = (label: number) => `push_mpls:0x8847,set_field:${label}->mpls_label,set_field:0->mpls_tc,`;
  assert.is(route([]), head + tail);
  assert.is(route([2002, 3003]), head + push(3003) + push(2002) + tail);
});

const PUSHED = "push_mpls:0x8847,set_field:2002->mpls_label,set_field:0->mpls_tc,";

test("a flow is recognized as written here, and with one thing wrong it is not", () => {
  const recognizer = new Recognizer(HYPERVISOR);
  const own = {
    priority: 300,
    kind: "L3-out",
    owner: 101,
    match: "in_port=11,dl_src=52:54:00:00:00:0b,arp,arp_sha=52:54:00:00:00:0b,arp_spa=203.0.113.7",
    actions: "goto_table:20",
  } as const;
  const route = {
    table: 40,
    priority: 124,
    kind: "route",
    match: "ip,nw_dst=10.0.0.0/24",
    actions:
      "dec_ttl,set_field:02:00:00:00:00:01->eth_src,set_field:02:00:00:00:00:fe->eth_dst," +
      `${PUSHED}output:1`,
  } as const;
  for (const good of [own, route]) {
    const found = recognizer.recognize(flow(good));
    assert.equal(found && printFlow(found.flow), { owner: 0, ...flow(good), ...good });
    assert.is(found!.isExact, true);
  }
  const bad: Line[] = [
    { ...own, priority: 301 },
    { ...own, table: 20 },
    { ...own, kind: "L3-in" },
    { ...own, owner: 0 },
    { ...own, cookie: "0x6500060001" },
    { ...own, match: own.match.replace("arp_sha=52:54:00:00:00:0b", "arp_sha=52:54:00:00:00:0c") },
    { ...own, match: own.match.replace("203.0.113.7", "0.1.2.3") },
    { ...own, match: own.match.replaceAll("52:54:", "53:54:") },
    { ...own, match: `${own.match},arp_op=1` },
    { ...own, actions: "goto_table:30" },
    { ...own, actions: "goto_table:20,drop" },
    { ...route, priority: 125 },
    { ...route, match: "ip,nw_dst=10.0.0.0/25" },
    { ...route, match: "ip" },
    { ...route, owner: 101 },
    { ...route, actions: route.actions.replace("dec_ttl,", "") },
    { ...route, actions: route.actions.replace("output:1", "output:2") },
    { ...route, actions: route.actions.replace(",set_field:0->mpls_tc", "") },
    { ...route, actions: route.actions.replace(PUSHED, PUSHED.repeat(4)) },
    { ...route, actions: route.actions.replace("set_field:0->mpls_tc", "set_field:1->mpls_tc") },
    { ...route, actions: route.actions.replace("02:00:00:00:00:01->eth_src", "02:00:00:00:00:02->eth_src") },
  ];
  for (const line of bad) {
    const found = recognizer.recognize(flow(line));
    const isOther = line.actions !== own.actions && line.actions !== route.actions;
    // With the match of a row and other actions it is recognized as such.
    assert.is(found === null || (isOther && !found.isExact), true, JSON.stringify(line));
  }
  const nextHopOf = (line: Line) => recognizer.recognize(flow(line))!.flow.nextHop!;
  const other = { ...route, match: "ip,nw_dst=10.0.1.0/24" };
  assert.is(nextHopOf(route), nextHopOf(other), "equal next hops are one object");
  const twice = { ...other, actions: route.actions.replace(PUSHED, PUSHED + PUSHED.replace("2002", "3003")) };
  assert.equal(nextHopOf(twice).labels, [3003, 2002]);
  const respelt = {
    ...route,
    actions: route.actions.replace("set_field:02:00:00:00:00:fe->eth_dst", "mod_dl_dst:02:00:00:00:00:fe"),
  };
  assert.is(recognizer.recognize(flow(respelt))?.isExact, true, "another spelling");
  const hex = { ...route, actions: route.actions.replace("set_field:2002", "set_field:0x7d2") };
  assert.is(recognizer.recognize(flow(hex))?.isExact, true, "hex");
  const backwards = { ...own, match: own.match.split(",").reverse().join() };
  const found = recognizer.recognize(flow(backwards));
  assert.equal([found?.isExact, found?.isPrinted], [true, false], "another order");
});

test("random intents: each flow is one row, and no other switch's", () => {
  const first = seed();
  process.stdout.write(`\n  SEED=${first}\n`);
  for (let world = 0; world < 50; world++) {
    const model = randomIntent(rng((first + world) >>> 0));
    const { intent } = parseIntent(JSON.stringify(model), "random.yaml", ".");
    const own = hypervisorOf(intent!);
    const recognizer = new Recognizer(own);
    const stranger = new Recognizer({ ...own, uplink: 65_279, uplinkMac: 0x0a0a0a0a0a0a, trafficClass: 8 });
    const anyone = new Recognizer(null);
    for (const line of new Flows(intent!)) {
      const text = printFlow(line);
      const printed = printedMatchText(line);
      assert.is(respell(text)!.match, printed);
      for (const match of [printed, text.match]) {
        const expected = { flow: line, isExact: true, isPrinted: match === printed };
        assert.equal(recognizer.recognize({ ...text, match }), expected, flowText(line));
      }
      assert.equal(printFlow(anyone.recognize(text)!.flow), text);
      const others = { ...text, priority: text.priority + 1 };
      assert.is(recognizer.recognize(others)?.flow.row.match === "", false, flowText(line));
      if (line.kind === "route") assert.is(stranger.recognize(text)?.isExact, false, flowText(line));
    }
  }
});

test("canary: a compiler that fills in a wrong value is caught", () => {
  const { intent } = parseIntent(JSON.stringify(randomIntent(rng(1))), "random.yaml", ".");
  const [vm] = intent!.vms;
  const fill = (part: object) => () => new Flows({ ...intent!, vms: [{ ...vm!, ...part }] });
  assert.throws(fill({ addresses: [0x00000001] }), /internal error: .*address 0\.0\.0\.1 is not valid/);
  assert.throws(fill({ mac: 0x010000000000 }), /MAC 01:00:00:00:00:00 is not valid/);
  assert.throws(fill({ ofport: 0 }), /port 0 is not valid/);
  assert.throws(fill({ id: 0 }), /with owner 0/);
  const hop = { labels: [], via: macFromBits(0x02_00_00_00_00_fe) };
  assert.throws(() => routeFlow(HYPERVISOR, 0x0a000001, 8, hop), /10\.0\.0\.1\/8 has host bits/);
  assert.throws(() => routeFlow(HYPERVISOR, 0x0a000000, 33, hop), /prefix length 33/);
  assert.throws(
    () => routeFlow(HYPERVISOR, 0x0a000000, 8, { ...hop, labels: [3] }),
    /labels 3 are not valid/,
  );
});

test.run();
