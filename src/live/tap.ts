/**
 * A tap interface, created or opened: frames that the kernel sends into it are read, frames that are written
 * to it the kernel receives, one per call (Documentation/networking/tuntap.rst). No offload is requested, so
 * every frame has its checksums and its VLAN tag in place and fits the MTU of the interface.
 */
import { BATCH_FRAMES, type Batch, MOST_BYTES, Batch as Slots } from "./batch.ts";
import { type Device, type DeviceSpec, noCounts } from "./device.ts";
import { LiveError } from "./errors.ts";
import { Block, close, errno, errnoName, interfaceIndex, ioctl, open, read, write } from "./libc.ts";
import {
  ERRNO,
  IFF_MULTI_QUEUE,
  IFF_NO_PI,
  IFF_TAP,
  IFREQ_BYTES,
  IFREQ_VALUE,
  O_CLOEXEC,
  O_NONBLOCK,
  O_RDWR,
  TUN_DEVICE,
  TUNSETIFF,
} from "./linux.ts";
import { isUp, mtuOf, setQueueLength, setUp } from "./netdevice.ts";

/**
 * Queue of a tap that slash32 creates, in frames (kernel default: 1,000): about ten milliseconds at full
 * speed.
 */
const QUEUE_FRAMES = 8192;

const NEEDED = "CAP_NET_ADMIN is needed, or a tap that was made for your user (ip tuntap add … user NAME)";
const NO_TUN: Readonly<Record<number, string>> = {
  [ERRNO.ENOENT]: "/dev/net/tun does not exist: modprobe tun, or give the container --device /dev/net/tun",
  [ERRNO.ENODEV]: "the kernel has no tun driver: modprobe tun",
  [ERRNO.ENXIO]: "the kernel has no tun driver: modprobe tun",
  [ERRNO.EACCES]: "no permission to open /dev/net/tun: check its mode (usually 0666)",
  [ERRNO.EPERM]: "no permission to open /dev/net/tun: the container forbids it",
};

export class Tap implements Device {
  readonly spec: DeviceSpec;
  readonly counts = noCounts();
  readonly isBlocked = false;
  fd = -1;
  failure: string | null = null;
  mtu: number | null = null;
  readonly #base: number;

  /** `base` is the address of the core's memory. */
  constructor(spec: DeviceSpec, base: number) {
    this.spec = spec;
    this.#base = base;
  }

  open(isReturn: boolean): void {
    const { target, text } = this.spec;
    const isThere = interfaceIndex(target) !== 0;
    if (isReturn && !isThere) throw new LiveError(`${text}: there is no such interface`);
    const fd = open(TUN_DEVICE, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
      const code = errno();
      throw new LiveError(`${text}: ${NO_TUN[code] ?? `${TUN_DEVICE}: ${errnoName(code)}`}`);
    }
    let code = attach(fd, target, IFF_TAP | IFF_NO_PI);
    // One that was made with several queues takes no other user.
    if (code === ERRNO.EINVAL && isThere) code = attach(fd, target, IFF_TAP | IFF_NO_PI | IFF_MULTI_QUEUE);
    if (code !== 0) {
      close(fd);
      throw new LiveError(`${text}: ${attachProblem(code, target, isThere)}`);
    }
    this.fd = fd;
    this.failure = null;
    if (!isThere) {
      setQueueLength(target, QUEUE_FRAMES);
      setUp(target);
    }
    this.mtu = mtuOf(target);
  }

  fail(why: string): void {
    this.failure ??= why;
  }

  close(): void {
    if (this.fd >= 0) close(this.fd);
    this.fd = -1;
  }

  receive(batch: Batch, inPort: number, most: number): number {
    const end = Math.min(BATCH_FRAMES, batch.slots + most);
    const first = batch.slots;
    while (batch.slots < end) {
      const at = Slots.frameAt(batch.slots);
      const length = read(this.fd, this.#base + at, MOST_BYTES);
      if (length <= 0) {
        if (length < 0) this.#readFailed(errno());
        break;
      }
      batch.slots++;
      batch.add(inPort, at, length > MOST_BYTES ? MOST_BYTES : length);
    }
    return batch.slots - first;
  }

  #readFailed(code: number): void {
    if (code === ERRNO.EAGAIN || code === ERRNO.EINTR) return;
    this.failure = code === ERRNO.EBADFD ? "the interface was removed" : errnoName(code);
  }

  send(at: number, length: number): void {
    if (write(this.fd, this.#base + at, length) >= 0) return;
    this.counts.sendLost++;
    const code = errno();
    if (code === ERRNO.EBADFD) this.failure = "the interface was removed";
  }

  flush(): void {}

  /** Whether the interface is up; one that is down takes and gives nothing. */
  get isUp(): boolean {
    return isUp(this.spec.target);
  }
}

/** Binds the file to the interface; gives 0 or why not. */
function attach(fd: number, name: string, flags: number): number {
  const request = new Block(IFREQ_BYTES);
  request.text(0, name);
  request.view.setUint16(IFREQ_VALUE, flags, true);
  return ioctl(fd, TUNSETIFF, request.address) < 0 ? errno() : 0;
}

function attachProblem(code: number, name: string, isThere: boolean): string {
  if (code === ERRNO.EBUSY) return "the device is busy: another program has it open";
  if (code === ERRNO.EINVAL)
    return isThere ? `${name} is not a tap interface` : `"${name}" is not a valid interface name`;
  if (code !== ERRNO.EPERM) return `cannot be attached: ${errnoName(code)}`;
  return isThere ? `no permission: ${NEEDED}` : `no permission to create it: ${NEEDED}`;
}
