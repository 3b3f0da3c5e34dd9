/**
 * Rows about the proof of tables as large as those of real bridges (real-tables.ts), each against itself in
 * another order and with one change; and of an access list against its rewrite. Linux only.
 */
import { join } from "node:path";
import type { Case, Effort, Section } from "./cases.ts";
import { atMost, caseOf, secondsOf, writeLines } from "./proof.ts";
import * as tables from "./real-tables.ts";
import { numbers } from "./traffic.ts";

interface Size {
  /** Logical switches of ten ports, some 150 flows each. */
  readonly switches: number;
  /** VMs of 50 rules each. */
  readonly vms: number;
  readonly orderedRoutes: number;
  readonly routes: number;
  readonly accessRules: number;
  readonly rounds: number;
}

const SIZES: Readonly<Record<Effort["name"], Size>> = {
  smoke: { switches: 2, vms: 10, orderedRoutes: 500, routes: 2_000, accessRules: 100, rounds: 1 },
  short: { switches: 20, vms: 200, orderedRoutes: 20_000, routes: 100_000, accessRules: 1_000, rounds: 1 },
  long: { switches: 20, vms: 200, orderedRoutes: 20_000, routes: 1_000_000, accessRules: 10_000, rounds: 3 },
};

/** A table, and the change that is to be found in it. */
interface Kind {
  readonly name: string;
  readonly lines: readonly string[];
  /** Which lines are like the one to change, and how it changes. */
  readonly where: string;
  readonly change: (line: string) => string;
  readonly targets: {
    readonly shuffled: readonly [number, number];
    readonly changed: readonly [number, number];
  };
}

const kindsOf = (size: Size): Kind[] => [
  {
    name: "ovn",
    lines: tables.ovnBridge(size.switches, 10, 3),
    where: "table=44,priority=19",
    change: line =>
      line.replace(/actions=.*/, line.includes("drop") ? "actions=resubmit(,45)" : "actions=drop"),
    targets: { shuffled: [2, 0.5], changed: [3, 1] },
  },
  {
    name: "groups",
    lines: tables.securityGroups(size.vms, 50, 3),
    where: ",tp_dst=80 actions=output",
    change: line => line.replace("tp_dst=80", "tp_dst=9"),
    targets: { shuffled: [2, 0.5], changed: [3, 1] },
  },
  {
    name: "ordered",
    lines: tables.orderedRoutes(size.orderedRoutes),
    where: "priority",
    change: line => line.replace(/output:\d+/, "output:77"),
    targets: { shuffled: [2, 1], changed: [2, 1] },
  },
  {
    name: "below",
    lines: tables.routesBelow(size.routes, 100, 5),
    where: "push_mpls",
    change: line => line.replace(/set_field:\d+/, "set_field:9"),
    targets: { shuffled: [6, 3], changed: [6, 3] },
  },
];

/** All rows of a kind. */
async function casesOf(kind: Kind, { rounds }: Size, isHeld: boolean, folder: string): Promise<Case[]> {
  const { name, lines, where, change, targets } = kind;
  const file = (what: string): string => join(folder, `proof-real-${name}.${what}`);
  writeLines(file("own"), lines);
  writeLines(file("shuffled"), tables.shuffled(lines, numbers(7)));
  writeLines(file("changed"), tables.oneChanged(lines, where, change));
  const cases: Case[] = [];
  for (const [what, verdict] of [
    ["shuffled", "equal"],
    ["changed", "different"],
  ] as const) {
    const seconds = await secondsOf(rounds, ["diff", file("own"), file(what)], verdict);
    const [target, stretch] = targets[what];
    const held = isHeld ? atMost(`${name}, ${what}`, target, stretch) : null;
    cases.push(caseOf(`proof-real-${name}, ${what}`, "s", seconds, lines.length, held));
  }
  return cases;
}

export async function proofRealRow(effort: Effort, folder: string): Promise<Section> {
  const size = SIZES[effort.name];
  const isHeld = effort.name === "long";
  const cases: Case[] = [];
  for (const kind of kindsOf(size)) cases.push(...(await casesOf(kind, size, isHeld, folder)));
  const { left, right } = tables.accessList(size.accessRules, 11);
  const files = ["left", "right"].map(side => join(folder, `proof-real-access.${side}`)) as [string, string];
  writeLines(files[0], left);
  writeLines(files[1], right);
  const seconds = await secondsOf(size.rounds, ["diff", ...files], "equal");
  const held = isHeld ? atMost("an access list of 10,000 rules, rewritten", 10, 2) : null;
  cases.push(caseOf("proof-real-access, rewritten", "s", seconds, left.length, held));
  return {
    title: "Proofs of tables like those of real bridges",
    notes: [
      "slash32 diff, whole processes, on one table against the same in another order and with one change",
      "ovn: logical switches of ten ports in 40 tables; groups: 50 security rules a VM;",
      "ordered: routes, each of its own priority; below: routes below 100 other flows;",
      "access: an access list against its rewrite, prefixes split and redundant rules added",
      "connection tracking is left out: its tables are looked up with resubmit",
    ],
    cases,
  };
}
