/**
 * Random flow tables of conjunctive and ordinary flows in a world of few frames, as data and as flow text,
 * and what Open vSwitch can come to with each frame: its lookup (classifier_lookup__() of lib/classifier.c)
 * gone through in every order of its subtables, by code that shares nothing with the interpreter's or the
 * prover's.
 */
import type { Rng } from "../../model/random.ts";

/** A value and the low bits of it that count; the others of the two bits are free. */
interface Test {
  readonly value: number;
  readonly mask: number;
}

export interface Membership {
  readonly id: number;
  readonly clause: number;
  readonly clauses: number;
}

export interface Row {
  readonly table: number;
  readonly priority: number;
  readonly src: Test | null;
  readonly dst: Test | null;
  readonly port: Test | null;
  /** Bits of register 0. */
  readonly reg: Test | null;
  readonly conjId: number | null;
  readonly memberships: readonly Membership[];
  /** Port of its output, 0 for a drop; or the table it goes on to, with register 0 set if need be. */
  readonly out: number;
  readonly next: number | null;
  readonly sets: number | null;
}

/**
 * A frame of the world: two bits of each address, two of the port, which a lookup does not see of a first
 * fragment.
 */
export interface Packet {
  readonly src: number;
  readonly dst: number;
  readonly port: number;
  readonly isFragment: boolean;
  /** Register 0, as a table before has set it. */
  readonly reg?: number;
}

const VALUES = [0, 1, 2, 3];

/** Every frame there is. */
export const PACKETS: readonly Packet[] = VALUES.flatMap(src =>
  VALUES.flatMap(dst =>
    VALUES.flatMap(port => [false, true].map(isFragment => ({ src, dst, port, isFragment }))),
  ),
);

const u16 = (value: number): number[] => [value >>> 8, value & 0xff];

/** UDP over IPv4, or the first fragment of such a packet. */
export function frameOf({ src, dst, port, isFragment }: Packet): Uint8Array {
  const addresses = [10, 0, 0, src, 10, 0, 0, dst];
  const head = [0x45, 0, 0, 28, 0, 0, isFragment ? 0x20 : 0, 0, 64, 17, 0, 0, ...addresses];
  let sum = 0;
  for (let i = 0; i < head.length; i += 2) sum += (head[i]! << 8) | head[i + 1]!;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  const ip = [...head.slice(0, 10), ...u16(~sum & 0xffff), ...addresses];
  return Uint8Array.from([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, ...ip, 0, 7, ...u16(port), 0, 8, 0, 0]);
}

const addressText = (name: string, { value, mask }: Test): string =>
  `${name}=10.0.0.${value}/255.255.255.${0xfc | mask}`;

const portText = ({ value, mask }: Test): string =>
  `udp_dst=0x${value.toString(16)}/0x${(0xfffc | mask).toString(16)}`;

const regText = ({ value, mask }: Test): string => `reg0=0x${value.toString(16)}/0x${mask.toString(16)}`;

export function rowText(row: Row): string {
  const { src, dst, port, reg } = row;
  const match = [
    `table=${row.table},priority=${row.priority}`,
    ...(row.conjId === null ? [] : [`conj_id=${row.conjId}`]),
    port === null ? "ip" : "udp",
    ...(src === null ? [] : [addressText("nw_src", src)]),
    ...(dst === null ? [] : [addressText("nw_dst", dst)]),
    ...(port === null ? [] : [portText(port)]),
    ...(reg === null ? [] : [regText(reg)]),
  ];
  return `${match.join()} actions=${actionsText(row)}`;
}

export function actionsText({ memberships, out, next, sets }: Row): string {
  if (memberships.length > 0)
    return memberships.map(({ id, clause, clauses }) => `conjunction(${id},${clause}/${clauses})`).join();
  const set = sets === null ? "" : `set_field:${sets}->reg0,`;
  if (next !== null) return `${set}resubmit(,${next})`;
  return out === 0 ? "drop" : `output:${out}`;
}

export const textOf = (rows: readonly Row[]): string => rows.map(rowText).join("\n");

// --- Random tables
// ------------------------------------------------------------------------------------------------

export interface Style {
  /** Whether flows may say one id twice, or two numbers of clauses of it. */
  readonly isOdd: boolean;
  /** Whether a table of pairs of addresses comes first and sets a register, of which later ones ask. */
  readonly hasRegister?: boolean;
}

const OUTPUTS = [0, 2, 3, 4];
const PRIORITIES = [5, 10, 20];

const randomTest = (r: Rng): Test => {
  const mask = r.pick([3, 3, 3, 2, 1]);
  return { value: r.pick(VALUES) & mask, mask };
};

function randomMatch(r: Rng, { hasRegister }: Style): Pick<Row, "src" | "dst" | "port" | "reg"> {
  const maybe = (odds: number): Test | null => (r.chance(odds) ? randomTest(r) : null);
  const match = { src: maybe(50), dst: maybe(40), port: maybe(30), reg: null };
  return hasRegister === true && r.chance(60) ? { ...match, src: null, reg: randomTest(r) } : match;
}

/** A table of pairs of addresses, large enough to be proven as one map, which sets the register. */
function registerRows(r: Rng): Row[] {
  const exactly = (value: number): Test => ({ value, mask: 3 });
  const plain = {
    table: 0,
    priority: 7,
    port: null,
    reg: null,
    conjId: null,
    memberships: [],
    out: 0,
    next: 1,
  };
  const values = r.pick([VALUES, [0, 1], [2, 3]]);
  return VALUES.flatMap(src =>
    VALUES.filter(() => r.chance(80)).map(dst => ({
      ...plain,
      src: exactly(src),
      dst: exactly(dst),
      sets: r.pick(values),
    })),
  );
}

function randomMemberships(r: Rng, clauses: ReadonlyMap<number, number>, { isOdd }: Style): Membership[] {
  const ids = [...clauses.keys()];
  const count = r.pick([1, 1, 1, 2, 2, 3]);
  const found: Membership[] = [];
  for (let i = 0; i < count; i++) {
    const id = r.pick(ids);
    if (!isOdd && found.some(one => one.id === id)) continue;
    const asked = isOdd && r.chance(15) ? 2 + (clauses.get(id)! % 2) : clauses.get(id)!;
    found.push({ id, clause: 1 + r.below(asked), clauses: asked });
  }
  return found;
}

/** Flows of one table or two, the last of a match and priority standing. */
export function randomRows(r: Rng, style: Style): Row[] {
  const first = style.hasRegister === true ? 1 : 0;
  const tables = first + (r.chance(30) ? 2 : 1);
  const clauses = new Map([1, 2, 3].slice(0, 1 + r.below(3)).map(id => [id, r.pick([2, 2, 2, 3])]));
  const rows = new Map<string, Row>();
  const add = (row: Row): void => {
    const { memberships, out, next, sets, ...match } = row;
    rows.set(JSON.stringify(match), row);
  };
  const priority = (): number => r.pick(r.chance(50) ? [10] : PRIORITIES);
  if (first > 0) for (const row of registerRows(r)) add(row);
  const any = { src: null, dst: null, port: null, reg: null };
  for (let table = first; table < tables; table++) {
    const plain = { table, conjId: null, memberships: [], next: null, sets: null };
    const count = 3 + r.below(8);
    for (let i = 0; i < count; i++) {
      const memberships = randomMemberships(r, clauses, style);
      const conjId = r.chance(3) ? r.pick([0, 1]) : null;
      add({ ...plain, priority: priority(), ...randomMatch(r, style), conjId, memberships, out: 0 });
    }
    for (const id of clauses.keys()) {
      if (r.chance(10)) continue;
      const match = r.chance(70) ? any : randomMatch(r, style);
      const next = table + 1 < tables && r.chance(40) ? table + 1 : null;
      add({ ...plain, priority: priority(), ...match, conjId: id, out: r.pick(OUTPUTS), next });
    }
    for (let i = r.below(4); i > 0; i--)
      add({ ...plain, priority: priority(), ...randomMatch(r, style), out: r.pick(OUTPUTS) });
    const next = table + 1 < tables ? table + 1 : null;
    if (r.chance(60)) add({ ...plain, priority: 1, ...any, out: 2, next });
  }
  return [...rows.values()].sort(() => (r.chance(50) ? 1 : -1));
}

// --- What Open vSwitch can come to
// --------------------------------------------------------------------------------

/** Rows of one match on all priorities, the highest first, as a subtable has them. */
type List = readonly Row[];

const meets = (test: Test | null, value: number): boolean =>
  test === null || (value & test.mask) === test.value;

function matches(row: Row, { src, dst, port, isFragment, reg = 0 }: Packet, conjId: number): boolean {
  const asked = isFragment ? 0 : port;
  return (
    meets(row.src, src) &&
    meets(row.dst, dst) &&
    meets(row.port, asked) &&
    meets(row.reg, reg) &&
    (row.conjId === null || row.conjId === conjId)
  );
}

/** The list of each subtable that a packet matches. */
function listsFor(rows: readonly Row[], packet: Packet, conjId: number): List[] {
  const lists = new Map<string, Row[]>();
  for (const row of rows.filter(one => matches(one, packet, conjId))) {
    const { src, dst, port, reg } = row;
    const mask = [src, dst, port, reg].map(test => (test === null ? "any" : test.mask));
    const name = `${mask} ${row.conjId === null}`;
    lists.set(name, [...(lists.get(name) ?? []), row]);
  }
  return [...lists.values()].map(list => list.sort((a, b) => b.priority - a.priority));
}

/** The first ordinary flow of the highest priority that heads its list. */
function hardOf(lists: readonly List[]): Row[] {
  const heads = lists.map(list => list[0]!).filter(({ memberships }) => memberships.length === 0);
  const best = Math.max(...heads.map(({ priority }) => priority));
  return heads.filter(({ priority }) => priority === best);
}

const doesSame = (row: Row): string => actionsText(row);

function* permutations<T>(list: readonly T[]): Generator<readonly T[]> {
  if (list.length <= 1) yield list;
  for (let i = 0; i < list.length; i++)
    for (const rest of permutations([...list.slice(0, i), ...list.slice(i + 1)])) yield [list[i]!, ...rest];
}

const isFull = (met: ReadonlySet<number>, clauses: number): boolean => {
  for (let clause = 1; clause <= clauses; clause++) if (!met.has(clause)) return false;
  return true;
};

/** What one order of the clauses that match at one priority leads to; empty when to nothing. */
function softOf(order: readonly Row[], ask: (id: number) => Row[]): Row[] {
  const met = new Map<number, { clauses: number; seen: Set<number> }>();
  for (const { memberships } of order)
    for (const { id, clause, clauses } of memberships) {
      if (clauses > order.length) continue;
      const one = met.get(id) ?? { clauses, seen: new Set() };
      met.set(id, one);
      one.seen.add(clause);
      if (!isFull(one.seen, one.clauses)) continue;
      const found = ask(id);
      if (found.length > 0) return found;
      break;
    }
  return [];
}

/** The flows that a lookup can find, whatever came before; null among them for none. */
export function lookups(rows: readonly Row[], packet: Packet): (Row | null)[] {
  let lists = listsFor(rows, packet, 0);
  const found = new Map<string, Row | null>();
  const ask = (id: number): Row[] => hardOf(listsFor(rows, packet, id));
  for (;;) {
    const hard = hardOf(lists);
    const least = hard[0]?.priority ?? -1;
    const soft = lists
      .map(list => list[0]!)
      .filter(({ memberships, priority }) => memberships.length > 0 && priority > least);
    if (soft.length === 0) {
      for (const row of hard) found.set(doesSame(row), row);
      if (hard.length === 0) found.set("", null);
      return [...found.values()];
    }
    const priority = Math.max(...soft.map(one => one.priority));
    const group = soft.filter(one => one.priority === priority);
    let isMissed = false;
    for (const order of permutations(group)) {
      const led = softOf(order, ask);
      for (const row of led) found.set(doesSame(row), row);
      isMissed ||= led.length === 0;
    }
    if (!isMissed) return [...found.values()];
    lists = lists
      .map(list => (group.includes(list[0]!) ? list.slice(1) : list))
      .filter(({ length }) => length > 0);
  }
}

const behind = ({ sets }: Row, packet: Packet): Packet => (sets === null ? packet : { ...packet, reg: sets });

/** Where a packet can go, as ports; 0 is nowhere. More than one: it depends on the past of the switch. */
export function portsOf(rows: readonly Row[], packet: Packet, table = 0): Set<number> {
  const ports = new Set<number>();
  for (const row of lookups(
    rows.filter(one => one.table === table),
    packet,
  )) {
    if (row === null || row.next === null) ports.add(row?.out ?? 0);
    else for (const port of portsOf(rows, behind(row, packet), row.next)) ports.add(port);
  }
  return ports;
}

/** Whether so few flows of one priority match that they can be gone through in every order. */
export const isSmall = (rows: readonly Row[]): boolean =>
  PACKETS.every(packet =>
    VALUES.every(
      reg =>
        rows.filter(row => row.memberships.length > 0 && matches(row, { ...packet, reg }, 0)).length <= MOST,
    ),
  );

const MOST = 6;

/** Whether a lookup comes to flows that differ, though not in where they send a packet. */
export function isUndecided(rows: readonly Row[], packet: Packet, table = 0): boolean {
  const found = lookups(
    rows.filter(one => one.table === table),
    packet,
  );
  if (found.length > 1) return true;
  const [only] = found;
  return only?.next != null && isUndecided(rows, behind(only, packet), only.next);
}
