/**
 * The watched directory: one YAML file for each VM, the only memory of which VMs there should be. Files come
 * and go by rename; whoever asks over HTTP has files written here too, so that a restart forgets nothing. A
 * file that cannot be read never removes a VM. Links are followed within the directory only: others may be
 * able to write here who may not read what a link can point to. open(2), symlink(7), inode(7).
 */
import {
  type BigIntStats,
  closeSync,
  constants,
  type FSWatcher,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  statSync,
  watch,
} from "node:fs";
import { basename, join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { formatDiagnostic } from "../errors/index.ts";
import { removeWhole, writeWhole } from "../host/index.ts";
import { parseVm, type Vm } from "../intent/index.ts";
import { formatIpv4, formatMac } from "../wire/index.ts";

/** A VM and the file it stands in. */
export interface VmFile {
  readonly file: string;
  readonly modifiedMs: number;
  readonly vm: Vm;
}

/** What the directory holds. A file that has not changed is the same object as before. */
export interface Listing {
  readonly vms: readonly VmFile[];
  /** Files that cannot be read, with a line that says why. */
  readonly unreadable: ReadonlyMap<string, string>;
  /** How many of those were never read: any VM that no other file speaks of may stand in them. */
  readonly hiddenCount: number;
}

const NAME = /^[^.].*\.(?:ya?ml|json)$/;
const POLL_MS = 2000;
const BYTES_MAX = 65_536;

interface Read {
  /** How it looked from outside; empty when it is to be read again in any case. */
  readonly print: string;
  /** What it held; null when that is not known. */
  readonly text: string | null;
  readonly file: VmFile | null;
  readonly problem: string | null;
}

/**
 * Two writes in one tick of the clock that stamps files leave one time, and may leave one size. A file that
 * was changed so lately when it was read is read once more; some file systems' clocks tick in seconds.
 */
const COARSE_MS = 2000;

/** How many files are looked at, and how many are read, before others have their turn. */
const SLICE = 200;
const READ_SLICE = 20;

/** A VM as a file of the directory. */
export function formatVm(vm: Vm): string {
  const lines = [
    `id: ${vm.id}`,
    `name: ${JSON.stringify(vm.name)}`,
    `port: ${JSON.stringify(vm.port)}`,
    `ofport: ${vm.ofport}`,
    `mac: ${formatMac(vm.mac)}`,
    `addresses: [${vm.addresses.map(formatIpv4).join(", ")}]`,
    `path: ${vm.path}`,
    ...(vm.mtu === null ? [] : [`mtu: ${vm.mtu}`]),
  ];
  return `${lines.join("\n")}\n`;
}

export class VmDirectory {
  readonly path: string;
  readonly #known = new Map<string, Read>();
  /** Names whose files may have changed; all of them while `#isStale`. */
  readonly #suspects = new Set<string>();
  #isStale = true;
  #watcher: FSWatcher | null = null;
  #poll: NodeJS.Timeout | null = null;

  constructor(path: string) {
    this.path = path;
  }

  /**
   * Reads what has changed since the last time: watched, the files of which something was heard, else all
   * that look different. Throws when the directory itself cannot be read; an unreadable file whose former
   * text was good goes on standing for that.
   */
  read(): Listing {
    if (this.#isStale || this.#watcher === null) this.#suspectAll();
    for (const name of this.#suspects) this.#readFile(name);
    this.#suspects.clear();
    const vms: VmFile[] = [];
    const unreadable = new Map<string, string>();
    let hiddenCount = 0;
    for (const [name, { file, problem }] of this.#known) {
      if (file !== null) vms.push(file);
      else hiddenCount++;
      if (problem !== null) unreadable.set(join(this.path, name), problem);
    }
    return { vms, unreadable, hiddenCount };
  }

  /**
   * Reads as `read` does, some at a time, so that it finds little left to do. What cannot be read, `read`
   * says.
   */
  async readAhead(): Promise<void> {
    try {
      if (this.#isStale || this.#watcher === null) this.#suspectAll();
    } catch {
      return;
    }
    for (const [index, name] of [...this.#suspects].entries()) {
      this.#suspects.delete(name);
      this.#readFile(name);
      if (index % READ_SLICE === READ_SLICE - 1) await turn();
    }
  }

  /**
   * Looks which files are other than known, some at a time; `read` reads those. What it cannot see, `read`
   * says.
   */
  async scan(): Promise<void> {
    try {
      const names = this.#names();
      for (const [index, name] of names.entries()) {
        if (this.#known.get(name)?.print !== printOf(join(this.path, name))) this.#suspects.add(name);
        if (index % SLICE === SLICE - 1) await turn();
      }
      this.#suspectNames();
    } catch {
      this.#isStale = true;
    }
  }

  /** Writes a VM: into this file, or the one in which its id stands, else into one of its own. */
  put(vm: Vm, file: string | null = null): void {
    const path = file ?? this.fileOf(vm.id) ?? join(this.path, `vm-${vm.id}.yaml`);
    writeWhole(path, formatVm(vm));
    this.#suspects.add(basename(path));
  }

  /** Removes every file in which a VM of this id stands. */
  remove(id: number): void {
    for (const [name, { file }] of this.#known) {
      if (file?.vm.id !== id) continue;
      removeWhole(file.file);
      this.#suspects.add(name);
    }
  }

  /** The file in which a VM stands, or null. */
  fileOf(id: number): string | null {
    for (const { file } of this.#known.values()) if (file?.vm.id === id) return file.file;
    return null;
  }

  /**
   * Calls back when something may have changed: at once by inotify, and every two seconds for what that
   * misses.
   */
  watch(onChange: () => void): void {
    let last = this.#fingerprint();
    this.#follow(onChange);
    this.#poll = setInterval(() => {
      const now = this.#fingerprint();
      if (now === last) return;
      // Another directory stands in its place: it has a watch of its own.
      if (now.split(" ")[0] !== last.split(" ")[0]) {
        this.#isStale = true;
        this.#follow(onChange);
      } else this.#suspectNames();
      last = now;
      if (this.#isStale || this.#suspects.size > 0) onChange();
    }, POLL_MS);
  }

  #follow(onChange: () => void): void {
    this.#watcher?.close();
    this.#watcher = null;
    try {
      const watcher = watch(this.path, (_, name) => {
        if (name === null) this.#isStale = true;
        else if (NAME.test(name)) this.#suspects.add(name);
        // What links lead through may have changed.
        else if (this.#hasLinks()) this.#isStale = true;
        else return;
        onChange();
      });
      this.#watcher = watcher;
      watcher.on("error", () => {
        watcher.close();
        if (this.#watcher === watcher) this.#watcher = null;
      });
    } catch {
      // Not there: until it is, each round looks at all of it.
    }
  }

  close(): void {
    this.#watcher?.close();
    this.#watcher = null;
    if (this.#poll !== null) clearInterval(this.#poll);
  }

  #hasLinks(): boolean {
    const isLink = (name: string): boolean =>
      lstatSync(join(this.path, name), { throwIfNoEntry: false })?.isSymbolicLink() === true;
    return this.#names().some(isLink);
  }

  #fingerprint(): string {
    try {
      const { mtimeMs, ino } = statSync(this.path);
      return `${ino} ${mtimeMs}`;
    } catch {
      return "gone";
    }
  }

  #names(): string[] {
    return readdirSync(this.path).filter(name => NAME.test(name));
  }

  #suspectAll(): void {
    for (const name of this.#names()) this.#suspects.add(name);
    for (const name of this.#known.keys()) this.#suspects.add(name);
    this.#isStale = false;
  }

  /** Suspects names that have come or gone. */
  #suspectNames(): void {
    try {
      const there = new Set(this.#names());
      for (const name of there) if (!this.#known.has(name)) this.#suspects.add(name);
      for (const name of this.#known.keys()) if (!there.has(name)) this.#suspects.add(name);
    } catch {
      this.#isStale = true;
    }
  }

  #readFile(name: string): void {
    const path = join(this.path, name);
    const before = this.#known.get(name);
    try {
      const print = printOf(path);
      if (print !== "" && before?.print === print) return;
      const { text, modifiedMs } = this.#textOf(path);
      const isSettled = Math.abs(Date.now() - modifiedMs) >= COARSE_MS;
      this.#known.set(name, {
        print: isSettled ? print : "",
        text,
        ...parsed(path, text, modifiedMs, before),
      });
    } catch (error) {
      // A link to nothing is a file that cannot be read.
      const isGone = lstatSync(path, { throwIfNoEntry: false }) === undefined;
      if (isGone) this.#known.delete(name);
      else {
        const problem = `${path}: ${(error as Error).message}`;
        this.#known.set(name, { print: "", text: null, file: before?.file ?? null, problem });
      }
    }
  }

  /**
   * Reads a regular file of this directory. Throws for anything else, without waiting for it or waking it up.
   */
  #textOf(path: string): { text: string; modifiedMs: number } {
    const isLink = lstatSync(path).isSymbolicLink();
    const folder = isLink ? realpathSync(this.path) : "";
    const target = isLink ? realpathSync(path) : path;
    if (isLink && !target.startsWith(`${folder}/`)) throw new Error(OUTSIDE);
    // A pipe would be waited for, and a device may do something when it is opened.
    checkKind(lstatSync(target));
    const file = openSync(target, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const stats = fstatSync(file);
      checkKind(stats);
      // Somebody may have put a link in the place of a folder meanwhile.
      if (isLink && !openedAt(file, target).startsWith(`${folder}/`)) throw new Error(OUTSIDE);
      if (stats.size > BYTES_MAX)
        throw new Error(`has ${stats.size} bytes; the limit for a VM file is ${BYTES_MAX}`);
      return { text: readFileSync(file, "utf8"), modifiedMs: stats.mtimeMs };
    } finally {
      closeSync(file);
    }
  }
}

const OUTSIDE = "is a symbolic link to a file outside this directory; copy the file here";

/** What a file says, as far as it is not known from before. */
function parsed(
  path: string,
  text: string,
  modifiedMs: number,
  before: Read | undefined,
): Pick<Read, "file" | "problem"> {
  if (before !== undefined && before.text === text) {
    const { file, problem } = before;
    // The same object as before, unless its time is another.
    const isSame = file === null || problem !== null || file.modifiedMs === modifiedMs;
    return { file: isSame ? file : { ...file, modifiedMs }, problem };
  }
  const { vm, errors } = parseVm(text, path);
  const problem = errors.length === 0 ? null : formatDiagnostic(errors[0]!);
  return { file: vm === null ? (before?.file ?? null) : { file: path, modifiedMs, vm }, problem };
}

interface Kind {
  isFile(): boolean;
  isDirectory(): boolean;
  isFIFO(): boolean;
  isSocket(): boolean;
}

/** Throws for what is no regular file. */
function checkKind(stats: Kind): void {
  if (stats.isFile()) return;
  const what = stats.isDirectory()
    ? "a folder"
    : stats.isFIFO()
      ? "a named pipe"
      : stats.isSocket()
        ? "a socket"
        : "a device";
  throw new Error(`is ${what}, not a regular file; expected a YAML file`);
}

/** Where an open file lies by now; where the system does not tell, where it was looked for. */
function openedAt(file: number, path: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${file}`);
  } catch {
    return path;
  }
}

/** What a file looks like from outside, of a link both ends; empty when it cannot be seen. */
function printOf(path: string): string {
  const lookOf = ({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string =>
    `${dev} ${ino} ${size} ${mtimeNs} ${ctimeNs}`;
  try {
    const stats = lstatSync(path, { bigint: true });
    const target = stats.isSymbolicLink() ? ` ${lookOf(statSync(path, { bigint: true }))}` : "";
    return lookOf(stats) + target;
  } catch {
    return "";
  }
}
