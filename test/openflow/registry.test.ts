/**
 * The registry of fields and the tables that must follow it. A field that the registry has and the order of reading lacks
 * would vanish from every match without a word: `ip,field=7` would be read as `ip`.
 */
import { FIELDS, KEY, KEY_WORDS, parseFlow } from "../../src/openflow/index.ts";
import { assert, suite } from "../harness.ts";
import { matchOf } from "./field-samples.ts";

const test = suite("openflow: the registry of fields");

/** Bits of the key that a match compares, by word. */
function masksOf(match: string): Uint32Array {
  const { flow, problems } = parseFlow(`${match} actions=drop`, { file: "match", line: 1 });
  assert.ok(flow !== null, `${match}: ${problems.map(({ message }) => message).join("; ")}`);
  const masks = new Uint32Array(KEY_WORDS);
  for (const { field, mask } of flow!.match) {
    const { word, shift, bits } = field.place!;
    const last = word + Math.ceil(bits / 32) - 1;
    for (let at = last, left = mask << BigInt(shift); at >= word; at--, left >>= 32n)
      masks[at] = masks[at]! | Number(left & 0xffffffffn);
  }
  return masks;
}

for (const field of FIELDS) {
  if (field.place === null) continue;
  test(`a match on ${field.name} is kept`, () => {
    const { word, shift, bits } = field.place!;
    const masks = masksOf(matchOf(field));
    const last = word + Math.ceil(bits / 32) - 1;
    const own = bits >= 32 ? 0xffffffff : (2 ** bits - 1) * 2 ** shift;
    assert.ok((masks[last]! & own) !== 0, `${matchOf(field)} does not compare word ${last}`);
  });
}

test("places of fields lie within the key", () => {
  const last = Math.max(...Object.values(KEY));
  assert.ok(last < KEY_WORDS);
  for (const { name, place } of FIELDS) {
    if (place === null) continue;
    const end = place.word + Math.ceil((place.shift + place.bits) / 32);
    assert.ok(end <= KEY_WORDS, `${name} ends at word ${end} of ${KEY_WORDS}`);
  }
});

test.run();
