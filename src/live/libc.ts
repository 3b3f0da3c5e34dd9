/**
 * The system calls of live ports, through the C library and koffi; only this file uses koffi. Addresses are
 * numbers (they fit 53 bits), so that a call costs about 140 ns more than in C and allocates almost nothing.
 * Only `load` throws: a call that fails returns -1, and `errno` has the reason.
 */
import koffi from "koffi";
import { ERRNO } from "./linux.ts";

/** Names of the C library: glibc's, musl's. */
const LIBRARIES = ["libc.so.6", "libc.so"];

function load(): ReturnType<typeof koffi.load> {
  let failure: unknown;
  for (const name of LIBRARIES) {
    try {
      return koffi.load(name);
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

const library = load();

export const open: (path: string, flags: number) => number = library.func(
  "int open(const char *path, int flags)",
);
export const close: (fd: number) => number = library.func("int close(int fd)");
export const read: (fd: number, at: number, bytes: number) => number = library.func(
  "int read(int fd, uintptr_t at, uint32_t bytes)",
);
export const write: (fd: number, at: number, bytes: number) => number = library.func(
  "int write(int fd, uintptr_t at, uint32_t bytes)",
);
export const ioctl: (fd: number, request: number, at: number) => number = library.func(
  "int ioctl(int fd, unsigned long request, uintptr_t at)",
);
export const poll: (at: number, count: number, timeoutMs: number) => number = library.func(
  "int poll(uintptr_t at, unsigned long count, int timeout)",
);
export const eventfd: (value: number, flags: number) => number = library.func(
  "int eventfd(unsigned int value, int flags)",
);
export const socket: (domain: number, type: number, protocol: number) => number = library.func(
  "int socket(int domain, int type, int protocol)",
);
export const bind: (fd: number, at: number, bytes: number) => number = library.func(
  "int bind(int fd, uintptr_t at, uint32_t bytes)",
);
export const connect: (fd: number, at: number, bytes: number) => number = library.func(
  "int connect(int fd, uintptr_t at, uint32_t bytes)",
);
export const listen: (fd: number, backlog: number) => number = library.func(
  "int listen(int fd, int backlog)",
);
export const accept: (fd: number, at: number, bytesAt: number, flags: number) => number = library.func(
  "int accept4(int fd, uintptr_t at, uintptr_t bytes, int flags)",
);
export const setsockopt: (fd: number, level: number, name: number, at: number, bytes: number) => number =
  library.func("int setsockopt(int fd, int level, int name, uintptr_t at, uint32_t bytes)");
export const getsockopt: (fd: number, level: number, name: number, at: number, bytesAt: number) => number =
  library.func("int getsockopt(int fd, int level, int name, uintptr_t at, uintptr_t bytes)");
export const send: (fd: number, at: number, bytes: number, flags: number) => number = library.func(
  "int send(int fd, uintptr_t at, size_t bytes, int flags)",
);
export const recvmmsg: (fd: number, at: number, count: number, flags: number, timeoutAt: number) => number =
  library.func("int recvmmsg(int fd, uintptr_t at, unsigned int count, int flags, uintptr_t timeout)");
export const sendmmsg: (fd: number, at: number, count: number, flags: number) => number = library.func(
  "int sendmmsg(int fd, uintptr_t at, unsigned int count, int flags)",
);
/** The index of an interface by its name, 0 when there is none. */
export const interfaceIndex: (name: string) => number = library.func(
  "unsigned int if_nametoindex(const char *name)",
);

/** Why the last call failed. */
export function errno(): number {
  return koffi.errno();
}

const NAMES: ReadonlyMap<number, string> = new Map(Object.entries(ERRNO).map(([name, code]) => [code, name]));

/** `ENODEV`, or `error 95`. */
export function errnoName(code: number): string {
  return NAMES.get(code) ?? `error ${code}`;
}

/** Where the bytes of a buffer lie; it must outlive all uses of the address. */
export function addressOf(buffer: ArrayBufferLike): number {
  return Number(koffi.address(new Uint8Array(buffer)));
}

/** Memory that calls are given: its bytes, three ways to see them, and where they lie. */
export class Block {
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;
  readonly view: DataView;
  readonly address: number;

  constructor(bytes: number) {
    const buffer = new ArrayBuffer((bytes + 7) & ~7);
    this.bytes = new Uint8Array(buffer);
    this.words = new Uint32Array(buffer);
    this.view = new DataView(buffer);
    this.address = addressOf(buffer);
  }

  /** Writes an address, a u64, at an offset that is a multiple of 4. */
  point(at: number, address: number): void {
    this.words[at >>> 2] = address >>> 0;
    this.words[(at >>> 2) + 1] = Math.floor(address / 0x100000000);
  }

  /** Writes text and a zero. */
  text(at: number, text: string): void {
    const end = at + new TextEncoder().encodeInto(text, this.bytes.subarray(at)).written;
    this.bytes[end] = 0;
  }
}
