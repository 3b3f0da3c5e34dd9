/**
 * docs/agent.openapi.json held against the agent that runs: every route of the one stands in the other, every answer that is
 * documented is brought about on a real socket and is as its schema says, and requests are taken as theirs says. The one file
 * with ajv for JSON Schema 2020-12, which is what OpenAPI 3.1 speaks.
 */

import { readFileSync } from "node:fs";
import http from "node:http";
import { join } from "node:path";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import { ROUTES, type Running, startAgent } from "../../src/agent/index.ts";
import { ask } from "../../src/host/index.ts";
import { assert, peer, suite } from "../harness.ts";
import { PrivateSwitch } from "../ovs/private-switch.ts";
import { BASE, best, FakeAnnouncer, FakeRoutes, peersOf, settingsAt, vmOf, Workplace } from "./base.ts";

const test = suite("the agent's contract");
const FILE = join(import.meta.dirname, "..", "..", "docs", "agent.openapi.json");

type Content = Readonly<Record<string, { readonly schema: object }>>;
interface Operation {
  readonly operationId: string;
  readonly requestBody?: { readonly content: Content };
  readonly responses: Readonly<Record<string, { readonly content: Content }>>;
}
interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: {
    readonly responses: Readonly<
      Record<"NotFound" | "MethodNotAllowed", { readonly content: Content; readonly headers?: object }>
    >;
  };
}

const METHODS = ["get", "put", "post", "delete", "patch"];
const { paths, components } = JSON.parse(readFileSync(FILE, "utf8")) as Document;
/** By method and path, as `GET /v1/vms/{id}`. */
const OPERATIONS: ReadonlyMap<string, Operation> = new Map(
  Object.entries(paths).flatMap(([path, item]) =>
    METHODS.filter(method => method in item).map(
      method => [`${method.toUpperCase()} ${path}`, item[method]!] as const,
    ),
  ),
);

const ajv = new Ajv2020({
  allErrors: true,
  allowUnionTypes: true,
  formats: {
    ipv4: /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}$/,
    "date-time": /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z$/,
  },
});
ajv.addKeyword("components");
const compiled = (schema: object): ValidateFunction => ajv.compile({ components, ...schema });

/** Calls an agent, holds each answer against the document, and remembers which answers there were. */
class Caller {
  readonly seen = new Set<string>();
  readonly #socket: string;

  constructor(socket: string) {
    this.#socket = socket;
  }

  /** `route` as the document has it; `id` stands in its place. */
  async call(
    route: string,
    expected: number,
    { id = 101, body = "" } = {},
  ): Promise<Record<string, unknown>> {
    const [method = "", path = ""] = route.split(" ");
    const { status, text } = await ask(this.#socket, method, path.replace("{id}", String(id)), body);
    assert.is(status, expected, `${route}: ${text}`);
    const { operationId, responses, requestBody } = OPERATIONS.get(route)!;
    const content = responses[status]?.content;
    assert.ok(content, `${operationId}: ${status} is not documented`);
    this.seen.add(`${operationId} ${status}`);
    const [type] = Object.keys(content!);
    if (requestBody !== undefined && status < 300) {
      const isTaken = compiled(requestBody.content["application/json"]!.schema);
      assert.ok(isTaken(JSON.parse(body)), `${operationId}: what is taken is documented`);
    }
    if (type === "text/plain") return {};
    const isRight = compiled(content![type!]!.schema);
    const answer = JSON.parse(text) as Record<string, unknown>;
    assert.ok(isRight(answer), `${operationId} ${status}: ${ajv.errorsText(isRight.errors)} in ${text}`);
    return answer;
  }
}

/** VM `n` as JSON; `more` in the place of what stands there. */
const bodyOf = (n: number, more: object = {}): string =>
  JSON.stringify({
    id: 100 + n,
    name: `vm-${n}`,
    port: `tap${100 + n}`,
    ofport: 10 + n,
    mac: `52:54:00:00:00:${n.toString(16).padStart(2, "0")}`,
    addresses: [`203.0.113.${n}`],
    path: "l2",
    ...more,
  });
const pathBody = (path: string): string => JSON.stringify({ path });

async function onStage(
  body: (stage: {
    readonly caller: Caller;
    readonly announcer: FakeAnnouncer;
    readonly routes: FakeRoutes;
    readonly sw: PrivateSwitch;
    readonly socket: string;
    start(bridge?: string): Promise<Running>;
  }) => Promise<void>,
): Promise<void> {
  peer("ovs-vswitchd");
  const sw = await PrivateSwitch.start({ ports: [{ number: 1, name: "uplink0" }] });
  const place = new Workplace();
  const [announcer, routes] = [new FakeAnnouncer(), new FakeRoutes()];
  const socket = join(place.path, "agent.sock");
  const running: Running[] = [];
  const start = async (bridge = join(sw.whereabouts.folder, "br0.mgmt")): Promise<Running> => {
    const one = await startAgent({
      ...settingsAt(place, { ...BASE, bridge, vms: [vmOf(90, "l2")] }),
      peers: peersOf(announcer, routes),
      log: () => undefined,
    });
    running.push(one);
    return one;
  };
  try {
    await body({ caller: new Caller(socket), announcer, routes, sw, socket, start });
  } finally {
    for (const one of running) await one.stop().catch(() => undefined);
    place.remove();
    await sw.close();
  }
}

test("every route of the agent is documented, and none else", () => {
  assert.equal([...OPERATIONS.keys()].sort(), [...ROUTES].sort());
});

/** One request by node:http, with all of the answer. */
function request(
  socketPath: string,
  method: string,
  path: string,
  body: Buffer | string = "",
): Promise<{ status: number; allow: string | undefined; length: string | undefined; text: string }> {
  return new Promise((resolve, reject) => {
    const asked = http.request({ socketPath, method, path, agent: false }, answer => {
      let text = "";
      answer.on("data", piece => {
        text += piece;
      });
      answer.on("end", () =>
        resolve({
          status: answer.statusCode!,
          allow: answer.headers.allow,
          length: answer.headers["content-length"],
          text,
        }),
      );
    });
    asked.once("error", reject);
    asked.end(body);
  });
}

test("a path with another method answers 405 with Allow, an unknown one 404, HEAD as GET", () =>
  onStage(async ({ start, socket }) => {
    await start();
    const { NotFound, MethodNotAllowed } = components.responses;
    const isNone = compiled(NotFound.content["application/json"]!.schema);
    const isRefusal = compiled(MethodNotAllowed.content["application/json"]!.schema);
    for (const [path, item] of Object.entries(paths)) {
      const at = path.replace("{id}", "101");
      const taken = METHODS.filter(method => method in item).map(method => method.toUpperCase());
      if (taken.includes("GET")) {
        const [got, head] = [await request(socket, "GET", at), await request(socket, "HEAD", at)];
        assert.equal([head.status, head.text], [got.status, ""]);
        if (path !== "/metrics" && path !== "/v1/status") assert.is(head.length, got.length);
        assert.is((await request(socket, "GET", `${at}?a=b`)).status, got.status);
        taken.push("HEAD");
      }
      for (const method of ["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "TRACE"]) {
        if (taken.includes(method)) continue;
        const { status, allow, text } = await request(socket, method, at);
        assert.is(status, 405, `${method} ${path}`);
        assert.equal(allow?.split(", ").sort(), [...taken].sort());
        if (method === "HEAD") continue;
        assert.ok(isRefusal(JSON.parse(text)), text);
        assert.match(text, `${at} does not take ${method}; expected `);
      }
    }
    for (const path of [
      "/",
      "/v1",
      "/v1/vms/",
      "/v1/vms/0",
      "/v1/vms/x",
      "/v1/vms/101/paths",
      "/v1/vms/N",
      "/metrics/",
    ])
      for (const method of ["GET", "DELETE", "POST"]) {
        const { status, allow, text } = await request(socket, method, path);
        assert.equal([status, allow], [404, undefined], `${method} ${path}: ${text}`);
        assert.ok(isNone(JSON.parse(text)), text);
      }
  }));

test("a body is taken up to its limit and answered beyond it, however large it is", () =>
  onStage(async ({ start, socket }) => {
    await start();
    const whole = bodyOf(1);
    const exact = whole + " ".repeat(65_536 - whole.length);
    assert.is((await request(socket, "PUT", "/v1/vms/101", exact)).status, 200);
    for (const bytes of [65_537, 1_000_000, 12_000_000]) {
      const { status, text } = await request(socket, "PUT", "/v1/vms/102", Buffer.alloc(bytes, " "));
      assert.is(status, 413);
      assert.match(
        text,
        '"code":"too-large","message":"the body is too large; expected at most 65536 bytes"',
      );
    }
  }));

test("schemas refuse what the agent refuses", () => {
  const isVm = compiled(OPERATIONS.get("PUT /v1/vms/{id}")!.requestBody!.content["application/json"]!.schema);
  assert.ok(isVm(JSON.parse(bodyOf(1))), ajv.errorsText(isVm.errors));
  for (const wrong of [
    { path: "l4" },
    { mac: "52:54" },
    { ofport: 0 },
    { addresses: [] },
    { colour: "red" },
    { id: 0 },
  ])
    assert.not.ok(isVm(JSON.parse(bodyOf(1, wrong))), JSON.stringify(wrong));
});

test("every documented answer comes, and is as documented", () =>
  onStage(async ({ caller, announcer, routes, start }) => {
    const call = caller.call.bind(caller);
    const away = await start("/nowhere/br0.mgmt");
    await call("GET /v1/vms", 503);
    await call("GET /v1/vms/{id}", 503);
    await call("PUT /v1/vms/{id}", 503, { body: bodyOf(1) });
    await call("PUT /v1/vms/{id}/path", 503, { body: pathBody("l2") });
    await call("DELETE /v1/vms/{id}", 503);
    assert.equal((await call("GET /v1/status", 200)).inStep, false);
    await away.agent.stop();
    await call("POST /v1/reconcile", 503);
    await away.stop();

    await start();
    routes.tell(
      [best("198.51.100.1/32", 2001), best("198.51.100.2/32", 3, "192.0.2.9"), best("198.51.100.3/32", 7)],
      true,
    );
    await call("PUT /v1/vms/{id}", 200, { body: bodyOf(1, { mtu: 9000 }) });
    for (const path of ["dual-l2", "dual-l3", "l3"])
      await call("PUT /v1/vms/{id}/path", 200, { body: pathBody(path) });
    assert.is((await call("GET /v1/vms/{id}", 200)).path, "l3");
    for (const wrong of [
      "{",
      bodyOf(2),
      bodyOf(1, { colour: "red" }),
      bodyOf(1, { addresses: ["203.0.113.256"] }),
    ])
      assert.is((await call("PUT /v1/vms/{id}", 400, { body: wrong })).code, "bad-request");
    const large = `${bodyOf(1)}${" ".repeat(65_536)}`;
    assert.is((await call("PUT /v1/vms/{id}", 413, { body: large })).code, "too-large");
    assert.is((await call("PUT /v1/vms/{id}/path", 413, { body: large })).code, "too-large");
    for (const wrong of ["{", "null", pathBody("l4")])
      await call("PUT /v1/vms/{id}/path", 400, { body: wrong });
    await call("GET /v1/vms/{id}", 404, { id: 109 });
    await call("PUT /v1/vms/{id}/path", 404, { id: 109, body: pathBody("l3") });
    const twice = await call("PUT /v1/vms/{id}", 409, { id: 102, body: bodyOf(2, { name: "vm-1" }) });
    assert.is(twice.code, "conflict");
    assert.is((await call("PUT /v1/vms/{id}/path", 409, { body: pathBody("l2") })).code, "jump");
    assert.is(
      (await call("PUT /v1/vms/{id}/path", 409, { id: 190, body: pathBody("dual-l2") })).code,
      "conflict",
    );
    await call("DELETE /v1/vms/{id}", 409, { id: 190 });
    await call("DELETE /v1/vms/{id}", 200);
    const early = await call("PUT /v1/vms/{id}", 409, {
      id: 102,
      body: bodyOf(2, { addresses: ["203.0.113.1"] }),
    });
    assert.is(early.code, "quarantine");

    announcer.contested = [{ prefix: "203.0.113.3/32", labels: [1], nextHop: "10.0.0.7", originator: null }];
    await call("PUT /v1/vms/{id}", 200, { id: 103, body: bodyOf(3, { path: "l3" }) });
    assert.equal((await call("POST /v1/reconcile", 200)).problems, []);
    const status = await call("GET /v1/status", 200);
    assert.is((status.doubleOwners as unknown[]).length, 1);
    assert.is((status.quarantine as unknown[]).length, 1);
    announcer.error = new Error("the daemon is away");
    assert.is(
      (await call("PUT /v1/vms/{id}", 202, { id: 104, body: bodyOf(4, { path: "dual-l3" }) })).state,
      "pending",
    );
    await call("PUT /v1/vms/{id}/path", 202, { id: 104, body: pathBody("l3") });
    await call("GET /v1/vms", 200);
    await call("GET /metrics", 200);
    await call("POST /v1/handover", 202);

    const documented = [...OPERATIONS.values()].flatMap(({ operationId, responses }) =>
      Object.keys(responses).map(answer => `${operationId} ${answer}`),
    );
    assert.equal([...caller.seen].sort(), documented.sort());
  }));

test.run();
