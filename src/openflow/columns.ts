/**
 * Many flows at a million a second: a dump read into columns. The lines of a dump are few *shapes* filled with many
 * values (an address, a label, a port), so a line is compared with the shapes seen last, byte by byte, and the values
 * are taken out of its holes. What a shape means is never decided here: its first line goes through `parseFlow`, and a
 * hole is believed to be a value of the flow only after the same line with other numbers in the hole was parsed too and
 * differed in that value alone (probe.ts). A line that fits nothing goes through `parseFlow` by itself. So the columns
 * are fast without being a second grammar.
 */
import type { Flow, TextProblem } from "./ast.ts";
import { type FoundHole, type Hole, high, holesOf, low, readHole } from "./holes.ts";
import { flowOfLine, isReplyHeader, parseFlow } from "./parse.ts";
import { type Meaning, meaningsOf, type Slot } from "./probe.ts";
import type { ParseOptions } from "./reading.ts";

/** Flows that are alike but for the values in their slots. */
export interface Shape {
  readonly id: number;
  /** The first flow of the shape. */
  readonly model: Flow;
  readonly slots: readonly Slot[];
  readonly rowWords: number;
}

/** Shapes tried on a line before it is looked up by its text. */
const RECENT = 8;
/** Shapes of a dump; a line that would make one more is read by itself. */
const MAX_SHAPES = 4096;
/** Problems that are kept; further ones are counted. */
const MAX_PROBLEMS = 1000;
/** A shape with longer rows is read line by line. */
const MAX_ROW_WORDS = 256;
const NEWLINE = 10;
const RETURN = 13;

/** A shape's text: literals with a hole between each two. */
interface Template {
  readonly literals: readonly Uint8Array[];
  readonly kinds: readonly Hole[];
  /** Words of the row that a hole fills: 0 when its value means nothing to the flow (a counter). */
  readonly words: Uint8Array;
  /** The greatest value of a hole of one word, and the bits of it that count. */
  readonly limits: Float64Array;
  readonly masks: Uint32Array;
  readonly shape: Shape;
}

/** Templates whose text is the same but for all of its numbers; which of them are holes is the same too. */
interface Family {
  readonly isHole: readonly boolean[];
  readonly templates: Map<string, Template>;
}

/** Flows of one dump, in the order of their lines. */
export class Flows {
  readonly file: string;
  readonly problems: TextProblem[] = [];
  /** Problems of level error (leniently there are none), also those that were not kept. */
  errorCount = 0;
  /** Flows that `lenient` left out: nothing built on the others may say "equal". */
  skipped = 0;
  count = 0;
  /** Reply headers: a dump with one and without a flow is a table that drops everything. */
  headers = 0;
  readonly shapes: Shape[] = [];
  readonly #bytes: Uint8Array;
  readonly #options: ParseOptions;
  /** Of each flow: its shape, or -1 - index into #odd; the first of its words; its line; where that begins. */
  #shapeOf = new Int32Array(1024);
  #rowAt = new Uint32Array(1024);
  #lineOf = new Uint32Array(1024);
  #startOf = new Float64Array(1024);
  #values = new Uint32Array(4096);
  #valueCount = 0;
  readonly #odd: Flow[] = [];
  readonly #families = new Map<string, Family>();
  readonly #recent: Template[] = [];

  constructor(bytes: Uint8Array, file: string, options: ParseOptions = {}) {
    this.#bytes = bytes;
    this.file = file;
    this.#options = options;
    this.#readAll();
  }

  /** The shape of a flow, null for one that was read by itself. */
  shapeOf(index: number): Shape | null {
    const shape = this.#shapeOf[index]!;
    return shape < 0 ? null : this.shapes[shape]!;
  }

  /** Word `at` of a flow's row. */
  valueAt(index: number, at: number): number {
    return this.#values[this.#rowAt[index]! + at]!;
  }

  /** The line that a flow stands in, from 1 on. */
  lineOf(index: number): number {
    return this.#lineOf[index]!;
  }

  /** A flow, read anew from its line. */
  flow(index: number): Flow {
    const shape = this.#shapeOf[index]!;
    if (shape < 0) return this.#odd[-1 - shape]!;
    const start = this.#startOf[index]!;
    const read = parseFlow(
      textOf(this.#bytes, start, endOfText(this.#bytes, start, endOfLine(this.#bytes, start))),
      this.#source(index),
      this.#options,
    );
    if (read.flow === null) throw new Error(`${this.file}:${this.lineOf(index)}: was read before`);
    return read.flow;
  }

  #source(index: number): { file: string; line: number } {
    return { file: this.file, line: this.lineOf(index) };
  }

  #readAll(): void {
    const bytes = this.#bytes;
    let line = 0;
    for (let start = 0; start < bytes.length; ) {
      line++;
      const end = endOfLine(bytes, start);
      const last = endOfText(bytes, start, end);
      if (!this.#readKnown(start, last, line)) this.#readUnknown(start, last, line);
      start = end + 1;
    }
  }

  /** Reads a line that has one of the shapes seen last. */
  #readKnown(start: number, end: number, line: number): boolean {
    const recent = this.#recent;
    for (let index = 0; index < recent.length; index++) {
      const template = recent[index]!;
      if (!this.#fits(template, start, end)) continue;
      this.#add(template, start, line);
      if (index > 0) this.#remember(template, index);
      return true;
    }
    return false;
  }

  /** Puts a template in front of those that are tried, in place of the one at `index`. */
  #remember(template: Template, index: number): void {
    const recent = this.#recent;
    for (let place = Math.min(index, RECENT - 1); place > 0; place--) recent[place] = recent[place - 1]!;
    recent[0] = template;
  }

  /** Whether a line is of this shape. If so, its values stand behind the last row. */
  #fits(template: Template, start: number, end: number): boolean {
    const { literals, kinds, words, limits, masks } = template;
    const bytes = this.#bytes;
    let place = start;
    let to = this.#valueCount;
    for (let index = 0; ; index++) {
      const literal = literals[index]!;
      const length = literal.length;
      if (end - place < length) return false;
      for (let at = 0; at < length; at++) if (bytes[place + at] !== literal[at]) return false;
      place += length;
      if (index === kinds.length) return place === end;
      place = readHole(kinds[index]!, bytes, place, end);
      if (place < 0) return false;
      if (words[index] === 1) {
        if (high !== 0 || low > limits[index]!) return false;
        this.#values[to++] = low & masks[index]!;
      } else if (words[index] === 2) {
        if (high * 0x1_0000_0000 + low > limits[index]!) return false;
        this.#values[to++] = high;
        this.#values[to++] = low;
      }
    }
  }

  /** Adds the row that `#fits` left behind the last one. */
  #add({ shape }: Template, start: number, line: number): void {
    this.#addLine(shape.id, start, line);
    this.#valueCount += shape.rowWords;
    this.#makeRoom();
  }

  #addLine(shape: number, start: number, line: number): void {
    const index = this.count++;
    if (index === this.#shapeOf.length) this.#double();
    this.#shapeOf[index] = shape;
    this.#rowAt[index] = this.#valueCount;
    this.#lineOf[index] = line;
    this.#startOf[index] = start;
  }

  #double(): void {
    this.#shapeOf = grown(this.#shapeOf, new Int32Array(this.count * 2));
    this.#rowAt = grown(this.#rowAt, new Uint32Array(this.count * 2));
    this.#lineOf = grown(this.#lineOf, new Uint32Array(this.count * 2));
    this.#startOf = grown(this.#startOf, new Float64Array(this.count * 2));
  }

  /** A row can always be written before it is known whether it fits. */
  #makeRoom(): void {
    if (this.#values.length - this.#valueCount > MAX_ROW_WORDS) return;
    this.#values = grown(this.#values, new Uint32Array(this.#values.length * 2));
  }

  #readUnknown(start: number, end: number, line: number): void {
    const text = textOf(this.#bytes, start, end);
    if (isReplyHeader(text)) this.headers++;
    const clean = flowOfLine(text);
    if (clean === null) return;
    const template = clean === text ? this.#templateOf(text, start, end, line) : null;
    if (template !== null && this.#fits(template, start, end)) {
      this.#remember(template, this.#recent.length);
      this.#add(template, start, line);
      return;
    }
    const flow = this.#parse(clean, line);
    if (flow === null) return;
    this.#addLine(-1 - this.#odd.length, start, line);
    this.#odd.push(flow);
  }

  /** Parses a line by itself; its problems are kept. */
  #parse(text: string, line: number): Flow | null {
    const { flow, problems } = parseFlow(text, { file: this.file, line }, this.#options);
    const isSkipped = flow === null && this.#options.lenient === true;
    for (const problem of problems) {
      const level = isSkipped ? "warning" : problem.level;
      if (this.problems.length < MAX_PROBLEMS) this.problems.push({ ...problem, level });
      if (level === "error") this.errorCount++;
    }
    if (isSkipped) this.skipped++;
    return flow;
  }

  /** The template for a line, made if need be; null when the line is better read by itself. */
  #templateOf(text: string, start: number, end: number, line: number): Template | null {
    // Places in the bytes are places in the text only where each character is a byte.
    if (text.length !== end - start) return null;
    const holes = holesOf(this.#bytes, start, end).map(hole => ({
      ...hole,
      start: hole.start - start,
      end: hole.end - start,
    }));
    const name = pieces(text, holes).join("\0") + holes.map(({ kind }) => kind).join("");
    const family = this.#families.get(name) ?? this.#newFamily(name, text, holes, line);
    if (family === null) return null;
    const inside = holes
      .filter((_, index) => !family.isHole[index])
      .map(hole => text.slice(hole.start, hole.end));
    const known = family.templates.get(inside.join("\0"));
    if (known !== undefined) return known;
    if (this.shapes.length === MAX_SHAPES) return null;
    const template = this.#newTemplate(text, holes, family.isHole, line);
    if (template !== null) family.templates.set(inside.join("\0"), template);
    return template;
  }

  #newFamily(name: string, text: string, holes: readonly FoundHole[], line: number): Family | null {
    const asked = this.#ask(text, holes, line);
    if (asked === null) return null;
    const family = { isHole: asked.meanings.map(({ type }) => type !== "shape"), templates: new Map() };
    this.#families.set(name, family);
    return family;
  }

  /** The line's flow, and what its numbers mean to it; null when there is anything to say about the line. */
  #ask(text: string, holes: readonly FoundHole[], line: number): { flow: Flow; meanings: Meaning[] } | null {
    const read = (other: string): Flow | null => {
      const { flow, problems } = parseFlow(other, { file: this.file, line }, this.#options);
      return problems.length > 0 ? null : flow;
    };
    const flow = read(text);
    return flow === null ? null : { flow, meanings: meaningsOf(text, holes, flow, read) };
  }

  #newTemplate(
    text: string,
    found: readonly FoundHole[],
    isHole: readonly boolean[],
    line: number,
  ): Template | null {
    const asked = this.#ask(text, found, line);
    if (asked === null) return null;
    const { flow: model, meanings } = asked;
    if (isHole.some((yes, index) => yes && meanings[index]!.type === "shape")) return null;
    const holes = found.filter((_, index) => isHole[index]);
    const kept = meanings.filter((_, index) => isHole[index]);
    let rowWords = 0;
    const slots: Slot[] = [];
    const words = kept.map(meaning => {
      if (meaning.type !== "value") return 0;
      const count = meaning.bits > 32 ? 2 : 1;
      slots.push({ leaf: meaning.leaf, at: rowWords, words: count });
      rowWords += count;
      return count;
    });
    if (rowWords > MAX_ROW_WORDS) return null;
    const shape = { id: this.shapes.length, model, slots, rowWords };
    this.shapes.push(shape);
    return {
      literals: pieces(text, holes).map(piece => encoder.encode(piece)),
      kinds: holes.map(({ kind }) => kind),
      words: Uint8Array.from(words),
      limits: Float64Array.from(kept, meaning => (meaning.type === "value" ? meaning.limit : 0)),
      masks: Uint32Array.from(kept, meaning =>
        meaning.type === "value" ? Number(meaning.mask & 0xffffffffn) : 0,
      ),
      shape,
    };
  }
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

function textOf(bytes: Uint8Array, start: number, end: number): string {
  return decoder.decode(bytes.subarray(start, end));
}

/** The text around the holes, one piece more than there are holes. */
function pieces(text: string, holes: readonly FoundHole[]): string[] {
  const starts = [0, ...holes.map(({ end }) => end)];
  return starts.map((start, index) => text.slice(start, holes[index]?.start ?? text.length));
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
