/** A line of progress on a terminal, for work that takes longer than a moment. */
import type { Progress } from "../replay/index.ts";
import { count } from "../report/index.ts";

const FIRST_MS = 500;
const EVERY_MS = 200;

/** A callback that keeps one line up to date, and a function that wipes it away. */
export function progressLine(stream: NodeJS.WriteStream): {
  update(progress: Progress): void;
  clear(): void;
} {
  const start = performance.now();
  let next = start + FIRST_MS;
  let isShown = false;
  return {
    update(progress) {
      const now = performance.now();
      if (now < next) return;
      next = now + EVERY_MS;
      isShown = true;
      stream.write(`\r\x1b[K${lineOf(progress, (now - start) / 1000)}`);
    },
    clear() {
      if (isShown) stream.write("\r\x1b[K");
    },
  };
}

function lineOf({ frames, readBytes, totalBytes }: Progress, seconds: number): string {
  const parts = [
    `${count(Math.round(readBytes / 1e6))} MB`,
    `${count(frames)} frames`,
    `${(frames / seconds / 1e6).toFixed(1)} Mpps`,
  ];
  if (totalBytes !== null && totalBytes > 0 && readBytes > 0) {
    const share = readBytes / totalBytes;
    parts.push(`${Math.floor(share * 100)} %`, `${Math.ceil((seconds * (1 - share)) / share)} s left`);
  }
  return parts.join(", ");
}
