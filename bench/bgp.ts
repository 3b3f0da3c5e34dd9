/**
 * Rows on routes over BGP: labelled /32s announced at one gobgpd, received at another, beside a client of the
 * same daemon that only watches and counts. Both daemons run in a namespace of the lab's machine, which
 * removes them.
 */
import { routeOf } from "../lab/agent-rig.ts";
import { addRoutingNode, Speaker } from "../lab/daemons.ts";
import { type Machine, sleep, until } from "../lab/machine.ts";
import { BgpAnnouncer, BgpRoutes, type FabricRoute, Gobgp3 } from "../src/bgp/index.ts";
import type { Case, Effort, Section } from "./cases.ts";
import { alternate } from "./harness.ts";
import { routingCase, routingSection } from "./routing.ts";
import { watchBare } from "./yardstick-watch.ts";

const TITLE = "Routes over BGP";
const [HERE, THERE] = ["10.77.0.1", "10.77.0.2"];
const SESSION_MS = 60_000;
const TABLE_MS = 120_000;

const SIZES: Readonly<Record<Effort["name"], { routes: number; rounds: number; changes: number }>> = {
  smoke: { routes: 2000, rounds: 1, changes: 10 },
  short: { routes: 100_000, rounds: 1, changes: 100 },
  long: { routes: 100_000, rounds: 5, changes: 1000 },
};

/** Two daemons with a session, what announces at one, and what is watched at the other. */
class Pair {
  readonly announcer: BgpAnnouncer;
  readonly #far: Gobgp3;
  readonly #near: Gobgp3;
  readonly #api: string;

  private constructor(near: Speaker, far: Speaker) {
    this.#api = far.api;
    this.#near = new Gobgp3(near.api);
    this.#far = new Gobgp3(far.api);
    this.announcer = new BgpAnnouncer(this.#near);
  }

  static async start(machine: Machine): Promise<Pair> {
    await addRoutingNode(machine, [HERE!, THERE!]);
    const near = new Speaker(machine, { name: "near", address: HERE!, peers: [THERE!] });
    const far = new Speaker(machine, { name: "far", address: THERE!, peers: [HERE!] });
    await Promise.all([near.start(), far.start()]);
    const pair = new Pair(near, far);
    const isUp = async (): Promise<boolean> =>
      (await pair.#far.peers()).some(peer => peer.isUp && peer.hasEnded);
    await until("the session", isUp, SESSION_MS);
    return pair;
  }

  /** Milliseconds from announcing until our table has told them all. */
  async ours(routes: readonly FabricRoute[]): Promise<number> {
    const source = new BgpRoutes(this.#far);
    try {
      let left = routes.length;
      let isComplete = false;
      const seen = new Promise<void>((resolve, reject) => {
        source.watch((changes, isWhole) => {
          if (isComplete) left -= changes.length;
          isComplete ||= isWhole;
          if (left <= 0) resolve();
        }, reject);
      });
      await until("the table", () => isComplete, SESSION_MS);
      return await this.#timed(routes, seen);
    } finally {
      await source.close();
    }
  }

  /** The same for a client that does nothing else. */
  async bare(routes: readonly FabricRoute[]): Promise<number> {
    const { seen, stop } = watchBare(this.#api, routes.length);
    try {
      // Its stream is open once the daemon has answered something after it.
      await sleep(100);
      return await this.#timed(routes, seen);
    } finally {
      stop();
    }
  }

  async withdraw(routes: readonly FabricRoute[]): Promise<void> {
    await this.announcer.withdraw(routes.map(({ prefix }) => prefix));
    const isEmpty = async (): Promise<boolean> => (await this.#far.peers())[0]!.receivedCount === 0;
    await until("withdrawn", isEmpty, TABLE_MS);
  }

  close(): void {
    this.#near.close();
    this.#far.close();
  }

  async #timed(routes: readonly FabricRoute[], seen: Promise<void>): Promise<number> {
    const start = performance.now();
    await this.announcer.announce(routes);
    await seen;
    return performance.now() - start;
  }
}

interface Pairs {
  readonly name: string;
  readonly remark: string;
  readonly unit: "s" | "ms";
  readonly samples: ReadonlyMap<string, number[]>;
  readonly timesSlower: number;
}

function caseOf({ name, remark, unit, samples, timesSlower }: Pairs): Case {
  const what = `${name}, beside a client that only watches`;
  const target = { what, kind: "times slower at most", target: timesSlower } as const;
  const [ours, bare] = [samples.get("ours")!, samples.get("theirs")!];
  return routingCase({ name, remark, unit, samples: ours, bare, target });
}

async function casesOf(pair: Pair, sizes: (typeof SIZES)[Effort["name"]]): Promise<Case[]> {
  const many = Array.from({ length: sizes.routes }, (_, index) => routeOf(index, 100, HERE));
  const inAndOut = (who: "ours" | "bare") => async () => {
    const ms = await pair[who](many);
    await pair.withdraw(many);
    return ms / 1000;
  };
  const tables = await alternate(
    { ours: inAndOut("ours"), theirs: inAndOut("bare") },
    sizes.rounds,
    sizes.rounds > 1 ? 1 : 0,
  );
  let label = 100;
  const one = (who: "ours" | "bare") => () => pair[who]([routeOf(0, 100 + (label++ % 1000), HERE)]);
  const changes = await alternate({ ours: one("ours"), theirs: one("bare") }, sizes.changes, 5);
  return [
    caseOf({
      name: `${sizes.routes.toLocaleString("en")} labelled /32s from a peer`,
      remark: "from the first announced until the last is told",
      unit: "s",
      samples: tables,
      timesSlower: 1.2,
    }),
    caseOf({
      name: "one label changed at a peer",
      remark: "from announced to told, median",
      unit: "ms",
      samples: changes,
      timesSlower: 1.5,
    }),
  ];
}

const NOTES = [
  "Two gobgpd with a session between them, on one machine: most of the time is theirs.",
  "Announced over AddPathStream at the one, watched at the other by slash32 or the bare client, in turns.",
];

export function bgpRow(effort: Effort): Promise<Section> {
  return routingSection(TITLE, NOTES, async machine => {
    const pair = await Pair.start(machine);
    try {
      return await casesOf(pair, SIZES[effort.name]);
    } finally {
      pair.close();
    }
  });
}
