/** Errors that are the user's to mend: printed as one line, exit code 1. */
export class UserError extends Error {}

/** Whoever reads standard output has ended, as `head` does: no failure, and nothing to report. */
export class ClosedPipe extends Error {
  override readonly name = "ClosedPipe";
}

/** The command line itself is wrong. */
export class UsageError extends UserError {}
