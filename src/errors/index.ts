/**
 * The entry point of the room of errors: the base class of errors for the user, and diagnostics of what is
 * read.
 */
export { type Diagnostic, formatDiagnostic, type Level, type Location } from "./diagnostic.ts";
export { isUserError, UserError, type UserErrorParts } from "./user-error.ts";
