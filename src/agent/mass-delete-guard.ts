/**
 * Protects against a directory that is suddenly empty, unmounted or replaced: if nearly all VMs lose their
 * files at once without a request, they stay until their files are back or each is destroyed by request. It
 * has no file: after a restart it compares installed VMs with the directory.
 */
import type { Listing, VmFile } from "./vm-directory.ts";

/** Number of VMs that may always be removed at once. */
const HANDFUL = 3;
/** More removals than this for each VM that stays are not intended. */
const GONE_PER_LEFT = 10;

export class MassDeleteGuard {
  readonly #isOff: boolean;
  /** VMs that stay without a file, as it last was; null: their files were never read. */
  readonly #held = new Map<number, VmFile | null>();
  /** VMs whose removal was requested. */
  readonly #released = new Set<number>();

  /** `isOff`: nothing is kept. */
  constructor(isOff: boolean) {
    this.#isOff = isOff;
  }

  /** How many VMs stay without a file. */
  get count(): number {
    return this.#held.size;
  }

  /** The removal of a VM was requested. */
  release(id: number): void {
    this.#released.add(id);
    this.#held.delete(id);
  }

  isHeld(id: number): boolean {
    return this.#held.has(id);
  }

  isReleased(id: number): boolean {
    return this.#released.has(id);
  }

  /**
   * Returns the listing with the files of VMs that stay; those without a known file count as hidden.
   * `owners`: installed VMs; `isExempt`: whether a VM needs no file.
   */
  keep(
    listing: Listing,
    before: Listing | null,
    owners: readonly number[],
    isExempt: (id: number) => boolean,
  ): Listing {
    if (this.#isOff) return listing;
    const ids = new Set(listing.vms.map(({ vm }) => vm.id));
    for (const id of ids) {
      this.#held.delete(id);
      this.#released.delete(id);
    }
    const known = new Map((before?.vms ?? []).map(file => [file.vm.id, file]));
    const there = new Set([...owners, ...known.keys()]);
    const gone = [...there].filter(id => !ids.has(id) && !isExempt(id) && !this.#released.has(id));
    const left = [...there].filter(id => ids.has(id)).length;
    if (gone.length > HANDFUL && gone.length > GONE_PER_LEFT * left && listing.hiddenCount === 0)
      for (const id of gone) if (!this.#held.has(id)) this.#held.set(id, known.get(id) ?? null);
    if (this.#held.size === 0) return listing;
    const files = [...this.#held.values()].filter(file => file !== null);
    const hiddenCount = listing.hiddenCount + this.#held.size - files.length;
    return { ...listing, vms: [...listing.vms, ...files], hiddenCount };
  }
}
