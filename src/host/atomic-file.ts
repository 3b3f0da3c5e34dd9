/** Files that are there whole or not at all: written beside their place, flushed, and renamed into it. rename(2), fsync(2). */
import { UserError } from "../errors/index.ts";
import { closeSync, fsyncSync, openSync, renameSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";

/** A file of the agent's own cannot be had or is damaged: one line for a person. */
export class StateError extends UserError {
  override readonly name = "StateError";
}

/** Puts `text` into the file `path`, readable and writable by its owner alone. Survives a crash at any point. */
export function writeWhole(path: string, text: string): void {
  const beside = join(dirname(path), `.${basename(path)}.${process.pid}.new`);
  try {
    // Of somebody else's making, it might lead elsewhere: what lies there is never written into.
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

/** Removes the file `path`; no error when it is not there. */
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
