/**
 * Ports on the command line and in captures: names and numbers of an intent. A name wins over a number; a number
 * that is no port of the intent is allowed (its frames are dropped as `unknown-port`), an unknown name is not.
 */
import type { Intent } from "../intent/index.ts";

const MAX_NUMBER = 0xffffffff;
/** OpenFlow's reserved port of the bridge itself (OpenFlow 1.0 §5.2.1, as Open vSwitch prints it). */
const LOCAL = 65534;

/** Names and numbers of an intent's ports. */
export class PortNames {
  readonly #numbers = new Map<string, number>();
  readonly #names = new Map<number, string>();

  constructor(intent: Intent) {
    for (const { port, ofport } of [intent.uplink, ...intent.vms]) {
      this.#numbers.set(port, ofport);
      this.#names.set(ofport, port);
    }
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

  /** `uplink0, tap101, … (12 more)`: what could have been meant. */
  list(): string {
    const names = [...this.#numbers.keys()];
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
