/**
 * The arguments of actions: numbers, ports, tables, bytes, `A->B`, lists and `key=value` in parentheses. A
 * malformed one throws a `Fault` that points at it. The entries of actions/ state which action takes which
 * arguments.
 */

import type { Consistency } from "./action-checks.ts";
import type { Action, Span } from "./ast.ts";
import { clip, Fault, nearest, type Pair, scanPairs, type Token } from "./lexer.ts";
import type { Reading } from "./parse-context.ts";
import { RESERVED_PORTS, readInteger, readPort, readTableNumber } from "./values.ts";

/** Where a list of actions stands: some may stand at the top only, or in an action set. */
export type Nesting = "flow" | "write_actions" | "clone" | "ct" | "bucket";

/** What an action is read with. */
export interface ActionReading {
  readonly reading: Reading;
  readonly consistency: Consistency;
  readonly nesting: Nesting;
  readonly depth: number;
  /** Reads a list of actions inside of this one. */
  readonly readList: (context: ActionReading, text: Span) => Action[];
}

/**
 * What a pair says: one action, none where it has no effect, or several that a version of OpenFlow has for
 * it.
 */
export type ParsedAction = Action | readonly Action[] | null;

/** The actions without arguments. */
type BareAction<A = Action> = A extends unknown ? (keyof A extends "type" | "span" ? A : never) : never;

/** Reads one action from its pair. */
export type ActionParser = (context: ActionReading, pair: Pair) => ParsedAction;

/** Reads a number of at most `max`; `what` names it in messages. */
export function number(context: ActionReading, text: Token, max: number, what: string): number {
  const value = readInteger(text.text, 8);
  if (typeof value === "string" || value > BigInt(max)) {
    const reason = text.text === "" ? "is missing" : `cannot be ${clip(text.text)}`;
    // Some of these ovs-ofctl cuts to the width of the message, others it refuses; no switch ever prints one.
    const cut = typeof value === "string" ? "" : "; a wider one is refused here, where ovs-ofctl may cut it";
    throw new Fault(text, `${what} ${reason}: it is a number from 0 to ${max}${cut}`);
  }
  context.reading.value(text);
  return Number(value);
}

/** The parser of an action with one number as its argument; `what` names it in messages. */
export const numbered =
  (what: string, max: number, actionOf: (value: number, pair: Pair) => Action): ActionParser =>
  (context, pair) =>
    actionOf(number(context, pair.value, max, what), pair);

/** The parser of an action without arguments. */
export const bare =
  (type: BareAction["type"]): ActionParser =>
  (_, { span }) => ({ type, span });

/** Reads a port by number or name. */
export function port(context: ActionReading, text: Token): number {
  const found = readPort(text.text, context.reading.ports);
  if (found === null) {
    const names = [...RESERVED_PORTS.keys(), ...context.reading.ports.keys()];
    throw new Fault(text, `there is no port ${clip(text.text) || "here"}${nearest(text.text, names)}`);
  }
  context.reading.value(text);
  return found;
}

/** Reads a table by number or name. */
export function table(context: ActionReading, text: Token): number {
  const found = readTableNumber(text.text, context.reading.tables);
  if (found === null)
    throw new Fault(
      text,
      `there is no table ${clip(text.text) || "here"}: expected a number up to 254 or a name of --tables`,
    );
  context.reading.value(text);
  return found;
}

/** Splits `A->B`; both sides must be there. */
export function arrow(pair: Pair): [left: Token, right: Token] {
  const { text, start, end } = pair.value;
  const at = text.indexOf("->");
  if (at < 0) throw new Fault(pair.span, `${pair.key.text} lacks its ->: ${pair.key.text}:A->B`);
  return [
    { text: text.slice(0, at).replace(/\)$/, ""), start, end: start + at },
    { text: text.slice(at + 2), start: start + at + 2, end },
  ];
}

/** A token without the blanks around it. */
export function trimmed({ text, start }: Token): Token {
  const from = start + text.length - text.trimStart().length;
  const inner = text.trim();
  return { text: inner, start: from, end: from + inner.length };
}

/** The comma-separated arguments of `resubmit(1,2)`: empty ones count. */
export function listed({ text, start }: Token): Token[] {
  const parts: Token[] = [];
  // A name in quotes may hold commas.
  const commas = [...text.matchAll(/"(?:[^"\\]|\\.)*"|,/g)].filter(([one]) => one === ",");
  let from = 0;
  for (const to of [...commas.map(({ index }) => index), text.length]) {
    parts.push(trimmed({ text: text.slice(from, to), start: start + from, end: start + to }));
    from = to + 1;
  }
  return parts;
}

/** The arguments of `controller(max_len=5,id=1)`: known keys only, the last of each. */
export function keyed(context: ActionReading, pair: Pair, known: readonly string[]): Map<string, Token> {
  const found = new Map<string, Token>();
  const others = `: it takes ${known.join(", ")}`;
  for (const { key, value } of scanPairs(context.reading.text, pair.value.start, pair.value.end)) {
    if (!known.includes(key.text))
      throw new Fault(
        key,
        `${pair.key.text} takes no ${clip(key.text)}${nearest(key.text, known) || others}`,
      );
    found.set(key.text, value);
  }
  return found;
}

export function required(pair: Pair, found: ReadonlyMap<string, Token>, key: string): Token {
  const value = found.get(key);
  if (value === undefined) throw new Fault(pair.span, `${pair.key.text} lacks ${key}=`);
  return value;
}

/** Reads `01.02.ff`: bytes as pairs of hexadecimal digits, with or without dots. */
export function readBytes(text: Token): Uint8Array {
  const digits = text.text.replace(/\.(?=[0-9a-f]{2}|$)/gi, "");
  if (!/^(?:[0-9a-f]{2})*$/i.test(digits))
    throw new Fault(
      text,
      `${clip(text.text)} is not a list of bytes; expected hexadecimal pairs as in 01.02.ff`,
    );
  return Uint8Array.from(digits.match(/../g) ?? [], pair => Number.parseInt(pair, 16));
}
