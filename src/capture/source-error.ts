/** The error of sources of captures; relies on the base class of errors for the user. */
import { UserError } from "../errors/index.ts";

/** A file cannot be opened, read or decompressed: one line, without the file's name, which the caller puts in front. */
export class SourceError extends UserError {
  override readonly name = "SourceError";
  /** True when the compressed file merely ends too early: everything before that is valid. */
  readonly isTruncation: boolean;

  constructor(message: string, isTruncation = false) {
    super(message);
    this.isTruncation = isTruncation;
  }
}
