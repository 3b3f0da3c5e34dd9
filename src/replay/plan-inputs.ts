/**
 * From the captures on the command line to inputs: which port each one's frames enter, and which interfaces the capture
 * of the drops has.
 */
import * as abi from "../../assembly/abi.ts";
import type { Core } from "../core/index.ts";
import { ReplayError } from "./errors.ts";
import { Input } from "./input.ts";
import { InterfacePool } from "./interface-pool.ts";
import { type CaptureArgument, type PortNames, parseCaptureArgument } from "./ports.ts";

export interface InputPlan {
  readonly core: Core;
  readonly ports: PortNames;
  /** `[PORT=]CAPTURE` each. */
  readonly captures: readonly string[];
  /** The port of captures that name none, by name or number. */
  readonly inPort: string | null;
  readonly leavesOut: boolean;
  /** The intent's port numbers, in the order of the outputs' interfaces. */
  readonly outputPorts: readonly number[];
}

/** The inputs, and the port numbers of the drops' interfaces. Throws ReplayError. */
export function planInputs(plan: InputPlan): { inputs: Input[]; dropsPorts: readonly number[] } {
  const { core, ports, captures, inPort, leavesOut, outputPorts } = plan;
  if (captures.length > abi.MAX_CAPTURES)
    throw new ReplayError(
      `${captures.length} captures are too many; at most ${abi.MAX_CAPTURES} can be merged`,
    );
  const parsed = captures.map(text => parseCaptureArgument(text, ports));
  const given = parsed.map(argument => portOf(argument, ports));
  const fallback = portOf({ capture: "", port: inPort }, ports);
  if (parsed.filter(({ capture }) => capture === "-").length > 1)
    throw new ReplayError("standard input is given twice; it can be read only once");
  // The drops have an interface for each port of the intent, then one for each other number that was given.
  const used = [...given, fallback].filter(port => port !== null);
  const dropsPorts = [...new Set([...outputPorts, ...used])];
  const pool = new InterfacePool();
  const inputs = parsed.map(
    ({ capture }, index) =>
      new Input({
        core,
        index,
        pool,
        leavesOut,
        capture,
        port: given[index]!,
        fallback,
        ports,
        dropsInterface: port => dropsPorts.indexOf(port),
      }),
  );
  return { inputs, dropsPorts };
}

/** The port number that a capture's argument names; null if it names none. Throws ReplayError. */
export function portOf({ capture, port }: CaptureArgument, ports: PortNames): number | null {
  if (port === null) return null;
  const number = ports.resolve(port);
  if (number !== null) return number;
  const hint = capture === "" ? "" : `; a file of that name is written ./${port}=${capture}`;
  throw new ReplayError(`${ports.notAPort(port)}${hint}`);
}
