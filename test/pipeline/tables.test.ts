/**
 * The rows of the pipeline as data: they are those of docs/pipeline.md's law in number and order, and a flow that is
 * not an instance of exactly one of them is not recognised. The canaries are flows with one thing wrong.
 */

import { parseIntent } from "../../src/intent/index.ts";
import {
  cookieOf,
  Flows,
  fill,
  flowText,
  PIPELINE_ROWS,
  PIPELINE_TABLES,
  Recognizer,
  type RowInstance,
} from "../../src/pipeline/index.ts";
import { ipv4FromBits } from "../../src/wire/index.ts";
import { assert, seed, suite } from "../harness.ts";
import { randomIntent, rng } from "../model/random.ts";

const test = suite("pipeline as data");

const CONSTANTS = {
  U: "1",
  Umac: "02:00:00:00:00:01",
  vmac: "fe:00:00:00:01:01",
  LABEL: "1001",
  TC: "0",
};

function flow(line: Partial<RowInstance>): RowInstance {
  const whole = {
    table: 0,
    priority: 0,
    kind: "pipeline",
    owner: 0,
    match: "",
    actions: "drop",
    ...line,
  } as const;
  return { cookie: cookieOf(whole.table, whole.kind, whole.owner), ...whole };
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

test("templates: every word has a value, an empty one takes its comma along", () => {
  assert.is(fill("dec_ttl,PUSHES,output:U", { PUSHES: "", U: "1" }), "dec_ttl,output:1");
  assert.is(fill("dec_ttl,PUSHES,output:U", { PUSHES: "a,b", U: "1" }), "dec_ttl,a,b,output:1");
  assert.is(
    fill("set_field:vmac->eth_src,output:W", { vmac: "mac", W: "A" }),
    "set_field:mac->eth_src,output:A",
  );
  assert.throws(() => fill("in_port=W", { U: "1" }), /no value for W/);
});

test("a flow is recognised as written here, and with one thing wrong it is not", () => {
  const recognizer = new Recognizer(CONSTANTS);
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
      "push_mpls:0x8847,set_field:2002->mpls_label,set_field:0->mpls_tc,output:1",
  } as const;
  for (const good of [own, route]) assert.is(recognizer.rowsOf(flow(good)).length, 1);
  const bad: Partial<RowInstance>[] = [
    { ...own, priority: 301 },
    { ...own, table: 20 },
    { ...own, kind: "L3-in" },
    { ...own, owner: 0 },
    { ...own, cookie: "0x6500060001" },
    { ...own, match: own.match.replace("arp_sha=52:54:00:00:00:0b", "arp_sha=52:54:00:00:00:0c") },
    { ...own, match: own.match.replace("203.0.113.7", "0.1.2.3") },
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
    { ...route, actions: route.actions.replace("set_field:0->mpls_tc", "set_field:1->mpls_tc") },
    { ...route, actions: route.actions.replace("02:00:00:00:00:01->eth_src", "02:00:00:00:00:02->eth_src") },
  ];
  for (const line of bad) assert.is(recognizer.rowsOf(flow(line)).length, 0, flowText(flow(line)));
});

test("random intents: each flow is one row, and no other switch's", () => {
  const first = seed();
  process.stdout.write(`\n  SEED=${first}\n`);
  for (let world = 0; world < 50; world++) {
    const model = randomIntent(rng((first + world) >>> 0));
    const { intent } = parseIntent(JSON.stringify(model), "random.yaml", ".");
    const constants = {
      U: String(model.uplink.ofport),
      Umac: model.uplink.mac,
      vmac: model.virtualMac,
      LABEL: String(model.label),
      TC: String(model.trafficClass),
    };
    const recognizer = new Recognizer(constants);
    const stranger = new Recognizer({ ...constants, U: "65279", Umac: "0a:0a:0a:0a:0a:0a", TC: "8" });
    for (const line of new Flows(intent!)) {
      assert.is(recognizer.rowsOf(line).length, 1, flowText(line));
      const others = { ...line, priority: line.priority + 1 };
      assert.is(recognizer.rowsOf(others).filter(row => row.match === "").length, 0, flowText(others));
      if (line.kind === "route") assert.is(stranger.rowsOf(line).length, 0, flowText(line));
    }
  }
});

test("canary: a compiler that fills in a wrong value is caught", () => {
  const { intent } = parseIntent(JSON.stringify(randomIntent(rng(1))), "random.yaml", ".");
  const vm = { ...intent!.vms[0]!, addresses: [ipv4FromBits(0x00000001)] };
  assert.throws(() => [...new Flows({ ...intent!, vms: [vm] })], /an instance of 0 rows: cookie=/);
});

test.run();
