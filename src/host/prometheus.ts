/**
 * Metrics for Prometheus (text format 0.0.4): a set of metrics, and a server for one text on a loopback
 * address. Only this file uses prom-client, which it loads at first use: loading takes a tenth of a second,
 * and most commands have no metrics. Which metrics there are belongs to live and agent.
 * https://prometheus.io/docs/instrumenting/exposition_formats/
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createRequire } from "node:module";
import { type AddressInfo, isIP } from "node:net";
import { SocketError } from "./unix-http.ts";

type PromClient = typeof import("prom-client");
export type Counter = InstanceType<PromClient["Counter"]>;
export type Gauge = InstanceType<PromClient["Gauge"]>;
export type Histogram = InstanceType<PromClient["Histogram"]>;

const promClient = (): PromClient => createRequire(import.meta.url)("prom-client");

/** The metrics of one text, whose names all begin with `prefix`. */
export class MetricSet {
  readonly #client = promClient();
  readonly #registry = new this.#client.Registry();
  readonly #prefix: string;

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  counter(name: string, help: string, labels: readonly string[] = []): Counter {
    return new this.#client.Counter(this.#configuration(name, help, labels));
  }

  gauge(name: string, help: string, labels: readonly string[] = []): Gauge {
    return new this.#client.Gauge(this.#configuration(name, help, labels));
  }

  /** @param buckets upper bounds, in the metric's unit */
  histogram(name: string, help: string, labels: readonly string[], buckets: readonly number[]): Histogram {
    const configuration = { ...this.#configuration(name, help, labels), buckets: [...buckets] };
    return new this.#client.Histogram(configuration);
  }

  /** The text that Prometheus reads. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  #configuration(name: string, help: string, labels: readonly string[]) {
    return { name: `${this.#prefix}${name}`, help, labelNames: [...labels], registers: [this.#registry] };
  }
}

/** Where to listen. */
export interface MetricsAddress {
  readonly host: string;
  readonly port: number;
}

/** Parses `PORT` or `HOST:PORT`; HOST must be a loopback address. Throws SocketError. */
export function parseMetricsAddress(text: string): MetricsAddress {
  const [, host = "127.0.0.1", digits = ""] = /^(?:(.*):)?(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (digits === "" || port > 65535)
    throw new SocketError(`--metrics ${text}: expected PORT or HOST:PORT, as 9432 or 127.0.0.1:9432`);
  const bare = host === "localhost" ? "127.0.0.1" : host.replace(/^\[(.*)\]$/, "$1");
  const isLoopback = (isIP(bare) === 4 && bare.startsWith("127.")) || bare === "::1";
  if (!isLoopback)
    throw new SocketError(
      `--metrics ${text}: "${host}" is not a loopback address; expected 127.0.0.1, ::1 or localhost`,
    );
  return { host: bare, port };
}

export class MetricsServer {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** `http://127.0.0.1:9432/metrics`. */
  get url(): string {
    const { address, port, family } = this.#server.address() as AddressInfo;
    return `http://${family === "IPv6" ? `[${address}]` : address}:${port}/metrics`;
  }

  /** Starts to answer; `text` is called for each request. Throws SocketError if it cannot listen. */
  static async start({ host, port }: MetricsAddress, text: () => Promise<string>): Promise<MetricsServer> {
    // At the start and not at the first request, which must not keep the main thread busy.
    const type = promClient().Registry.PROMETHEUS_CONTENT_TYPE;
    const server = createServer((request, response) => void answer(request, response, type, text));
    await new Promise<void>((resolve, reject) => {
      server.once("error", ({ code }: NodeJS.ErrnoException) =>
        reject(new SocketError(`--metrics ${host}:${port}: cannot listen: ${code}`)),
      );
      server.listen(port, host, resolve);
    });
    // A connection that cannot be accepted (no file descriptor is left) must not end the process.
    server.on("error", () => undefined);
    return new MetricsServer(server);
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  type: string,
  text: () => Promise<string>,
): Promise<void> {
  if (request.url?.replace(/\?.*$/, "") !== "/metrics") {
    response.writeHead(404).end("there is /metrics\n");
    return;
  }
  if (request.method !== "GET" && request.method !== "HEAD") {
    response.writeHead(405, { allow: "GET, HEAD", connection: "close" }).end("expected GET or HEAD\n");
    return;
  }
  try {
    const body = await text();
    response.writeHead(200, { "content-type": type }).end(body);
  } catch (error) {
    response.writeHead(503).end(`${(error as Error).message}\n`);
  }
}
