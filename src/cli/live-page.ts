/**
 * What `slash32 live` prints while it runs and at its end: a page on a terminal that is written over each
 * second, lines of ndjson, messages between them, totals. Standard output may fail or block at any time
 * without an effect on frames.
 */
import { harmlessJson } from "../host/index.ts";
import { control, type LiveReport, liveJson, liveText } from "../report/index.ts";
import { BackgroundOutput } from "./background-output.ts";
import { type Context, print, say } from "./context.ts";
import { isScreen } from "./terminal.ts";

const CLEAR_PAGE = control("J");

export class LivePage {
  readonly #context: Context;
  /** Lines of the page that is on the terminal. */
  #lines = 0;
  #before: LiveReport | null = null;
  #isOutputStuck = false;
  readonly #output = new BackgroundOutput(message =>
    say(`slash32: standard output: ${message}; slash32 writes nothing more there, live goes on`),
  );

  constructor(context: Context) {
    this.#context = context;
  }

  /** Whether something is printed each second. */
  get isRegular(): boolean {
    const { format, isQuiet } = this.#context;
    return format === "ndjson" || (format === "text" && isScreen(1) && !isQuiet);
  }

  /** Whether standard output did not take all. */
  get hasFailed(): boolean {
    return this.#isOutputStuck || this.#output.problem !== null;
  }

  /** A message on standard error, not with --quiet. */
  say(text: string): void {
    if (!this.#context.isQuiet) this.warn(text);
  }

  /** A message on standard error, also with --quiet. */
  warn(text: string): void {
    this.clear();
    say(`slash32: ${text}`);
  }

  show(report: LiveReport): void {
    const before = this.#before;
    this.#before = report;
    if (this.#context.format === "ndjson") {
      this.#output.line(`${harmlessJson(liveJson(report, false))}\n`);
      return;
    }
    this.clear();
    const text = liveText(report, before, this.#context.palette(1));
    this.#output.now(text);
    this.#lines = text.split("\n").length - 1;
  }

  clear(): void {
    if (this.#lines > 0) this.#output.now(control(`${this.#lines}A`) + control("G") + CLEAR_PAGE);
    this.#lines = 0;
  }

  async totals(report: LiveReport): Promise<void> {
    const isToStdout = this.#context.text("report") === "-";
    const isText = this.#context.format === "text";
    if (isText && (this.#context.isQuiet || isToStdout)) return;
    if (!isText && isToStdout) return say(liveJson(report));
    if (this.#output.problem !== null) return;
    this.#isOutputStuck = !(await this.#output.settle());
    if (this.#isOutputStuck)
      return say("slash32: standard output: the reader is blocked; totals are not printed");
    print(isText ? liveText(report, null, this.#context.palette(1)) : `${liveJson(report)}\n`);
  }
}
