/** Something that keeps a replay from starting or going on, in one line for a person. */
export class ReplayError extends Error {
  override readonly name = "ReplayError";
}
