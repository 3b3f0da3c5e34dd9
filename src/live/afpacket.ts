/**
 * Frames of an Ethernet interface by packet sockets (packet(7)): recvmmsg receives straight into the core's
 * memory, sendmmsg sends straight out of it. Frames sent by slash32 are not received again
 * (PACKET_IGNORE_OUTGOING), VLAN tags that the kernel removed are restored (PACKET_AUXDATA), and frames that
 * a sender left to offloading are completed (PACKET_VNET_HDR, offload.ts). The interface is promiscuous only
 * on request.
 */
import { BATCH_FRAMES, type Batch, MOST_BYTES, Batch as Slots } from "./batch.ts";
import { type Device, type DeviceSpec, noCounts } from "./device.ts";
import { LiveError } from "./errors.ts";
import {
  Block,
  bind,
  close,
  errno,
  errnoName,
  getsockopt,
  interfaceIndex,
  poll,
  recvmmsg,
  sendmmsg,
  setsockopt,
  socket,
} from "./libc.ts";
import {
  AF_PACKET,
  AUXDATA_BYTES,
  AUXDATA_STATUS,
  AUXDATA_VLAN_TCI,
  AUXDATA_VLAN_TPID,
  ERRNO,
  ETH_P_ALL,
  IOVEC_BYTES,
  MMSGHDR_BYTES,
  MMSGHDR_LENGTH,
  MSG_DONTWAIT,
  MSGHDR_CONTROL,
  MSGHDR_CONTROL_BYTES,
  MSGHDR_IOV,
  MSGHDR_IOV_COUNT,
  PACKET_ADD_MEMBERSHIP,
  PACKET_AUXDATA,
  PACKET_IGNORE_OUTGOING,
  PACKET_MR_PROMISC,
  PACKET_MREQ_BYTES,
  PACKET_QDISC_BYPASS,
  PACKET_STATISTICS,
  PACKET_VNET_HDR,
  POLLOUT,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  SO_SNDBUF,
  SO_SNDBUFFORCE,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_RAW,
  SOCKADDR_LL_BYTES,
  SOL_PACKET,
  SOL_SOCKET,
  TP_STATUS_VLAN_TPID_VALID,
  TP_STATUS_VLAN_VALID,
  VNET_CSUM_OFFSET,
  VNET_CSUM_START,
  VNET_FLAGS,
  VNET_GSO_BYTES,
  VNET_GSO_TYPE,
  VNET_HEADER_BYTES,
  VNET_NEEDS_CSUM,
} from "./linux.ts";
import { isEthernet, mtuOf } from "./netdevice.ts";
import { completeChecksum, restoreTag, segment, type Unfinished } from "./offload.ts";

/** Room for frames that wait: the kernel counts a small one as 768 bytes, so some 40,000. */
const RECEIVE_BYTES = 32 * 1024 * 1024;
const SEND_BYTES = 4 * 1024 * 1024;
/** The largest frame that an offloading sender may hand over, beyond what lies in the slot. */
const OVERFLOW_BYTES = 0x11000 - MOST_BYTES;
/** How long a full device is waited for before a frame is given up. */
const WAIT_MS = 2;
const VLAN_TYPE = 0x8100;

const NEEDS_RAW = "no permission: CAP_NET_RAW is needed (run it as root, or setcap cap_net_raw+ep on node)";

/** What recvmmsg fills, the same for all packet sockets: slots are used by one at a time. */
export class ReceiveRing {
  readonly #headers = new Block(BATCH_FRAMES * MMSGHDR_BYTES);
  readonly #vectors = new Block(BATCH_FRAMES * 2 * IOVEC_BYTES);
  readonly #controls = new Block(BATCH_FRAMES * AUXDATA_BYTES);
  /** Where the ends of large frames come to lie, for each slot. */
  readonly overflow = new Block(BATCH_FRAMES * OVERFLOW_BYTES);

  /** `base` is the address of the core's memory. */
  constructor(base: number) {
    for (let slot = 0; slot < BATCH_FRAMES; slot++) {
      const header = slot * MMSGHDR_BYTES;
      const vector = slot * 2 * IOVEC_BYTES;
      const frame = Slots.frameAt(slot);
      this.#vectors.point(vector, base + frame - VNET_HEADER_BYTES);
      this.#vectors.point(vector + 8, VNET_HEADER_BYTES + MOST_BYTES);
      this.#vectors.point(vector + 16, this.overflow.address + slot * OVERFLOW_BYTES);
      this.#vectors.point(vector + 24, OVERFLOW_BYTES);
      this.#headers.point(header + MSGHDR_IOV, this.#vectors.address + vector);
      this.#headers.point(header + MSGHDR_IOV_COUNT, 2);
      this.#headers.point(header + MSGHDR_CONTROL, this.#controls.address + slot * AUXDATA_BYTES);
      this.#headers.point(header + MSGHDR_CONTROL_BYTES, AUXDATA_BYTES);
    }
  }

  /** Receives into slots from `slot` on; gives how many, or -1. */
  receive(fd: number, slot: number, most: number): number {
    return recvmmsg(fd, this.#headers.address + slot * MMSGHDR_BYTES, most, MSG_DONTWAIT, 0);
  }

  /** Bytes received into a slot, without the virtio_net_hdr. Prepares the slot for the next receive. */
  lengthOf(slot: number): number {
    const header = (slot * MMSGHDR_BYTES) >>> 2;
    const { words } = this.#headers;
    words[header + (MSGHDR_CONTROL_BYTES >>> 2)] = AUXDATA_BYTES;
    return words[header + (MMSGHDR_LENGTH >>> 2)]! - VNET_HEADER_BYTES;
  }

  /** Whether a tag was put aside. */
  hasTag(slot: number): boolean {
    const status = this.#controls.words[(slot * AUXDATA_BYTES + AUXDATA_STATUS) >>> 2]!;
    return (status & TP_STATUS_VLAN_VALID) !== 0;
  }

  /** The tag that was put aside: its type and its TCI. */
  tagOf(slot: number): { type: number; tci: number } {
    const at = slot * AUXDATA_BYTES;
    const { view } = this.#controls;
    const hasType = (view.getUint32(at + AUXDATA_STATUS, true) & TP_STATUS_VLAN_TPID_VALID) !== 0;
    return {
      type: hasType ? view.getUint16(at + AUXDATA_VLAN_TPID, true) : VLAN_TYPE,
      tci: view.getUint16(at + AUXDATA_VLAN_TCI, true),
    };
  }
}

export class AfPacket implements Device {
  readonly spec: DeviceSpec;
  readonly counts = noCounts();
  readonly isBlocked = false;
  fd = -1;
  failure: string | null = null;
  mtu: number | null = null;
  /** Notes for a person, from the last `open`. */
  note: string | null = null;
  readonly #base: number;
  readonly #ring: ReceiveRing;
  readonly #large = new Uint8Array(MOST_BYTES + OVERFLOW_BYTES);
  readonly #headers = new Block(BATCH_FRAMES * MMSGHDR_BYTES);
  readonly #vectors = new Block(BATCH_FRAMES * IOVEC_BYTES);
  readonly #scratch = new Block(64);
  #sender = -1;
  #queued = 0;
  /** Whether a full device may be waited for once more before the next batch. */
  #mayWait = true;

  constructor(spec: DeviceSpec, base: number, ring: ReceiveRing) {
    this.spec = spec;
    this.#base = base;
    this.#ring = ring;
    for (let index = 0; index < BATCH_FRAMES; index++) {
      const header = index * MMSGHDR_BYTES;
      this.#headers.point(header + MSGHDR_IOV, this.#vectors.address + index * IOVEC_BYTES);
      this.#headers.point(header + MSGHDR_IOV_COUNT, 1);
    }
  }

  open(): void {
    const { target, text } = this.spec;
    const index = interfaceIndex(target);
    if (index === 0) throw new LiveError(`${text}: there is no such interface; ip link lists them`);
    if (!isEthernet(target)) throw new LiveError(`${text}: its frames are not Ethernet`);
    this.failure = null;
    this.note = null;
    this.fd = this.#socket();
    this.#sender = this.#socket();
    try {
      this.#option(PACKET_VNET_HDR, 1, "PACKET_VNET_HDR");
      this.#option(PACKET_AUXDATA, 1, "PACKET_AUXDATA");
      this.#option(PACKET_IGNORE_OUTGOING, 1, "PACKET_IGNORE_OUTGOING (Linux 4.20)");
      if (this.spec.isPromiscuous) this.#makePromiscuous(index);
      this.#resize(this.fd, SO_RCVBUFFORCE, SO_RCVBUF, RECEIVE_BYTES);
      this.#resize(this.#sender, SO_SNDBUFFORCE, SO_SNDBUF, SEND_BYTES);
      this.#set(this.#sender, SOL_PACKET, PACKET_QDISC_BYPASS, 1);
      this.#bind(this.fd, index, ETH_P_ALL);
      this.#bind(this.#sender, index, 0);
    } catch (error) {
      this.close();
      throw error;
    }
    this.mtu = mtuOf(target);
  }

  fail(why: string): void {
    this.failure ??= why;
  }

  close(): void {
    for (const fd of [this.fd, this.#sender]) if (fd >= 0) close(fd);
    this.fd = this.#sender = -1;
    this.#queued = 0;
  }

  /** A socket of no protocol: it receives nothing before it is bound. */
  #socket(): number {
    const fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0) return fd;
    const code = errno();
    this.close();
    throw new LiveError(
      `${this.spec.text}: ${code === ERRNO.EPERM ? NEEDS_RAW : `no packet socket: ${errnoName(code)}`}`,
    );
  }

  #set(fd: number, level: number, name: number, value: number): boolean {
    this.#scratch.view.setUint32(0, value, true);
    return setsockopt(fd, level, name, this.#scratch.address, 4) === 0;
  }

  #option(name: number, value: number, what: string): void {
    if (this.#set(this.fd, SOL_PACKET, name, value)) return;
    throw new LiveError(`${this.spec.text}: the kernel has no ${what}: ${errnoName(errno())}`);
  }

  /** As large as asked for with CAP_NET_ADMIN, else as the system's limit allows. */
  #resize(fd: number, force: number, plain: number, bytes: number): void {
    if (this.#set(fd, SOL_SOCKET, force, bytes)) return;
    this.#set(fd, SOL_SOCKET, plain, bytes);
    const why = "CAP_NET_ADMIN is missing; bursts may be lost (see net.core.rmem_max)";
    this.note = `${this.spec.text}: small buffers, because ${why}`;
  }

  #bind(fd: number, index: number, protocol: number): void {
    const { bytes, view, address } = this.#scratch;
    bytes.fill(0);
    view.setUint16(0, AF_PACKET, true);
    view.setUint16(2, protocol, false);
    view.setInt32(4, index, true);
    if (bind(fd, address, SOCKADDR_LL_BYTES) === 0) return;
    const code = errno();
    const why = code === ERRNO.ENODEV ? "there is no such interface" : `cannot be used: ${errnoName(code)}`;
    throw new LiveError(`${this.spec.text}: ${why}`);
  }

  #makePromiscuous(index: number): void {
    const { bytes, view, address } = this.#scratch;
    bytes.fill(0);
    view.setInt32(0, index, true);
    view.setUint16(4, PACKET_MR_PROMISC, true);
    if (setsockopt(this.fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, address, PACKET_MREQ_BYTES) === 0) return;
    throw new LiveError(`${this.spec.text}: cannot be made promiscuous: ${errnoName(errno())}`);
  }

  receive(batch: Batch, inPort: number, most: number): number {
    const ring = this.#ring;
    const { bytes } = batch;
    const first = batch.slots;
    const got = ring.receive(this.fd, first, Math.min(most, BATCH_FRAMES - first));
    if (got <= 0) {
      if (got < 0) this.#receiveFailed(errno());
      return 0;
    }
    batch.slots = first + got;
    for (let slot = first; slot < first + got; slot++) {
      const at = Slots.frameAt(slot);
      const length = ring.lengthOf(slot);
      const isFinished =
        (bytes[at - VNET_HEADER_BYTES + VNET_FLAGS]! & VNET_NEEDS_CSUM) === 0 &&
        bytes[at - VNET_HEADER_BYTES + VNET_GSO_TYPE] === 0 &&
        !ring.hasTag(slot);
      if (isFinished) batch.add(inPort, at, length > MOST_BYTES ? MOST_BYTES : length);
      else this.#finish(batch, inPort, slot, length);
    }
    return got;
  }

  #receiveFailed(code: number): void {
    if (code === ERRNO.EAGAIN || code === ERRNO.EINTR) return;
    // The interface went down, which is no reason to let go of it, or away.
    if (code === ERRNO.ENETDOWN && interfaceIndex(this.spec.target) !== 0) return;
    this.failure = code === ERRNO.ENETDOWN ? "the interface was removed" : errnoName(code);
  }

  /** Adds what becomes of a frame whose sender left something to its hardware. */
  #finish(batch: Batch, inPort: number, slot: number, length: number): void {
    const { bytes } = batch;
    const at = Slots.frameAt(slot);
    const header = at - VNET_HEADER_BYTES;
    const word = (offset: number): number => bytes[header + offset]! | (bytes[header + offset + 1]! << 8);
    const what: Unfinished = {
      gsoType: bytes[header + VNET_GSO_TYPE]!,
      gsoBytes: word(VNET_GSO_BYTES),
      sumStart: word(VNET_CSUM_START),
      sumOffset: word(VNET_CSUM_OFFSET),
    };
    const needsSum = (bytes[header + VNET_FLAGS]! & VNET_NEEDS_CSUM) !== 0;
    const tag = this.#ring.hasTag(slot) ? this.#ring.tagOf(slot) : null;
    if (tag !== null) this.counts.restored++;
    const place = (start: number, bytesLong: number): void => {
      if (tag === null) batch.add(inPort, start, bytesLong);
      else batch.add(inPort, restoreTag(bytes, start, tag.type, tag.tci), bytesLong + 4);
    };
    if (what.gsoType !== 0 && this.#cut(batch, slot, length, what, place)) return;
    const inSlot = Math.min(length, MOST_BYTES);
    if (needsSum && length <= MOST_BYTES && completeChecksum(bytes, at, length, what))
      this.counts.completed++;
    place(at, inSlot);
  }

  /** Cuts a large frame. False when it is not what it says to be. */
  #cut(
    batch: Batch,
    slot: number,
    length: number,
    what: Unfinished,
    place: (at: number, length: number) => void,
  ): boolean {
    const at = Slots.frameAt(slot);
    const inSlot = Math.min(length, MOST_BYTES);
    const rest = Math.min(length - inSlot, OVERFLOW_BYTES);
    const overflow = slot * OVERFLOW_BYTES;
    this.#large.set(batch.bytes.subarray(at, at + inSlot));
    this.#large.set(this.#ring.overflow.bytes.subarray(overflow, overflow + rest), inSlot);
    const frame = this.#large.subarray(0, inSlot + rest);
    const segments = segment(frame, what, batch.bytes, bytes => batch.room(bytes), place);
    this.counts.segmented += segments;
    return segments > 0;
  }

  send(at: number, length: number): void {
    if (this.#queued === BATCH_FRAMES) this.flush();
    const vector = this.#queued++ * IOVEC_BYTES;
    this.#vectors.point(vector, this.#base + at);
    this.#vectors.words[(vector + 8) >>> 2] = length;
  }

  flush(): void {
    let first = 0;
    this.#mayWait = true;
    while (first < this.#queued) {
      const sent = sendmmsg(
        this.#sender,
        this.#headers.address + first * MMSGHDR_BYTES,
        this.#queued - first,
        MSG_DONTWAIT,
      );
      if (sent > 0) first += sent;
      else if (!this.#mayTryAgain(errno())) {
        this.counts.sendLost++;
        first++;
      }
    }
    this.#queued = 0;
  }

  /** Whether the frame at the front may be sent after all, having waited for room; else it is lost. */
  #mayTryAgain(code: number): boolean {
    if (code === ERRNO.EINTR) return true;
    if (code === ERRNO.EAGAIN && this.#mayWait) {
      const { view, address } = this.#scratch;
      view.setInt32(0, this.#sender, true);
      view.setUint16(4, POLLOUT, true);
      this.#mayWait = poll(address, 1, WAIT_MS) > 0;
      return this.#mayWait;
    }
    if (code === ERRNO.ENXIO || code === ERRNO.ENODEV) this.failure = "the interface was removed";
    return false;
  }

  /** Adds what the kernel dropped since the last time, because we did not read fast enough. */
  countDrops(): void {
    if (this.fd < 0) return;
    const { view, address } = this.#scratch;
    view.setUint32(16, 2 * 4, true);
    if (getsockopt(this.fd, SOL_PACKET, PACKET_STATISTICS, address, address + 16) < 0) return;
    this.counts.receiveLost += view.getUint32(4, true);
  }
}
