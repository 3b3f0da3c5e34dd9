/** A routing daemon in memory, behind the interface of a real one: what it is told and asked is counted, and it can be lost. */
import { BgpError, type Daemon, type DaemonPath, type DaemonPeer } from "../../src/bgp/index.ts";
import type { FabricRoute } from "../../src/bgp/types.ts";

export const route = (prefix: string, label = 100, nextHop = "10.0.0.2"): FabricRoute => ({
  prefix,
  labels: [label],
  nextHop,
  originator: nextHop,
});

interface Watcher {
  onPaths(paths: readonly DaemonPath[]): void;
  onEnd(error: Error): void;
}

export class FakeDaemon implements Daemon {
  lossCount = 0;
  isDown = false;
  /** Best paths of others, by prefix. */
  readonly remote = new Map<string, FabricRoute>();
  readonly local = new Map<string, FabricRoute>();
  peerStates: DaemonPeer[] = [
    { address: "10.0.0.254", isUp: true, hasFamily: true, hasEnded: true, willEnd: true, receivedCount: 0 },
  ];
  /** What came over the interface, in order. */
  readonly calls: string[] = [];
  readonly #onBack: (() => void)[] = [];
  readonly #watchers = new Set<Watcher>();

  onBack(callback: () => void): void {
    this.#onBack.push(callback);
  }

  /** The daemon is there again, with nothing. */
  comeBack(): void {
    this.isDown = false;
    for (const callback of this.#onBack) callback();
  }

  watch(onPaths: Watcher["onPaths"], onEnd: Watcher["onEnd"]): () => void {
    const watcher = { onPaths, onEnd };
    setImmediate(() => {
      if (this.isDown) return onEnd(new BgpError("down"));
      this.#watchers.add(watcher);
      onPaths(this.#paths().filter(({ isBest }) => isBest));
    });
    return () => void this.#watchers.delete(watcher);
  }

  async announce(routes: readonly FabricRoute[]): Promise<void> {
    this.#check();
    for (const one of routes) {
      this.calls.push(`+${one.prefix} ${one.labels.join("/")}`);
      this.local.set(one.prefix, one);
    }
  }

  async withdraw(prefixes: readonly string[]): Promise<void> {
    this.#check();
    for (const prefix of prefixes) {
      this.calls.push(`-${prefix}`);
      this.local.delete(prefix);
    }
  }

  async ours(): Promise<readonly FabricRoute[]> {
    this.#check();
    this.calls.push("ours");
    return [...this.local.values()];
  }

  async list(): Promise<readonly DaemonPath[]> {
    this.#check();
    this.calls.push("list");
    return this.#paths();
  }

  async peers(): Promise<readonly DaemonPeer[]> {
    this.#check();
    return this.peerStates;
  }

  close(): void {}

  /** A route of another's that is new or changed, or null: it is withdrawn. */
  learn(prefix: string, learnt: FabricRoute | null): void {
    const last = learnt ?? this.remote.get(prefix)!;
    if (learnt === null) this.remote.delete(prefix);
    else this.remote.set(prefix, learnt);
    this.#tell([{ route: last, isLocal: false, isWithdrawn: learnt === null, isBest: false }]);
  }

  /** A path of ours becomes the best. */
  tellLocal(one: FabricRoute): void {
    this.#tell([{ route: one, isLocal: true, isWithdrawn: false, isBest: false }]);
  }

  /** The daemon dies; what it held is gone. */
  crash(): void {
    this.isDown = true;
    this.lossCount++;
    this.local.clear();
    this.remote.clear();
    for (const { onEnd } of [...this.#watchers]) onEnd(new BgpError("down"));
    this.#watchers.clear();
  }

  #tell(paths: readonly DaemonPath[]): void {
    for (const { onPaths } of this.#watchers) onPaths(paths);
  }

  #check(): void {
    if (this.isDown) throw new BgpError("down");
  }

  #paths(): DaemonPath[] {
    const ours = [...this.local.values()].map(one => ({
      route: one,
      isLocal: true,
      isWithdrawn: false,
      isBest: true,
    }));
    const theirs = [...this.remote.values()].map(one => ({
      route: one,
      isLocal: false,
      isWithdrawn: false,
      isBest: !this.local.has(one.prefix),
    }));
    return [...ours, ...theirs];
  }
}
