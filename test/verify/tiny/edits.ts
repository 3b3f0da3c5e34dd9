/**
 * Changes of programs: neutral ones, which no packet can tell, by their construction, and mutants, which may
 * or may not be seen; the enumeration says. Each returns null where it has nothing to work on.
 */
import { randomActions, randomRule, randomTest, randomValue } from "./generate.ts";
import { type Action, FIELDS, type FieldName, type Program, type Rule } from "./language.ts";
import type { Random } from "./random.ts";
import type { World } from "./world.ts";

export type Edit = (program: Program, random: Random, world: World) => Program | null;

/** The program with one rule replaced by others; `change` says null for rules that it cannot use. */
function onRule(
  program: Program,
  random: Random,
  change: (rule: Rule) => readonly Rule[] | null,
): Program | null {
  const live = random.chance(0.9) ? (program.live ?? []) : [];
  const start =
    live.length > 0 ? program.rules.indexOf(random.pick(live)) : random.below(program.rules.length);
  for (let i = 0; i < program.rules.length; i++) {
    const at = (Math.max(0, start) + i) % program.rules.length;
    const made = change(program.rules[at]!);
    if (made !== null)
      return { ...program, rules: [...program.rules.slice(0, at), ...made, ...program.rules.slice(at + 1)] };
  }
  return null;
}

const withActions = (rule: Rule, actions: readonly Action[]): Rule[] => [{ ...rule, actions }];
const spliced = (list: readonly Action[], at: number, gone: number, ...put: Action[]): Action[] => [
  ...list.slice(0, at),
  ...put,
  ...list.slice(at + gone),
];

/** Places of actions that `fits`. */
const placesOf = (actions: readonly Action[], fits: (action: Action) => boolean): number[] =>
  actions.flatMap((action, at) => (fits(action) ? [at] : []));

/** Changes one action that `fits`. */
function onAction(
  program: Program,
  random: Random,
  fits: (action: Action, rule: Rule) => boolean,
  change: (action: Action, rule: Rule) => readonly Action[],
): Program | null {
  return onRule(program, random, rule => {
    const places = placesOf(rule.actions, action => fits(action, rule));
    if (places.length === 0) return null;
    const at = random.pick(places);
    return withActions(rule, spliced(rule.actions, at, 1, ...change(rule.actions[at]!, rule)));
  });
}

const uses = (program: Program, field: FieldName): boolean => JSON.stringify(program).includes(`"${field}"`);
const tablesOf = ({ rules }: Program): number[] => [...new Set(rules.map(({ table }) => table))];
const lastTable = (program: Program): number =>
  Math.max(
    ...tablesOf(program),
    ...[...JSON.stringify(program).matchAll(/"table":(\d+)/g)].map(match => Number(match[1])),
  );
const isJump = (action: Action): action is Extract<Action, { do: "goto" | "resubmit" }> =>
  action.do === "goto" || action.do === "resubmit";
const has = (program: Program, fits: (action: Action) => boolean): boolean =>
  program.rules.some(({ actions }) => actions.some(fits));
const mapped = (actions: readonly Action[], table: (number: number) => number): Action[] =>
  actions.map(action => (isJump(action) ? { ...action, table: table(action.table) } : action));

function splitByBit(program: Program, random: Random): Program | null {
  return onRule(program, random, rule => {
    const fields = (["dl_dst", "dl_src", "reg0", "nw_dst", "nw_src"] as const).filter(
      field => !field.startsWith("nw") || rule.kind === "ip",
    );
    const field = random.pick(fields);
    const { bits } = FIELDS[field];
    const test = rule.tests.find(one => one.field === field);
    // Bits above those of the world always count, but in registers: only a field that is matched can be
    // split.
    if (test === undefined) return null;
    const open = Array.from({ length: bits }, (_, bit) => 1 << bit).filter(bit => (test.mask & bit) === 0);
    if (open.length === 0) return null;
    const bit = random.pick(open);
    const half = (value: number): Rule => ({
      ...rule,
      tests: rule.tests.map(one =>
        one === test ? { field, value: (test.value & test.mask) | value, mask: test.mask | bit } : one,
      ),
    });
    return [half(0), half(bit)];
  });
}

function shadowed(program: Program, random: Random, world: World): Program | null {
  return onRule(program, random, rule => {
    const place = { table: rule.table, tables: rule.table + 1, groups: program.groups, hasStack: false };
    const test = randomTest(random, rule.kind, world);
    const tests = rule.tests.some(({ field }) => field === test.field) ? rule.tests : [...rule.tests, test];
    const actions = randomActions(random, rule.kind, place);
    return [rule, { ...rule, priority: rule.priority - 1 - random.below(5), tests, actions }];
  });
}

function shiftedPriorities(program: Program, random: Random): Program {
  const table = random.pick(tablesOf(program));
  const [factor, more] = [1 + random.below(50), random.below(1000)];
  return {
    ...program,
    rules: program.rules.map(rule =>
      rule.table === table ? { ...rule, priority: rule.priority * factor + more } : rule,
    ),
  };
}

function explicitDrop(program: Program, random: Random): Program {
  const table = random.pick(tablesOf(program));
  return {
    ...program,
    rules: [...program.rules, { table, priority: 0, kind: "any", tests: [], actions: [], cookie: 7 }],
  };
}

function deadStore(program: Program, random: Random): Program | null {
  // A packet-in shows every register.
  if (uses(program, "reg1") || has(program, ({ do: name }) => name === "controller")) return null;
  const store: Action = { do: "set", field: "reg1", value: random.below(8), spelling: random.pick([0, 2]) };
  return onRule(program, random, rule => {
    const end = rule.actions.findIndex(action => action.do === "write" || action.do === "goto");
    return withActions(
      rule,
      spliced(rule.actions, random.below((end < 0 ? rule.actions.length : end) + 1), 0, store),
    );
  });
}

function overwritten(program: Program, random: Random): Program | null {
  return onAction(
    program,
    random,
    ({ do: name }) => name === "set",
    action => {
      if (action.do !== "set") throw new Error("assertion: a set");
      return [{ ...action, value: randomValue(random, action.field) }, action];
    },
  );
}

function outputToItself(program: Program, random: Random): Program | null {
  if (has(program, action => action.do === "resubmit" && action.port !== null)) return null;
  return onRule(program, random, rule => {
    const port = rule.tests.find(({ field }) => field === "in_port")?.value;
    const end = rule.actions.findIndex(action => action.do === "write" || action.do === "goto");
    if (port === undefined) return null;
    return withActions(
      rule,
      spliced(rule.actions, random.below((end < 0 ? rule.actions.length : end) + 1), 0, {
        do: "output",
        port,
      }),
    );
  });
}

function renumbered(program: Program, random: Random): Program {
  const [factor, more] = [1 + random.below(3), random.below(4)];
  const number = (table: number): number => (table === 0 ? 0 : table * factor + more);
  const rules = program.rules.map(rule => ({
    ...rule,
    table: number(rule.table),
    actions: mapped(rule.actions, number),
  }));
  return { ...program, rules };
}

/** The rest of a list in a table of its own. */
function outlined(program: Program, random: Random): Program | null {
  const table = lastTable(program) + 1 + random.below(3);
  return onRule(program, random, rule => {
    if (rule.kind !== "any" || rule.actions.length === 0) return null;
    const at = random.below(rule.actions.length);
    const rest = rule.actions.slice(at);
    if (
      rest.some(({ do: name }) => name === "pop" || name === "push" || name === "write" || name === "clear")
    )
      return null;
    const turned = rest.map(
      (one): Action => (one.do === "goto" ? { do: "resubmit", table: one.table, port: null } : one),
    );
    return [
      { ...rule, actions: [...rule.actions.slice(0, at), { do: "resubmit", table, port: null }] },
      { ...rule, table, priority: random.below(100), tests: [], actions: turned },
    ];
  });
}

function sameValueAgain(program: Program, random: Random): Program | null {
  return onRule(program, random, rule => {
    const exact = rule.tests.filter(
      ({ field, mask }) =>
        ["dl_dst", "dl_src", "nw_src", "nw_dst", "mpls_label"].includes(field) &&
        mask === (1 << FIELDS[field].bits) - 1,
    );
    if (exact.length === 0) return null;
    const { field, value } = random.pick(exact);
    return withActions(rule, [{ do: "set", field, value, spelling: random.below(3) }, ...rule.actions]);
  });
}

function swappedStores(program: Program, random: Random): Program | null {
  return onRule(program, random, rule => {
    const places = placesOf(rule.actions.slice(0, -1), ({ do: name }) => name === "set").filter(at => {
      const [a, b] = [rule.actions[at]!, rule.actions[at + 1]!];
      return a.do === "set" && b.do === "set" && a.field !== b.field;
    });
    if (places.length === 0) return null;
    const at = random.pick(places);
    return withActions(rule, spliced(rule.actions, at, 2, rule.actions[at + 1]!, rule.actions[at]!));
  });
}

function outputByGroup(program: Program, random: Random): Program | null {
  const id = Math.max(0, ...program.groups.map(group => group.id)) + 1;
  let port = 0;
  const rules = onAction(
    program,
    random,
    ({ do: name }) => name === "output",
    action => {
      port = action.do === "output" ? action.port : 0;
      return [{ do: "group", group: id }];
    },
  );
  if (rules === null) return null;
  return {
    ...rules,
    groups: [
      ...program.groups,
      { id, type: random.chance(0.5) ? "all" : "indirect", buckets: [[{ do: "output", port }]] },
    ],
  };
}

/** A copy by a bucket in place of a clone; not where an action set would be run in the clone. */
function cloneByGroup(program: Program, random: Random): Program | null {
  if (has(program, ({ do: name }) => name === "write")) return null;
  const id = Math.max(0, ...program.groups.map(group => group.id)) + 1;
  let bucket: readonly Action[] = [];
  const after = onAction(
    program,
    random,
    (action, { kind }) => action.do === "clone" && kind !== "mpls",
    action => {
      bucket = action.do === "clone" ? action.actions : [];
      return [{ do: "group", group: id }];
    },
  );
  if (after === null) return null;
  return {
    ...after,
    groups: [...program.groups, { id, type: random.chance(0.5) ? "all" : "indirect", buckets: [bucket] }],
  };
}

/** By name: no packet can tell. */
export const NEUTRAL: Readonly<Record<string, Edit>> = {
  "same set in other words": (program, random) =>
    onAction(
      program,
      random,
      ({ do: name }) => name === "set",
      action => [{ ...action, spelling: random.below(3) } as Action],
    ),
  "goto_table or resubmit at the tail": (program, random) =>
    onRule(program, random, rule => {
      const last = rule.actions.at(-1);
      if (last?.do === "goto")
        return withActions(rule, [
          ...rule.actions.slice(0, -1),
          { do: "resubmit", table: last.table, port: null },
        ]);
      if (last?.do !== "resubmit" || last.port !== null || last.table <= rule.table) return null;
      return withActions(rule, [...rule.actions.slice(0, -1), { do: "goto", table: last.table }]);
    }),
  "split by a bit": splitByBit,
  "shadowed rule": shadowed,
  "other priorities in the same order": shiftedPriorities,
  cookie: (program, random) => onRule(program, random, rule => [{ ...rule, cookie: 1 + random.below(9) }]),
  "explicit drop": explicitDrop,
  "dead store": deadStore,
  "store that is overwritten": overwritten,
  "output to in_port": outputToItself,
  "other table numbers": renumbered,
  "rest in a table of its own": outlined,
  "same value written again": sameValueAgain,
  "stores in another order": swappedStores,
  "output by a group": outputByGroup,
  "copy by a group": cloneByGroup,
  // A clone runs the action set as it stands.
  "output by a clone": (program, random) =>
    has(program, ({ do: name }) => name === "write")
      ? null
      : onAction(
          program,
          random,
          ({ do: name }, rule) => name === "output" && rule.kind !== "mpls",
          action => [{ do: "clone", actions: [action] }],
        ),
  "other order of lines": (program, random) => {
    // Lines with one match replace each other: only different tables change places.
    const tables = tablesOf(program).map(table => ({ table, at: random.below(1000) }));
    const placeOf = (rule: Rule): number => tables.find(({ table }) => table === rule.table)!.at;
    return { ...program, rules: [...program.rules].sort((a, b) => placeOf(a) - placeOf(b)) };
  },
};

const without = (program: Program, random: Random, fits: (action: Action) => boolean): Program | null =>
  onAction(program, random, fits, () => []);

function setTo(fields: readonly FieldName[]): Edit {
  return (program, random) =>
    onAction(
      program,
      random,
      action => action.do === "set" && fields.includes(action.field),
      action =>
        action.do === "set"
          ? [
              {
                ...action,
                value: (action.value + 1 + random.below(3)) & ((1 << FIELDS[action.field].bits) - 1),
              },
            ]
          : [action],
    );
}

function onTest(
  program: Program,
  random: Random,
  change: (rule: Rule, at: number) => Rule["tests"] | null,
): Program | null {
  return onRule(program, random, rule => {
    if (rule.tests.length === 0) return null;
    const tests = change(rule, random.below(rule.tests.length));
    return tests === null ? null : [{ ...rule, tests }];
  });
}

/** By name: something a person might get wrong. */
export const MUTANTS: Readonly<Record<string, Edit>> = {
  "deleted rule": (program, random) => (program.rules.length < 2 ? null : onRule(program, random, () => [])),
  "another port": (program, random) =>
    onAction(
      program,
      random,
      ({ do: name }) => name === "output",
      action => [{ do: "output", port: action.do === "output" ? (action.port % 3) + 1 : 1 }],
    ),
  "output in place of in_port": (program, random) =>
    onAction(
      program,
      random,
      ({ do: name }) => name === "in_port",
      () => [{ do: "output", port: 1 }],
    ),
  "in_port in place of output": (program, random) =>
    onAction(
      program,
      random,
      ({ do: name }) => name === "output",
      () => [{ do: "in_port" }],
    ),
  "another priority": (program, random) =>
    onRule(program, random, rule => [{ ...rule, priority: 9 + random.below(43) }]),
  "test left out": (program, random) =>
    onTest(program, random, (rule, at) => rule.tests.filter((_, i) => i !== at)),
  "wider mask": (program, random) =>
    onTest(program, random, ({ tests }, at) => {
      const test = tests[at]!;
      if (!FIELDS[test.field].isMaskable || (test.mask & (test.mask - 1)) === 0) return null;
      const mask = test.mask & (test.mask - 1);
      return tests.map((one, i) => (i === at ? { ...test, mask, value: test.value & mask } : one));
    }),
  "one test more": (program, random, world) =>
    onRule(program, random, rule => {
      const test = randomTest(random, rule.kind, world);
      return rule.tests.some(({ field }) => field === test.field)
        ? null
        : [{ ...rule, tests: [...rule.tests, test] }];
    }),
  "another value in a test": (program, random) =>
    onTest(program, random, ({ tests }, at) => {
      const { field, mask } = tests[at]!;
      return tests.map((one, i) =>
        i === at ? { field, mask, value: randomValue(random, field) & mask } : one,
      );
    }),
  "lost bottom of stack": (program, random) =>
    onRule(program, random, rule =>
      rule.tests.some(({ field }) => field === "mpls_bos")
        ? [{ ...rule, tests: rule.tests.filter(({ field }) => field !== "mpls_bos") }]
        : null,
    ),
  "actions of another rule": (program, random) =>
    onRule(program, random, rule => {
      const others = program.rules.filter(
        other => other !== rule && other.kind === rule.kind && other.table === rule.table,
      );
      return others.length === 0 ? null : withActions(rule, random.pick(others).actions);
    }),
  "wrong MAC": setTo(["dl_dst", "dl_src"]),
  "wrong address": setTo(["nw_src", "nw_dst", "arp_spa", "arp_tpa"]),
  "wrong label": setTo(["mpls_label"]),
  "wrong traffic class": setTo(["mpls_tc", "nw_tos"]),
  "wrong register": setTo(["reg0", "metadata"]),
  "lost decrement": (program, random) =>
    without(program, random, ({ do: name }) => name === "dec_ttl" || name === "dec_mpls_ttl"),
  "lost pop": (program, random) => without(program, random, ({ do: name }) => name === "pop_mpls"),
  "lost push": (program, random) => without(program, random, ({ do: name }) => name === "push_mpls"),
  "lost store": (program, random) =>
    without(program, random, ({ do: name }) => name === "set" || name === "move"),
  "lost output": (program, random) =>
    without(program, random, ({ do: name }) => name === "output" || name === "group"),
  "doubled output": (program, random) =>
    onAction(
      program,
      random,
      ({ do: name }) => name === "output",
      action => [action, action],
    ),
  "decrement too many": (program, random) =>
    onAction(
      program,
      random,
      ({ do: name }) => name === "dec_ttl" || name === "dec_mpls_ttl",
      action => [action, action],
    ),
  "another table": (program, random) =>
    onAction(program, random, isJump, (action, rule) => [
      { ...action, table: rule.table + 1 + random.below(3) } as Action,
    ]),
  "neighbours changed places": (program, random) =>
    onRule(program, random, rule => {
      if (rule.actions.length < 2) return null;
      const at = random.below(rule.actions.length - 1);
      return withActions(rule, spliced(rule.actions, at, 2, rule.actions[at + 1]!, rule.actions[at]!));
    }),
  "another rule": (program, random, world) =>
    onRule(program, random, rule => {
      const place = {
        table: rule.table,
        tables: lastTable(program) + 1,
        groups: program.groups,
        hasStack: false,
      };
      return [rule, randomRule(random, world, place, [9 + random.below(43)])];
    }),
  "bucket lost": (program, random) => {
    const fit = program.groups.filter(({ buckets }) => buckets.length > 1);
    if (fit.length === 0) return null;
    const group = random.pick(fit);
    return {
      ...program,
      groups: program.groups.map(one => (one === group ? { ...one, buckets: one.buckets.slice(1) } : one)),
    };
  },
};
