/**
 * GoBGP 3 over gRPC: the one file that knows its API. PROTO has the messages and fields of package apipb that
 * are used (gobgp.proto and attribute.proto of GoBGP 3.10). GoBGP 4 renames the service and types the NLRI:
 * it would be a file of its own. This file does not reconnect or cache routes.
 */

import { lstatSync } from "node:fs";
import {
  Client,
  connectivityState,
  credentials,
  type ServiceError,
  type StatusObject,
  status,
} from "@grpc/grpc-js";
import protobuf from "protobufjs";
import { parseIpv4 } from "../wire/index.ts";
import {
  BgpError,
  type Daemon,
  type DaemonPath,
  type DaemonPeer,
  type RouteFamily,
} from "./routing-daemon.ts";
import type { FabricRoute } from "./types.ts";

/** Any and Empty have other names here: protobuf does not encode names. */
export const PROTO = `
syntax = "proto3";
package apipb;
message Any { string type_url = 1; bytes value = 2; }
message Empty {}
message Family { uint32 afi = 1; uint32 safi = 2; }
message LabeledIPAddressPrefix { repeated uint32 labels = 1; uint32 prefix_len = 2; string prefix = 3; }
message IPAddressPrefix { uint32 prefix_len = 1; string prefix = 2; }
message OriginAttribute { uint32 origin = 1; }
message NextHopAttribute { string next_hop = 1; }
message OriginatorIdAttribute { string id = 1; }
message MpReachNLRIAttribute { Family family = 1; repeated string next_hops = 2; }
message Path {
  Any nlri = 1;
  repeated Any pattrs = 2;
  bool best = 4;
  bool is_withdraw = 5;
  Family family = 9;
  string source_id = 11;
  string neighbor_ip = 15;
}
message Destination { string prefix = 1; repeated Path paths = 2; }
message WatchEventRequest {
  message Filter { uint32 type = 1; bool init = 2; }
  message Table { repeated Filter filters = 1; }
  Table table = 2;
}
message WatchEventResponse {
  message TableEvent { repeated Path paths = 2; }
  TableEvent table = 3;
}
message AddPathStreamRequest { uint32 table_type = 1; repeated Path paths = 3; }
message ListPathRequest { uint32 table_type = 1; Family family = 3; }
message ListPathResponse { Destination destination = 1; }
message ListPeerRequest { string address = 1; }
message ListPeerResponse { Peer peer = 1; }
message MpGracefulRestartState { bool received = 2; bool end_of_rib_received = 4; }
message MpGracefulRestart { MpGracefulRestartState state = 2; }
message AfiSafiState { Family family = 1; uint64 received = 3; }
message AfiSafi { MpGracefulRestart mp_graceful_restart = 1; AfiSafiState state = 3; }
message PeerConf { string neighbor_address = 4; }
message PeerState { string neighbor_address = 5; uint32 session_state = 13; repeated Any remote_cap = 18; }
message MultiProtocolCapability { Family family = 1; }
message Peer { PeerConf conf = 2; PeerState state = 5; repeated AfiSafi afi_safis = 10; }
service GobgpApi {
  rpc WatchEvent(WatchEventRequest) returns (stream WatchEventResponse);
  rpc ListPath(ListPathRequest) returns (stream ListPathResponse);
  rpc ListPeer(ListPeerRequest) returns (stream ListPeerResponse);
  rpc AddPathStream(stream AddPathStreamRequest) returns (Empty);
}
`;

interface AnyMessage {
  readonly type_url: string;
  readonly value: Uint8Array;
}

interface PathMessage {
  readonly nlri: AnyMessage | null;
  readonly pattrs: readonly AnyMessage[];
  readonly best?: boolean;
  readonly is_withdraw: boolean;
  readonly family: { readonly afi: number; readonly safi: number };
  readonly source_id?: string;
  readonly neighbor_ip?: string;
}

interface TableEvent {
  readonly table: { readonly paths: readonly PathMessage[] } | null;
}

interface GracefulState {
  /** The peer's capability of graceful restart names the family. */
  readonly received: boolean;
  readonly end_of_rib_received: boolean;
}

interface PeerMessage {
  readonly conf: { readonly neighbor_address: string } | null;
  readonly state: {
    readonly neighbor_address: string;
    readonly session_state: number;
    readonly remote_cap: readonly AnyMessage[];
  } | null;
  readonly afi_safis: readonly {
    readonly mp_graceful_restart: { readonly state: GracefulState | null } | null;
    readonly state: { readonly family: { readonly safi: number } | null; readonly received: unknown } | null;
  }[];
}

const { root } = protobuf.parse(PROTO, { keepCase: true });
const typeOf = (name: string): protobuf.Type => root.lookupType(`apipb.${name}`);
const encode = (type: protobuf.Type, message: object): Buffer =>
  Buffer.from(type.encode(message as protobuf.Message).finish());

const SERVICE = "/apipb.GobgpApi/";
const TYPE_URL = "type.googleapis.com/apipb.";
const AFI_IP = 1;
const ESTABLISHED = 6;
const FILTER_BEST = 0;
const TABLE_GLOBAL = 0;
/** The request of a watch: the current best paths, then their changes. */
const BEST_PATHS = { table: { filters: [{ type: FILTER_BEST, init: true }] } };
const ORIGIN_IGP = 0;
/** Paths per message, which the daemon handles as a unit: large is fast, small lets other calls in. */
const PATHS_PER_MESSAGE = 1000;
/** Paths per call. Each has its own deadline: a table may have any size, and a hang is detected. */
const PATHS_PER_CALL = 10_000;
/** Deadlines of a table or a full call, and of a request. The daemon answers no one during updates. */
const TABLE_MS = 120_000;
const QUESTION_MS = 10_000;
/** How the daemon names the neighbour of a path that came over its API. */
const NO_NEIGHBOUR = new Set(["<nil>", ""]);

const labelled = "LabeledIPAddressPrefix";
const unicast = "IPAddressPrefix";
/** By family: its SAFI, and the message of a prefix. */
const FAMILIES = {
  labelled: { safi: 4, nlriUrl: TYPE_URL + labelled, nlri: typeOf(labelled) },
  unicast: { safi: 1, nlriUrl: TYPE_URL + unicast, nlri: typeOf(unicast) },
} as const;
const MULTI_PROTOCOL = typeOf("MultiProtocolCapability");

const CHANNEL = {
  // The whole table is one message; the daemon itself sends at most 256 MiB.
  "grpc.max_receive_message_length": -1,
  "grpc.max_send_message_length": -1,
  "grpc.initial_reconnect_backoff_ms": 50,
  "grpc.min_reconnect_backoff_ms": 50,
  "grpc.max_reconnect_backoff_ms": 1000,
  // No keepalive: the daemon ends connections that ping more often than every five minutes (too_many_pings).
};

/** The text that gRPC puts around the reason. */
const NOISE =
  /^No connection established\. Last error: (?:Error: )?|\.? ?Resolution note:.*$|,remote_addr=\S+/g;

/** The file of an address that is a unix socket; null: it is not. */
const fileOf = (address: string): string | null => /^unix:(?:\/\/)?(\/[^/].*)$/.exec(address)?.[1] ?? null;

const LEFT_BEHIND =
  "no process listens on the socket; a killed gobgpd has left it, and the next one cannot start";

/** A problem of gobgpd's socket with its remedy; null: none found. */
function socketProblem(address: string, details: string): string | null {
  const path = fileOf(address);
  const code = /connect (E[A-Z]+)/.exec(details)?.[1];
  if (path === null || code === undefined) return null;
  if (code === "EACCES") return "this process may not open the socket: another user owns it";
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined)
    return `the socket does not exist; start gobgpd with --api-hosts ${address}, or correct the address`;
  if (!stats.isSocket()) return "this is not a socket";
  if (code !== "ECONNREFUSED") return null;
  return `${LEFT_BEHIND} until you run rm ${path}`;
}

/** The gRPC error as one line. */
function errorOf(address: string, what: string, error: Partial<StatusObject> | null): BgpError {
  const problem = socketProblem(address, error?.details ?? "");
  if (problem !== null) return new BgpError(`gobgpd at ${address}: ${problem}`);
  const code = error?.code === undefined ? "" : ` (${status[error.code]})`;
  const why = (error?.details || "the stream ended").replace(NOISE, "").trim();
  return new BgpError(`gobgpd at ${address}: ${what}: ${why}${code}`);
}

/** A connection to one gobgpd, opened by the first request and again after a loss. */
export class Gobgp3 implements Daemon {
  readonly #client: Client;
  readonly #address: string;
  readonly #family: RouteFamily;
  readonly #familyMessage: { afi: number; safi: number };
  #lossCount = 0;
  readonly #onBack: (() => void)[] = [];

  /** @param address as gobgpd's `--api-hosts` has it: `unix:///run/gobgpd.sock` or `127.0.0.1:50051` */
  constructor(address: string, family: RouteFamily = "labelled") {
    if (address.startsWith("/") || (address.startsWith("unix:") && fileOf(address) === null))
      throw new BgpError(
        `gobgpd at "${address}": expected unix:///run/gobgpd/api.sock or HOST:PORT, ` +
          "as its --api-hosts has it",
      );
    this.#address = address;
    this.#family = family;
    this.#familyMessage = { afi: AFI_IP, safi: FAMILIES[family].safi };
    this.#client = new Client(address, credentials.createInsecure(), CHANNEL);
    this.#follow();
  }

  get lossCount(): number {
    return this.#lossCount;
  }

  watch(onPaths: (paths: readonly DaemonPath[]) => void, onEnd: (error: Error) => void): () => void {
    return this.#watchBest(paths => onPaths(this.#pathsOf(paths)), onEnd);
  }

  async announce(routes: readonly FabricRoute[]): Promise<void> {
    await this.#put(routes.map(route => this.#messageOf(route, false)));
  }

  async withdraw(prefixes: readonly string[]): Promise<void> {
    const nothing = { labels: [], nextHop: "0.0.0.0", originator: null };
    await this.#put(prefixes.map(prefix => this.#messageOf({ prefix, ...nothing }, true)));
  }

  /** A path of ours is always the best of its prefix: the first answer of a watch has all of them. */
  async ours(): Promise<readonly FabricRoute[]> {
    // A daemon that has not read its configuration has no peers, and sends nothing to a watch.
    if ((await this.peers()).length === 0)
      return (await this.list()).filter(({ isLocal }) => isLocal).map(({ route }) => route);
    return new Promise((resolve, reject) => {
      const stop = this.#watchBest(
        paths => {
          stop();
          const local = paths.filter(path => isLocalPath(path) && !path.is_withdraw);
          resolve(this.#pathsOf(local).map(({ route }) => route));
        },
        reject,
        TABLE_MS,
      );
    });
  }

  async list(): Promise<readonly DaemonPath[]> {
    const paths: DaemonPath[] = [];
    const request = { table_type: TABLE_GLOBAL, family: this.#familyMessage };
    const take = ({ destination }: { destination: { paths: PathMessage[] } }): void => {
      for (const path of this.#pathsOf(destination.paths)) paths.push(path);
    };
    await this.#collect("ListPath", request, take, TABLE_MS);
    return paths;
  }

  async peers(): Promise<readonly DaemonPeer[]> {
    const peers: DaemonPeer[] = [];
    const take = ({ peer }: { peer: PeerMessage }): void => void peers.push(this.#peerOf(peer));
    await this.#collect("ListPeer", {}, take, QUESTION_MS);
    return peers;
  }

  close(): void {
    this.#client.close();
  }

  onBack(callback: () => void): void {
    this.#onBack.push(callback);
  }

  /** Counts losses of the connection: the only sign that the daemon may have restarted. */
  #follow(): void {
    const channel = this.#client.getChannel();
    // Reconnect without waiting for the next request.
    const before = channel.getConnectivityState(this.#lossCount > 0);
    if (before === connectivityState.SHUTDOWN) return;
    channel.watchConnectivityState(before, Number.POSITIVE_INFINITY, error => {
      if (error !== undefined && error !== null) return;
      if (before === connectivityState.READY) this.#lossCount++;
      const isBack = this.#lossCount > 0 && channel.getConnectivityState(false) === connectivityState.READY;
      if (isBack) for (const callback of this.#onBack) callback();
      this.#follow();
    });
  }

  /** Whether a capability of a peer is the announced address family (RFC 4760, section 8). */
  #isFamily({ type_url, value }: AnyMessage): boolean {
    if (type_url !== `${TYPE_URL}MultiProtocolCapability`) return false;
    const { family } = MULTI_PROTOCOL.decode(value) as unknown as {
      family: { afi: number; safi: number } | null;
    };
    return family?.afi === AFI_IP && family.safi === this.#familyMessage.safi;
  }

  #peerOf({ conf, state, afi_safis }: PeerMessage): DaemonPeer {
    const family = afi_safis.find(one => one.state?.family?.safi === this.#familyMessage.safi);
    const graceful = family?.mp_graceful_restart?.state;
    return {
      address: state?.neighbor_address || conf?.neighbor_address || "",
      isUp: state?.session_state === ESTABLISHED,
      hasFamily: family !== undefined && (state?.remote_cap ?? []).some(one => this.#isFamily(one)),
      hasEnded: graceful?.end_of_rib_received === true,
      willEnd: graceful?.received === true,
      receivedCount: Number(family?.state?.received ?? 0),
    };
  }

  #pathsOf(messages: readonly PathMessage[]): DaemonPath[] {
    const paths: DaemonPath[] = [];
    for (const message of messages) {
      // A watch is for all families of the daemon at once.
      if (message.family.afi !== AFI_IP || message.family.safi !== this.#familyMessage.safi) continue;
      paths.push(pathOf(message, this.#family));
    }
    return paths;
  }

  #messageOf({ prefix, labels, nextHop }: FabricRoute, isWithdraw: boolean): object {
    const [address, length] = splitPrefix(prefix);
    if (!isWithdraw && this.#family === "labelled" && labels.length === 0)
      throw new BgpError(`${prefix}: labelled unicast needs a label (RFC 8277, section 2)`);
    if (!isWithdraw && this.#family === "unicast" && labels.length > 0)
      throw new BgpError(`${prefix}: plain unicast carries no label, expected none of ${labels.join("/")}`);
    if (parseIpv4(nextHop) === null)
      throw new BgpError(`${prefix}: next hop "${nextHop}" is not an IPv4 address`);
    // Receivers ignore the label of a withdrawal (RFC 8277, section 2.4).
    const { nlri: type, nlriUrl } = FAMILIES[this.#family];
    const nlri = encode(type, { labels, prefix_len: length, prefix: address });
    const attributes = [
      any("OriginAttribute", { origin: ORIGIN_IGP }),
      any("NextHopAttribute", { next_hop: nextHop }),
    ];
    return {
      nlri: { type_url: nlriUrl, value: nlri },
      pattrs: isWithdraw ? [] : attributes,
      is_withdraw: isWithdraw,
      family: this.#familyMessage,
    };
  }

  async #put(paths: readonly object[]): Promise<void> {
    for (let start = 0; start < paths.length; start += PATHS_PER_CALL) {
      await this.#putCall(paths.slice(start, start + PATHS_PER_CALL));
    }
  }

  /** Sends paths to the daemon, one message after the other. */
  #putCall(paths: readonly object[]): Promise<void> {
    const type = typeOf("AddPathStreamRequest");
    return new Promise((resolve, reject) => {
      const call = this.#client.makeClientStreamRequest(
        `${SERVICE}AddPathStream`,
        (message: object) => encode(type, message),
        () => ({}),
        { deadline: Date.now() + TABLE_MS },
        (error: ServiceError | null) =>
          error === null ? resolve() : reject(errorOf(this.#address, "announcing", error)),
      );
      let next = 0;
      const more = (): void => {
        while (next < paths.length) {
          const piece = paths.slice(next, next + PATHS_PER_MESSAGE);
          next += PATHS_PER_MESSAGE;
          if (!call.write({ table_type: TABLE_GLOBAL, paths: piece })) return void call.once("drain", more);
        }
        call.end();
      };
      // The callback receives the error as well.
      call.on("error", () => undefined);
      more();
    });
  }

  /** All best paths of all families, then their changes, until it is stopped. */
  #watchBest(
    onPaths: (paths: readonly PathMessage[]) => void,
    onEnd: (error: BgpError) => void,
    ms?: number,
  ): () => void {
    return this.#stream<TableEvent>(
      "WatchEvent",
      BEST_PATHS,
      ({ table }) => (table === null ? undefined : onPaths(table.paths)),
      error => onEnd(errorOf(this.#address, "watching routes", error)),
      ms,
    );
  }

  /** All answers of a call that ends by itself. */
  #collect<T>(method: string, request: object, take: (message: T) => void, ms: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#stream<T>(
        method,
        request,
        take,
        error => (error === null ? resolve() : reject(errorOf(this.#address, method, error))),
        ms,
      );
    });
  }

  /** A call with many answers; `onEnd` receives null for a regular end. The result cancels the call. */
  #stream<T>(
    method: string,
    request: object,
    onMessage: (message: T) => void,
    onEnd: (error: ServiceError | null) => void,
    ms?: number,
  ): () => void {
    const [asked, answered] = [typeOf(`${method}Request`), typeOf(`${method}Response`)];
    const call = this.#client.makeServerStreamRequest<object, T>(
      SERVICE + method,
      message => encode(asked, message),
      bytes => answered.decode(bytes) as T,
      request,
      ms === undefined ? {} : { deadline: Date.now() + ms },
    );
    let isOver = false;
    const end = (error: ServiceError | null): void => {
      if (isOver) return;
      isOver = true;
      onEnd(error);
    };
    call.on("data", (message: T) => (isOver ? undefined : onMessage(message)));
    call.on("error", end);
    call.on("end", () => end(null));
    return () => {
      isOver = true;
      call.cancel();
    };
  }
}

function any(name: string, message: object): { type_url: string; value: Buffer } {
  return { type_url: TYPE_URL + name, value: encode(typeOf(name), message) };
}

function splitPrefix(prefix: string): [string, number] {
  const [address = "", length = "", ...rest] = prefix.split("/");
  const isPrefix = rest.length === 0 && parseIpv4(address) !== null && /^(?:[12]?\d|3[0-2])$/.test(length);
  if (!isPrefix) throw new BgpError(`"${prefix}" is not an IPv4 prefix; expected for example 203.0.113.7/32`);
  return [address, Number(length)];
}

/** The values that an attribute of a path has. */
interface Values {
  readonly nextHop?: string | undefined;
  readonly originator?: string;
}
/** The reader of an attribute, by its type. */
function reader<T>(name: string, read: (message: T) => Values): [string, (value: Uint8Array) => Values] {
  const type = typeOf(name);
  return [TYPE_URL + name, value => read(type.decode(value) as T)];
}
const READERS = new Map([
  reader<{ next_hops: string[] }>("MpReachNLRIAttribute", ({ next_hops }) => ({ nextHop: next_hops[0] })),
  reader<{ next_hop: string }>("NextHopAttribute", ({ next_hop }) => ({ nextHop: next_hop })),
  reader<{ id: string }>("OriginatorIdAttribute", ({ id }) => ({ originator: id })),
]);

const isLocalPath = ({ neighbor_ip = "" }: PathMessage): boolean => NO_NEIGHBOUR.has(neighbor_ip);

function pathOf(message: PathMessage, family: RouteFamily): DaemonPath {
  const nlri = FAMILIES[family].nlri.decode(message.nlri!.value) as unknown as {
    labels?: number[];
    prefix: string;
    prefix_len: number;
  };
  let nextHop = "0.0.0.0";
  const isLocal = isLocalPath(message);
  // A path from a reflector has its originator as an attribute; any other originated where it came from.
  let originator = isLocal ? null : message.source_id || null;
  for (const { type_url, value } of message.pattrs) {
    const read = READERS.get(type_url)?.(value);
    nextHop = read?.nextHop ?? nextHop;
    originator = read?.originator ?? originator;
  }
  const prefix = `${nlri.prefix}/${nlri.prefix_len}`;
  return {
    route: { prefix, labels: nlri.labels ?? [], nextHop, originator },
    isLocal,
    isWithdrawn: message.is_withdraw,
    isBest: message.best === true,
  };
}
