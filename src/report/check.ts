/** The result of `slash32 check`, as text and JSON. Pure functions of plain data. */
import { count, type Palette } from "./text.ts";

/** A message about a place in a file; line and column count from 1. */
export interface PlacedMessage {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

export interface CheckReport {
  readonly errors: readonly PlacedMessage[];
  readonly warnings: readonly PlacedMessage[];
  readonly vms: number;
  readonly routes: number;
  /** Null when there are errors. */
  readonly summary: {
    readonly name: string;
    readonly bridge: string;
    readonly label: number;
    readonly uplink: string;
    readonly addresses: number;
    readonly nextHops: number;
    /** VMs by path, those that occur. */
    readonly paths: ReadonlyMap<string, number>;
  } | null;
}

/** The JSON object of docs' contract: one line, no line end. */
export function checkJson({ errors, warnings, vms, routes }: CheckReport): string {
  const placed = ({ file, line, column, message }: PlacedMessage): object => ({
    file,
    line,
    col: column,
    message,
  });
  return JSON.stringify({
    type: "check",
    schema: 1,
    errors: errors.map(placed),
    warnings: warnings.map(placed),
    vms,
    routes,
  });
}

/** The summary of an intent without errors. */
export function checkText({ summary, vms, routes }: CheckReport, paint: Palette): string {
  if (summary === null) return "";
  const { name, bridge, label, uplink, addresses, nextHops, paths } = summary;
  const byPath = [...paths].map(([path, number]) => `${number} ${path}`).join(", ");
  return [
    `${paint.bold(name)}: bridge ${bridge}, label ${label}, uplink ${uplink}`,
    `  ${some(vms, "VM")}${byPath === "" ? "" : ` (${byPath})`}, ${some(addresses, "address", "addresses")}`,
    `  ${some(routes, "route")}, ${some(nextHops, "next hop")}`,
    "",
  ].join("\n");
}

function some(number: number, one: string, many = `${one}s`): string {
  return `${count(number)} ${number === 1 ? one : many}`;
}
