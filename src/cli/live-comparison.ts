/**
 * `slash32 live --against`: compares frames that passed the core with what the flows of a bridge would do.
 * An error here ends the comparison and nothing else: frames go on.
 */
import { Core, dropReason, VERDICTS } from "../core/index.ts";
import type { Intent } from "../intent/index.ts";
import type { Mirrored } from "../live/index.ts";
import { CachingInterpreter } from "../openflow/index.ts";
import { Against, type AgainstResult } from "../replay/index.ts";
import type { Context } from "./context.ts";
import { readBridge, refuseClash } from "./flows.ts";

export class LiveComparison {
  readonly #context: Context;
  readonly #file: string;
  readonly #warn: (text: string) => void;
  #against: Against;
  /** Flows that --lenient left out of the dump read last. */
  skippedFlows = 0;
  /** Why the comparison ended; null while it goes on. */
  problem: string | null = null;

  /** Reads the flows. `warn` prints a line. Throws UserError. */
  constructor(context: Context, file: string, intent: Intent, warn: (text: string) => void) {
    this.#context = context;
    this.#file = file;
    this.#warn = warn;
    const { interpreter, ports } = this.#read(intent);
    this.#against = new Against({
      intent,
      interpreter,
      ports,
      interfaces: [],
      diff: undefined,
      core: Core.load(),
    });
  }

  /** Reads the flows again, for a new intent. Throws UserError; the flows read before then stay. */
  reload(intent: Intent): void {
    this.#against.replace(this.#read(intent).interpreter);
  }

  #read(intent: Intent) {
    const bridge = readBridge(this.#context, this.#file, intent);
    refuseClash(this.#context, bridge);
    this.skippedFlows = bridge.flows.skipped;
    const interpreter = new CachingInterpreter(bridge.flows, { ...bridge.options, isFleeting: true });
    return { interpreter, ports: bridge.ports };
  }

  result(): AgainstResult {
    return this.#against.result();
  }

  /** Compares one frame. */
  compare(record: Mirrored): void {
    if (this.problem !== null) return;
    try {
      compareOne(this.#against, record);
    } catch (error) {
      this.problem = (error as Error).message;
      this.#warn(`--against: ${this.problem}; slash32 compares no more frames, live goes on`);
    }
  }
}

function compareOne(against: Against, { inPort, outPort, verdict, reason, frame, out }: Mirrored): void {
  const word = VERDICTS[verdict]!;
  const isDropped = word === "drop";
  against.compareOne(
    // The interpreter keeps the frame, and these bytes are overwritten.
    { inPort, frame: frame.slice() },
    {
      verdict: word,
      reason: isDropped ? dropReason(reason) : null,
      tables: [],
      isPopped: false,
      port: isDropped ? null : outPort,
      frame: isDropped ? null : out,
    },
  );
}
