/**
 * The connection tracker as an uninterpreted function. What it says of a packet is unknown, but two switches
 * whose trackers are in one state say the same to the same questions. The name of an answer is everything
 * that the packet asked the tracker so far, this question included: its arguments, and the words of the
 * packet that the tracker looks at. Equal names have the same unknown bits, on both sides of a proof; bits of
 * different names are independent. docs/dev/prover.md has the argument why that suffices.
 *
 * What is known of an answer (ovs-fields(7), lib/conntrack.c): trk is set; inv excludes all other bits, and
 * there is no connection then; new excludes est and rpl. In the direction of the first packet, without rel,
 * the original tuple is the packet's. A commit leaves in ct_mark and ct_label what its exec wrote. With nat,
 * snat and dnat say which end of the packet is another one behind the tracker.
 */
import { CT, KEY, type TrackStep } from "../../openflow/index.ts";
import { change } from "./actions.ts";
import type { Decider } from "./decider.ts";
import { TYPES } from "./fields.ts";
import type { FrameFormat } from "./input-space.ts";
import type { MachineContext } from "./machine-context.ts";
import { commit } from "./packet.ts";
import { NO_VALUES } from "./slot-values.ts";
import type { Answer, Asked, Packet, State } from "./state.ts";
import type { Terms, Word } from "./terms.ts";

const PORTED = [6, 17, 132];

/** The ends of a packet that nat may translate: the bit that says so, and the words of the key. */
const ENDS = [
  { side: "src", bit: CT.snat, nw: KEY.nwSrc, ipv6: KEY.ipv6Src, tp: KEY.tpSrc },
  { side: "dst", bit: CT.dnat, nw: KEY.nwDst, ipv6: KEY.ipv6Dst, tp: KEY.tpDst },
] as const;

/** For counterexamples: 198.18.0.1 (RFC 2544) and a port that no service has. */
const EXAMPLE_ADDRESS = 0xc6120001n;
const EXAMPLE_PORT = 40000;

/** Whether frames of a format have ports that a write reaches. */
const hasPorts = ({ hasLayer4, cubes }: FrameFormat): boolean =>
  hasLayer4 && PORTED.includes(cubes.get(KEY.nwProto)?.[0]?.value ?? -1);

export class Tracker {
  readonly #context: MachineContext;
  readonly #by: Decider;

  constructor(context: MachineContext) {
    this.#context = context;
    this.#by = context.by;
  }

  /** The key and packet behind the tracker. `state` has them in front of it, `tracked` names the answer. */
  answer(state: State, { step, zone }: Asked): { flow: readonly Word[]; packet: Packet; answer: Answer } {
    const { flow: before, tracked } = state;
    const raw = this.#atom(tracked, KEY.ctState, 8, CT.new);
    const isInvalid = this.#by.is(raw, CT.inv, CT.inv);
    const flow = [...before];
    flow[KEY.ctZone] = zone;
    if (isInvalid) {
      flow[KEY.ctState] = this.#by.terms.constant(CT.trk | CT.inv);
      return { flow, packet: state.packet, answer: answerOf(step.line, before, flow) };
    }
    const isNew = this.#by.is(raw, CT.new, CT.new);
    flow[KEY.ctState] = stateWord(this.#by.terms, raw, isNew);
    flow[KEY.ctMark] = this.#atom(tracked, KEY.ctMark);
    for (let word: number = KEY.ctLabel; word < KEY.ctProto; word++) flow[word] = this.#atom(tracked, word);
    this.#tuple(tracked, raw, isNew, flow);
    const marked = this.#marked({ ...state, flow }, step);
    const { translated, packet } = this.#translated(state, step, { raw, isNew }, marked);
    return { flow: translated, packet, answer: answerOf(step.line, before, translated) };
  }

  #atom(name: string, word: number, bits = 32, preferred = 0): Word {
    const { terms } = this.#by;
    return terms.atomWord(terms.answer(name, word, bits, preferred));
  }

  /** The original direction tuple of the connection. */
  #tuple(name: string, raw: Word, isNew: boolean, flow: Word[]): void {
    const by = this.#by;
    const isForward =
      this.#context.extractions.isTupleRead &&
      !by.is(raw, CT.rel, CT.rel) &&
      (isNew || !by.is(raw, CT.rpl, CT.rpl));
    const isIpv6 = by.is(flow[KEY.dlType]!, 0xffff, TYPES.ip6);
    const pairs: [number, number][] = isIpv6
      ? Array.from({ length: 8 }, (_, i) => [KEY.ctIpv6Src + i, KEY.ipv6Src + i])
      : [
          [KEY.ctNwSrc, KEY.nwSrc],
          [KEY.ctNwDst, KEY.nwDst],
        ];
    for (const [word, own] of pairs) flow[word] = isForward ? flow[own]! : this.#atom(name, word);
    flow[KEY.ctProto] = isForward ? flow[KEY.nwProto]! : this.#atom(name, KEY.ctProto, 8);
    const { terms } = by;
    flow[KEY.ctPorts] = isForward
      ? terms.word([...terms.slice(flow[KEY.tpSrc]!, 0, 16), ...terms.slice(flow[KEY.tpDst]!, 0, 16)])
      : this.#atom(name, KEY.ctPorts);
  }

  /** The key with what the commit writes to ct_mark and ct_label. */
  #marked(state: State, { marks }: TrackStep): readonly Word[] {
    return marks.reduce((now, step) => {
      if (step.do !== "set" && step.do !== "move")
        throw new Error(`internal error: ${step.do} inside of ct(exec(…))`);
      return change(this.#by, now, step, NO_VALUES);
    }, state).flow;
  }

  /** Which end was translated, and to what, is part of the answer. */
  #translated(
    { packet, tracked }: State,
    step: TrackStep,
    { raw, isNew }: { readonly raw: Word; readonly isNew: boolean },
    flow: readonly Word[],
  ): { translated: readonly Word[]; packet: Packet } {
    const by = this.#by;
    if (step.nat === null) return { translated: flow, packet };
    const ends = ENDS.filter(({ bit }) => by.is(raw, bit, bit));
    if (ends.length === 0) return { translated: flow, packet };
    const isIpv6 = by.is(flow[KEY.dlType]!, 0xffff, TYPES.ip6);
    if (!isIpv6 && !by.is(flow[KEY.dlType]!, 0xffff, TYPES.ip4)) return { translated: flow, packet };
    const isPorted = by.hasFormat(packet.extraction, hasPorts);
    const translated = [...flow];
    for (const { side, nw, ipv6, tp } of ends) {
      const range = isNew && step.nat.side === side ? step.nat.range : null;
      const [low, high] = range?.addresses ?? [isIpv6 ? 0n : EXAMPLE_ADDRESS, null];
      const count = isIpv6 ? 4 : 1;
      for (let index = 0; index < count; index++) {
        const word = (isIpv6 ? ipv6 : nw) + index;
        const value = Number((low >> BigInt(32 * (count - 1 - index))) & 0xffffffffn);
        translated[word] = low === high ? by.terms.constant(value) : this.#atom(tracked, word, 32, value);
      }
      if (isPorted) translated[tp] = this.#atom(tracked, tp, 16, range?.ports[0] || EXAMPLE_PORT);
    }
    const after = commit(by, translated, packet);
    // The next extraction finds what the tracker wrote.
    const read = after.base.map((word, at) => (word === packet.base[at] ? after.read[at]! : word));
    return {
      translated: after.base.map((word, at) => (at < KEY.dlDst ? translated[at]! : word)),
      packet: { ...after, read },
    };
  }
}

/** The bits of ct_state that are possible without inv. */
function stateWord(terms: Terms, raw: Word, isNew: boolean): Word {
  const bit = (value: number) => ({ is: "const", bits: 1, value }) as const;
  const free = (from: number, bits: number) => terms.slice(raw, from, bits);
  const open = isNew ? [bit(1), bit(0), ...free(2, 1), bit(0)] : [bit(0), ...free(1, 3)];
  return terms.word([...open, bit(0), bit(1), ...free(6, 2)]);
}

function answerOf(line: number, before: readonly Word[], after: readonly Word[]): Answer {
  const words = after.flatMap((word, at): [number, Word][] => {
    const isSet = at >= KEY.ctState && at < KEY.dlDst;
    return isSet || (at >= KEY.dlDst && word !== before[at]) ? [[at, word]] : [];
  });
  return { line, words: new Map(words) };
}
