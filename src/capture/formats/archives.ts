/**
 * Compressed files and archives that slash32 does not read, each with the command that unpacks it. The magic numbers are
 * those of the formats' own documents and of file(1). gzip and zstd are read: compression/.
 */
import { beginsWith, beginsWithHex, type RefusedFormat } from "./capture-format.ts";

function packed(name: string, recognizes: RefusedFormat["recognizes"], remedy: string): RefusedFormat {
  return { kind: "refused", name, recognizes, remedy };
}

export const ARCHIVES: readonly RefusedFormat[] = [
  packed("an xz file", beginsWithHex("fd377a585a00"), "xz -d FILE decompresses it"),
  packed("a bzip2 file", beginsWith("BZh"), "bzip2 -d FILE decompresses it"),
  packed("an lz4 file", beginsWithHex("04224d18"), "lz4 -d FILE decompresses it"),
  packed("an lz4 file of the old format", beginsWithHex("02214c18"), "lz4 -d FILE decompresses it"),
  packed("an lzip file", beginsWith("LZIP"), "lzip -d FILE decompresses it"),
  packed("an lzma file", beginsWithHex("5d0000"), "xz -d FILE decompresses it"),
  packed("a file of compress(1)", beginsWithHex("1f9d"), "gzip -d FILE decompresses it"),
  packed("a zip archive", beginsWithHex("504b0304"), "unzip FILE unpacks it"),
  packed("a 7z archive", beginsWithHex("377abcaf271c"), "7z x FILE unpacks it"),
  packed("a rar archive", beginsWith("Rar!"), "unrar x FILE unpacks it"),
];
