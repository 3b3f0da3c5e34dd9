/**
 * Answers in place of the connection tracker while a counterexample is confirmed: those that the proof found
 * for its input, in the order of the questions. Questions with the same text have one answer on both sides;
 * an input that says otherwise belongs to no tracker.
 */
import { CT, KEY, type Tracker, type TrackerRequest } from "../../openflow/index.ts";
import type { TrackerState } from "../findings.ts";
import type { Pair } from "../product/lockstep.ts";
import type { Answer } from "../symbolic/state.ts";
import type { Word } from "../symbolic/terms.ts";

export class TrackerAnswers {
  readonly #valueOf: (word: Word) => number;
  readonly #answers: readonly [readonly Answer[], readonly Answer[]];
  /** By side: the questions, and the answers that were given. */
  readonly #given: readonly [Map<string, TrackerState>, Map<string, TrackerState>] = [new Map(), new Map()];
  /** Whether an answer was impossible, or both sides got different answers to one question. */
  isContradictory = false;

  constructor({ a, b }: Pair, evaluate: (word: Word) => number) {
    this.#answers = [a.answers, b.answers];
    this.#valueOf = evaluate;
  }

  /** The tracker of one side. */
  of(side: 0 | 1): Tracker {
    let count = 0;
    return request => {
      const answer = this.#answers[side][count++];
      if (answer === undefined) return null;
      const words = new Map([...answer.words].map(([word, value]) => [word, this.#valueOf(value)]));
      this.#check(request, words, side);
      this.#given[side].set(request.history, { side: side === 0 ? "a" : "b", line: answer.line, words });
      return words;
    };
  }

  #check({ step, key, history }: TrackerRequest, words: TrackerState["words"], side: 0 | 1): void {
    const others = this.#given[side === 0 ? 1 : 0].get(history)?.words;
    const isSame = others === undefined || [...words].every(([word, value]) => others.get(word) === value);
    if (!isSame || !isInRange(step.nat, words, key)) this.isContradictory = true;
  }

  /** Whether each side asked something that the other did not: then nothing certain can be said. */
  get areQuestionsUnlike(): boolean {
    const [a, b] = this.#given;
    const isMissing = (some: Map<string, unknown>, others: Map<string, unknown>): boolean =>
      [...some.keys()].some(question => !others.has(question));
    return isMissing(a, b) && isMissing(b, a);
  }

  /** All answers that were given, in order. */
  get states(): TrackerState[] {
    const [a, b] = this.#given;
    const ofA = [...a].map(
      ([question, state]): TrackerState => (b.has(question) ? { ...state, side: "both" } : state),
    );
    return [...ofA, ...[...b].filter(([question]) => !a.has(question)).map(([, state]) => state)];
  }
}

/** Whether the address and port that a new connection got are some that its nat allows. */
function isInRange(
  nat: TrackerRequest["step"]["nat"],
  words: TrackerState["words"],
  before: Uint32Array,
): boolean {
  const state = words.get(KEY.ctState) ?? 0;
  if (nat === null || nat.range === null || (state & CT.new) === 0) return true;
  const { isIpv6, addresses, ports } = nat.range;
  const isSource = nat.side === "src";
  if ((state & (isSource ? CT.snat : CT.dnat)) === 0) return true;
  const port = words.get(isSource ? KEY.tpSrc : KEY.tpDst);
  if (port !== undefined && ports[0] > 0 && (port < ports[0] || port > ports[1])) return false;
  const [ipv6, ipv4] = isSource ? [KEY.ipv6Src, KEY.nwSrc] : [KEY.ipv6Dst, KEY.nwDst];
  const first = isIpv6 ? ipv6 : ipv4;
  let address = 0n;
  for (let word: number = first; word < first + (isIpv6 ? 4 : 1); word++)
    address = (address << 32n) | BigInt(words.get(word) ?? before[word]!);
  return addresses[0] <= address && address <= addresses[1];
}
