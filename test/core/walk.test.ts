/**
 * Walking over the packets of a piece of a capture (assembly/capture.ts): it ends in front of what is not
 * whole and good.
 */
import * as abi from "../../assembly/abi.ts";
import { Core } from "../../src/core/index.ts";
import { assert, suite } from "../harness.ts";

const test = suite("core/walk");
const HEADER_BYTES = 16;

/**
 * Lays records of these captured and original lengths into the window, and gives the bytes that are walked
 * over.
 */
function walked(...records: readonly (readonly [captured: number, length: number])[]): number {
  const core = Core.load();
  const view = new DataView(core.bytes.buffer);
  let at = abi.INPUT;
  for (const [captured, length] of records) {
    view.setUint32(at + 8, captured, true);
    view.setUint32(at + 12, length, true);
    at += HEADER_BYTES + captured;
  }
  const set = (offset: number, value: number): void => view.setUint32(abi.CAPTURES + offset, value, true);
  set(abi.CAPTURE_FORMAT, abi.CaptureFormat.Pcap);
  set(abi.CAPTURE_SWAPPED, 0);
  set(abi.CAPTURE_AT, abi.INPUT);
  set(abi.CAPTURE_END, at);
  return core.exports.walk() - abi.INPUT;
}

test("whole records, of one size and of several", () => {
  assert.is(walked([60, 60], [60, 60], [61, 70]), 3 * HEADER_BYTES + 181);
});

test("a record of no bytes ends it, behind others and in front", () => {
  assert.is(walked([60, 60], [0, 0], [60, 60]), HEADER_BYTES + 60);
  assert.is(walked([0, 0], [60, 60]), 0);
  assert.is(walked([0, 60], [60, 60]), 0);
});

test("a record that claims more than there is, or more than was on the wire, ends it", () => {
  assert.is(walked([0xffffffff, 0xffffffff]), 0);
  assert.is(walked([60, 59]), 0);
});

test.run();
