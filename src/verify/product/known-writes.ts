/**
 * Applies the writes of steps to known bits. `lasting` masks bits that no write changes on the way to a
 * goal.
 */
import { KEY, type Step } from "../../openflow/index.ts";
import { eachPiece, type Write, writesOf } from "../symbolic/writes.ts";
import type { KnownBits } from "./known-bits.ts";

export function write(
  cube: KnownBits,
  writes: readonly Write[],
  isSure: boolean,
  lasting: Uint32Array,
): void {
  for (const { word, mask, value } of writes) {
    // A packet whose lasting bits are overwritten reaches no goal.
    const open = (mask & ~lasting[word]!) >>> 0;
    if (isSure && value !== null) cube.set(word, open, value);
    else if (value === null) cube.forget(word, open);
    else cube.forget(word, open & (~cube.known[word]! | (cube.value[word]! ^ value)));
  }
}

export function move(cube: KnownBits, step: Extract<Step, { do: "move" }>, lasting: Uint32Array): void {
  const { from, to } = step;
  const isSure = from.field.prerequisite === "none" && to.field.prerequisite === "none";
  const bits = new Map<number, { isKnown: boolean; isSet: boolean }>();
  eachPiece(from.field, from.start, from.bits, (word, shift, count, at) => {
    for (let i = 0; i < count; i++) {
      const bit = 2 ** (shift + i);
      bits.set(at + i, {
        isKnown: (cube.known[word]! & bit) !== 0,
        isSet: (cube.value[word]! & bit) !== 0,
      });
    }
  });
  const writes = writesOf(step);
  write(cube, writes, false, lasting);
  if (!isSure || writes.some(({ word }) => word === KEY.inPort || word === KEY.vlanTci)) return;
  eachPiece(to.field, to.start, to.bits, (word, shift, count, at) => {
    for (let i = 0; i < count; i++) {
      const bit = 2 ** (shift + i);
      const slotValues = bits.get(at + i);
      if (slotValues?.isKnown && (lasting[word]! & bit) === 0)
        cube.set(word, bit, slotValues.isSet ? bit : 0);
    }
  });
}
