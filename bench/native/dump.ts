/**
 * The inputs of the yardstick from a core: an image of the tables that frames meet, and the bytes in front of
 * an output capture's packets. An image is two words (magic, ABI version), then the bank, its next hops, its
 * exact-match routes, its longer prefixes and its two dense tables, each as its length and its bytes.
 */
import { closeSync, openSync, writeSync } from "node:fs";
import * as abi from "../../assembly/abi.ts";
import { pcapngHeader } from "../../src/capture/index.ts";
import { type Core, imageOf, portsInOrder } from "../../src/core/index.ts";
import type { Intent } from "../../src/intent/index.ts";

/** "BANK", little-endian. */
const MAGIC = 0x4b4e4142;

/** Writes the image of a core's active tables to a file. */
export function dumpBank(core: Core, path: string): void {
  const { bank, nextHops, exact, long, denseHosts, denseExact } = imageOf(core);
  const file = openSync(path, "w");
  try {
    write(file, words(MAGIC, abi.VERSION));
    for (const piece of [bank, nextHops, exact, long, denseHosts, denseExact]) {
      write(file, words(piece.length));
      write(file, piece);
    }
  } finally {
    closeSync(file);
  }
}

/** The header of the capture that a replay writes: interfaces of an intent, timestamps in microseconds. */
export function outputHeader(intent: Intent): Uint8Array {
  return pcapngHeader(
    portsInOrder(intent).map(({ port }) => port),
    6,
  );
}

function words(...values: number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(values).buffer);
}

function write(file: number, bytes: Uint8Array): void {
  let done = 0;
  while (done < bytes.length) done += writeSync(file, bytes, done, bytes.length - done);
}
