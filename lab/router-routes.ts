/**
 * The forwarding part of the lab's router: reads the routes that its gobgpd received over BGP, and writes
 * them into the namespace's routing table, each /32 by the link that the core's bridge turns into the label
 * of a hypervisor. It stands for zebra or an ASIC, and uses only the next hop of a route.
 */
import { BgpRoutes, Gobgp3 } from "../src/bgp/index.ts";
import type { Machine, Running } from "./machine.ts";
import { HYPERVISORS } from "./plan.ts";

/** Follows a gobgpd, and keeps the router's table in step. */
export class RouterRoutes {
  readonly #daemon: Gobgp3;
  readonly #source: BgpRoutes;
  readonly #writer: Running;

  constructor(machine: Machine, api: string) {
    // One process that takes a line at a time: a route is in a millisecond after it was told.
    this.#writer = machine.start("router", "router-ip", ["ip", "-force", "-batch", "-"], process.env, true);
    this.#writer.child.stdin?.on("error", () => undefined);
    this.#daemon = new Gobgp3(api);
    this.#source = new BgpRoutes(this.#daemon);
    this.#source.watch(
      changes => {
        for (const change of changes) {
          if (change.type === "gone") this.#write(`route del ${change.prefix} dev mpls0`);
          else this.#set(change.route.prefix, change.route.nextHop);
        }
      },
      () => undefined,
    );
  }

  async close(): Promise<void> {
    await this.#source.close();
    this.#daemon.close();
  }

  #set(prefix: string, address: string): void {
    const hypervisor = HYPERVISORS.find(hv => hv.address === address);
    if (hypervisor !== undefined) this.#write(`route replace ${prefix} via ${hypervisor.nextHop} dev mpls0`);
  }

  #write(line: string): void {
    this.#writer.child.stdin?.write(`${line}\n`);
  }
}
