/** Routes over BGP: a routing daemon, its routes, our announcements, and the MACs of next hops. */
export { type AnnouncingDaemon, BgpAnnouncer } from "./announcer.ts";
export { Gobgp3 } from "./gobgp3.ts";
export { type NextHopOptions, NextHops } from "./next-hops.ts";
export { BgpRoutes, isSameRoute, type SourceOptions } from "./received-routes.ts";
export {
  BgpError,
  type Daemon,
  type DaemonPath,
  type DaemonPeer,
  type RouteFamily,
} from "./routing-daemon.ts";
export type { FabricRoute, RouteChange, RouteSource } from "./types.ts";
