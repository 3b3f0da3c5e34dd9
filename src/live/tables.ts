/**
 * The tables of an intent, made in one thread and taken over in another, between batches and in pieces, so that no frame
 * waits for a million routes: the pieces go to the bank that frames do not see, and the last step shows it to them.
 */
import { type Core, imageOf, stepsToAdopt } from "../core/index.ts";
import type { Intent } from "../intent/index.ts";
import type { Tables } from "./messages.ts";

/** Makes the tables of an intent with a core that carries no traffic. Throws CapacityError. */
export function tablesOf(core: Core, intent: Intent): Tables {
  core.install(intent);
  const { uplink, vms, routes } = intent;
  const isRouted = (path: string): boolean => path === "l3" || path === "dual-l3";
  return {
    image: imageOf(core),
    uplink: uplink.port,
    ports: [
      { name: uplink.port, ofport: uplink.ofport, mtu: uplink.mtu, isRouted: false },
      ...vms.map(({ port, ofport, mtu, path }) => ({ name: port, ofport, mtu, isRouted: isRouted(path) })),
    ],
    mostLabels: routes.nextHops.reduce((most, { labels }) => Math.max(most, labels.length), 0),
  };
}

/** Tables on their way into a core that carries traffic. */
export class Adoption {
  readonly #steps: Generator<void, void>;

  constructor(core: Core, tables: Tables) {
    this.#steps = stepsToAdopt(core, tables.image);
  }

  /** Does one piece of some tens of microseconds; true when that was the last. */
  step(): boolean {
    return this.#steps.next().done === true;
  }
}
