/**
 * A dump of many flows, read into columns at over a million flows a second. The lines of a dump are a few
 * *line templates* filled with many numbers (an address, a label, a port), so a line is compared with all
 * known templates at once (template-trie.ts), and its numbers are read on the way. The meaning of a template
 * is never decided here: one of its lines goes through `parseFlow`, and a number becomes a *slot*, a value of
 * the flow, only after lines with other numbers were parsed too and gave just these values (infer-slots.ts).
 * A line that fits no template goes through `parseFlow`, and several of one kind become a template. So the
 * columns are fast without being a second grammar.
 */
import type { Flow, SourceLocation, TextProblem } from "../ast.ts";
import {
  hasUnprintedMask,
  isPrintedText,
  isReplyHeader,
  isSpelledIn10,
  isSpelledLater,
  messageOf,
  type Origin,
  versionOfHeader,
} from "../origin.ts";
import { flowOfLine, notWhole, type ParsedFlow, parseFlow } from "../parse.ts";
import type { ParseOptions, Protocol } from "../parse-context.ts";
import { meaningsOf, type Slot } from "./infer-slots.ts";
import { endOfLine, endOfText, lineAt, linesOfBytes, startBehind, textOf } from "./line-bytes.ts";
import { LineColumns, MAX_ROW_WORDS } from "./line-columns.ts";
import { type FoundNumber, numbersIn } from "./numbers.ts";
import { filledFlow } from "./template-flow.ts";
import { type Filled, NUMBER_BASE, TemplateTrie } from "./template-trie.ts";

/** Flows that are alike but for the values in their slots. */
export interface LineTemplate {
  readonly id: number;
  /** The first flow of the template. */
  readonly model: Flow;
  readonly slots: readonly Slot[];
  readonly rowWords: number;
}

export interface ColumnOptions extends ParseOptions {
  /**
   * Lines of a kind that make it worth a template, at least 2; 8 by default, as to learn one takes as long as
   * to read some.
   */
  readonly learnedAt?: number;
  /**
   * Find out whether a switch printed the text, and read it so (`isPrinted`). A text that none printed is
   * read as a file for add-flows, by the version `asked`; OpenFlow 1.3 decides what its words mean when that
   * is null.
   */
  readonly isDetected?: boolean;
  readonly asked?: Protocol | null;
}

/** Templates of a dump; a line that would make one more is read by itself. */
const MAX_TEMPLATES = 4096;
/** Problems that are kept; further ones are counted. */
const MAX_PROBLEMS = 1000;
/** A longer line is parsed by itself. */
const MAX_LINE_BYTES = 4096;
/** Flows without a template that are kept; others are read from their lines again: a flow takes some 3 KB. */
const MAX_KEPT = 16_384;
/** Kinds of lines that are remembered while they have no template. */
const SEEN_KINDS = 4096;
const LEARNED_AT = 8;
/** Flows of one dump, in the order of their lines. */
export class FlowColumns {
  readonly file: string;
  readonly problems: TextProblem[] = [];
  /** Problems of level error (leniently there are none), also those that were not kept. */
  errorCount = 0;
  /** Flows that `lenient` left out: nothing built on the others may say "equal". */
  skipped = 0;
  /** Reply headers: a dump with one and without a flow is a table that drops everything. */
  headers = 0;
  readonly templates: LineTemplate[] = [];
  readonly #bytes: Uint8Array;
  readonly #options: ColumnOptions;
  readonly #isPrinted: boolean;
  #version: Protocol | null = null;
  #versionLine = 0;
  #isSpelled10 = 0;
  #isSpelledLater = 0;
  #unprinted = 0;
  #broken: TextProblem | null = null;
  readonly #columns: LineColumns;
  /** Irregular flows, in their order; those beyond MAX_KEPT are parsed again when they are needed. */
  readonly #odd: Flow[] = [];
  /** By kind of line, the flows of that kind that were read by themselves. */
  readonly #seen = new Map<number, number[]>();
  readonly #tree: TemplateTrie<LineTemplate>;

  constructor(bytes: Uint8Array, file: string, options: ColumnOptions = {}) {
    this.#bytes = bytes;
    this.#columns = new LineColumns(bytes.length);
    this.#tree = new TemplateTrie(bytes);
    this.file = file;
    this.#isPrinted =
      options.isPrinted ?? (options.isDetected === true && isPrintedText(linesOfBytes(bytes)));
    this.#options = options.isDetected === true ? readingOptions(options, this.#isPrinted) : options;
    this.#readAll();
    if (this.#broken === null) return;
    this.problems.push(this.#broken);
    this.errorCount++;
  }

  get count(): number {
    return this.#columns.count;
  }

  /** The line of the first flow with a match whose mask is not printed, 0 without one. */
  get unprintedMask(): number {
    return this.#isPrinted ? this.#unprinted : 0;
  }

  /** Reads a flow's text as this text was read. */
  reread(text: string, source: SourceLocation): ParsedFlow {
    return parseFlow(text, source, { ...this.#options, lenient: true });
  }

  /** The same text with a push of a tag in place of mod_vlan_vid; null when nothing in it may be one. */
  readPushed(): FlowColumns | null {
    if (this.#isSpelled10 === 0) return null;
    return new FlowColumns(this.#bytes, this.file, { ...this.#options, isDetected: false, isPushing: true });
  }

  /** Where the text comes from. Without `isDetected` nothing is known of it. */
  get origin(): Origin {
    const asked = this.#options.asked ?? null;
    if (this.#version !== null) return { isPrinted: true, version: this.#version, line: this.#versionLine };
    const isPrinted = this.#isPrinted;
    if (asked !== null || !isPrinted) return { isPrinted, version: asked, line: 0 };
    if (this.#isSpelled10 > 0) return { isPrinted, version: "OpenFlow10", line: this.#isSpelled10 };
    return { isPrinted, version: this.#isSpelledLater > 0 ? "OpenFlow13" : null, line: this.#isSpelledLater };
  }

  /** The line template of a flow; null if it is irregular. */
  templateOf(index: number): LineTemplate | null {
    const template = this.#columns.templateOf(index);
    return template < 0 ? null : this.templates[template]!;
  }

  /** Word `at` of the row of a flow. */
  valueAt(index: number, at: number): number {
    return this.#columns.valueAt(index, at);
  }

  /** Some words of the rows of some flows: an array for each word, in the order of the flows. */
  valuesAt(flows: Int32Array, words: readonly number[]): Uint32Array[] {
    return this.#columns.valuesAt(flows, words);
  }

  /** The line of a flow, from 1 on. */
  lineOf(index: number): number {
    return this.#columns.lineOf(index);
  }

  /** A flow, parsed again from its line. */
  flow(index: number): Flow {
    const template = this.#columns.templateOf(index);
    const kept = template < 0 ? this.#odd[-1 - template] : undefined;
    if (kept !== undefined) return kept;
    const text = lineAt(this.#bytes, this.#columns.startOf(index));
    const read = parseFlow(template < 0 ? flowOfLine(text)! : text, this.#source(index), this.#options);
    if (read.flow === null) throw new Error(`${this.file}:${this.lineOf(index)}: was read before`);
    return read.flow;
  }

  /**
   * The same for whoever runs or prints it, made of template and values: faster, with spans of another line.
   * `valueAt` gives other values.
   */
  filledFlow(index: number, valueAt = (at: number): number => this.valueAt(index, at)): Flow {
    const template = this.templateOf(index);
    if (template === null) return this.flow(index);
    return filledFlow(template.model, template.slots, {
      source: this.#source(index),
      valueAt,
      read: () => this.flow(index),
    });
  }

  /** Removes all flows but those for which `isKept` returns true; returns how many were removed. */
  keep(isKept: (index: number) => boolean): number {
    return this.#columns.keep(isKept);
  }

  /** Table and cookie of a flow, without reading its line again. */
  ownerOf(index: number): { readonly table: number; readonly cookie: bigint } {
    const template = this.templateOf(index);
    if (template === null) return this.flow(index);
    const { table, cookie } = template.model;
    const slot = template.slots.find(({ leaf }) => leaf.of === "cookie");
    if (slot === undefined) return { table, cookie };
    const word = (at: number): bigint => BigInt(this.valueAt(index, at));
    return { table, cookie: slot.words === 1 ? word(slot.at) : (word(slot.at) << 32n) | word(slot.at + 1) };
  }

  /** The text of a flow, as its line has it. */
  textOf(index: number): string {
    const text = lineAt(this.#bytes, this.#columns.startOf(index));
    return flowOfLine(text) ?? text;
  }

  #source(index: number): { file: string; line: number } {
    return { file: this.file, line: this.lineOf(index) };
  }

  #readAll(): void {
    const bytes = this.#bytes;
    const tree = this.#tree;
    const columns = this.#columns;
    let line = 0;
    for (let start = 0; start < bytes.length; ) {
      line++;
      const template = tree.find(start, columns.values, columns.valueCount);
      if (template === null) {
        const end = endOfLine(bytes, start);
        this.#readUnknown(start, endOfText(bytes, start, end), line);
        start = end + 1;
      } else {
        this.#add(template, start, line);
        start = startBehind(bytes, tree.behind);
      }
    }
  }

  /** Adds the row that the tree wrote behind the last one. */
  #add(template: LineTemplate, start: number, line: number): void {
    this.#columns.add(template.id, start, line);
    this.#columns.endRow(template.rowWords, start);
  }

  #readUnknown(start: number, end: number, line: number): void {
    const text = textOf(this.#bytes, start, end);
    if (isReplyHeader(text)) this.#readHeader(text, line);
    const clean = flowOfLine(text);
    if (clean === null) return;
    const message = messageOf(clean);
    if (message !== null) {
      if (message.reason !== null) this.#broken ??= notWhole(this.file, line, message.reason);
      return;
    }
    if (this.#isSpelled10 === 0 && isSpelledIn10(clean)) this.#isSpelled10 = line;
    if (this.#isSpelledLater === 0 && isSpelledLater(clean)) this.#isSpelledLater = line;
    if (this.#unprinted === 0 && hasUnprintedMask(clean)) this.#unprinted = line;
    const parsed = parseFlow(clean, { file: this.file, line }, this.#options);
    const known = clean === text ? this.#learn(text, start, end, parsed) : null;
    if (known === true) {
      const template = this.#tree.find(start, this.#columns.values, this.#columns.valueCount);
      if (template === null)
        throw new Error(`${this.file}:${line}: does not fit the template that was made of it`);
      this.#add(template, start, line);
      return;
    }
    this.#note(parsed);
    if (parsed.flow === null) return;
    known?.push(this.count);
    this.#columns.add(-1 - this.#odd.length, start, line);
    if (this.#odd.length < MAX_KEPT) this.#odd.push(parsed.flow);
  }

  #readHeader(text: string, line: number): void {
    this.headers++;
    const version = versionOfHeader(text);
    if (this.#version === null) {
      this.#version = version;
      this.#versionLine = line;
    } else if (this.#version !== version) {
      const first = `${this.#version === "OpenFlow10" ? "" : "not "}of OpenFlow 1.0`;
      const before = `line ${this.#versionLine}, which is ${first}`;
      const message = `the version of this reply differs from that of ${before}; give one dump`;
      if (this.#version === "OpenFlow10" || version === "OpenFlow10") {
        this.problems.push({ file: this.file, line, column: 1, level: "error", message });
        this.errorCount++;
      }
    }
  }

  /** Flows that were read by themselves become rows of a template that was made since. */
  #take(flows: readonly number[], template: LineTemplate): void {
    const columns = this.#columns;
    for (const index of flows) {
      const start = columns.startOf(index);
      if (this.#tree.find(start, columns.values, columns.valueCount) !== template) continue;
      columns.change(index, template.id);
      columns.endRow(template.rowWords, start);
    }
  }

  /** Keeps the problems of a line that is read by itself. */
  #note({ flow, problems }: ParsedFlow): void {
    const isSkipped = flow === null && this.#options.lenient === true;
    for (const problem of problems) {
      const level = isSkipped ? "warning" : problem.level;
      if (this.problems.length < MAX_PROBLEMS) this.problems.push({ ...problem, level });
      if (level === "error") this.errorCount++;
    }
    if (isSkipped) this.skipped++;
  }

  /**
   * Puts the template of a line into the tree. When the line is better read by itself, gives the flows that
   * look like it, among which it belongs, or null where that does not matter.
   */
  #learn(
    text: string,
    start: number,
    end: number,
    { flow, problems, values }: ParsedFlow,
  ): true | number[] | null {
    if (flow === null || problems.length > 0) return null;
    if (end - start > MAX_LINE_BYTES || this.templates.length === MAX_TEMPLATES) return null;
    const bytes = this.#bytes.subarray(start, end);
    // Places in the bytes are places in the text only where each character is a byte.
    if (!bytes.every(byte => byte > 0 && byte < NUMBER_BASE)) return null;
    const numbers = numbersIn(bytes, 0, bytes.length);
    const alike = this.#alike(kindOf(bytes, numbers));
    if (alike.length + 1 !== (this.#options.learnedAt ?? LEARNED_AT)) return alike;
    const meanings = meaningsOf({ text, numbers, flow, values }, other => {
      const read = parseFlow(other, flow.source, this.#options);
      return read.problems.length > 0 ? null : read.flow;
    });
    const slots: Slot[] = [];
    const filled: Filled[] = [];
    let rowWords = 0;
    const kept = numbers.filter((_, index) => meanings[index]!.type !== "template");
    for (const [number, { start: place }] of kept.entries()) {
      const meaning = meanings[numbers.findIndex(other => other.start === place)]!;
      if (meaning.type !== "value") continue;
      const { leaf, limit, mask } = meaning;
      const words = meaning.bits > 32 ? 2 : 1;
      slots.push({ leaf, at: rowWords, words });
      filled.push({ number, words, limit, mask });
      rowWords += words;
    }
    if (rowWords > MAX_ROW_WORDS) return alike;
    const template: LineTemplate = { id: this.templates.length, model: flow, slots, rowWords };
    this.templates.push(template);
    this.#tree.add(symbolsOf(bytes, kept), template, filled);
    this.#take(alike.splice(0), template);
    return true;
  }

  /** Flows whose lines are of a kind, and were read by themselves. */
  #alike(kind: number): number[] {
    let alike = this.#seen.get(kind);
    if (alike === undefined) {
      if (this.#seen.size === SEEN_KINDS) this.#seen.clear();
      alike = [];
      this.#seen.set(kind, alike);
    }
    return alike;
  }
}

/** What a line looks like without its numbers, as one number other than 0 (FNV-1a). */
function kindOf(bytes: Uint8Array, numbers: readonly FoundNumber[]): number {
  let kind = 0x811c9dc5;
  let from = 0;
  for (const { start, end } of [...numbers, { start: bytes.length, end: 0 }]) {
    for (let at = from; at < start; at++) kind = Math.imul(kind ^ bytes[at]!, 0x01000193);
    // Stands for the number; no byte of a flow is one.
    kind = Math.imul(kind ^ NUMBER_BASE, 0x01000193);
    from = end;
  }
  return kind | 0 || 1;
}

/** A line with numbers in it. */
function symbolsOf(bytes: Uint8Array, numbers: readonly FoundNumber[]): number[] {
  const symbols: number[] = [];
  let from = 0;
  for (const { kind, start, end } of numbers) {
    symbols.push(...bytes.subarray(from, start), NUMBER_BASE + kind);
    from = end;
  }
  return [...symbols, ...bytes.subarray(from)];
}

/** How a text is read once it is known where it comes from. */
function readingOptions(options: ColumnOptions, isPrinted: boolean): ColumnOptions {
  if (isPrinted) return { ...options, isPrinted, version: null };
  const { asked } = options;
  return asked == null ? { ...options, version: "OpenFlow13" } : { ...options, protocol: asked };
}
