/**
 * The demonstration behind `npm start`: replays the bundled captures through the bundled intent, shows the command
 * that does it, and names what to try next.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const program = "bin/slash32";
const captures = [
  "tap101=pcaps/tap101.pcap",
  "tap102=pcaps/tap102.pcap",
  "pcaps/bridged.pcapng",
  "tap105=pcaps/tap105.pcap.gz",
  "tap106=pcaps/tap106.pcap.zst",
  "pcaps/uplink.pcapng",
];
const args = ["replay", "-n", "pcaps/hv1.yaml"];
for (const capture of captures) args.push("-r", capture);
args.push("-w", "out/hv1.pcapng", "--drops", "out/drops.pcapng");

function shown(words) {
  const lines = [[program]];
  for (const word of words) {
    if (word.startsWith("-")) lines.push([]);
    lines.at(-1).push(word);
  }
  return lines.map(line => line.join(" ")).join(" \\\n      ");
}

process.stdout.write(`Real hosts behind one hypervisor, merged by time (pcaps/README.md):

  $ ${shown(args)}

`);
mkdirSync(`${root}/out`, { recursive: true });
const { status } = spawnSync(process.execPath, [`${root}/${program}`, ...args], {
  cwd: root,
  stdio: "inherit",
});
if (status !== 0) process.exit(status ?? 1);
process.stdout.write(`
out/hv1.pcapng has what left, out/drops.pcapng what was dropped and why; both open in Wireshark.
Next, one frame on its way through the tables, then a capture of your own (docs/captures.md, "Your own capture"):

  $ ${program} trace -n pcaps/hv1.yaml -r pcaps/uplink.pcapng:30
  $ ${program} replay -n my.yaml -r uplink0=my.pcap -w out.pcapng
`);
