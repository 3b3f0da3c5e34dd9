/**
 * Requests of the HTTP API about VMs. Each is stored as a file of the directory and then reconciled, so that
 * a restart loses none; all are idempotent.
 */

import { UserError } from "../errors/index.ts";
import type { Path, Vm } from "../intent/index.ts";
import { formatIpv4, formatMac } from "../wire/index.ts";
import { claimsOf, isStep, jumpMessage, type RefusalCode } from "./admission.ts";
import type { Listed } from "./desired-vms.ts";
import type { Reconciler } from "./reconciler.ts";
import { formatVm, type VmDirectory } from "./vm-directory.ts";

/** Why a request was not done. */
export class RequestError extends UserError {
  override readonly name = "RequestError";
  readonly code: RefusalCode | "not-found" | "bad-request";

  constructor(code: RequestError["code"], message: string) {
    super(message);
    this.code = code;
  }
}

/** A VM as the API shows it. */
export interface VmView {
  readonly id: number;
  readonly name: string;
  readonly port: string;
  readonly ofport: number;
  readonly mac: string;
  readonly addresses: readonly string[];
  /** The current path; that of its file is in `wantedPath` if it differs. */
  readonly path: Path;
  readonly wantedPath?: Path;
  /** `in-step`: flows installed, and announced if its path is routed. */
  readonly state: "in-step" | "pending" | "refused";
  readonly reason?: string;
}

export interface VmRequestsOptions {
  readonly reconciler: Reconciler;
  readonly directory: VmDirectory;
  /** Resolves once switch and files were read. */
  readonly ready: () => Promise<void>;
  /** Resolves when the VM files are reconciled. */
  readonly reconcile: () => Promise<unknown>;
}

export class VmRequests {
  readonly #options: VmRequestsOptions;
  /** Claims of VMs that are being created, until they are reconciled. */
  readonly #coming = new Map<string, Vm>();

  constructor(options: VmRequestsOptions) {
    this.#options = options;
  }

  list(): VmView[] {
    return this.#options.reconciler.vms.listing.map(listed => this.#viewOf(listed));
  }

  /** Null: there is no VM of this id. */
  view(id: number): VmView | null {
    const listed = this.#options.reconciler.vms.listed(id);
    return listed === null ? null : this.#viewOf(listed);
  }

  /** Creates a VM. One that exists with the same settings is no error; with other settings it is. */
  async create(vm: Vm): Promise<VmView> {
    const { reconciler, ready, reconcile } = this.#options;
    await ready();
    const listed = reconciler.vms.listed(vm.id);
    if (listed !== null && formatVm({ ...listed.vm, path: vm.path }) !== formatVm(vm))
      throw new RequestError(
        "conflict",
        `VM ${vm.id} exists with other settings; DELETE /v1/vms/${vm.id} first`,
      );
    if (listed !== null && listed.vm.path !== vm.path)
      throw new RequestError(
        "conflict",
        `VM ${vm.id} is on path "${listed.vm.path}"; PUT /v1/vms/${vm.id}/path changes it`,
      );
    if (listed === null) {
      const refusal = reconciler.vms.wouldRefuse(vm);
      if (refusal !== null) throw new RequestError(refusal.code, refusal.message);
      await this.#add(vm);
    } else if (!reconciler.isInSync(vm.id)) {
      // A repeated request waits for the reconciliation of the first one.
      await reconcile();
    }
    return this.view(vm.id)!;
  }

  /** Stores a new VM and waits for its reconciliation; detects two requests for one claim. */
  async #add(vm: Vm): Promise<void> {
    const claims = claimsOf(vm);
    const text = formatVm(vm);
    for (const claim of claims) {
      const rival = this.#coming.get(claim);
      if (rival !== undefined && formatVm(rival) !== text)
        throw new RequestError("conflict", `${claim} is being assigned to VM ${rival.id} by another request`);
    }
    for (const claim of claims) this.#coming.set(claim, vm);
    try {
      this.#options.directory.put(vm);
      await this.#options.reconcile();
    } finally {
      for (const claim of claims) if (this.#coming.get(claim) === vm) this.#coming.delete(claim);
    }
  }

  /** Destroys a VM; one that does not exist is no error. */
  async destroy(id: number): Promise<void> {
    const { reconciler, directory, ready, reconcile } = this.#options;
    await ready();
    const listed = reconciler.vms.listed(id);
    if (listed === null && !reconciler.vms.isHeld(id)) return;
    if (listed !== null && listed.file === null) throw ofIntent(id);
    reconciler.vms.release(id);
    directory.remove(id);
    await reconcile();
  }

  /** Moves a VM by one step of a migration, forwards or back. */
  async setPath(id: number, path: Path): Promise<VmView> {
    const { reconciler, directory, ready, reconcile } = this.#options;
    await ready();
    const listed = reconciler.vms.listed(id);
    if (listed === null) throw notFound(id);
    if (listed.file === null) throw ofIntent(id);
    const from = reconciler.observed?.get(id)?.path ?? listed.vm.path;
    if (!isStep(from, path)) throw new RequestError("jump", jumpMessage(from, path));
    if (listed.vm.path !== path) {
      directory.put({ ...listed.vm, path }, listed.file);
      await reconcile();
    }
    return this.view(id)!;
  }

  #viewOf({ vm, file }: Listed): VmView {
    const { reconciler } = this.#options;
    const accepted = reconciler.desired.vms.get(vm.id);
    const refusal = reconciler.vms.refusals.find(({ id, file: of }) => id === vm.id && of === file);
    const path = accepted?.path ?? vm.path;
    return {
      id: vm.id,
      name: vm.name,
      port: vm.port,
      ofport: vm.ofport,
      mac: formatMac(vm.mac),
      addresses: vm.addresses.map(formatIpv4),
      path,
      ...(path === vm.path ? {} : { wantedPath: vm.path }),
      state: refusal !== undefined ? "refused" : reconciler.isInSync(vm.id) ? "in-step" : "pending",
      ...(refusal === undefined ? {} : { reason: refusal.message }),
    };
  }
}

export const notFound = (id: number): RequestError =>
  new RequestError("not-found", `VM ${id} does not exist`);

const ofIntent = (id: number): RequestError =>
  new RequestError(
    "conflict",
    `VM ${id} is defined in the intent file; change that file and restart the agent`,
  );
