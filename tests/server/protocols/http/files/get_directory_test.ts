import { assertEquals, assertStringIncludes } from "@std/assert";
import { MemoryStorage } from "../../../../../mod.ts";
import { md5 } from "../../../../support/bytes.ts";
import { HttpServer } from "../../../../support/http_server.ts";
import { withEntries } from "../../../../support/in_process.ts";

Deno.test("a directory is its entries as JSON, with names that are relative to it", async () => {
  await using server = await HttpServer.start();
  Deno.mkdirSync(server.path("a b/größe"), { recursive: true });
  server.write("a b/f", "12345");
  server.write("a b/größe/deep", "x");
  const time = new Date("2024-02-29T12:00:00.250Z");
  for (const name of ["f", "größe"]) Deno.utimeSync(server.path(`a b/${name}`), time, time);
  Deno.chmodSync(server.path("a b/f"), 0o640);
  Deno.chmodSync(server.path("a b/größe"), 0o750);
  const { status, headers, json } = await server.request("GET", "/a%20b/");
  assertEquals([status, headers["content-type"]], [200, "application/json"]);
  assertEquals([headers.vary, headers["x-content-type-options"]], ["accept", "nosniff"]);
  const mtime = time.getTime();
  assertEquals(json, {
    directory: "a b",
    entries: [
      { name: "f", type: "file", size: 5, mtime, mode: 0o640, md5: null },
      { name: "größe", type: "directory", size: 0, mtime, mode: 0o750, md5: null },
    ],
  });
  const { json: all } = await server.request("GET", "/a%20b/?recursive");
  assertEquals(all.entries.map(({ name }: { name: string }) => name), ["f", "größe", "größe/deep"]);
  const { json: root } = await server.request("GET", "/");
  assertEquals([root.directory, root.entries[0].name], ["", "a b"]);
});

Deno.test("an entry has its md5 as soon as that is known", async () => {
  await using server = await HttpServer.start({ wrap: () => new MemoryStorage() });
  await server.request("PUT", "/f", { body: "12345" });
  assertEquals((await server.request("GET", "/")).json.entries[0].md5, md5("12345"));
});

Deno.test("an empty directory has no entries, and a HEAD no content", async () => {
  await using server = await HttpServer.start();
  assertEquals((await server.request("GET", "/")).json, { directory: "", entries: [] });
  const head = await server.request("HEAD", "/");
  assertEquals([head.status, head.bytes.length], [200, 0]);
});

Deno.test("a directory of any size is sent as it is read", async () => {
  await using server = await HttpServer.start({ wrap: withEntries(20_000) });
  const { headers, json } = await server.request("GET", "/many/");
  assertEquals([headers["transfer-encoding"], json.entries.length], ["chunked", 20_000]);
});

Deno.test("who asks for a document gets the page, whatever the directory holds", async () => {
  await using server = await HttpServer.start();
  const headers = { accept: "text/html,application/xhtml+xml,*/*;q=0.8" };
  for (const path of ["/", "/absent/"]) {
    const { status, headers: got, text } = await server.request("GET", path, { headers });
    assertEquals([status, got["content-type"]], [200, "text/html; charset=utf-8"]);
    assertStringIncludes(text, "<!DOCTYPE html>");
  }
  const any = await server.request("GET", "/", { headers: { accept: "*/*" } });
  assertEquals(any.headers["content-type"], "application/json");
});
