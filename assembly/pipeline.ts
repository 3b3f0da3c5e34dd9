/**
 * The six tables of the pipeline: what happens to one frame. `decide` reads a frame and writes nothing; it gives the
 * verdict, the reason of a drop, and, in the module's variables, what `rewrite` (rewrite.ts) needs to carry it out.
 * The only file with control flow between tables. Its law is docs/pipeline.md.
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
  SETTING_UPLINK,
  SETTING_UPLINK_MAC,
  SETTING_VIRTUAL_MAC,
  Table,
  Verdict,
} from "./abi";
import { active, nextHopTo, portOfHost } from "./table/bank";
import { ownsAddress, portOfMac } from "./table/ports";
import * as arp from "./wire/arp";
import * as ethernet from "./wire/ethernet";
import * as ipv4 from "./wire/ipv4";
import * as mpls from "./wire/mpls";

/** What is done to a frame on its way out. */
export enum Action {
  /** Leaves as it came. */
  Bridge = 0,
  /** To a local VM: MACs, TTL. */
  Deliver = 1,
  /** To the fabric: MACs, TTL, labels. */
  Forward = 2,
  /** Back as an ARP reply. */
  Reply = 3,
}

/** Of the frame decided last: why it is dropped, and the tables it entered, one bit each (Table). */
export let reason: Reason = Reason.None;
export let path: u32 = 0;
/** What is done to it, and the port record by which it leaves. */
export let action: Action = Action.Bridge;
export let out_port: usize = 0;
/** Where its layer 3 starts in the frame as it came; 18 behind a label. */
export let layer3: u32 = 0;
/** 1 when its label was popped. */
export let popped: u32 = 0;
/** The next hop's record, when it is forwarded. */
export let next_hop: usize = 0;
/** Bytes that leave. */
export let out_length: u32 = 0;

/** The frame being decided, and the tables it meets. */
let bank: usize = 0;
let frame: usize = 0;
let length: u32 = 0;
let in_port: usize = 0;

/**
 * Decides what happens to a frame of `frame_length` bytes at `at` that came in by the port with record `port` (0: no
 * such port). Reads at most frame_length bytes, and of those at most 128.
 */
export function decide(at: usize, frame_length: u32, port: usize): Verdict {
  reason = Reason.None;
  path = 0;
  popped = 0;
  if (frame_length < ethernet.HEADER_BYTES) return drop(Reason.TooShort);
  if (frame_length > MAX_FRAME_BYTES) return drop(Reason.TooLong);
  if (port == 0) return drop(Reason.UnknownPort);
  bank = active;
  frame = at;
  length = frame_length;
  in_port = port;
  out_length = frame_length;
  path = Table.Classify;
  const type = ethernet.typeOf(at, frame_length);
  if (type == ethernet.TYPE_TAGGED) return drop(Reason.VlanTagged);
  return (load<u32>(port, PORT_FLAGS) & FLAG_UPLINK) != 0 ? fromUplink(type) : fromVm(type);
}

function drop(why: Reason): Verdict {
  reason = why;
  return Verdict.Drop;
}

/** Table 0, the uplink's rows. */
function fromUplink(type: u32): Verdict {
  layer3 = ethernet.headerBytes(frame);
  if (type == ethernet.TYPE_ARP) return arpFromUplink();
  if (ethernet.destination(frame) == load<u64>(bank, SETTING_UPLINK_MAC)) {
    if (type == ethernet.TYPE_MPLS) return label();
    if (type == ethernet.TYPE_IPV4) return local(ipv4.isReadable(frame + layer3, length - layer3));
  }
  return bridge();
}

/** Table 0, a VM's rows: nothing passes under an address that is not the VM's own. */
function fromVm(type: u32): Verdict {
  if (ethernet.source(frame) != load<u64>(in_port, PORT_MAC)) return drop(Reason.SpoofedSource);
  layer3 = ethernet.headerBytes(frame);
  const header = frame + layer3;
  if (type == ethernet.TYPE_IPV4) {
    if (!ipv4.isReadable(header, length - layer3)) return drop(Reason.Malformed);
    if (!ownsAddress(bank, in_port, ipv4.source(header))) return drop(Reason.SpoofedSource);
    if ((load<u32>(in_port, PORT_FLAGS) & FLAG_L3_OUT) == 0) return bridge();
    if (ethernet.isGroup(frame)) return drop(Reason.MulticastDestination);
    return local(true);
  }
  if (type == ethernet.TYPE_ARP) {
    if (!arp.isReadable(header, length - layer3)) return drop(Reason.Malformed);
    if (arp.senderMac(header) != load<u64>(in_port, PORT_MAC)) return drop(Reason.SpoofedSource);
    const sender = arp.senderAddress(header);
    if (sender != 0 && !ownsAddress(bank, in_port, sender)) return drop(Reason.SpoofedSource);
    return (load<u32>(in_port, PORT_FLAGS) & FLAG_L3_OUT) != 0 ? arpFromL3(header, sender) : arpFromL2(header);
  }
  return drop(Reason.NotIp);
}

/** Table 10: the label of this hypervisor, or explicit null, and nothing below it (RFC 3032 §2.1). */
function label(): Verdict {
  path |= Table.Label;
  const header_bytes = layer3;
  if (length - header_bytes < mpls.ENTRY_BYTES) return drop(Reason.Malformed);
  const entry = mpls.entry(frame + header_bytes);
  const value = mpls.label(entry);
  if (value != load<u32>(bank, SETTING_LABEL) && value != 0) return drop(Reason.UnknownLabel);
  if (!mpls.isBottom(entry)) return drop(Reason.LabelStack);
  popped = 1;
  out_length = length - mpls.ENTRY_BYTES;
  // A popped frame is read again from byte 14. Behind SNAP that is the LLC header, which stays in front: the first
  // eight bytes of "IPv4" are then aa aa 03 00 00 00 88 47 and the rest follows the label, as if it began at 18.
  layer3 = ethernet.HEADER_BYTES + mpls.ENTRY_BYTES;
  const available = length - layer3;
  if (header_bytes == ethernet.HEADER_BYTES) return local(ipv4.isReadable(frame + layer3, available));
  return local(ipv4.isReadable(frame + ethernet.HEADER_BYTES, available));
}

/** Table 20 for frames of the uplink. */
function arpFromUplink(): Verdict {
  path |= Table.Arp;
  const header = frame + layer3;
  if (!arp.isReadable(header, length - layer3)) return drop(Reason.Malformed);
  const operation = arp.operation(header);
  if (operation == arp.REQUEST) return askOwner(header, Reason.ArpSuppressed);
  return operation == arp.REPLY ? bridge() : drop(Reason.ArpSuppressed);
}

/** Table 20 for a VM on the layer-3 path: it hears one neighbour, the virtual MAC, whomever it asks for. */
function arpFromL3(header: usize, sender: u32): Verdict {
  path |= Table.Arp;
  if (sender == 0) return drop(Reason.ArpProbe);
  if (ownsAddress(bank, in_port, arp.targetAddress(header))) return drop(Reason.ArpSuppressed);
  const operation = arp.operation(header);
  if (operation == arp.REQUEST) {
    const to = ethernet.destination(frame);
    if (to == ethernet.BROADCAST || to == load<u64>(bank, SETTING_VIRTUAL_MAC)) {
      action = Action.Reply;
      return leave(in_port, Verdict.Reply);
    }
  }
  if (operation == arp.REPLY && (load<u32>(in_port, PORT_FLAGS) & FLAG_L2_IN) != 0) return bridge();
  return drop(Reason.ArpSuppressed);
}

/** Table 20 for a VM on the layer-2 path, where it both sends and hears. */
function arpFromL2(header: usize): Verdict {
  path |= Table.Arp;
  const operation = arp.operation(header);
  if (operation == arp.REPLY) return bridge();
  if (ownsAddress(bank, in_port, arp.targetAddress(header))) {
    action = Action.Bridge;
    return output(load<u32>(bank, SETTING_UPLINK));
  }
  return operation == arp.REQUEST ? askOwner(header, Reason.None) : bridge();
}

/** Row 20/300: a request reaches nobody but the owner. Without one it is bridged, or dropped with `otherwise`. */
function askOwner(header: usize, otherwise: Reason): Verdict {
  const owner = portOfHost(bank, arp.targetAddress(header));
  if (owner != 0 && (load<u32>(owner, PORT_FLAGS) & FLAG_L2_IN) != 0) {
    action = Action.Bridge;
    return output(owner);
  }
  return otherwise == Reason.None ? bridge() : drop(otherwise);
}

/** Table 30: the addresses of this hypervisor's VMs. Fields that cannot be read are zero and nobody's address. */
function local(is_readable: bool): Verdict {
  path |= Table.Local;
  if (is_readable) {
    const owner = portOfHost(bank, ipv4.destination(frame + layer3));
    if (owner != 0 && (load<u32>(owner, PORT_FLAGS) & FLAG_L3_IN) != 0) {
      if (ipv4.ttl(frame + layer3) <= 1) return drop(Reason.TtlExpired);
      action = Action.Deliver;
      return output(owner);
    }
  }
  if ((load<u32>(in_port, PORT_FLAGS) & FLAG_UPLINK) == 0) return remote();
  return drop(is_readable ? Reason.NoLocalVm : Reason.Malformed);
}

/** Table 40: what lives elsewhere. Only packets of VMs come here, and their fields were read. */
function remote(): Verdict {
  path |= Table.Remote;
  const header = frame + layer3;
  const to = ipv4.destination(header);
  if (ipv4.isMartian(to)) return drop(Reason.Martian);
  next_hop = nextHopTo(bank, to);
  if (next_hop == 0) return drop(Reason.NoRoute);
  if (ipv4.ttl(header) <= 1) return drop(Reason.TtlExpired);
  action = Action.Forward;
  out_length = length + load<u32>(next_hop, NEXT_HOP_LABEL_COUNT) * mpls.ENTRY_BYTES;
  return output(load<u32>(bank, SETTING_UPLINK));
}

/** Table 50: by MAC address; what nobody here has goes to the uplink, and never back there. */
function bridge(): Verdict {
  path |= Table.Bridge;
  action = Action.Bridge;
  const owner = portOfMac(bank, ethernet.destination(frame));
  if (owner != 0) return output(owner);
  if ((load<u32>(in_port, PORT_FLAGS) & FLAG_UPLINK) != 0) return drop(Reason.BridgeSuppressed);
  return output(load<u32>(bank, SETTING_UPLINK));
}

function output(port: usize): Verdict {
  if (port == in_port) return drop(Reason.SamePort);
  return leave(port, Verdict.Output);
}

function leave(port: usize, verdict: Verdict): Verdict {
  if (out_length > load<u32>(port, PORT_MAX_FRAME_BYTES)) return drop(Reason.TooLong);
  out_port = port;
  return verdict;
}
