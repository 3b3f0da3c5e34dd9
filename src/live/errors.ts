/** What the user can mend about live ports; printed as one line. */
export class LiveError extends Error {
  override readonly name = "LiveError";
}
