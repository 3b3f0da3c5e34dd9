/** Errors that are the user's to mend: printed as one line, exit code 1. */
export class UserError extends Error {}

/** The command line itself is wrong. */
export class UsageError extends UserError {}
