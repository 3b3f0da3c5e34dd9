/**
 * Whether two machines that have come to their ends have put out the same: the same events in the same order. What is
 * not written alike may still be equal for every input of the path; each way in which it may not be becomes a path of
 * its own, a *candidate*, for the solver to find a frame on, or to show that there is none.
 */
import { ACCOMPANYING_WORDS, KEY, PACKET_IN_WORDS, type PacketInArguments } from "../../openflow/index.ts";
import type { Path, Split } from "../paths/path-condition.ts";
import { splitEqual } from "../paths/split-equal.ts";
import { byTunnel } from "../paths/tunnel-ports.ts";
import { TUNNEL_WORDS } from "../symbolic/entering.ts";
import { type Readings, SNAP_WORD } from "../symbolic/extractions.ts";
import { TYPES, VLAN_PRESENT } from "../symbolic/fields.ts";
import { type Kind, ND_BARE, ND_WITH_OPTIONS } from "../symbolic/input-space.ts";
import { typesName, WIRE_FROM } from "../symbolic/packet.ts";
import { type Event, LAYER_3, type Packet } from "../symbolic/state.ts";
import type { Word } from "../symbolic/terms.ts";

/** A path on which the machines differ if it holds for any frame. */
export interface Candidate {
  readonly path: Path;
  /** What differs, for grouping: a word of the key, or what is missing. */
  readonly what: string;
  /** It cannot be said that the bytes differ. */
  readonly unknown: { readonly feature: string; readonly line: number; readonly side?: 0 | 1 } | null;
  /** Only frames of at least so many bytes show it. */
  readonly minBytes?: number;
}

/** Labels that may have been taken off before a frame is cut. */
const LABEL_BYTES = 64;
/** No frame is longer. */
const MAX_BYTES = 65_535;
/** Two tags that were put on. */
const TAGS_BYTES = 8;
/** Stacks that end before their bottom, behind a tag and an LLC header; a tag that is cut short. */
const CUT_STACK = /^mpls cut (at once|after \d)$/;
const CUT_STACK_BYTES = 14 + 4 + 8 + 2 * 4 + 3;
const CUT_TAG_BYTES = 17;
/** More than neighbour discovery takes without options. */
const ND_BYTES = 160;

const namesOf = (words: readonly Word[]): string => words.map(({ id }) => id).join(".");

/** The text by which events are the same: all of them equal numbers of equal words. */
function nameOf(event: Event): string {
  switch (event.is) {
    case "output":
      return `o ${event.port.id} ${event.notTo?.id} ${event.maxBytes} ${event.wire.id} ${namesOf(event.state)}`;
    case "packet_in": {
      const { reason, id, maxBytes, userdata } = event.to;
      return `p ${reason} ${id} ${maxBytes} ${userdata} ${event.wire.id} ${namesOf(event.state)}`;
    }
    case "effect":
      return `e ${event.effect} ${event.text} ${namesOf(event.words)} ${event.wire?.id}`;
  }
}

export const sameEvent = (a: Event, b: Event): boolean => a === b || nameOf(a) === nameOf(b);
export const eventsName = (events: readonly Event[]): string => events.map(nameOf).join("|");

/** A word in which two packets may differ, and the packet in which it was written. */
interface Differing {
  readonly word: number;
  readonly left: Word;
  readonly right: Word;
  readonly by: Packet;
}

/**
 * The words in which two packets of the same frame may differ. Of layer 3 only what was written counts: the bytes are
 * the same otherwise, whether or not they were read, and where one packet was written to, the other has what was read.
 */
function differing(a: Packet, b: Packet): Differing[] {
  const out: Differing[] = [];
  for (let word = WIRE_FROM; word < LAYER_3.to; word++) {
    if (a.base[word] === b.base[word]) continue;
    const [inA, inB] = [a.base[word] !== a.read[word], b.base[word] !== b.read[word]];
    if (word < LAYER_3.from) out.push({ word, left: a.base[word]!, right: b.base[word]!, by: a });
    else if (inA) out.push({ word, left: a.base[word]!, right: (inB ? b.base : a.read)[word]!, by: a });
    else if (inB) out.push({ word, left: b.read[word]!, right: b.base[word]!, by: b });
  }
  return out;
}

interface Sameness {
  readonly same: readonly Path[];
  readonly different: readonly Path[];
}

/** Splits a path by whether a word is the same bytes in two packets, of which `a` is one. */
function sameBytes(path: Path, a: Packet, { word, left, right }: Omit<Differing, "by">): Sameness {
  if (word === KEY.vlanTci) return sameTags(path, left, right);
  if (word === KEY.innerVlanTci) {
    const outer = path.split([{ word: a.base[KEY.vlanTci]!, mask: VLAN_PRESENT, value: VLAN_PRESENT }]);
    const both = outer.yes === null ? { same: [], different: [] } : sameTags(outer.yes, left, right);
    return { same: [...both.same, ...outer.no], different: both.different };
  }
  const { yes, no } = splitEqual(path, left, right);
  return { same: yes === null ? [] : [yes], different: no };
}

/** A tag without its presence bit, which a load may take, is no bytes at all. */
function sameTags(path: Path, left: Word, right: Word): Sameness {
  const present = (word: Word, one: Path): Split =>
    one.split([{ word, mask: VLAN_PRESENT, value: VLAN_PRESENT }]);
  const inLeft = present(left, path);
  const same: Path[] = [];
  const different: Path[] = [];
  if (inLeft.yes !== null) {
    const inRight = present(right, inLeft.yes);
    const equal = inRight.yes === null ? null : splitEqual(inRight.yes, left, right);
    if (equal?.yes) same.push(equal.yes);
    different.push(...inRight.no, ...(equal?.no ?? []));
  }
  for (const one of inLeft.no) {
    const inRight = present(right, one);
    if (inRight.yes !== null) different.push(inRight.yes);
    same.push(...inRight.no);
  }
  return { same, different };
}

/** Both were written to behind the type, and as packets of different types. */
function areRewrittenApart(a: Packet, b: Packet): boolean {
  const isRewritten = ({ base, read }: Packet): boolean =>
    base.some((word, at) => at >= LAYER_3.from && at < LAYER_3.to && word !== read[at]);
  return a.content !== b.content && isRewritten(a) && isRewritten(b);
}

/** Whether two packets are the same bytes if their words are. */
const areBuiltAlike = (a: Packet, b: Packet): boolean =>
  a.popped === b.popped &&
  a.pushed === b.pushed &&
  typesName(a) === typesName(b) &&
  a.history === b.history &&
  !areRewrittenApart(a, b);

/** What of an outcome can be left out of the comparison. */
export const IGNORABLE = ["queue", "mark", "packet-in", "sample", "order"] as const;
export type Ignored = (typeof IGNORABLE)[number];

type Output = Extract<Event, { is: "output" }>;
type EffectEvent = Extract<Event, { is: "effect" }>;

/** Whether it is not known what an event does: the switch's own state decides it. */
const isUncertain = (event: Event): event is EffectEvent =>
  event.is === "effect" && (event.effect === "puts out" || event.effect === "tracks");

/**
 * Events in the order in which they are compared: frames that leave, then packets for the controller, what is learned, and
 * samples, each in their order. What tracks a connection or meters may hold back what comes behind it: nothing is moved
 * past it.
 */
export function inOrder(events: readonly Event[], ignored: ReadonlySet<Ignored>): Event[] {
  const out: Event[] = [];
  let part: Event[] = [];
  const flush = (): void => {
    out.push(...stretch(part, ignored));
    part = [];
  };
  for (const event of events) {
    if (event.is === "effect" && event.effect === "tracks") {
      flush();
      out.push(event);
    } else if (!isIgnored(event, ignored)) part.push(event);
  }
  flush();
  return out;
}

function isIgnored(event: Event, ignored: ReadonlySet<Ignored>): boolean {
  if (event.is === "packet_in") return ignored.has("packet-in");
  return event.is === "effect" && event.effect === "samples" && ignored.has("sample");
}

const RANKS = ["leaves", "packet_in", "learns", "samples"] as const;

function rankOf(event: Event): (typeof RANKS)[number] {
  if (event.is === "packet_in") return "packet_in";
  return event.is === "effect" && event.effect !== "puts out" && event.effect !== "tracks"
    ? event.effect
    : "leaves";
}

function stretch(events: readonly Event[], ignored: ReadonlySet<Ignored>): Event[] {
  return RANKS.flatMap(rank => {
    const own = events.filter(event => rankOf(event) === rank);
    return rank === "leaves" && ignored.has("order") ? byPort(own) : own;
  });
}

/** Outputs by port, where all ports are numbers: no receiver sees in which order others got theirs. */
function byPort(events: readonly Event[]): readonly Event[] {
  if (!events.every(event => event.is === "output" && event.port.value !== null)) return events;
  const portOf = (event: Event): number => (event.is === "output" ? event.port.value! : 0);
  return [...events].sort((a, b) => portOf(a) - portOf(b));
}

/** Which of ACCOMPANYING_WORDS are not compared. */
function withoutIgnored(event: Event, ignored: ReadonlySet<Ignored>, none: Word): Event {
  if (event.is !== "output" || !(ignored.has("queue") || ignored.has("mark"))) return event;
  const state = event.state.map((word, index) => {
    const at = ACCOMPANYING_WORDS[index];
    const isLeftOut =
      (at === KEY.skbPriority && ignored.has("queue")) || (at === KEY.pktMark && ignored.has("mark"));
    return isLeftOut ? none : word;
  });
  return { ...event, state };
}

/** Events of one list that are not in another one; of equal ones so many as are too many. */
function without(events: readonly Event[], others: readonly Event[]): Event[] {
  const names = others.map(nameOf);
  return events.filter(event => {
    const at = names.indexOf(nameOf(event));
    if (at >= 0) names.splice(at, 1);
    return at < 0;
  });
}

const comesLater = (a: Event, b: Event): boolean => RANKS.indexOf(rankOf(a)) > RANKS.indexOf(rankOf(b));

/** What is missing on one side: on a's (`isInB`), or on b's. */
function missingName(event: Event, isInB: boolean): string {
  if (event.is === "output") return isInB ? "an output too many" : "an output too few";
  if (event.is === "packet_in") return isInB ? "a packet-in too many" : "a packet-in too few";
  return `${event.name} in ${isInB ? "b" : "a"} only`;
}

const PACKET_IN_ARGUMENTS: readonly (readonly [keyof PacketInArguments, string])[] = [
  ["reason", "reason"],
  ["id", "controller id"],
  ["maxBytes", "max_len"],
  ["userdata", "userdata"],
];

/** Each output may be decided on its own, one call within the other. */
const MAX_EVENTS = 500;

export class Comparison {
  readonly #readings: Readings;
  /** Tells whether to go on after a candidate. */
  readonly #found: (candidate: Candidate) => boolean;

  constructor(readings: Readings, found: (candidate: Candidate) => boolean) {
    this.#readings = readings;
    this.#found = found;
  }

  /** Gives every candidate of two lists of events; false when `found` has had enough. */
  compare(a: readonly Event[], b: readonly Event[], path: Path, ignored: ReadonlySet<Ignored>): boolean {
    const none = this.#readings.terms.constant(0);
    const [left, right] = [a, b].map(events =>
      inOrder(events, ignored).map(event => withoutIgnored(event, ignored, none)),
    );
    return this.run(left!, right!, path);
  }

  run(a: readonly Event[], b: readonly Event[], path: Path): boolean {
    let at = 0;
    while (at < a.length && at < b.length && sameEvent(a[at]!, b[at]!)) at++;
    const [left, right] = [a.slice(at), b.slice(at)];
    if (left.length === 0 && right.length === 0) return true;
    if (left.some(isUncertain) || right.some(isUncertain)) {
      const { same, different } = this.#sameEffect(left[0], right[0], path);
      return (
        same.every(one => this.run(left.slice(1), right.slice(1), one)) &&
        different.every(one => this.#uncertain(left, right, one))
      );
    }
    if (Math.max(left.length, right.length) > MAX_EVENTS) {
      const unknown = { feature: `more than ${MAX_EVENTS} outputs where the two differ`, line: 0 };
      return this.#found({ path, what: "outputs", unknown });
    }
    const alike = this.#alike(left, right, path);
    if (alike === null) return this.#suppressed(left, right, path);
    const [next, others] = [[left.slice(1), right.slice(1)] as const, alike.different];
    return (
      alike.same.every(one => this.run(next[0], next[1], one)) &&
      others.every(one => this.#suppressed(left, right, one))
    );
  }

  /**
   * Outputs of the same bytes by the same port are the same whether or not that is the port the frame came in by.
   * Null when the heads are not of that form.
   */
  #alike(
    [left]: readonly Event[],
    [right]: readonly Event[],
    path: Path,
  ): { same: readonly Path[]; different: readonly Path[] } | null {
    if (left?.is !== "output" || right?.is !== "output") return null;
    if (left.notTo === null || left.notTo !== right.notTo || left.maxBytes !== right.maxBytes) return null;
    if (namesOf(left.state) !== namesOf(right.state)) return null;
    const [a, b] = [left.wire.packet, right.wire.packet];
    if (!areBuiltAlike(a, b)) return null;
    const { yes, no } = splitEqual(path, left.port, right.port);
    const different = [...no];
    let same: readonly Path[] = yes === null ? [] : [yes];
    for (const { word, left: one, right: other } of differing(a, b)) {
      const splits = same.map(path => sameBytes(path, a, { word, left: one, right: other }));
      same = splits.flatMap(split => split.same);
      different.push(...splits.flatMap(split => split.different));
    }
    return { same, different };
  }

  /** Decides of each head whether it goes to the port the frame came in by. */
  #suppressed(left: readonly Event[], right: readonly Event[], path: Path): boolean {
    for (const [own, isLeft] of [
      [left, true],
      [right, false],
    ] as const) {
      const [head, ...rest] = own;
      if (head?.is !== "output" || head.notTo === null) continue;
      const { yes, no } = splitEqual(path, head.port, head.notTo);
      const sent: Event = { ...head, notTo: null };
      const next = (events: readonly Event[], one: Path): boolean =>
        isLeft ? this.run(events, right, one) : this.run(left, events, one);
      return (yes === null || next(rest, yes)) && no.every(one => next([sent, ...rest], one));
    }
    return this.#heads(left, right, path);
  }

  #heads(a: readonly Event[], b: readonly Event[], path: Path): boolean {
    const [left, right] = [a[0], b[0]];
    if (left === undefined || right === undefined || rankOf(left) !== rankOf(right)) {
      const isMissing = left === undefined || (right !== undefined && comesLater(left, right));
      const what = missingName((isMissing ? right : left)!, isMissing);
      return this.#found({ path, what, unknown: null });
    }
    if (left.is === "output" && right.is === "output") return this.#outputs(left, right, a, b, path);
    if (left.is === "packet_in" && right.is === "packet_in") return this.#packetIns(left, right, a, b, path);
    if (left.is === "effect" && right.is === "effect") return this.#effects(left, right, a, b, path);
    throw new Error("assertion: events of one rank are of one kind");
  }

  #outputs(left: Output, right: Output, a: readonly Event[], b: readonly Event[], path: Path): boolean {
    if (left.maxBytes !== right.maxBytes) return this.#cut(a, b, path);
    const { yes, no } = splitEqual(path, left.port, right.port);
    for (const one of no) if (!this.#found({ path: one, what: "port", unknown: null })) return false;
    if (yes === null) return true;
    const equal = this.#packets(left.wire.packet, right.wire.packet, yes);
    if (equal === null) return false;
    for (const same of equal) {
      const alike = this.#accompanying(left, right, same);
      if (alike === null) return false;
      for (const one of alike) if (!this.run(a.slice(1), b.slice(1), one)) return false;
    }
    return true;
  }

  /** The paths on which queue, mark and tunnel are the same; null when `found` has had enough. */
  #accompanying(left: Output, right: Output, path: Path): readonly Path[] | null {
    let paths: readonly Path[] = [path];
    for (const [index, at] of ACCOMPANYING_WORDS.entries()) {
      const [one, other] = [left.state[index]!, right.state[index]!];
      if (one === other) continue;
      const next: Path[] = [];
      for (const here of paths) {
        // By a port that is no tunnel the fields of one go nowhere.
        const by = TUNNEL_WORDS.includes(at) ? byTunnel(here, left.port) : { may: [here], no: [] };
        next.push(...by.no);
        for (const path of by.may) {
          const { yes, no } = splitEqual(path, one, other);
          for (const differs of no)
            if (!this.#found({ path: differs, what: `word ${at}`, unknown: null })) return null;
          if (yes !== null) next.push(yes);
        }
      }
      paths = next;
    }
    return paths;
  }

  #packetIns(
    left: Extract<Event, { is: "packet_in" }>,
    right: Extract<Event, { is: "packet_in" }>,
    a: readonly Event[],
    b: readonly Event[],
    path: Path,
  ): boolean {
    for (const [name, what] of PACKET_IN_ARGUMENTS)
      if (left.to[name] !== right.to[name])
        return this.#found({ path, what: `${what} of the packet-in`, unknown: null });
    const equal = this.#packets(left.wire.packet, right.wire.packet, path);
    if (equal === null) return false;
    const named = PACKET_IN_WORDS.map(word => `word ${word}`);
    const alike = equal.flatMap(same => this.#sameWords(left.state, right.state, named, same));
    if (alike.includes(null)) return false;
    return alike.every(one => this.run(a.slice(1), b.slice(1), one!));
  }

  /** Two things that are learned, or two samples. */
  #effects(
    left: EffectEvent,
    right: EffectEvent,
    a: readonly Event[],
    b: readonly Event[],
    path: Path,
  ): boolean {
    if (left.text !== right.text) return this.#found({ path, what: left.name, unknown: null });
    const alike = this.#sameWords(
      left.words,
      right.words,
      left.words.map(() => left.name),
      path,
    );
    if (alike.includes(null)) return false;
    return alike.every(one => this.run(a.slice(1), b.slice(1), one!));
  }

  /** The paths on which two lists of words are the same, and null among them when `found` has had enough. */
  #sameWords(
    left: readonly Word[],
    right: readonly Word[],
    what: readonly string[],
    path: Path,
  ): readonly (Path | null)[] {
    let paths: readonly Path[] = [path];
    for (const [index, word] of left.entries()) {
      if (word === right[index]) continue;
      const next: Path[] = [];
      for (const one of paths) {
        const { yes, no } = splitEqual(one, word, right[index]!);
        for (const differs of no)
          if (!this.#found({ path: differs, what: what[index]!, unknown: null })) return [null];
        if (yes !== null) next.push(yes);
      }
      paths = next;
    }
    return paths;
  }

  /** Splits a path by whether two events are the same effect: of one text, with the same words and bytes. */
  #sameEffect(left: Event | undefined, right: Event | undefined, path: Path): Sameness {
    const apart = { same: [], different: [path] };
    if (left?.is !== "effect" || right?.is !== "effect" || left.text !== right.text) return apart;
    const pairs = left.words.map((word, index): readonly [Word, Word] => [word, right.words[index]!]);
    if (left.wire !== null && right.wire !== null) {
      const [a, b] = [left.wire.packet, right.wire.packet];
      if (!areBuiltAlike(a, b)) return apart;
      pairs.push(...differing(a, b).map(({ left, right }): readonly [Word, Word] => [left, right]));
    }
    let same: readonly Path[] = [path];
    const different: Path[] = [];
    for (const [one, other] of pairs) {
      const splits = same.map(path => splitEqual(path, one, other));
      different.push(...splits.flatMap(({ no }) => no));
      same = splits.flatMap(({ yes }) => yes ?? []);
    }
    return { same, different };
  }

  /**
   * Lists with effects of which the switch's own state decides what they are. The same effects on both sides are the
   * same: then all else decides. An effect of one side only is a difference where the other side puts out no more: there
   * are states in which it puts out something (NORMAL floods, a meter lets the packet pass).
   */
  #uncertain(left: readonly Event[], right: readonly Event[], path: Path): boolean {
    const [a, b] = [left.filter(event => !isUncertain(event)), right.filter(event => !isUncertain(event))];
    const [extraA, extraB] = [without(left, right), without(right, left)].map(extra =>
      extra.filter(event => event.is === "effect" && event.effect === "puts out"),
    );
    const [inA, inB] = [left.find(isUncertain), right.find(isUncertain)];
    const { name, line } = (inA ?? inB)!;
    const side = inB === undefined ? 0 : inA === undefined ? 1 : undefined;
    const open: Candidate = {
      path,
      what: name,
      unknown: { feature: name, line, ...(side === undefined ? {} : { side }) },
    };
    if (extraA!.length === 0 && extraB!.length === 0) {
      let isDifferent = false;
      const nested = new Comparison(this.#readings, candidate => {
        isDifferent = true;
        return this.#found(candidate);
      });
      return nested.run(a, b, path) && (isDifferent || this.#found(open));
    }
    if (extraA!.length > 0 && extraB!.length > 0) return this.#found(open);
    const [more, less, extra] = extraA!.length > 0 ? [a, b, extraA!] : [b, a, extraB!];
    if (without(less, more).length > 0) return this.#found(open);
    return this.#found({ path, what: missingName(extra[0]!, extra === extraB), unknown: null });
  }

  /** Of outputs that are cut to different lengths: long frames show it, and those that are never long do not. */
  #cut([left, ...a]: readonly Event[], [right, ...b]: readonly Event[], path: Path): boolean {
    if (left?.is !== "output" || right?.is !== "output") throw new Error("assertion: outputs are cut");
    const least = Math.min(left.maxBytes ?? MAX_BYTES, right.maxBytes ?? MAX_BYTES);
    const { long, short } = this.#lengths(path);
    const what = "max_len";
    for (const { path: one, most } of short) {
      const unknown = { feature: "the cut of a frame that ends within its tags or labels", line: 0 };
      const isWhole = most + 4 * left.wire.packet.pushed + TAGS_BYTES <= least;
      const goesOn = isWhole
        ? this.run([{ ...left, maxBytes: null }, ...a], [{ ...right, maxBytes: null }, ...b], one)
        : this.#found({ path: one, what, unknown });
      if (!goesOn) return false;
    }
    return long.every(one => this.#found({ path: one, what, unknown: null, minBytes: least + LABEL_BYTES }));
  }

  /** The part of a path whose frames can be of any length, and those whose frames end early, with their greatest length. */
  #lengths(path: Path): { long: readonly Path[]; short: readonly { path: Path; most: number }[] } {
    const { terms } = this.#readings;
    const of = (word: number): Word => terms.atomWord(this.#readings.atom(0, word));
    const short: { path: Path; most: number }[] = [];
    let long = this.#withKinds(path, 0, ({ name }) => !CUT_STACK.test(name));
    for (const one of this.#withKinds(path, 0, ({ name }) => CUT_STACK.test(name)))
      short.push({ path: one, most: CUT_STACK_BYTES });
    // A type that announces a tag where none could be read.
    for (const type of [0x8100, 0x88a8]) {
      const splits = long.map(one =>
        one.split([
          { word: of(KEY.dlType), mask: 0xffff, value: type },
          { word: of(KEY.vlanTci), mask: 0xffffffff, value: 0 },
          { word: of(SNAP_WORD), mask: 1, value: 0 },
        ]),
      );
      for (const { yes } of splits) if (yes !== null) short.push({ path: yes, most: CUT_TAG_BYTES });
      long = splits.flatMap(({ no }) => no);
    }
    return { long, short };
  }

  /** The paths on which the bytes are the same; null when `found` has had enough. */
  #packets(a: Packet, b: Packet, path: Path): readonly Path[] | null {
    let paths: readonly Path[] = [path];
    if (a.pushed - a.popped !== b.pushed - b.popped)
      return this.#found({ path, what: "number of labels", unknown: null }) ? [] : null;
    if (a.popped !== b.popped && !this.#isProperStack(path))
      if (
        !this.#found({ path, what: "label stack", unknown: { feature: "stacks without a bottom", line: 0 } })
      )
        return null;
    if (areRewrittenApart(a, b)) {
      const unknown = { feature: "packets that were rewritten under different types", line: 0 };
      return this.#found({ path, what: "type", unknown }) ? [] : null;
    }
    if (typesName(a) !== typesName(b)) {
      const snap = this.#readings.terms.atomWord(this.#readings.atom(0, SNAP_WORD));
      const { yes, no } = path.split([{ word: snap, mask: 1, value: 1 }]);
      if (yes !== null && !this.#types(a.types, b.types, yes)) return null;
      paths = no;
    }
    for (const { word, left, right, by } of differing(a, b)) {
      const next: Path[] = [];
      for (const one of paths) {
        const { same, different } = sameBytes(one, a, { word, left, right });
        next.push(...same);
        for (const other of different) {
          const visible = word < LAYER_3.from ? [other] : this.#visible(word, by, other);
          for (const shown of visible) if (!this.#differs(word, by, shown)) return null;
          // Where layer 3 is never written the bytes are the same all the same.
          if (word >= LAYER_3.from) next.push(...this.#hidden(word, by, other));
        }
      }
      paths = next;
    }
    if (a.history !== b.history)
      for (const one of paths)
        if (
          !this.#found({
            path: one,
            what: "checksum",
            unknown: { feature: "checksums corrected more than once", line: 0 },
          })
        )
          return null;
    return paths;
  }

  /**
   * Type bytes of LLC/SNAP frames that were written differently. Without a tag the length is lost, which shows wherever
   * only one side wrote; all else is left open. False when `found` has had enough.
   */
  #types(a: Packet["types"], b: Packet["types"], path: Path): boolean {
    const last = (a.length === 0 ? b : a).at(-1)!;
    const isOneSided = a.length === 0 || b.length === 0;
    const { yes, no } = path.split([{ word: last.tag, mask: VLAN_PRESENT, value: 0 }]);
    const unknown = { feature: "labels behind LLC/SNAP", line: 0 };
    if (yes !== null && !this.#found({ path: yes, what: "type", unknown: isOneSided ? null : unknown }))
      return false;
    return no.every(one => this.#found({ path: one, what: "type", unknown }));
  }

  /** Tells of a word that differs. False when `found` has had enough. */
  #differs(word: number, packet: Packet, path: Path): boolean {
    const what = `word ${word}`;
    // The type of an option is written also where there is none: behind the packet, if there is anything.
    if (word === KEY.ndOptionsType) return this.#found({ path, what, unknown: null, minBytes: ND_BYTES });
    const isAddress = word >= KEY.arpSha && word < KEY.arpSha + 4;
    if (!isAddress) return this.#found({ path, what, unknown: null });
    // Of the addresses of neighbour discovery the one in the first option is written, by its type.
    const type = word < KEY.arpTha ? 1 : 2;
    const { yes, no } = path.split([{ word: packet.readAs, mask: 0xffff, value: TYPES.ip6 }]);
    if (!no.every(one => this.#found({ path: one, what, unknown: null }))) return false;
    if (yes === null) return true;
    const isFirst = yes.split([
      { word: packet.base[KEY.ndOptionsType]!, mask: 0xff, value: type },
      { word: packet.read[KEY.ndOptionsType]!, mask: 0xff, value: type },
    ]);
    if (isFirst.yes !== null && !this.#found({ path: isFirst.yes, what, unknown: null })) return false;
    const unknown = { feature: "an address of neighbour discovery that is not in the first option", line: 0 };
    return isFirst.no.every(one => this.#found({ path: one, what, unknown }));
  }

  #isProperStack(path: Path): boolean {
    const { kinds } = this.#readings.space;
    return kinds.every(
      (kind, index) =>
        (path.contents[0]! & (1 << index)) === 0 || kind.layer3 !== "mpls" || /^mpls [123]$/.test(kind.name),
    );
  }

  /** The part of a path on which what is written to a word of layer 3 or 4 reaches the bytes. */
  #visible(word: number, packet: Packet, path: Path): readonly Path[] {
    const protocol = packet.read[KEY.nwProto]!;
    const { yes, no } = path.split([{ word: protocol, mask: 0xff, value: 0 }]);
    const shown = [...no];
    if (yes !== null) {
      for (const type of [TYPES.arp, TYPES.rarp]) {
        const arp = yes.split([{ word: packet.readAs, mask: 0xffff, value: type }]).yes;
        if (arp !== null) shown.push(arp);
      }
    }
    return shown.flatMap(one => this.#reached(word, packet, one, true));
  }

  /** The rest of such a path. */
  #hidden(word: number, packet: Packet, path: Path): readonly Path[] {
    const protocol = packet.read[KEY.nwProto]!;
    const { yes, no } = path.split([{ word: protocol, mask: 0xff, value: 0 }]);
    const out: Path[] = [];
    if (yes !== null) {
      let rest: readonly Path[] = [yes];
      for (const type of [TYPES.arp, TYPES.rarp])
        rest = rest.flatMap(one => one.split([{ word: packet.readAs, mask: 0xffff, value: type }]).no);
      out.push(...rest);
    }
    for (const one of no) out.push(...this.#reached(word, packet, one, false));
    return out;
  }

  /**
   * The part of a path whose frames have the header of a word, or, with `isThere` false, have not. Of the addresses of
   * neighbour discovery nothing is said: what has an option twice is read as if it had none, and is written to.
   */
  #reached(word: number, packet: Packet, path: Path, isThere: boolean): readonly Path[] {
    const of = (test: (kind: Kind) => boolean): readonly Path[] =>
      this.#withKinds(path, packet.content, kind => test(kind) === isThere);
    // Shorter messages of its types are read as any other ICMPv6.
    if ((word >= KEY.ndTarget && word < KEY.tpSrc) || word >= KEY.ndReserved)
      return of(({ name }) => name === ND_BARE || name === ND_WITH_OPTIONS);
    if (word === KEY.tpSrc || word === KEY.tpDst) return of(({ hasLayer4 }) => hasLayer4);
    return isThere ? [path] : [];
  }

  #withKinds(path: Path, content: number, isWanted: (kind: Kind) => boolean): readonly Path[] {
    let kinds = 0;
    for (const [index, kind] of this.#readings.space.kinds.entries())
      if ((path.contents[content]! & (1 << index)) !== 0 && isWanted(kind)) kinds |= 1 << index;
    return kinds === 0 ? [] : [path.with({ contents: path.contents.with(content, kinds) })];
  }
}
