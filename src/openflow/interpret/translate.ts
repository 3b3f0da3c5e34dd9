/**
 * One pass over the tables: from a flow key to datapath actions, as ofproto/ofproto-dpif-xlate.c of Open
 * vSwitch 3.1 does it, and ovs-actions(7) describes it. It sees the key only, never the bytes, so that its
 * outcome holds for every packet with the same key. Here are the steps, lookups, groups and clones;
 * key-changes.ts changes the key, emitter.ts makes the datapath actions.
 *
 * A packet that must recirculate (its labels are popped) is *frozen*: the rest of the work becomes part of a
 * datapath action, and another pass continues it. An error anywhere, a fourth label or a loop, undoes the
 * whole pass.
 */
import { unreachable } from "../../wire/index.ts";
import { PORT } from "../ast.ts";
import { KEY } from "../flow-key.ts";
import { ActionSet, orderActionSet } from "./action-set.ts";
import { type Hit, NO_CLAUSES, newHit } from "./classifier.ts";
import type { Step } from "./compile-actions.ts";
import { Emitter, putsOut } from "./emitter.ts";
import { FRAGMENT } from "./extract.ts";
import { readSubfield, type Words, widePort } from "./field-access.ts";
import { Freezer } from "./freezer.ts";
import { KeyChanges, TOO_MANY_LABELS } from "./key-changes.ts";
import { isTableMiss, ORIGIN } from "./packet-in.ts";
import type { BucketEntry, GroupEntry, Ruleset } from "./ruleset.ts";
import { TrackedKey } from "./tracked-key.ts";
import { type Frozen, PassOutcome, type Scratch, type Translation, type Watcher } from "./translation.ts";

/** Levels of lookups that go to the same or an earlier table, lookups in all, bytes of stack. */
const MAX_DEPTH = 64;
const MAX_LOOKUPS = 4096;
const MAX_STACK_BYTES = 65536;
/** Open vSwitch gives up beyond 64 kB of datapath actions. */
const MAX_ACTION_BYTES = 65535;

/**
 * Translates a key that came in from a port, or with `thaw` one that was recirculated. The pass changes the
 * key.
 */
export function translate(
  rules: Ruleset,
  key: Uint32Array,
  scratch: Scratch,
  thaw: Frozen | null,
  watcher: Watcher | null = null,
): Translation {
  return new Pass(rules, key, scratch, watcher).run(thaw);
}

/** The limit of a pass that another lookup would exceed; null: none. */
function limitReached(depth: number, lookups: number, stackBytes: number): string | null {
  if (depth >= MAX_DEPTH) return `over ${MAX_DEPTH} levels of resubmit`;
  if (lookups >= MAX_LOOKUPS) return `over ${MAX_LOOKUPS} resubmits`;
  return stackBytes >= MAX_STACK_BYTES ? "over 64 kB of stack" : null;
}

class Pass {
  readonly #rules: Ruleset;
  readonly #key: TrackedKey;
  readonly #outcome = new PassOutcome();
  readonly #emitter: Emitter;
  readonly #changes: KeyChanges;
  readonly #freezer = new Freezer();
  readonly #actionSet = new ActionSet();
  readonly #watcher: Watcher | null;
  readonly #hit: Hit = newHit();
  #table = 0;
  #depth = 0;
  #lookups = 0;
  /** Bits of ORIGIN; a list that was frozen has none. */
  #origin = 0;
  /** Whether nothing more runs: after exit, and while freezing. */
  #isOver = false;
  #isThawed = false;

  constructor(rules: Ruleset, key: Uint32Array, scratch: Scratch, watcher: Watcher | null) {
    this.#rules = rules;
    this.#watcher = watcher;
    this.#key = new TrackedKey(key, scratch);
    this.#emitter = new Emitter(rules, this.#key, this.#outcome, watcher);
    this.#changes = new KeyChanges(this.#key, this.#emitter, this.#outcome);
  }

  run(thaw: Frozen | null): Translation {
    const { flow } = this.#key;
    this.#key.read(KEY.inPort);
    flow[KEY.actsetOutput] = PORT.unset;
    if (thaw !== null) {
      this.#isThawed = true;
      this.#changes.stack = [...thaw.stack];
      this.#changes.stackBytes = thaw.stack.reduce((sum, { bytes }) => sum + bytes, 0);
      this.#actionSet.write(thaw.actionSet, flow);
    }
    // Without steps a thawed packet starts with a lookup: at table 0 behind labels, elsewhere behind ct.
    if (thaw !== null && thaw.steps.length > 0) this.#runSteps(thaw.steps, true);
    else this.#lookUp(thaw?.table ?? 0, flow[KEY.inPort]!, 0, true);
    this.#finish();
    if (this.#outcome.error !== null) this.#emitter.undo();
    const { error, unknown, ambiguous, tables } = this.#outcome;
    return { actions: this.#emitter.actions, error, unknown, ambiguous, tables };
  }

  /** The end of the packet's way: the action set, or the freezer. */
  #finish(): void {
    if (this.#outcome.isStopped()) return;
    if (!this.#freezer.isFreezing) this.#runActionSet();
    this.#finishFreezing();
  }

  #finishFreezing(): void {
    if (!this.#freezer.isFreezing) return;
    const { stack } = this.#changes;
    this.#freezer.finish(this.#key, this.#emitter, this.#outcome, stack, this.#actionSet.steps);
  }

  /** Runs a list of actions. `return` in it ends this list only. `isLast`: nothing comes behind it. */
  #runSteps(steps: readonly Step[], isLast: boolean): void {
    const freezer = this.#freezer;
    for (let index = 0; index < steps.length; index++) {
      const step = steps[index]!;
      if (this.#outcome.isStopped()) return;
      if (step.needsReparse && this.#key.wasMpls && !this.#isOver) this.#isOver = freezer.isFreezing = true;
      if (this.#isOver) {
        if (freezer.isFreezing) freezer.keep(steps, index, this.#table);
        return;
      }
      const isEnd = isLast && index === steps.length - 1 && this.#actionSet.steps.length === 0;
      const isDone = this.#runStep(step, isEnd);
      // A lookup that froze keeps its own rest; what stopped on the way to it, or any other step, is run
      // again later.
      if (step.do === "resubmit") continue;
      if (isDone) return;
      if (freezer.isFreezing && freezer.isEmpty) {
        freezer.keep(steps, index, this.#table);
        return;
      }
    }
  }

  /** Runs one step; returns true if the rest of its list does not run. */
  #runStep(step: Step, isLast: boolean): boolean {
    this.#outcome.line = step.line;
    switch (step.do) {
      case "output":
        this.#output(step.port, step.line);
        return false;
      case "output_field":
        this.#key.readField(step.from.field);
        if (isPortValue(readSubfield(this.#key.flow, step.from)))
          this.#output(widePort(readSubfield(this.#key.flow, step.from)[0]), step.line);
        return false;
      case "output_truncated":
        this.#emitter.outputTruncated(step.port, step.maxBytes);
        return false;
      case "controller":
        this.#emitter.packetIn(step.to, step.inSet === "output", this.#origin);
        return false;
      case "enqueue":
        this.#emitter.enqueue(step.port, step.queue);
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
        return this.#changes.decrementTtl(step.controllers);
      case "dec_mpls_ttl":
        return this.#changes.decrementMplsTtl();
      case "unknown":
        this.#outcome.giveUp(step.feature, step.line);
        return true;
      case "nothing":
        return false;
      case "effect":
      case "track":
        this.#effect(step);
        return false;
      case "exit":
        this.#isOver = true;
        return false;
      case "write_actions":
        this.#actionSet.write(step.steps, this.#key.flow);
        return false;
      case "clear_actions":
        this.#actionSet.clear(this.#key.flow);
        return false;
      case "unroll":
        this.#table = step.table;
        return false;
      case "set":
      case "move":
      case "push":
      case "pop":
      case "untrack":
      case "push_vlan":
      case "pop_vlan":
      case "push_mpls":
      case "pop_mpls":
      case "set_queue":
      case "pop_queue":
        this.#changes.run(step);
        return false;
      default:
        return unreachable(step);
    }
  }

  #effect(step: Extract<Step, { do: "effect" | "track" }>): void {
    const { stack } = this.#changes;
    const actionSet = this.#actionSet.steps;
    if (step.do === "effect") this.#emitter.effect(step);
    else this.#freezer.track(step, this.#key, this.#emitter, this.#outcome, { stack, actionSet });
  }

  #output(port: number, line: number): void {
    if (port === PORT.table) this.#resubmit(null, 0, line, false);
    else this.#emitter.output(port, line, this.#origin);
  }

  /** False, with an error, when there have been too many lookups or too much on the stack. */
  #mayLookUp(line: number): boolean {
    const limit = limitReached(this.#depth, this.#lookups, this.#changes.stackBytes);
    if (limit !== null) this.#outcome.error = limit;
    else if (this.#emitter.actionBytes > MAX_ACTION_BYTES)
      this.#outcome.giveUp("about 64 kB of datapath actions", line);
    else return true;
    return false;
  }

  #resubmit(port: number | null, table: number | null, line: number, isLast: boolean): void {
    if (this.#key.wasMpls) {
      this.#isOver = this.#freezer.isFreezing = true;
      return;
    }
    if (!this.#mayLookUp(line)) return;
    const before = this.#table;
    const inPort = port === null || port === PORT.inPort ? this.#key.flow[KEY.inPort]! : port;
    const next = table ?? before;
    this.#lookUp(next, inPort, next <= before ? 1 : 0, isLast);
    this.#table = before;
  }

  /** Looks the key up as if it had come in by `inPort`, and runs what is found. */
  #lookUp(table: number, inPort: number, deepens: number, isLast: boolean): void {
    const hit = this.#hit;
    find(this.#rules, this.#key, table, inPort, hit);
    const { entry, clauses } = hit;
    const looked = { table, flow: entry?.flow ?? null, ...(clauses.length === 0 ? {} : { clauses }) };
    this.#outcome.tables.push(looked);
    this.#watcher?.lookedUp(looked, this.#key.flow);
    if (hit.rival !== null) {
      const flows = [entry!.flow, hit.rival.flow] as const;
      this.#outcome.ambiguous.push({ table, flows, ...(clauses.length === 0 ? {} : { clauses }) });
      this.#isOver = true;
      return;
    }
    if (entry?.unknown) {
      this.#outcome.giveUp(entry.unknown, entry.flow.source.line);
      return;
    }
    this.#lookups++;
    if (entry === null) return;
    this.#table = table;
    this.#depth += deepens;
    const origin = this.#origin;
    this.#origin = (origin & ORIGIN.set) | (isTableMiss(entry.flow) ? ORIGIN.miss : 0);
    this.#runSteps(entry.steps, isLast);
    this.#origin = (origin & ~ORIGIN.set) | (this.#origin & ORIGIN.set);
    this.#depth -= deepens;
  }

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

  /** A bucket that a hash chooses: an effect if no later step depends on it (endsHere). */
  #selectGroup({ buckets, text }: GroupEntry, line: number, isLast: boolean): void {
    if (isLast && !this.#isThawed && buckets.every(({ steps }) => steps.every(endsHere)))
      this.#emitter.effect(putsOut("select group", line, text));
    else this.#outcome.giveUp("select group", line);
  }

  #runFirstLive(group: GroupEntry, isLast: boolean): void {
    for (const bucket of group.buckets) {
      const isLive = this.#rules.isLive(bucket);
      if (isLive === null) this.#outcome.giveUp("liveness of a fast failover group", group.line);
      else if (isLive) this.#runBucket(bucket, isLast);
      if (isLive !== false) return;
    }
  }

  /** A bucket works on a copy of the key. Labels beyond three end the bucket, not the packet. */
  #runBucket({ steps }: BucketEntry, isLast: boolean): void {
    if (this.#outcome.isStopped()) return;
    const key = this.#key;
    const flow = key.flow.slice();
    const { wasMpls } = key;
    const origin = this.#origin;
    this.#origin |= ORIGIN.bucket;
    this.#depth++;
    this.#runSteps(orderActionSet(steps), isLast);
    this.#depth--;
    this.#origin = (origin & ~ORIGIN.set) | (this.#origin & ORIGIN.set);
    if (this.#outcome.isUndecided()) return;
    this.#finishFreezing();
    key.flow = flow;
    key.wasMpls = wasMpls;
    this.#isOver = false;
    if (this.#outcome.error === TOO_MANY_LABELS) this.#outcome.error = null;
  }

  /**
   * A clone has its own stack and executes its own action set: in 3.1 a copy of the one outside, later an
   * empty one. If the datapath makes no copy (`isCopied`), what the clone popped is popped for good
   * (wasMpls). A clone that ends everything is never copied.
   */
  #clone(steps: readonly Step[], isCopied: boolean, isLast: boolean): void {
    const changes = this.#changes;
    const set = this.#actionSet;
    const { stack, stackBytes } = changes;
    const written = set.steps;
    const flow = this.#key.flow.slice();
    changes.stack = [...stack];
    set.steps = this.#rules.behaviour.clonesActionSet ? [...written] : [];
    const copy = isCopied ? this.#emitter.beginCopy() : null;
    this.#runSteps(steps, isCopied || isLast);
    this.#finish();
    if (copy !== null) this.#emitter.endCopy(copy);
    changes.stack = stack;
    changes.stackBytes = stackBytes;
    set.steps = written;
    this.#key.flow = flow;
  }

  #runActionSet(): void {
    const steps = this.#actionSet.take();
    if (steps.length === 0) return;
    this.#origin |= ORIGIN.set;
    this.#runSteps(steps, true);
    // Open vSwitch has one flag for it: the end of a clone's action set ends the one around it, too.
    this.#origin &= ~ORIGIN.set;
  }
}

/** A value of more than 16 bits is not a port. */
const isPortValue = ([low, ...upper]: Words): boolean => low <= 0xffff && upper.every(word => word === 0);

/**
 * Looks the key up in a table as if it had come in by `inPort`. A fragment has no ports (fragment mode
 * "normal").
 */
function find(rules: Ruleset, { flow, reads }: TrackedKey, table: number, inPort: number, hit: Hit): void {
  const port = flow[KEY.inPort]!;
  const src = flow[KEY.tpSrc]!;
  const dst = flow[KEY.tpDst]!;
  flow[KEY.inPort] = inPort;
  reads[KEY.nwFrag]! |= FRAGMENT.any;
  if (flow[KEY.nwFrag]! & FRAGMENT.any) flow[KEY.tpSrc] = flow[KEY.tpDst] = 0;
  hit.entry = null;
  hit.rival = null;
  hit.clauses = NO_CLAUSES;
  rules.tables.get(table)?.lookup(flow, hit, reads);
  flow[KEY.inPort] = port;
  flow[KEY.tpSrc] = src;
  flow[KEY.tpDst] = dst;
}

/**
 * Whether a step asks neither a table nor a group, so that its text says all it does. A select group of such
 * steps is compared by its text, but only at the very end of the first pass: for the hash Open vSwitch
 * recirculates the packet, so that what it put out before stays when an error comes behind the group, and
 * labels are extracted again.
 */
export function endsHere(step: Step): boolean {
  switch (step.do) {
    case "resubmit":
    case "group":
    case "output_field":
    case "unknown":
      return false;
    case "track":
      return step.table === null;
    case "output":
      return step.port !== PORT.table;
    case "clone":
    case "write_actions":
      return step.steps.every(endsHere);
    case "effect":
      return step.effect !== "learns";
    case "output_truncated":
    case "controller":
    case "enqueue":
    case "push_vlan":
    case "pop_vlan":
    case "push_mpls":
    case "pop_mpls":
    case "set":
    case "move":
    case "push":
    case "pop":
    case "dec_ttl":
    case "dec_mpls_ttl":
    case "set_queue":
    case "pop_queue":
    case "clear_actions":
    case "exit":
    case "nothing":
    case "untrack":
    case "unroll":
      return true;
    default:
      return unreachable(step);
  }
}
