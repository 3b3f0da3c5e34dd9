/** The error of the replay module. */
import { UserError } from "../errors/index.ts";

/** An error that keeps a replay from starting or going on: one line, which begins with the file it is about, if any. */
export class ReplayError extends UserError {
  override readonly name = "ReplayError";
}
