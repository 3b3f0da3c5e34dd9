/**
 * Random worlds, and random programs for them: rules that overlap, call each other, push, pop and are read
 * anew.
 */
import {
  type Action,
  FIELDS,
  type FieldName,
  type Group,
  type Program,
  type Rule,
  type RuleKind,
  type Test,
} from "./language.ts";
import type { Random } from "./random.ts";
import { packetsOf, type World } from "./world.ts";

/** Packets of a world at most: more show no more. */
const MAX_PACKETS = 160;

export function randomWorld(random: Random): World {
  for (;;) {
    const world = anyWorld(random);
    if ([...packetsOf(world)].length <= MAX_PACKETS) return world;
  }
}

function anyWorld(random: Random): World {
  const depth = random.pick([0, 0, 1, 1, 2, 3]);
  return {
    ports: random.pick([[1, 2], [1, 2, 3], [1]]),
    dstBits: random.below(2),
    srcBits: random.below(2),
    ip: {
      srcBits: random.below(depth > 1 ? 1 : 3),
      dstBits: 1 + random.below(depth > 1 ? 1 : 3),
      tos: random.pick([[0], [0, 0x20], [0xb8]]),
      ttl: random.pick([[64], [1, 64], depth > 1 ? [2, 64] : [0, 1, 2, 64]]),
    },
    arp: random.chance(0.3) ? { spaBits: 1, tpaBits: 1 + random.below(2) } : null,
    depth,
    labelBits: 1,
    labelTtl: depth > 1 ? [64] : random.pick([[64], [1, 64], [0, 2]]),
    hasOther: random.chance(0.2),
  };
}

const TESTABLE: Record<RuleKind, readonly FieldName[]> = {
  any: ["in_port", "dl_dst", "dl_src", "reg0", "metadata"],
  ip: ["nw_src", "nw_dst", "nw_dst", "nw_tos", "nw_ttl"],
  arp: ["arp_op", "arp_spa", "arp_tpa"],
  mpls: ["mpls_label", "mpls_label", "mpls_bos", "mpls_tc", "mpls_ttl"],
};
const VALUES: Partial<Record<FieldName, readonly number[]>> = {
  in_port: [1, 2, 3],
  nw_tos: [0, 0x20, 0xb8],
  nw_ttl: [0, 1, 2, 63, 64],
  mpls_ttl: [1, 2, 63, 64],
  arp_op: [1, 2],
};
const SETTABLE: Record<RuleKind, readonly FieldName[]> = {
  any: ["dl_dst", "dl_src", "reg0", "reg0", "metadata"],
  ip: ["nw_src", "nw_dst", "nw_tos", "nw_ttl"],
  arp: ["arp_op", "arp_spa", "arp_tpa"],
  mpls: ["mpls_label", "mpls_label", "mpls_tc", "mpls_ttl"],
};
const MOVES: readonly (readonly [RuleKind, FieldName, FieldName])[] = [
  ["any", "dl_src", "dl_dst"],
  ["any", "dl_dst", "reg0"],
  ["any", "reg0", "dl_src"],
  ["any", "in_port", "reg0"],
  ["ip", "nw_dst", "nw_src"],
  ["ip", "nw_src", "reg0"],
  ["ip", "reg0", "nw_dst"],
  ["arp", "arp_spa", "arp_tpa"],
  ["mpls", "mpls_label", "reg0"],
  ["mpls", "reg0", "mpls_label"],
];

export function randomValue(random: Random, field: FieldName): number {
  const values = VALUES[field];
  return values === undefined
    ? random.below(1 << Math.min(FIELDS[field].bits, 1 + random.below(3)))
    : random.pick(values);
}

/** Values that a packet of the world has when it comes in; null where that says nothing. */
function valuesIn(
  { ports, dstBits, srcBits, ip, arp, labelBits, labelTtl }: World,
  field: FieldName,
): readonly number[] | null {
  const upTo = (bits: number): number[] => Array.from({ length: 1 << bits }, (_, i) => i);
  const values: Partial<Record<FieldName, readonly number[]>> = {
    in_port: ports,
    dl_dst: upTo(dstBits),
    dl_src: upTo(srcBits),
    nw_src: upTo(ip.srcBits),
    nw_dst: upTo(ip.dstBits),
    nw_tos: ip.tos,
    nw_ttl: ip.ttl,
    arp_spa: upTo(arp?.spaBits ?? 0),
    arp_tpa: upTo(arp?.tpaBits ?? 0),
    mpls_label: upTo(labelBits),
    mpls_ttl: labelTtl,
    reg0: [0, 1],
    metadata: [0, 1],
  };
  return values[field] ?? null;
}

export function randomTest(random: Random, kind: RuleKind, world: World): Test {
  const field = random.pick([...TESTABLE[kind], ...TESTABLE[kind], ...TESTABLE.any]);
  const { bits, isMaskable } = FIELDS[field];
  const all = (1 << bits) - 1;
  const likely = random.chance(0.85) ? valuesIn(world, field) : null;
  const given = likely === null ? randomValue(random, field) : random.pick(likely);
  const mask =
    isMaskable && random.chance(0.6)
      ? random.chance(0.7)
        ? all & ~((1 << random.below(bits)) - 1)
        : 1 + random.below(all)
      : all;
  return { field, value: given & mask, mask };
}

/** What the actions may be, at one place. */
interface Place {
  readonly table: number;
  readonly tables: number;
  readonly groups: readonly Group[];
  readonly hasStack: boolean;
}

function randomSet(random: Random, kind: RuleKind): Action {
  const field = random.pick([...SETTABLE[kind], ...SETTABLE[kind], ...SETTABLE.any]);
  const value = random.chance(0.05) && FIELDS[field].bits === 3 ? 7 : randomValue(random, field);
  return { do: "set", field, value, spelling: random.below(3) };
}

function randomMove(random: Random, kind: RuleKind): Action {
  const [, from, to] = random.pick(MOVES.filter(([need]) => need === "any" || need === kind));
  return { do: "move", from, to, bits: 1 + random.below(2) };
}

/** The end of a list. */
function randomEnd(random: Random, { table, tables, groups }: Place): Action[] {
  const later = table + 1 + random.below(Math.max(1, tables - table - 1));
  const hasLater = table + 1 < tables;
  switch (random.below(12)) {
    case 0:
      return random.chance(0.5) ? [] : [{ do: "in_port" }];
    case 1:
      return [{ do: "in_port" }];
    case 2:
      return groups.length > 0 ? [{ do: "group", group: random.pick(groups).id }] : [{ do: "controller" }];
    case 3:
    case 4:
    case 5:
      return hasLater ? [{ do: "goto", table: later }] : [{ do: "output", port: 1 + random.below(3) }];
    case 6:
    case 7:
      return hasLater
        ? [
            { do: "resubmit", table: later, port: random.chance(0.2) ? 1 + random.below(3) : null },
            ...(random.chance(0.5)
              ? randomEnd(random, { table: tables, tables, groups, hasStack: false })
              : []),
          ]
        : [{ do: "output", port: 1 + random.below(3) }];
    default:
      return [{ do: "output", port: 1 + random.below(3) }];
  }
}

/** One step of a list; the kind of frame behind it. */
function randomStep(random: Random, kind: RuleKind, place: Place): { actions: Action[]; kind: RuleKind } {
  const same = (...actions: Action[]): { actions: Action[]; kind: RuleKind } => ({ actions, kind });
  switch (random.below(14)) {
    case 0:
      return same({ do: "output", port: 1 + random.below(3) });
    case 1:
    case 2:
      return same(randomMove(random, kind));
    case 3:
      return kind === "ip"
        ? same({ do: "dec_ttl" })
        : kind === "mpls"
          ? same({ do: "dec_mpls_ttl" })
          : same();
    case 4:
      return same({
        do: "clone",
        actions: [randomSet(random, kind), { do: "output", port: 1 + random.below(3) }],
      });
    case 5:
      return place.hasStack
        ? same({ do: "push", field: "reg0" }, randomSet(random, kind), { do: "pop", field: "reg0" })
        : same();
    case 6:
    case 7:
    case 8:
      if (kind === "mpls")
        return random.chance(0.7)
          ? { actions: [{ do: "pop_mpls", type: 0x0800 }], kind: "ip" }
          : same({ do: "pop_mpls", type: 0x8847 });
      return kind !== "any" && random.chance(0.6)
        ? {
            actions: [
              { do: "push_mpls" },
              { do: "set", field: "mpls_label", value: random.below(4), spelling: random.below(3) },
            ],
            kind: "mpls",
          }
        : same();
    case 9:
      return kind === "mpls" ? same({ do: "push_mpls" }) : same({ do: "controller" });
    default:
      return same(randomSet(random, kind));
  }
}

/** The actions of a rule for frames of a kind. */
export function randomActions(random: Random, kind: RuleKind, place: Place): Action[] {
  const actions: Action[] = [];
  let now = kind;
  for (let left = random.below(4); left > 0; left--) {
    const step = randomStep(random, now, place);
    actions.push(...step.actions);
    now = step.kind;
  }
  if (random.chance(0.05)) actions.push({ do: "exit" });
  if (random.chance(0.06))
    return [
      ...actions,
      { do: "write", actions: [randomSet(random, "any"), { do: "output", port: 1 + random.below(3) }] },
      { do: "goto", table: place.table + 1 },
    ];
  // What was popped goes through the tables once more, now and then.
  if (kind === "mpls" && now === "ip" && random.chance(0.3))
    return [...actions, { do: "resubmit", table: 0, port: null }];
  return [...actions, ...randomEnd(random, place)];
}

export function randomRule(random: Random, world: World, place: Place, priorities: readonly number[]): Rule {
  const kinds: RuleKind[] = ["any", "ip", "ip"];
  if (world.arp !== null) kinds.push("arp");
  if (world.depth > 0) kinds.push("mpls", "mpls");
  const kind = random.pick(kinds);
  const tests = new Map<FieldName, Test>();
  for (let left = random.pick([0, 1, 1, 1, 2, 2, 3]); left > 0; left--) {
    const test = randomTest(random, kind, world);
    tests.set(test.field, test);
  }
  const actions = randomActions(random, kind, place);
  return {
    table: place.table,
    priority: random.pick(priorities),
    kind,
    tests: [...tests.values()],
    actions,
    cookie: 0,
  };
}

function randomGroups(random: Random): Group[] {
  return Array.from({ length: random.below(3) }, (_, i) => {
    const type = random.chance(0.5) ? "all" : "indirect";
    const count = type === "all" ? 1 + random.below(3) : 1;
    const buckets = Array.from({ length: count }, (): Action[] => [
      randomSet(random, "any"),
      { do: "output", port: 1 + random.below(3) },
    ]);
    return { id: i + 1, type, buckets };
  });
}

/** Fields that a band of rules can be a map of, with the kind of frames that has them. */
const KEYS: readonly (readonly [RuleKind, FieldName])[] = [
  ["ip", "nw_dst"],
  ["ip", "nw_dst"],
  ["ip", "nw_src"],
  ["any", "reg0"],
  ["mpls", "mpls_label"],
];

/**
 * Rules of one priority that differ in the value of a field, as routes do, and in values of their actions.
 */
function randomBand(random: Random, world: World, place: Place): Rule[] {
  const [kind, field] = random.pick(KEYS);
  const second: Test[] = random.chance(0.3)
    ? [{ field: "in_port", value: random.pick(world.ports), mask: 3 }]
    : [];
  const isRouted = kind === "ip" && random.chance(0.5);
  const factor = 1 + random.below(3);
  const priority = 10 + random.below(40);
  const end = randomEnd(random, place);
  return Array.from({ length: 8 }, (_, value): Rule => {
    const low = (value * factor) & 3;
    const actions: Action[] = [{ do: "set", field: "dl_dst", value: low, spelling: 0 }];
    if (isRouted) actions.unshift({ do: "dec_ttl" });
    if (isRouted)
      actions.push({ do: "push_mpls" }, { do: "set", field: "mpls_label", value: low + 1, spelling: 0 });
    else actions.push({ do: "set", field: "reg0", value: value ^ factor, spelling: 0 });
    const tests = [...second, { field, value, mask: 7 }];
    return { table: place.table, priority, kind, tests, actions: [...actions, ...end], cookie: 0 };
  });
}

export function randomProgram(random: Random, world: World): Program {
  const tables = 1 + random.below(4);
  const groups = randomGroups(random);
  const hasStack = random.chance(0.3);
  const rules: Rule[] = [];
  for (let table = 0; table < tables; table++) {
    // Mostly different priorities, so that ties are seldom, but there.
    const count = 1 + random.below(5);
    const priorities = Array.from({ length: random.chance(0.15) ? 2 : 40 }, (_, i) => 10 + i);
    const place: Place = { table, tables, groups, hasStack };
    for (let left = count; left > 0; left--) rules.push(randomRule(random, world, place, priorities));
    if (random.chance(0.15)) rules.push(...randomBand(random, world, place));
    if (random.chance(0.6)) rules.push({ ...randomRule(random, world, place, [5]), tests: [] });
  }
  return { rules, groups };
}
