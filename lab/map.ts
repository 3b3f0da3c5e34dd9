/** The lab as a drawing for a terminal. */
import type { Lab } from "./lab.ts";
import { CORE_LABEL, EDGE_ADDRESS, GATEWAY, HYPERVISORS } from "./plan.ts";

const CLOS = `
        edge ${EDGE_ADDRESS}
          │
        router ── gateway ${GATEWAY} of the layer-2 path
          │
        core   label ${CORE_LABEL}
        ┌─┴──────────┐
      spine1       spine2        labels only, Open vSwitch
        │ ╲        ╱ │
        │   ╲    ╱   │
        │     ╳      │
        │   ╱    ╲   │
      leaf1        leaf2         labels only, Open vSwitch
      ┌─┴──┐         │
     hv1  hv2       hv3
`;

/** The Clos, then a line for each hypervisor and its VMs. */
export function mapOf(lab: Lab): string {
  const lines = HYPERVISORS.map(({ name, label, leaf }) => {
    const vms = lab.vms.filter(({ hypervisor }) => hypervisor === name);
    const shown = vms.map(vm => `${vm.name} ${vm.address} ${vm.path}`).join(", ");
    return `  ${name}  ${lab.engine(name).name.padEnd(7)}  label ${label} at ${leaf}  ${shown}`;
  });
  return [CLOS, ...lines].join("\n");
}
