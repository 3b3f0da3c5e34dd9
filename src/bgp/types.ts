/** The types that agent and routing daemon share: prefixes, labels, next hops. */

/** A route of the fabric, such as the /32 of a VM, with its label stack and next hop. */
export interface FabricRoute {
  /** As `203.0.113.7/32`. */
  readonly prefix: string;
  /** Outermost first; empty for plain unicast. */
  readonly labels: readonly number[];
  /** IPv4 address of the next hop. */
  readonly nextHop: string;
  /** The router that originated it; null: unknown. */
  readonly originator: string | null;
}

/** A change of the best path of a prefix. */
export type RouteChange =
  | { readonly type: "best"; readonly route: FabricRoute }
  | { readonly type: "gone"; readonly prefix: string };

/** Where routes come from. */
export interface RouteSource {
  /**
   * Calls back with batches of changes, the whole table first. Known routes stay over a loss, which `onLost`
   * reports once. `isComplete` comes with the batch that completes a table, at first and after a loss; that
   * batch has a `gone` for each known route that did not return. Ends with `close`.
   */
  watch(
    onChanges: (changes: readonly RouteChange[], isComplete: boolean) => void,
    onLost: (error: Error) => void,
  ): void;
  close(): Promise<void>;
}

/** The announcements of a daemon. */
export interface Announced {
  readonly ours: readonly FabricRoute[];
  /** Paths of other routers to the same prefixes: duplicate addresses, or VMs that are being migrated. */
  readonly contested: readonly FabricRoute[];
}
