/**
 * Atomic writes: a file is complete or absent, whenever the process is killed. The text is written to a
 * temporary file in the same folder, flushed, and renamed. rename(2), fsync(2).
 */

import { closeSync, fsyncSync, openSync, renameSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { UserError } from "../errors/index.ts";

/** A state file of the agent cannot be read or written, or is damaged: one line for the user. */
export class StateError extends UserError {
  override readonly name = "StateError";
}

/** Writes `text` to the file `path`, with mode 0600. A crash at any point leaves the old or the new file. */
export function writeWhole(path: string, text: string): void {
  const beside = join(dirname(path), `.${basename(path)}.${process.pid}.new`);
  try {
    // An existing file may be a link that another user made: never write into it.
    rmSync(beside, { force: true });
    const file = openSync(beside, "wx", 0o600);
    try {
      writeFileSync(file, text);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(beside, path);
  } catch (error) {
    rmSync(beside, { force: true });
    throw error;
  }
  flushFolder(dirname(path));
}

/** Removes the file `path`; a missing file is not an error. */
export function removeWhole(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw error;
  }
  flushFolder(dirname(path));
}

function flushFolder(path: string): void {
  const folder = openSync(path, "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
