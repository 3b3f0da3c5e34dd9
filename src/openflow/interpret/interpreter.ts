/**
 * An executable reference of Open vSwitch 3.1: a frame and the port it comes in by, in; what leaves the
 * switch, byte for byte and in order, out. The slow obvious form: read the frame, translate it, carry the
 * result out, and after a recirculation, again. It never guesses: what depends on more than
 * flows and frame is *unknown*, what depends on the order in which flows were installed is *ambiguous*.
 */
import { unreachable } from "../../wire/index.ts";
import type { Flow } from "../ast.ts";
import type { FlowColumns } from "../columnar/dump.ts";
import { KEY, KEY_WORDS } from "../flow-key.ts";
import type { FeatureAt, PacketInArguments } from "./compile-actions.ts";
import { applyHeaderAction, type HeaderAction, isMisplaced } from "./datapath.ts";
import { ARP_BYTES, ETHERNET_BYTES, extract } from "./extract.ts";
import { isPort, narrowPort, widePort } from "./field-access.ts";
import { Copies, Packet } from "./packet.ts";
import { Ruleset, type RulesetOptions } from "./ruleset.ts";
import { type Tracker, takeAnswer } from "./tracker.ts";
import { translate } from "./translate.ts";
import {
  type Ambiguity,
  type DatapathAction,
  type EffectAt,
  type Frozen,
  newScratch,
  type Scratch,
  type TableHit,
  type Translation,
  type Watcher,
} from "./translation.ts";

export type Verdict = "output" | "reply" | "drop" | "unknown" | "ambiguous";

/** A frame that left. Ports as people number them: LOCAL is 65534. */
export interface FrameOut {
  readonly port: number;
  readonly frame: Uint8Array;
  /** Values of ACCOMPANYING_WORDS: queue, mark and tunnel; null when all are zero. */
  readonly state: Uint32Array | null;
}

/** A packet for the controller. */
export interface PacketInSeen extends PacketInArguments {
  readonly frame: Uint8Array;
  /** By a TTL that was used up, and not by an action for the controller. */
  readonly isExpired: boolean;
  /** Values of PACKET_IN_WORDS. */
  readonly state: Uint32Array;
}

/** Everything that a frame brought about, in order of each kind. */
export interface Effects {
  readonly outputs: readonly FrameOut[];
  readonly packetIns: readonly PacketInSeen[];
  /** `after`: how many frames had left before. */
  readonly others: readonly (EffectAt & { readonly after: number })[];
}

/** What a frame brings with it beside its bytes, by word of the key; all other such words are zero. */
export type EnteringState = ReadonlyMap<number, number>;

/** What became of one frame. */
export interface Outcome {
  /**
   * `reply`: it leaves, and only by the port it came in by. `unknown` and `ambiguous` stand above the others.
   */
  readonly verdict: Verdict;
  /** In the order in which the switch emits them; empty when the verdict is unknown or ambiguous. */
  readonly outputs: readonly FrameOut[];
  readonly packetIns: readonly PacketInSeen[];
  /**
   * All that the frame brought about, effects of NORMAL, ct, meters and the like among them, which make the
   * verdict unknown; null when it is undecided how the packet went on.
   */
  readonly effects: Effects | null;
  /** What the outcome depends on, with the line of the flow or group. */
  readonly unknown: readonly FeatureAt[];
  readonly ambiguous: readonly Ambiguity[];
  /** What this frame changes for later ones (learn). */
  readonly outlives: readonly FeatureAt[];
  /** Errors that undid a pass over the tables: a loop, a fourth label. */
  readonly errors: readonly string[];
  /** The lookups in order, a table without a match among them; empty when they were not asked for. */
  readonly tables: readonly TableHit[];
}

export interface InterpreterOptions extends RulesetOptions {
  /** Whether the outcome lists the lookups; true by default. */
  readonly isTraced?: boolean;
  /**
   * Whether the frames of an outcome need to last until the next run only, which saves their making; false by
   * default.
   */
  readonly isFleeting?: boolean;
}

const LABEL_BYTES = 4;

/** How much of a frozen key comes back: metadata, registers, tunnel; the first words are the pass's own. */
const THAWED_FROM = KEY.skbPriority;

interface Running {
  verdict: Verdict;
  outputs: FrameOut[];
  packetIns: PacketInSeen[];
  others: (EffectAt & { after: number })[];
  unknown: FeatureAt[];
  ambiguous: Ambiguity[];
  outlives: FeatureAt[];
  errors: string[];
  tables: readonly TableHit[];
  /** What the frame asked the connection tracker for. */
  tracked: string[];
}

const EMPTY: readonly never[] = [];
export const NO_STATE: EnteringState = new Map();

/** What one pass works on; each depth has its own, to be used again by the next frame. */
interface Workplace {
  readonly packet: Packet;
  readonly key: Uint32Array;
  readonly scratch: Scratch;
}

const workplace = (): Workplace => ({
  packet: new Packet(),
  key: new Uint32Array(KEY_WORDS),
  scratch: newScratch(),
});

export class Interpreter {
  readonly rules: Ruleset;
  readonly #isTraced: boolean;
  readonly #isFleeting: boolean;
  #watcher: Watcher | null = null;
  #tracker: Tracker | null = null;
  /** What the frame that runs brought with it. */
  protected entering: EnteringState = NO_STATE;
  /** A key that nobody reads. */
  readonly #scratch = new Uint32Array(KEY_WORDS);
  readonly #copies = new Copies();
  readonly #workplaces: readonly Workplace[];

  constructor(flows: Iterable<Flow> | FlowColumns, options: InterpreterOptions = {}) {
    this.rules = new Ruleset(flows, options);
    this.#workplaces = Array.from({ length: this.rules.behaviour.recirculations + 1 }, workplace);
    this.#isTraced = options.isTraced ?? true;
    this.#isFleeting = options.isFleeting ?? false;
  }

  /**
   * Runs one frame. `inPort` is a number as people write it: LOCAL 65534. A frame under 14 bytes, or from a
   * number that is no port's, is dropped. A watcher is told what happens on the way. Without a tracker, or
   * without its answer, what comes behind ct is unknown.
   */
  run(
    inPort: number,
    frame: Uint8Array,
    watcher: Watcher | null = null,
    entering: EnteringState = NO_STATE,
    tracker: Tracker | null = null,
  ): Outcome {
    this.#watcher = watcher;
    this.#tracker = tracker;
    this.entering = entering;
    if (this.#isFleeting) this.#copies.forget();
    const outcome: Running = {
      verdict: "drop",
      outputs: [],
      packetIns: [],
      others: [],
      unknown: [],
      ambiguous: [],
      outlives: [],
      errors: [],
      tables: [],
      tracked: [],
    };
    const port = widePort(inPort);
    if (frame.length >= ETHERNET_BYTES && isPort(inPort)) this.#pass(outcome, frame, port, null, 0);
    const { outputs, packetIns, others, tracked: _, ...rest } = outcome;
    const isDecided = outcome.unknown.length === 0 && outcome.ambiguous.length === 0;
    const effects = isDecided ? { outputs, packetIns, others } : null;
    for (const { effect, name, line } of others) {
      if (effect === "learns") outcome.outlives.push({ feature: name, line });
      else if (effect === "samples") continue;
      else if (tracker !== null && name === "ct") outcome.outlives.push({ feature: name, line });
      else if (!outcome.unknown.some(one => one.feature === name && one.line === line))
        outcome.unknown.push({ feature: name, line });
    }
    const verdict = verdictOf(outcome, narrowPort(port));
    if (verdict === "unknown" || verdict === "ambiguous")
      return { ...rest, verdict, effects, outputs: EMPTY, packetIns: EMPTY };
    return { ...rest, verdict, effects, outputs, packetIns };
  }

  /** Reads the packet, translates it, carries the actions out. */
  #pass(outcome: Running, frame: Uint8Array, inPort: number, frozen: Frozen | null, depth: number): void {
    const { packet, key, scratch } = this.#workplaces[depth]!;
    packet.load(frame);
    key.fill(0);
    extract(packet.bytes, key, packet, this.rules.vlanLimit);
    key[KEY.inPort] = inPort;
    if (frozen !== null) {
      thaw(key, frozen);
      if (!this.#answer(outcome, packet, key, frozen)) return;
    } else for (const [word, value] of this.entering) key[word] = value;
    if (depth > 0) this.#watcher?.recirculated(packet.bytes, key);
    const translation = this.translate(key, scratch, frozen, this.#watcher);
    collect(outcome, translation, this.#isTraced);
    // What the second pass put out is then sometimes lost, and sometimes not.
    if (translation.error !== null && depth > 1)
      outcome.unknown.push({ feature: "an error after two recirculations", line: lastLine(translation) });
    if (outcome.unknown.length > 0 || outcome.ambiguous.length > 0) return;
    this.#execute(outcome, packet, translation.actions, inPort, depth, translation);
  }

  /** Asks the connection tracker if the packet comes from it; false if there is no answer. */
  #answer(outcome: Running, packet: Packet, key: Uint32Array, { asked }: Frozen): boolean {
    if (asked === null) return true;
    const { step, zone } = asked;
    const history = outcome.tracked.join("\n");
    const answer = this.#tracker?.({ step, zone, key, history }) ?? null;
    if (answer === null) outcome.unknown.push({ feature: "ct", line: step.line });
    else takeAnswer(answer, zone, key, packet);
    return answer !== null;
  }

  /** One pass over the tables; megaflow-cache.ts memoizes it. */
  protected translate(
    key: Uint32Array,
    scratch: Scratch,
    frozen: Frozen | null,
    watcher: Watcher | null,
  ): Translation {
    return translate(this.rules, key, scratch, frozen, watcher);
  }

  #execute(
    outcome: Running,
    packet: Packet,
    actions: readonly DatapathAction[],
    inPort: number,
    depth: number,
    translation: Translation,
  ): void {
    for (const action of actions) {
      switch (action.do) {
        case "output": {
          const frame = this.#copies.of(packet.bytes, packet.bytes.length - packet.cutBytes);
          packet.cutBytes = 0;
          // Truncated and popped, it may be less than a header: no port sends that, and some forget what
          // comes behind it.
          if (frame.length < ETHERNET_BYTES)
            outcome.unknown.push({ feature: "an output of less than 14 bytes", line: lastLine(translation) });
          outcome.outputs.push({ port: narrowPort(action.port), frame, state: action.state });
          break;
        }
        case "packet_in":
          outcome.packetIns.push({
            ...action.to,
            frame: this.#copies.of(packet.bytes),
            isExpired: action.isExpired,
            state: action.state,
          });
          // The datapath reads the packet on its way to the controller. Labels behind an LLC header then lie
          // elsewhere.
          extract(packet.bytes, this.#scratch.fill(0), packet, this.rules.vlanLimit);
          break;
        case "effect":
          outcome.others.push({ ...action, after: outcome.outputs.length });
          if (action.name === "ct") outcome.tracked.push(action.key);
          break;
        case "recirculate":
          if (depth < this.rules.behaviour.recirculations)
            this.#pass(outcome, packet.bytes, inPort, action.frozen, depth + 1);
          break;
        case "clone":
          this.#execute(outcome, packet.clone(), action.actions, inPort, depth, translation);
          break;
        case "set_ethernet":
        case "set_ipv4":
        case "set_ipv6":
        case "set_arp":
        case "set_ports":
        case "set_icmp":
        case "set_nd":
        case "set_nd_extensions":
        case "set_mpls":
        case "push_mpls":
        case "pop_mpls":
        case "push_vlan":
        case "pop_vlan":
        case "truncate": {
          const trouble = troubleOf(packet, action);
          if (trouble !== null) {
            outcome.unknown.push({ feature: trouble, line: lastLine(translation) });
            return;
          }
          applyHeaderAction(packet, action);
          break;
        }
        default:
          unreachable(action);
      }
    }
  }
}

/** The line of the last flow that was found. */
const lastLine = ({ tables }: Translation): number =>
  tables.findLast(({ flow }) => flow)?.flow?.source.line ?? 0;

/** Why nobody can tell what an action makes of the packet; null when somebody can. */
function troubleOf(packet: Packet, action: HeaderAction): string | null {
  if (overruns(packet, action)) return "a change to a header that is cut short";
  return isMisplaced(packet, action) ? "a change to a header that the switch looks for elsewhere" : null;
}

/** Whether Open vSwitch, which does not look, would write beyond the end of the packet. */
function overruns({ bytes, layer3At, labelsAt }: Packet, { do: what }: DatapathAction): boolean {
  if (what === "set_arp") return bytes.length - layer3At < ARP_BYTES;
  return what === "set_mpls" && labelsAt >= 0 && bytes.length - labelsAt < LABEL_BYTES;
}

/** Restores the metadata of a packet that was recirculated. */
function thaw(key: Uint32Array, frozen: Frozen): void {
  for (let word = THAWED_FROM; word < frozen.key.length; word++) key[word] = frozen.key[word]!;
  key[KEY.recircId] = frozen.id;
}

function collect(outcome: Running, translation: Translation, isTraced: boolean): void {
  // Most frames are done after one pass, whose list serves.
  if (isTraced)
    outcome.tables =
      outcome.tables.length === 0 ? translation.tables : [...outcome.tables, ...translation.tables];
  if (translation.error !== null) outcome.errors.push(translation.error);
  if (translation.unknown.length > 0) outcome.unknown.push(...translation.unknown);
  if (translation.ambiguous.length > 0) outcome.ambiguous.push(...translation.ambiguous);
}

function verdictOf({ unknown, ambiguous, outputs }: Running, inPort: number): Verdict {
  if (ambiguous.length > 0) return "ambiguous";
  if (unknown.length > 0) return "unknown";
  if (outputs.length === 0) return "drop";
  return outputs.every(({ port }) => port === inPort) ? "reply" : "output";
}
