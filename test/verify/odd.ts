/**
 * Random flow tables over odd frames: tags, LLC/SNAP, packets that are cut off, stacks of four labels or
 * without a bottom, as well as ordinary ones. The tiny worlds (tiny/) enumerate whole spaces of plain
 * frames; these tables are proven over the space of every frame, and the interpreter, which shares no code
 * with the symbolic machine but the compiler of steps, tries the frames here.
 */
import {
  type Bucket,
  type Flow,
  type Group,
  type GroupType,
  type Interpreter,
  parseActions,
  parseFlows,
} from "../../src/openflow/index.ts";
import type { Random } from "./tiny/random.ts";

type Type = "any" | "ip" | "mpls";

const TABLES = 3;

function match(random: Random): { text: string; type: Type } {
  const parts: string[] = [];
  const type = random.pick<Type>(["any", "any", "ip", "ip", "ip", "mpls", "mpls"]);
  if (random.chance(0.3)) parts.push(`in_port=${1 + random.below(3)}`);
  if (random.chance(0.25)) parts.push(`reg0=${random.below(4)}/${random.pick([1, 2, 3])}`);
  if (type !== "any") parts.push(type);
  if (type === "ip" && random.chance(0.7))
    parts.push(
      `nw_dst=10.0.0.${random.below(4)}/${random.pick(["255.255.255.255", "0.0.0.1", "0.0.0.2", "0.0.0.3"])}`,
    );
  if (type === "ip" && random.chance(0.15)) parts.push(`nw_ttl=${random.pick([1, 2, 3, 64])}`);
  if (type === "mpls" && random.chance(0.6)) parts.push(`mpls_label=${random.below(4)}`);
  if (type === "mpls" && random.chance(0.4)) parts.push(`mpls_bos=${random.below(2)}`);
  return { text: parts.join(), type };
}

const ANYWHERE: readonly ((random: Random) => string)[] = [
  r => `output:${1 + r.below(3)}`,
  r => `output:${1 + r.below(3)}`,
  r => `output:${1 + r.below(3)}`,
  () => "in_port",
  r => `set_field:${r.below(4)}->reg0`,
  r => `set_field:${r.below(4)}/${r.pick([1, 2, 3])}->reg0`,
  () => "move:NXM_OF_IN_PORT[0..1]->NXM_NX_REG0[0..1]",
  () => "push:NXM_NX_REG0[0..1]",
  () => "pop:NXM_NX_REG0[0..1]",
  r => `set_field:00:00:00:00:00:0${r.below(3)}->eth_dst`,
  r => `output:NXM_NX_REG0[0..${r.pick([0, 1])}]`,
  () => "load:0->NXM_OF_IN_PORT[]",
  () => "exit",
  r => `clone(output:${1 + r.below(3)},set_field:1->reg0)`,
  r => `push_vlan:0x8100,set_field:${4096 + r.below(3)}->vlan_vid`,
  () => "pop_vlan",
  r => `group:${1 + r.below(2)}`,
  () => "controller",
];

const OF_IP: readonly ((random: Random) => string)[] = [
  () => "dec_ttl",
  () => "dec_ttl",
  r => `set_field:10.0.0.${r.below(4)}->ip_dst`,
  () => "move:NXM_NX_REG0[0..1]->NXM_OF_IP_DST[0..1]",
  () => "move:NXM_OF_IP_DST[0..1]->NXM_NX_REG0[0..1]",
  r => `mod_nw_ttl:${r.pick([1, 2, 64])}`,
  r => `mod_nw_tos:${r.pick([0, 184])}`,
];

const OF_MPLS: readonly ((random: Random) => string)[] = [
  r => `set_field:${r.below(4)}->mpls_label`,
  r => `set_mpls_ttl(${r.pick([1, 2, 64])})`,
  () => "dec_mpls_ttl",
  () => "push_mpls:0x8847",
  () => "move:OXM_OF_MPLS_LABEL[0..1]->NXM_NX_REG0[0..1]",
];

function actions(random: Random, given: Type, table: number): string {
  let type = given;
  const list: string[] = [];
  const count = random.below(5);
  for (let i = 0; i < count; i++) {
    const dice = random.below(10);
    if (dice < 2 && table < TABLES - 1)
      list.push(`resubmit(,${table + 1 + random.below(TABLES - 1 - table)})`);
    else if (dice === 2 && type === "ip") {
      list.push("push_mpls:0x8847");
      type = "mpls";
    } else if (dice <= 3 && type === "mpls") {
      const to = random.chance(0.75) ? "0x0800" : "0x8847";
      list.push(`pop_mpls:${to}`);
      type = to === "0x0800" ? "ip" : "mpls";
    } else if (dice < 7 && type === "ip") list.push(random.pick(OF_IP)(random));
    else if (dice < 7 && type === "mpls") list.push(random.pick(OF_MPLS)(random));
    else list.push(random.pick(ANYWHERE)(random));
  }
  if (random.chance(0.08)) list.push("clear_actions");
  if (random.chance(0.12)) list.push(`write_actions(output:${1 + random.below(3)})`);
  if (random.chance(0.3) && table < TABLES - 1)
    list.push(`goto_table:${table + 1 + random.below(TABLES - 1 - table)}`);
  return list.length === 0 ? "drop" : list.join();
}

export interface Rule {
  table: number;
  priority: number;
  match: string;
  actions: string;
}

export const textOf = (rules: readonly Rule[]): string =>
  `${rules.map(({ table, priority, match, actions }) => `table=${table}, priority=${priority}${match === "" ? "" : `,${match}`} actions=${actions}`).join("\n")}\n`;

const isValid = (rule: Rule): boolean => parseFlows(textOf([rule]), "x").problems.length === 0;

function rule(random: Random, table: number, priority: number): Rule {
  for (;;) {
    const { text, type } = match(random);
    const made = { table, priority, match: text, actions: actions(random, type, table) };
    if (isValid(made)) return made;
  }
}

/** A random pipeline of a few rules. Priorities are rarely the same. */
export function randomRules(random: Random): Rule[] {
  const rules: Rule[] = [];
  for (let table = 0; table < TABLES; table++) {
    const count = 1 + random.below(4);
    for (let i = 0; i < count; i++) rules.push(rule(random, table, random.chance(0.05) ? 10 : 10 + i));
  }
  return rules;
}

/** A table that may or may not do the same: one to three small changes. */
export function changed(random: Random, rules: readonly Rule[]): Rule[] {
  let next = rules.map(one => ({ ...one }));
  const count = 1 + random.below(3);
  for (let i = 0; i < count; i++) {
    const at = random.below(next.length);
    const target = next[at]!;
    switch (random.below(9)) {
      case 0:
        next.splice(at, 1);
        if (next.length === 0) next = [rule(random, 0, 1)];
        break;
      case 1:
        next.push(rule(random, target.table, random.below(16)));
        break;
      case 2:
        target.actions = target.actions.replace(/output:(\d)/, (_, n) => `output:${1 + (Number(n) % 3)}`);
        break;
      case 3:
        target.priority = random.below(16);
        break;
      case 4:
        for (const one of next) one.priority += 100;
        break;
      case 5: {
        const other = { ...target, actions: `${target.actions}`, match: target.match };
        next.splice(
          at,
          1,
          {
            ...other,
            match: `in_port=1${other.match === "" ? "" : `,${other.match.replace(/in_port=\d,?/, "")}`}`,
          },
          other,
        );
        break;
      }
      case 6:
        target.actions = target.actions.replace(/goto_table:(\d)/, "resubmit(,$1)");
        break;
      case 7:
        next = next.toReversed();
        break;
      default:
        target.actions = target.actions.replace(/^/, "set_field:3->reg5,").replace(",drop", "");
        break;
    }
  }
  return next.filter(isValid).length === next.length ? next : rules.map(one => ({ ...one }));
}

const bucket = (actions: string): Bucket => ({
  id: null,
  weight: null,
  watchPort: null,
  watchGroup: null,
  actions: parseActions(actions).actions ?? [],
});

const group = (id: number, type: GroupType, ...actions: string[]): Group => ({
  id,
  type,
  selection: null,
  buckets: actions.map(bucket),
  source: { file: "groups", line: id },
  text: `group_id=${id},type=${type}`,
});

/** The groups that the rules speak of. */
export const GROUPS: readonly Group[] = [
  group(1, "all", "output:1", "set_field:00:00:00:00:00:01->eth_dst,output:2"),
  group(2, "indirect", "output:3"),
  group(3, "select", "resubmit(,1)"),
  group(4, "select", "output:1", "output:2"),
];

// --- Frames
// ---------------------------------------------------------------------------------------------------

const hex = (value: number, bytes: number): string => value.toString(16).padStart(bytes * 2, "0");
const ETHERNET = "000000000002000000000001";

function ip(last: number, ttl: number, protocol: number, tos = 0): string {
  return `45${hex(tos, 1)}001400000000${hex(ttl, 1)}${hex(protocol, 1)}1234c00002010a0000${hex(last, 1)}`;
}

const entry = (label: number, bos: number, ttl: number): string =>
  hex(((label << 12) | (bos << 8) | ttl) >>> 0, 4);

/** Every frame that a tiny world can tell from another, without its port. */
function bodies(): string[] {
  const out: string[] = [];
  for (const last of [0, 1, 2, 3])
    for (const ttl of [0, 1, 2, 3, 64])
      for (const protocol of [0, 253]) out.push(`0800${ip(last, ttl, protocol, ttl === 3 ? 184 : 0)}`);
  const inner = [ip(1, 64, 253), ip(2, 1, 253, 184), ip(3, 2, 0), "00"];
  for (const label of [0, 1, 2, 3]) {
    for (const ttl of [1, 2, 64])
      for (const [i, packet] of inner.entries())
        if (ttl === 64 || i === 0) out.push(`8847${entry(label, 1, ttl)}${packet}`);
    out.push(`8847${entry(label, 0, 64)}${entry(3 - label, 1, 2)}${inner[0]}`);
    out.push(`8847${entry(label, 0, 64)}${entry(1, 0, 9)}${entry(2, 1, 8)}${inner[1]}`);
    out.push(`8847${entry(label, 0, 64)}${entry(1, 0, 9)}${entry(2, 0, 8)}${entry(2, 1, 8)}${inner[1]}`);
    out.push(`8847${entry(label, 0, 64)}${entry(1, 0, 9)}`, `8847${entry(label, 0, 64)}`);
  }
  out.push(
    "8847",
    "88470000",
    `8847${entry(0, 0, 0)}${entry(1, 1, 3)}${inner[0]}`,
    `8848${entry(1, 1, 64)}${inner[0]}`,
  );
  out.push("080045", "0004aabbccdd", "1234", `0806${"00".repeat(28)}`, `86dd6${"0".repeat(79)}`);
  out.push(`81000001`, `810000010800${ip(1, 64, 253)}`, `810010020800${ip(1, 64, 253)}`, `88a8000181000001`);
  out.push(
    `810000008847${entry(1, 1, 64)}${inner[0]}`,
    `001caaaa030000000800${ip(1, 64, 253)}`,
    `001caaaa030000008847${entry(1, 1, 64)}${inner[0]}`,
  );
  return out.map(body => ETHERNET + body);
}

export const FRAMES: readonly Uint8Array[] = bodies().map(text => new Uint8Array(Buffer.from(text, "hex")));
export const PORTS: readonly number[] = [1, 2, 3, 4];

/** Port and frame that tell two interpreters apart, null when there are none, or why it cannot be said. */
export function tryAll(
  a: Interpreter,
  b: Interpreter,
  same: (a: ReturnType<Interpreter["run"]>, b: ReturnType<Interpreter["run"]>) => boolean,
): { port: number; frame: Uint8Array } | null | "undecided" {
  let undecided = false;
  for (const port of PORTS) {
    for (const frame of FRAMES) {
      const [x, y] = [a.run(port, frame), b.run(port, frame)];
      if ([x, y].some(({ verdict }) => verdict === "ambiguous" || verdict === "unknown")) undecided = true;
      else if (!same(x, y)) return { port, frame };
    }
  }
  return undecided ? "undecided" : null;
}

export function flowsOf(text: string): readonly Flow[] {
  return parseFlows(text, "x").flows;
}
