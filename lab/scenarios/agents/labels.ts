/**
 * A prefix gets another label, which is an implicit withdraw (RFC 8277, section 2.4), and has two paths that
 * are best in turn. For every agent each of these is one changed flow: none removed, none added.
 */
import { Gobgp3 } from "../../../src/bgp/index.ts";
import { controlOf } from "../../control.ts";
import type { Lab } from "../../lab.ts";
import { until } from "../../machine.ts";
import { check, type Scenario } from "../scenario.ts";

const ADDRESS = "192.0.2.10";
const PREFIX = `${ADDRESS}/32`;

/** How an agent's audit log tells what was done to the flow of the prefix. */
interface Edit {
  readonly kind: "added" | "changed" | "deleted";
  readonly label: string | undefined;
}

function editsOf(lab: Lab, hypervisor: string, from: number): Edit[] {
  const lines = controlOf(lab).agent(hypervisor).audit().slice(from);
  return lines
    .filter(({ flow }) => flow !== undefined && /nw_dst=192\.0\.2\.10(?: |$)/.test(flow))
    .map(({ op, flow, before }) => ({
      kind: op === "delete" ? "deleted" : before === undefined ? "added" : "changed",
      label: /set_field:(\d+)->mpls_label/.exec(flow!)?.[1],
    }));
}

/** Does something, and waits until every agent has made one edit for it. */
async function oneEdit(lab: Lab, what: string, edit: Edit, act: () => Promise<void>): Promise<string> {
  const agents = [...controlOf(lab).agents];
  const before = new Map(agents.map(([name, agent]) => [name, agent.audit().length]));
  await act();
  for (const [name] of agents) {
    await until(`${name}: ${what}`, () => editsOf(lab, name, before.get(name)!).length > 0);
  }
  await controlOf(lab).inStep();
  for (const [name] of agents) {
    const edits = editsOf(lab, name, before.get(name)!);
    const [only] = edits;
    check(edits.length === 1, `${name}: ${what}: ${edits.length} flows written`);
    const isIt = only!.kind === edit.kind && (edit.kind === "deleted" || only!.label === edit.label);
    check(isIt, `${name}: ${what}: the flow was ${only!.kind}, label ${only!.label}`);
  }
  return `${what}: one flow ${edit.kind} at each of ${agents.length} hypervisors`;
}

export const labels: Scenario = {
  name: "agent-labels",
  title: "a label change and a change of the best path are one changed flow",
  async run(lab) {
    const control = controlOf(lab);
    const [border, other] = [new Gobgp3(control.border.api), new Gobgp3(control.router.api)];
    const reflector = new Gobgp3(control.reflector.api);
    const areBothKnown = async (): Promise<boolean> =>
      (await reflector.list()).filter(({ route }) => route.prefix === PREFIX).length === 2;
    const route = (label: number, { options }: { options: { address: string } }) => ({
      prefix: PREFIX,
      labels: [label],
      nextHop: options.address,
      originator: null,
    });
    const lines: string[] = [];
    const step = async (what: string, edit: Edit, act: () => Promise<void>): Promise<void> => {
      lines.push(await oneEdit(lab, what, edit, act));
    };
    try {
      await step("announced with label 1002", { kind: "added", label: "1002" }, () =>
        border.announce([route(1002, control.border)]),
      );
      await step("announced again with label 1003", { kind: "changed", label: "1003" }, () =>
        border.announce([route(1003, control.border)]),
      );
      // Of two paths the one with the lower router id is best: that of the border.
      await other.announce([route(1001, control.router)]);
      await until("the reflector has both paths", areBothKnown);
      await step("the best of two paths withdrawn", { kind: "changed", label: "1001" }, () =>
        border.withdraw([PREFIX]),
      );
      await step("a better path again", { kind: "changed", label: "1002" }, () =>
        border.announce([route(1002, control.border)]),
      );
      await other.withdraw([PREFIX]);
      await step("the last path withdrawn", { kind: "deleted", label: undefined }, () =>
        border.withdraw([PREFIX]),
      );
    } finally {
      await Promise.allSettled([border.withdraw([PREFIX]), other.withdraw([PREFIX])]);
      border.close();
      other.close();
      reflector.close();
    }
    return lines;
  },
};
