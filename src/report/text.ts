/** Pieces of text reports: bars, columns, grouped digits, optional colors. Pure functions. */

import { CONTROLS, control } from "./terminal.ts";

/** Wraps text in terminal colors, or returns it unchanged. */
export interface Palette {
  bold(text: string): string;
  dim(text: string): string;
  red(text: string): string;
  green(text: string): string;
  yellow(text: string): string;
  cyan(text: string): string;
}

const CODES = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  cyan: [36, 39],
} as const;

export function palette(isColored: boolean): Palette {
  const paint = (name: keyof typeof CODES) => (text: string) =>
    isColored ? control(`${CODES[name][0]}m`) + text + control(`${CODES[name][1]}m`) : text;
  return {
    bold: paint("bold"),
    dim: paint("dim"),
    red: paint("red"),
    green: paint("green"),
    yellow: paint("yellow"),
    cyan: paint("cyan"),
  };
}

/** A whole number with its digits in groups of three (toLocaleString would load all of ICU first, 12 ms). */
export function count(value: number): string {
  return String(value).replace(/\B(?=(?:\d{3})+$)/g, ",");
}

const TABLE_WORDS: ReadonlyMap<number, string> = new Map([
  [0, "classify"],
  [10, "label"],
  [20, "arp"],
  [30, "local"],
  [40, "remote"],
  [50, "bridge"],
]);

/** `30 local`: a table's number, and its word in the pipeline if it has one. */
export function tableName(number: number): string {
  const word = TABLE_WORDS.get(number);
  return word === undefined ? String(number) : `${number} ${word}`;
}

const BAR_CELLS = 30;
const EIGHTHS = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/** A bar for a share between 0 and 1; anything above 0 shows. */
export function bar(share: number): string {
  const eighths = share > 0 ? Math.max(1, Math.round(share * BAR_CELLS * 8)) : 0;
  return "█".repeat(eighths >>> 3) + EIGHTHS[eighths & 7];
}

/** Rows as columns; `align` has `l` or `r` for each. */
export function table(rows: readonly (readonly string[])[], align: string): string {
  const widths = [...align].map((_, column) => Math.max(...rows.map(row => width(row[column]!))));
  const cell = (text: string, column: number): string => {
    const space = " ".repeat(widths[column]! - width(text));
    return align[column] === "r" ? space + text : text + space;
  };
  return rows.map(row => row.map(cell).join("  ").trimEnd()).join("\n");
}

function width(text: string): number {
  return text.replace(CONTROLS, "").length;
}
