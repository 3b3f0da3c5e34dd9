/**
 * Files that are not captures but are often given for one: text, documents, programs. Most are recognized by more than
 * their first bytes, and every text matches the last entry, so they are tried in this order after all other formats.
 */
import { beginsWith, type RefusedFormat } from "./capture-format.ts";

const CAPTURE = "expected a capture";
const ORIGINAL = "expected the capture that it was made from";

function document(name: string, recognizes: RefusedFormat["recognizes"], remedy: string): RefusedFormat {
  return { kind: "refused", name, recognizes, remedy };
}

/** Recognizes text that matches a pattern, among the first 256 bytes. */
function textLike(...patterns: RegExp[]): RefusedFormat["recognizes"] {
  return start => patterns.some(pattern => pattern.test(textOf(start)));
}

function textOf(start: Uint8Array): string {
  return Buffer.from(start.subarray(0, 256)).toString("latin1");
}

/** Whether all bytes are printable ASCII, or UTF-8 read as Latin-1. */
function isText(start: Uint8Array): boolean {
  const text = textOf(start);
  const isPrintable = [...text].every(char => char >= " " || "\n\r\t\f".includes(char));
  return start.length >= 8 && isPrintable && /[ -~]{4}/.test(text);
}

export const DOCUMENTS: readonly RefusedFormat[] = [
  document(
    "a Git LFS pointer, not the file",
    beginsWith("version https://git-lfs"),
    "git lfs pull fetches it",
  ),
  document("a program", beginsWith("\x7fELF"), CAPTURE),
  document("an SQLite database", beginsWith("SQLite format 3"), CAPTURE),
  document("a PDF document", beginsWith("%PDF"), CAPTURE),
  document(
    "an HTML page",
    textLike(/^\s*<(!doctype html|html|head|body)/i),
    "the download was not the capture itself; check its address",
  ),
  document("an XML document", textLike(/^\s*<(\?xml|pdml|psml)/i), ORIGINAL),
  document("JSON text", textLike(/^\s*[[{]\s*["{[\]}]/), ORIGINAL),
  document(
    "a hex dump",
    textLike(/^[0-9a-f]{3,8}:?\s+([0-9a-f]{2}\s){4}/i, /^\s*0x[0-9a-f]{4}:/i),
    "text2pcap FILE OUT.pcapng makes a capture of it",
  ),
  document(
    "a frame as hexadecimal text",
    textLike(/^\s*([0-9a-f]{2}[\s:]?){8,}\s*$/im),
    "slash32 trace takes it as an argument",
  ),
];

/** Any other text. */
export const TEXT: RefusedFormat = document(
  "text",
  isText,
  "expected a capture; tcpdump -w and tshark -w write one",
);
