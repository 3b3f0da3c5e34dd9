/** A request to end a replay early, as the replay sees it: the program that handles signals implements it. */
export interface Interruption {
  readonly signal: AbortSignal;
  /** A promise to await when signals must be let through, else null. */
  turn(): Promise<void> | null;
}
