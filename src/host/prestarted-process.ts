/**
 * A process that is started before it is needed and waits for its standard input. ovs-ofctl(8) reads all of
 * its input before it connects to the switch, and its start takes ten times as long as the rest: a prestarted
 * one writes a VM's flows in two milliseconds. It has no state before its input, so it may wait for any time.
 * Each process is used once.
 */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import type { Socket } from "node:net";

/** Exit status and output of a process. */
export interface Ended {
  /** Null if it was killed or could not be started. */
  readonly code: number | null;
  readonly output: string;
  /** Standard error. */
  readonly errors: string;
  readonly error: NodeJS.ErrnoException | null;
}

/** Delay before the next start, so that it does not slow down the work that follows a write. */
const PAUSE_MS = 30;

/** A process, and its result. */
interface Waiting {
  readonly child: ChildProcessWithoutNullStreams;
  readonly ended: Promise<Ended>;
}

export class PrestartedProcess {
  readonly #program: string;
  readonly #words: readonly string[];
  readonly #timeoutMs: number;
  #waiting: Waiting | null = null;
  readonly #running = new Set<ChildProcessWithoutNullStreams>();
  #timer: NodeJS.Timeout | null = null;
  #isClosed = false;

  /** @param timeoutMs from its input on; then it is killed */
  constructor(program: string, words: readonly string[], timeoutMs: number) {
    this.#program = program;
    this.#words = words;
    this.#timeoutMs = timeoutMs;
  }

  /** Starts a process soon, if none waits. */
  prepare(): void {
    if (this.#isClosed || this.#waiting !== null || this.#timer !== null) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      const waiting = this.#start();
      this.#waiting = waiting;
      // It was killed or could not be started: `run` must not use it.
      for (const event of ["exit", "error"])
        waiting.child.once(event, () => {
          if (this.#waiting === waiting) this.#waiting = null;
        });
      setReferenced(waiting.child, false);
    }, PAUSE_MS);
    this.#timer.unref();
  }

  /** Runs the waiting process, or a new one, with this input. Never rejects: failures are in the result. */
  async run(input: string): Promise<Ended> {
    const { child, ended } = this.#waiting ?? this.#start();
    this.#waiting = null;
    setReferenced(child, true);
    const timer = setTimeout(() => child.kill(), this.#timeoutMs);
    this.#running.add(child);
    child.stdin.end(input);
    const result = await ended;
    this.#running.delete(child);
    clearTimeout(timer);
    this.prepare();
    return result;
  }

  /** Kills all processes; the waiting one with SIGKILL, so that it does not act on the end of its input. */
  close(): void {
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#waiting?.child.kill("SIGKILL");
    this.#waiting = null;
    for (const child of this.#running) child.kill();
  }

  #start(): Waiting {
    const child = spawn(this.#program, this.#words, { stdio: ["pipe", "pipe", "pipe"] });
    const output: Buffer[] = [];
    let errors = "";
    child.stdout.on("data", (chunk: Buffer) => output.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => {
      errors += chunk;
    });
    child.stdin.on("error", () => undefined);
    const ended = new Promise<Ended>(resolve => {
      const end = (code: number | null, error: NodeJS.ErrnoException | null): void =>
        resolve({ code, output: Buffer.concat(output).toString("latin1"), errors, error });
      child.once("error", error => end(null, error));
      child.once("close", code => end(code, null));
    });
    return { child, ended };
  }
}

/** Whether this process waits for the child to end; a child that only waits must not keep it running. */
function setReferenced(child: ChildProcessWithoutNullStreams, isReferenced: boolean): void {
  const what = isReferenced ? "ref" : "unref";
  child[what]();
  for (const stream of [child.stdin, child.stdout, child.stderr]) (stream as unknown as Socket)[what]();
}
