/**
 * Queries and settings of a Linux network interface: whether it exists, is up, is an Ethernet, and its MTU.
 * Requests of netdevice(7), through a socket that is open only during the call.
 */
import { LiveError } from "./errors.ts";
import { Block, close, errno, errnoName, ioctl, socket } from "./libc.ts";
import {
  AF_INET,
  ARPHRD_ETHER,
  ARPHRD_LOOPBACK,
  IFF_UP,
  IFREQ_BYTES,
  IFREQ_VALUE,
  SIOCGIFFLAGS,
  SIOCGIFHWADDR,
  SIOCGIFMTU,
  SIOCSIFFLAGS,
  SIOCSIFTXQLEN,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
} from "./linux.ts";

/** Does a request about an interface; gives the structure, or null when the kernel refused. */
function ask(name: string, request: number, fill: (value: DataView) => void = () => {}): DataView | null {
  const structure = new Block(IFREQ_BYTES);
  structure.text(0, name);
  const value = new DataView(structure.bytes.buffer, IFREQ_VALUE);
  fill(value);
  const fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) throw new LiveError(`no socket to ask about interfaces: ${errnoName(errno())}`);
  const answer = ioctl(fd, request, structure.address);
  close(fd);
  return answer < 0 ? null : value;
}

/** Largest layer-3 packet in bytes; null when there is no such interface. */
export function mtuOf(name: string): number | null {
  return ask(name, SIOCGIFMTU)?.getInt32(0, true) ?? null;
}

export function isUp(name: string): boolean {
  return ((ask(name, SIOCGIFFLAGS)?.getUint16(0, true) ?? 0) & IFF_UP) !== 0;
}

/** Sets an interface up. False when that is not allowed. */
export function setUp(name: string): boolean {
  const flags = ask(name, SIOCGIFFLAGS)?.getUint16(0, true) ?? 0;
  return ask(name, SIOCSIFFLAGS, value => value.setUint16(0, flags | IFF_UP, true)) !== null;
}

/** Makes the queue of an interface longer or shorter, in frames. False when that is not allowed. */
export function setQueueLength(name: string, frames: number): boolean {
  return ask(name, SIOCSIFTXQLEN, value => value.setInt32(0, frames, true)) !== null;
}

/** Whether its frames have Ethernet headers. */
export function isEthernet(name: string): boolean {
  const type = ask(name, SIOCGIFHWADDR)?.getUint16(0, true);
  return type === ARPHRD_ETHER || type === ARPHRD_LOOPBACK;
}
