/**
 * Two provers, one question: the lock-step machine and decision diagrams on random tables over real fields,
 * up to 2000 rules, with edits that should and should not be seen. BDD_PAIRS says how many small pairs.
 */
import { spawnSync } from "node:child_process";
import { FlowColumns } from "../../src/openflow/index.ts";
import { type FlowTable, prove } from "../../src/verify/prove.ts";
import { assert, peer, seed, suite } from "../harness.ts";
import { Engine, type FlatRule, flatText, type Match } from "./bdd/engine.ts";
import { scriptOf } from "./bdd/smt.ts";
import { Random } from "./tiny/random.ts";

const test = suite("verify › decision diagrams");
const PAIRS = Number(process.env.BDD_PAIRS ?? 20);
/** Of 2000 routes each. */
const ROUTE_PAIRS = Math.ceil(PAIRS / 10);
const Z3_PAIRS = Number(process.env.Z3_PAIRS ?? 5);

const prefix = (bits: number): bigint => (0xffffffffn << BigInt(32 - bits)) & 0xffffffffn;
const ALL_48 = (1n << 48n) - 1n;

function randomMatch(
  random: Random,
  field: "nw_dst" | "nw_src" | "dl_dst" | "dl_src" | "reg0" | "in_port" | "nw_proto",
): Match {
  const low = BigInt(random.below(8));
  switch (field) {
    case "in_port":
      return { field, value: 1n + (low & 3n), mask: 0xffffn };
    case "nw_proto":
      return { field, value: random.pick([0n, 6n, 17n]), mask: 0xffn };
    case "reg0":
      return { field, value: low & 3n, mask: 3n };
    case "dl_dst":
    case "dl_src": {
      const mask = random.pick([ALL_48, (ALL_48 << 1n) & ALL_48, 0x010000000000n, 7n]);
      return { field, value: (0x020000000000n | low) & mask, mask };
    }
    default: {
      const mask = random.pick([prefix(32), prefix(31), prefix(29), prefix(24), prefix(8), 0xff0000ffn]);
      return { field, value: (0x0a000000n | BigInt(random.below(16))) & mask, mask };
    }
  }
}

/** Priorities are all different within a table: ties are for tiny worlds. */
function randomRules(random: Random, tables: number, perTable: number): FlatRule[] {
  const rules: FlatRule[] = [];
  for (let table = 0; table < tables; table++)
    for (let i = 0; i < perTable; i++) {
      const isIp = random.chance(0.7);
      const fields = isIp
        ? (["nw_dst", "nw_dst", "nw_src", "nw_proto", "in_port"] as const)
        : (["dl_dst", "dl_src", "in_port", "reg0"] as const);
      const match = new Map(
        Array.from({ length: 1 + random.below(3) }, () => randomMatch(random, random.pick(fields))).map(
          one => [one.field, one],
        ),
      );
      const sets = Array.from({ length: random.below(3) }, () => {
        const field = random.pick(["dl_dst", "dl_src", "reg0"] as const);
        return {
          field,
          value: field === "reg0" ? BigInt(random.below(4)) : 0x020000000000n | BigInt(random.below(8)),
        };
      });
      const goto =
        table + 1 < tables && random.chance(0.5) ? table + 1 + random.below(tables - table - 1) : null;
      const outputs =
        goto === null || random.chance(0.2)
          ? Array.from({ length: random.below(3) }, () => 1 + random.below(4))
          : [];
      rules.push({ table, priority: 2000 - i, isIp, match: [...match.values()], sets, outputs, goto });
    }
  return rules;
}

/** Routes as a switch has them: prefixes of all lengths, each to a next hop. */
function randomRoutes(random: Random, count: number): FlatRule[] {
  const routes = new Map<string, FlatRule>();
  while (routes.size < count) {
    const bits = random.pick([32, 32, 32, 31, 30, 28, 24, 20, 16]);
    const value = (0x0a000000n | BigInt(random.below(1 << 16))) & prefix(bits);
    const match: Match[] = [{ field: "nw_dst", value, mask: prefix(bits) }];
    const sets = [{ field: "dl_dst" as const, value: 0x020000000000n | BigInt(random.below(64)) }];
    routes.set(`${value}/${bits}`, {
      table: 0,
      priority: 100 + bits,
      isIp: true,
      match,
      sets,
      outputs: [1 + random.below(3)],
      goto: null,
    });
  }
  return [...routes.values()];
}

/** One rule becomes others. */
function changed(random: Random, rules: readonly FlatRule[]): readonly FlatRule[] {
  const at = random.below(rules.length);
  const rule = rules[at]!;
  const by = (...put: FlatRule[]): FlatRule[] => [...rules.slice(0, at), ...put, ...rules.slice(at + 1)];
  switch (random.below(7)) {
    case 0:
      return by();
    case 1:
      return by({ ...rule, outputs: rule.outputs.map(port => (port % 4) + 1) });
    case 2:
      return by({ ...rule, sets: rule.sets.map(one => ({ ...one, value: one.value ^ 1n })) });
    case 3:
      return by({
        ...rule,
        match: rule.match.map(one => ({ ...one, value: one.value ^ (one.mask & -one.mask) })),
      });
    case 4: {
      // In halves: nobody can tell.
      const one = rule.match.find(({ field, mask }) => field === "nw_dst" && (mask & 1n) === 0n);
      if (one === undefined) return by(rule);
      const half = (value: bigint): FlatRule => ({
        ...rule,
        match: rule.match.map(other =>
          other === one ? { ...one, value: one.value | value, mask: one.mask | 1n } : other,
        ),
      });
      return by(half(0n), half(1n));
    }
    case 5:
      return by({
        ...rule,
        sets: [{ field: "dl_src", value: 7n }, ...rule.sets, { field: "reg0", value: 3n }],
      });
    default:
      return [...rules].reverse();
  }
}

function tableOf(rules: readonly FlatRule[], name: string): FlowTable {
  const text = rules.map(rule => `${flatText(rule)}\n`).join("");
  const flows = new FlowColumns(Buffer.from(text), name);
  assert.is(flows.errorCount, 0, flows.problems.map(({ message }) => message).join("\n"));
  return { flows };
}

/** Asks both, the prover with and without its shortcuts; returns whether they say "equal". */
function ask(a: readonly FlatRule[], b: readonly FlatRule[], told: string): boolean {
  const { isEqual, witness } = new Engine().compare(a, b);
  const proofs = [false, true].map(isThorough =>
    prove(tableOf(a, "a"), tableOf(b, "b"), { maxDifferences: 2, isThorough }),
  );
  const shown =
    witness === null
      ? ""
      : JSON.stringify(witness, (_, value) =>
          typeof value === "bigint" ? `0x${value.toString(16)}` : value,
        );
  const list = a.length > 60 ? "" : `\n${a.map(flatText).join("\n")}\n---\n${b.map(flatText).join("\n")}`;
  for (const [at, { verdict, unknown }] of proofs.entries())
    assert.is(
      verdict,
      isEqual ? "equal" : "different",
      `${told}, ${at === 0 ? "with" : "without"} shortcuts ${shown} ${unknown.map(({ feature }) => feature)}${list}`,
    );
  return isEqual;
}

test("both engines say the same of random tables over real fields", () => {
  const from = seed();
  let equal = 0;
  for (let i = 0; i < PAIRS; i++) {
    const random = new Random(from + i);
    const rules = randomRules(random, 1 + random.below(3), 2 + random.below(9));
    if (ask(rules, changed(random, rules), `seed ${from + i}`)) equal++;
  }
  process.stdout.write(`seed ${from}: ${PAIRS} pairs, ${equal} equal\n`);
  assert.ok(equal > 0 && equal < PAIRS, "pairs of both sorts");
});

test("and of lists so long that an index finds the flows", () => {
  const from = seed();
  let equal = 0;
  for (let i = 0; i < PAIRS; i++) {
    const random = new Random(from + i);
    const rules = randomRules(random, 1 + random.below(2), 17 + random.below(24));
    if (ask(rules, changed(random, rules), `seed ${from + i}`)) equal++;
  }
  process.stdout.write(`seed ${from}: ${PAIRS} pairs of lists, ${equal} equal\n`);
});

test("and of 2000 routes", () => {
  const from = seed();
  let equal = 0;
  for (let i = 0; i < ROUTE_PAIRS; i++) {
    const random = new Random(from + i);
    const rules = randomRoutes(random, 2000);
    if (ask(rules, changed(random, rules), `seed ${from + i}`)) equal++;
  }
  process.stdout.write(`seed ${from}: ${ROUTE_PAIRS} pairs of 2000 routes, ${equal} equal\n`);
});

test("and z3 says so too, of tables up to 200 rules", () => {
  peer("z3");
  const from = seed();
  let equal = 0;
  for (let i = 0; i < Z3_PAIRS; i++) {
    const random = new Random(from + i);
    const rules =
      i % 4 === 0 ? randomRoutes(random, 200) : randomRules(random, 1 + random.below(3), 2 + random.below(9));
    const others = changed(random, rules);
    const { status, stdout, stderr } = spawnSync("z3", ["-in", "-T:60"], {
      input: scriptOf(rules, others),
      encoding: "utf8",
    });
    assert.is(status, 0, `seed ${from + i}: ${stdout.slice(0, 300)} ${stderr}`);
    const isEqual = ask(rules, others, `seed ${from + i}`);
    assert.is(stdout.trim(), isEqual ? "unsat" : "sat", `seed ${from + i}: z3`);
    if (isEqual) equal++;
  }
  process.stdout.write(`seed ${from}: ${Z3_PAIRS} pairs for z3, ${equal} equal\n`);
});

test.run();
