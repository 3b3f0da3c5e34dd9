/**
 * Names of ports and tables that nothing defines. A dump that a terminal or `--names` printed has names in place of
 * numbers; without a list each name is a *symbol*: it stands for one number, the same wherever it is written, and which
 * one that is does not matter as long as no number that it may be equal to is written beside it. The numbers are chosen
 * here; whoever compares outcomes must ask whether plain numbers were written, too (`portNumbersOf`).
 */
import type { Action, Flow } from "./ast.ts";
import { PORT } from "./ast.ts";
import type { Flows } from "./columns.ts";
import type { Names } from "./values.ts";

/** What a bare word must look like to be a name: nothing that ends a value, and no digit in front. */
const BARE = /^[A-Za-z_][^\s,()[\]:="/]*$/;
/** A name in quotes comes without them, and may be anything. */
const isName = (name: string, isQuoted: boolean): boolean => (isQuoted ? name !== "" : BARE.test(name));

/** Names with their numbers, and a number for every name that is asked for and not defined. */
export class SymbolNames extends Map<string, number> {
  /** Undefined names by the order in which they were first met. */
  readonly symbols = new Map<string, number>();
  readonly #next: (taken: (number: number) => boolean) => number;
  readonly #numbers: Set<number>;
  #hasClash = false;

  /** `numbers`: numbers that are written in the text and cannot be a symbol's. */
  constructor(
    defined: Iterable<readonly [string, number]>,
    next: (taken: (number: number) => boolean) => number,
    numbers: Iterable<number> = [],
  ) {
    super();
    for (const [name, number] of defined) super.set(name, number);
    this.#next = next;
    this.#numbers = new Set(numbers);
  }

  /** The number of a name, as `get`; a new one for a name that is new. */
  numberOf(name: string, isQuoted: boolean): number | undefined {
    const known = this.get(name);
    if (known !== undefined || !isName(name, isQuoted)) return known;
    const inUse = new Set([...this.values(), ...this.#numbers]);
    const number = this.#next(one => inUse.has(one));
    if (number < 0) return undefined;
    this.set(name, number);
    this.symbols.set(name, number);
    return number;
  }

  /** Notes that a number was written as such. */
  noteNumber(number: number): void {
    if (this.#numbers.has(number)) return;
    this.#numbers.add(number);
    if ([...this.symbols.values()].includes(number)) this.#hasClash = true;
  }

  /** True when a symbol has a number that is written, too: the text must be read again, with `numbers` known before. */
  get hasClash(): boolean {
    return this.#hasClash;
  }

  get numbers(): ReadonlySet<number> {
    return this.#numbers;
  }

  isSymbol(number: number): boolean {
    if (this.symbols.size === 0) return false;
    for (const one of this.symbols.values()) if (one === number) return true;
    return false;
  }
}

const MAX_PORT = 0xfeff;
const MAX_TABLE = 254;

/** Names of ports: symbols have the highest numbers that no defined name has. */
export function portSymbols(defined: Iterable<readonly [string, number]>): SymbolNames {
  return new SymbolNames(defined, isTaken => {
    for (let number = MAX_PORT; number > 0; number--) if (!isTaken(number)) return number;
    return -1;
  });
}

/** Names of tables: the table that is met first is where packets enter, unless table 0 is written by its number. */
export function tableSymbols(
  defined: Iterable<readonly [string, number]>,
  numbers: Iterable<number> = [],
): SymbolNames {
  return new SymbolNames(
    defined,
    isTaken => {
      for (let number = 0; number <= MAX_TABLE; number++) if (!isTaken(number)) return number;
      return -1;
    },
    numbers,
  );
}

/** The number of a name, a new one where `names` gives symbols; undefined when it is none. */
export function numberOf(names: Names, name: string, isQuoted: boolean): number | undefined {
  return names instanceof SymbolNames ? names.numberOf(name, isQuoted) : names.get(name);
}

const isPlainPort = (port: number): boolean => port > 0 && port <= MAX_PORT;

function portsIn(actions: readonly Action[], found: Set<number>): void {
  for (const action of actions) {
    switch (action.type) {
      case "output":
      case "output_truncated":
      case "enqueue":
        found.add(action.port);
        break;
      case "resubmit":
        if (action.port !== null) found.add(action.port);
        break;
      case "set":
        if (action.field.format === "port") found.add(Number(action.value & 0xffffn));
        break;
      case "clone":
      case "write_actions":
        portsIn(action.actions, found);
        break;
      case "other": {
        const written = action.text.matchAll(/(?:members:|in_port=|sampling_port=)([\d,]+)/g);
        for (const [, list] of written) for (const one of list!.split(",")) found.add(Number(one));
        break;
      }
      default:
    }
  }
}

/** Whether an action takes a port out of a field, or puts one there: numbers and names meet in it. */
function movesPorts(actions: readonly Action[]): boolean {
  return actions.some(action => {
    if (action.type === "output_field") return true;
    if (action.type === "move" || action.type === "push" || action.type === "pop") {
      const fields =
        "from" in action && "to" in action
          ? [action.from, action.to]
          : ["from" in action ? action.from : action.to];
      return fields.some(({ field }) => field.format === "port");
    }
    if (action.type === "clone" || action.type === "write_actions") return movesPorts(action.actions);
    return action.type === "other" && /load:NXM_OF_IN_PORT\[[\d.]*\]/.test(action.text);
  });
}

/** The ports that flows name by number, reserved ones aside, and whether they move ports through other fields. */
export function portNumbersOf(
  flows: Flows,
  names: SymbolNames,
): { readonly numbers: ReadonlySet<number>; readonly isMoved: boolean } {
  const found = new Set<number>();
  let isMoved = false;
  for (let index = 0; index < flows.count; index++) {
    const { match, actions }: Flow = flows.shapedFlow(index);
    for (const { field, value } of match)
      if (field.format === "port" && value !== BigInt(PORT.local)) found.add(Number(value));
    portsIn(actions, found);
    isMoved ||= movesPorts(actions);
  }
  const defined = new Set(names.values());
  return { numbers: new Set([...found].filter(port => isPlainPort(port) && !defined.has(port))), isMoved };
}
