/** The error of the room of replays; relies on the base class of errors for the user. */
import { UserError } from "../errors/index.ts";

/** A replay cannot start or continue: one line, which begins with the capture's name where one is concerned. */
export class ReplayError extends UserError {
  override readonly name = "ReplayError";
}
