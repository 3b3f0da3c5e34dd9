/**
 * What the entries of actions that are kept as text share: they print their text, and name ports only in it.
 */
import type { Action, OpaqueName, Subfield } from "../ast.ts";
import { clip, Fault, type Pair, type Token } from "../lexer.ts";
import { type ActionEntry, type ActionOf, ALL_VERSIONS, ANY_BYTES, type Spelling } from "./entry.ts";

export type OpaqueAction = ActionOf<OpaqueName>;
export type OpaqueEntry = ActionEntry<OpaqueAction>;

/** An action as it is parsed; its text is a function of what is parsed, and not of how it was written. */
export function opaque(
  pair: Pair,
  name: OpaqueName,
  text: string,
  nested: readonly Action[] = [],
  reads: readonly Subfield[] = [],
): OpaqueAction {
  return { type: "opaque", span: pair.span, name, text, nested, reads };
}

/** Checks that a word is one of those that are known. */
export function oneOf(text: Token, known: readonly string[], what: string): string {
  if (known.includes(text.text)) return text.text;
  throw new Fault(text, `there is no ${what} ${clip(text.text) || "here"}: ${known.join(", ")} are`);
}

function portsIn({ text }: OpaqueAction): number[] {
  const lists = text.matchAll(/(?:members:|in_port=|sampling_port=)([\d,]+)/g);
  return [...lists].flatMap(([, list]) => list!.split(",").map(Number));
}

type Stated = "inWriteActions" | "setPart" | "recirculates" | "support" | "docs";

/** An entry: its one spelling, what is particular to it, and what all of them have in common. */
export function opaqueEntry(
  name: OpaqueName,
  spelling: Spelling<OpaqueAction>,
  stated: Pick<OpaqueEntry, Stated> & Partial<OpaqueEntry>,
): OpaqueEntry {
  return {
    spellings: { [name]: spelling },
    print: ({ text }) => text,
    versions: ALL_VERSIONS,
    bytes: ANY_BYTES,
    freezing: "alone",
    ports: portsIn,
    movesPorts: ({ text }) => /load:NXM_OF_IN_PORT\[[\d.]*\]/.test(text),
    ...stated,
  };
}
