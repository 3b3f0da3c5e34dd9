/**
 * Adds the routes of a routesFile to a route table, and words what only the whole table shows: a prefix that
 * is used twice, in either file, and limits.
 */
import { type Bag, printable } from "./diagnostics.ts";
import { formatCount, type Limits } from "./limits.ts";
import type { FileBytes } from "./read.ts";
import type { RouteTable } from "./route-table.ts";
import { BINARY, type LineReading, RoutesScanner } from "./routes-scanner.ts";

/** Bytes of a short route line, for an estimate of how many there are. */
const LINE_GUESS_BYTES = 32;

/** The files of a table: rows below `inlineCount` are from the intent, the others from the routesFile. */
export interface RouteFiles {
  readonly intentFile: string;
  readonly routesFile: string;
  readonly inlineCount: number;
}

/** The file that row `index` came from. */
export function fileOf(files: RouteFiles, index: number): string {
  return index < files.inlineCount ? files.intentFile : files.routesFile;
}

/** Adds the routes of a routesFile to the table; diagnostics go to `errors`. */
export function readRoutes(
  file: FileBytes,
  files: RouteFiles,
  table: RouteTable,
  errors: Bag,
  limits: Limits,
  reading: LineReading = "fast",
): void {
  const guess = Math.min(Math.ceil(file.length / LINE_GUESS_BYTES), limits.routes);
  table.reserve(table.count + guess);
  const scanner = new RoutesScanner(file);
  const name = files.routesFile;
  const onRoute = (line: number, col: number): boolean => {
    const twin = table.add(scanner.row, line, col);
    if (twin >= 0) {
      errors.add(name, { line, column: col }, () => `prefix: ${usedTwice(table, twin, files, name)}`);
      return true;
    }
    const full = tableIsFull(table, limits);
    if (full === null) return true;
    errors.add(name, { line, column: col }, full);
    return false;
  };
  const onFault = (line: number, col: number, message: string): boolean => {
    errors.add(name, { line, column: col }, message);
    return message !== BINARY;
  };
  scanner.scan(reading, onRoute, onFault);
}

/** The error of a table over its limits; null if it is within them. */
export function tableIsFull(table: RouteTable, limits: Limits): string | null {
  if (table.count > limits.routes)
    return `too many routes; an intent has at most ${formatCount(limits.routes)}`;
  if (table.nextHopCount <= limits.nextHops) return null;
  const most = formatCount(limits.nextHops);
  return `too many next hops; an intent has at most ${most} distinct pairs of labels and via`;
}

/** `203.0.113.0/24 is used twice, first at routes.txt:12; …` */
export function usedTwice(table: RouteTable, twin: number, files: RouteFiles, here: string): string {
  const file = fileOf(files, twin);
  const line = table.place(twin).line;
  const first = file === here ? `line ${line}` : `${printable(file, 200)}:${line}`;
  return `${table.text(twin)} is used twice, first at ${first}; a prefix has one route`;
}
