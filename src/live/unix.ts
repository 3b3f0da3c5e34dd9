/**
 * A unix stream socket with the framing of Open vSwitch's dummy ports (lib/netdev-dummy.c): two bytes of
 * length, big-endian, then the frame. `unix:PATH` connects, and tries again until there is a listener;
 * `punix:PATH` listens, and serves one peer at a time. Needs no privilege. Frames that the peer does not
 * accept are kept up to a limit, then dropped and counted.
 */
import type { Batch } from "./batch.ts";
import { type Device, type DeviceSpec, noCounts } from "./device.ts";
import { LiveError } from "./errors.ts";
import { accept, Block, bind, close, connect, errno, errnoName, listen, read, send, socket } from "./libc.ts";
import {
  AF_UNIX,
  ERRNO,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOCKADDR_UN_BYTES,
} from "./linux.ts";

const LENGTH_BYTES = 2;
const MOST_FRAME_BYTES = 0xffff;
const IN_BYTES = 256 * 1024;
const OUT_BYTES = 4 * 1024 * 1024;
const FLAGS = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;

export class UnixPort implements Device {
  readonly spec: DeviceSpec;
  readonly counts = noCounts();
  readonly mtu = null;
  failure: string | null = null;
  readonly #memory: Uint8Array;
  readonly #removeSocket: (path: string) => boolean;
  #listener = -1;
  #peer = -1;
  #in: Block | null = null;
  /** Bytes in `#in` that are no whole frame yet. */
  #have = 0;
  #out: Block | null = null;
  #outFrom = 0;
  #outTo = 0;

  /** `memory` is the core's; `removeSocket` removes a file if it is a socket, and says whether it did. */
  constructor(spec: DeviceSpec, memory: Uint8Array, removeSocket: (path: string) => boolean) {
    this.spec = spec;
    this.#memory = memory;
    this.#removeSocket = removeSocket;
  }

  get fd(): number {
    return this.#peer >= 0 ? this.#peer : this.#listener;
  }

  get isBlocked(): boolean {
    return this.#outTo > this.#outFrom;
  }

  open(): void {
    this.failure = null;
    this.#in ??= new Block(IN_BYTES);
    this.#out ??= new Block(OUT_BYTES);
    this.#have = this.#outFrom = this.#outTo = 0;
    if (this.spec.backend === "unix") this.#connect();
    else this.#listen();
  }

  fail(why: string): void {
    this.failure ??= why;
  }

  close(): void {
    if (this.#peer >= 0) close(this.#peer);
    if (this.#listener >= 0) {
      close(this.#listener);
      this.#removeSocket(this.spec.target);
    }
    this.#peer = this.#listener = -1;
  }

  #socket(): number {
    const fd = socket(AF_UNIX, FLAGS, 0);
    if (fd < 0) throw new LiveError(`${this.spec.text}: no socket: ${errnoName(errno())}`);
    return fd;
  }

  #address(): Block {
    const address = new Block(SOCKADDR_UN_BYTES);
    address.view.setUint16(0, AF_UNIX, true);
    address.text(2, this.spec.target);
    return address;
  }

  #connect(): void {
    const fd = this.#socket();
    if (connect(fd, this.#address().address, SOCKADDR_UN_BYTES) === 0) {
      this.#peer = fd;
      return;
    }
    const code = errno();
    close(fd);
    const why: Record<number, string> = {
      [ERRNO.ENOENT]: "nobody listens there: there is no such socket",
      [ERRNO.ECONNREFUSED]: "nobody listens there",
      [ERRNO.EAGAIN]: "the one who listens there is busy",
      [ERRNO.EACCES]: "no permission to write to the socket",
    };
    throw new LiveError(`${this.spec.text}: ${why[code] ?? errnoName(code)}`);
  }

  #listen(): void {
    const { target, text } = this.spec;
    const address = this.#address().address;
    const fd = this.#socket();
    let code = bind(fd, address, SOCKADDR_UN_BYTES) < 0 ? errno() : 0;
    if (code === ERRNO.EADDRINUSE && this.#isDead(address) && this.#removeSocket(target)) {
      code = bind(fd, address, SOCKADDR_UN_BYTES) < 0 ? errno() : 0;
    }
    if (code === 0 && listen(fd, 1) < 0) code = errno();
    if (code === 0) {
      this.#listener = fd;
      return;
    }
    close(fd);
    const why: Record<number, string> = {
      [ERRNO.EADDRINUSE]: "the device is busy: another program listens there, or the file is not a socket",
      [ERRNO.EACCES]: "no permission to make a socket there",
      [ERRNO.ENOENT]: "its folder does not exist",
    };
    throw new LiveError(`${text}: ${why[code] ?? errnoName(code)}`);
  }

  /** Whether nobody listens: it is a socket that was left behind, or no socket at all. */
  #isDead(address: number): boolean {
    const fd = this.#socket();
    const isRefused = connect(fd, address, SOCKADDR_UN_BYTES) < 0 && errno() === ERRNO.ECONNREFUSED;
    close(fd);
    return isRefused;
  }

  receive(batch: Batch, inPort: number, most: number): number {
    if (this.#peer < 0) {
      this.#accept();
      return 0;
    }
    const { bytes, address } = this.#in!;
    let given = this.#give(batch, inPort, most);
    if (given === most) return given;
    const got = read(this.#peer, address + this.#have, bytes.length - this.#have);
    if (got > 0) {
      this.#have += got;
      given += this.#give(batch, inPort, most - given);
      return given;
    }
    const code = got < 0 ? errno() : 0;
    if (code !== ERRNO.EAGAIN && code !== ERRNO.EINTR) this.#lose();
    return given;
  }

  /** Whether frames were read from the socket that were not given yet; polling does not tell. */
  get hasFrames(): boolean {
    const bytes = this.#in?.bytes;
    return (
      bytes !== undefined &&
      this.#have >= LENGTH_BYTES &&
      this.#have >= LENGTH_BYTES + ((bytes[0]! << 8) | bytes[1]!)
    );
  }

  #accept(): void {
    const fd = accept(this.#listener, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    this.#peer = fd;
    this.#have = this.#outFrom = this.#outTo = 0;
  }

  /** The peer is gone: a listener waits for another one, the others begin anew. */
  #lose(): void {
    close(this.#peer);
    this.#peer = -1;
    this.#have = this.#outFrom = this.#outTo = 0;
    if (this.#listener < 0) this.failure = "the other end closed it";
  }

  /** Hands on whole frames, and moves what is left to the front. */
  #give(batch: Batch, inPort: number, most: number): number {
    const { bytes } = this.#in!;
    let from = 0;
    let given = 0;
    while (given < most && this.#have - from >= LENGTH_BYTES) {
      const length = (bytes[from]! << 8) | bytes[from + 1]!;
      const end = from + LENGTH_BYTES + length;
      if (end > this.#have) break;
      batch.copy(inPort, bytes, from + LENGTH_BYTES, end);
      given++;
      from = end;
    }
    if (from > 0) {
      bytes.copyWithin(0, from, this.#have);
      this.#have -= from;
    }
    return given;
  }

  send(at: number, length: number): void {
    const { bytes } = this.#out!;
    if (this.#peer < 0 || length > MOST_FRAME_BYTES) {
      this.counts.sendLost++;
      return;
    }
    if (this.#outTo + LENGTH_BYTES + length > bytes.length) {
      this.flush();
      this.#makeRoom();
      if (this.#peer < 0 || this.#outTo + LENGTH_BYTES + length > bytes.length) {
        this.counts.sendLost++;
        return;
      }
    }
    bytes[this.#outTo] = length >>> 8;
    bytes[this.#outTo + 1] = length;
    bytes.set(this.#memory.subarray(at, at + length), this.#outTo + LENGTH_BYTES);
    this.#outTo += LENGTH_BYTES + length;
  }

  /** Moves what is not sent to the front, when that gains much. */
  #makeRoom(): void {
    if (this.#outFrom < OUT_BYTES / 2) return;
    this.#out!.bytes.copyWithin(0, this.#outFrom, this.#outTo);
    this.#outTo -= this.#outFrom;
    this.#outFrom = 0;
  }

  flush(): void {
    while (this.#outFrom < this.#outTo && this.#peer >= 0) {
      const flags = MSG_DONTWAIT | MSG_NOSIGNAL;
      const sent = send(this.#peer, this.#out!.address + this.#outFrom, this.#outTo - this.#outFrom, flags);
      if (sent < 0) {
        const code = errno();
        if (code === ERRNO.EINTR) continue;
        if (code !== ERRNO.EAGAIN) this.#lose();
        return;
      }
      this.#outFrom += sent;
    }
    this.#outFrom = this.#outTo = 0;
  }
}
