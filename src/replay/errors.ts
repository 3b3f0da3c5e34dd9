/** The error of the replay module. */

/** An error that keeps a replay from starting or going on: one line for the user, with the file it is about. */
export class ReplayError extends Error {
  override readonly name = "ReplayError";
}
