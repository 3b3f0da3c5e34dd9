/**
 * The watched directory, one YAML file per VM: the source of truth for the desired VMs. The HTTP API writes
 * files here, too. An unreadable file never removes a VM. Links are followed within the directory only,
 * because a user with write access may lack read access to the target. open(2), symlink(7), inode(7).
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
  type Stats,
  statSync,
  watch,
} from "node:fs";
import { basename, join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { formatDiagnostic } from "../errors/index.ts";
import { removeWhole, writeWhole } from "../host/index.ts";
import { parseVm, type Vm } from "../intent/index.ts";
import { formatIpv4, formatMac } from "../wire/index.ts";

/** A VM and the file that defines it. */
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
  /** How many of them were never read: they may define any VM that has no other file. */
  readonly hiddenCount: number;
}

const NAME = /^[^.].*\.(?:ya?ml|json)$/;
const POLL_MS = 2000;
const BYTES_MAX = 65_536;

interface Read {
  /** Its fingerprint by stat(2); empty: read it again in any case. */
  readonly print: string;
  /** Its text; null if unknown. */
  readonly text: string | null;
  readonly file: VmFile | null;
  readonly problem: string | null;
}

/**
 * Two writes within one tick of the file system's clock, which may be a second, have the same time, and
 * possibly the same size. A file that was changed this recently is read twice.
 */
const COARSE_MS = 2000;

/** How many files are examined, and how many read, before other work gets its turn. */
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
   * Reads the changed files: those with an event if the directory is watched, else those with another
   * fingerprint. Throws if the directory cannot be read. An unreadable file keeps its last valid VM.
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

  /** Reads files, some at a time, so that `read` has little left to do and reports the errors. */
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

  /** Finds files with another fingerprint, some at a time, for `read`. */
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

  /** Writes a VM: to this file, or to the one that defines its id, otherwise to a new one. */
  put(vm: Vm, file: string | null = null): void {
    const path = file ?? this.fileOf(vm.id) ?? join(this.path, `vm-${vm.id}.yaml`);
    writeWhole(path, formatVm(vm));
    this.#suspects.add(basename(path));
  }

  /** Removes every file that defines a VM with this id. */
  remove(id: number): void {
    for (const [name, { file }] of this.#known) {
      if (file?.vm.id !== id) continue;
      removeWhole(file.file);
      this.#suspects.add(name);
    }
  }

  /** The file that defines a VM, or null. */
  fileOf(id: number): string | null {
    for (const { file } of this.#known.values()) if (file?.vm.id === id) return file.file;
    return null;
  }

  /** Calls back when a file may have changed: by inotify, and every two seconds without an event. */
  watch(onChange: () => void): void {
    let last = this.#fingerprint();
    this.#follow(onChange);
    this.#poll = setInterval(() => {
      const now = this.#fingerprint();
      if (now === last) return;
      // Another directory has replaced it: that one has its own watch.
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
        // A directory on the way to the target of a link may have changed.
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
      // Missing: until it exists, each reconciliation examines all files.
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

  /** Marks names that were added or removed. */
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
      // A dangling link is an unreadable file.
      const isGone = lstatSync(path, { throwIfNoEntry: false }) === undefined;
      if (isGone) this.#known.delete(name);
      else {
        const problem = `${path}: ${(error as Error).message}`;
        this.#known.set(name, { print: "", text: null, file: before?.file ?? null, problem });
      }
    }
  }

  /** Reads a regular file of this directory. Throws for anything else, without opening it. */
  #textOf(path: string): { text: string; modifiedMs: number } {
    const isLink = lstatSync(path).isSymbolicLink();
    const folder = isLink ? realpathSync(this.path) : "";
    const target = isLink ? realpathSync(path) : path;
    if (isLink && !target.startsWith(`${folder}/`)) throw new Error(OUTSIDE);
    // Opening a pipe blocks, and opening a device may have an effect.
    checkKind(lstatSync(target));
    const file = openSync(target, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const stats = fstatSync(file);
      checkKind(stats);
      // A folder may have been replaced by a link meanwhile.
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

/** Reads and parses a file, unless it is unchanged. */
function parsed(
  path: string,
  text: string,
  modifiedMs: number,
  before: Read | undefined,
): Pick<Read, "file" | "problem"> {
  if (before !== undefined && before.text === text) {
    const { file, problem } = before;
    // The same object as before, unless its time differs.
    const isSame = file === null || problem !== null || file.modifiedMs === modifiedMs;
    return { file: isSame ? file : { ...file, modifiedMs }, problem };
  }
  const { vm, errors } = parseVm(text, path);
  const problem = errors.length === 0 ? null : formatDiagnostic(errors[0]!);
  return { file: vm === null ? (before?.file ?? null) : { file: path, modifiedMs, vm }, problem };
}

/** Throws unless it is a regular file. */
function checkKind(stats: Stats): void {
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

/** The current path of an open file; the given one if the system does not provide it. */
function openedAt(file: number, path: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${file}`);
  } catch {
    return path;
  }
}

/** The fingerprint of a file by stat(2), of a link both ends; empty if stat fails. */
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
