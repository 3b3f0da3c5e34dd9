/**
 * A program of its own: writes a pcap header and then the records of a file, again and again, to standard
 * output, until so many bytes are out (whole files of records). `stream.ts RECORDS BYTES`
 */
import { readFileSync } from "node:fs";
import { pcapHeader } from "./traffic.ts";

/** Comes back when the pipe has taken everything, so that nothing heaps up here. */
function write(bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(bytes, error => (error == null ? resolve() : reject(error)));
  });
}

const [file, total] = process.argv.slice(2);
const records = readFileSync(file!);
await write(pcapHeader());
for (let written = 0; written < Number(total); written += records.length) await write(records);
