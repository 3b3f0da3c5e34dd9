/** What is wrong with a file, in one line, without its name. */
export class SourceError extends Error {
  /** True when the compressed file merely ends too early: everything before is good. */
  readonly isTruncation: boolean;
  constructor(message: string, isTruncation = false) {
    super(message);
    this.isTruncation = isTruncation;
  }
}
