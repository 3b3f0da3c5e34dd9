/**
 * The tables of an intent, made in one thread and installed in another, between batches and in chunks, so
 * that no frame waits for a million routes: chunks go to the bank that frames do not use, and the last step
 * switches banks. Edits are installed the same way: VMs, each completely between two batches, and routes, a
 * few at a time.
 */
import {
  CapacityError,
  type Core,
  editVms,
  imageOf,
  isRebuilt,
  shapeOf,
  stepsToEditRoutes,
  type VmEdits,
} from "../core/index.ts";
import {
  EditableIntent,
  type Intent,
  type IntentChange,
  type IntentEdit,
  type Vm,
  type VmChange,
} from "../intent/index.ts";
import type { PortOfIntent, TableEdit, Tables, VmGroup } from "./thread-protocol.ts";

/** The intent in force, and its tables in a core that carries no traffic and mirrors the other core. */
export class IntentTables {
  readonly #core: Core;
  #intent: EditableIntent;

  constructor(core: Core, intent: Intent) {
    this.#core = core;
    this.#intent = new EditableIntent(intent);
  }

  get intent(): Intent {
    return this.#intent.intent;
  }

  /** Makes the tables of an intent anew. Throws CapacityError; then everything is as before. */
  install(intent: Intent): Tables {
    this.#core.install(intent);
    // The numbers of next hops are those of the intent again.
    this.#intent = new EditableIntent(intent);
    return this.#tables();
  }

  /**
   * Applies an edit. Returns how many VMs and routes changed, and the message for the other core: the edit if
   * it can be made there while frames pass; all tables if one has reached a limit or had to be rebuilt, for
   * which frames would wait; null if nothing changed. Throws EditError; then nothing has changed.
   */
  edit(edit: IntentEdit): { vms: number; routes: number; made: TableEdit | Tables | null } {
    const change = this.#intent.apply(edit);
    const [vms, routes] = [change.vms.length, change.routes.length / 3];
    return { vms, routes, made: vms + routes === 0 ? null : this.#make(change) };
  }

  #make(change: IntentChange): TableEdit | Tables {
    const core = this.#core;
    const edit = editOf(change, this.#intent);
    if (edit === null) return this.install(this.intent);
    const before = shapeOf(core);
    try {
      for (const _ of stepsToEdit(core, edit, () => {}));
    } catch (error) {
      if (!(error instanceof CapacityError)) throw error;
      return this.install(this.intent);
    }
    const after = shapeOf(core);
    if (after.isCrowded) return this.install(this.intent);
    return isRebuilt(before, after) ? this.#tables() : edit;
  }

  #tables(): Tables {
    const { uplink, vms } = this.intent;
    return {
      image: imageOf(this.#core),
      uplink: uplink.port,
      ports: [
        { name: uplink.port, ofport: uplink.ofport, mtu: uplink.mtu, isRouted: false },
        ...vms.map(portOf),
      ],
      mostLabels: this.#intent.mostLabels,
    };
  }
}

/**
 * Applies an edit to the tables in use, in steps between which frames may run; `onGroup` is called in the
 * step in which VMs changed. Throws CapacityError at a limit, after a part is done.
 */
export function* stepsToEdit(
  core: Core,
  { groups, routes }: TableEdit,
  onGroup: (group: VmGroup) => void,
): Generator<void, void> {
  for (const group of groups) {
    editVms(core, group.tables);
    onGroup(group);
    yield;
  }
  yield* stepsToEditRoutes(core, routes);
}

function portOf({ port, ofport, mtu, path }: Vm): PortOfIntent {
  return { name: port, ofport, mtu, isRouted: path === "l3" || path === "dual-l3" };
}

/** Entries that change between two batches without anybody noticing: some tens of microseconds. */
const TOGETHER = 256;
/** Entries of one VM that change between two batches; more of them are taken over as tables. */
const AT_ONCE = 1024;

/**
 * The table edits of a change of the intent; null: the tables must be rebuilt, because too much of it belongs
 * together.
 */
function editOf(
  { vms, nextHops, routes }: IntentChange,
  { trafficClass, mostLabels }: EditableIntent,
): TableEdit | null {
  const groups = groupsOf(vms);
  if (groups === null) return null;
  return { groups, routes: { trafficClass, nextHops, rows: routes }, mostLabels };
}

/** All VMs together when they are few, else one by one unless one gets what another has. */
function groupsOf(changes: readonly VmChange[]): VmGroup[] | null {
  if (changes.length === 0) return [];
  const all = groupOf(changes);
  if (entriesOf(all.tables) <= TOGETHER) return [all];
  const had = new Map<number | string, VmChange>();
  for (const change of changes) for (const claim of claimsOf(change.before)) had.set(claim, change);
  const depends = changes.some(change =>
    claimsOf(change.after).some(claim => (had.get(claim) ?? change) !== change),
  );
  if (depends) return null;
  const groups = changes.map(change => groupOf([change]));
  return groups.some(({ tables }) => entriesOf(tables) > AT_ONCE) ? null : groups;
}

function claimsOf(vm: Vm | null): (number | string)[] {
  return vm === null ? [] : [`port ${vm.port}`, `ofport ${vm.ofport}`, `mac ${vm.mac}`, ...vm.addresses];
}

const entriesOf = (edits: VmEdits): number =>
  edits.goneAddresses.length +
  edits.gonePorts.length +
  edits.changedPorts.length +
  edits.newPorts.length +
  edits.newAddresses.length;

/**
 * A VM that keeps its number and MAC keeps its port and common addresses; any other VM is removed and added.
 */
function groupOf(changes: readonly VmChange[]): VmGroup {
  const goneAddresses: number[] = [];
  const gonePorts: number[] = [];
  const changedPorts: Vm[] = [];
  const newPorts: Vm[] = [];
  const newAddresses: [number, number][] = [];
  for (const { before, after } of changes) {
    const isKept = before?.ofport === after?.ofport && before?.mac === after?.mac;
    const kept = isKept ? after!.addresses : [];
    const old = isKept ? before!.addresses : [];
    const [keptSet, oldSet] = [new Set(kept), new Set(old)];
    goneAddresses.push(...(before?.addresses ?? []).filter(address => !keptSet.has(address)));
    if (before !== null && !isKept) gonePorts.push(before.ofport);
    if (after === null) continue;
    if (!isKept) newPorts.push(after);
    else if (before!.path !== after.path || before!.mtu !== after.mtu) changedPorts.push(after);
    for (const address of after.addresses)
      if (!oldSet.has(address)) newAddresses.push([address, after.ofport]);
  }
  const ports = changes.flatMap(({ after }) => (after === null ? [] : [portOf(after)]));
  const names = new Set(ports.map(({ name }) => name));
  const gone = changes.flatMap(({ before }) =>
    before === null || names.has(before.port) ? [] : [before.port],
  );
  const edit = ({ ofport, mac, path, mtu }: Vm) => ({ ofport, mac, path, mtu });
  return {
    tables: {
      goneAddresses,
      gonePorts,
      changedPorts: changedPorts.map(edit),
      newPorts: newPorts.map(edit),
      newAddresses,
    },
    gone,
    ports,
  };
}
