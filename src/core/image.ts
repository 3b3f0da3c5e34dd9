/**
 * The tables of a core as plain bytes, to be taken over by another core: a second worker gets the tables without
 * building them again. Of all that is in a bank only the places of its exact-match tables are addresses.
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

/** Makes a core's frames see these tables. */
export function adoptImage(core: Core, image: TableImage): void {
  const { exports, words, bytes } = core;
  const before = exports.activeBank();
  exports.begin(0, 0n, 0n, 0, 0, 0);
  exports.commit();
  const bank = exports.activeBank();
  if (bank === before) throw new Error("the core did not change its bank");
  const records = [abi.SETTING_HOSTS, abi.SETTING_EXACT, abi.SETTING_LONG];
  const [hosts, exact, long] = records.map(record => words[(bank + record + abi.TABLE_AT) >>> 2]!) as [
    number,
    number,
    number,
  ];
  bytes.set(image.bank, bank);
  bytes.set(image.nextHops, bank + abi.BANK_NEXT_HOPS);
  bytes.set(image.exact, exact);
  bytes.set(image.long, long);
  bytes.set(image.denseHosts, bank + DENSE.denseHosts.at);
  bytes.set(image.denseExact, bank + DENSE.denseExact.at);
  for (const [index, at] of [hosts, exact, long].entries()) {
    words[(bank + records[index]! + abi.TABLE_AT) >>> 2] = at;
  }
}
