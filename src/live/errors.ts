/** The error of the room of live ports; relies on the base class of errors for the user. */
import { UserError } from "../errors/index.ts";

/** A device, an option or a table of live ports cannot be used as given: one line. */
export class LiveError extends UserError {
  override readonly name = "LiveError";
}
