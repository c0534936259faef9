import { assertEquals } from "@std/assert";
import type { FailedRequest, FerryError } from "../../../../mod.ts";
import { HttpServer } from "../../../support/http_server.ts";

Deno.test("the program around a server is told of each request over HTTP that fails", async () => {
  const told = Promise.withResolvers<void>();
  const failures: [string, string | undefined, string | undefined][] = [];
  const onError = ({ code }: FerryError, { op, filename, peer }: FailedRequest) => {
    assertEquals(peer.hostname, "127.0.0.1");
    failures.push([code, op, filename]);
    if (failures.length === 3) told.resolve();
  };
  await using server = await HttpServer.start({ onError, anonymous: ["read"] });
  server.write("there", "x");
  await server.request("GET", "/there");
  await server.request("GET", "/a/b");
  await server.request("PUT", "/c", { body: "x" });
  await server.request("PATCH", "/d");
  await told.promise;
  assertEquals(failures, [
    ["not_found", "get", "a/b"],
    ["denied", "put", "c"],
    ["usage", undefined, undefined],
  ]);
});
