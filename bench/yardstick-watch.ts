/**
 * The yardstick of routes over BGP: a client that watches best paths and ignores them, written as the
 * documentation of @grpc/grpc-js and @grpc/proto-loader shows it. It decodes each message and counts the
 * paths.
 */
import { credentials, loadPackageDefinition, type ServiceClientConstructor } from "@grpc/grpc-js";
import { fromJSON } from "@grpc/proto-loader";
import protobuf from "protobufjs";
import { PROTO } from "../src/bgp/gobgp3.ts";

const { root } = protobuf.parse(PROTO, { keepCase: true });
const loaded = loadPackageDefinition(fromJSON(root.toJSON(), { keepCase: true, defaults: true }));
const Service = (loaded.apipb as unknown as { GobgpApi: ServiceClientConstructor }).GobgpApi;

/** Watches; resolves `seen` once `count` paths of the family have come after the first message. */
export function watchBare(address: string, count: number): { seen: Promise<void>; stop: () => void } {
  const client = new Service(address, credentials.createInsecure(), {
    "grpc.max_receive_message_length": -1,
  });
  let left = count;
  const call = client.WatchEvent!({ table: { filters: [{ type: 0, init: false }] } });
  const seen = new Promise<void>((resolve, reject) => {
    call.on("data", ({ table }: { table: { paths: { family: { safi: number } }[] } | null }) => {
      for (const path of table?.paths ?? []) if (path.family.safi === 4) left--;
      if (left <= 0) resolve();
    });
    call.on("error", (error: Error) => reject(error));
  });
  seen.catch(() => undefined);
  return {
    seen,
    stop: () => {
      call.cancel();
      client.close();
    },
  };
}
