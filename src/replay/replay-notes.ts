/**
 * Notes at the end of a replay: things that the user should know and that are not errors. Each is one line that begins
 * with the file, or the number of frames, that it is about.
 */
import * as abi from "../../assembly/abi.ts";
import type { Core } from "../core/index.ts";
import type { Input } from "./input.ts";

/** `cutOutput`: a pcap in which timestamps were cut to microseconds; undefined if there is none. */
export function notesOf(core: Core, inputs: readonly Input[], cutOutput: string | undefined): string[] {
  return [
    ...inputs
      .filter(({ interfaces }) => interfaces.isCutShort)
      .map(({ name }) => `${name}: timestamps are finer than a nanosecond, and cut to nanoseconds`),
    ...(cutOutput === undefined ? [] : [cutNote(cutOutput)]),
    ...inputs.flatMap(input => input.notes()),
    ...outputNotes(core),
    ...offloadNotes(core),
  ];
}

function cutNote(output: string): string {
  const what = "an interface described late counts finer than the pcap, which was begun in microseconds";
  return `${output}: ${what}; its timestamps are cut; write pcapng to keep them`;
}

/** Parts of packets that the outputs could not store. */
function outputNotes(core: Core): string[] {
  const view = new DataView(core.bytes.buffer);
  const counted = (at: number): number => Number(view.getBigUint64(at, true));
  const options = counted(abi.COUNTERS_CUT_OPTIONS);
  const times = counted(abi.COUNTERS_CUT_TIMES);
  const packets = (count: number): string => (count === 1 ? "1 packet is" : `${count} packets are`);
  const most = `more than ${abi.MAX_OPTIONS_BYTES} bytes`;
  const nearest = "written with the nearest time of 1970 to 2106; write pcapng to keep the times";
  return [
    ...(options === 0 ? [] : [`${packets(options)} written without some comments: ${most}`]),
    ...(times === 0 ? [] : [`${packets(times)} ${nearest}`]),
  ];
}

/** Frames that are too long are usually those that a network card would have segmented. */
function offloadNotes(core: Core): string[] {
  const frames = core.counters().drops.get("too-long") ?? 0;
  if (frames === 0) return [];
  const what = `${frames} ${frames === 1 ? "frame is" : "frames are"} too long (too-long)`;
  return [
    `${what}: a capture made where the network card segments (GSO, TSO) or joins (GRO, LRO) has frames ` +
      "that were never on a wire; capture after segmentation, or turn it off: " +
      "ethtool -K DEVICE tso off gso off gro off",
  ];
}
