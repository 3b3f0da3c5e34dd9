/**
 * The watched directory: one YAML file for each VM, the only memory of which VMs there should be. Files come and go by
 * rename; whoever asks over HTTP has files written here too, so that a restart forgets nothing. A file that cannot be
 * read never removes a VM.
 */
import { type FSWatcher, readdirSync, readFileSync, statSync, watch } from "node:fs";
import { join } from "node:path";
import { formatProblem, parseVm, type Vm } from "../../intent/index.ts";
import { formatIpv4, formatMac } from "../../wire/index.ts";
import { removeWhole, writeWhole } from "./files.ts";

/** A VM and the file it stands in. */
export interface VmFile {
  readonly file: string;
  readonly modifiedMs: number;
  readonly vm: Vm;
}

/** What the directory holds. */
export interface Listing {
  readonly vms: readonly VmFile[];
  /** Files that cannot be read, with a line that says why. */
  readonly unreadable: ReadonlyMap<string, string>;
  /** How many of those were never read: any VM that no other file speaks of may stand in them. */
  readonly hiddenCount: number;
}

const NAME = /^[^.].*\.(?:ya?ml|json)$/;
const POLL_MS = 2000;

interface Read {
  readonly print: string;
  readonly modifiedMs: number;
  readonly vm: Vm | null;
  readonly problem: string | null;
}

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
  #watcher: FSWatcher | null = null;
  #poll: NodeJS.Timeout | null = null;

  constructor(path: string) {
    this.path = path;
  }

  /**
   * Reads what has changed since the last time. Throws when the directory itself cannot be read; an unreadable file
   * whose former text was good goes on standing for that.
   */
  read(): Listing {
    const names = readdirSync(this.path).filter(name => NAME.test(name));
    const there = new Set(names);
    for (const name of this.#known.keys()) if (!there.has(name)) this.#known.delete(name);
    for (const name of names) this.#readFile(name);
    const vms: VmFile[] = [];
    const unreadable = new Map<string, string>();
    let hiddenCount = 0;
    for (const [name, { vm, problem, modifiedMs }] of this.#known) {
      const file = join(this.path, name);
      if (vm !== null) vms.push({ file, modifiedMs, vm });
      if (problem !== null) unreadable.set(file, problem);
      if (vm === null) hiddenCount++;
    }
    return { vms, unreadable, hiddenCount };
  }

  /** Writes a VM: into the file in which its id stands, else into one of its own. */
  put(vm: Vm): void {
    const held = this.fileOf(vm.id);
    writeWhole(held ?? join(this.path, `vm-${vm.id}.yaml`), formatVm(vm));
  }

  /** Removes every file in which a VM of this id stands. */
  remove(id: number): void {
    for (let file = this.fileOf(id); file !== null; file = this.fileOf(id)) {
      removeWhole(file);
      this.read();
    }
  }

  /** The file in which a VM stands, or null. */
  fileOf(id: number): string | null {
    for (const [name, { vm }] of this.#known) if (vm?.id === id) return join(this.path, name);
    return null;
  }

  /** Calls back when something may have changed: at once by inotify, and every two seconds for what that misses. */
  watch(onChange: () => void): void {
    let last = this.#fingerprint();
    this.#watcher = watch(this.path, (_, name) => {
      if (name === null || NAME.test(name)) onChange();
    });
    this.#watcher.on("error", () => this.#watcher?.close());
    this.#poll = setInterval(() => {
      const now = this.#fingerprint();
      if (now === last) return;
      last = now;
      onChange();
    }, POLL_MS);
  }

  close(): void {
    this.#watcher?.close();
    if (this.#poll !== null) clearInterval(this.#poll);
  }

  #fingerprint(): string {
    try {
      const { mtimeMs, ino } = statSync(this.path);
      return `${ino} ${mtimeMs}`;
    } catch {
      return "gone";
    }
  }

  #readFile(name: string): void {
    const path = join(this.path, name);
    const before = this.#known.get(name);
    try {
      const { ino, size, mtimeMs } = statSync(path);
      const print = `${ino} ${size} ${mtimeMs}`;
      if (before?.print === print) return;
      const { vm, errors } = parseVm(readFileSync(path, "utf8"), path);
      const problem = errors.length === 0 ? null : formatProblem(errors[0]!);
      this.#known.set(name, { print, modifiedMs: mtimeMs, vm: vm ?? before?.vm ?? null, problem });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") this.#known.delete(name);
      else {
        const problem = `${path}: ${(error as Error).message}`;
        this.#known.set(name, { print: "", modifiedMs: 0, vm: before?.vm ?? null, problem });
      }
    }
  }
}
