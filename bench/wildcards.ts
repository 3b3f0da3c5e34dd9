/**
 * A table of overlapping wildcards, as access lists have them, and its rewrite: other table numbers and
 * priorities, another order, another notation of the actions, prefixes in halves, unreachable flows. Both do
 * the same with every frame, and have no line in common.
 */
import { numbers } from "./traffic.ts";

const TABLES = 20;
const FLOWS = 15;
const PREFIX_LENGTHS = [8, 9, 10, 12, 14, 16, 18, 20, 24];
const NETS = [10, 10, 10, 172, 192];
const PORTS = [22, 53, 80, 443, 8080];
/** What the flows of a list compare: source, destination, port, TOS, where it comes in. */
const KINDS = ["d", "s", "sd", "dp", "sdp", "id", "dt"];

type Random = (below: number) => number;

/** A prefix of `field`. */
interface Prefix {
  readonly field: string;
  readonly address: number;
  readonly length: number;
}

const dotted = (address: number): string => [24, 16, 8, 0].map(by => (address >>> by) & 0xff).join(".");
const prefixText = ({ field, address, length }: Prefix): string => `${field}=${dotted(address)}/${length}`;

/** Both halves of a prefix. */
function halves({ field, address, length }: Prefix): Prefix[] {
  const upper = (address | (1 << (31 - length))) >>> 0;
  return [address, upper].map(half => ({ field, address: half, length: length + 1 }));
}

function prefix(field: string, random: Random): Prefix {
  const length = PREFIX_LENGTHS[random(PREFIX_LENGTHS.length)]!;
  const any = ((NETS[random(NETS.length)]! << 24) | random(1 << 24)) >>> 0;
  return { field, address: (any & (0xffffffff << (32 - length))) >>> 0, length };
}

interface Match {
  readonly words: readonly string[];
  readonly prefixes: readonly Prefix[];
}

function match(random: Random): Match {
  const kind = KINDS[random(KINDS.length)]!;
  const words: string[] = [];
  if (kind.includes("i")) words.push(`in_port=${1 + random(4)}`);
  words.push(kind.includes("p") ? `${random(2) === 0 ? "tcp" : "udp"},tp_dst=${PORTS[random(5)]}` : "ip");
  if (kind.includes("t")) words.push(`nw_tos=${4 * random(8)}`);
  const prefixes = [];
  if (kind.includes("s")) prefixes.push(prefix("nw_src", random));
  if (kind.includes("d")) prefixes.push(prefix("nw_dst", random));
  return { words, prefixes };
}

const matchText = ({ words, prefixes }: Match): string => [...words, ...prefixes.map(prefixText)].join();

/** Actions in both spellings; tables of the second are numbered by `numberOf`. */
function actions(table: number, random: Random, numberOf: readonly number[]): readonly [string, string] {
  const next = table + 1 + Math.max(0, random(5) - 2);
  const fate = random(100);
  if (fate < 10) return ["drop", "drop"];
  let [one, other] = ["", ""];
  if (random(10) < 3) {
    const mac = `02:00:00:00:00:${random(256).toString(16).padStart(2, "0")}`;
    [one, other] = [`set_field:${mac}->eth_dst,`, `mod_dl_dst:${mac},`];
  }
  if (random(10) < 3) {
    const value = random(4);
    one += `set_field:${value}->reg0,`;
    other += `load:${value}->NXM_NX_REG0[],`;
  }
  if (next >= TABLES || fate < 22) {
    const port = 1 + random(8);
    return [`${one}output:${port}`, `${other}output:${port}`];
  }
  return [`${one}goto_table:${next}`, `${other}resubmit(,${numberOf[next]})`];
}

/** Both as lines of flows. */
export function rewrittenPair(seed: number): readonly [string[], string[]] {
  const random = numbers(seed);
  const numberOf = [0, ...Array.from({ length: TABLES - 1 }, (_, i) => 1 + ((i * 7 + 3) % (TABLES - 1)))];
  const left: string[] = [];
  const right: string[] = [];
  for (let table = 0; table < TABLES; table++) {
    for (let flow = 0; flow < FLOWS; flow++) {
      const own = match(random);
      const [one, other] = actions(table, random, numberOf);
      const priority = 100 + 10 * flow;
      left.push(`table=${table},priority=${priority},${matchText(own)} actions=${one}`);
      const [first, ...rest] = own.prefixes;
      const parts =
        first === undefined || random(2) === 0
          ? [own]
          : halves(first).map(half => ({ words: own.words, prefixes: [half, ...rest] }));
      const head = `table=${numberOf[table]},priority=`;
      for (const part of parts) right.push(`${head}${7 * priority},${matchText(part)} actions=${other}`);
      // Unreachable: the flow above has the same match.
      if (random(5) === 0) right.push(`${head}${7 * priority - 1},${matchText(own)} actions=drop`);
    }
    const last = table + 1 === TABLES;
    left.push(`table=${table},priority=1 actions=${last ? "output:9" : `goto_table:${table + 1}`}`);
    const miss = last ? "output:9" : `resubmit(,${numberOf[table + 1]})`;
    right.push(`table=${numberOf[table]},priority=1 actions=${miss}`);
  }
  return [left, right.toReversed()];
}
