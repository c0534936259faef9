import { assertEquals } from "@std/assert";
import { createHash } from "node:crypto";
import { S3Storage } from "../../../../../mod.ts";
import { MIB, sha256 } from "../../../../support/bytes.ts";
import { CEPH } from "../../../../support/engines/ceph.ts";
import { Engine, testWithEngine } from "../../../../support/engines/engine.ts";
import { HttpServer } from "../../../../support/http_server.ts";
import { TempDir } from "../../../../support/programs.ts";
import { randomBytes } from "../../../../support/random_file.ts";
import { runTool } from "../../../../support/tools.ts";

testWithEngine(CEPH, "files of a bucket are read over HTTP as those of a directory", async () => {
  const engine = await Engine.shared(CEPH);
  const { endpoint, region, accessKeyId, secretAccessKey } = engine;
  const credentials = { accessKeyId, secretAccessKey };
  const bucket = await engine.bucket();
  await using storage = await S3Storage.open({ endpoint, region, bucket, credentials });
  await using server = await HttpServer.start({ wrap: () => storage });
  const body = randomBytes(3 * MIB + 5);
  const put = await server.request("PUT", "/d/large", {
    body,
    headers: { "x-oc-mtime": "1700000000" },
  });
  await server.request("PUT", "/d/deep/gr%C3%B6%C3%9Fe", { body: "small" });
  const got = await server.request("GET", "/d/large");
  assertEquals([got.headers.etag, sha256(got.bytes)], [put.headers.etag, sha256(body)]);

  const range = "bytes=10-19,2000000-2000009,-10";
  const parts = await server.request("GET", "/d/large", { headers: { range } });
  assertEquals([parts.status, parts.headers["content-length"]], [206, `${parts.bytes.length}`]);
  const last = await server.request("GET", "/d/large", { headers: { range: "bytes=-10" } });
  assertEquals(last.bytes, body.slice(-10));
  const known = { "if-none-match": String(put.headers.etag) };
  assertEquals((await server.request("GET", "/d/large", { headers: known })).status, 304);

  const wanted = { "want-repr-digest": "sha-256=1" };
  const digest = `sha-256=:${createHash("sha256").update(body).digest("base64")}:`;
  for (const _ of ["computed", "recorded"]) {
    const { headers } = await server.request("HEAD", "/d/large", { headers: wanted });
    assertEquals(String(headers["repr-digest"]).split(", ")[0], digest);
  }

  const { json } = await server.request("GET", "/d/?recursive");
  const names = json.entries.map(({ name }: { name: string }) => name);
  assertEquals(names, ["deep", "deep/größe", "large"]);
  const archive = await server.request("GET", "/d/?archive=tar");
  await using dir = new TempDir();
  const { code, stderr } = await runTool(
    "tar",
    ["-xf", dir.write("d.tar", archive.bytes)],
    dir.path,
  );
  assertEquals([code, stderr], [0, ""]);
  assertEquals(sha256(Deno.readFileSync(dir.join("d/large"))), sha256(body));
  assertEquals(Deno.statSync(dir.join("d/large")).mtime, new Date(1_700_000_000_000));
  assertEquals(Deno.readTextFileSync(dir.join("d/deep/größe")), "small");
});
