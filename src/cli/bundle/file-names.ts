/**
 * What the path of a file in a bundle tells: the bridge, the OpenFlow version, and the host. They are hints;
 * what a file holds decides (kinds.ts). The forms, as the collecting programs write them:
 *
 * - sos (sosreport/sos, sos/report/plugins/openvswitch.py and ovn_host.py): `sos_commands/PLUGIN/` and the
 *   command line, with `_` for each run of other characters than word characters, `-`, `.` and `/`, and `.`
 *   for `/` (_mangle_command): `ovs-ofctl_-O_OpenFlow13_dump-flows_br-int`, `ovs-vsctl_-t_5_list_interface`.
 *   A snap's program has a prefix: `openstack-hypervisor.ovs-ofctl_…`. insights-client uses the same form
 *   below `insights_commands/`.
 * - OpenShift must-gather, network_logs/ of gather_network_logs: `NODE_ovs_ofctl_dump_flows_br-int`, as the
 *   readers of its archives expect it; OVN-Kubernetes jobs of OpenShift CI:
 *   `NODE--POD--ovs_ofctl_dump_flows_br_int`, `…_dump_ports_br_int`, `…--ovs_dump` (ovs-vsctl show).
 *   must-gather itself stores the OVN databases; node archives of sos stand in it unpacked or as tarballs.
 * - ovs-save (utilities/ovs-save.in of Open vSwitch), which ovs-dbg's `ovs-offline collect-k8s` copies to
 *   restore_flows/: `br-int.flows.dump`, `br-int.groups.dump`. `ovs-offline collect-sos-ovs` copies the files
 *   of sos there, without their headers.
 * - antctl supportbundle (antrea, pkg/support/dump.go): `flows`, `groups`, `ovsports` in one folder.
 * - people: `br-int.flows`, `br-int-groups.txt`, `flows_br-int.txt`, a folder a bridge.
 */
import { basename, dirname } from "node:path";

export interface Hints {
  /** Null if the name has none. */
  readonly bridge: string | null;
  /** The folder of the host, and what stands before the command in the name of the file. */
  readonly host: string;
  /** N of OpenFlow 1.N. */
  readonly minor: number | null;
}

const COMMAND = /^(?:(.*?)(?:--|[._]))?(?:ovs[-_](?:ofctl|appctl|vsctl)[-_.]|ovs_dump$)/;
const SUBCOMMAND = /(?:dump[-_](?:flows|groups|ports[-_]desc|ports|table[-_]features|tables)|show)_(.+)$/;
const BEFORE = /^(.+?)[._-](?:flows|groups|ports|tables|show)$/;
const BEHIND = /^(?:flows|groups|ports|tables|show)[._-](.+)$/;
const ENDINGS = /(?:\.(?:txt|log|out|dump|text))+$/;
/** Options behind the subcommand. */
const OPTIONS = /^(?:--[a-z-]+_)+|_-.*$/g;

export function hintsOf(path: string): Hints {
  const name = basename(path).replace(ENDINGS, "");
  const command = COMMAND.exec(name);
  const bridge =
    command === null ? (BEFORE.exec(name)?.[1] ?? BEHIND.exec(name)?.[1]) : SUBCOMMAND.exec(name)?.[1];
  const folder = dirname(path).replace(/(?:^|\/)(?:sos_commands|insights_commands)(?:\/[^/]*)?$/, "");
  const host = [folder === "." ? "" : folder, command?.[1] ?? ""].filter(part => part !== "").join("/");
  const version = /OpenFlow1([0-5])/i.exec(name)?.[1];
  return {
    bridge: bridge?.replace(OPTIONS, "") ?? null,
    host,
    minor: version === undefined ? null : Number(version),
  };
}

/** Names that collectors write in different ways, as one. */
export const foldedName = (bridge: string): string => bridge.replace(/[^A-Za-z0-9.]+/g, "_");
