/**
 * The tables of a core as plain bytes, to be taken over by another core: a second worker gets the tables
 * without building them again. Of all that is in a bank only the places of its exact-match tables are
 * addresses.
 */
import * as abi from "../../assembly/abi.ts";
import type { Core } from "./core.ts";

/** The used part of a bank, and of its two route tables, in memory that threads can share. */
export interface TableImage {
  readonly bank: Uint8Array;
  readonly nextHops: Uint8Array;
  readonly exact: Uint8Array;
  readonly long: Uint8Array;
  /** Directory and pages of the dense tables; empty when there is none. */
  readonly denseHosts: Uint8Array;
  readonly denseExact: Uint8Array;
}

/** Record and place of each dense table in a bank. */
const DENSE = {
  denseHosts: { record: abi.SETTING_DENSE_HOSTS, at: abi.BANK_DENSE_HOSTS },
  denseExact: { record: abi.SETTING_DENSE_EXACT, at: abi.BANK_DENSE_EXACT },
};

/** Copies the tables that frames see now. */
export function imageOf(core: Core): TableImage {
  const bank = core.exports.activeBank();
  const word = (at: number): number => core.words[at >>> 2]!;
  const copy = (at: number, length: number): Uint8Array => {
    const bytes = new Uint8Array(new SharedArrayBuffer(length));
    bytes.set(core.bytes.subarray(at, at + length));
    return bytes;
  };
  const table = (record: number): Uint8Array =>
    copy(word(bank + record + abi.TABLE_AT), word(bank + record + abi.TABLE_BUCKETS) * abi.BUCKET_BYTES);
  const dense = ({ record, at }: { record: number; at: number }): Uint8Array => {
    const pages = word(bank + record + abi.DENSE_PAGES);
    return copy(bank + at, pages === 0 ? 0 : abi.DENSE_DIRECTORY_BYTES + pages * abi.DENSE_PAGE_BYTES);
  };
  return {
    bank: copy(bank, abi.BANK_NEXT_HOPS),
    nextHops: copy(bank + abi.BANK_NEXT_HOPS, word(bank + abi.SETTING_NEXT_HOP_COUNT) * abi.NEXT_HOP_BYTES),
    exact: table(abi.SETTING_EXACT),
    long: table(abi.SETTING_LONG),
    denseHosts: dense(DENSE.denseHosts),
    denseExact: dense(DENSE.denseExact),
  };
}

/** Bytes that one step copies: some tens of microseconds. */
const STEP_BYTES = 256 * 1024;
/** What `commit` may look at or write of an empty exact-match table, and of a dense one: copied behind it. */
const LATE_TABLE_BYTES = 64 * 1024;
const LATE_DENSE_BYTES = abi.DENSE_DIRECTORY_BYTES + 64 * 1024;

/** Makes a core's frames see these tables. */
export function adoptImage(core: Core, image: TableImage): void {
  for (const _ of stepsToAdopt(core, image));
}

/**
 * The same in steps, between which frames may be run: they see the old tables until the last step is done.
 * Nothing else may be done to the tables before that.
 */
export function* stepsToAdopt(core: Core, image: TableImage): Generator<void, void> {
  const { exports, words, bytes } = core;
  const before = exports.activeBank();
  exports.begin(0, 0n, 0n, 0, 0, 0);
  const bank = before === abi.BANKS ? abi.BANKS + abi.BANK_BYTES : abi.BANKS;
  const records = [abi.SETTING_HOSTS, abi.SETTING_EXACT, abi.SETTING_LONG];
  const places = records.map(record => words[(bank + record + abi.TABLE_AT) >>> 2]!);
  const [, exact, long] = places as [number, number, number];
  const pieces: readonly { at: number; piece: Uint8Array; late: number }[] = [
    { at: bank, piece: image.bank.subarray(0, abi.BANK_HOSTS), late: abi.SETTINGS_BYTES },
    { at: bank + abi.BANK_HOSTS, piece: image.bank.subarray(abi.BANK_HOSTS), late: LATE_TABLE_BYTES },
    { at: bank + abi.BANK_NEXT_HOPS, piece: image.nextHops, late: 0 },
    { at: exact, piece: image.exact, late: LATE_TABLE_BYTES },
    { at: long, piece: image.long, late: LATE_TABLE_BYTES },
    { at: bank + DENSE.denseHosts.at, piece: image.denseHosts, late: LATE_DENSE_BYTES },
    { at: bank + DENSE.denseExact.at, piece: image.denseExact, late: LATE_DENSE_BYTES },
  ];
  for (const { at, piece, late } of pieces) {
    for (let done = late; done < piece.length; done += STEP_BYTES) {
      bytes.set(piece.subarray(done, done + STEP_BYTES), at + done);
      yield;
    }
  }
  // To the core these are empty tables still, so that this is the work of a moment; then they get their
  // heads.
  if (exports.commit() !== abi.Status.Ok || exports.activeBank() !== bank)
    throw new Error("the core did not change its bank");
  for (const { at, piece, late } of pieces) bytes.set(piece.subarray(0, late), at);
  for (const [index, at] of places.entries()) words[(bank + records[index]! + abi.TABLE_AT) >>> 2] = at;
}
