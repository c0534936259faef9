import { assertEquals } from "@std/assert";
import { HttpServer } from "../../../../support/http_server.ts";

Deno.test("a POST to a name with a slash makes a directory and those above it", async () => {
  await using server = await HttpServer.start();
  const made = await server.request("POST", "/a/b%20c/");
  assertEquals([made.status, made.json], [201, { name: "a/b c", type: "directory" }]);
  assertEquals(Deno.statSync(server.path("a/b c")).isDirectory, true);
  for (const target of ["/a/b%20c/", "/a/", "/"]) {
    assertEquals((await server.request("POST", target)).status, 200, target);
  }
});

Deno.test("a POST that would make no directory is refused", async () => {
  await using server = await HttpServer.start();
  server.write("file", "1");
  const cases: [target: string, body: string, status: number, code: string][] = [
    ["/new", "", 405, "usage"],
    ["/new/", "content", 400, "usage"],
    ["/file/", "", 412, "exists"],
    ["/file/below/", "", 409, "not_a_file"],
  ];
  for (const [target, body, status, code] of cases) {
    const refused = await server.request("POST", target, { body });
    assertEquals([refused.status, refused.json.code], [status, code], target);
  }
  assertEquals(server.read("file"), "1");
});

Deno.test("a POST makes no directory where its precondition does not hold", async () => {
  await using server = await HttpServer.start();
  const refused = await server.request("POST", "/new/", { headers: { "if-match": "*" } });
  assertEquals([refused.status, refused.json.code], [412, "not_found"]);
  assertEquals((await server.request("GET", "/new/")).status, 404);
  const first = { headers: { "if-none-match": "*" } };
  assertEquals((await server.request("POST", "/new/", first)).status, 201);
  assertEquals((await server.request("POST", "/new/", first)).status, 412);
});
