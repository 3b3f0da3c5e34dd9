/**
 * A program that is started before it is needed. ovs-ofctl(8) reads all of its input before it connects to the switch, and
 * starting it takes ten times as long as what it does then: one that waits, with its input open, writes a VM's flows in two
 * milliseconds. It knows nothing of the switch until then, so it does not matter how long it waits. Each is used once.
 */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import type { Socket } from "node:net";

/** How a program ended, and what it said. */
export interface Ended {
  /** Null when it was ended, or could not be started. */
  readonly code: number | null;
  readonly output: string;
  readonly complaint: string;
  readonly error: NodeJS.ErrnoException | null;
}

/** When the next is started: not while what follows a write still has to be done. */
const PAUSE_MS = 30;

/** A process, and all of it once it has ended. */
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

  /** @param timeoutMs from its input on; then it is ended */
  constructor(program: string, words: readonly string[], timeoutMs: number) {
    this.#program = program;
    this.#words = words;
    this.#timeoutMs = timeoutMs;
  }

  /** Has one started soon, if none waits. */
  prepare(): void {
    if (this.#isClosed || this.#waiting !== null || this.#timer !== null) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      const waiting = this.#start();
      this.#waiting = waiting;
      // Somebody else ended it, or it cannot be started: it is not there when it is needed.
      for (const event of ["exit", "error"])
        waiting.child.once(event, () => {
          if (this.#waiting === waiting) this.#waiting = null;
        });
      setReferenced(waiting.child, false);
    }, PAUSE_MS);
    this.#timer.unref();
  }

  /** Runs it with this input, the one that waits or a new one. Never fails: what went wrong stands in the answer. */
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

  /** Ends those that run, and the one that waits before the end of its input would have it write nothing to the switch. */
  close(): void {
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#waiting?.child.kill("SIGKILL");
    this.#waiting = null;
    for (const child of this.#running) child.kill();
  }

  #start(): Waiting {
    const child = spawn(this.#program, this.#words, { stdio: ["pipe", "pipe", "pipe"] });
    const said: Buffer[] = [];
    let complaint = "";
    child.stdout.on("data", (chunk: Buffer) => said.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => {
      complaint += chunk;
    });
    child.stdin.on("error", () => undefined);
    const ended = new Promise<Ended>(resolve => {
      const end = (code: number | null, error: NodeJS.ErrnoException | null): void =>
        resolve({ code, output: Buffer.concat(said).toString("latin1"), complaint, error });
      child.once("error", error => end(null, error));
      child.once("close", code => end(code, null));
    });
    return { child, ended };
  }
}

/** Whether this process stays for it: a program that only waits keeps nobody. */
function setReferenced(child: ChildProcessWithoutNullStreams, isReferenced: boolean): void {
  const what = isReferenced ? "ref" : "unref";
  child[what]();
  for (const stream of [child.stdin, child.stdout, child.stderr]) (stream as unknown as Socket)[what]();
}
