/**
 * YAML text → a small tree of scalars, lists and mappings with positions; the only file that knows the `yaml` package.
 * Types are not guessed here: a scalar is its text and whether it was quoted, so that `52:54:00:00:00:11` can never
 * become a number. Aliases and merge keys (`<<`) are resolved; what they could blow up (nesting, merged keys) has a
 * limit, since the package itself recurses and would end the process.
 */
import type { CST, ParsedNode, YAMLMap, YAMLSeq } from "yaml";
import { Composer, isAlias, isMap, isScalar, isSeq, Lexer, Parser } from "yaml";
import { type Place, printable, quoted } from "./diagnostics.ts";
import { formatCount } from "./limits.ts";

export interface ScalarNode {
  readonly kind: "scalar";
  readonly at: number;
  readonly text: string;
  /** Neither quoted nor a block: YAML would guess a type. */
  readonly plain: boolean;
}
export interface ListNode {
  readonly kind: "list";
  readonly at: number;
  readonly items: readonly Node[];
}
export interface MapNode {
  readonly kind: "map";
  readonly at: number;
  readonly entries: ReadonlyMap<string, Entry>;
}
export type Node = ScalarNode | ListNode | MapNode;
export interface Entry {
  readonly keyAt: number;
  readonly value: Node;
}

/** Takes a problem at an offset of the text. */
export type Report = (at: number, message: string | (() => string)) => void;

/** Where the lines of a text begin. */
export class Lines {
  private readonly starts: number[] = [0];

  constructor(text: string) {
    for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) this.starts.push(at + 1);
  }

  /** The place of an offset; columns are UTF-16 units. */
  place(at: number): Place {
    let low = 0;
    let high = this.starts.length;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if (this.starts[middle]! <= at) low = middle;
      else high = middle;
    }
    return { line: low + 1, column: at - this.starts[low]! + 1 };
  }
}

/** An intent nests four deep; the package's composer recurses, and overflowing its stack can kill the process. */
const NESTING_MAX = 32;
/** Keys copied by `<<` in one file: far above any intent, far below what hurts. */
const MERGED_KEYS_MAX = 1_000_000;

/** What helps against a syntax error, by the package's code for it. */
const HINTS: { readonly [code: string]: string } = {
  BAD_ALIAS: "an alias is * and a name that an anchor (&) before it gives",
  BAD_DQ_ESCAPE: "write \\\\ for a backslash, or use single quotes",
  BAD_INDENT: "indent it as its neighbours are, and close what is opened",
  BAD_SCALAR_START: "put the value in quotes",
  BLOCK_AS_IMPLICIT_KEY: 'one key a line; put a value that contains ": " in quotes',
  MISSING_CHAR: "add what is missing",
  MULTILINE_IMPLICIT_KEY: "a key ends with a colon on its own line",
  TAB_AS_INDENT: "indent with spaces",
  TAG_RESOLVE_FAILED: "leave the tag out",
  UNEXPECTED_TOKEN: "remove it, or put the value in quotes",
};

/**
 * Reads one YAML document, without a byte order mark, of at most `partsMax` words and signs. Null when the text has
 * errors: they were all reported, at offsets from 0 to the text's length.
 */
export function readDocument(text: string, lines: Lines, partsMax: number, report: Report): Node | null {
  let failed = false;
  const fail: Report = (at, message) => {
    failed = true;
    report(Math.min(at, text.length), message);
  };
  const control = controlAt(text);
  if (control >= 0) {
    fail(control, `${quoted(text.charAt(control))} is a control character; an intent is plain text in UTF-8`);
    return null;
  }
  const tokens = tokensOf(text, partsMax, fail);
  if (tokens === null) return null;
  // failsafe: no types are guessed; uniqueKeys is quadratic there and done below instead.
  const composer = new Composer({
    prettyErrors: false,
    uniqueKeys: false,
    schema: "failsafe",
    logLevel: "silent",
  });
  const documents = [...composer.compose(tokens, true, text.length)];
  for (const document of documents) {
    for (const error of [...document.errors, ...document.warnings]) {
      const hint = HINTS[error.code] ?? "see the example in the manual";
      fail(error.pos[0], () => `this is not valid YAML: ${printable(error.message, 120)}; ${hint}`);
    }
  }
  const second = documents[1];
  if (second !== undefined) {
    fail(
      second.contents?.range[0] ?? second.range[0],
      "a second YAML document begins here; a file holds one intent",
    );
  }
  const contents = documents[0]?.contents ?? null;
  if (failed) return null;
  const root = new Converter(fail, lines).convert(contents);
  return failed ? null : root;
}

/** The offset of the first C0 control that is no blank or line end, or -1. YAML has none; the lexer uses some itself. */
function controlAt(text: string): number {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code < 0x20 && code !== 0x09 && code !== 0x0a && code !== 0x0d) return at;
  }
  return -1;
}

/**
 * The text as the package's tokens, or null after a report. Fed word by word, so that too deep a nesting or too many
 * words are seen before they take the memory (up to 600 bytes a word) or the stack.
 */
function tokensOf(text: string, partsMax: number, fail: Report): CST.Token[] | null {
  const parser = new Parser();
  const tokens: CST.Token[] = [];
  let parts = 0;
  for (const lexeme of new Lexer().lex(text)) {
    for (const token of parser.next(lexeme)) tokens.push(token);
    if (parser.stack.length > NESTING_MAX) {
      fail(parser.offset, "the nesting is too deep here; an intent nests 4 deep");
      return null;
    }
    if (++parts > partsMax) {
      const limit = formatCount(partsMax);
      fail(parser.offset, `the intent has more than ${limit} words and signs; keep routes in a routesFile`);
      return null;
    }
  }
  for (const token of parser.end()) tokens.push(token);
  return tokens;
}

interface Anchored {
  readonly node: Node;
  /** False while the node's own contents are being read: then an alias to it closes a circle. */
  done: boolean;
}

/** From the package's nodes to ours, in the order of the text, so that an alias finds the last anchor before it. */
class Converter {
  private readonly anchors = new Map<string, Anchored>();
  private mergedKeys = 0;

  constructor(
    private readonly report: Report,
    private readonly lines: Lines,
  ) {}

  convert(parsed: ParsedNode | null, fallbackAt = 0): Node {
    if (isScalar(parsed)) {
      const plain = parsed.type === "PLAIN" && parsed.tag === undefined;
      const node: Node = { kind: "scalar", at: parsed.range[0], text: String(parsed.value ?? ""), plain };
      this.anchor(parsed.anchor, node).done = true;
      return node;
    }
    if (isAlias(parsed)) return this.alias(parsed.source, parsed.range[0]).node;
    if (isSeq(parsed)) return this.list(parsed);
    if (isMap(parsed)) return this.map(parsed);
    return { kind: "scalar", at: fallbackAt, text: "", plain: true };
  }

  private list(parsed: YAMLSeq.Parsed): ListNode {
    const items: Node[] = [];
    const node: ListNode = { kind: "list", at: parsed.range[0], items };
    const anchored = this.anchor(parsed.anchor, node);
    // The types allow a pair here; composing makes a mapping of it (`[a: 1]` is `[{a: 1}]`).
    for (const item of parsed.items) items.push(this.convert(item as ParsedNode, node.at));
    anchored.done = true;
    return node;
  }

  private map(parsed: YAMLMap.Parsed): MapNode {
    const entries = new Map<string, Entry>();
    const node: MapNode = { kind: "map", at: parsed.range[0], entries };
    const anchored = this.anchor(parsed.anchor, node);
    const sources: MapNode[] = [];
    for (const pair of parsed.items) {
      const key = this.convert(pair.key, node.at);
      if (isPlainMerge(key)) {
        sources.push(...this.mergeSources(pair.value, key.at));
        continue;
      }
      const value = this.convert(pair.value, key.at);
      if (key.kind !== "scalar") {
        this.report(key.at, "this key is a collection; a key is a word");
        continue;
      }
      const twice = entries.get(key.text);
      if (twice !== undefined) this.twice(key, twice);
      else entries.set(key.text, { keyAt: key.at, value });
    }
    for (const source of sources) this.merge(entries, source);
    anchored.done = true;
    return node;
  }

  /** The mappings that a `<<` names: one, or a list of them, nearest first. */
  private mergeSources(parsed: ParsedNode | null, at: number): MapNode[] {
    const wanted = "<< merges a mapping; give it an alias such as *base, or a list of them";
    const items = isSeq(parsed) ? parsed.items : [parsed];
    const sources: MapNode[] = [];
    for (const item of items) {
      const { node, done } = isAlias(item)
        ? this.alias(item.source, item.range[0])
        : { node: this.convert(item as ParsedNode | null, at), done: true };
      if (!done) this.report(at, "<< merges a mapping into itself; merge one that ends before");
      else if (node.kind === "map") sources.push(node);
      else this.report(at, wanted);
    }
    return sources;
  }

  private merge(entries: Map<string, Entry>, source: MapNode): void {
    for (const [key, entry] of source.entries) {
      if (entries.has(key)) continue;
      if (++this.mergedKeys === MERGED_KEYS_MAX)
        this.report(source.at, "<< merges too many keys; write them out");
      if (this.mergedKeys >= MERGED_KEYS_MAX) return;
      entries.set(key, entry);
    }
  }

  private twice(key: ScalarNode, first: Entry): void {
    const line = this.lines.place(first.keyAt).line;
    this.report(
      key.at,
      () => `${printable(key.text)} is given twice, first at line ${line}; keep one of them`,
    );
  }

  private alias(name: string, at: number): Anchored {
    const found = this.anchors.get(name);
    if (found !== undefined) return { node: { ...found.node, at }, done: found.done };
    this.report(
      at,
      () => `*${printable(name)} is an alias without anchor; define it before, with &${printable(name)}`,
    );
    return { node: { kind: "scalar", at, text: "", plain: true }, done: true };
  }

  private anchor(name: string | undefined, node: Node): Anchored {
    const anchored = { node, done: false };
    if (name !== undefined) this.anchors.set(name, anchored);
    return anchored;
  }
}

function isPlainMerge(key: Node): boolean {
  return key.kind === "scalar" && key.plain && key.text === "<<";
}
