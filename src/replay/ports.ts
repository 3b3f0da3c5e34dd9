/**
 * Port names and numbers on the command line and in captures: those of an intent, and those given by `--ports`. A name
 * takes precedence over a number. A number that is not a port of the intent is valid (its frames drop as
 * `unknown-port`); an unknown name is an error.
 */
import type { Intent } from "../intent/index.ts";

const MAX_NUMBER = 0xffffffff;
/** The reserved port of the bridge itself (OFPP_LOCAL of OpenFlow 1.0, as Open vSwitch prints it). */
const LOCAL = 65534;

/** Names and numbers of ports. */
export class PortNames {
  readonly #numbers = new Map<string, number>();
  readonly #names = new Map<number, string>();
  readonly #isIntents: boolean;

  /** The ports of an intent, and those given by `--ports`, which take precedence. */
  constructor(intent: Intent | null, given: ReadonlyMap<string, number> = new Map()) {
    this.#isIntents = intent !== null;
    const own = intent === null ? [] : [intent.uplink, ...intent.vms];
    for (const { port, ofport } of own) this.#set(port, ofport);
    for (const [name, number] of given) this.#set(name, number);
  }

  #set(name: string, number: number): void {
    this.#numbers.set(name, number);
    this.#names.set(number, name);
  }

  /** Numbers by name. */
  get numbers(): ReadonlyMap<string, number> {
    return this.#numbers;
  }

  /** The number of the port with this name; null if there is none. */
  byName(name: string): number | null {
    return this.#numbers.get(name) ?? null;
  }

  /** The number of a port given by name or number; null if it is neither. */
  resolve(text: string): number | null {
    const named = this.byName(text);
    if (named !== null) return named;
    if (/^local$/i.test(text)) return LOCAL;
    const number = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
    return number <= MAX_NUMBER ? number : null;
  }

  /** The port's name; null if it has none. */
  nameOf(number: number): string | null {
    return this.#names.get(number) ?? null;
  }

  /** The error for a port that is neither a name nor a number: `"tap9" is not a port of the intent, …`. */
  notAPort(text: string): string {
    if (this.#isIntents) return `"${text}" is not a port of the intent, which has ${this.list()}`;
    if (this.#numbers.size > 0) return `"${text}" is not a port that --ports names; it names ${this.list()}`;
    return `"${text}" is not a port number; give names with --ports FILE or --ports ${text}=N`;
  }

  /** ` of the intent` if there is one, else nothing. */
  ofIntent(): string {
    return this.#isIntents ? " of the intent" : "";
  }

  /** `uplink0, tap101, … (12 more)`: the valid names. */
  list(): string {
    const names = [...this.#numbers.keys()];
    if (names.length === 0) return "1 to 65279 (no names are given; see --ports)";
    const shown = names.slice(0, 8).join(", ");
    return names.length > 8 ? `${shown}, … (${names.length - 8} more)` : shown;
  }
}

/** The argument of `-r`: a capture and, if given, the port that its frames enter. */
export interface CaptureArgument {
  readonly capture: string;
  readonly port: string | null;
}

/**
 * Splits `[PORT=]CAPTURE`. The text before the first `=` is a port, unless it contains a slash and is not the name of a
 * port: `./a=b.pcap` is a file.
 */
export function parseCaptureArgument(text: string, ports: PortNames): CaptureArgument {
  const at = text.indexOf("=");
  if (at < 0) return { capture: text, port: null };
  const port = text.slice(0, at);
  if (port.includes("/") && ports.byName(port) === null) return { capture: text, port: null };
  return { capture: text.slice(at + 1), port };
}
