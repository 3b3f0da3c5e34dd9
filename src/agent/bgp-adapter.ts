/**
 * Connects the agent with BGP: one gobgpd for routes in and announcements out, and the MACs of next hops. The
 * only file in which the two rooms meet.
 */

import { BgpAnnouncer, BgpError, BgpRoutes, type Daemon, Gobgp3, NextHops } from "../bgp/index.ts";
import { parseIpv4 } from "../wire/index.ts";
import type { Peers } from "./start-agent.ts";

/** Where routing daemon and next hops are; text as on the command line. */
export interface BgpSettings {
  /** As gobgpd's `--api-hosts` has it: `unix:///run/gobgpd/api.sock` or `127.0.0.1:50051`. */
  readonly gobgp: string;
  /** IPv4 address of this hypervisor, the next hop of what it announces. */
  readonly nextHop: string;
  /** Plain unicast (SAFI 1) in place of labelled unicast (SAFI 4). */
  readonly isUnicast: boolean;
  /** MAC of every next hop that is not in `macs`; undefined: from the kernel. */
  readonly gateway: string | undefined;
  /** Each as `10.0.0.1=02:00:00:00:00:fe`. */
  readonly macs: readonly string[];
}

/** Connects to a gobgpd, whether it answers yet or not. Throws BgpError for invalid settings. */
export function joinBgp({ gobgp, nextHop, isUnicast, gateway, macs }: BgpSettings): Peers {
  const address = parseIpv4(nextHop);
  if (address === null || address === 0)
    throw new BgpError(
      `--next-hop: "${nextHop}" is not an IPv4 address; expected this hypervisor's, such as 10.0.0.1`,
    );
  const table = new Map(macs.map(entryOf));
  const nextHops = new NextHops(gateway === undefined ? { table } : { table, gateway });
  const daemon = new Gobgp3(gobgp, isUnicast ? "unicast" : "labelled");
  const routes = new BgpRoutes(daemon);
  return {
    announcer: new BgpAnnouncer(daemon),
    routes,
    resolver: hop => nextHops.known(hop),
    onResolved(callback) {
      nextHops.onChange = callback;
    },
    ownNextHop: nextHop,
    isLabelled: !isUnicast,
    close() {
      nextHops.close();
      daemon.close();
    },
  };
}

/** The line of `agent doctor` about gobgpd: rejects unless a session is up and carries the family. */
export async function examineBgp({ gobgp, isUnicast }: BgpSettings): Promise<string> {
  const daemon = new Gobgp3(gobgp, isUnicast ? "unicast" : "labelled");
  try {
    return await sessionsOf(daemon, isUnicast ? "ipv4-unicast" : "ipv4-labelled-unicast");
  } catch (error) {
    // Doctor prints the address itself.
    throw new BgpError((error as Error).message.replace(`gobgpd at ${gobgp}: `, ""));
  } finally {
    daemon.close();
  }
}

/** `family`: as gobgpd's settings call it. */
async function sessionsOf(daemon: Daemon, family: string): Promise<string> {
  const peers = await daemon.peers();
  const down = peers.filter(({ isUp }) => !isUp).map(({ address }) => address);
  if (peers.length === 0) throw new BgpError("gobgpd has no peer; see docs/bgp.md for its settings");
  if (down.length === peers.length) throw new BgpError(`no session is up: ${down.join(", ")}`);
  const mute = peers.filter(({ isUp, hasFamily }) => isUp && !hasFamily).map(({ address }) => address);
  if (down.length + mute.length === peers.length)
    throw new BgpError(
      `${family} is not negotiated with ${mute.join(", ")}; add it as afi-safi-name on both sides`,
    );
  const without = mute.length === 0 ? "" : `, without ${family} ${mute.join(", ")}`;
  const missing = (down.length === 0 ? "" : ` (not ${down.join(", ")})`) + without;
  return `${peers.length - down.length} of ${peers.length} sessions up${missing}`;
}

function entryOf(text: string): readonly [string, string] {
  const [address = "", mac = "", ...rest] = text.split("=");
  if (mac === "" || rest.length > 0)
    throw new BgpError(
      `--next-hop-mac: "${text}" is not IP=MAC; expected for example 10.0.0.1=02:00:00:00:00:fe`,
    );
  return [address, mac];
}
