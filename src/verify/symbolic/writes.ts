/**
 * Over-approximates the writes of a step to the flow key, for any packet, from the step alone. Used to
 * exclude values that a packet cannot have, so it must include every possible write.
 */
import { type Field, findField, KEY, KEY_WORDS, type Step, type Subfield } from "../../openflow/index.ts";
import { unreachable } from "../../wire/index.ts";
import type { Template } from "./templates.ts";

/** Bits of a word that a step writes: with a value, or with any value (null). */
export interface Write {
  readonly word: number;
  readonly mask: number;
  readonly value: number | null;
  /**
   * Restricts "any value": the old value minus one, or an address or port translated by connection tracking.
   */
  readonly only?: "one less" | "translated";
}

const FULL = 0xffffffff;
const any = (from: number, to: number = from + 1): Write[] =>
  Array.from({ length: to - from }, (_, i) => ({ word: from + i, mask: FULL, value: null }));

const TRACKED = any(KEY.ctState, KEY.ctPorts + 1);
const UNTRACKED = TRACKED.map(write => ({ ...write, value: 0 }));
const EVERYTHING = any(0, KEY_WORDS);
const TAGS = any(KEY.vlanTci, KEY.mplsLse);
/** The fields behind a label are cleared or extracted again. */
const LABELLED = [...any(KEY.dpHash), ...any(KEY.dlType), ...any(KEY.mplsLse, KEY_WORDS)];
const TRANSLATED: readonly Write[] = [...any(KEY.nwSrc, KEY.ipv6Label), ...any(KEY.tpSrc, KEY.tpDst + 1)].map(
  write => ({ ...write, only: "translated" as const }),
);

/** Unknown steps that write no word of the key. */
const WRITES_NOTHING = /^(dec_nsh_ttl$|nat$|controller\(|push of |output of |bundle of )/;
/** Unknown steps whose text names the fields that they write. */
const NAMES_TARGET = /^(set_field of |move of |pop of |check_pkt_larger$)/;

/** The writes of the step itself, without nested lists, buckets and tables. */
export function writesOf(step: Step, template: Template | null = null, flow = -1): readonly Write[] {
  switch (step.do) {
    case "set":
      return writesOfSet(step, template, flow);
    case "move":
    case "pop":
      return anyOf(step.to);
    case "push_vlan":
    case "pop_vlan":
      return TAGS;
    case "push_mpls":
    case "pop_mpls":
      return LABELLED;
    case "dec_ttl":
      return [{ word: KEY.nwTtl, mask: 0xff, value: null, only: "one less" }];
    case "dec_mpls_ttl":
      return any(KEY.mplsLse);
    case "set_queue":
    case "pop_queue":
      return any(KEY.skbPriority);
    case "output":
    case "controller":
    case "group":
    case "write_actions":
    case "clear_actions":
      return any(KEY.actsetOutput);
    case "untrack":
      return UNTRACKED;
    case "track":
      return step.nat === null ? TRACKED : [...TRACKED, ...TRANSLATED];
    case "effect":
      return writesOfEffect(step);
    case "unknown":
      return writesOfUnknown(step.feature, step.text);
    case "output_field":
    case "output_truncated":
    case "enqueue":
    case "resubmit":
    case "push":
    case "clone":
    case "exit":
    case "nothing":
    case "unroll":
      return [];
    default:
      return unreachable(step);
  }
}

/**
 * The packet itself is unchanged, but tracking fields are cleared, and learned flows may write to later
 * packets.
 */
function writesOfEffect({ effect, name, text }: Extract<Step, { do: "effect" }>): readonly Write[] {
  if (effect === "learns") return targetsIn(text);
  return effect === "tracks" && name !== "meter" ? TRACKED : [];
}

function writesOfUnknown(feature: string, text: string): readonly Write[] {
  if (NAMES_TARGET.test(feature)) return targetsIn(text);
  return WRITES_NOTHING.test(feature) ? [] : EVERYTHING;
}

/** Fields after an arrow; every word if the text cannot be parsed. */
function targetsIn(text: string): readonly Write[] {
  const names = [...text.matchAll(/->\s*(\w+)/g)].map(([, name]) => name!);
  const fields = names.map(findField);
  if (text.includes("result_dst") || fields.includes(undefined)) return EVERYTHING;
  return fields.flatMap(field => (field!.place === null ? [] : anyOf(wholeOf(field!))));
}

const wholeOf = (field: Field): Subfield => ({ field, start: 0, bits: field.bits });

/** A write of any value to some bits of a field. */
function anyOf({ field, start, bits }: Subfield): Write[] {
  if (field.place === null) return [];
  if (isOdd(field)) return any(field.place.word);
  const writes: Write[] = [];
  eachPiece(field, start, bits, (word, shift, count) => {
    writes.push({ word, mask: (maskOf(count) << shift) >>> 0, value: null });
  });
  return writes;
}

/** Writing these fields changes other bits of their word, too: the tag's type, the port's upper half. */
const isOdd = ({ place }: Field): boolean => place!.word === KEY.vlanTci || place!.word === KEY.inPort;

const maskOf = (bits: number): number => (bits >= 32 ? FULL : 2 ** bits - 1);

/** Calls `visit(word, lowest bit, bit count, bit of the value)` for each piece of a field within one word. */
export function eachPiece(
  field: Field,
  start: number,
  bits: number,
  visit: (word: number, shift: number, count: number, valueBit: number) => void,
): void {
  const place = field.place!;
  const last = place.word + (place.bits > 32 ? Math.ceil(place.bits / 32) - 1 : 0);
  const end = Math.min(bits, place.bits - start);
  for (let done = 0; done < end; ) {
    const bit = place.shift + start + done;
    const count = Math.min(end - done, 32 - (bit & 31), 32 - (done & 31));
    visit(last - (bit >>> 5), bit & 31, count, done);
    done += count;
  }
}

function writesOfSet(
  step: Extract<Step, { do: "set" }>,
  template: Template | null,
  flow: number,
): readonly Write[] {
  const { field } = step;
  if (field.place === null) return [];
  if (isOdd(field)) return any(field.place.word);
  const slot = template?.slots.get(step);
  let value: readonly number[] | null = step.value;
  if (slot !== undefined) {
    const at = (word: number): number => template!.flows.valueAt(flow, slot.at + word);
    value = flow < 0 ? null : slot.words === 2 ? [at(1), at(0), 0, 0] : [at(0), 0, 0, 0];
  }
  const writes: Write[] = [];
  eachPiece(field, 0, field.bits, (word, shift, count, bit) => {
    const index = bit >>> 5;
    const part = (words: readonly number[]): number =>
      (((words[index]! >>> (bit & 31)) & maskOf(count)) << shift) >>> 0;
    const mask = part(step.mask);
    if (mask !== 0) writes.push({ word, mask, value: value === null ? null : (part(value) & mask) >>> 0 });
  });
  return writes;
}
