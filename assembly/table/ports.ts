/**
 * Ports by number, and VMs by MAC address. A port's record is found through one u16 per possible number; MAC
 * addresses through open addressing with linear probing in 16,384 slots for at most 4,095 VMs. MACs are six
 * bytes in network order in the low 48 bits of a u64.
 */
import {
  BANK_DENSE_HOSTS,
  BANK_MACS,
  BANK_PORT_SLOTS,
  BANK_PORTS,
  FLAG_L2_IN,
  FLAG_UPLINK,
  MAC_SLOTS,
  MAX_PORT_NUMBER,
  MAX_PORTS,
  PORT_ADDRESS,
  PORT_ADDRESS_COUNT,
  PORT_BYTES,
  PORT_DELIVERY,
  PORT_FLAGS,
  PORT_MAC,
  PORT_MAX_FRAME_BYTES,
  PORT_NUMBER,
  PORT_OUTPUT_INTERFACE,
  PORT_SENT_IPV4,
  SETTING_DENSE_HOSTS,
  SETTING_FREE_PORT,
  SETTING_HOSTS,
  SETTING_PORT_COUNT,
  SETTING_UPLINK,
  SETTING_VIRTUAL_MAC,
  Status,
} from "../abi";
import { MAC_MASK, TYPE_IPV4 } from "../wire/ethernet";
import { GOLDEN } from "./buckets";
import { findIn } from "./dense";

/** The record in a slot. */
export function portOfSlot(bank: usize, slot: u32): usize {
  return bank + BANK_PORTS + slot * PORT_BYTES;
}

export function slotOfPort(bank: usize, port: usize): u32 {
  return <u32>(port - bank - BANK_PORTS) / PORT_BYTES;
}

/** The record of a port number, 0 when there is no such port. */
export function portOfNumber(bank: usize, number: u32): usize {
  if (number > MAX_PORT_NUMBER) return 0;
  const slot = <u32>load<u16>(bank + (number << 1), BANK_PORT_SLOTS);
  return slot == 0 ? 0 : portOfSlot(bank, slot - 1);
}

/** The uplink's record. */
export function uplinkOf(bank: usize): usize {
  return bank + load<u32>(bank, SETTING_UPLINK);
}

/** Adds a port to a bank. `interface` is its interface in the output capture. */
export function addPort(
  bank: usize,
  number: u32,
  flags: u32,
  mac: u64,
  max_frame_bytes: u32,
  output_interface: u32,
): Status {
  if (number > MAX_PORT_NUMBER) return Status.Invalid;
  if (portOfNumber(bank, number) != 0) return Status.Exists;
  const free = load<u32>(bank, SETTING_FREE_PORT);
  const slot = free != 0 ? free - 1 : load<u32>(bank, SETTING_PORT_COUNT);
  if (slot == MAX_PORTS) return Status.Full;
  if ((flags & FLAG_L2_IN) != 0 && !addMac(bank, mac, slot)) return Status.Exists;
  const port = portOfSlot(bank, slot);
  if (free != 0) store<u32>(bank, load<u32>(port, PORT_NUMBER), SETTING_FREE_PORT);
  else store<u32>(bank, slot + 1, SETTING_PORT_COUNT);
  const virtual_mac = load<u64>(bank, SETTING_VIRTUAL_MAC);
  store<u32>(port, number, PORT_NUMBER);
  store<u32>(port, flags, PORT_FLAGS);
  store<u64>(port, mac, PORT_MAC);
  store<u64>(port, mac | ((<u64>TYPE_IPV4) << 48), PORT_SENT_IPV4);
  store<u64>(port, mac | (virtual_mac << 48), PORT_DELIVERY);
  store<u32>(port, <u32>(virtual_mac >> 16), PORT_DELIVERY + 8);
  store<u32>(port, max_frame_bytes, PORT_MAX_FRAME_BYTES);
  store<u32>(port, output_interface, PORT_OUTPUT_INTERFACE);
  store<u16>(bank + (number << 1), <u16>(slot + 1), BANK_PORT_SLOTS);
  if ((flags & FLAG_UPLINK) != 0) store<u32>(bank, <u32>(port - bank), SETTING_UPLINK);
  return Status.Ok;
}

/** Changes the flags and the frame limit of a VM's port; its number and MAC stay. */
export function changePort(bank: usize, number: u32, flags: u32, max_frame_bytes: u32): Status {
  const port = portOfNumber(bank, number);
  if (port == 0 || ((load<u32>(port, PORT_FLAGS) | flags) & FLAG_UPLINK) != 0) return Status.Invalid;
  const mac = load<u64>(port, PORT_MAC);
  const was_bridged = (load<u32>(port, PORT_FLAGS) & FLAG_L2_IN) != 0;
  const is_bridged = (flags & FLAG_L2_IN) != 0;
  if (was_bridged && !is_bridged) removeMac(bank, mac);
  if (is_bridged && !was_bridged && !addMac(bank, mac, slotOfPort(bank, port))) return Status.Exists;
  store<u32>(port, flags, PORT_FLAGS);
  store<u32>(port, max_frame_bytes, PORT_MAX_FRAME_BYTES);
  return Status.Ok;
}

/** Removes a VM's port, which must not have addresses. */
export function removePort(bank: usize, number: u32): Status {
  const port = portOfNumber(bank, number);
  if (port == 0 || load<u32>(port, PORT_ADDRESS_COUNT) != 0) return Status.Invalid;
  const flags = load<u32>(port, PORT_FLAGS);
  if ((flags & FLAG_UPLINK) != 0) return Status.Invalid;
  if ((flags & FLAG_L2_IN) != 0) removeMac(bank, load<u64>(port, PORT_MAC));
  store<u16>(bank + (number << 1), 0, BANK_PORT_SLOTS);
  store<u32>(port, load<u32>(bank, SETTING_FREE_PORT), PORT_NUMBER);
  store<u32>(bank, slotOfPort(bank, port) + 1, SETTING_FREE_PORT);
  return Status.Ok;
}

/** The slot, from 1 on, of the port behind which an address (network order) lives, 0 when it is not local. */
export function hostValue(bank: usize, address: u32): u32 {
  return findIn(bank + SETTING_DENSE_HOSTS, bank + BANK_DENSE_HOSTS, bank + SETTING_HOSTS, address);
}

/** True when the VM at this port owns the address (network order). */
export function ownsAddress(bank: usize, port: usize, address: u32): bool {
  const known = load<u32>(port, PORT_ADDRESS);
  if (address == known) return address != 0;
  if (known != 0 && load<u32>(port, PORT_ADDRESS_COUNT) == 1) return false;
  const value = hostValue(bank, address);
  return value != 0 && portOfSlot(bank, value - 1) == port;
}

/** Counts an address (network order) of a port that is added (1) or removed (-1), and keeps one of them. */
export function noteAddress(port: usize, address: u32, by: i32): void {
  store<u32>(port, load<u32>(port, PORT_ADDRESS_COUNT) + by, PORT_ADDRESS_COUNT);
  const known = load<u32>(port, PORT_ADDRESS);
  if (by > 0 && known == 0) store<u32>(port, address, PORT_ADDRESS);
  if (by < 0 && known == address) store<u32>(port, 0, PORT_ADDRESS);
}

/** The record of the VM with this MAC that takes frames from the bridge, 0 when there is none. */
export function portOfMac(bank: usize, mac: u64): usize {
  const there = load<u64>(macSlot(bank, mac), BANK_MACS);
  return there == 0 ? 0 : portOfSlot(bank, <u32>(there >> 48) - 1);
}

/** False if the MAC is already in the table. */
function addMac(bank: usize, mac: u64, port_slot: u32): bool {
  const at = macSlot(bank, mac);
  if (load<u64>(at, BANK_MACS) != 0) return false;
  store<u64>(at, mac | ((<u64>(port_slot + 1)) << 48), BANK_MACS);
  return true;
}

/**
 * Removes a MAC that is in the table; the displaced MACs behind it
 * move up, so that a search still finds them.
 */
function removeMac(bank: usize, mac: u64): void {
  let hole = <u32>((macSlot(bank, mac) - bank) >> 3);
  let slot = hole;
  for (;;) {
    slot = (slot + 1) % MAC_SLOTS;
    const there = load<u64>(bank + (slot << 3), BANK_MACS);
    if (there == 0) break;
    const from_home = (slot - macHome(there & MAC_MASK)) % MAC_SLOTS;
    if (from_home < (slot - hole) % MAC_SLOTS) continue;
    store<u64>(bank + (hole << 3), there, BANK_MACS);
    hole = slot;
  }
  store<u64>(bank + (hole << 3), 0, BANK_MACS);
}

/**
 * The slot (less BANK_MACS) that holds the MAC, or the free one where it
 * belongs. A quarter of them is ever taken.
 */
function macSlot(bank: usize, mac: u64): usize {
  let slot = macHome(mac);
  let there = load<u64>(bank + (slot << 3), BANK_MACS);
  while (there != 0 && (there & MAC_MASK) != mac) {
    slot = (slot + 1) % MAC_SLOTS;
    there = load<u64>(bank + (slot << 3), BANK_MACS);
  }
  return bank + (slot << 3);
}

function macHome(mac: u64): u32 {
  return <u32>((mac * GOLDEN) >> 50);
}
