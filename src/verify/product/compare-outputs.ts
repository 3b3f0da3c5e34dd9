/**
 * Compares the outputs of two machines: equal events in equal order. Words that are not identical may still
 * be equal for every input of the path. For each way to differ it creates a candidate: a path on which the
 * outcomes differ. counterexample/ then finds a frame on that path, or proves that there is none.
 */
import { ACCOMPANYING_WORDS, PACKET_IN_WORDS, type PacketInArguments } from "../../openflow/index.ts";
import type { Path } from "../paths/path-condition.ts";
import { splitEqual } from "../paths/split-equal.ts";
import { byTunnel } from "../paths/tunnel-ports.ts";
import { TUNNEL_WORDS } from "../symbolic/entering.ts";
import type { Extractions } from "../symbolic/extractions.ts";
import type { Event } from "../symbolic/state.ts";
import { namesOf, type Word } from "../symbolic/terms.ts";
import {
  areBuiltAlike,
  type Candidate,
  differing,
  PacketComparison,
  type Sameness,
  sameBytes,
} from "./compare-packets.ts";
import {
  comesLater,
  type Ignored,
  inOrder,
  isUncertain,
  rankOf,
  sameEvent,
  without,
  withoutIgnored,
} from "./event-order.ts";
import { lengthsOf } from "./frame-lengths.ts";

/** Upper bound of the labels that can be popped before a frame is truncated. */
const LABEL_BYTES = 64;
/** The length limit of a frame. */
const MAX_BYTES = 65_535;
/** Two pushed tags. */
const TAGS_BYTES = 8;
type Output = Extract<Event, { is: "output" }>;
type EffectEvent = Extract<Event, { is: "effect" }>;

/** Names a missing event: `isInB` if a lacks it. */
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

/** The comparison recurses for each output. */
const MAX_EVENTS = 500;

export class Comparison {
  readonly #extractions: Extractions;
  /** Takes a candidate; returns whether to continue. */
  readonly #found: (candidate: Candidate) => boolean;
  readonly #packets: PacketComparison;

  constructor(extractions: Extractions, found: (candidate: Candidate) => boolean) {
    this.#extractions = extractions;
    this.#found = found;
    this.#packets = new PacketComparison(extractions, found);
  }

  /** Creates all candidates for two lists of events; false if `found` stopped it. */
  compare(a: readonly Event[], b: readonly Event[], path: Path, ignored: ReadonlySet<Ignored>): boolean {
    const none = this.#extractions.terms.constant(0);
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
      const unknown = { feature: `more than ${MAX_EVENTS} outputs after the first difference`, line: 0 };
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
   * Equal outputs on equal ports are equal, whether or not the port is the input port. Null if the first
   * events do not have this form.
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

  /** Decides for the first event of each list whether its port is the input port. */
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
    throw new Error("internal error: two events of one rank differ in kind");
  }

  #outputs(left: Output, right: Output, a: readonly Event[], b: readonly Event[], path: Path): boolean {
    if (left.maxBytes !== right.maxBytes) return this.#cut(a, b, path);
    const { yes, no } = splitEqual(path, left.port, right.port);
    for (const one of no) if (!this.#found({ path: one, what: "port", unknown: null })) return false;
    if (yes === null) return true;
    const equal = this.#packets.compare(left.wire.packet, right.wire.packet, yes);
    if (equal === null) return false;
    for (const same of equal) {
      const alike = this.#accompanying(left, right, same);
      if (alike === null) return false;
      for (const one of alike) if (!this.run(a.slice(1), b.slice(1), one)) return false;
    }
    return true;
  }

  /** The paths on which queue, mark and tunnel fields are equal; null if `found` stopped it. */
  #accompanying(left: Output, right: Output, path: Path): readonly Path[] | null {
    let paths: readonly Path[] = [path];
    for (const [index, at] of ACCOMPANYING_WORDS.entries()) {
      const [one, other] = [left.state[index]!, right.state[index]!];
      if (one === other) continue;
      const next: Path[] = [];
      for (const here of paths) {
        // A port that is not a tunnel does not send tunnel fields.
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
    const equal = this.#packets.compare(left.wire.packet, right.wire.packet, path);
    if (equal === null) return false;
    const named = PACKET_IN_WORDS.map(word => `word ${word}`);
    const alike = equal.flatMap(same => this.#sameWords(left.state, right.state, named, same));
    if (alike.includes(null)) return false;
    return alike.every(one => this.run(a.slice(1), b.slice(1), one!));
  }

  /** Two learned flows, or two samples. */
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

  /** The paths on which two lists of words are equal; includes null if `found` stopped it. */
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

  /** Splits a path by whether two events are the same effect: equal text, words and bytes. */
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
   * Compares lists with effects that depend on the switch's own state. If both have the same effects, the
   * other events decide. An effect of one side is a difference if the other side emits no more: in some
   * state the effect emits something (NORMAL floods, a meter lets the packet pass).
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
      const nested = new Comparison(this.#extractions, candidate => {
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

  /**
   * Outputs truncated to different lengths: long frames show the difference, and frames that are never long
   * do not.
   */
  #cut([left, ...a]: readonly Event[], [right, ...b]: readonly Event[], path: Path): boolean {
    if (left?.is !== "output" || right?.is !== "output")
      throw new Error("internal error: truncated events are not outputs");
    const least = Math.min(left.maxBytes ?? MAX_BYTES, right.maxBytes ?? MAX_BYTES);
    const { long, short } = lengthsOf(this.#extractions, path);
    const what = "max_len";
    for (const { path: one, most } of short) {
      const unknown = { feature: "truncation of a frame that ends within its tags or labels", line: 0 };
      const isWhole = most + 4 * left.wire.packet.pushed + TAGS_BYTES <= least;
      const goesOn = isWhole
        ? this.run([{ ...left, maxBytes: null }, ...a], [{ ...right, maxBytes: null }, ...b], one)
        : this.#found({ path: one, what, unknown });
      if (!goesOn) return false;
    }
    return long.every(one => this.#found({ path: one, what, unknown: null, minBytes: least + LABEL_BYTES }));
  }
}
