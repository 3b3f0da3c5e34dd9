/**
 * Tables in the manner of real bridges, for proofs: a bridge of OVN, the security groups of a Neutron bridge,
 * an access list as ClassBench makes them (Taylor and Turner, 2007), and routes with other flows above them.
 * Connection tracking is left out: its tables are looked up with resubmit. Everything comes from a seed.
 */
import { numbers } from "./traffic.ts";

type Random = (below: number) => number;

/** The flows of a table, and those of a table to compare it with. */
export interface Pair {
  readonly left: readonly string[];
  readonly right: readonly string[];
}

const PORTS = [22, 25, 53, 80, 123, 443, 3306, 5432, 6443, 8080, 8443, 9090];
const dotted = (address: number): string => [24, 16, 8, 0].map(by => (address >>> by) & 0xff).join(".");
const macOf = (port: number): string =>
  `0a:00:00:00:${[port >> 8, port & 0xff].map(byte => byte.toString(16).padStart(2, "0")).join(":")}`;
const addressOf = (port: number): string => `10.${port >> 8}.${port & 0xff}.5`;

/** The lines in another order (Fisher and Yates). */
export function shuffled(lines: readonly string[], random: Random): string[] {
  const out = [...lines];
  for (let i = out.length - 1; i > 0; i--) {
    const j = random(i + 1);
    [out[i], out[j]] = [out[j]!, out[i]!];
  }
  return out;
}

/** The lines with one of those that contain `where` changed: the one in the middle. */
export function oneChanged(
  lines: readonly string[],
  where: string,
  change: (line: string) => string,
): string[] {
  const found = [...lines.keys()].filter(index => lines[index]!.includes(where));
  const out = [...lines];
  const middle = found[found.length >> 1]!;
  out[middle] = change(lines[middle]!);
  return out;
}

// ── A bridge of OVN ────────────────────────────────────────────────────────────────────────────────────────

const INGRESS = { first: 8, last: 29, security: 9, rules: 16, lookup: 27 };
const EGRESS = { first: 40, last: 51, rules: 44, security: 50 };
const [RECEIVE, SEND, LOCAL, DELIVER] = [0, 65, 37, 33];
const RULES_PER_SWITCH = 30;

/** Logical switches of some ports each: some 150 flows a switch of 10 ports, over 40 tables. */
export function ovnBridge(switches: number, ports: number, seed: number): string[] {
  const random = numbers(seed);
  const lines: string[] = [];
  const add = (table: number, priority: number, match: string, actions: string): void => {
    lines.push(`table=${table},priority=${priority}${match === "" ? "" : `,${match}`} actions=${actions}`);
  };
  const rule = (table: number, id: number, priority: number, side: string, peer: string): void => {
    const port = `reg${side}=0x${(1 + random(ports)).toString(16)}`;
    const service = `${random(3) === 0 ? "udp" : "tcp"},tp_dst=${PORTS[random(PORTS.length)]}`;
    const from = random(2) === 0 ? `,${peer}=10.${random(switches)}.${random(ports)}.0/24` : "";
    const verdict = random(4) === 0 ? "drop" : `load:0x1->NXM_NX_XXREG0[97],resubmit(,${table + 1})`;
    add(table, priority, `${service},${port},metadata=0x${id.toString(16)}${from}`, verdict);
  };
  for (let at = 0; at < switches; at++) {
    const id = at + 1;
    const on = `metadata=0x${id.toString(16)}`;
    for (let table = INGRESS.first; table <= INGRESS.last; table++)
      add(table, 0, on, table === INGRESS.lookup ? "drop" : `resubmit(,${table + 1})`);
    for (let table = EGRESS.first; table <= EGRESS.last; table++)
      add(table, 0, on, table === EGRESS.security ? "drop" : `resubmit(,${table + 1})`);
    add(INGRESS.first, 100, `${on},vlan_tci=0x1000/0x1000`, "drop");
    for (let i = 0; i < RULES_PER_SWITCH; i++) {
      rule(INGRESS.rules, id, 2000 - i, "14", "nw_dst");
      rule(EGRESS.rules, id, 2000 - i, "15", "nw_src");
    }
    for (let port = 1; port <= ports; port++) {
      const number = at * ports + port;
      const [key, mac, address] = [`0x${port.toString(16)}`, macOf(number), addressOf(number)];
      const enter = `load:0x${id.toString(16)}->OXM_OF_METADATA[],load:${key}->NXM_NX_REG14[]`;
      add(RECEIVE, 100, `in_port=${number}`, `${enter},resubmit(,${INGRESS.first})`);
      const from = `reg14=${key},${on},dl_src=${mac}`;
      add(INGRESS.security, 90, `ip,${from},nw_src=${address}`, `resubmit(,${INGRESS.security + 1})`);
      add(INGRESS.security, 80, `ip,${from}`, "drop");
      const to = `load:${key}->NXM_NX_REG15[],resubmit(,${DELIVER})`;
      add(INGRESS.lookup, 50, `${on},dl_dst=${mac}`, to);
      add(EGRESS.security, 90, `reg15=${key},${on},dl_dst=${mac}`, `resubmit(,${EGRESS.security + 1})`);
      add(SEND, 100, `reg15=${key},${on}`, `output:${number}`);
    }
  }
  add(DELIVER, 0, "", `resubmit(,${LOCAL})`);
  add(LOCAL, 0, "", `resubmit(,${EGRESS.first})`);
  for (const table of [EGRESS.last + 1]) add(table, 0, "", `resubmit(,${SEND})`);
  return lines;
}

// ── Security groups ────────────────────────────────────────────────────────────────────────────────────────

const GROUPS = { base: 71, sent: 72, forward: 73, received: 82 };

/** VMs of `rules` rules each, half of them for what a VM sends, in the manner of Neutron. */
export function securityGroups(vms: number, rules: number, seed: number): string[] {
  const random = numbers(seed);
  const lines: string[] = [];
  const add = (table: number, priority: number, match: string, actions: string): void => {
    lines.push(`table=${table},priority=${priority},${match} actions=${actions}`);
  };
  const service = (address: string): string => {
    const peer = `${address}=10.${random(4)}.${random(256)}.0/24`;
    const port = `${random(3) === 0 ? "udp" : "tcp"},tp_dst=${1000 * random(5) + PORTS[random(12)]!}`;
    return random(3) === 0 ? port : `${port},${peer}`;
  };
  for (let vm = 1; vm <= vms; vm++) {
    const reg = `reg5=0x${vm.toString(16)}`;
    const load = `load:0x${vm.toString(16)}->NXM_NX_REG5[]`;
    add(0, 100, `in_port=${vm}`, `${load},load:0x1->NXM_NX_REG6[],resubmit(,${GROUPS.base})`);
    const [mac, address] = [macOf(vm), addressOf(vm)];
    add(GROUPS.base, 95, `arp,${reg},dl_src=${mac},arp_spa=${address}`, `resubmit(,${GROUPS.forward})`);
    add(GROUPS.base, 65, `ip,${reg},dl_src=${mac},nw_src=${address}`, `resubmit(,${GROUPS.sent})`);
    add(GROUPS.forward, 100, `reg6=0x1,dl_dst=${mac}`, `${load},resubmit(,${GROUPS.received})`);
    const own = new Set<string>();
    while (own.size < rules) own.add(service(own.size < rules / 2 ? "nw_dst" : "nw_src"));
    for (const [index, match] of [...own].entries())
      if (index < rules / 2) add(GROUPS.sent, 77, `${reg},${match}`, `resubmit(,${GROUPS.forward})`);
      else add(GROUPS.received, 77, `${reg},${match}`, `output:${vm}`);
  }
  return lines;
}

// ── An access list ─────────────────────────────────────────────────────────────────────────────────────────

interface Prefix {
  readonly address: number;
  readonly length: number;
}

interface AccessRule {
  readonly source: Prefix;
  readonly target: Prefix;
  readonly service: string;
  readonly actions: string;
}

const cut = (address: number, length: number): number =>
  length === 0 ? 0 : (address & (0xffffffff << (32 - length))) >>> 0;

/** Prefixes that lie in one another, as those of real lists do: most of them long, below a few short ones. */
function nestedPrefixes(count: number, random: Random): Prefix[] {
  const all: Prefix[] = [];
  for (let i = 0; i < count; i++) {
    const above = i < 24 ? { address: (random(224) << 24) >>> 0, length: 8 } : all[random(i)]!;
    const length = Math.min(32, above.length + (i < 24 ? 0 : 1 + random(7)));
    const low = ((random(65536) << 16) | random(65536)) >>> 0;
    all.push({
      length,
      address: cut((above.address | (low & ~cut(0xffffffff, above.length))) >>> 0, length),
    });
  }
  return all;
}

const SERVICES = [
  "ip",
  "tcp",
  "udp",
  "icmp",
  ...PORTS.flatMap(port => [`tcp,tp_dst=${port}`, `tcp,tp_src=${port}`]),
];
SERVICES.push("udp,tp_dst=53", "udp,tp_dst=123", "udp,tp_dst=0x8000/0x8000", "tcp,tp_dst=0x400/0xfc00");

const prefixText = (field: string, { address, length }: Prefix): string =>
  length === 0 ? "" : `,${field}=${dotted(address)}/${length}`;
function accessText(priority: number, { source, target, service, actions }: AccessRule): string {
  const match = `${service}${prefixText("nw_src", source)}${prefixText("nw_dst", target)}`;
  return `priority=${priority},${match} actions=${actions}`;
}

const halvesOf = ({ address, length }: Prefix): Prefix[] => [
  { address, length: length + 1 },
  { address: (address | (1 << (31 - length))) >>> 0, length: length + 1 },
];

/** An access list of distinct priorities, and one that does the same: prefixes split, rules added. */
export function accessList(count: number, seed: number): Pair {
  const random = numbers(seed);
  const prefixes = nestedPrefixes(Math.ceil(count / 8), random);
  const any = (): Prefix =>
    random(5) === 0 ? { address: 0, length: 0 } : prefixes[random(prefixes.length)]!;
  const left: string[] = [];
  const right: string[] = [];
  const priorityOf = (index: number): number => 3 * (count - index) + 10;
  for (let index = 0; index < count; index++) {
    const source = any();
    const target = source.length === 0 ? prefixes[random(prefixes.length)]! : any();
    const actions = random(3) === 0 ? "drop" : `output:${1 + random(4)}`;
    const own: AccessRule = { source, target, service: SERVICES[random(SERVICES.length)]!, actions };
    left.push(accessText(priorityOf(index), own));
    const kind = random(10);
    const parts =
      kind < 2 && source.length < 32
        ? halvesOf(source).map(half => ({ ...own, source: half }))
        : kind < 4 && target.length < 32
          ? halvesOf(target).map(half => ({ ...own, target: half }))
          : [own];
    for (const part of parts) right.push(accessText(priorityOf(index) + 1, part));
    // Redundant: all that it matches is matched by the rule above it.
    if (kind === 9 && target.length < 31)
      right.push(accessText(priorityOf(index), { ...own, target: halvesOf(target)[1]!, actions: "drop" }));
  }
  return {
    left: [...left, "priority=1 actions=drop"],
    right: [...right.toReversed(), "priority=0 actions=drop"],
  };
}

// ── Routes ─────────────────────────────────────────────────────────────────────────────────────────────────

const routeAddress = (index: number): string => dotted((0x0b000000 + Math.imul(index, 3)) >>> 0);

/** Routes, each of a priority of its own. */
export function orderedRoutes(count: number): string[] {
  return Array.from(
    { length: count },
    (_, i) =>
      `priority=${10_000 + i},ip,nw_dst=${routeAddress(i * 256)}/24 ` +
      `actions=set_field:02:00:00:00:00:0${i % 8}->eth_dst,output:${1 + (i % 16)}`,
  );
}

/** Routes of one priority below flows that match anything else, and parts of the address too. */
export function routesBelow(count: number, above: number, seed: number): string[] {
  const random = numbers(seed);
  const lines = Array.from({ length: above }, (_, i) => {
    const service = `${random(2) === 0 ? "tcp" : "udp"},tp_dst=${PORTS[random(12)]! + 1000 * random(40)}`;
    const prefix =
      random(2) === 0 ? `,nw_dst=${dotted((11 << 24) | (random(192) << 16))}/${12 + random(8)}` : "";
    const source = random(2) === 0 ? `,nw_src=10.${random(256)}.0.0/16` : "";
    const verdict = random(3) === 0 ? "drop" : "output:1";
    return `priority=${1000 + i},${service}${prefix}${source} actions=${verdict}`;
  });
  for (let i = 0; i < count; i++)
    lines.push(
      `priority=100,ip,nw_dst=${routeAddress(i)} actions=push_mpls:0x8847,` +
        `set_field:${16 + (i % 1_000_000)}->mpls_label,output:${1 + (i % 16)}`,
    );
  return lines;
}
