/**
 * What a program of the tiny language does with a packet: Open vSwitch's execution model written down once
 * more, on plain records in place of bytes and keys. It shares nothing with src/openflow: not the parser,
 * not the fields, not the interpreter, not the prover. What it leaves out it says (`Beyond`), and then the
 * interpreter alone is the judge.
 */
import type { Action, FieldName, Program, Rule, Test } from "./language.ts";

/** A packet as a record. Labels are whole entries, outermost first; MACs and addresses are their low bits. */
export interface Packet {
  readonly inPort: number;
  readonly dst: number;
  readonly src: number;
  readonly labels: readonly number[];
  readonly body: Body;
}

export type Body =
  | {
      readonly is: "ip";
      readonly src: number;
      readonly dst: number;
      readonly tos: number;
      readonly ttl: number;
    }
  | { readonly is: "arp"; readonly op: number; readonly spa: number; readonly tpa: number }
  | { readonly is: "other" };

/** What left the switch, in order; `port` 0 is the controller, who is told why, and the registers, too. */
export interface Sent {
  readonly port: number;
  readonly packet: Packet;
  readonly told?: Told;
}

export interface Told {
  readonly reason: "action" | "no_match";
  readonly reg0: number;
  readonly reg1: number;
  readonly metadata: number;
}

/** It depends on the past of the switch which of two rules is taken. */
export class Tie extends Error {}
/** The evaluator has no opinion. */
export class Beyond extends Error {}
/** The pass is undone. */
class Undone extends Error {}

const MAX_LOOKUPS = 300;
const MAX_PASSES = 5;
const TTL = 0xff;
const BOTTOM = 0x100;

interface Flow {
  inPort: number;
  dst: number;
  src: number;
  labels: number[];
  body: Body;
  /** Reads as MPLS: labels in front. */
  isMpls: boolean;
  reg0: number;
  reg1: number;
  metadata: number;
}

type Left =
  | Sent
  | { readonly resume: readonly Action[]; readonly flow: Flow; readonly set: readonly Action[] };

const copyOf = (flow: Flow): Flow => ({ ...flow, labels: [...flow.labels] });
const canonical = (actions: readonly Action[]): string =>
  JSON.stringify(actions, (name, value) => (name === "spelling" ? undefined : value));
const matchName = ({ kind, tests }: Rule): string =>
  `${kind} ${tests
    .map(({ field, value, mask }) => `${field} ${value & mask}/${mask}`)
    .sort()
    .join()}`;

/** Where the bits of a label entry lie (RFC 3032). */
const ENTRY: Partial<Record<FieldName, readonly [shift: number, mask: number]>> = {
  mpls_label: [12, 0xfffff],
  mpls_tc: [9, 7],
  mpls_bos: [8, 1],
  mpls_ttl: [0, 0xff],
};
const METADATA: Partial<Record<FieldName, "inPort" | "dst" | "src" | "reg0" | "reg1" | "metadata">> = {
  in_port: "inPort",
  dl_dst: "dst",
  dl_src: "src",
  reg0: "reg0",
  reg1: "reg1",
  metadata: "metadata",
};
const BODY: Partial<Record<FieldName, string>> = {
  nw_src: "ip src",
  nw_dst: "ip dst",
  nw_tos: "ip tos",
  nw_ttl: "ip ttl",
  arp_op: "arp op",
  arp_spa: "arp spa",
  arp_tpa: "arp tpa",
};

/** The part of the body that a field is, or null when this packet has no such field. */
function bodyPart(flow: Flow, field: FieldName): string | null {
  const [kind, part] = BODY[field]!.split(" ");
  return !flow.isMpls && flow.body.is === kind ? part! : null;
}

function read(flow: Flow, field: FieldName): number {
  const plain = METADATA[field];
  if (plain !== undefined) return flow[plain];
  const entry = ENTRY[field];
  if (entry !== undefined) return flow.isMpls ? ((flow.labels[0] ?? 0) >>> entry[0]) & entry[1] : 0;
  const part = bodyPart(flow, field);
  return part === null ? 0 : (flow.body as unknown as Record<string, number>)[part]!;
}

function write(flow: Flow, field: FieldName, value: number): void {
  const plain = METADATA[field];
  if (plain !== undefined) {
    flow[plain] = value;
    return;
  }
  const entry = ENTRY[field];
  if (entry !== undefined) {
    if (!flow.isMpls) return;
    if (flow.labels.length === 0) throw new Beyond("an entry that is not there");
    const [shift, mask] = entry;
    flow.labels[0] = ((flow.labels[0]! & ~(mask << shift)) | ((value & mask) << shift)) >>> 0;
    return;
  }
  const part = bodyPart(flow, field);
  if (part !== null) flow.body = { ...flow.body, [part]: value } as Body;
}

const KIND_HOLDS: Record<Rule["kind"], (flow: Flow) => boolean> = {
  any: () => true,
  ip: ({ isMpls, body }) => !isMpls && body.is === "ip",
  arp: ({ isMpls, body }) => !isMpls && body.is === "arp",
  mpls: ({ isMpls }) => isMpls,
};

/** Actions before which a packet whose labels were popped needs no new reading. */
function needsReading(action: Action): boolean {
  switch (action.do) {
    case "output":
    case "in_port":
    case "group":
      return false;
    case "set":
      return BODY[action.field] !== undefined || (ENTRY[action.field] !== undefined && action.spelling === 1);
    default:
      return true;
  }
}

/** The order of ofpacts_execute_action_set: changes in order, then one end. */
function orderSet(actions: readonly Action[]): readonly Action[] {
  const last = (name: Action["do"]): Action[] => actions.filter(one => one.do === name).slice(-1);
  const group = last("group");
  const output = actions.filter(one => one.do === "output" || one.do === "in_port").slice(-1);
  const end = group.length > 0 ? group : output;
  if (end.length === 0) return [];
  const changes = actions.filter(one => one.do === "set" || one.do === "move");
  return [
    ...last("pop_mpls"),
    ...last("push_mpls"),
    ...last("dec_ttl"),
    ...last("dec_mpls_ttl"),
    ...changes,
    ...end,
  ];
}

/** A program ready to be run on many packets. */
export class Evaluator {
  readonly #tables = new Map<number, Rule[]>();
  readonly #groups: Program["groups"];
  readonly #names = new Map<Rule, string>();
  /** Rules that were hit so far. */
  readonly hits = new Set<Rule>();

  constructor({ rules, groups }: Program) {
    this.#groups = groups;
    const unique = new Map(rules.map(rule => [`${rule.table} ${rule.priority} ${matchName(rule)}`, rule]));
    for (const rule of unique.values()) {
      this.#names.set(rule, canonical(rule.actions));
      const table = this.#tables.get(rule.table);
      if (table === undefined) this.#tables.set(rule.table, [rule]);
      else table.push(rule);
    }
    for (const table of this.#tables.values()) table.sort((a, b) => b.priority - a.priority);
  }

  lookup(table: number, flow: Flow, inPort: number): Rule | null {
    let best: Rule | null = null;
    const holds = ({ field, value, mask }: Test): boolean =>
      (((field === "in_port" ? inPort : read(flow, field)) ^ value) & mask) === 0;
    for (const rule of this.#tables.get(table) ?? []) {
      if (best !== null && rule.priority < best.priority) break;
      if (!KIND_HOLDS[rule.kind](flow) || !rule.tests.every(holds)) continue;
      if (best !== null && this.#names.get(best) !== this.#names.get(rule)) throw new Tie();
      best ??= rule;
    }
    if (best !== null) this.hits.add(best);
    return best;
  }

  group(id: number): Program["groups"][number] | null {
    return this.#groups.find(group => group.id === id) ?? null;
  }

  /** Everything that leaves; throws Tie, or Beyond. */
  run({ inPort, dst, src, labels, body }: Packet): Sent[] {
    const flow: Flow = {
      inPort,
      dst,
      src,
      labels: [...labels],
      body,
      isMpls: labels.length > 0,
      reg0: 0,
      reg1: 0,
      metadata: 0,
    };
    const sent: Sent[] = [];
    this.#pass(flow, inPort, null, [], sent, 0);
    return sent;
  }

  #pass(
    flow: Flow,
    inPort: number,
    resume: readonly Action[] | null,
    set: readonly Action[],
    sent: Sent[],
    depth: number,
  ): void {
    if (depth > MAX_PASSES) throw new Beyond("many passes");
    const pass = new Pass(this, flow, set);
    try {
      if (resume === null) pass.call(0, null);
      else pass.list(resume, 0);
      pass.finish();
    } catch (error) {
      if (!(error instanceof Undone)) throw error;
      return;
    }
    for (const left of pass.left) {
      if ("port" in left) {
        sent.push(left);
        continue;
      }
      const again = copyOf(left.flow);
      again.inPort = inPort;
      this.#pass(again, inPort, left.resume, left.set, sent, depth + 1);
    }
  }
}

class Pass {
  readonly left: Left[] = [];
  readonly #program: Evaluator;
  #flow: Flow;
  #set: Action[];
  #stack: { field: FieldName; value: number }[] = [];
  #frozen: Action[] = [];
  #isFreezing = false;
  #isOver = false;
  #wasMpls = false;
  #isInBucket = false;
  /** The rule that runs is of priority 0 and takes every packet. */
  #isMiss = false;
  #lookups = 0;

  constructor(program: Evaluator, flow: Flow, set: readonly Action[]) {
    this.#program = program;
    this.#flow = flow;
    this.#set = [...set];
  }

  call(table: number, port: number | null): void {
    if (++this.#lookups > MAX_LOOKUPS) throw new Beyond("many lookups");
    const rule = this.#program.lookup(table, this.#flow, port ?? this.#flow.inPort);
    if (rule === null) return;
    const wasMiss = this.#isMiss;
    this.#isMiss = rule.priority === 0 && rule.kind === "any" && rule.tests.length === 0;
    this.list(rule.actions, table);
    this.#isMiss = wasMiss;
  }

  list(actions: readonly Action[], table: number): void {
    for (const [index, action] of actions.entries()) {
      if (this.#wasMpls && !this.#isOver && needsReading(action)) {
        this.#isOver = true;
        this.#isFreezing = true;
      }
      if (this.#isOver) {
        if (this.#isFreezing) this.#frozen.push(...actions.slice(index));
        return;
      }
      if (!this.#do(action, table)) return;
    }
  }

  finish(): void {
    if (!this.#isFreezing) {
      const set = this.#set;
      this.#set = [];
      this.list(orderSet(set), 0);
    }
    this.#thawLater();
  }

  #thawLater(): void {
    if (!this.#isFreezing) return;
    if (this.#stack.length > 0) throw new Beyond("a stack that is kept");
    if (this.#flow.body.is !== "ip" && !this.#flow.isMpls) throw new Beyond("another body under that type");
    this.left.push({ resume: this.#frozen, flow: copyOf(this.#flow), set: this.#set });
    this.#frozen = [];
    this.#isFreezing = false;
    this.#isOver = false;
  }

  #emit(port: number, told?: Told): void {
    const { inPort, dst, src, labels, body, isMpls } = this.#flow;
    if (isMpls && labels.length === 0) throw new Beyond("MPLS without a label");
    this.left.push({ port, packet: { inPort, dst, src, labels: [...labels], body }, told });
  }

  /** False when the list ends here. */
  #do(action: Action, table: number): boolean {
    const flow = this.#flow;
    switch (action.do) {
      case "output":
        if (action.port !== flow.inPort) this.#emit(action.port);
        return true;
      case "in_port":
        this.#emit(flow.inPort);
        return true;
      case "controller":
        this.#emit(0, {
          reason: this.#isMiss ? "no_match" : "action",
          reg0: flow.reg0,
          reg1: flow.reg1,
          metadata: flow.metadata,
        });
        return true;
      case "set":
        write(flow, action.field, action.value);
        return true;
      case "move":
        this.#move(action.from, action.to, action.bits);
        return true;
      case "push":
        this.#stack.push({ field: action.field, value: read(flow, action.field) });
        return true;
      case "pop": {
        const top = this.#stack.pop();
        if (top === undefined || top.field !== action.field) throw new Beyond("another field's value");
        write(flow, action.field, top.value);
        return true;
      }
      case "push_mpls":
        this.#pushLabel();
        return true;
      case "pop_mpls":
        this.#popLabel(action.type);
        return true;
      case "dec_ttl":
        return this.#decrement();
      case "dec_mpls_ttl":
        return this.#decrementLabel();
      case "resubmit":
        this.call(action.table, action.port);
        return true;
      case "goto":
        this.call(action.table, null);
        return true;
      case "group":
        this.#group(action.group);
        return true;
      case "clone":
        this.#aside(() => this.#copied(action.actions, table));
        return true;
      case "write":
        this.#set.push(...action.actions);
        return true;
      case "clear":
        this.#set = [];
        return true;
      case "exit":
        this.#isOver = true;
        return false;
    }
  }

  #move(from: FieldName, to: FieldName, bits: number): void {
    const mask = (1 << bits) - 1;
    const hasNo = (field: FieldName): boolean =>
      (BODY[field] !== undefined && bodyPart(this.#flow, field) === null) ||
      (ENTRY[field] !== undefined && !this.#flow.isMpls);
    if (hasNo(from) || hasNo(to)) throw new Beyond("a move of what is not there");
    write(this.#flow, to, (read(this.#flow, to) & ~mask) | (read(this.#flow, from) & mask));
  }

  #pushLabel(): void {
    const { labels, body } = this.#flow;
    if (labels.length >= 3) {
      if (this.#isInBucket) throw new Beyond("a fourth label in a bucket");
      throw new Undone();
    }
    if (this.#flow.isMpls && labels.length === 0) throw new Beyond("MPLS without a label");
    const ip = body.is === "ip" ? body : { tos: 0, ttl: 64 };
    const fresh = ((((ip.tos >>> 2) & 7) << 9) | BOTTOM | (ip.ttl || 64)) >>> 0;
    labels.unshift(labels.length === 0 ? fresh : (labels[0]! & ~BOTTOM) >>> 0);
    this.#flow.isMpls = true;
  }

  #popLabel(type: number): void {
    const flow = this.#flow;
    if (!flow.isMpls) return;
    if (type === 0x8847) {
      if (flow.labels.length < 2) throw new Beyond("MPLS behind the last label");
      flow.labels.shift();
      return;
    }
    // The datapath takes all labels at once.
    flow.labels = [];
    flow.isMpls = false;
    this.#wasMpls = true;
    if (flow.body.is !== "ip") throw new Beyond("another body under that type");
  }

  #decrement(): boolean {
    const ttl = KIND_HOLDS.ip(this.#flow) ? read(this.#flow, "nw_ttl") : null;
    if (ttl === null) return true;
    if (ttl <= 1) return false;
    write(this.#flow, "nw_ttl", ttl - 1);
    return true;
  }

  #decrementLabel(): boolean {
    const ttl = this.#flow.isMpls ? (this.#flow.labels[0] ?? 0) & TTL : 0;
    if (ttl <= 1) return false;
    write(this.#flow, "mpls_ttl", ttl - 1);
    return true;
  }

  #group(id: number): void {
    for (const bucket of this.#program.group(id)?.buckets ?? []) {
      const wasInBucket = this.#isInBucket;
      this.#isInBucket = true;
      this.#aside(() => this.list(orderSet(bucket), 0));
      this.#isInBucket = wasInBucket;
    }
  }

  /** A clone runs the action set as it stands. */
  #copied(actions: readonly Action[], table: number): void {
    this.list(actions, table);
    if (this.#isFreezing) return;
    const set = this.#set;
    this.#set = [];
    this.list(orderSet(set), 0);
  }

  /** Runs on a copy; what it changes is undone, what it sends stays. */
  #aside(run: () => void): void {
    const before = { flow: copyOf(this.#flow), wasMpls: this.#wasMpls, set: this.#set, stack: this.#stack };
    this.#set = [...this.#set];
    this.#stack = [...this.#stack];
    run();
    this.#thawLater();
    this.#flow = before.flow;
    this.#wasMpls = before.wasMpls;
    this.#set = before.set;
    this.#stack = before.stack;
    this.#isOver = false;
  }
}
