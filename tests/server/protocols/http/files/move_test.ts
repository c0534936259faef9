import { assertEquals } from "@std/assert";
import { HttpServer } from "../../../../support/http_server.ts";

function move(server: HttpServer, value: unknown, type = "application/json") {
  const headers = { "content-type": type };
  return server.request("POST", "/.ferry/api/move", { headers, body: JSON.stringify(value) });
}

Deno.test("a move renames files and directories, and replaces a file only if it is told to", async () => {
  await using server = await HttpServer.start();
  Deno.mkdirSync(server.path("dir"));
  server.write("dir/a b", "1");
  server.write("other", "2");
  const moved = await move(server, { from: "dir", to: "new/dir ä" });
  assertEquals([moved.status, moved.headers.location], [204, "/new/dir%20%C3%A4"]);
  const file = { from: "new/dir ä/a b", to: "other" };
  const refused = await move(server, file);
  assertEquals([refused.status, refused.json.code, server.read("other")], [412, "exists", "2"]);
  assertEquals((await move(server, { ...file, overwrite: true })).status, 204);
  assertEquals(server.read("other"), "1");
});

Deno.test("a move that is not understood, or not possible, changes nothing", async () => {
  await using server = await HttpServer.start();
  server.write("file", "1");
  const cases: [value: unknown, status: number, code: string][] = [
    [{ from: "missing", to: "new" }, 404, "not_found"],
    [{ from: "file" }, 400, "bad_header"],
    [{ from: "file", to: 5 }, 400, "bad_header"],
    [{ from: "file", to: "new", more: 1 }, 400, "bad_header"],
    ["file", 400, "bad_header"],
    [{ from: "file", to: "../new" }, 400, "bad_name"],
    [{ from: "file", to: "" }, 400, "bad_name"],
    [{ from: "", to: "new" }, 400, "bad_name"],
    // There, nothing could reach it any more.
    [{ from: "file", to: ".tus" }, 400, "bad_name"],
    [{ from: "file", to: ".tus/file" }, 400, "bad_name"],
    [{ from: "file", to: ".ferry/file" }, 400, "bad_name"],
    [{ from: "file", to: "n".repeat(70_000) }, 413, "too_large"],
  ];
  for (const [value, status, code] of cases) {
    const refused = await move(server, value);
    const named = JSON.stringify(value).slice(0, 80);
    assertEquals([refused.status, refused.json.code], [status, code], named);
  }
  const form = await move(server, { from: "file", to: "new" }, "text/plain");
  assertEquals([form.status, form.headers.accept], [415, "application/json"]);
  assertEquals(server.read("file"), "1");
});
