/**
 * Texts with numbers found in a tree: against trying each text by itself, with regular expressions, on texts
 * of few bytes, so that they share beginnings and that a digit of one stands where another has a number.
 */
import { NUMBER, type NumberKind } from "../../../src/openflow/columnar/numbers.ts";
import { type Filled, NUMBER_BASE, TemplateTrie } from "../../../src/openflow/columnar/template-trie.ts";
import { assert, seed, suite } from "../../harness.ts";
import { type Rng, rng } from "../../model/random.ts";

const test = suite("openflow/template-tree");
const encoder = new TextEncoder();
const MAX_VALUE = 50n;

const KINDS: readonly (readonly [kind: NumberKind, pattern: string])[] = [
  [NUMBER.decimal, "(0|[1-9][0-9]*)"],
  [NUMBER.hexadecimal, "(0x[0-9a-f]+)"],
];
const LITERALS = [
  "",
  "1",
  "12",
  "0x1",
  ",",
  ",output:",
  ",output:1 as long as can be",
  "->eth_src,",
  "->eth_dst,",
];

interface Text {
  readonly symbols: readonly number[];
  readonly pattern: RegExp;
}

function randomText(r: Rng): Text {
  const symbols: number[] = [];
  let pattern = "";
  for (let left = 1 + r.below(5); left > 0; left--) {
    // Around numbers stands something that is none, as in a flow: a number is read to its last digit.
    const isNumber = r.chance(70);
    const literal = `,${r.pick(LITERALS)}=${isNumber ? "" : r.pick(["1", "12", "0x1", "0"])}`;
    symbols.push(...encoder.encode(literal));
    pattern += literal;
    if (!isNumber) continue;
    const [kind, source] = r.pick(KINDS);
    symbols.push(NUMBER_BASE + kind);
    pattern += source;
  }
  return { symbols, pattern: new RegExp(`^${pattern}$`) };
}

/** A line that some text may fit, of numbers that are sometimes too great. */
function lineOf(r: Rng, { symbols }: Text): string {
  return symbols
    .map(symbol => {
      if (symbol < NUMBER_BASE) return String.fromCharCode(symbol);
      const number = r.below(60);
      return symbol === NUMBER_BASE + NUMBER.hexadecimal ? `0x${number.toString(16)}` : String(number);
    })
    .join("");
}

/** The rows that a line may have, by the texts that it fits. */
function expectedRows(texts: readonly Text[], line: string): Map<string, string> {
  const rows = new Map<string, string>();
  for (const { symbols, pattern } of texts) {
    const values = pattern.exec(line)?.slice(1).map(Number);
    if (values?.every(value => value <= MAX_VALUE)) rows.set(String(symbols), values.join(" "));
  }
  return rows;
}

test("finds what trying each text by itself finds", () => {
  const start = seed();
  process.stdout.write(`\n  SEED=${start}\n`);
  const row = new Uint32Array(16);
  let [found, ambiguous] = [0, 0];
  for (let round = 0; round < 600; round++) {
    const r = rng((start + round) >>> 0);
    const texts = Array.from({ length: 1 + r.below(12) }, () => randomText(r));
    const lines = Array.from({ length: 40 }, () => lineOf(r, r.pick(texts)) + (r.chance(10) ? "=" : ""));
    const end = r.pick(["\n", "\r\n"]);
    const tree = new TemplateTrie<Text>(encoder.encode(lines.join(end)));
    for (const text of texts) {
      const numbers = text.symbols.filter(symbol => symbol >= NUMBER_BASE);
      const filled = numbers.map((_, number): Filled => ({ number, words: 1, limit: MAX_VALUE, mask: 255n }));
      tree.add(text.symbols, text, filled);
    }
    let place = 0;
    for (const line of lines) {
      const text = tree.find(place, row, 1);
      const expected = expectedRows(texts, line);
      const where = `SEED=${start + round}: ${line}`;
      assert.is(text !== null, expected.size > 0, where);
      if (text !== null) {
        const count = text.symbols.filter(symbol => symbol >= NUMBER_BASE).length;
        assert.is([...row.slice(1, 1 + count)].join(" "), expected.get(String(text.symbols)), where);
        assert.is(tree.behind, place + line.length, where);
        found++;
        if (expected.size > 1) ambiguous++;
      }
      place += line.length + end.length;
    }
  }
  assert.ok(found > 6000 && ambiguous > 10, `${found} found, ${ambiguous} of them in several ways`);
});

test.run();
