/**
 * The operating system's errors (errno) in words, without the path, which the caller adds. Used for captures, sockets and
 * devices alike.
 */

const MESSAGES: Record<string, string> = {
  ENOENT: "no such file or directory",
  EACCES: "permission denied",
  EPERM: "operation not permitted",
  EISDIR: "is a directory; expected a file",
  ENOTDIR: "a part of the path is not a directory",
  ENOSPC: "no space left on device",
  EDQUOT: "disk quota exceeded",
  EROFS: "the file system is read-only",
  EMFILE: "too many open files",
  EPIPE: "the reader closed the pipe",
  EIO: "input/output error",
  EFBIG: "file too large",
  ELOOP: "too many symbolic links",
  ENAMETOOLONG: "the name is too long",
  ENXIO: "no such device or address",
};

/** One line for an error of a file operation. */
export function ioMessage(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return (code !== undefined && MESSAGES[code]) || message;
}
