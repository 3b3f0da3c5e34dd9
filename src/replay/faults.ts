/**
 * Messages for damage that the core finds in a capture (abi.CaptureFault). Each states the value that the record or
 * block has and what is valid; the caller adds the file and the byte offset.
 */
import * as abi from "../../assembly/abi.ts";
import { unreachable } from "../wire/index.ts";

/** The message of a fault; `value` is what the core found. An unusable interface has a message of its own. */
export function faultMessage(
  fault: Exclude<abi.CaptureFault, abi.CaptureFault.None | abi.CaptureFault.UnusableInterface>,
  value: number,
): string {
  switch (fault) {
    case abi.CaptureFault.CutShort:
      return `the file ends inside a record, ${value} bytes after its start`;
    case abi.CaptureFault.RecordTooLarge:
      return `the record's captured length is ${value} bytes; at most ${abi.MAX_RECORD_BYTES} are possible`;
    case abi.CaptureFault.BlockLength:
      return `the block's length is ${value} bytes; it must be a multiple of 4 and include the block's header`;
    case abi.CaptureFault.BlockTrailer:
      return `the block's second length, ${value}, differs from its first`;
    case abi.CaptureFault.PacketOverrun:
      return `the packet's ${value} bytes reach past the end of its block`;
    case abi.CaptureFault.OptionOverrun:
      return `option ${value} reaches past the end of its block`;
    case abi.CaptureFault.UnknownInterface:
      return `the packet is of interface ${value}, which is not described before it`;
    case abi.CaptureFault.BlockTooLarge:
      return `the block's length is ${value} bytes; at most ${abi.WINDOW_BYTES} can be read`;
    case abi.CaptureFault.ByteOrder:
      return `the section's byte-order magic is 0x${value.toString(16)}; expected 0x1a2b3c4d, in either byte order`;
    default:
      return unreachable(fault);
  }
}
