/**
 * The action ct, with its nat and exec, and ct_clear (ovs-actions(7), "The ct action"). They are kept as
 * text, with the actions inside and the fields that they read.
 */
import { type ActionReading, keyed, number, table } from "../arguments.ts";
import type { Action, Nat, Subfield } from "../ast.ts";
import { clip, Fault, nearest, type Pair, scanPairs, type Token } from "../lexer.ts";
import { PROTOCOL } from "../parse-match.ts";
import type { Printing } from "../print-options.ts";
import { formatSubfield, parseSubfield } from "../subfield.ts";
import { formatDotted, formatIpv6Address, readDotted, readIpv6Address } from "../values.ts";
import { move } from "./copy.ts";
import { oneOf, opaque, opaqueEntry } from "./opaque-entry.ts";
import { set } from "./set.ts";

/** An address of either family, IPv6 in brackets or without: without them it takes all colons. */
const NAT_RANGES = [
  /^(\d[\d.]*)(?:-(\d[\d.]*))?(?::(\d+)(?:-(\d+))?)?$/,
  /^\[([^\]]+)\](?:-\[([^\]]+)\])?(?::(\d+)(?:-(\d+))?)?$/,
  /^([\da-f:.]*:[\da-f:.]*)(?:-([\da-f:.]+))?()()$/i,
];

const NAT_EXAMPLES = "10.0.0.1-10.0.0.9:1024-2048 or [2001:db8::1]-[2001:db8::9]:80";

/** An address range with ports, `1.2.3.4-1.2.3.9:80-90`, `[::1]-[::9]:80`, as nat prints it. */
function natRange(text: Token): { text: string; range: NonNullable<Nat["range"]> } {
  const found = NAT_RANGES.map(range => range.exec(text.text)).find(one => one !== null) ?? null;
  const bad = (): never => {
    throw new Fault(
      text,
      `${clip(text.text)} is not a range of addresses; expected for example ${NAT_EXAMPLES}`,
    );
  };
  if (found === null) return bad();
  const [low, high] = [found[1]!, found[2]];
  const isV6 = low.includes(":");
  const read = isV6 ? readIpv6Address : readDotted;
  const first = read(low);
  const last = high === undefined ? first : read(high);
  const [from, to] = [Number(found[3] || 0), Number(found[4] || found[3] || 0)];
  if (first === null || last === null || last < first || to < from || to > 0xffff) return bad();
  // Port 0 is none.
  const hasPorts = from > 0;
  const print = (address: bigint): string =>
    isV6
      ? hasPorts
        ? `[${formatIpv6Address(address)}]`
        : formatIpv6Address(address)
      : formatDotted(address);
  const ports = hasPorts ? `:${from}${to > from ? `-${to}` : ""}` : "";
  return {
    text: `${print(first)}${last > first ? `-${print(last)}` : ""}${ports}`,
    range: { isIpv6: isV6, addresses: [first, last], ports: [from, to] },
  };
}

const NAT_FLAGS = ["persistent", "hash", "random"];

function parseNat(context: ActionReading, pair: Pair): { text: string; nat: Nat } {
  const found = keyed(context, pair, ["src", "dst", ...NAT_FLAGS]);
  const sides = ["src", "dst"].filter(side => found.has(side));
  const flags = NAT_FLAGS.filter(flag => found.has(flag));
  if (sides.length > 1) throw new Fault(pair.span, "nat changes src or dst, not both");
  if (sides.length === 0 && flags.length > 0)
    throw new Fault(pair.span, `${flags.join(" and ")} of nat needs src or dst`);
  if (flags.includes("hash") && flags.includes("random"))
    throw new Fault(pair.span, "nat picks ports by hash or at random, not both");
  if (sides.length === 0) return { text: "nat", nat: { side: null, range: null } };
  const side = sides[0] as "src" | "dst";
  const value = found.get(side)!;
  if (value.text === "") return { text: `nat(${side})`, nat: { side, range: null } };
  const { text, range } = natRange(value);
  const { dlType } = context.consistency.protocols;
  if (context.consistency.isKnown && range.isIpv6 !== (dlType === 0x86dd))
    throw new Fault(
      value,
      `nat to ${text} needs ${range.isIpv6 ? "ipv6" : "ip"} in the match (OFPBAC_MATCH_INCONSISTENT)`,
    );
  return { text: `nat(${[`${side}=${text}`, ...flags].join(",")})`, nat: { side, range } };
}

/** The parts of ct(…) while they are read; each of them at most once. */
interface Parts {
  isCommit: boolean;
  isForce: boolean;
  table: number | null;
  zone: number | Subfield;
  nat: { text: string; nat: Nat } | null;
  alg: string;
  nested: Action[];
  reads: Subfield[];
}

type TrackingReader = (context: ActionReading, pair: Pair, ct: Parts) => void;

const CT_PARTS: Readonly<Record<string, TrackingReader>> = {
  commit: (_, _pair, ct) => {
    ct.isCommit = true;
  },
  force: (_, _pair, ct) => {
    ct.isForce = true;
  },
  table: (context, { value }, ct) => {
    const number = table(context, value);
    if (number === 255) throw new Fault(value, "ct cannot go on in table 255");
    ct.table = number;
  },
  zone: (context, { value }, ct) => {
    const isNumber = /^\d/.test(value.text);
    if (isNumber) {
      ct.zone = number(context, value, 0xffff, "the zone");
      return;
    }
    const subfield = parseSubfield(value);
    if (subfield.bits !== 16)
      throw new Fault(value, `a zone has 16 bits, ${value.text} has ${subfield.bits}`);
    ct.zone = subfield;
    ct.reads.push(subfield);
  },
  alg: ({ consistency }, { value, span }, ct) => {
    ct.alg = oneOf(value, ["ftp", "tftp"], "helper");
    const wanted = ct.alg === "ftp" ? PROTOCOL.tcp : PROTOCOL.udp;
    if (consistency.isKnown && consistency.protocols.nwProto !== wanted)
      throw new Fault(
        span,
        `alg=${ct.alg} needs ${ct.alg === "ftp" ? "tcp" : "udp"} in the match (OFPBAC_MATCH_INCONSISTENT)`,
      );
  },
  nat: (context, pair, ct) => {
    ct.nat = parseNat(context, pair);
  },
  exec: (context, { value }, ct) => {
    const consistency = context.consistency.inner();
    const inner: ActionReading = { ...context, nesting: "ct", depth: context.depth + 1, consistency };
    ct.nested = context.readList(inner, value);
    ct.reads.push(...ct.nested.flatMap(action => (action.type === "move" ? action.from : [])));
    const wrong = ct.nested.find(({ type }) => type !== "set" && type !== "move");
    if (wrong !== undefined)
      throw new Fault(wrong.span, "inside of ct(exec(…)) only ct_mark and ct_label are set");
  },
};

/** A zone that is a field: Open vSwitch checks it, and then nothing inside (check_CT()). */
const hasFieldZone = (parts: readonly Pair[]): boolean =>
  parts.some(({ key, value }) => key.text === "zone" && !/^\d/.test(value.text));

function parseCt(outer: ActionReading, pair: Pair): Action {
  const ct: Parts = {
    isCommit: false,
    isForce: false,
    table: null,
    zone: 0,
    nat: null,
    alg: "",
    nested: [],
    reads: [],
  };
  const parts = [...scanPairs(outer.reading.text, pair.value.start, pair.value.end)];
  const unchecked = { ...outer, consistency: outer.consistency.inner("unchecked") };
  const isUnchecked = hasFieldZone(parts);
  for (const part of parts) {
    const context = isUnchecked && (part.key.text === "nat" || part.key.text === "exec") ? unchecked : outer;
    const reader = Object.hasOwn(CT_PARTS, part.key.text) ? CT_PARTS[part.key.text]! : null;
    if (reader === null)
      throw new Fault(
        part.key,
        `ct takes no ${clip(part.key.text)}${nearest(part.key.text, Object.keys(CT_PARTS))}`,
      );
    reader(context, part, ct);
  }
  if (ct.isForce && !ct.isCommit) throw new Fault(pair.span, "force of ct needs commit");
  if (!ct.isCommit && (ct.nested.length > 0 || ct.nat?.text.startsWith("nat(")))
    throw new Fault(pair.span, "ct sets marks and addresses only with commit (OFPBAC_BAD_ARGUMENT)");
  checkTracking(outer, pair, ct);
  const { table, zone } = ct;
  const call = `ct(${partsOf({ ...ct, table: null }).join(",")})`;
  const tracking = { table, zone, nat: ct.nat?.nat ?? null, call };
  return { ...opaque(pair, "ct", `ct(${partsOf(ct).join(",")})`, ct.nested, ct.reads), tracking };
}

function checkTracking({ consistency }: ActionReading, pair: Pair, ct: Parts): void {
  if (!consistency.isKnown) return;
  const { dlType, isInvalid } = consistency.protocols;
  if (ct.isCommit && isInvalid)
    throw new Fault(
      pair.span,
      "ct(commit) needs a packet that is not ct_state=+inv (OFPBAC_MATCH_INCONSISTENT)",
    );
  if (dlType !== 0x800 && dlType !== 0x86dd)
    throw new Fault(pair.span, "ct needs ip or ipv6 in the match (OFPBAC_MATCH_INCONSISTENT)");
}

/**
 * The settings inside of ct, each by set_field, and those of one field that follow each other as one:
 * OpenFlow 1.3 prints one with a mask as several loads.
 */
function marksOf(nested: readonly Action[]): Action[] {
  const marks: Action[] = [];
  for (const action of nested) {
    const last = marks.at(-1);
    if (action.type !== "set") marks.push(action);
    else if (last?.type === "set" && last.field === action.field) {
      const [value, mask] = [(last.value & ~action.mask) | action.value, last.mask | action.mask];
      marks[marks.length - 1] = { ...last, value, mask };
    } else marks.push({ ...action, spelling: "set_field" });
  }
  return marks;
}

/** The actions inside of ct as a list of text. */
function formatMarks(nested: readonly Action[]): string {
  const printing: Printing = { isTagged: false, printList: formatMarks };
  const parts = marksOf(nested).flatMap(action => {
    if (action.type === "set") return set.print(action, printing);
    if (action.type === "move") return move.print(action, printing);
    throw new Error(`assertion: ${action.type} inside of ct(exec(…))`);
  });
  return parts.join(",");
}

/** The parts of ct in the order of printing. */
function partsOf(ct: Parts): string[] {
  const zone = typeof ct.zone === "number" ? ct.zone || "" : formatSubfield(ct.zone);
  const parts = [
    ct.isCommit ? "commit" : "",
    ct.isForce ? "force" : "",
    ct.table === null ? "" : `table=${ct.table}`,
    zone === "" ? "" : `zone=${zone}`,
    ct.nat?.text ?? "",
    ct.nested.length === 0 ? "" : `exec(${formatMarks(ct.nested)})`,
    ct.alg === "" ? "" : `alg=${ct.alg}`,
  ];
  return parts.filter(part => part !== "");
}

export const ct = opaqueEntry(
  "ct",
  { parse: parseCt, example: "ip actions=ct(commit)" },
  {
    inWriteActions: true,
    setPart: "ct",
    recirculates: true,
    support: "uninterpreted",
    docs: [
      [
        "The answer of the tracker is unknown; in a proof, equal questions have equal answers on both sides.",
        "In trace, --ct-next gives it; without, the outcome is unknown.",
      ].join(" "),
      {
        name: "ct(nat(…))",
        support: "uninterpreted",
        note: "The translated address and port are part of the answer of the tracker.",
      },
    ],
  },
);

export const ctClear = opaqueEntry(
  "ct_clear",
  { parse: (_, pair) => opaque(pair, "ct_clear", "ct_clear"), example: "actions=ct_clear" },
  {
    inWriteActions: true,
    setPart: "ct_clear",
    recirculates: true,
    support: "executed",
    docs: [""],
  },
);
