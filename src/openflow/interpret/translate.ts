/**
 * One pass over the tables: from a flow key to datapath actions, as ofproto/ofproto-dpif-xlate.c of Open vSwitch 3.1
 * does it, and ovs-actions(7) describes it. It sees the key only, never the bytes, so that its outcome holds for every
 * packet with the same key. `flow` is what the actions have made of the key, `base` what the datapath actions so far
 * make of the packet; commit.ts closes the gap when the packet is put out.
 *
 * A packet that must be read anew (its labels are gone) is *frozen*: the rest of the work becomes part of a datapath
 * action, and is taken up by another pass. An error anywhere, a fourth label or a loop, undoes the whole pass.
 */
import { type Flow, PORT } from "../ast.ts";
import type { Demanded, Field } from "../fields.ts";
import { KEY, KEY_WORDS } from "../flow-key.ts";
import { orderActionSet } from "./action-set.ts";
import { leastBytesOf, mostBytesOf } from "./action-sizes.ts";
import { type Hit, NO_CLAUSES, newHit } from "./classifier.ts";
import { commit } from "./commit.ts";
import {
  ACCOMPANYING_WORDS,
  type Effect,
  type FeatureAt,
  isNoted,
  PACKET_IN_WORDS,
  type PacketInArguments,
  type Step,
  unrollStep,
  wordsOfEffect,
} from "./compile-actions.ts";
import type { HeaderAction } from "./datapath.ts";
import { FRAGMENT, isIpType, isMplsType, MPLS_LABELS, VLAN_PRESENT } from "./extract.ts";
import {
  HOLDS,
  HOLDS_BY,
  readSubfield,
  type Words,
  widePort,
  writeMasked,
  writeSubfield,
} from "./field-access.ts";
import { countLabels, popLabel, pushLabel } from "./mpls.ts";
import type { BucketEntry, GroupEntry, Ruleset } from "./ruleset.ts";

/** Levels of lookups that go to the same or an earlier table, lookups in all, bytes of stack. */
const MAX_DEPTH = 64;
const MAX_LOOKUPS = 4096;
const MAX_STACK_BYTES = 65536;
/** Open vSwitch gives up beyond 64 kB of datapath actions; these are upper bounds of what one action takes there. */
const MAX_ACTION_BYTES = 65535;
const OUTPUT_BYTES = 8;
const HEADER_ACTION_BYTES = 120;
const PACKET_IN_BYTES = 160;

/** What a pass leaves for the next one. */
export interface Frozen {
  /** Number of its own, for caches. */
  readonly id: number;
  readonly steps: readonly Step[];
  readonly stack: readonly StackItem[];
  readonly actionSet: readonly Step[];
  /** The metadata words of the key. */
  readonly key: Uint32Array;
}

interface StackItem {
  readonly value: Words;
  readonly bytes: number;
}

export type DatapathAction =
  | HeaderAction
  /** `state`: queue, mark and tunnel (ACCOMPANYING_WORDS); null when all are zero. */
  | { readonly do: "output"; readonly port: number; readonly state: Uint32Array | null }
  /**
   * The whole packet: Open vSwitch keeps no buffers and so heeds no max_len. `state`: the metadata (PACKET_IN_WORDS).
   * `isExpired`: by a TTL that is used up, and not by an action that sends packets to the controller.
   */
  | {
      readonly do: "packet_in";
      readonly to: PacketInArguments;
      readonly isExpired: boolean;
      readonly state: Uint32Array;
      readonly line: number;
    }
  | ({ readonly do: "effect" } & EffectAt)
  | { readonly do: "recirculate"; readonly frozen: Frozen }
  | { readonly do: "clone"; readonly actions: readonly DatapathAction[] };

/** An effect beside the packet. Two with the same `key` are the same. */
export interface EffectAt {
  readonly effect: Effect;
  readonly name: string;
  /** The action with its arguments. */
  readonly text: string;
  readonly key: string;
  readonly line: number;
}

/** A lookup: the table and the flow that was found, null for none. */
export interface TableHit {
  readonly table: number;
  readonly flow: Flow | null;
  /** The flows whose conjunction actions led to it; absent where it matched by itself. */
  readonly clauses?: readonly Flow[];
}

/** Two flows that can be found for the same packet and differ: of one priority, or by conjunctive matches of one. */
export interface Ambiguity {
  readonly table: number;
  readonly flows: readonly [Flow, Flow];
  /** The flows with conjunction actions whose order decides; absent where both match by themselves. */
  readonly clauses?: readonly Flow[];
}

/** The outcome of a pass. With anything in `unknown` or `ambiguous` the actions mean nothing. */
export interface Translation {
  readonly actions: readonly DatapathAction[];
  /** Why the frame is dropped although there were actions; null when it is not. */
  readonly error: string | null;
  readonly unknown: readonly FeatureAt[];
  readonly ambiguous: readonly Ambiguity[];
  readonly tables: readonly TableHit[];
}

let frozenCount = 0;

/** Arrays of KEY_WORDS words that a pass works upon; they need not hold anything. */
export interface Scratch {
  readonly base: Uint32Array;
  /** Afterwards: the bits of the key as it was given that the outcome may depend on. All others may be anything. */
  readonly reads: Uint32Array;
}

export const newScratch = (): Scratch => ({
  base: new Uint32Array(KEY_WORDS),
  reads: new Uint32Array(KEY_WORDS),
});

/** Looks on while a packet crosses the tables. Keys are the pass's own and change later. */
export interface Watcher {
  /** A lookup, and the key as it was then. */
  lookedUp(hit: TableHit, key: Uint32Array): void;
  /** The packet leaves by a port, as it is now. */
  putOut(port: number, key: Uint32Array): void;
  /** The packet was read anew, its labels having been popped. */
  readAgain(frame: Uint8Array, key: Uint32Array): void;
}

/** Translates a key that came in from a port, or with `thaw` one that was read anew. The key is worked upon too. */
export function translate(
  rules: Ruleset,
  key: Uint32Array,
  scratch: Scratch,
  thaw: Frozen | null,
  watcher: Watcher | null = null,
): Translation {
  return new Pass(rules, key, scratch, watcher).run(thaw);
}

type EffectOf = Pick<Extract<Step, { do: "effect" }>, "effect" | "name" | "text" | "reads" | "line">;

const putsOut = (name: string, line: number): EffectOf => ({
  effect: "puts out",
  name,
  text: name,
  reads: [],
  line,
});

/** As `actions=CONTROLLER` has it. */
export const PLAIN_PACKET_IN: PacketInArguments = {
  reason: "action",
  id: 0,
  maxBytes: 0xffff,
  userdata: null,
};
export const EXPIRED: PacketInArguments = { ...PLAIN_PACKET_IN, reason: "invalid_ttl" };

/**
 * The kind of list that runs, as bits: a bucket's, the action set or a table called from it, and that of a flow of
 * priority 0 that matches everything. The reason of a packet-in depends on it.
 */
export const ORIGIN = { bucket: 1, set: 2, miss: 4 } as const;

/** Whether a packet that meets this flow counts as a miss (rule_is_table_miss of ofproto/ofproto-provider.h). */
export const isTableMiss = ({ priority, match }: Pick<Flow, "priority" | "match">): boolean =>
  priority === 0 && match.length === 0;

/** The reason that Open vSwitch gives (xlate_output_action, xlate_controller_action). `isOutput`: no controller() with arguments. */
export function reasonOf(reason: string, isOutput: boolean, origin: number): string {
  if (isOutput && (origin & ORIGIN.bucket) !== 0) return "group";
  if (isOutput && (origin & ORIGIN.set) !== 0) return "action_set";
  return reason === "action" && (origin & ORIGIN.miss) !== 0 ? "no_match" : reason;
}

function notedIn(
  actions: readonly DatapathAction[],
): { readonly name: string; readonly line: number } | null {
  for (const action of actions) {
    if (action.do === "effect" && isNoted(action)) return action;
    const inside = action.do === "clone" ? notedIn(action.actions) : null;
    if (inside !== null) return inside;
  }
  return null;
}

const TYPE_AND_PROTOCOL = [KEY.dlType, KEY.nwProto];
const LABEL_WORDS = [KEY.mplsLse, KEY.mplsLse + 1, KEY.mplsLse + 2];
const TAG_WORDS = [KEY.vlanTci, KEY.innerVlanTci];
const PORT_WORDS = [KEY.tpSrc, KEY.tpDst];

/** Words that go into a packet together: whoever writes one of them makes the outcome depend on all. */
const WRITTEN_TOGETHER: ReadonlyMap<number, readonly number[]> = new Map(
  [[KEY.dlType, ...LABEL_WORDS], TAG_WORDS, PORT_WORDS].flatMap(words => words.map(word => [word, words])),
);

class Pass implements Translation {
  readonly unknown: FeatureAt[] = [];
  readonly ambiguous: Ambiguity[] = [];
  readonly tables: TableHit[] = [];
  actions: DatapathAction[] = [];
  error: string | null = null;

  readonly #rules: Ruleset;
  #flow: Uint32Array;
  #base: Uint32Array;
  #table = 0;
  #depth = 0;
  #lookups = 0;
  #actionBytes = 0;
  /** Of the step that runs. */
  #line = 0;
  /** Bits of ORIGIN; a list that was frozen has none. */
  #origin = 0;
  /** Clones around it that the datapath carries out on a copy. */
  #copyDepth = 0;
  #stack: StackItem[] = [];
  #stackBytes = 0;
  #actionSet: Step[] = [];
  #actionSetHasGroup = false;
  /** Nothing more runs: after exit, while freezing, and when the outcome is undecided. */
  #isOver = false;
  #isFreezing = false;
  #isThawed = false;
  #wasMpls = false;
  /** The datapath tracks the packet's connection by now, which the key shows once the packet is read again. */
  #isTracked = false;
  #frozen: Step[] = [];
  #frozenTable = -1;
  readonly #hit: Hit = newHit();
  readonly #priority: number;
  readonly #reads: Uint32Array;
  readonly #watcher: Watcher | null;
  /** Whether the key was changed at all, and whether a label wiped the layers behind it. */
  #isWritten = false;
  #isWiped = false;

  constructor(rules: Ruleset, key: Uint32Array, { base, reads }: Scratch, watcher: Watcher | null) {
    this.#rules = rules;
    this.#flow = key;
    this.#base = base;
    base.set(key);
    this.#reads = reads.fill(0);
    this.#watcher = watcher;
    this.#priority = key[KEY.skbPriority]!;
  }

  run(thaw: Frozen | null): Translation {
    this.#read(KEY.inPort);
    this.#flow[KEY.actsetOutput] = PORT.unset;
    if (thaw !== null) {
      this.#isThawed = true;
      this.#stack = [...thaw.stack];
      this.#stackBytes = thaw.stack.reduce((sum, { bytes }) => sum + bytes, 0);
      this.#writeActions(thaw.actionSet);
    }
    // Without steps a thawed packet starts at table 0 again.
    if (thaw !== null && thaw.steps.length > 0) this.#runSteps(thaw.steps, true);
    else this.#lookUp(0, this.#flow[KEY.inPort]!, 0, true);
    this.#finish();
    if (this.error !== null) this.#undo();
    return this;
  }

  /** An error undoes what the pass does, but not what was noted down on the way: addresses that NORMAL saw, flows. */
  #undo(): void {
    const noted = notedIn(this.actions);
    if (noted !== null) this.#giveUp(`${noted.name} in front of an error`, noted.line);
    this.actions = [];
  }

  /** The end of the packet's way: the action set, or the freezer. */
  #finish(): void {
    if (this.error !== null || this.#isUndecided()) return;
    if (!this.#isFreezing) this.#runActionSet();
    if (this.#isFreezing) this.#finishFreezing();
  }

  #isUndecided(): boolean {
    return this.unknown.length > 0 || this.ambiguous.length > 0;
  }

  /** Ends the pass: its outcome depends on `feature`. */
  #giveUp(feature: string, line: number): void {
    this.unknown.push({ feature, line });
    this.#isOver = true;
  }

  // --- What the outcome depends on ------------------------------------------------------------------------------

  #read(word: number): void {
    this.#reads[word] = 0xffffffff;
  }

  #readAll(words: readonly number[]): void {
    for (const word of words) this.#read(word);
  }

  #readField({ place }: Field): void {
    const count = Math.ceil((place!.shift + place!.bits) / 32);
    for (let word = place!.word; word < place!.word + count; word++) this.#read(word);
  }

  /** A field that is written is compared with what the packet has, and so read. */
  #write(field: Field): void {
    this.#isWritten = true;
    this.#readField(field);
    this.#readAll(WRITTEN_TOGETHER.get(field.place!.word) ?? []);
  }

  #holds(prerequisite: Demanded): boolean {
    this.#readAll(HOLDS_BY[prerequisite]);
    return HOLDS[prerequisite](this.#flow);
  }

  // --- Steps ----------------------------------------------------------------------------------------------------

  /** Runs a list of actions. `return` in it ends this list only. `isLast`: nothing is to come behind it. */
  #runSteps(steps: readonly Step[], isLast: boolean): void {
    for (let index = 0; index < steps.length; index++) {
      const step = steps[index]!;
      if (this.error !== null || this.#isUndecided()) return;
      if (step.needsReparse && this.#wasMpls && !this.#isOver) this.#freeze();
      if (this.#isOver) {
        if (this.#isFreezing) this.#keepForLater(steps, index);
        return;
      }
      const isDone = this.#runStep(
        step,
        isLast && index === steps.length - 1 && this.#actionSet.length === 0,
      );
      // A lookup that froze keeps its own rest; what stopped on the way to it, or any other step, is run again later.
      if (step.do === "resubmit") continue;
      if (isDone) return;
      if (this.#isFreezing && this.#frozen.length === 0) {
        this.#keepForLater(steps, index);
        return;
      }
    }
  }

  /** Runs one step; true when the rest of its list is not to run. */
  #runStep(step: Step, isLast: boolean): boolean {
    const flow = this.#flow;
    this.#line = step.line;
    switch (step.do) {
      case "output":
        this.#output(step.port, step.line);
        return false;
      case "output_field":
        this.#readField(step.from.field);
        this.#outputField(readSubfield(flow, step.from), step.line);
        return false;
      case "output_truncated":
        this.#outputTruncated(step.port, step.maxBytes);
        return false;
      case "controller":
        this.#packetIn(step.to, step.inSet === "output");
        return false;
      case "enqueue":
        this.#enqueue(step.port, step.queue);
        return false;
      case "group":
        return this.#runGroup(step.group, step.line, isLast);
      case "resubmit":
        this.#resubmit(step.port, step.table, step.line, isLast);
        return false;
      case "clone":
        this.#clone(step.steps, step.isCopied && !isLast, isLast);
        return false;
      case "dec_ttl":
        return this.#decrementTtl(step.controllers);
      case "dec_mpls_ttl":
        return this.#decrementMplsTtl();
      case "push_mpls":
        this.#pushMpls(step.type);
        return false;
      case "pop_mpls":
        this.#popMpls(step.type);
        return false;
      case "unknown":
        this.#giveUp(step.feature, step.line);
        return true;
      case "nothing":
        return false;
      case "effect":
        this.#effect(step);
        return false;
      case "exit":
        this.#isOver = true;
        return false;
      default:
        this.#change(step);
        return false;
    }
  }

  /** The steps that change the key, and nothing else. */
  #change(step: Step): void {
    const flow = this.#flow;
    switch (step.do) {
      case "set":
        if (!this.#holds(step.prerequisite)) return;
        this.#write(step.field);
        writeMasked(flow, step.field, step.value, step.mask);
        return;
      case "move":
        if (!this.#holds(step.to.field.prerequisite) || !this.#holds(step.from.field.prerequisite)) return;
        this.#readField(step.from.field);
        this.#write(step.to.field);
        writeSubfield(flow, step.to, readSubfield(flow, step.from));
        return;
      case "push":
        this.#readField(step.from.field);
        this.#push(readSubfield(flow, step.from), step.from.bits);
        return;
      case "pop":
        this.#pop(step);
        return;
      case "push_vlan":
        this.#writeTags();
        flow[KEY.innerVlanTci] = flow[KEY.vlanTci]!;
        flow[KEY.vlanTci] = (step.type << 16) | VLAN_PRESENT;
        return;
      case "pop_vlan":
        this.#writeTags();
        popTag(flow);
        return;
      case "set_queue":
        flow[KEY.skbPriority] = step.queue;
        return;
      case "pop_queue":
        flow[KEY.skbPriority] = this.#priority;
        return;
      case "write_actions":
        this.#writeActions(step.steps);
        return;
      case "clear_actions":
        this.#actionSet = [];
        this.#actionSetHasGroup = false;
        flow[KEY.actsetOutput] = PORT.unset;
        return;
      case "unroll":
        this.#table = step.table;
        return;
    }
  }

  #writeTags(): void {
    this.#isWritten = true;
    this.#readAll(TAG_WORDS);
  }

  #writeLabels(): void {
    this.#isWritten = true;
    this.#read(KEY.dlType);
    this.#readAll(LABEL_WORDS);
  }

  // --- Tables ---------------------------------------------------------------------------------------------------

  /** False, with an error, when there have been too many lookups or too much on the stack. */
  #mayLookUp(line: number): boolean {
    if (this.#depth >= MAX_DEPTH) this.error = `over ${MAX_DEPTH} levels of resubmit`;
    else if (this.#lookups >= MAX_LOOKUPS) this.error = `over ${MAX_LOOKUPS} resubmits`;
    else if (this.#stackBytes >= MAX_STACK_BYTES) this.error = "over 64 kB of stack";
    else if (this.#actionBytes > MAX_ACTION_BYTES) this.#giveUp("about 64 kB of datapath actions", line);
    else return true;
    return false;
  }

  #resubmit(port: number | null, table: number | null, line: number, isLast: boolean): void {
    if (this.#wasMpls) {
      this.#freeze();
      return;
    }
    if (!this.#mayLookUp(line)) return;
    const before = this.#table;
    const inPort = port === null || port === PORT.inPort ? this.#flow[KEY.inPort]! : port;
    const next = table ?? before;
    this.#lookUp(next, inPort, next <= before ? 1 : 0, isLast);
    this.#table = before;
  }

  /** Looks the key up as if it had come in by `inPort`, and runs what is found. */
  #lookUp(table: number, inPort: number, deepens: number, isLast: boolean): void {
    const hit = this.#hit;
    const steps = this.#find(table, inPort);
    if (hit.rival !== null) {
      const { clauses } = hit;
      const flows = [hit.entry!.flow, hit.rival.flow] as const;
      this.ambiguous.push({ table, flows, ...(clauses.length === 0 ? {} : { clauses }) });
      this.#isOver = true;
      return;
    }
    if (hit.entry?.unknown) {
      this.#giveUp(hit.entry.unknown, hit.entry.flow.source.line);
      return;
    }
    this.#lookups++;
    if (steps === null) return;
    this.#table = table;
    this.#depth += deepens;
    const origin = this.#origin;
    this.#origin = (origin & ORIGIN.set) | (isTableMiss(hit.entry!.flow) ? ORIGIN.miss : 0);
    this.#runSteps(steps, isLast);
    this.#origin = (origin & ~ORIGIN.set) | (this.#origin & ORIGIN.set);
    this.#depth -= deepens;
  }

  /** Fills #hit. The ports of a fragment are not there for a lookup (fragment mode "normal"). */
  #find(table: number, inPort: number): readonly Step[] | null {
    const flow = this.#flow;
    const hit = this.#hit;
    const port = flow[KEY.inPort]!;
    const src = flow[KEY.tpSrc]!;
    const dst = flow[KEY.tpDst]!;
    flow[KEY.inPort] = inPort;
    this.#reads[KEY.nwFrag]! |= FRAGMENT.any;
    if (flow[KEY.nwFrag]! & FRAGMENT.any) flow[KEY.tpSrc] = flow[KEY.tpDst] = 0;
    hit.entry = null;
    hit.rival = null;
    hit.clauses = NO_CLAUSES;
    const entry = this.#rules.tables.get(table)?.lookup(flow, hit, this.#reads) ?? null;
    flow[KEY.inPort] = port;
    flow[KEY.tpSrc] = src;
    flow[KEY.tpDst] = dst;
    const { clauses } = hit;
    const looked = { table, flow: entry?.flow ?? null, ...(clauses.length === 0 ? {} : { clauses }) };
    this.tables.push(looked);
    this.#watcher?.lookedUp(looked, flow);
    return entry?.steps ?? null;
  }

  // --- Output ---------------------------------------------------------------------------------------------------

  /** Brings the packet up to the key. */
  #commit(): void {
    if (!this.#isWritten) return;
    this.#readAll(TYPE_AND_PROTOCOL);
    // Wiped layers are zero, and so is the protocol, unless it was written again: only then are they compared.
    if (this.#isWiped && this.#flow[KEY.nwProto] !== 0)
      for (let word = KEY.nwSrc; word < KEY_WORDS; word++) this.#read(word);
    const before = this.actions.length;
    if (!commit(this.#flow, this.#base, this.actions as HeaderAction[]))
      this.#giveUp("a pop_mpls that makes Open vSwitch end itself", this.#line);
    this.#actionBytes += (this.actions.length - before) * HEADER_ACTION_BYTES;
  }

  /** Puts the packet out by a port that may not be there. */
  #emit(port: number): void {
    if (!this.#rules.hasPort(port)) return;
    this.#commit();
    this.#watcher?.putOut(port, this.#flow);
    this.actions.push({ do: "output", port, state: this.#accompanying() });
    this.#actionBytes += OUTPUT_BYTES;
  }

  /** Queue, mark and tunnel as they leave; null when all are zero. */
  #accompanying(): Uint32Array | null {
    const flow = this.#flow;
    for (const word of ACCOMPANYING_WORDS)
      if (flow[word] !== 0) return Uint32Array.from(ACCOMPANYING_WORDS, word => flow[word]!);
    return null;
  }

  /** Puts the packet out by a queue, and forgets the queue again. */
  #enqueue(port: number, queue: number): void {
    const flow = this.#flow;
    const inPort = flow[KEY.inPort]!;
    if (port === inPort) return;
    const before = flow[KEY.skbPriority]!;
    this.#isWritten = true;
    flow[KEY.skbPriority] = queue;
    this.#emit(port === PORT.inPort ? inPort : port);
    flow[KEY.skbPriority] = before;
  }

  /** What is not done to the packet. */
  #effect({ effect, name, text, reads, line }: EffectOf): void {
    const flow = this.#flow;
    const isTracking = effect === "tracks" && name !== "meter";
    if (effect === "puts out" || isTracking) this.#commit();
    this.#isTracked ||= isTracking;
    for (const { field } of reads) this.#readField(field);
    const words = wordsOfEffect(effect, name);
    this.#readAll(words);
    const values = reads.map(from => readSubfield(flow, from).join("."));
    const key = [text, ...values, ...words.map(word => flow[word]!.toString(16))].join(" ");
    this.actions.push({ do: "effect", effect, name, text, key, line });
  }

  #output(port: number, line: number): void {
    const inPort = this.#flow[KEY.inPort]!;
    switch (port) {
      case PORT.inPort:
        this.#emit(inPort);
        return;
      case PORT.table:
        this.#resubmit(null, 0, line, false);
        return;
      case PORT.normal:
        this.#effect(putsOut("NORMAL", line));
        return;
      case PORT.flood:
        this.#effect(putsOut("FLOOD", line));
        return;
      case PORT.all: {
        const ports = this.#rules.ports;
        if (ports === null) {
          this.#effect(putsOut("ALL", line));
          return;
        }
        for (const one of ports) if (one !== inPort) this.#emit(one);
        return;
      }
      case PORT.controller:
        this.#packetIn(PLAIN_PACKET_IN, true);
        return;
      case PORT.none:
        return;
      default:
        if (port !== inPort) this.#emit(port);
    }
  }

  /** A value of more than 16 bits is no port. */
  #outputField(value: Words, line: number): void {
    if (value[0] <= 0xffff && value[1] === 0 && value[2] === 0 && value[3] === 0)
      this.#output(widePort(value[0]), line);
  }

  /** Truncates before the packet is changed. Reserved ports but LOCAL are no ports here, IN_PORT among them. */
  #outputTruncated(port: number, maxBytes: number): void {
    if (port === this.#flow[KEY.inPort] || !this.#rules.hasPort(port)) return;
    this.actions.push({ do: "truncate", maxBytes });
    this.#emit(port);
  }

  #packetIn(to: PacketInArguments, isOutput: boolean): void {
    this.#tell({ ...to, reason: reasonOf(to.reason, isOutput, this.#origin) }, false);
  }

  #tell(to: PacketInArguments, isExpired: boolean): void {
    const flow = this.#flow;
    this.#commit();
    const state = Uint32Array.from(PACKET_IN_WORDS, word => flow[word]!);
    this.actions.push({ do: "packet_in", to, isExpired, state, line: this.#line });
    this.#actionBytes += PACKET_IN_BYTES;
  }

  // --- Groups and copies ----------------------------------------------------------------------------------------

  /** True, which ends the list, when there is no such group. */
  #runGroup(id: number, line: number, isLast: boolean): boolean {
    if (!this.#mayLookUp(line)) return false;
    const group = this.#rules.groups.get(id);
    if (group === undefined) return true;
    if (group.type === "select") this.#selectGroup(group, line, isLast);
    else if (group.type === "ff") this.#runFirstLive(group, isLast);
    else
      for (const bucket of group.buckets) this.#runBucket(bucket, isLast && bucket === group.buckets.at(-1));
    return false;
  }

  /**
   * A bucket that a hash says: an effect where its actions neither ask tables nor leave anything behind. For the hash
   * Open vSwitch recirculates the packet. What was put out before is then safe from an error that comes behind the
   * group, and labels are read again: only at the very end of the first pass does none of it matter.
   */
  #selectGroup({ buckets, text }: GroupEntry, line: number, isLast: boolean): void {
    if (isLast && !this.#isThawed && buckets.every(({ steps }) => steps.every(endsHere)))
      this.#effect({ ...putsOut("select group", line), text });
    else this.#giveUp("select group", line);
  }

  #runFirstLive(group: GroupEntry, isLast: boolean): void {
    for (const bucket of group.buckets) {
      const isLive = this.#rules.isLive(bucket);
      if (isLive === null) {
        this.#giveUp("liveness of a fast failover group", group.line);
        return;
      }
      if (isLive) {
        this.#runBucket(bucket, isLast);
        return;
      }
    }
  }

  /** A bucket works on a copy of the key. Labels beyond three end the bucket, not the packet. */
  #runBucket({ steps }: BucketEntry, isLast: boolean): void {
    if (this.error !== null || this.#isUndecided()) return;
    const flow = this.#flow.slice();
    const wasMpls = this.#wasMpls;
    const origin = this.#origin;
    this.#origin |= ORIGIN.bucket;
    this.#depth++;
    this.#runSteps(orderActionSet(steps), isLast);
    this.#depth--;
    this.#origin = (origin & ~ORIGIN.set) | (this.#origin & ORIGIN.set);
    if (this.#isUndecided()) return;
    if (this.#isFreezing) this.#finishFreezing();
    this.#flow = flow;
    this.#wasMpls = wasMpls;
    this.#isOver = false;
    if (this.error === TOO_MANY_LABELS) this.error = null;
  }

  /**
   * A clone has its own stack, and executes its own action set: in 3.1 a copy of the one outside, later an empty one. Where the datapath makes no copy (`isCopied`), what
   * the clone popped is popped for good (wasMpls). A clone that ends everything is never copied.
   */
  #clone(steps: readonly Step[], isCopied: boolean, isLast: boolean): void {
    const saved = [this.#stack, this.#stackBytes, this.#actionSet, this.#flow.slice()] as const;
    this.#stack = [...this.#stack];
    this.#actionSet = this.#rules.behaviour.clonesActionSet ? [...this.#actionSet] : [];
    if (!isCopied) {
      this.#runSteps(steps, isLast);
      this.#finish();
    } else {
      this.#commit();
      const [actions, base, wasMpls] = [this.actions, this.#base.slice(), this.#wasMpls];
      this.actions = [];
      this.#copyDepth++;
      this.#runSteps(steps, true);
      this.#finish();
      this.#copyDepth--;
      actions.push({ do: "clone", actions: this.actions });
      this.actions = actions;
      this.#base = base;
      this.#wasMpls = wasMpls;
    }
    [this.#stack, this.#stackBytes, this.#actionSet, this.#flow] = saved;
  }

  // --- The action set -------------------------------------------------------------------------------------------

  /** actset_output is the port of the last output written, unset as soon as a group was. */
  #writeActions(steps: readonly Step[]): void {
    for (const step of steps) {
      if (this.#actionSetHasGroup) break;
      if (step.do === "output") this.#flow[KEY.actsetOutput] = step.port;
      if (step.do === "controller" && step.inSet !== null) this.#flow[KEY.actsetOutput] = PORT.controller;
      if (step.do !== "group") continue;
      this.#flow[KEY.actsetOutput] = PORT.unset;
      this.#actionSetHasGroup = true;
    }
    this.#actionSet.push(...steps);
  }

  #runActionSet(): void {
    const steps = orderActionSet(this.#actionSet);
    this.#actionSet = [];
    if (steps.length === 0) return;
    this.#origin |= ORIGIN.set;
    this.#runSteps(steps, true);
    // Open vSwitch has one flag for it: the end of a clone's action set ends the one around it, too.
    this.#origin &= ~ORIGIN.set;
  }

  // --- Freezing -------------------------------------------------------------------------------------------------

  #freeze(): void {
    this.#isOver = true;
    this.#isFreezing = true;
  }

  /** Keeps the steps from `index` on; those that speak of their table are led by the number of it. */
  #keepForLater(steps: readonly Step[], index: number): void {
    for (const step of steps.slice(index)) {
      if (step.freezing === "left out") continue;
      if (step.freezing === "with its table" && this.#frozenTable !== this.#table) {
        this.#frozen.push(unrollStep(this.#table, step.line));
        this.#frozenTable = this.#table;
      }
      this.#frozen.push(step);
    }
  }

  /** Hands the packet as it is by now to the next pass. Only a bucket goes on after that: a clone that froze ends all. */
  #finishFreezing(): void {
    if (this.#isTracked) {
      this.#giveUp("a packet that is read again behind ct", this.#line);
      return;
    }
    if (mostBytesOf(this.#actionSet) > leastBytesOf(this.#frozen)) {
      this.#giveUp("an action set that makes Open vSwitch end itself after pop_mpls", this.#line);
      return;
    }
    this.#commit();
    const frozen: Frozen = {
      id: ++frozenCount,
      steps: this.#frozen,
      stack: [...this.#stack],
      actionSet: [...this.#actionSet],
      key: this.#flow.slice(0, KEY.ctState),
    };
    this.actions.push({ do: "recirculate", frozen });
    this.#actionBytes += OUTPUT_BYTES;
    this.#frozen = [];
    this.#frozenTable = -1;
    this.#isFreezing = false;
  }

  // --- Labels, TTLs, stack --------------------------------------------------------------------------------------

  #pushMpls(type: number): void {
    this.#writeLabels();
    this.#read(KEY.nwTos);
    this.#read(KEY.nwTtl);
    const count = countLabels(this.#flow);
    if (count >= MPLS_LABELS) {
      this.error = TOO_MANY_LABELS;
      return;
    }
    if (count === 0) {
      this.#commit();
      this.#isWiped = true;
    }
    pushLabel(this.#flow, count, type, true);
  }

  /** Failing takes back what the pass did before, even when a bucket then goes on without it. */
  #popMpls(type: number): void {
    this.#writeLabels();
    const count = countLabels(this.#flow);
    if (popLabel(this.#flow, count, type)) {
      if (!isMplsType(type)) this.#wasMpls = true;
    } else if (count >= MPLS_LABELS) {
      if (this.#copyDepth > 0) this.#giveUp("a pop_mpls that makes Open vSwitch end itself", this.#line);
      this.error = TOO_MANY_LABELS;
      this.#undo();
    }
  }

  /** True, which ends the list, when the TTL is used up. */
  #decrementTtl(controllers: readonly number[]): boolean {
    const flow = this.#flow;
    this.#isWritten = true;
    this.#read(KEY.dlType);
    this.#read(KEY.nwTtl);
    if (!isIpType(flow[KEY.dlType]!)) return false;
    if (flow[KEY.nwTtl]! > 1) {
      flow[KEY.nwTtl] = flow[KEY.nwTtl]! - 1;
      return false;
    }
    for (const id of controllers) this.#tell({ ...EXPIRED, id }, true);
    return true;
  }

  /** The same for the outer label; a packet without one ends the list too. */
  #decrementMplsTtl(): boolean {
    const flow = this.#flow;
    this.#writeLabels();
    if (!isMplsType(flow[KEY.dlType]!)) return true;
    if ((flow[KEY.mplsLse]! & 0xff) > 1) {
      flow[KEY.mplsLse] = flow[KEY.mplsLse]! - 1;
      return false;
    }
    this.#tell(EXPIRED, true);
    return true;
  }

  #push(value: Words, bits: number): void {
    const bytes = Math.ceil(bits / 8) + 1;
    this.#stack.push({ value, bytes });
    this.#stackBytes += bytes;
  }

  /** An empty stack leaves the field alone. */
  #pop(step: Extract<Step, { do: "pop" }>): void {
    const item = this.#stack.pop();
    if (item === undefined) return;
    this.#stackBytes -= item.bytes;
    this.#write(step.to.field);
    writeSubfield(this.#flow, step.to, item.value);
  }
}

/** Tags count from the outside as far as they have the presence bit, which a load may take: what is behind stays. */
function popTag(key: Uint32Array): void {
  if ((key[KEY.vlanTci]! & VLAN_PRESENT) === 0) return;
  const hasTwo = (key[KEY.innerVlanTci]! & VLAN_PRESENT) !== 0;
  key[KEY.vlanTci] = hasTwo ? key[KEY.innerVlanTci]! : 0;
  if (hasTwo) key[KEY.innerVlanTci] = 0;
}

const TOO_MANY_LABELS = `over ${MPLS_LABELS} labels`;

/** Whether a step asks neither a table nor a group, so that its text says all it does. */
export function endsHere(step: Step): boolean {
  switch (step.do) {
    case "resubmit":
    case "group":
    case "output_field":
    case "unknown":
      return false;
    case "output":
      return step.port !== PORT.table;
    case "clone":
    case "write_actions":
      return step.steps.every(endsHere);
    case "effect":
      return step.effect !== "learns";
    default:
      return true;
  }
}
