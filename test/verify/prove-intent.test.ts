/**
 * The prover on PIPELINE's tables: the flows of random intents against the same flows in other words, which
 * must be equal, and against those of an intent, or a dump, with one thing wrong, which must differ, by a
 * frame that the interpreter says differs. PROOF_INTENTS says how many intents; every frame there is is the
 * space.
 */

import { parseIntent } from "../../src/intent/index.ts";
import { FlowColumns, Interpreter, type Outcome } from "../../src/openflow/index.ts";
import { Flows, flowText } from "../../src/pipeline/index.ts";
import { type FlowTable, type Proof, prove } from "../../src/verify/prove.ts";
import { assert, seed, suite } from "../harness.ts";
import { Random } from "./tiny/random.ts";

const test = suite("verify › intents");
const INTENTS = Number(process.env.PROOF_INTENTS ?? 1);

interface Vm {
  id: number;
  name: string;
  port: string;
  ofport: number;
  mac: string;
  addresses: string[];
  path: string;
}

interface Route {
  prefix: string;
  labels: number[];
  via: string;
}

interface Wish {
  name: string;
  bridge: string;
  label: number;
  virtualMac: string;
  trafficClass: number;
  uplink: { port: string; ofport: number; mac: string };
  vms: Vm[];
  routes: Route[];
}

const PATHS = ["l3", "dual-l3", "dual-l2", "l2"] as const;

function randomWish(random: Random): Wish {
  const vms = Array.from({ length: 2 + random.below(4) }, (_, i): Vm => {
    const addresses = Array.from({ length: 1 + random.below(2) }, (_, k) => `203.0.113.${10 * i + k + 1}`);
    const mac = `52:54:00:00:00:${(0x10 + i).toString(16)}`;
    const path = i === 0 ? "l3" : random.pick(PATHS);
    return { id: 100 + i, name: `web-${i}`, port: `tap${i}`, ofport: 11 + i, mac, addresses, path };
  });
  const routes = Array.from({ length: 3 + random.below(9) }, (_, i): Route => {
    const labels = Array.from({ length: 1 + random.below(2) }, () => 2000 + random.below(1000));
    const prefix = random.chance(0.6) ? `198.51.100.${i}/32` : `100.64.${i}.0/24`;
    return { prefix, labels, via: `02:00:00:00:01:0${random.below(10)}` };
  });
  routes.push({ prefix: "0.0.0.0/0", labels: [3003], via: "02:00:00:00:00:fe" });
  return {
    name: "hv1",
    bridge: "br0",
    label: 1001,
    virtualMac: "fe:00:00:00:01:01",
    trafficClass: random.below(2) * 5,
    uplink: { port: "uplink0", ofport: 1, mac: "02:00:00:00:00:01" },
    vms,
    routes,
  };
}

/** The lines of the compiled flows. */
function compiled(wish: Wish): string[] {
  const { intent, errors } = parseIntent(JSON.stringify(wish), "hv1.json", ".");
  assert.ok(intent !== null, errors.map(({ message }) => message).join("\n"));
  return [...new Flows(intent!)].map(flowText);
}

function tableOf(lines: readonly string[], name: string): FlowTable {
  const flows = new FlowColumns(Buffer.from(lines.map(line => `${line}\n`).join("")), name);
  assert.is(flows.errorCount, 0, flows.problems.map(({ message }) => message).join("\n"));
  return { flows };
}

type Change = (lines: readonly string[], random: Random) => readonly string[] | null;

/** Writes some of the lines that `find` fits otherwise. */
const reworded = (find: RegExp, put: string): Change => {
  return (lines, random) =>
    lines.map(line => (find.test(line) && random.chance(0.7) ? line.replace(find, put) : line));
};

const RESPELLINGS: Readonly<Record<string, Change>> = {
  "other order": (lines, random) => {
    const keys = lines.map(() => random.below(1_000_000));
    return lines
      .map((_, i) => i)
      .sort((a, b) => keys[a]! - keys[b]!)
      .map(i => lines[i]!);
  },
  "no cookies": lines => lines.map(line => line.replace(/^cookie=[^,]*,/, "")),
  mod_dl_dst: reworded(/set_field:([0-9a-f:]+)->eth_dst/, "mod_dl_dst:$1"),
  mod_dl_src: reworded(/set_field:([0-9a-f:]+)->eth_src/, "mod_dl_src:$1"),
  "load of a label": reworded(/set_field:(\d+)->mpls_label/, "load:$1->OXM_OF_MPLS_LABEL[]"),
  set_mpls_label: reworded(/set_field:(\d+)->mpls_label/, "set_mpls_label($1)"),
  set_mpls_tc: reworded(/set_field:(\d+)->mpls_tc/, "set_mpls_tc($1)"),
  resubmit: reworded(/goto_table:(\d+)$/, "resubmit(,$1)"),
  "a prefix in halves": lines =>
    lines.flatMap(line => {
      const match = /nw_dst=100\.64\.(\d+)\.0\/24/.exec(line);
      if (match === null) return [line];
      return ["0", "128"].map(low => line.replace(match[0], `nw_dst=100.64.${match[1]}.${low}/25`));
    }),
  "misses in place of drops": lines => lines.filter(line => !/priority=0 actions=drop$/.test(line)),
  "other priorities": lines =>
    lines.map(line =>
      line.replace(/priority=(\d+)/, (_, number: string) => `priority=${Number(number) * 3 + 7}`),
    ),
  "other table numbers": lines =>
    lines.map(line =>
      line.replaceAll(
        /(table=|goto_table:|resubmit\(,)(\d+)/g,
        (_, before: string, number: string) => `${before}${Number(number) * 2}`,
      ),
    ),
  "a shadowed rule": lines =>
    [...lines, "table=30,priority=1,ip,nw_dst=203.0.113.1 actions=drop"].filter(
      (line, i) =>
        i < lines.length ||
        lines.some(other => other.includes("table=30,priority=200,ip,nw_dst=203.0.113.1 ")) ||
        line === "",
    ),
  "a store that nobody reads": lines =>
    lines.map(line => line.replace(/actions=dec_ttl/, "actions=set_field:7->reg3,dec_ttl")),
  "a drop by an empty table": reworded(/actions=drop$/, "actions=resubmit(,250)"),
};

type Mistake = (wish: Wish, random: Random) => unknown;

/** Mistakes in an intent. All of them are seen by some frame. */
const MISTAKES: Readonly<Record<string, Mistake>> = {
  "one label": ({ routes }, random) => void random.pick(routes).labels.splice(0, 1, 4004),
  "an innermost label": ({ routes }, random) => void random.pick(routes).labels.splice(-1, 1, 4005),
  "a label too few": ({ routes }, random) => void random.pick(routes).labels.pop(),
  "a label too many": ({ routes }, random) => void random.pick(routes).labels.push(4006),
  "one next hop": ({ routes }, random) => Object.assign(random.pick(routes), { via: "02:00:00:00:09:09" }),
  "a missing route": ({ routes }, random) => void routes.splice(random.below(routes.length - 1), 1),
  "a route too many": ({ routes }) =>
    void routes.push({ prefix: "192.0.2.7/32", labels: [99], via: "02:00:00:00:00:fe" }),
  "one VM's MAC": ({ vms }, random) => Object.assign(random.pick(vms), { mac: "52:54:00:00:00:99" }),
  "one VM's port": ({ vms }, random) => Object.assign(random.pick(vms), { ofport: 77 }),
  "one VM's address": ({ vms }, random) => random.pick(vms).addresses.splice(0, 1, "203.0.113.250"),
  "a missing VM": ({ vms }, random) => void vms.splice(random.below(vms.length), 1),
  "one VM's path": ({ vms }, random) => {
    const vm = random.pick(vms);
    vm.path = PATHS[(PATHS.indexOf(vm.path as (typeof PATHS)[number]) + 1 + random.below(3)) % 4]!;
  },
  "our own label": wish => Object.assign(wish, { label: 1002 }),
  "the traffic class": wish => Object.assign(wish, { trafficClass: wish.trafficClass ^ 1 }),
  "the uplink's MAC": wish => Object.assign(wish.uplink, { mac: "02:00:00:00:00:02" }),
  "the virtual MAC": wish => Object.assign(wish, { virtualMac: "fe:00:00:00:01:02" }),
};

/** Replaces the text in one of the lines that have it. */
const broken = (find: RegExp, put: string): Change => {
  return (lines, random) => {
    const places = lines.flatMap((line, i) => (find.test(line) ? [i] : []));
    if (places.length === 0) return null;
    const at = random.pick(places);
    return lines.map((line, i) => (i === at ? line.replace(find, put) : line));
  };
};

/** Mistakes in what is installed. */
const DAMAGES: Readonly<Record<string, Change>> = {
  "lost dec_ttl": broken(/dec_ttl,/, ""),
  "lost bottom of stack": broken(/,mpls_bos=1/, ""),
  "lost pop": broken(/pop_mpls:0x0800,/, ""),
  "output of the reply": broken(/,in_port$/, ",output:1"),
  "wider source": broken(/,nw_src=[\d.]+/, ""),
  "lost arp_spa": broken(/,arp_spa=203[\d.]+/, ""),
  "a tag is let in": lines => lines.filter(line => !line.includes("vlan_tci")),
  "martians are let out": broken(/nw_dst=127\.0\.0\.0\/8 actions=drop/, "nw_dst=127.0.0.0/9 actions=drop"),
  "lost source MAC": broken(/set_field:[0-9a-f:]+->eth_src,/, ""),
};

/** What is seen of a frame outside. */
const seenOf = ({ verdict, outputs, packetIns }: Outcome): string =>
  JSON.stringify([
    verdict === "ambiguous",
    outputs.map(({ port, frame }) => [port, [...frame]]),
    packetIns.filter(({ reason }) => reason !== "invalid_ttl").length,
  ]);

function interpreterOf({ flows }: FlowTable): Interpreter {
  return new Interpreter(
    Array.from({ length: flows.count }, (_, i) => flows.flow(i)),
    { isTraced: false },
  );
}

/** Whether the proof says "different" and shows it. */
function isKilled(a: FlowTable, b: FlowTable, proof: Proof, told: string): boolean {
  if (proof.verdict !== "different") return false;
  const [left, right] = [interpreterOf(a), interpreterOf(b)];
  for (const { inPort, frame } of proof.differences)
    assert.is.not(
      seenOf(left.run(inPort, frame)),
      seenOf(right.run(inPort, frame)),
      `${told}: a counterexample without a difference`,
    );
  return true;
}

const describe = ({ verdict, unknown }: Proof): string =>
  `${verdict} ${unknown.map(({ feature }) => feature).join()}`;

test("an intent's flows in other words are equal, all of them at once too", () => {
  const from = seed();
  let seconds = 0;
  for (let i = 0; i < INTENTS; i++) {
    const random = new Random(from + i);
    const lines = compiled(randomWish(random));
    const a = tableOf(lines, "a");
    let all: readonly string[] = lines;
    for (const [name, change] of Object.entries(RESPELLINGS)) {
      const b = change(lines, random)!;
      const proof = prove(a, tableOf(b, "b"));
      seconds += proof.seconds;
      assert.is(describe(proof), "equal ", `seed ${from + i}: ${name}`);
      if (name !== "a shadowed rule") all = change(all, random)!;
    }
    assert.is(describe(prove(a, tableOf(all, "b"))), "equal ", `seed ${from + i}: all at once`);
  }
  const count = INTENTS * Object.keys(RESPELLINGS).length;
  process.stdout.write(
    `seed ${from}: ${count} respellings of ${INTENTS} intents equal, ${seconds.toFixed(1)} s in the prover\n`,
  );
});

test("one thing wrong in an intent, or in what is installed, is found", () => {
  const from = seed();
  const lived: string[] = [];
  let made = 0;
  for (let i = 0; i < INTENTS; i++) {
    const wish = randomWish(new Random(from + i));
    const lines = compiled(wish);
    const a = tableOf(lines, "a");
    const check = (name: string, changed: readonly string[]): void => {
      made++;
      const b = tableOf(changed, "b");
      const proof = prove(a, b, { maxDifferences: 2 });
      if (!isKilled(a, b, proof, `seed ${from + i}: ${name}`))
        lived.push(`seed ${from + i}: ${name}: ${describe(proof)}`);
    };
    for (const [name, mistake] of Object.entries(MISTAKES)) {
      const other = structuredClone(wish);
      mistake(other, new Random(from * 31 + made));
      check(name, compiled(other));
    }
    for (const [name, damage] of Object.entries(DAMAGES)) {
      const damaged = damage(lines, new Random(from * 31 + made));
      if (damaged !== null) check(name, damaged);
    }
  }
  process.stdout.write(
    `seed ${from}: ${made - lived.length} of ${made} mutants of ${INTENTS} intents killed\n`,
  );
  assert.is(lived.length, 0, lived.join("\n"));
});

test.run();
