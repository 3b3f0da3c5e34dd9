/** The errors of the command line itself; those of other rooms derive from the same base. */
import { UserError } from "../errors/index.ts";

export { UserError } from "../errors/index.ts";

/** The reader of standard output has ended, as `head` does: not a failure of the command. */
export class ClosedPipe extends Error {
  override readonly name = "ClosedPipe";
}

/** The command line is wrong: an unknown option, a missing value, options that exclude each other. */
export class UsageError extends UserError {
  override readonly name = "UsageError";
}
