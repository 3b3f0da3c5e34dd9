/**
 * What the connection tracker says, as text and back: `trk,est,ct_mark=0x1`. Flags are those of ct_state in
 * ovs-fields(7), as the option --ct-next of `ofproto/trace` takes them (ovs-vswitchd(8)). Fields behind them
 * give the tracker's other words; nw_src and its kind give the addresses and ports that nat left.
 */
import { type Field, fieldNamed, findField, wordsIn } from "../fields.ts";
import { KEY, KEY_WORDS } from "../flow-key.ts";
import { formatFlags, formatValue, ones, readValue } from "../values.ts";
import { readSubfield, wordsOf, writeMasked, writeSubfield } from "./field-access.ts";
import { valueIn } from "./state-text.ts";
import { CT, type Tracker, type TrackerAnswer, type TrackerRequest } from "./tracker.ts";

const FLAGS = Object.keys(CT) as (keyof typeof CT)[];
/** The fields of an answer beside its flags, in the order of printing. */
const FIELDS: readonly (readonly [name: string, field: Field])[] = [
  "ct_mark",
  "ct_label",
  "ct_nw_proto",
  "ct_nw_src",
  "ct_nw_dst",
  "ct_ipv6_src",
  "ct_ipv6_dst",
  "ct_tp_src",
  "ct_tp_dst",
  "nw_src",
  "nw_dst",
  "ipv6_src",
  "ipv6_dst",
  "tp_src",
  "tp_dst",
].map(name => [name, fieldNamed(name)]);
const STATE = fieldNamed("ct_state");

/** Text for an answer: `new,trk,ct_mark=0x1`. The zone is that of ct, and zeros are left out. */
export function formatTrackerAnswer(answer: TrackerAnswer): string {
  const key = new Uint32Array(KEY_WORDS);
  for (const [word, value] of answer) key[word] = value;
  const state = { value: valueIn(key, STATE), mask: ones(STATE.bits) };
  const shown = FIELDS.filter(([, field]) => wordsIn(field).every(word => answer.has(word)))
    .map(([name, field]) => ({ name, field, value: valueIn(key, field) }))
    .filter(({ value }) => value !== 0n)
    .map(({ name, field, value }) => `${name}=${formatValue(field, { value, mask: ones(field.bits) })}`);
  return [formatFlags(STATE.format, state, STATE.bits).replaceAll("|", ","), ...shown].join();
}

/** An answer as it was given, part by part; a string says what is wrong with it. */
export function parseTrackerAnswer(text: string): TrackerAnswer | string {
  const key = new Uint32Array(KEY_WORDS);
  const given = new Set<number>([KEY.ctState]);
  let state: number = CT.trk;
  for (const part of text.split(/[,|]/).map(one => one.trim())) {
    const flag = FLAGS.find(name => name === part);
    if (flag !== undefined) {
      state |= CT[flag];
      continue;
    }
    const [, name, value] = /^(\w+)=(.*)$/.exec(part) ?? [];
    const field = name === undefined ? undefined : FIELDS.find(([, one]) => one === findField(name))?.[1];
    if (field === undefined)
      return [
        `"${part}" is unknown; expected flags of ct_state (${FLAGS.join(", ")})`,
        "and fields such as ct_mark=1 or nw_src=10.0.0.1",
      ].join(" ");
    const read = readValue(field, value!, new Map());
    if (typeof read === "string") return `${name}: "${value}" ${read}`;
    if (read.mask !== ones(field.bits)) return `${name} has a mask; give an exact value`;
    writeMasked(key, field, wordsOf(read.value), wordsOf(read.mask));
    for (const word of wordsIn(field)) given.add(word);
  }
  const isNew = (state & CT.new) !== 0;
  if ((state & CT.inv) !== 0 && state !== (CT.trk | CT.inv)) return "inv excludes every flag but trk";
  if (isNew && (state & (CT.est | CT.rpl)) !== 0) return "new excludes est and rpl";
  key[KEY.ctState] = state;
  return new Map([...given].map(word => [word, key[word]!] as const));
}

/**
 * The tracker that says what was given, answer by answer, and then nothing. What an answer leaves open is
 * the ordinary: the connection is the packet's own, its mark is what the commit writes, and nat of a new
 * connection takes the first address and port of its range, as in `ofproto/trace`.
 */
export function givenTracker(answers: readonly TrackerAnswer[]): Tracker {
  let count = 0;
  return request => {
    const given = answers[count++];
    return given === undefined ? null : new Map([...usualAnswer(request, given), ...given]);
  };
}

function usualAnswer(request: TrackerRequest, given: TrackerAnswer): TrackerAnswer {
  const { step, key } = request;
  const state = given.get(KEY.ctState)!;
  if ((state & CT.inv) !== 0) return new Map();
  const after = key.slice();
  const words = new Set<number>([KEY.ctProto, KEY.ctPorts, KEY.ctMark, KEY.ctLabel]);
  for (let index = 0; index < 4; index++) words.add(KEY.ctLabel + index);
  after[KEY.ctProto] = key[KEY.nwProto]!;
  after[KEY.ctPorts] = (key[KEY.tpSrc]! & 0xffff) | (key[KEY.tpDst]! << 16);
  const pairs: [number, number, number][] = [
    [KEY.ctNwSrc, KEY.nwSrc, 2],
    [KEY.ctIpv6Src, KEY.ipv6Src, 8],
  ];
  for (const [to, from, count] of pairs)
    for (let index = 0; index < count; index++) {
      after[to + index] = key[from + index]!;
      words.add(to + index);
    }
  for (const mark of step.marks) {
    if (mark.do === "set") writeMasked(after, mark.field, mark.value, mark.mask);
    else if (mark.do === "move") writeSubfield(after, mark.to, readSubfield(after, mark.from));
  }
  if ((state & CT.new) !== 0) for (const word of translate(step.nat, after)) words.add(word);
  return new Map([...words].map(word => [word, after[word]!] as const));
}

/** Writes the first address and port of a nat; returns the words that it wrote. */
function translate(nat: TrackerRequest["step"]["nat"], key: Uint32Array): number[] {
  if (nat === null || nat.range === null) return [];
  const { isIpv6, addresses, ports } = nat.range;
  const isSource = nat.side === "src";
  const address = fieldNamed(`${isIpv6 ? "ipv6" : "nw"}_${isSource ? "src" : "dst"}`);
  writeMasked(key, address, wordsOf(addresses[0]), wordsOf(ones(address.bits)));
  if (ports[0] === 0) return wordsIn(address);
  const port: number = isSource ? KEY.tpSrc : KEY.tpDst;
  key[port] = ports[0];
  return [...wordsIn(address), port];
}
