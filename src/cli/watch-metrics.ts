/** The metrics of `slash32 watch` for Prometheus, at a loopback address or a unix socket: docs/watch.md. */
import { MetricSet, MetricsServer, parseMetricsAddress, refusalOf, UnixServer } from "../host/index.ts";
import type { CheckResult } from "./watch-check.ts";

const SECONDS = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300];
const METRICS_PATH = "/metrics";

export class WatchMetrics {
  readonly #set = new MetricSet("slash32_watch_");
  readonly #verdicts = this.#set.counter("verdicts_total", "Verdicts, by verdict", ["verdict"]);
  readonly #errors = this.#set.counter("errors_total", "Checks that failed, as when the bridge is away");
  readonly #equal = this.#set.gauge("equal", "1 if the last check gave equal");
  readonly #up = this.#set.gauge("bridge_up", "1 if the last check could read the bridge");
  readonly #differences = this.#set.gauge("differences", "Differences of the last verdict");
  readonly #checked = this.#set.gauge("last_check_timestamp_seconds", "Time of the last check");
  readonly #seconds = this.#set.histogram("proof_seconds", "Duration of proofs", [], SECONDS);

  checked(result: CheckResult): void {
    this.#checked.set(Date.now() / 1000);
    if (result.what === "error") {
      this.#errors.inc();
      this.#equal.set(0);
      if (result.isAway) this.#up.set(0);
      return;
    }
    this.#up.set(1);
    if (result.what === "same") return;
    this.#verdicts.inc({ verdict: result.verdict });
    this.#equal.set(result.verdict === "equal" ? 1 : 0);
    this.#differences.set(result.differences);
    this.#seconds.observe(result.seconds);
  }

  text(): Promise<string> {
    return this.#set.text();
  }
}

export interface Served {
  /** Where the metrics are. */
  readonly place: string;
  close(): unknown;
}

/** Serves the metrics at `PORT`, `HOST:PORT` or the path of a socket. Rejects with SocketError. */
export async function serveMetrics(where: string, metrics: WatchMetrics): Promise<Served> {
  if (!where.includes("/")) {
    const server = await MetricsServer.start(parseMetricsAddress(where), () => metrics.text());
    return { place: server.url, close: () => server.close() };
  }
  const server = await UnixServer.start({
    path: where,
    mostBodyBytes: 1024,
    isTaken: "another process uses this socket; end it, or choose another path",
    async handle({ method, path }) {
      if (path !== METRICS_PATH) throw refusalOf(method, path, []);
      if (method !== "GET") throw refusalOf(method, path, ["GET"]);
      return { status: 200, type: "text/plain; version=0.0.4; charset=utf-8", body: await metrics.text() };
    },
  });
  return { place: where, close: () => server.close() };
}
