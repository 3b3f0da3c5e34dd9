/**
 * The action learn, which adds a flow (ovs-actions(7), "The learn action"): its arguments, and the
 * specifications of the match and the actions of the new flow, checked as learn_check() of Open vSwitch does.
 */
import { type ActionReading, table } from "../arguments.ts";
import type { Action, Subfield } from "../ast.ts";
import { findField } from "../fields.ts";
import { clip, Fault, type Pair, scanPairs, type Token } from "../lexer.ts";
import { type MatchReading, newMatch, PREREQUISITES, protocolsOf, writeBits } from "../parse-match.ts";
import { formatSubfield, parseSubfield } from "../subfield.ts";
import { formatHex, formatValue, ones, readInteger, readValue } from "../values.ts";
import { opaque, opaqueEntry } from "./opaque-entry.ts";

/** What learn says about the flow it makes, in the order of printing; 0 and the defaults are not printed. */
const LEARN_NUMBERS: readonly (readonly [key: string, max: number, isHexadecimal?: boolean])[] = [
  ["idle_timeout", 0xffff],
  ["hard_timeout", 0xffff],
  ["fin_idle_timeout", 0xffff],
  ["fin_hard_timeout", 0xffff],
  ["priority", 0xffff],
  ["send_flow_rem", 0],
  ["delete_learned", 0],
  ["cookie", Number.MAX_SAFE_INTEGER, true],
  ["limit", 0xffffffff],
];

/** What learn's new flow is known to match, as far as constants say (learn_check()). */
type Learned = MatchReading;

/** Asks that the new flow's match has what a field needs. */
function learnable(context: ActionReading, learned: Learned, to: Subfield, text: Token, what: string): void {
  if (!context.consistency.isKnown) return;
  const [holds, remedy] = PREREQUISITES[to.field.prerequisite];
  if (holds(protocolsOf(learned.key))) return;
  throw new Fault(
    text,
    `${what} of ${to.field.name} needs ${remedy} in the match that learn makes (OFPBAC_MATCH_INCONSISTENT)`,
  );
}

/** A constant to be loaded, or null when the text is no number; one that is too wide is an error. */
function constantOf(text: Token, bits: number): bigint | null {
  const constant = readInteger(text.text, 16);
  if (typeof constant === "bigint" && constant <= ones(bits)) return constant;
  if (!/^[+-]?\d/.test(text.text)) return null;
  throw new Fault(text, `${clip(text.text)} does not fit into ${bits} bits`);
}

/**
 * One specification of learn: a match of the new flow, or an action of it, and the field whose value goes
 * into it.
 */
interface LearnSpec {
  readonly text: string;
  readonly reads: Subfield | null;
}

const constantly = (text: string): LearnSpec => ({ text, reads: null });

function learnSpec(context: ActionReading, learned: Learned, { key, value, delimiter }: Pair): LearnSpec {
  if (key.text === "output") {
    const from = parseSubfield(value);
    context.consistency.field(from.field, value, "learn");
    return { text: `output:${formatSubfield(from)}`, reads: from };
  }
  if (key.text === "load") {
    const at = value.text.indexOf("->");
    if (at < 0) throw new Fault(value, "load of learn lacks its ->: load:NXM_OF_IN_PORT[]->reg0[0..15]");
    const [left, right]: [Token, Token] = [
      { text: value.text.slice(0, at), start: value.start, end: value.start + at },
      { text: value.text.slice(at + 2), start: value.start + at + 2, end: value.end },
    ];
    const to = parseSubfield(right);
    if (!to.field.isWritable) throw new Fault(right, `${to.field.name} is read-only`);
    learnable(context, learned, to, right, "load");
    const constant = constantOf(left, to.bits);
    if (constant !== null) {
      context.reading.value(left, to.field);
      return constantly(`load:${formatHex(constant)}->${formatSubfield(to)}`);
    }
    const from = sameWidth(context, left, to.bits);
    return { text: `load:${formatSubfield(from)}->${formatSubfield(to)}`, reads: from };
  }
  const to = parseSubfield(key);
  learnable(context, learned, to, key, "a match");
  if (delimiter === "") {
    context.consistency.field(to.field, key, "learn");
    return { text: formatSubfield(to), reads: to };
  }
  return learnMatch(context, learned, to, key, value);
}

/** What Open vSwitch reads as a field before it tries a number or a port's name. */
const isSubfield = (text: string): boolean => {
  const name = /^([A-Za-z]\w*)(?:\[[\d.]*\])?$/.exec(text)?.[1];
  return name !== undefined && findField(name) !== undefined;
};

/** A match of the new flow on a constant or on a field of the packet. */
function learnMatch(
  context: ActionReading,
  learned: Learned,
  to: Subfield,
  key: Token,
  value: Token,
): LearnSpec {
  const isWhole = to.start === 0 && to.bits === to.field.bits;
  const constant = isSubfield(value.text)
    ? "is a field"
    : isWhole
      ? readValue(to.field, value.text, context.reading.ports)
      : readInteger(value.text, 16);
  if (typeof constant === "string") {
    if (/^\d/.test(value.text)) throw new Fault(value, `${to.field.name}: ${clip(value.text)} ${constant}`);
    const from = sameWidth(context, value, to.bits);
    return { text: `${formatSubfield(to)}=${formatSubfield(from)}`, reads: from };
  }
  context.reading.value(value, to.field);
  const bits = typeof constant === "bigint" ? constant : constant.value;
  if (bits <= ones(to.bits)) writeBits(learned, to, bits, value, key);
  if (typeof constant !== "bigint")
    return constantly(
      `${to.field.name}=${formatValue(to.field, { ...constant, mask: ones(to.field.bits) })}`,
    );
  if (constant > ones(to.bits))
    throw new Fault(value, `${clip(value.text)} does not fit into ${to.bits} bits`);
  return constantly(`${formatSubfield(to)}=${formatHex(constant)}`);
}

function sameWidth(context: ActionReading, text: Token, bits: number): ReturnType<typeof parseSubfield> {
  const from = parseSubfield(text);
  context.consistency.field(from.field, text, "learn");
  if (from.bits !== bits)
    throw new Fault(text, `${text.text} has ${from.bits} bits where ${bits} are wanted`);
  return from;
}

function parseLearn(context: ActionReading, pair: Pair): Action {
  const numbers = new Map<string, string>();
  const specs: LearnSpec[] = [];
  const learned = newMatch();
  let [number_, result] = [1, ""];
  for (const one of scanPairs(context.reading.text, pair.value.start, pair.value.end)) {
    const known = LEARN_NUMBERS.find(([key]) => key === one.key.text);
    if (one.key.text === "table") number_ = table(context, one.value);
    else if (one.key.text === "result_dst") {
      const subfield = parseSubfield(one.value);
      if (subfield.bits !== 1) throw new Fault(one.value, "result_dst takes one bit, such as reg0[0]");
      result = `result_dst=${formatSubfield(subfield)}`;
    } else if (known === undefined) specs.push(learnSpec(context, learned, one));
    else if (known[1] === 0) numbers.set(known[0], known[0]);
    else {
      const value = learnNumber(context, one, known[1]);
      const isDefault = value === (known[0] === "priority" ? 32768n : 0n);
      if (!isDefault) numbers.set(known[0], `${known[0]}=${known[2] === true ? formatHex(value) : value}`);
    }
  }
  if (number_ === 255) throw new Fault(pair.span, "learn cannot put flows into table 255");
  const head = LEARN_NUMBERS.flatMap(([key]) => numbers.get(key) ?? []);
  const texts = specs.map(({ text }) => text);
  const parts = [`table=${number_}`, ...head, ...(result === "" ? [] : [result]), ...texts];
  const reads = specs.flatMap(spec => spec.reads ?? []);
  return opaque(pair, "learn", `learn(${parts.join(",")})`, [], reads);
}

function learnNumber(context: ActionReading, { key, value }: Pair, max: number): bigint {
  const read = readInteger(value.text, 8);
  if (typeof read === "string" || (key.text !== "cookie" && read > BigInt(max)))
    throw new Fault(
      value.text === "" ? key : value,
      `${key.text} of learn cannot be ${clip(value.text) || "nothing"}: it is a number`,
    );
  context.reading.value(value);
  return read;
}

export const learn = opaqueEntry(
  "learn",
  { parse: parseLearn, example: "actions=learn(table=1,NXM_OF_ETH_SRC[])" },
  {
    inWriteActions: false,
    setPart: null,
    recirculates: true,
    support: "executed",
    docs: [
      "The added flow is part of the outcome. Later packets are not matched against it.",
      { name: "learn(result_dst=…)", support: "unknown", note: "Depends on the flows that already exist." },
    ],
  },
);
