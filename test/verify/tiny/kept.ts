/**
 * Small pairs that were answered wrongly once, and those that a mutant of the prover (canary.ts) makes
 * wrong: what random pairs would seldom meet.
 */
import type { Case } from "./judge.ts";
import type { Action, Program, Rule, Test } from "./language.ts";
import type { World } from "./world.ts";

const WORLD: World = {
  ports: [1, 2],
  dstBits: 0,
  srcBits: 0,
  ip: { srcBits: 0, dstBits: 1, tos: [0], ttl: [64] },
  arp: null,
  depth: 0,
  labelBits: 1,
  labelTtl: [64],
  hasOther: false,
};

const rule = (kind: Rule["kind"], actions: readonly Action[], rest: Partial<Rule> = {}): Rule => ({
  table: 0,
  priority: 10,
  kind,
  tests: [] as Test[],
  actions,
  cookie: 0,
  ...rest,
});
const output: Action = { do: "output", port: 3 };

/** Eight rules of one priority, of which the last does something. */
const routes = (actions: readonly Action[]): Rule[] =>
  Array.from({ length: 8 }, (_, value) =>
    rule("ip", value === 7 ? actions : [], { tests: [{ field: "nw_src", value, mask: 7 }] }),
  );

export interface Kept {
  readonly name: string;
  readonly one: Case;
  readonly truth: "equal" | "different" | "ambiguous";
}

const toPort = (port: number): Action => ({ do: "output", port });
const inPort = (value: number): Test => ({ field: "in_port", value, mask: 3 });
const setDst = (value: number): Action => ({ do: "set", field: "dl_dst", value, spelling: 0 });
const IP_OF_TWO_PORTS: World = { ...WORLD, dstBits: 2 };

/**
 * Two ports by which table 1 is reached, in two states that differ in what `doing` does; in b the one of
 * port `at` is another. What was proven behind the one port does not hold behind the other.
 */
function behindTwoPorts(
  at: 1 | 2,
  doing: (value: number) => readonly Action[],
  then: readonly Action[],
): Case {
  const program = (other: number): Program => ({
    rules: [
      ...[1, 2].map(port =>
        rule("ip", [...doing(port === at ? other : port), { do: "goto", table: 1 }], {
          tests: [inPort(port)],
        }),
      ),
      rule("any", then, { table: 1, priority: 6 }),
    ],
    groups: [],
  });
  return { world: IP_OF_TWO_PORTS, a: program(at), b: program(3) };
}

const written = (value: number): Action[] => [{ do: "write", actions: [setDst(value), output] }];
const sent = (value: number): Action[] => [setDst(value), output];

/** Each was answered wrongly once, or is by a mutant of the prover. */
export const KEPT: readonly Kept[] = [
  {
    name: "a move between words of which the world says that they are the same",
    truth: "equal",
    one: {
      world: { ...WORLD, ports: [1], depth: 1, labelTtl: [0] },
      a: {
        rules: [rule("mpls", [{ do: "move", from: "dl_src", to: "dl_dst", bits: 2 }, output])],
        groups: [],
      },
      b: { rules: [rule("mpls", [output])], groups: [] },
    },
  },
  {
    name: "a TTL that is lowered in front of a pushed label differs, and nothing is left open",
    truth: "different",
    one: {
      world: { ...WORLD, ports: [2] },
      a: { rules: [rule("ip", [{ do: "dec_ttl" }, { do: "push_mpls" }, output])], groups: [] },
      b: { rules: [rule("ip", [{ do: "push_mpls" }, output])], groups: [] },
    },
  },
  {
    name: "rows of a map that no frame of the world hits",
    truth: "equal",
    one: {
      world: { ...WORLD, ports: [1], ip: { srcBits: 0, dstBits: 1, tos: [0], ttl: [2] } },
      a: { rules: routes([{ do: "push_mpls" }, output]), groups: [] },
      b: { rules: routes([{ do: "dec_ttl" }, { do: "push_mpls" }, output]), groups: [] },
    },
  },
  {
    name: "of two ports a frame leaves by the one it did not come in by, whatever their order",
    truth: "equal",
    one: {
      world: IP_OF_TWO_PORTS,
      a: { rules: [rule("any", [toPort(1), toPort(2)])], groups: [] },
      b: { rules: [rule("any", [toPort(2), toPort(1)])], groups: [] },
    },
  },
  {
    name: "a TTL of 1 is not lowered",
    truth: "equal",
    one: {
      world: { ...WORLD, ip: { srcBits: 0, dstBits: 1, tos: [0], ttl: [1, 64] } },
      a: { rules: [rule("ip", [{ do: "dec_ttl" }, output])], groups: [] },
      b: {
        rules: [
          rule("ip", [{ do: "dec_ttl" }, output]),
          rule("ip", [], { priority: 20, tests: [{ field: "nw_ttl", value: 1, mask: 0xff }] }),
        ],
        groups: [],
      },
    },
  },
  ...([1, 2] as const).flatMap((at): Kept[] => [
    {
      name: `the action set is part of what is proven once, other at port ${at}`,
      truth: "different",
      one: behindTwoPorts(at, written, []),
    },
    {
      name: `the frame is part of what is proven once, other at port ${at}`,
      truth: "different",
      one: behindTwoPorts(at, value => [setDst(value)], [output]),
    },
  ]),
  {
    name: "a bucket's changes are undone behind it",
    truth: "equal",
    one: {
      world: IP_OF_TWO_PORTS,
      a: {
        rules: [rule("any", [{ do: "group", group: 1 }])],
        groups: [{ id: 1, type: "all", buckets: [[setDst(3), toPort(3)], [toPort(4)]] }],
      },
      b: { rules: [rule("any", [{ do: "clone", actions: sent(3) }, toPort(4)])], groups: [] },
    },
  },
  {
    name: "an error undoes what was put out before",
    truth: "equal",
    one: {
      world: WORLD,
      a: {
        rules: [
          rule("ip", [output, ...Array.from({ length: 4 }, (): Action => ({ do: "push_mpls" })), output]),
        ],
        groups: [],
      },
      b: { rules: [rule("ip", [])], groups: [] },
    },
  },
];
