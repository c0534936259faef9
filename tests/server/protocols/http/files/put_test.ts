import { assertEquals } from "@std/assert";
import { md5 } from "../../../../support/bytes.ts";
import { HttpServer } from "../../../../support/http_server.ts";

Deno.test("a PUT stores a file, and says what it stored", async () => {
  await using server = await HttpServer.start();
  const body = "hello";
  const created = await server.request("PUT", "/new/a%20b.txt", { body });
  assertEquals([created.status, created.headers.etag], [201, `"${md5(body)}"`]);
  assertEquals(created.json, { name: "new/a b.txt", type: "file", size: 5, md5: md5(body) });
  assertEquals(created.headers["repr-digest"], "md5=:XUFAKrxLKna5cZ2REBfFkg==:");
  assertEquals(server.read("new/a b.txt"), body);
  const replaced = await server.request("PUT", "/new/a%20b.txt", { body: ["wor", "ld"] });
  assertEquals([replaced.status, server.read("new/a b.txt")], [200, "world"]);
});
