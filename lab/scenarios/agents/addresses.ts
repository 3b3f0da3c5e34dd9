/**
 * A VM is destroyed and another VM requests its address at once. On the same hypervisor the address is in
 * quarantine; two hypervisors that announce the same /32 both report a duplicate address.
 */
import { controlOf } from "../../control.ts";
import { until } from "../../machine.ts";
import { SPARE_OFPORT, SPARE_PORT, type Vm } from "../../plan.ts";
import { check, type Scenario } from "../scenario.ts";

const KNOWN_MS = 20_000;

export const addresses: Scenario = {
  name: "agent-addresses",
  title: "an address in quarantine is refused to another VM; one that two hypervisors announce is reported",
  async run(lab) {
    const control = controlOf(lab);
    const vm = lab.vm("vm12");
    const prefix = `${vm.address}/32`;
    const [here, there] = [control.agent("hv1"), control.agent("hv2")];
    const port = { port: SPARE_PORT, ofport: SPARE_OFPORT };
    const heir: Vm = { ...vm, ...port, id: 99, name: "heir", mac: "52:54:00:00:00:99" };
    here.take(vm);
    await until(`${prefix} is withdrawn`, async () => (await control.bird.labels(prefix)) === null);
    here.drop(heir);
    await until("the heir is refused", async () => {
      const { refused, quarantine } = await here.status();
      const isKept = quarantine.some(({ address, owner }) => address === vm.address && owner === vm.id);
      return isKept && refused.some(({ id, code }) => id === heir.id && code === "quarantine");
    });
    here.take(heir);
    await until("nothing is refused any more", async () => (await here.status()).refused.length === 0);
    const asked = await here.ask("PUT", `/v1/vms/${heir.id}`, {
      ...{ id: heir.id, name: heir.name, ...port, mac: heir.mac, addresses: [heir.address], path: "l3" },
    });
    check(asked.status === 409 && /quarantine/.test(asked.text), `PUT: ${asked.status} ${asked.text}`);
    check((await control.bird.labels(prefix)) === null, `${prefix} is announced from quarantine`);
    // Another hypervisor knows nothing of the quarantine; and the VM comes back to its own.
    there.drop(heir);
    await until(`${prefix} is announced by hv2`, async () => (await control.bird.labels(prefix)) === "1002");
    here.drop(vm);
    const owners: string[] = [];
    await until(
      `somebody reports that ${prefix} has two owners`,
      async () => {
        for (const [name, agent] of control.agents) {
          const { doubleOwners } = await agent.status();
          if (doubleOwners.some(double => double.prefix === prefix)) owners.push(name);
        }
        return owners.length > 0;
      },
      KNOWN_MS,
    );
    there.take(heir);
    await until("nobody has two owners any more", async () => {
      const statuses = await Promise.all([...control.agents.values()].map(agent => agent.status()));
      return statuses.every(({ doubleOwners }) => doubleOwners.length === 0);
    });
    await until(`${prefix} is hv1's again`, async () => (await control.bird.labels(prefix)) === "1001");
    return [
      `${prefix} of ${vm.name}, destroyed: refused to VM ${heir.id} on hv1 as a file and by PUT (409)`,
      `${prefix} announced by hv1 and hv2: reported by ${owners.join(", ")}`,
    ];
  },
};
