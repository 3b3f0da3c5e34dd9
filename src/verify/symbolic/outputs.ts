/**
 * Events that leave the symbolic machine: outputs, packet-ins and effects. Before each of them, packet.ts
 * commits the flow key to the packet's bytes. Byte counts are upper bounds of the datapath actions in Open
 * vSwitch.
 */
import {
  ACCOMPANYING_WORDS,
  KEY,
  PACKET_IN_WORDS,
  type PacketInArguments,
  PORT,
  reasonOf,
  type Step,
  wordsOfEffect,
} from "../../openflow/index.ts";
import { type Decider, Unmodelled } from "./decider.ts";
import { isTunnel, TUNNEL_WORDS } from "./entering.ts";
import { SNAP_WORD } from "./extractions.ts";
import { readField, VLAN_PRESENT, widePort } from "./fields.ts";
import type { MachineContext } from "./machine-context.ts";
import { commit, isMovedByExtraction, WIRE_FROM, wireOf } from "./packet.ts";
import { type Left, originOf, type Packet, type State } from "./state.ts";
import { looseWord, type Segment, type Terms, type Word } from "./terms.ts";

const MAX_PORT = 0xfeff;
const ETHERNET_BYTES = 14;
/** Upper bounds of the datapath actions, in bytes of Netlink attributes, for one event and for one commit. */
const EVENT_BYTES = 160;
const COMMIT_BYTES = 1920;
type Doing<Name extends Step["do"]> = Extract<Step, { do: Name }>;

export class Outputs {
  readonly #context: MachineContext;
  readonly #by: Decider;

  constructor(context: MachineContext) {
    this.#context = context;
    this.#by = context.by;
  }

  committed(state: State): State {
    if (state.isTranslated) throw new Unmodelled("a packet that goes on behind ct(nat)", this.#context.line);
    const packet = commit(this.#by, state.flow, state.packet);
    const isChanged = packet.base.some((word, at) => at >= WIRE_FROM && word !== state.packet.base[at]);
    return { ...state, packet, actionBytes: state.actionBytes + (isChanged ? COMMIT_BYTES : 0) };
  }

  /** Emits the packet on `port`, unless the port does not exist or equals `notTo`. */
  emit(state: State, port: Word, notTo: Word | null, maxBytes: number | null = null): State {
    if (!this.#hasPort(port)) return state;
    let hidden = notTo;
    if (hidden !== null) {
      // No bytes are committed for a port that is suppressed; a later output could reveal the difference.
      const isRevealed = port.value !== null && goesOn(state) && isWritten(state);
      const isHidden = this.#by.compare(port, hidden, isRevealed);
      if (isHidden === true) return state;
      if (isHidden === false) hidden = null;
    }
    const next = this.committed(state);
    const cut = maxBytes === null ? null : this.#cut(maxBytes, state.packet, next.packet);
    const wire = wireOf(next.packet);
    const leaving = this.#accompanying(next, port);
    return this.leave(next, { is: "output", port, notTo: hidden, maxBytes: cut, wire, state: leaving });
  }

  /** Emits the packet with a queue, then restores the queue. */
  enqueue(state: State, { port, queue }: Doing<"enqueue">): State {
    const inPort = state.flow[KEY.inPort]!;
    const queued = { ...state, flow: state.flow.with(KEY.skbPriority, this.#by.terms.constant(queue)) };
    const next =
      port === PORT.inPort
        ? this.emit(queued, inPort, null)
        : this.emit(queued, this.#by.terms.constant(port), inPort);
    return { ...next, flow: next.flow.with(KEY.skbPriority, state.flow[KEY.skbPriority]!) };
  }

  /** The port that a field names; null if the value exceeds 16 bits, which is not a port. */
  portOfField(value: readonly Segment[]): Word | null {
    let high: readonly Segment[] = value;
    const low = this.#by.terms.word(lowBits(this.#by.terms, value, 16));
    for (let at = 16; at < 128; at += 32) {
      high = highBits(this.#by.terms, value, at);
      if (
        high.length > 0 &&
        !this.#by.is(this.#by.terms.word(lowBits(this.#by.terms, high, 32)), 0xffffffff, 0)
      )
        return null;
    }
    const port = widePort(this.#by, low);
    if (port.value === null && !this.#by.is(port, 0xffff0000, 0))
      throw new Unmodelled("output to a reserved port that a field names", this.#context.line);
    return port;
  }

  packetIn(state: State, arguments_: PacketInArguments, isOutput: boolean): State {
    const sent = this.toController(state);
    const carried = PACKET_IN_WORDS.map(word => sent.flow[word]!);
    const reason = reasonOf(arguments_.reason, isOutput, originOf(state));
    const to = { ...arguments_, reason };
    return this.leave(sent, { is: "packet_in", to, wire: wireOf(sent.packet), state: carried });
  }

  /**
   * The datapath extracts the packet again on its way to the controller. A packet-in for an expired TTL is
   * not compared.
   */
  toController(state: State): State {
    const sent = this.committed(state);
    const snap = this.#by.terms.atomWord(this.#context.extractions.atom(0, SNAP_WORD));
    const isMoved = isMovedByExtraction(this.#by, snap, sent.packet);
    return isMoved === sent.packet.isMoved ? sent : { ...sent, packet: { ...sent.packet, isMoved } };
  }

  putsOut(state: State, name: string, text: string, line: number): State {
    return this.effect(state, { effect: "puts out", name, text, reads: [], line });
  }

  /** Records an effect that does not change the packet. Equal effects count as equal outcomes. */
  effect(
    state: State,
    { effect, name, text, reads, line }: Pick<Doing<"effect">, "effect" | "name" | "text" | "reads" | "line">,
  ): State {
    const isTracking = effect === "tracks" && name !== "meter";
    const hasBytes = effect === "puts out" || isTracking;
    const next = hasBytes ? this.committed(state) : state;
    const values = reads.flatMap(from => this.#wordsOf(readField(this.#by, next.flow, from)));
    const words = [...values, ...wordsOfEffect(effect, name).map(word => next.flow[word]!)];
    // The tracker does not look at all bytes (TRACKED_WORDS).
    const isTracker = name === "ct";
    const wire = hasBytes && !isTracker ? wireOf(next.packet) : null;
    const tracked = isTracking ? { ...next, isTracked: true } : next;
    const whole = isTracker ? `${text}${shapeOf(next.packet)}` : text;
    return this.leave(tracked, { is: "effect", effect, name, text: whole, line, words, wire });
  }

  leave(state: State, event: Left): State {
    return { ...state, left: [...state.left, event], actionBytes: state.actionBytes + EVENT_BYTES };
  }

  /** The accompanying words of an output. Tunnel fields are zero for a port that is not a tunnel. */
  #accompanying({ flow }: State, port: Word): readonly Word[] {
    const isPlain =
      port.value !== null && isTunnel(this.#context.extractions.space.ports, port.value) === false;
    const none = this.#by.terms.constant(0);
    return ACCOMPANYING_WORDS.map(word => (isPlain && TUNNEL_WORDS.includes(word) ? none : flow[word]!));
  }

  /**
   * The length after truncation: Open vSwitch measures the frame before the changes and truncates after
   * them.
   */
  #cut(maxBytes: number, before: Packet, after: Packet): number {
    const tags = ({ base }: Packet): number =>
      [KEY.vlanTci, KEY.innerVlanTci].findIndex(word => this.#by.is(base[word]!, VLAN_PRESENT, 0));
    const count = (packet: Packet): number => {
      const at = tags(packet);
      return (at < 0 ? 2 : at) + packet.pushed - packet.popped;
    };
    const left = Math.max(ETHERNET_BYTES, maxBytes) + 4 * (count(after) - count(before));
    if (left < ETHERNET_BYTES) throw new Unmodelled("an output of less than 14 bytes", this.#context.line);
    return left;
  }

  #hasPort(port: Word): boolean {
    const { value } = port;
    if (value !== null) return value === PORT.local || (value > 0 && value <= MAX_PORT);
    // A port in a slot is never a reserved port (infer-slots.ts).
    if (port.segments.length === 1 && port.segments[0]!.is === "column")
      return !this.#by.is(port, 0xffffffff, 0);
    if (this.#by.is(port, 0xffffffff, PORT.local)) return true;
    if (!this.#by.is(port, 0xffff0000, 0)) return false;
    return !this.#by.is(port, 0xffff, 0) && !this.#by.is(port, 0xff00, 0xff00);
  }

  /** A value of any width as 32-bit words. */
  #wordsOf(segments: readonly Segment[]): Word[] {
    const words: Word[] = [];
    for (let at = 0; ; at += 32) {
      const rest = highBits(this.#by.terms, segments, at);
      if (rest.length === 0) return words;
      words.push(this.#by.terms.word(lowBits(this.#by.terms, rest, 32)));
    }
  }
}

/** What beside the words of a packet decides whether its checksums hold. */
const shapeOf = ({ history, extraction, popped, pushed }: Packet): string =>
  ` ${extraction} ${popped} ${pushed}${history}`;

function lowBits(terms: Terms, segments: readonly Segment[], bits: number): readonly Segment[] {
  return terms.slice(looseWord(segments), 0, bits);
}

function highBits(terms: Terms, segments: readonly Segment[], at: number): readonly Segment[] {
  const width = segments.reduce((sum, { bits }) => sum + bits, 0);
  return width <= at ? [] : terms.slice(looseWord(segments), at, width - at);
}

/** Whether a later step still runs and sees the packet. */
function goesOn({ frames, actionSet }: State): boolean {
  return (
    actionSet.length > 0 ||
    frames.some(
      frame =>
        (frame.is === "steps" && frame.index < frame.list.length) ||
        (frame.is === "buckets" && frame.index < frame.lists.length),
    )
  );
}

/** Whether a commit would write more than MAC addresses. */
const isWritten = ({ flow, packet: { base } }: State): boolean =>
  base.some((word, at) => at >= KEY.dlType && word !== flow[at]);
