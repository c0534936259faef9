import { assert, assertEquals, assertMatch } from "@std/assert";
import { md5 } from "../../../../support/bytes.ts";
import { HttpServer } from "../../../../support/http_server.ts";

Deno.test("a GET sends a file, and a HEAD only what describes it", async () => {
  await using server = await HttpServer.start();
  server.write("a.txt", "0123456789");
  const time = new Date("2024-02-29T12:00:00.750Z");
  Deno.utimeSync(server.path("a.txt"), time, time);
  const got = await server.request("GET", "/a.txt");
  assertEquals([got.status, got.text], [200, "0123456789"]);
  const { date: _, "x-request-id": id, ...described } = got.headers;
  assertEquals(described, {
    "accept-ranges": "bytes",
    "cache-control": "private, no-cache",
    connection: "close",
    "content-disposition": "inline; filename=a.txt",
    "content-length": "10",
    "content-security-policy":
      "sandbox; default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'",
    "content-type": "text/plain; charset=utf-8",
    "cross-origin-resource-policy": "same-origin",
    digest: "MD5=eB5eJF1ptWaXm4bijSPyxw==",
    etag: `"${md5("0123456789")}"`,
    "last-modified": "Thu, 29 Feb 2024 12:00:00 GMT",
    "repr-digest": "md5=:eB5eJF1ptWaXm4bijSPyxw==:",
    "x-content-type-options": "nosniff",
  });
  const head = await server.request("HEAD", "/a.txt");
  const { date: __, "x-request-id": nextId, ...told } = head.headers;
  assertEquals([head.status, head.bytes.length, told], [200, 0, described]);
  for (const each of [id, nextId]) assertMatch(String(each), /^[0-9a-f]{12}\.1$/);
  assert(id !== nextId);
});

Deno.test("an empty file is sent as one", async () => {
  await using server = await HttpServer.start();
  server.write("empty", "");
  const { status, headers, bytes } = await server.request("GET", "/empty");
  assertEquals([status, bytes.length, headers.etag], [200, 0, `"${md5("")}"`]);
});

Deno.test("the path of a directory without its slash leads to the one with it", async () => {
  await using server = await HttpServer.start();
  await Deno.mkdir(server.path("d ä/e"), { recursive: true });
  const { status, headers } = await server.request("GET", "/d%20%C3%A4/e?recursive&x=%26");
  assertEquals([status, headers.location], [307, "/d%20%C3%A4/e/?recursive=&x=%26"]);
});

Deno.test("what is not there, or is of the other kind, is 404 as a problem", async () => {
  await using server = await HttpServer.start();
  server.write("file", "x");
  const cases = [
    ["/absent", "not_found"],
    ["/absent/", "not_found"],
    ["/file/", "not_a_file"],
    ["/file/below", "not_a_file"],
  ] as const;
  for (const [path, code] of cases) {
    const { status, headers, json } = await server.request("GET", path);
    assertEquals([status, json.code], [404, code], path);
    assertMatch(String(headers["content-type"]), /^application\/problem\+json/);
  }
});

Deno.test("a link out of the root is not followed", async () => {
  await using server = await HttpServer.start();
  Deno.symlinkSync("/etc/passwd", server.path("link"));
  const { status, text } = await server.request("GET", "/link");
  assertEquals(status >= 400 && status < 500, true);
  assertEquals(text.includes("root:"), false);
});
