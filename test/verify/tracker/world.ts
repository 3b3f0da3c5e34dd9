/**
 * Random tables with ct, edits that keep or change what they do, and trackers for them: functions from what
 * a frame asked so far to an answer. With these the interpreter runs what the prover argues about.
 */
import {
  CT,
  givenTracker,
  KEY,
  type Tracker,
  type TrackerAnswer,
  type TrackerRequest,
} from "../../../src/openflow/index.ts";
import { frameOfExpression } from "../../../src/wire/index.ts";
import { Random } from "../tiny/random.ts";

/** One flow; `%N` in its actions stands for a table. */
export interface Line {
  readonly table: number;
  readonly priority: number;
  readonly match: string;
  readonly actions: string;
}

const STATES = [
  "+trk",
  "-trk",
  "+new+trk",
  "-new+trk",
  "+est+trk",
  "-est+trk",
  "+rel+trk",
  "+inv+trk",
  "-inv+trk",
  "+est+rpl+trk",
  "-rpl+trk",
];
const PROTOCOLS = ["ip", "tcp", "udp", "tcp,tp_dst=22", "udp,tp_dst=53", "ipv6", "tcp6,tp_dst=22", "icmp"];
const OTHERS = ["", "", "in_port=1", "reg0=1", "nw_src=10.0.0.1", "nw_dst=10.0.0.2", "reg1=2/2"];
const OF_TRACKER = ["", "", "ct_mark=1", "ct_mark=0/2", "ct_label=1", "ct_zone=5"];
const OF_TUPLE = ["", "ct_nw_src=10.0.0.1", "ct_nw_dst=10.0.0.2"];
const ADDRESS = ["10.9.0.1", "10.9.0.1-10.9.0.2", "10.9.0.1:4000-4001"];

function ctOf(r: Random, match: string, next: number): string {
  const parts = [r.pick(["zone=5", "zone=6", "zone=NXM_NX_REG0[0..15]", ""])];
  const isCommit = r.chance(0.4);
  if (r.chance(0.85)) parts.push(`table=%${next}`);
  if (isCommit) parts.push("commit");
  if (isCommit && r.chance(0.4)) parts.push(`exec(set_field:${r.pick(["1", "0x2/0x2"])}->ct_mark)`);
  if (r.chance(0.25)) {
    const isIpv4 = /\b(ip|tcp|udp|icmp)\b/.test(match);
    parts.push(isCommit && isIpv4 ? `nat(${r.pick(["src", "dst"])}=${r.pick(ADDRESS)})` : "nat");
  }
  return `ct(${parts.filter(part => part !== "").join(",")})`;
}

function actionsOf(r: Random, table: number, match: string): string {
  const next = Math.min(3, table + 1 + r.below(2));
  const isIp = /\b(ip|tcp|udp|icmp|ipv6|tcp6)\b/.test(match);
  const one = (): string => {
    switch (r.below(isIp && table < 3 ? 9 : 5)) {
      case 0:
      case 1:
        return `output:${1 + r.below(4)}`;
      case 2:
        return `set_field:${r.below(3)}->reg${r.below(2)}`;
      case 3:
        return table < 3 ? `resubmit(,%${next})` : `output:${1 + r.below(4)}`;
      case 4:
        return r.pick([
          "ct_clear",
          "move:NXM_NX_CT_MARK[]->NXM_NX_REG1[]",
          "set_field:02:00:00:00:00:09->eth_dst",
        ]);
      default:
        return ctOf(r, match, next);
    }
  };
  return Array.from({ length: 1 + r.below(3) }, one).join() || "drop";
}

/** A random table: what enters is untracked, and later tables look at what the tracker said. */
export function randomLines(r: Random): Line[] {
  const lines: Line[] = [];
  for (let table = 0; table < 4; table++)
    for (let count = 1 + r.below(4); count > 0; count--) {
      const protocol = r.pick(PROTOCOLS);
      const state = table === 0 ? "" : r.pick(STATES);
      const isKnown = /\+(new|est|rel)/.test(state) || (state.includes("-inv") && state.includes("+trk"));
      const tuple = isKnown && protocol === "ip" && r.chance(0.2) ? r.pick(OF_TUPLE) : "";
      const parts = [protocol, r.pick(OTHERS), ...(table === 0 ? [] : [r.pick(OF_TRACKER), tuple])];
      const isV6 = /6/.test(protocol);
      const wanted = parts.filter(part => part !== "" && !(isV6 && part.startsWith("nw_")));
      const match = [...(state === "" ? [] : [`ct_state=${state}`]), ...wanted].join();
      // Of one table no two flows have one priority: what is ambiguous is for other tests.
      lines.push({ table, priority: 10 * lines.length + 1, match, actions: actionsOf(r, table, match) });
    }
  return lines;
}

/** The text of a table; `numbers` gives the tables their numbers. */
export const textOf = (lines: readonly Line[], numbers: readonly number[] = [0, 1, 2, 3]): string =>
  lines
    .map(({ table, priority, match, actions }) => {
      const renamed = actions.replace(/%(\d)/g, (_, digit) => String(numbers[Number(digit)]));
      return `table=${numbers[table]},priority=${priority},${match} actions=${renamed}`;
    })
    .join("\n");

/** Splits one flow into two by a bit of its port or address, which changes nothing. */
function split(r: Random, lines: readonly Line[]): Line[] {
  const at = r.below(lines.length);
  const line = lines[at]!;
  const bits = line.match.includes("reg1") ? null : ["reg1=0/1", "reg1=1/1"];
  if (bits === null) return [...lines];
  const halves = bits.map(bit => ({ ...line, match: `${line.match},${bit}` }));
  return [...lines.slice(0, at), ...halves, ...lines.slice(at + 1)];
}

const CHANGES: readonly (readonly [RegExp, string])[] = [
  [/output:1/, "output:2"],
  [/output:3/, "output:4"],
  [/zone=5/, "zone=6"],
  [/\+est/, "-est"],
  [/\+new/, "-new"],
  [/->ct_mark/, "->ct_mark)"],
  [/ct_mark=1/, "ct_mark=2"],
  [/nat\(src/, "nat(dst"],
  [/commit,/, ""],
  [/set_field:1->reg/, "set_field:2->reg"],
];

/** A table that may do the same or not: split, renumbered, or with one thing changed or left out. */
export function edited(r: Random, lines: readonly Line[]): { text: string; kept: boolean } {
  let now = r.chance(0.6) ? split(r, lines) : [...lines];
  let kept = true;
  if (r.chance(0.5)) {
    kept = false;
    const at = r.below(now.length);
    const line = now[at]!;
    const possible = CHANGES.filter(([find]) => find.test(line.match) || find.test(line.actions));
    if (possible.length === 0 || r.chance(0.3)) now = now.filter((_, index) => index !== at);
    else {
      const [find, put] = r.pick(possible);
      const isMatch = find.test(line.match);
      const one = isMatch
        ? { ...line, match: line.match.replace(find, put) }
        : { ...line, actions: line.actions.replace(find, put) };
      now[at] = one;
    }
  }
  const numbers = r.chance(0.5) ? [0, 1, 2, 3] : [0, 7, 8, 9];
  return { text: textOf(now, numbers), kept };
}

const build = (text: string): Uint8Array => frameOfExpression(text);
const ETHERNET = "eth(dst=02:00:00:00:00:02, src=02:00:00:00:00:01)";
export const FRAMES: readonly Uint8Array[] = ["10.0.0.1", "10.0.0.2", "10.9.0.1"]
  .flatMap(src => ["10.0.0.1", "10.0.0.2"].map(dst => `${ETHERNET}.ipv4(src=${src}, dst=${dst})`))
  .flatMap(ip => [
    `${ip}.tcp(src=1000, dst=22)`,
    `${ip}.udp(src=1000, dst=53)`,
    `${ip}.udp(src=53, dst=1000)`,
  ])
  .concat([
    `${ETHERNET}.ipv6(src=2001:db8::1, dst=2001:db8::2).tcp(src=1000, dst=22)`,
    `${ETHERNET}.ipv6(src=2001:db8::1, dst=2001:db8::2).udp(src=1000, dst=53)`,
  ])
  .map(build);

const FLAGS: readonly number[] = [
  CT.inv,
  CT.new,
  CT.new | CT.rel,
  CT.est,
  CT.est | CT.rpl,
  CT.est | CT.rel,
  CT.rel | CT.rpl,
  0,
];

/** A tracker that answers at random, but the same to the same question; `salt` is its state. */
export function randomTracker(salt: number): Tracker {
  return request => {
    let hash = salt;
    for (let index = 0; index < request.history.length; index++)
      hash = Math.imul(hash ^ request.history.charCodeAt(index), 0x01000193) >>> 0;
    const r = new Random(hash);
    return givenTracker([answerOf(r, request)])(request);
  };
}

function answerOf(r: Random, { step, key }: TrackerRequest): TrackerAnswer {
  let state = CT.trk | r.pick(FLAGS);
  const words = new Map<number, number>();
  if ((state & CT.inv) !== 0) return new Map([[KEY.ctState, CT.trk | CT.inv]]);
  if (step.marks.length === 0) {
    words.set(KEY.ctMark, r.below(4));
    words.set(KEY.ctLabel + 3, r.below(2));
  }
  const isForward = (state & (CT.rel | CT.rpl)) === 0;
  if (!isForward) words.set(KEY.ctNwSrc, r.pick([0x0a000001, 0x0a000002]));
  if (step.nat !== null && key[KEY.dlType] === 0x0800 && (state & CT.new) === 0) {
    if (r.chance(0.5)) {
      state |= CT.snat;
      words.set(KEY.nwSrc, r.pick([0x0a090001, 0x0a000001]));
    }
    if (r.chance(0.3)) {
      state |= CT.dnat;
      words.set(KEY.nwDst, r.pick([0x0a000001, 0x0a000002]));
    }
  } else if (step.nat?.range && (state & CT.new) !== 0) state |= step.nat.side === "src" ? CT.snat : CT.dnat;
  return words.set(KEY.ctState, state);
}
