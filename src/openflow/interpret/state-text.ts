/**
 * State beside a frame as text, and back: `tun_id=0x64`, `pkt_mark=0x1`. Fields are those of the registry;
 * registers are told one by one.
 */
import { FIELDS, type Field, wordsIn } from "../fields.ts";
import { KEY_WORDS } from "../flow-key.ts";
import { formatValue, ones } from "../values.ts";

/** A field and the value that it has, as they stand in a match. */
export interface StateField {
  readonly name: string;
  readonly value: string;
}

/** The fields of some words of the key that are not zero. `words` and `values` go together. */
export function stateFields(words: readonly number[], values: ArrayLike<number>): StateField[] {
  const key = new Uint32Array(KEY_WORDS);
  for (const [index, word] of words.entries()) key[word] = values[index]!;
  const found: StateField[] = [];
  for (const field of FIELDS) {
    if (field.place === null || /^x+reg|_oxm$/.test(field.name)) continue;
    if (!wordsIn(field).every(word => words.includes(word))) continue;
    const value = valueIn(key, field);
    if (value === 0n) continue;
    found.push({ name: field.name, value: formatValue(field, { value, mask: ones(field.bits) }) });
  }
  return found;
}

/** The value of a field in a key. */
export function valueIn(key: Uint32Array, field: Field): bigint {
  const { shift, bits } = field.place!;
  const all = wordsIn(field).reduce((sum, word) => (sum << 32n) | BigInt(key[word]!), 0n);
  return (all >> BigInt(shift)) & ones(bits);
}
