/**
 * Leaves and spines hold only labels: their tables stay identical, flow for flow, when there are many more
 * VMs.
 */
import type { Lab } from "../lab.ts";
import { HYPERVISORS, type Vm, vmOf } from "../plan.ts";
import { check, type Scenario } from "./scenario.ts";

const MORE = 60;
const SWITCHES = ["leaf1", "leaf2", "spine1", "spine2"];
/** A row is for a label, or for all that has none. */
const ROW = /^(?:cookie=0x0, table=0, )?priority=\d+(?:,mpls(?:,mpls_label=\d+)?|,in_port=\d+)? actions=/;

const rowsOf = async (lab: Lab): Promise<Map<string, string[]>> =>
  new Map(
    await Promise.all(
      SWITCHES.map(async name => {
        const flows = await lab.fabric.get(name)!.flows();
        return [name, flows.map(({ text }) => text).sort()] as const;
      }),
    ),
  );

/** VMs that are only announced: numbers that no other has, no namespace behind them. */
function more(): Vm[] {
  return Array.from({ length: MORE }, (_, index) => {
    const hv = HYPERVISORS[index % HYPERVISORS.length]!;
    const id = 1000 + index;
    const octet = 100 + index;
    const mac = `52:54:00:00:01:${octet.toString(16).padStart(2, "0")}`;
    const place = { port: `vm${id}`, ofport: id, homeOfport: id };
    return { ...vmOf(hv.number, 9, "l3"), ...place, id, name: `vm${id}`, mac, address: `203.0.113.${octet}` };
  });
}

export const labelsOnly: Scenario = {
  name: "labels-only",
  title: "leaves and spines hold labels only",
  async run(lab) {
    const before = await rowsOf(lab);
    const all = HYPERVISORS.map(({ name }) => name);
    const count = lab.vms.length;
    lab.vms.push(...more());
    try {
      await lab.apply(all);
      for (const vm of lab.vms.slice(count)) await lab.announceToRouter(vm);
      const after = await rowsOf(lab);
      for (const [name, rows] of after) {
        const wrong = rows.find(row => !ROW.test(row));
        check(wrong === undefined, `${name}: a row for something else than a label: ${wrong}`);
        check(rows.join() === before.get(name)!.join(), `${name}: its rows changed with the number of VMs`);
      }
      for (const name of SWITCHES.slice(0, 3)) {
        const learned = await lab.fabric.get(name)!.learned();
        const known = lab.vms.find(({ mac, path }) => path === "l3" && learned.includes(mac));
        check(known === undefined, `${name}: learned the MAC of ${known?.name}, an l3 VM`);
      }
      const sizes = [...after].map(([name, rows]) => `${name} ${rows.length}`).join(", ");
      return [
        `rows with ${count} VMs and with ${count + MORE}: the same (${sizes}); no MAC of an l3 VM learned`,
      ];
    } finally {
      for (const vm of lab.vms.splice(count)) await lab.announceToRouter({ ...vm, isAnnounced: false });
      await lab.apply(all);
    }
  },
};
