/**
 * Many flows at a million a second and more: a dump read into columns. The lines of a dump are few *templates* filled with
 * many values (an address, a label, a port), so a line is compared with the templates that are known, all at once
 * (template-tree.ts), and the values are taken out of its numbers. What a template means is never decided here: one of its lines
 * goes through `parseFlow`, and a number is believed to be a value of the flow only after the same line with other numbers
 * was parsed too and they turned up as just these values (probe.ts). A line that fits nothing goes through `parseFlow`
 * by itself, and so do the first of its kind: a template is learned when they are several, which then become rows of it. So the
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
import { type FoundNumber, numbersIn } from "./numbers.ts";
import { filledFlow } from "./template-flow.ts";
import { type Filled, NUMBER_BASE, TemplateTrie } from "./template-trie.ts";

/** FlowColumns that are alike but for the values in their slots. */
export interface LineTemplate {
  readonly id: number;
  /** The first flow of the template. */
  readonly model: Flow;
  readonly slots: readonly Slot[];
  readonly rowWords: number;
}

export interface ColumnOptions extends ParseOptions {
  /** Lines of a kind that make it worth a template, at least 2; 8 by default, as to learn one takes as long as to read some. */
  readonly learnedAt?: number;
  /**
   * Find out whether a switch printed the text, and read it so (`isPrinted`). A text that none printed is read as a file
   * for add-flows, by the version `asked`; OpenFlow 1.3 decides what its words mean when that is null.
   */
  readonly isDetected?: boolean;
  readonly asked?: Protocol | null;
}

/** Templates of a dump; a line that would make one more is read by itself. */
const MAX_TEMPLATES = 4096;
/** Problems that are kept; further ones are counted. */
const MAX_PROBLEMS = 1000;
/** A template with longer rows is read line by line, and so is a longer line. */
const MAX_ROW_WORDS = 256;
const MAX_LINE_BYTES = 4096;
/** FlowColumns without a template that are kept; others are read from their lines again: a flow takes some 3 KB. */
const MAX_KEPT = 16_384;
/** Kinds of lines that are remembered while they have no template. */
const SEEN_KINDS = 4096;
const LEARNED_AT = 8;
const NEWLINE = 10;
const RETURN = 13;

/** FlowColumns of one dump, in the order of their lines. */
export class FlowColumns {
  readonly file: string;
  readonly problems: TextProblem[] = [];
  /** Problems of level error (leniently there are none), also those that were not kept. */
  errorCount = 0;
  /** FlowColumns that `lenient` left out: nothing built on the others may say "equal". */
  skipped = 0;
  count = 0;
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
  /** Of each flow: its template, or -1 - index into #odd, which may end before that; the first of its words; its line; where that begins. */
  #templateOf = new Int32Array(1024);
  #rowAt = new Uint32Array(1024);
  #lineOf = new Uint32Array(1024);
  #startOf = new Float64Array(1024);
  #values = new Uint32Array(4096);
  #valueCount = 0;
  readonly #odd: Flow[] = [];
  /** By kind of line, the flows of that kind that were read by themselves. */
  readonly #seen = new Map<number, number[]>();
  readonly #tree: TemplateTrie<LineTemplate>;

  constructor(bytes: Uint8Array, file: string, options: ColumnOptions = {}) {
    this.#bytes = bytes;
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

  /** The template of a flow, null for one that was read by itself. */
  templateOf(index: number): LineTemplate | null {
    const template = this.#templateOf[index]!;
    return template < 0 ? null : this.templates[template]!;
  }

  /** Word `at` of a flow's row. */
  valueAt(index: number, at: number): number {
    return this.#values[this.#rowAt[index]! + at]!;
  }

  /** Some words of the rows of some flows, by word and then in the order of the flows. */
  valuesAt(flows: Int32Array, words: readonly number[]): Uint32Array[] {
    const values = this.#values;
    const columns = words.map(() => new Uint32Array(flows.length));
    for (let i = 0; i < flows.length; i++) {
      const row = this.#rowAt[flows[i]!]!;
      for (let k = 0; k < words.length; k++) columns[k]![i] = values[row + words[k]!]!;
    }
    return columns;
  }

  /** The line that a flow stands in, from 1 on. */
  lineOf(index: number): number {
    return this.#lineOf[index]!;
  }

  /** A flow, read anew from its line. */
  flow(index: number): Flow {
    const template = this.#templateOf[index]!;
    const kept = template < 0 ? this.#odd[-1 - template] : undefined;
    if (kept !== undefined) return kept;
    const start = this.#startOf[index]!;
    const text = textOf(this.#bytes, start, endOfText(this.#bytes, start, endOfLine(this.#bytes, start)));
    const read = parseFlow(template < 0 ? flowOfLine(text)! : text, this.#source(index), this.#options);
    if (read.flow === null) throw new Error(`${this.file}:${this.lineOf(index)}: was read before`);
    return read.flow;
  }

  /**
   * The same for whoever runs or prints it, made of template and values: faster, with spans of another line. `valueAt` gives
   * other values.
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

  /** Leaves out all flows but those that `isKept` says; gives how many went. */
  keep(isKept: (index: number) => boolean): number {
    let to = 0;
    for (let from = 0; from < this.count; from++) {
      if (!isKept(from)) continue;
      this.#templateOf[to] = this.#templateOf[from]!;
      this.#rowAt[to] = this.#rowAt[from]!;
      this.#lineOf[to] = this.#lineOf[from]!;
      this.#startOf[to++] = this.#startOf[from]!;
    }
    const gone = this.count - to;
    this.count = to;
    return gone;
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

  /** The text of a flow, as its line says it. */
  textOf(index: number): string {
    const start = this.#startOf[index]!;
    const text = textOf(this.#bytes, start, endOfText(this.#bytes, start, endOfLine(this.#bytes, start)));
    return flowOfLine(text) ?? text;
  }

  #source(index: number): { file: string; line: number } {
    return { file: this.file, line: this.lineOf(index) };
  }

  #readAll(): void {
    const bytes = this.#bytes;
    const tree = this.#tree;
    let line = 0;
    for (let start = 0; start < bytes.length; ) {
      line++;
      const template = tree.find(start, this.#values, this.#valueCount);
      if (template === null) {
        const end = endOfLine(bytes, start);
        this.#readUnknown(start, endOfText(bytes, start, end), line);
        start = end + 1;
      } else {
        this.#add(template, start, line);
        start = tree.behind + (bytes[tree.behind] === RETURN ? 2 : 1);
      }
    }
  }

  /** Adds the row that the tree left behind the last one. */
  #add(template: LineTemplate, start: number, line: number): void {
    this.#addLine(template.id, start, line);
    this.#fill(template, start);
  }

  #fill(template: LineTemplate, start: number): void {
    this.#valueCount += template.rowWords;
    if (this.#values.length - this.#valueCount < MAX_ROW_WORDS) {
      const room = this.#expected(start, this.#valueCount) + MAX_ROW_WORDS;
      this.#values = grown(this.#values, new Uint32Array(room));
    }
  }

  #addLine(template: number, start: number, line: number): void {
    const index = this.count++;
    if (index === this.#templateOf.length) this.#grow(start);
    this.#templateOf[index] = template;
    this.#rowAt[index] = this.#valueCount;
    this.#lineOf[index] = line;
    this.#startOf[index] = start;
  }

  #grow(start: number): void {
    const room = this.#expected(start, this.count);
    this.#templateOf = grown(this.#templateOf, new Int32Array(room));
    this.#rowAt = grown(this.#rowAt, new Uint32Array(room));
    this.#lineOf = grown(this.#lineOf, new Uint32Array(room));
    this.#startOf = grown(this.#startOf, new Float64Array(room));
  }

  /**
   * How many there will be at the end of the dump when there are `count` at `place`, and some to spare. Memory that is
   * not written to costs nothing; copying it again and again does.
   */
  #expected(place: number, count: number): number {
    const rest = (this.#bytes.length - place) / Math.max(1, place);
    return Math.ceil(count * Math.max(1.25, 1 + rest * 1.05));
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
      const template = this.#tree.find(start, this.#values, this.#valueCount);
      if (template === null)
        throw new Error(`${this.file}:${line}: does not fit the template that was made of it`);
      this.#add(template, start, line);
      return;
    }
    this.#note(parsed);
    if (parsed.flow === null) return;
    known?.push(this.count);
    this.#addLine(-1 - this.#odd.length, start, line);
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
      const message = `this reply has another version than that of line ${this.#versionLine}, which is ${first}: give one dump`;
      if (this.#version === "OpenFlow10" || version === "OpenFlow10") {
        this.problems.push({ file: this.file, line, column: 1, level: "error", message });
        this.errorCount++;
      }
    }
  }

  /** FlowColumns that were read by themselves become rows of a template that was made since. */
  #take(flows: readonly number[], template: LineTemplate): void {
    for (const index of flows) {
      if (this.#tree.find(this.#startOf[index]!, this.#values, this.#valueCount) !== template) continue;
      this.#templateOf[index] = template.id;
      this.#rowAt[index] = this.#valueCount;
      this.#fill(template, this.#startOf[index]!);
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
   * Puts the template of a line into the tree. When the line is better read by itself, gives the flows that look like it,
   * among which it belongs, or null where that does not matter.
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

  /** FlowColumns whose lines are of a kind, and were read by themselves. */
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

function* linesOfBytes(bytes: Uint8Array): Generator<string> {
  for (let start = 0; start < bytes.length; ) {
    const end = endOfLine(bytes, start);
    yield textOf(bytes, start, endOfText(bytes, start, end));
    start = end + 1;
  }
}

const decoder = new TextDecoder();

function textOf(bytes: Uint8Array, start: number, end: number): string {
  return decoder.decode(bytes.subarray(start, end));
}

function endOfLine(bytes: Uint8Array, start: number): number {
  const newline = bytes.indexOf(NEWLINE, start);
  return newline < 0 ? bytes.length : newline;
}

/** The end of a line without a carriage return. */
function endOfText(bytes: Uint8Array, start: number, end: number): number {
  return end > start && bytes[end - 1] === RETURN ? end - 1 : end;
}

function grown<T extends Int32Array | Uint32Array | Float64Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
