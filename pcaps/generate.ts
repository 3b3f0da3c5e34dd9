/**
 * Writes the generated captures of this folder: `node --import tsx pcaps/generate.ts`. Seeds and timestamps
 * are fixed, so that it writes the same bytes every time; a test holds the committed files against
 * `generated()`. The real captures come from make-real.sh.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { corners } from "./corners.ts";
import { fabricTraffic, guestTraffic } from "./traffic.ts";
import { interfaceOf, L3, PORT_NAMES, timeOf } from "./world.ts";
import { pcap, pcapng } from "./write.ts";

const FABRIC_SEED = 1001;
const GUEST_SEED = 32;

function cornersFile(): Buffer {
  const records = corners().map(({ port, frame, what, verdict }, index) => ({
    interface: interfaceOf(port),
    time: timeOf(index),
    frame,
    comment: `${what} | ${verdict}`,
  }));
  return pcapng(PORT_NAMES, records);
}

function guestsFile(): Buffer {
  const records = guestTraffic(GUEST_SEED, 600).map(arrival => ({
    ...arrival,
    interface: interfaceOf(arrival.port),
  }));
  return pcapng(PORT_NAMES, records);
}

/** Frames to be sent in by a port that the intent does not have (`-r 99=stranger.pcap`). */
function strangerFile(): Buffer {
  const frames = corners()
    .filter(({ port, verdict }) => port === L3.ofport && verdict === "reply")
    .map(({ frame }, index) => ({ time: timeOf(index), frame }));
  return pcap(frames, { nano: true });
}

/** Every generated capture by its file name. */
export function generated(): ReadonlyMap<string, Buffer> {
  return new Map([
    ["corners.pcapng", cornersFile()],
    ["fabric.pcap", pcap(fabricTraffic(FABRIC_SEED, 600), { bigEndian: true })],
    ["guests.pcapng", guestsFile()],
    ["stranger.pcap", strangerFile()],
  ]);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  for (const [name, bytes] of generated()) {
    writeFileSync(join(import.meta.dirname, name), bytes);
    process.stdout.write(`${name}: ${bytes.length} bytes\n`);
  }
}
