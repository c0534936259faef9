import { assertEquals } from "@std/assert";
import { encodeBase64 } from "@std/encoding/base64";
import { decodeHex } from "@std/encoding/hex";
import { md5 } from "../../../../support/bytes.ts";
import { namesIn } from "../../../../support/directories.ts";
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

const HELLO = {
  md5: "XUFAKrxLKna5cZ2REBfFkg==",
  sha: "qvTGHdzF6KLavt4PO0gs2a6pQ00=",
  "sha-256": "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=",
  "sha-512":
    "m3HSJL1i83hdltRq0+o9czGb+8KJDKra4t/3JRlnPKcjI8PZm6XBHXx6zG4UuMXaDEZjR1wuXDre9G9zvN7AQw==",
};

Deno.test("a PUT is verified by every digest that its header gives", async () => {
  await using server = await HttpServer.start();
  const right: Record<string, string>[] = [
    { "content-md5": HELLO.md5 },
    { "content-digest": `md5=:${HELLO.md5}:` },
    { "content-digest": `sha-256=:${HELLO["sha-256"]}:, sha-512=:${HELLO["sha-512"]}:` },
    { "repr-digest": `sha=:${HELLO.sha}:, sha-256=:${HELLO["sha-256"]}:` },
    { "repr-digest": "adler=:AAAAAA==:" },
    { digest: `MD5=${HELLO.md5},SHA-256=${HELLO["sha-256"]},unixsum=30637` },
    { "content-digest": `md5=:${HELLO.md5}:`, "content-md5": HELLO.md5 },
  ];
  for (const headers of right) {
    const { status } = await server.request("PUT", "/right", { headers, body: "hello" });
    assertEquals(status < 300, true, JSON.stringify(headers));
    assertEquals(server.read("right"), "hello");
  }
  const wrong: Record<string, string>[] = [
    { "content-md5": HELLO.md5 },
    { "content-digest": `md5=:${HELLO.md5}:` },
    { "content-digest": `sha-256=:${HELLO["sha-256"]}:` },
    { "repr-digest": `sha=:${HELLO.sha}:` },
    { "repr-digest": `sha-512=:${HELLO["sha-512"]}:` },
    { digest: `sha-256=${HELLO["sha-256"]}` },
    { "content-md5": md5Field("other"), "content-digest": `md5=:${HELLO.md5}:` },
  ];
  for (const headers of wrong) {
    for (const body of ["other", ["other"]]) {
      const refused = await server.request("PUT", "/wrong", { headers, body });
      const outcome = [refused.status, refused.json.code];
      assertEquals(outcome, [422, "checksum_mismatch"], JSON.stringify(headers));
    }
  }
  assertEquals(namesIn(server.path("")), [".ferry", "right"]);
});

function md5Field(content: string): string {
  return encodeBase64(decodeHex(md5(content)));
}

Deno.test("header fields of a PUT that are not understood refuse it", async () => {
  await using server = await HttpServer.start();
  const cases: [headers: Record<string, string>, status: number, code: string][] = [
    [{ "content-md5": "XUFA" }, 400, "bad_header"],
    [{ "content-md5": "no base64!" }, 400, "bad_header"],
    [{ "content-digest": `md5=${HELLO.md5}` }, 400, "bad_header"],
    [{ "content-digest": "md5=:XUFA:" }, 400, "bad_header"],
    [{ "content-digest": "sha-256" }, 400, "bad_header"],
    [{ "repr-digest": "§" }, 400, "bad_header"],
    [{ digest: "sha-256" }, 400, "bad_header"],
    [{ "content-range": "bytes 0-4/5" }, 400, "usage"],
    [{ "content-encoding": "gzip" }, 415, "usage"],
    [{ "x-oc-mtime": "yesterday" }, 400, "bad_header"],
    [{ "if-match": "5d41" }, 400, "bad_header"],
    [{ "if-none-match": `"a" "b"` }, 400, "bad_header"],
  ];
  for (const [headers, status, code] of cases) {
    const refused = await server.request("PUT", "/new", { headers, body: "hello" });
    assertEquals([refused.status, refused.json.code], [status, code], JSON.stringify(headers));
  }
  assertEquals(namesIn(server.path("")), [".ferry"]);
});

Deno.test("a PUT keeps the modification time that X-OC-Mtime gives", async () => {
  await using server = await HttpServer.start();
  const headers = { "x-oc-mtime": "1234567890.5" };
  const stored = await server.request("PUT", "/file", { headers, body: "hello" });
  assertEquals([stored.status, stored.headers["x-oc-mtime"]], [201, "accepted"]);
  assertEquals(Deno.statSync(server.path("file")).mtime?.getTime(), 1_234_567_890_500);
});

Deno.test("a PUT under a name that no file can have is refused", async () => {
  await using server = await HttpServer.start();
  Deno.mkdirSync(server.path("dir"));
  server.write("file", "1");
  const cases: [target: string, status: number, code: string][] = [
    ["/dir", 409, "not_a_file"],
    ["/dir/", 409, "not_a_file"],
    ["/", 409, "not_a_file"],
    ["/file/below", 409, "not_a_file"],
    ["/a/../b", 400, "bad_name"],
    ["/a/%2e%2e/b", 400, "bad_name"],
    ["/a%2Fb", 400, "bad_name"],
    [`/${"n".repeat(300)}`, 400, "bad_name"],
  ];
  for (const [target, status, code] of cases) {
    const refused = await server.request("PUT", target, { body: "hello" });
    assertEquals([refused.status, refused.json.code], [status, code], target);
  }
  assertEquals(namesIn(server.path("")), [".ferry", "dir", "file"]);
});
