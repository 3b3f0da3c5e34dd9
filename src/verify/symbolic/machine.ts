/**
 * The symbolic machine: one pass over the tables after the other, step by step, as interpret/translate.ts runs them,
 * with words that are expressions. Where the way depends on the input the step is not done: a `Fork` says how the path
 * splits, and it is run again on each part. A lookup stops the machine; whoever drives it says what was hit.
 */
import {
  ACCOMPANYING_WORDS,
  endsHere,
  isNoted,
  KEY,
  leastBytesOf,
  mostBytesOf,
  ORIGIN,
  PACKET_IN_WORDS,
  type PacketInArguments,
  PLAIN_PACKET_IN,
  PORT,
  reasonOf,
  type Step,
  wordsOfEffect,
} from "../../openflow/index.ts";
import { type Path, Undecidable } from "../paths/path-condition.ts";
import { change, decremented, portOf, writeActions } from "./actions.ts";
import type { Program } from "./compiled-tables.ts";
import { isTunnel, TUNNEL_WORDS } from "./entering.ts";
import { type Readings, SNAP_WORD, Unmodelled } from "./extractions.ts";
import { type Decider, isIp, isMpls, readField, VLAN_PRESENT, widePort } from "./fields.ts";
import { keepForLater } from "./freezing.ts";
import type { Kind } from "./input-space.ts";
import { countLabels, MPLS_LABELS, popLabel, pushLabel } from "./label-stack.ts";
import { commit, EndsSwitch, isMovedByReading, POP_ENDS_SWITCH, WIRE_FROM, wireOf } from "./packet.ts";
import { bind, bindGroup, NO_SOURCE, orderBound } from "./slot-values.ts";
import {
  type Bound,
  depthOf,
  type Event,
  type Frame,
  type Left,
  NEW_PASS,
  originOf,
  type Packet,
  pushFrame,
  replaceTop,
  type Saved,
  type Source,
  type State,
  tableOf,
  topOf,
} from "./state.ts";
import { looseWord, type Segment, type Terms, type Word } from "./terms.ts";

const MAX_DEPTH = 64;
const MAX_LOOKUPS = 4096;
const MAX_STACK_BYTES = 65536;
const MAX_PORT = 0xfeff;
const ETHERNET_BYTES = 14;
/** Open vSwitch gives up beyond 64 kB of datapath actions; upper bounds of what one event and one change take there. */
const MAX_ACTION_BYTES = 65535;
const EVENT_BYTES = 160;
const COMMIT_BYTES = 1920;
const TOO_MANY_LABELS = "too many labels";

/** The way depends on which of these paths it is. */
export class Fork {
  readonly paths: readonly Path[];

  constructor(paths: readonly Path[]) {
    this.paths = paths;
  }
}

/** What a pass noted down on the way is not undone with it. */
function refuseNoted(left: readonly Left[]): void {
  const noted = left.find(one => one.is === "effect" && isNoted(one));
  if (noted?.is === "effect") throw new Unmodelled(`${noted.name} in front of an error`, noted.line);
}

type Doing<Name extends Step["do"]> = Extract<Step, { do: Name }>;

/** Runs one state along one path. */
export class Machine implements Decider {
  readonly terms: Terms;
  readonly #readings: Readings;
  readonly #program: Program;
  #path: Path;
  #state: State;
  /** The line of the step that is run. */
  #line = 0;

  constructor(readings: Readings, program: Program, state: State, path: Path) {
    this.terms = readings.terms;
    this.#readings = readings;
    this.#program = program;
    this.#state = state;
    this.#path = path;
  }

  /** The state in front of a frame that comes in, with or without what only a tunnel gives it. */
  static start(readings: Readings, side: 0 | 1, isTunnelled: boolean): State {
    const key = readings.firstKey(isTunnelled);
    const { terms } = readings;
    const packet: Packet = {
      base: key,
      read: key,
      readAs: key[KEY.dlType]!,
      content: 0,
      popped: 0,
      pushed: 0,
      types: [],
      isRelabelled: false,
      isMoved: false,
      written: new Set(),
      history: "",
    };
    return {
      ...NEW_PASS,
      side,
      flow: key.with(KEY.actsetOutput, terms.constant(PORT.unset)),
      packet,
      lookup: { table: 0, inPort: key[KEY.inPort]!, deepens: 0, isLast: true },
      stack: [],
      stackBytes: 0,
      priority: key[KEY.skbPriority]!,
      after: [],
      recirculations: 0,
      out: [],
      isDone: false,
      hits: [],
    };
  }

  is = (word: Word, mask: number, value: number): boolean => {
    if (word.value !== null) return ((word.value ^ value) & mask) === 0;
    const { yes, no } = this.#path.split([{ word, mask, value }]);
    if (yes === null) return false;
    if (no.length === 0) return true;
    throw new Fork([yes, ...no]);
  };

  isSame = (a: Word, b: Word): boolean => {
    const { yes, no } = this.#path.splitEqual(a, b);
    if (yes === null) return false;
    if (no.length === 0) return true;
    throw new Fork([yes, ...no]);
  };

  isOfKind = (content: number, test: (kind: Kind) => boolean): boolean => {
    const path = this.#path;
    let yes = 0;
    for (const [index, kind] of path.space.kinds.entries()) if (test(kind)) yes |= 1 << index;
    const kinds = path.contents[content]!;
    if ((kinds & yes) === 0) return false;
    if ((kinds & ~yes) === 0) return true;
    const of = (some: number): Path => path.with({ contents: path.contents.with(content, some) });
    throw new Fork([of(kinds & yes), of(kinds & ~yes)]);
  };

  /** Goes on to the next lookup or to the end. Leaves by a `Fork`, or `Unmodelled`. */
  run(): { state: State; path: Path } {
    try {
      while (this.#state.lookup === null && !this.#state.isDone) this.#advance();
    } catch (error) {
      if (error instanceof Undecidable) throw new Unmodelled(error.message, this.#line);
      if (!(error instanceof EndsSwitch)) throw error;
      this.#endSwitch(error.message);
    }
    return { state: this.#state, path: this.#path };
  }

  /** Nothing of this pass is put out, and nothing comes after it. */
  #endSwitch(feature: string): void {
    const state = this.#state;
    const event: Event = {
      is: "effect",
      effect: "tracks",
      name: feature,
      text: feature,
      line: this.#line,
      words: [],
      wire: null,
    };
    const out = [...state.out, event];
    this.#state = { ...state, out, left: [], after: [], frames: [], lookup: null, isDone: true };
  }

  /** The state before the step that forked, and the path with all readings. */
  get stopped(): { state: State; path: Path } {
    return { state: this.#state, path: this.#path };
  }

  #advance(): void {
    const state = this.#state;
    const top = topOf(state);
    if (state.error !== null || top === undefined) {
      this.#endPass();
      return;
    }
    switch (top.is) {
      case "steps":
        this.#advanceSteps(state, top);
        return;
      case "buckets":
        this.#nextBucket(state, top);
        return;
      case "bucket end":
        this.#endBucket(state, top);
        return;
      case "finish":
        this.#finish(state, top);
        return;
    }
  }

  #advanceSteps(state: State, top: Extract<Frame, { is: "steps" }>): void {
    const { list, index } = top;
    if (index === list.length) {
      this.#state = replaceTop(state, null);
      return;
    }
    const { step } = list[index]!;
    const mustFreeze = !state.isOver && state.wasMpls && (step.needsReparse || isTable(step));
    const now = mustFreeze ? { ...state, isOver: true, isFreezing: true } : state;
    if (now.isOver) {
      const kept = now.isFreezing ? keepForLater(now, list, index) : now;
      this.#state = replaceTop(kept, null);
      return;
    }
    this.#line = step.line;
    const rest = replaceTop(now, { ...top, index: index + 1 });
    const isLast = top.isLast && index === list.length - 1 && now.actionSet.length === 0;
    this.#state = this.#runStep(rest, list[index]!, isLast);
  }

  /** Ends the list of actions that is run. */
  #return(state: State): State {
    return replaceTop(state, null);
  }

  #runStep(state: State, bound: Bound, isLast: boolean): State {
    const { step, source } = bound;
    switch (step.do) {
      case "output":
        return this.#output(state, portOf(this, step, source), step.line);
      case "output_field":
        return this.#outputField(state, readField(this, state.flow, step.from));
      case "output_truncated":
        return this.#emit(state, this.terms.constant(step.port), state.flow[KEY.inPort]!, step.maxBytes);
      case "controller":
        return this.#packetIn(state, step.to, step.inSet === "output");
      case "enqueue":
        return this.#enqueue(state, step);
      case "group":
        return this.#group(state, step, source, isLast);
      case "resubmit":
        return this.#resubmit(state, step.port, step.table, isLast);
      case "clone":
        return this.#clone(state, step, source, isLast);
      case "dec_ttl":
        return this.#decrementTtl(state, step.controllers.length);
      case "dec_mpls_ttl":
        return this.#decrementMplsTtl(state);
      case "push_mpls":
        return this.#pushMpls(state, step.type);
      case "pop_mpls":
        return this.#popMpls(state, step.type);
      case "unknown":
        throw new Unmodelled(step.feature, step.line);
      case "nothing":
        return state;
      case "effect":
        return this.#effect(state, step);
      case "exit":
        return { ...state, isOver: true };
      default:
        return change(this, state, step, source);
    }
  }

  // --- Tables ---------------------------------------------------------------------------------------------------

  #mayLookUp(state: State): string | null {
    if (depthOf(state) >= MAX_DEPTH) return "depth";
    if (state.lookups >= MAX_LOOKUPS) return "lookups";
    if (state.actionBytes > MAX_ACTION_BYTES)
      throw new Unmodelled("about 64 kB of datapath actions", this.#line);
    return state.stackBytes >= MAX_STACK_BYTES ? "stack" : null;
  }

  #resubmit(state: State, port: number | null, table: number | null, isLast: boolean): State {
    const error = this.#mayLookUp(state);
    if (error !== null) return { ...state, error };
    const before = tableOf(state);
    const inPort =
      port === null || port === PORT.inPort ? state.flow[KEY.inPort]! : this.terms.constant(port);
    const next = table ?? before;
    return { ...state, lookup: { table: next, inPort, deepens: next <= before ? 1 : 0, isLast } };
  }

  // --- Output ---------------------------------------------------------------------------------------------------

  #committed(state: State): State {
    const packet = commit(this, state.flow, state.packet);
    const isChanged = packet.base.some((word, at) => at >= WIRE_FROM && word !== state.packet.base[at]);
    return { ...state, packet, actionBytes: state.actionBytes + (isChanged ? COMMIT_BYTES : 0) };
  }

  #leave(state: State, event: Left): State {
    return { ...state, left: [...state.left, event], actionBytes: state.actionBytes + EVENT_BYTES };
  }

  /** Whether anything runs after the step that is run, and finds the packet as it is then. */
  #goesOn({ frames, actionSet }: State): boolean {
    return (
      actionSet.length > 0 ||
      frames.some(
        frame =>
          (frame.is === "steps" && frame.index < frame.list.length) ||
          (frame.is === "buckets" && frame.index < frame.lists.length),
      )
    );
  }

  /** Puts the packet out by a port that may not be there, unless it is `notTo`. */
  #emit(state: State, port: Word, notTo: Word | null, maxBytes: number | null = null): State {
    if (!this.#hasPort(port)) return state;
    let hidden = notTo;
    if (hidden !== null) {
      const { yes, no } = this.#path.splitEqual(port, hidden);
      if (no.length === 0) return state;
      if (yes === null) hidden = null;
      // Nothing is written for a port by which the packet does not leave: what comes later may tell.
      else if (port.value !== null && this.#goesOn(state) && isWritten(state)) throw new Fork([yes, ...no]);
    }
    const next = this.#committed(state);
    const cut = maxBytes === null ? null : this.#cut(maxBytes, state.packet, next.packet);
    const wire = wireOf(next.packet);
    const leaving = this.#accompanying(next, port);
    return this.#leave(next, { is: "output", port, notTo: hidden, maxBytes: cut, wire, state: leaving });
  }

  /** Queue, mark and tunnel of an output. A port that is known to be no tunnel takes no fields of one along. */
  #accompanying({ flow }: State, port: Word): readonly Word[] {
    const isPlain = port.value !== null && isTunnel(this.#readings.space.ports, port.value) === false;
    const none = this.terms.constant(0);
    return ACCOMPANYING_WORDS.map(word => (isPlain && TUNNEL_WORDS.includes(word) ? none : flow[word]!));
  }

  /** Puts the packet out by a queue, and forgets the queue again. */
  #enqueue(state: State, { port, queue }: Doing<"enqueue">): State {
    const inPort = state.flow[KEY.inPort]!;
    const queued = { ...state, flow: state.flow.with(KEY.skbPriority, this.terms.constant(queue)) };
    const next =
      port === PORT.inPort
        ? this.#emit(queued, inPort, null)
        : this.#emit(queued, this.terms.constant(port), inPort);
    return { ...next, flow: next.flow.with(KEY.skbPriority, state.flow[KEY.skbPriority]!) };
  }

  /** The most bytes that are left: the frame is measured before it is changed, and cut afterwards. */
  #cut(maxBytes: number, before: Packet, after: Packet): number {
    const tags = ({ base }: Packet): number =>
      [KEY.vlanTci, KEY.innerVlanTci].findIndex(word => this.is(base[word]!, VLAN_PRESENT, 0));
    const count = (packet: Packet): number => {
      const at = tags(packet);
      return (at < 0 ? 2 : at) + packet.pushed - packet.popped;
    };
    const left = Math.max(ETHERNET_BYTES, maxBytes) + 4 * (count(after) - count(before));
    if (left < ETHERNET_BYTES) throw new Unmodelled("an output of less than 14 bytes", this.#line);
    return left;
  }

  #hasPort(port: Word): boolean {
    const { value } = port;
    if (value !== null) return value === PORT.local || (value > 0 && value <= MAX_PORT);
    // Ports in a flow's row are never reserved ones (probe.ts).
    if (port.segments.length === 1 && port.segments[0]!.is === "column") return !this.is(port, 0xffffffff, 0);
    if (this.is(port, 0xffffffff, PORT.local)) return true;
    if (!this.is(port, 0xffff0000, 0)) return false;
    return !this.is(port, 0xffff, 0) && !this.is(port, 0xff00, 0xff00);
  }

  #output(state: State, port: Word, line: number): State {
    const inPort = state.flow[KEY.inPort]!;
    switch (port.value) {
      case PORT.inPort:
        return this.#emit(state, inPort, null);
      case PORT.table:
        if (state.wasMpls) throw new Unmodelled("a table that is asked by a field after pop_mpls", line);
        return this.#resubmit(state, null, 0, false);
      case PORT.normal:
        return this.#putsOut(state, "NORMAL", "NORMAL", line);
      case PORT.flood:
        return this.#putsOut(state, "FLOOD", "FLOOD", line);
      case PORT.all:
        return this.#putsOut(state, "ALL", "ALL", line);
      case PORT.controller:
        return this.#packetIn(state, PLAIN_PACKET_IN, true);
      case PORT.none:
        return state;
      default:
        return this.#emit(state, port, inPort);
    }
  }

  /** A value of more than 16 bits is no port. */
  #outputField(state: State, value: readonly Segment[]): State {
    let high: readonly Segment[] = value;
    const low = this.terms.word(this.#low(value, 16));
    for (let at = 16; at < 128; at += 32) {
      high = this.#from(value, at);
      if (high.length > 0 && !this.is(this.terms.word(this.#low(high, 32)), 0xffffffff, 0)) return state;
    }
    const port = widePort(this, low);
    if (port.value === null && !this.is(port, 0xffff0000, 0))
      throw new Unmodelled("output to a reserved port that is computed", this.#line);
    return this.#output(state, port, this.#line);
  }

  #low(segments: readonly Segment[], bits: number): readonly Segment[] {
    return this.terms.slice(looseWord(segments), 0, bits);
  }

  #from(segments: readonly Segment[], at: number): readonly Segment[] {
    const width = segments.reduce((sum, { bits }) => sum + bits, 0);
    return width <= at ? [] : this.terms.slice(looseWord(segments), at, width - at);
  }

  #packetIn(state: State, arguments_: PacketInArguments, isOutput: boolean): State {
    const sent = this.#toController(state);
    const carried = PACKET_IN_WORDS.map(word => sent.flow[word]!);
    const reason = reasonOf(arguments_.reason, isOutput, originOf(state));
    const to = { ...arguments_, reason };
    return this.#leave(sent, { is: "packet_in", to, wire: wireOf(sent.packet), state: carried });
  }

  /** The datapath reads the packet on its way to the controller. What an expired TTL sends there is no part of the contract. */
  #toController(state: State): State {
    const sent = this.#committed(state);
    const snap = this.terms.atomWord(this.#readings.atom(0, SNAP_WORD));
    const isMoved = isMovedByReading(this, snap, sent.packet);
    return isMoved === sent.packet.isMoved ? sent : { ...sent, packet: { ...sent.packet, isMoved } };
  }

  #putsOut(state: State, name: string, text: string, line: number): State {
    return this.#effect(state, { effect: "puts out", name, text, reads: [], line });
  }

  /** What is not done to the packet: the same on both sides is the same. */
  #effect(
    state: State,
    { effect, name, text, reads, line }: Pick<Doing<"effect">, "effect" | "name" | "text" | "reads" | "line">,
  ): State {
    const isTracking = effect === "tracks" && name !== "meter";
    const hasBytes = effect === "puts out" || isTracking;
    const next = hasBytes ? this.#committed(state) : state;
    const values = reads.flatMap(from => this.#wordsOf(readField(this, next.flow, from)));
    const words = [...values, ...wordsOfEffect(effect, name).map(word => next.flow[word]!)];
    const wire = hasBytes ? wireOf(next.packet) : null;
    const tracked = isTracking ? { ...next, isTracked: true } : next;
    return this.#leave(tracked, { is: "effect", effect, name, text, line, words, wire });
  }

  /** A value of any width as words. */
  #wordsOf(segments: readonly Segment[]): Word[] {
    const words: Word[] = [];
    for (let at = 0; ; at += 32) {
      const rest = this.#from(segments, at);
      if (rest.length === 0) return words;
      words.push(this.terms.word(this.#low(rest, 32)));
    }
  }

  // --- Groups and copies ----------------------------------------------------------------------------------------

  #group(state: State, { group: id, line }: Doing<"group">, source: Source, isLast: boolean): State {
    const error = this.#mayLookUp(state);
    if (error !== null) return { ...state, error };
    const group = this.#program.groups.get(id);
    if (group === undefined) {
      // A switch has no flow for a group that it has not: the list of groups is missing, or of another time.
      if (source !== NO_SOURCE) throw new Unmodelled(`group ${id}, which no list of groups has`, line);
      return this.#return(state);
    }
    const lists = bindGroup(group);
    if (group.type === "select") {
      // Which bucket is taken is not known, and what a table says there is not part of the group's text.
      if (lists.some(list => !list.every(({ step }) => endsHere(step))))
        throw new Unmodelled("a select group that goes on to tables or groups", group.source.line);
      // For the hash Open vSwitch recirculates the packet, which changes what an error behind the group undoes.
      if (!isLast) throw new Unmodelled("a select group with actions behind it", group.source.line);
      if (state.recirculations > 0)
        throw new Unmodelled("a select group after a recirculation", group.source.line);
      return this.#putsOut(state, "select group", group.text.replace(/^.*?type=/, ""), line);
    }
    if (group.type !== "ff") return pushFrame(state, { is: "buckets", lists, index: 0, isLast });
    const first = group.buckets[0];
    if (first === undefined) return state;
    if (first.watchPort !== null || first.watchGroup !== null)
      throw new Unmodelled("liveness of a fast failover group", group.source.line);
    return pushFrame(state, { is: "buckets", lists: lists.slice(0, 1), index: 0, isLast });
  }

  #nextBucket(state: State, top: Extract<Frame, { is: "buckets" }>): void {
    const list = top.lists[top.index];
    if (list === undefined) {
      this.#state = replaceTop(state, null);
      return;
    }
    const { flow, wasMpls } = state;
    const table = tableOf(state);
    const depth = depthOf(state) + 1;
    const next = replaceTop(state, { ...top, index: top.index + 1 });
    const inside = pushFrame(next, { is: "bucket end", flow, wasMpls });
    const isLast = top.isLast && top.index === top.lists.length - 1;
    const origin = originOf(state) | ORIGIN.bucket;
    const steps: Frame = { is: "steps", list: orderBound(list), index: 0, table, depth, isLast, origin };
    this.#state = pushFrame(inside, steps);
  }

  #endBucket(state: State, top: Extract<Frame, { is: "bucket end" }>): void {
    const after = state.isFreezing ? this.#finishFreezing(state) : state;
    this.#state = { ...replaceTop(after, null), flow: top.flow, wasMpls: top.wasMpls, isOver: false };
  }

  /** A clone has its own stack and action set: in 3.1 a copy of the one outside, later an empty one. One that ends everything is never copied. */
  #clone(state: State, step: Doing<"clone">, source: Source, isLast: boolean): State {
    const isCopied = step.isCopied && !isLast;
    const before = isCopied ? this.#committed(state) : state;
    const { stack, actionSet, flow, packet, wasMpls } = before;
    const saved: Saved = { stack, actionSet, flow, copied: isCopied ? { packet, wasMpls } : null };
    const own = this.#program.behaviour.clonesActionSet ? actionSet : [];
    const inside = pushFrame({ ...before, actionSet: own }, { is: "finish", isLast: false, saved });
    const [table, depth] = [tableOf(state), depthOf(state)];
    return pushFrame(inside, {
      is: "steps",
      list: bind(step.steps, source),
      index: 0,
      table,
      depth,
      isLast: isCopied || isLast,
      origin: originOf(state),
    });
  }

  // --- Ends -----------------------------------------------------------------------------------------------------

  #finish(state: State, top: Extract<Frame, { is: "finish" }>): void {
    if (!top.isLast && !state.isFreezing) {
      const list = orderBound(state.actionSet);
      const next = replaceTop({ ...state, actionSet: [] }, { ...top, isLast: true });
      const [table, depth] = [tableOf(state), depthOf(state)];
      const before = originOf(state);
      // Open vSwitch has one flag for it: the end of this one ends the one around it, too.
      if (list.length > 0 && (before & ORIGIN.set) !== 0)
        throw new Unmodelled("an action set of a clone within another action set", this.#line);
      const origin = before | ORIGIN.set;
      this.#state = pushFrame(next, { is: "steps", list, index: 0, table, depth, isLast: true, origin });
      return;
    }
    const after = state.isFreezing ? this.#finishFreezing(state) : state;
    const next = replaceTop(after, null);
    this.#state = restored(next, top.saved);
  }

  /** Hands the packet as it is by now to a later pass. Only a bucket goes on after that: a clone that froze ends all. */
  #finishFreezing(state: State): State {
    if (state.isTracked) throw new Unmodelled("a packet that is read again behind ct", this.#line);
    const steps = (list: readonly Bound[]): Step[] => list.map(({ step }) => step);
    if (mostBytesOf(steps(state.actionSet)) > leastBytesOf(steps(state.frozen)))
      throw new Unmodelled("an action set that makes Open vSwitch end itself after pop_mpls", this.#line);
    const next = this.#committed(state);
    const { frozen: list, stack, actionSet, flow: key, packet, recirculations } = next;
    const frozen = { list, stack, actionSet, key, packet, recirculations };
    const left = this.#leave(next, { is: "recirculate", frozen });
    return { ...left, frozen: [], frozenTable: -1, isFreezing: false };
  }

  /** What the pass left is put out in order, and packets that are to be read anew are. An error undoes the pass. */
  #endPass(): void {
    const state = this.#state;
    // What the second pass put out is then sometimes lost, and sometimes not.
    if (state.error !== null && state.recirculations > 1)
      throw new Unmodelled("an error after two recirculations", this.#line);
    if (state.error !== null) refuseNoted(state.left);
    const all = [...(state.error === null ? state.left : []), ...state.after];
    const out = [...state.out];
    for (const [index, left] of all.entries()) {
      if (left.is !== "recirculate") {
        out.push(left);
        continue;
      }
      if (left.frozen.recirculations >= this.#program.behaviour.recirculations) continue;
      this.#thaw({ ...state, out }, left.frozen, all.slice(index + 1));
      return;
    }
    this.#state = { ...state, out, left: [], after: [], frames: [], lookup: null, isDone: true };
  }

  #thaw(
    state: State,
    { list, stack, actionSet, key: frozen, packet: before, recirculations }: FrozenOf,
    after: readonly Left[],
  ): void {
    const { key, packet } = this.#readings.readAgain(this, before, list[0]?.step.line ?? 0);
    this.#path = this.#path.with({ contents: this.#readings.contentsWith(this.#path.contents) });
    for (let word: number = KEY.skbPriority; word < KEY.ctState; word++) key[word] = frozen[word]!;
    key[KEY.actsetOutput] = this.terms.constant(PORT.unset);
    const inPort = key[KEY.inPort]!;
    const fresh: State = {
      ...state,
      ...NEW_PASS,
      flow: key,
      packet,
      after,
      stack,
      stackBytes: stack.reduce((sum, { bytes }) => sum + bytes, 0),
      priority: key[KEY.skbPriority]!,
      recirculations: recirculations + 1,
    };
    const next = writeActions(this, fresh, actionSet);
    this.#state =
      list.length > 0
        ? pushFrame(next, { is: "steps", list, index: 0, table: 0, depth: 0, isLast: true, origin: 0 })
        : { ...next, lookup: { table: 0, inPort, deepens: 0, isLast: true } };
  }

  // --- Labels and TTLs ------------------------------------------------------------------------------------------

  #pushMpls(state: State, type: number): State {
    const count = countLabels(this, state.flow);
    if (count >= MPLS_LABELS) return this.#tooMany(state, false);
    const next = count === 0 ? this.#committed(state) : state;
    return { ...next, flow: pushLabel(this, next.flow, count, type) };
  }

  #popMpls(state: State, type: number): State {
    const count = countLabels(this, state.flow);
    const flow = popLabel(this, state.flow, count, type);
    if (flow !== null) return { ...state, flow, wasMpls: state.wasMpls || !isMplsType(type) };
    return count >= MPLS_LABELS ? this.#tooMany(state, true) : state;
  }

  /** Undoes the pass; within a bucket only the rest of the bucket, and, when a pop failed, what was put out before. */
  #tooMany(state: State, isEmptied: boolean): State {
    const isInCopy = state.frames.some(frame => frame.is === "finish" && frame.saved?.copied);
    if (isEmptied && isInCopy) throw new EndsSwitch(POP_ENDS_SWITCH);
    const bucket = state.frames.findLastIndex(({ is }) => is === "bucket end");
    if (bucket < 0) return { ...state, error: TOO_MANY_LABELS };
    if (isEmptied) refuseNoted(state.left);
    let next: State = { ...state, left: isEmptied ? [] : state.left };
    // Clones in it give back what they have taken.
    for (const frame of state.frames.slice(bucket + 1).toReversed())
      if (frame.is === "finish") next = restored(next, frame.saved);
    return { ...next, frames: state.frames.slice(0, bucket + 1) };
  }

  #decrementTtl(state: State, controllerCount: number): State {
    const { flow } = state;
    if (!isIp(this, flow)) return state;
    const ttl = flow[KEY.nwTtl]!;
    const less = decremented(this, ttl, 0, this.#line);
    if (less !== null) return { ...state, flow: flow.with(KEY.nwTtl, less) };
    let next = state;
    for (let i = 0; i < controllerCount; i++) next = this.#toController(next);
    return this.#return(next);
  }

  #decrementMplsTtl(state: State): State {
    const { flow } = state;
    if (!isMpls(this, flow)) return this.#return(state);
    const less = decremented(this, flow[KEY.mplsLse]!, 0, this.#line);
    if (less !== null) return { ...state, flow: flow.with(KEY.mplsLse, less) };
    return this.#return(this.#toController(state));
  }
}

type FrozenOf = Extract<Left, { is: "recirculate" }>["frozen"];

const isTable = (step: Step): boolean => step.do === "output" && step.port === PORT.table;
const isMplsType = (type: number): boolean => type === 0x8847 || type === 0x8848;

/** The state with what a clone gives back. */
function restored(state: State, saved: Saved | null): State {
  if (saved === null) return state;
  const { stack, actionSet, flow, copied } = saved;
  const stackBytes = stack.reduce((sum, { bytes }) => sum + bytes, 0);
  return { ...state, stack, stackBytes, actionSet, flow, ...copied };
}

/** Whether putting the packet out would write more to it than MAC addresses. */
const isWritten = ({ flow, packet: { base } }: State): boolean =>
  base.some((word, at) => at >= KEY.dlType && word !== flow[at]);
