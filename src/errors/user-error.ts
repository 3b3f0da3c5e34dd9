/**
 * The base of every error that is meant for the user: a wrong command line, an input that cannot be parsed,
 * a file, socket or switch that is not available. The program prints such an error as one line and exits
 * with status 1; any other error is a bug of slash32 and keeps its stack. Relies on nothing. Rooms derive
 * their errors from UserError and give them a name of their own.
 */
import type { Location } from "./diagnostic.ts";

/**
 * Set on every user error. The program and the benchmark are separate bundles, each with a UserError of its
 * own, so `instanceof` alone would not recognize an error of the other bundle. A symbol of the global
 * registry is one symbol in both.
 */
const MARK = Symbol.for("slash32.UserError");

/** All parts are optional: the message alone must make sense. */
export interface UserErrorParts {
  /** File and position that the message is about. Printed in front of it. */
  readonly location?: Location;
  /** What is valid, or the command that fixes it. Printed behind a semicolon. */
  readonly fix?: string;
  readonly cause?: unknown;
}

export class UserError extends Error {
  override readonly name: string = "UserError";
  readonly location: Location | null;
  readonly fix: string | null;
  readonly [MARK] = true;

  /** `what`: what is wrong, one line, lower case, without a period; values in quotes. */
  constructor(what: string, { location, fix, cause }: UserErrorParts = {}) {
    const place = location === undefined ? "" : `${locationText(location)}: `;
    const message = `${place}${what}${fix === undefined ? "" : `; ${fix}`}`;
    super(message, cause === undefined ? undefined : { cause });
    this.location = location ?? null;
    this.fix = fix ?? null;
  }
}

/** Whether an error is meant for the user, whichever bundle it was made in. */
export const isUserError = (error: unknown): error is UserError =>
  error instanceof UserError || (error as { [MARK]?: boolean } | null | undefined)?.[MARK] === true;

/** `hv1.yaml:7:38`; line and column are left out where they are unknown. */
const locationText = ({ file, line, column }: Location): string =>
  [file, line, column].filter(part => part !== undefined).join(":");
