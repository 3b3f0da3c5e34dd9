/**
 * Who traces a frame: the core for an intent, the interpreter for flows. Both give the same report; the
 * interpreter also writes the line of JSON by itself, from pieces it keeps, because a batch is bounded by
 * that.
 */

import { Core, type FrameOut } from "../core/index.ts";
import type { Intent } from "../intent/index.ts";
import {
  CachingInterpreter,
  changesBetween,
  type EnteringState,
  type Flow,
  formatActions,
  formatMatch,
  givenTracker,
  isPort,
  type Outcome,
  type TableHit,
  type TrackerAnswer,
  type Watcher,
} from "../openflow/index.ts";
import { actionsText, Flows, matchedFlows, popped, ruleText } from "../pipeline/index.ts";
import type { PortNames } from "../replay/index.ts";
import {
  type ShownPacketIn,
  type TraceClause,
  type TraceEvent,
  type TraceReport,
  type TraceStep,
  traceJson,
} from "../report/index.ts";
import { formatHex, summarize } from "../wire/index.ts";
import type { Bridge } from "./flows.ts";
import { type Answers, pieceOf } from "./ndjson-writer.ts";
import { enteringText, shownOutput, shownPacketIn } from "./state-text.ts";

/** A frame, and what it brings with it beside its bytes. */
export interface Traced {
  readonly inPort: number;
  readonly frame: Uint8Array;
  readonly state: EnteringState;
}

export interface Tracer {
  readonly ports: PortNames;
  /** `state`: what the frame brings with it beside its bytes. */
  trace(inPort: number, frame: Uint8Array, state: EnteringState): TraceReport;
  /** Writes the line of JSON that says the same, without its end. */
  write(inPort: number, frame: Uint8Array, state: EnteringState, to: Answers): void;
}

/** The pipeline of an intent, on the core. */
export class CoreTracer implements Tracer {
  readonly ports: PortNames;
  readonly #core: Core;
  readonly #flows: Flows;

  constructor(intent: Intent, ports: PortNames) {
    this.ports = ports;
    this.#core = Core.load();
    this.#core.install(intent);
    this.#flows = new Flows(intent);
  }

  /** The core is asked with a batch of one. The pipeline reads no state beside a frame. */
  trace(inPort: number, frame: Uint8Array, state: EnteringState): TraceReport {
    const out = this.#core.runFrames([{ inPort, frame }])[0]!;
    const seen = out.isPopped ? popped(frame) : frame;
    return {
      inPort,
      inPortName: this.ports.nameOf(inPort),
      state: enteringText(state),
      before: summarize(frame),
      outputs: this.#outputsOf(out),
      packetIns: out.reason === "ttl-expired" ? [expired(formatHex(seen))] : [],
      others: [],
      verdict: out.verdict,
      reason: out.reason,
      unknown: [],
      ambiguous: [],
      tables: this.#stepsOf(inPort, frame, out),
      isPipeline: true,
      events: [],
      notes: [],
    };
  }

  write(inPort: number, frame: Uint8Array, state: EnteringState, to: Answers): void {
    to.text(traceJson(this.trace(inPort, frame, state)));
  }

  /** The flows that the frame matched, in the tables that the core says it met. */
  #stepsOf(inPort: number, frame: Uint8Array, out: FrameOut): TraceStep[] {
    return matchedFlows(this.#flows, out.tables, inPort, frame).map((index, step) => {
      const flow = this.#flows.at(index);
      return { table: out.tables[step]!, flow: ruleText(flow), line: index + 1, actions: actionsText(flow) };
    });
  }

  #outputsOf({ port, frame }: FrameOut): TraceReport["outputs"] {
    if (port === null || frame === null) return [];
    const hex = formatHex(frame);
    const portName = this.ports.nameOf(port);
    return [{ port, portName, along: [], state: "", hex, summary: summarize(frame) }];
  }
}

/** A packet that the core drops for its TTL: what Open vSwitch would send. */
const expired = (hex: string): ShownPacketIn => ({
  reason: "invalid_ttl",
  id: 0,
  maxLen: 0xffff,
  userdata: null,
  state: "",
  hex,
});

/** Looks on and notes what changes between tables. */
class Recorder implements Watcher {
  readonly events: { changes: TraceEvent["changes"]; readAgain: string | null }[] = [];
  #before: Uint32Array | null = null;

  lookedUp(_hit: TableHit, key: Uint32Array): void {
    this.#note(key);
    this.events.push({ changes: [], readAgain: null });
  }

  putOut(_port: number, key: Uint32Array): void {
    this.#note(key);
  }

  recirculated(frame: Uint8Array, key: Uint32Array): void {
    const event = this.events.at(-1);
    if (event !== undefined) event.readAgain = summarize(frame);
    this.#before = key.slice();
  }

  /** What differs from the last time belongs to the table that was met last. */
  #note(key: Uint32Array): void {
    const event = this.events.at(-1);
    if (event !== undefined && this.#before !== null)
      event.changes = [...event.changes, ...changesBetween(this.#before, key)];
    this.#before = key.slice();
  }
}

/** Whether an outcome has what the pieces of JSON have no place for. */
const hasMore = ({ outputs, packetIns }: Outcome): boolean =>
  outputs.some(({ state }) => state !== null) ||
  packetIns.some(
    one =>
      shownPacketIn(one).state !== "" || one.id !== 0 || one.maxBytes !== 0xffff || one.userdata !== null,
  );

const hexOf = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");

/** Flows, through the interpreter. */
export class FlowTracer implements Tracer {
  readonly ports: PortNames;
  readonly #bridge: Bridge;
  readonly #interpreter: CachingInterpreter;
  /** What the connection tracker says of each frame, in the order of its questions. */
  readonly #ctNext: readonly TrackerAnswer[];
  /** Pieces of JSON: of flows, of ports in front of a frame, of ports that frames come in by. */
  readonly #stepPieces = new Map<Flow, Uint8Array>();
  readonly #portPieces = new Map<number, Uint8Array>();
  readonly #headPieces = new Map<number, Uint8Array>();

  constructor(bridge: Bridge, ctNext: readonly TrackerAnswer[] = []) {
    this.#ctNext = ctNext;
    const { flows, ports, options } = bridge;
    this.ports = ports;
    this.#bridge = bridge;
    this.#interpreter = new CachingInterpreter(flows, { ...options, isFleeting: true });
  }

  /** The outcome, unknown where a name that nothing defines may be the number of another port. */
  #run({ inPort, frame, state }: Traced, recorder: Recorder | null = null): Outcome {
    const tracker = this.#ctNext.length === 0 ? null : givenTracker(this.#ctNext);
    const outcome = this.#interpreter.run(inPort, frame, recorder, state, tracker);
    const clash = this.#bridge.clashWith(inPort);
    if (clash === null) return outcome;
    const unknown = [...outcome.unknown, { feature: clash, line: 0 }];
    return { ...outcome, verdict: "unknown", outputs: [], packetIns: [], effects: null, unknown };
  }

  trace(inPort: number, frame: Uint8Array, state: EnteringState): TraceReport {
    const recorder = new Recorder();
    const outcome = this.#run({ inPort, frame, state }, recorder);
    return this.#reportOf({ inPort, frame, state }, outcome, recorder.events);
  }

  #reportOf({ inPort, frame, state }: Traced, outcome: Outcome, events: TraceReport["events"]): TraceReport {
    return {
      inPort,
      inPortName: this.ports.nameOf(inPort),
      state: enteringText(state),
      before: summarize(frame),
      outputs: outcome.outputs.map(output => shownOutput(output, port => this.ports.nameOf(port))),
      packetIns: outcome.packetIns.map(shownPacketIn),
      others: (outcome.effects?.others ?? []).map(({ text }) => text),
      verdict: outcome.verdict,
      reason: null,
      unknown: outcome.unknown.map(({ feature, line }) => ({ feature, line })),
      ambiguous: ambiguousOf(outcome),
      tables: outcome.tables.map(hit => stepOf(hit, this.#bridge.symbols)),
      isPipeline: false,
      events,
      notes: [
        ...(isPort(inPort) ? [] : [`${inPort} is not a valid input port: no frame can enter it`]),
        ...(frame.length < 14 ? ["no Ethernet header: Open vSwitch rejects the frame"] : []),
        ...outcome.errors.map(error => `outcome discarded: ${error}`),
        ...outcome.outlives.map(({ feature, line }) => `${feature}, line ${line}, changes later frames`),
      ],
    };
  }

  write(inPort: number, frame: Uint8Array, state: EnteringState, to: Answers): void {
    const outcome = this.#run({ inPort, frame, state });
    if (state.size > 0 || hasMore(outcome)) {
      to.text(traceJson(this.#reportOf({ inPort, frame, state }, outcome, [])));
      return;
    }
    const { outputs, verdict, tables } = outcome;
    to.piece(this.#headPiece(inPort));
    for (let i = 0; i < outputs.length; i++) {
      const { port, frame: out } = outputs[i]!;
      if (i > 0) to.piece(COMMA);
      to.piece(this.#portPiece(port));
      to.hex(out);
      to.piece(END_OF_OUTPUT);
    }
    const { packetIns, unknown, ambiguous } = outcome;
    if (packetIns.length + unknown.length + ambiguous.length === 0) to.piece(PLAIN[verdict]);
    else to.text(middleOf(outcome));
    for (let i = 0; i < tables.length; i++) {
      if (i > 0) to.piece(COMMA);
      to.piece(this.#stepPiece(tables[i]!));
    }
    to.piece(END);
  }

  #headPiece(inPort: number): Uint8Array {
    let piece = this.#headPieces.get(inPort);
    if (piece === undefined) {
      const name = this.ports.nameOf(inPort);
      const named = name === null ? "" : `,"in_port_name":${JSON.stringify(name)}`;
      piece = pieceOf(`{"type":"trace","schema":1,"in_port":${inPort}${named},"outputs":[`);
      if (this.#headPieces.size < MAX_PIECES) this.#headPieces.set(inPort, piece);
    }
    return piece;
  }

  #portPiece(port: number): Uint8Array {
    let piece = this.#portPieces.get(port);
    if (piece === undefined) {
      const name = this.ports.nameOf(port);
      const named = name === null ? "" : `,"port_name":${JSON.stringify(name)}`;
      piece = pieceOf(`{"port":${port}${named},"frame":"`);
      this.#portPieces.set(port, piece);
    }
    return piece;
  }

  #stepPiece(hit: TableHit): Uint8Array {
    if (hit.flow === null || hit.clauses !== undefined)
      return pieceOf(JSON.stringify(stepOf(hit, this.#bridge.symbols)));
    let piece = this.#stepPieces.get(hit.flow);
    if (piece === undefined) {
      piece = pieceOf(JSON.stringify(stepOf(hit, this.#bridge.symbols)));
      this.#stepPieces.set(hit.flow, piece);
    }
    return piece;
  }
}

/** Ports that frames come in by are the caller's numbers, any of 2^32. */
const MAX_PIECES = 65_536;

const COMMA = pieceOf(",");
const END_OF_OUTPUT = pieceOf('"}');
const END = pieceOf("]}");

/** What stands between outputs and tables. */
function middleOf({ packetIns, verdict, unknown, ambiguous }: Outcome): string {
  const seen = packetIns.map(({ reason, frame }) => `{"reason":"${reason}","frame":"${hexOf(frame)}"}`);
  const open = ambiguous.length === 0 ? "" : `,"ambiguous":${JSON.stringify(ambiguousOf({ ambiguous }))}`;
  const unknowns = JSON.stringify(unknown);
  const middle = `"verdict":"${verdict}","reason":null,"unknown":${unknowns}${open}`;
  return `],"packet_ins":[${seen}],${middle},"tables":[`;
}

/** The same where there are only outputs. */
const PLAIN = Object.fromEntries(
  (["output", "reply", "drop", "unknown", "ambiguous"] as const).map(verdict => {
    const nothing = {
      packetIns: [],
      unknown: [],
      ambiguous: [],
      outputs: [],
      outlives: [],
      errors: [],
      effects: null,
    };
    return [verdict, pieceOf(middleOf({ ...nothing, tables: [], verdict }))];
  }),
) as Record<Outcome["verdict"], Uint8Array>;

/** Ports and tables without a number are printed by their names. */
function stepOf({ table, flow, clauses }: TableHit, symbols: Bridge["symbols"]): TraceStep {
  if (flow === null) return { table, flow: null, line: null, actions: null };
  const clausesOf = clauses?.map(one => flowOf(one, symbols));
  return { table, ...flowOf(flow, symbols), ...(clausesOf === undefined ? {} : { clauses: clausesOf }) };
}

const flowOf = ({ match, priority, actions, source }: Flow, symbols: Bridge["symbols"]): TraceClause => ({
  flow: formatMatch(match, priority, symbols),
  line: source.line,
  actions: formatActions(actions, symbols, match),
});

function ambiguousOf({ ambiguous }: Pick<Outcome, "ambiguous">): TraceReport["ambiguous"] {
  const linesOf = (flows: readonly Flow[]): number[] =>
    flows.map(({ source }) => source.line).sort((a, b) => a - b);
  return ambiguous.map(({ table, flows, clauses }) => ({
    table,
    lines: linesOf(flows),
    ...(clauses === undefined ? {} : { clauses: linesOf(clauses) }),
  }));
}
