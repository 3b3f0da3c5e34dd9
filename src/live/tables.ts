/**
 * The tables of an intent, made in one thread and taken over in another, between batches and in pieces, so that no frame
 * waits for a million routes: the pieces go to the bank that frames do not see, and the last step shows it to them. And the
 * same for what changes of them: VMs, each whole between two batches, and routes, a few at a time.
 */
import { type Core, imageOf, type VmEdits } from "../core/index.ts";
import type { EditableIntent, Intent, IntentChange, Vm, VmChange } from "../intent/index.ts";
import type { PortOfIntent, TableEdit, Tables, VmGroup } from "./messages.ts";

/** Makes the tables of an intent with a core that carries no traffic. Throws CapacityError. */
export function tablesOf(core: Core, intent: Intent): Tables {
  core.install(intent);
  return tablesIn(core, intent);
}

/** The tables that a core has, which are those of the intent. */
export function tablesIn(core: Core, intent: Intent): Tables {
  const { uplink, vms, routes } = intent;
  return {
    image: imageOf(core),
    uplink: uplink.port,
    ports: [
      { name: uplink.port, ofport: uplink.ofport, mtu: uplink.mtu, isRouted: false },
      ...vms.map(portOf),
    ],
    mostLabels: routes.nextHops.reduce((most, { labels }) => Math.max(most, labels.length), 0),
  };
}

function portOf({ port, ofport, mtu, path }: Vm): PortOfIntent {
  return { name: port, ofport, mtu, isRouted: path === "l3" || path === "dual-l3" };
}

/** Entries that change between two batches without anybody noticing: some tens of microseconds. */
const TOGETHER = 256;
/** Entries of one VM that change between two batches; more of them are taken over as tables. */
const AT_ONCE = 1024;

/** What an intent's change is for the tables; null: they are to be made anew, as too much of it belongs together. */
export function editOf(
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

/** A VM that keeps number and MAC keeps its port and the addresses that it has before and after; another is made anew. */
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
