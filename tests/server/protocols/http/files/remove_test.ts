import { assertEquals } from "@std/assert";
import { HttpServer } from "../../../../support/http_server.ts";
import { namesIn } from "../../../../support/directories.ts";

/** The names in the root of a server. */
function left(server: HttpServer): string[] {
  return namesIn(server.path("")).filter((name) => name !== ".ferry");
}

Deno.test("a DELETE removes a file, and with a slash a directory and its contents", async () => {
  await using server = await HttpServer.start();
  server.write("file", "1");
  Deno.mkdirSync(server.path("dir"));
  server.write("dir/file", "2");
  const cases: [target: string, status: number, code: string | undefined][] = [
    ["/missing", 404, "not_found"],
    ["/missing/", 404, "not_found"],
    ["/dir", 409, "not_a_file"],
    ["/file/", 404, "not_found"],
    ["/", 400, "usage"],
  ];
  for (const [target, status, code] of cases) {
    const refused = await server.request("DELETE", target);
    assertEquals([refused.status, refused.json.code], [status, code], target);
  }
  assertEquals(left(server), ["dir", "file"]);
  assertEquals((await server.request("DELETE", "/file")).status, 204);
  assertEquals((await server.request("DELETE", "/dir/")).status, 204);
  assertEquals(left(server), []);
});
