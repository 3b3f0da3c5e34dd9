/**
 * The six tables of the pipeline: what happens to one frame. `decide` reads a frame and writes nothing;
 * rewrite.ts carries out what it decided. The only file with control flow between tables. Its law is
 * docs/pipeline.md.
 */
import {
  FLAG_L2_IN,
  FLAG_L3_IN,
  FLAG_L3_OUT,
  FLAG_UPLINK,
  MAX_FRAME_BYTES,
  NEXT_HOP_LABEL_COUNT,
  PORT_FLAGS,
  PORT_MAC,
  PORT_MAX_FRAME_BYTES,
  Reason,
  SETTING_LABEL,
  SETTING_UPLINK_MAC,
  SETTING_VIRTUAL_MAC,
  Table,
} from "./abi";
import { Action, dropped, droppedAfterPop, leaving } from "./decision";
import { nextHopTo, portOfHost } from "./table/bank";
import { ownsAddress, portOfMac, uplinkOf } from "./table/ports";
import * as arp from "./wire/arp";
import * as ethernet from "./wire/ethernet";
import * as ipv4 from "./wire/ipv4";
import * as mpls from "./wire/mpls";

const POPPED_LAYER3: u32 = ethernet.HEADER_BYTES + mpls.ENTRY_BYTES;

/**
 * Decides what happens to a frame of `length` bytes that came in by the port with record `port` (0: no such
 * port), by the tables of `bank`. Reads no byte behind the frame but up to 8 of them behind a short one.
 */
export function decide(bank: usize, port: usize, frame: usize, length: u32): u64 {
  if (length < ethernet.HEADER_BYTES) return dropped(Reason.TooShort, 0);
  if (length > MAX_FRAME_BYTES) return dropped(Reason.TooLong, 0);
  if (port == 0) return dropped(Reason.UnknownPort, 0);
  const type = ethernet.typeOf(frame, length);
  if (type == ethernet.TYPE_TAGGED) return dropped(Reason.VlanTagged, Table.Classify);
  if ((load<u32>(port, PORT_FLAGS) & FLAG_UPLINK) != 0) return fromUplink(bank, port, frame, length, type);
  return fromVm(bank, port, frame, length, type);
}

/** Table 0, the uplink's rows. */
function fromUplink(bank: usize, port: usize, frame: usize, length: u32, type: u32): u64 {
  if (ethernet.destination(frame) == load<u64>(bank, SETTING_UPLINK_MAC)) {
    if (type == ethernet.TYPE_MPLS) return label(bank, port, frame, length);
    if (type == ethernet.TYPE_IPV4) {
      const layer3 = ethernet.headerBytes(frame);
      const is_readable = ipv4.isReadable(frame + layer3, length - layer3);
      return local(bank, port, frame, length, layer3, is_readable, Table.Classify);
    }
  }
  if (type == ethernet.TYPE_ARP) return arpFromUplink(bank, port, frame, length);
  return bridge(bank, port, frame, length, Table.Classify);
}

/** Table 0, a VM's rows: nothing passes under an address that is not the VM's own. */
function fromVm(bank: usize, port: usize, frame: usize, length: u32, type: u32): u64 {
  const mac = load<u64>(port, PORT_MAC);
  if (ethernet.source(frame) != mac) return dropped(Reason.SpoofedSource, Table.Classify);
  const layer3 = ethernet.headerBytes(frame);
  const header = frame + layer3;
  const is_routed = (load<u32>(port, PORT_FLAGS) & FLAG_L3_OUT) != 0;
  if (type == ethernet.TYPE_IPV4) {
    if (!ipv4.isReadable(header, length - layer3)) return dropped(Reason.Malformed, Table.Classify);
    if (!ownsAddress(bank, port, ipv4.source(header))) return dropped(Reason.SpoofedSource, Table.Classify);
    if (!is_routed) return bridge(bank, port, frame, length, Table.Classify);
    if (ethernet.isGroup(frame)) return dropped(Reason.MulticastDestination, Table.Classify);
    return local(bank, port, frame, length, layer3, true, Table.Classify);
  }
  if (type == ethernet.TYPE_ARP) {
    if (!arp.isReadable(header, length - layer3)) return dropped(Reason.Malformed, Table.Classify);
    if (arp.senderMac(header) != mac) return dropped(Reason.SpoofedSource, Table.Classify);
    const sender = arp.senderAddress(header);
    if (sender != 0 && !ownsAddress(bank, port, sender)) return dropped(Reason.SpoofedSource, Table.Classify);
    return is_routed
      ? arpFromL3(bank, port, frame, length, header)
      : arpFromL2(bank, port, frame, length, header);
  }
  return dropped(Reason.NotIp, Table.Classify);
}

/** Table 10: the label of this hypervisor, or explicit null, and nothing below it (RFC 3032 §2.1). */
function label(bank: usize, port: usize, frame: usize, length: u32): u64 {
  const path = Table.Classify | Table.Label;
  const header_bytes = ethernet.headerBytes(frame);
  if (length - header_bytes < mpls.ENTRY_BYTES) return dropped(Reason.Malformed, path);
  const entry = mpls.entry(frame + header_bytes);
  const value = mpls.label(entry);
  if (value != load<u32>(bank, SETTING_LABEL) && value != 0) return dropped(Reason.UnknownLabel, path);
  if (!mpls.isBottom(entry)) return dropped(Reason.LabelStack, path);
  // A popped frame is read again from byte 14. Behind SNAP that is the LLC header, which stays
  // in front: the first eight bytes of "IPv4" are then aa aa 03 00 00 00 88 47 and the rest
  // follows the label, as if it began at 18.
  const begins = header_bytes == ethernet.HEADER_BYTES ? POPPED_LAYER3 : ethernet.HEADER_BYTES;
  const is_readable = ipv4.isReadable(frame + begins, length - POPPED_LAYER3);
  return local(bank, port, frame, length, POPPED_LAYER3, is_readable, path);
}

/** Table 20 for frames of the uplink. */
function arpFromUplink(bank: usize, port: usize, frame: usize, length: u32): u64 {
  const path = Table.Classify | Table.Arp;
  const layer3 = ethernet.headerBytes(frame);
  const header = frame + layer3;
  if (!arp.isReadable(header, length - layer3)) return dropped(Reason.Malformed, path);
  const operation = arp.operation(header);
  if (operation == arp.REPLY) return bridge(bank, port, frame, length, path);
  const owner = operation == arp.REQUEST ? ownerAsked(bank, header) : 0;
  return owner != 0 ? output(port, owner, length, path) : dropped(Reason.ArpSuppressed, path);
}

/** Table 20 for a VM on the layer-3 path: its only neighbor is the virtual MAC, for every address it requests. */
function arpFromL3(bank: usize, port: usize, frame: usize, length: u32, header: usize): u64 {
  const path = Table.Classify | Table.Arp;
  if (arp.senderAddress(header) == 0) return dropped(Reason.ArpProbe, path);
  if (ownsAddress(bank, port, arp.targetAddress(header))) return dropped(Reason.ArpSuppressed, path);
  const operation = arp.operation(header);
  if (operation == arp.REQUEST) {
    const to = ethernet.destination(frame);
    if (to == ethernet.BROADCAST || to == load<u64>(bank, SETTING_VIRTUAL_MAC)) {
      if (length > load<u32>(port, PORT_MAX_FRAME_BYTES)) return dropped(Reason.TooLong, path);
      return leaving(Action.Reply, false, path, port);
    }
  }
  const is_bridged = operation == arp.REPLY && (load<u32>(port, PORT_FLAGS) & FLAG_L2_IN) != 0;
  return is_bridged ? bridge(bank, port, frame, length, path) : dropped(Reason.ArpSuppressed, path);
}

/** Table 20 for a VM on the layer-2 path, where it both sends and hears. */
function arpFromL2(bank: usize, port: usize, frame: usize, length: u32, header: usize): u64 {
  const path = Table.Classify | Table.Arp;
  const operation = arp.operation(header);
  if (operation == arp.REPLY) return bridge(bank, port, frame, length, path);
  if (ownsAddress(bank, port, arp.targetAddress(header))) {
    return output(port, uplinkOf(bank), length, path);
  }
  const owner = operation == arp.REQUEST ? ownerAsked(bank, header) : 0;
  return owner != 0 ? output(port, owner, length, path) : bridge(bank, port, frame, length, path);
}

/** Row 20/300: the port of the VM that is asked for, if requests reach it; 0 otherwise. */
function ownerAsked(bank: usize, header: usize): usize {
  const owner = portOfHost(bank, arp.targetAddress(header));
  return owner != 0 && (load<u32>(owner, PORT_FLAGS) & FLAG_L2_IN) != 0 ? owner : 0;
}

/**
 * Table 30: the addresses of this hypervisor's VMs. Fields that cannot be read
 * are zero, which is not the address of a VM.
 */
function local(
  bank: usize,
  port: usize,
  frame: usize,
  length: u32,
  layer3: u32,
  is_readable: bool,
  before: u32,
): u64 {
  const path = before | Table.Local;
  const is_popped = (before & Table.Label) != 0;
  if (is_readable) {
    const owner = portOfHost(bank, ipv4.destination(frame + layer3));
    if (owner != 0 && (load<u32>(owner, PORT_FLAGS) & FLAG_L3_IN) != 0) {
      if (ipv4.ttl(frame + layer3) <= 1) return droppedAfterPop(Reason.TtlExpired, is_popped, path);
      if (owner == port) return dropped(Reason.SamePort, path);
      const out_length = is_popped ? length - mpls.ENTRY_BYTES : length;
      if (out_length > load<u32>(owner, PORT_MAX_FRAME_BYTES)) return dropped(Reason.TooLong, path);
      return leaving(Action.Deliver, is_popped, path, owner);
    }
  }
  if ((load<u32>(port, PORT_FLAGS) & FLAG_UPLINK) != 0) {
    return dropped(is_readable ? Reason.NoLocalVm : Reason.Malformed, path);
  }
  return remote(bank, frame + layer3, length);
}

/** Table 40: what lives elsewhere. Only packets of VMs come here, and their fields were read. */
function remote(bank: usize, header: usize, length: u32): u64 {
  const path = Table.Classify | Table.Local | Table.Remote;
  const to = ipv4.destination(header);
  if (ipv4.isMartian(to)) return dropped(Reason.Martian, path);
  const next_hop = nextHopTo(bank, to);
  if (next_hop == 0) return dropped(Reason.NoRoute, path);
  if (ipv4.ttl(header) <= 1) return dropped(Reason.TtlExpired, path);
  const out_length = length + load<u32>(next_hop, NEXT_HOP_LABEL_COUNT) * mpls.ENTRY_BYTES;
  const uplink = uplinkOf(bank);
  if (out_length > load<u32>(uplink, PORT_MAX_FRAME_BYTES)) return dropped(Reason.TooLong, path);
  return leaving(Action.Forward, false, path, next_hop);
}

/** Table 50: by MAC address; a frame to an unknown MAC goes to the uplink, unless it came from there. */
function bridge(bank: usize, port: usize, frame: usize, length: u32, before: u32): u64 {
  const path = before | Table.Bridge;
  const owner = portOfMac(bank, ethernet.destination(frame));
  if (owner != 0) return output(port, owner, length, path);
  if ((load<u32>(port, PORT_FLAGS) & FLAG_UPLINK) != 0) return dropped(Reason.BridgeSuppressed, path);
  return output(port, uplinkOf(bank), length, path);
}

/** A frame leaves as it came, but not by the port it came in by. */
function output(port: usize, out_port: usize, length: u32, path: u32): u64 {
  if (out_port == port) return dropped(Reason.SamePort, path);
  if (length > load<u32>(out_port, PORT_MAX_FRAME_BYTES)) return dropped(Reason.TooLong, path);
  return leaving(Action.Bridge, false, path, out_port);
}
