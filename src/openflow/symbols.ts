/**
 * Names of ports and tables that nothing defines. A dump that a terminal or `--names` printed has names in
 * place of numbers; without a list each name is a *symbol*: it stands for one number, the same wherever it is
 * written, and which one that is does not matter as long as no number that it may be equal to is written
 * beside it. The numbers are chosen here; whoever compares outcomes must ask whether plain numbers were
 * written, too (`portNumbersOf`). With tables there is no such question: a switch prints a table that has a
 * name by it, and by nothing else.
 */

/** Port numbers and table numbers by name. */
export type Names = ReadonlyMap<string, number>;

/** What a bare word must look like to be a name: nothing that ends a value, and no digit in front. */
const BARE = /^[A-Za-z_][^\s,()[\]:="/]*$/;
/** A name in quotes comes without them, and may be anything. */
const isName = (name: string, isQuoted: boolean): boolean => (isQuoted ? name !== "" : BARE.test(name));

/** Names with their numbers, and a number for every name that is asked for and not defined. */
export class SymbolNames extends Map<string, number> {
  /** Undefined names by the order in which they were first met. */
  readonly symbols = new Map<string, number>();
  readonly #next: (taken: ReadonlySet<number>) => number;

  /** `next` gives a number for a symbol that is not `taken`, or -1. */
  constructor(defined: Iterable<readonly [string, number]>, next: (taken: ReadonlySet<number>) => number) {
    super();
    for (const [name, number] of defined) super.set(name, number);
    this.#next = next;
  }

  /** The number of a name, as `get`; a new one for a name that is new. */
  numberOf(name: string, isQuoted: boolean): number | undefined {
    const known = this.get(name);
    if (known !== undefined || !isName(name, isQuoted)) return known;
    const number = this.#next(new Set(this.values()));
    if (number < 0) return undefined;
    this.set(name, number);
    this.symbols.set(name, number);
    return number;
  }

  isSymbol(number: number): boolean {
    for (const one of this.symbols.values()) if (one === number) return true;
    return false;
  }
}

export const MAX_PORT = 0xfeff;
/** Tables have numbers up to 254; 255 is none. */
const FIRST_TABLE = 256;

/** Names of ports: symbols have the highest numbers that no defined name has. */
export function portSymbols(defined: Iterable<readonly [string, number]>): SymbolNames {
  return new SymbolNames(defined, taken => {
    for (let number = MAX_PORT; number > 0; number--) if (!taken.has(number)) return number;
    return -1;
  });
}

/**
 * Names of tables. Packets enter table 0: that is the first that is met by name, unless `hasZero` says that a
 * text writes it by its number or a name is defined for it; further ones have numbers that no table of a
 * switch has.
 */
export function tableSymbols(
  defined: Iterable<readonly [string, number]>,
  hasZero: () => boolean,
): SymbolNames {
  return new SymbolNames(defined, taken => {
    if (!taken.has(0) && !hasZero()) return 0;
    let number = FIRST_TABLE;
    while (taken.has(number)) number++;
    return number;
  });
}

/** The number of a name, a new one where `names` gives symbols; undefined when it is none. */
export function numberOf(names: Names, name: string, isQuoted: boolean): number | undefined {
  return names instanceof SymbolNames ? names.numberOf(name, isQuoted) : names.get(name);
}
