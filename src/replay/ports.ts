/**
 * Ports on the command line and in captures: names and numbers of an intent, or as they were given. A name wins over a
 * number; a number that is no port of the intent is allowed (its frames are dropped as `unknown-port`), an unknown name
 * is not.
 */
import type { Intent } from "../intent/index.ts";

const MAX_NUMBER = 0xffffffff;
/** OpenFlow's reserved port of the bridge itself (OpenFlow 1.0 §5.2.1, as Open vSwitch prints it). */
const LOCAL = 65534;

/** Names and numbers of ports. */
export class PortNames {
  readonly #numbers = new Map<string, number>();
  readonly #names = new Map<number, string>();
  readonly #isIntents: boolean;

  /** Those of an intent, and those given by `--ports`, which win. */
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

  /** The number of a port given by exactly its name, null when no port has it. */
  byName(name: string): number | null {
    return this.#numbers.get(name) ?? null;
  }

  /** The number of a port given by name or number; null when it is neither. */
  resolve(text: string): number | null {
    const named = this.byName(text);
    if (named !== null) return named;
    if (/^local$/i.test(text)) return LOCAL;
    const number = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
    return number <= MAX_NUMBER ? number : null;
  }

  /** The port's name, null when the intent has no such port. */
  nameOf(number: number): string | null {
    return this.#names.get(number) ?? null;
  }

  /** `"tap9" is no port of the intent, which has uplink0, …`: what is wrong with a name. */
  stranger(text: string): string {
    if (this.#isIntents) return `"${text}" is no port of the intent, which has ${this.list()}`;
    if (this.#numbers.size > 0) return `"${text}" is no port that --ports names, which are ${this.list()}`;
    return `"${text}" is no port's number; names are given by --ports FILE or --ports ${text}=N`;
  }

  /** ` of the intent`, where there is one. */
  ofIntent(): string {
    return this.#isIntents ? " of the intent" : "";
  }

  /** `uplink0, tap101, … (12 more)`: what could have been meant. */
  list(): string {
    const names = [...this.#numbers.keys()];
    if (names.length === 0) return "1 to 65279, as no names are given (--ports)";
    const shown = names.slice(0, 8).join(", ");
    return names.length > 8 ? `${shown}, … (${names.length - 8} more)` : shown;
  }
}

/** What `-r` says: a capture and, if given, the port that its frames enter. */
export interface CaptureArgument {
  readonly capture: string;
  readonly port: string | null;
}

/**
 * Splits `[PORT=]CAPTURE`. What stands before the first `=` is a port, unless it has a slash and is no port's name:
 * `./a=b.pcap` is a file.
 */
export function parseCaptureArgument(text: string, ports: PortNames): CaptureArgument {
  const at = text.indexOf("=");
  if (at < 0) return { capture: text, port: null };
  const port = text.slice(0, at);
  if (port.includes("/") && ports.byName(port) === null) return { capture: text, port: null };
  return { capture: text.slice(at + 1), port };
}
