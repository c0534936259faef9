import { assert, assertEquals } from "@std/assert";
import { encodeBase64 } from "@std/encoding/base64";
import { decodeHex } from "@std/encoding/hex";
import { md5, MIB } from "../../../../support/bytes.ts";
import { HttpServer } from "../../../../support/http_server.ts";
import { randomBytes } from "../../../../support/random_file.ts";
import { noise } from "../../../../support/stored_files.ts";
import { createUpload, lookAt, metadata, sendBytes, TUS } from "../../../../support/tus.ts";

function digestOf(content: string | Uint8Array): string {
  return `md5=:${encodeBase64(decodeHex(md5(content)))}:`;
}

Deno.test("an upload in pieces becomes a file with its last byte", async () => {
  await using server = await HttpServer.start();
  const path = await createUpload(server, "a/b.txt", 11);
  assert(/^\/\.tus\/[\w-]+$/.test(path), path);
  const first = await sendBytes(server, path, 0, "hello");
  assertEquals([first.status, first.headers["upload-offset"]], [204, "5"]);
  assertEquals(first.headers["repr-digest"], undefined);
  const seen = await lookAt(server, path);
  assertEquals(seen.status, 200);
  assertEquals(seen.headers["upload-offset"], "5");
  assertEquals(seen.headers["upload-length"], "11");
  assertEquals(seen.headers["upload-metadata"], metadata({ filename: "a/b.txt" }));
  assertEquals(seen.headers["cache-control"], "no-store");
  assertEquals(seen.headers["tus-resumable"], "1.0.0");
  assertEquals(seen.headers["upload-prefix-digest"], digestOf("hello"));
  assert(Date.parse(seen.headers["upload-expires"] as string) > Date.now() + 6 * 86_400_000);
  const last = await sendBytes(server, path, 5, " world");
  assertEquals([last.status, last.headers["upload-offset"]], [204, "11"]);
  assertEquals(last.headers["repr-digest"], digestOf("hello world"));
  assertEquals(last.headers["content-location"], "/a/b.txt");
  assertEquals(last.headers.etag, `"${md5("hello world")}"`);
  assertEquals(server.read("a/b.txt"), "hello world");
  const after = await lookAt(server, path);
  assertEquals(after.headers["upload-offset"], "11");
  assertEquals(after.headers["repr-digest"], digestOf("hello world"));
  assertEquals(after.headers["content-location"], "/a/b.txt");
});

Deno.test("a large upload goes on at any offset", async () => {
  await using server = await HttpServer.start();
  const bytes = noise(9_500_001, 1);
  const path = await createUpload(server, "large.bin", bytes.length);
  let offset = 0;
  for (const count of [1, 62, 4_194_305, 0, 5_000_000, 305_633]) {
    const piece = bytes.subarray(offset, offset + count);
    const sent = await sendBytes(server, path, offset, piece);
    offset += count;
    assertEquals([sent.status, sent.headers["upload-offset"]], [204, String(offset)]);
    const seen = await lookAt(server, path);
    assertEquals(seen.headers["upload-prefix-digest"], digestOf(bytes.subarray(0, offset)));
  }
  assertEquals(md5(Deno.readFileSync(server.path("large.bin"))), md5(bytes));
});

Deno.test("an upload that is discarded is gone", async () => {
  await using server = await HttpServer.start();
  const path = await createUpload(server, "f", 10);
  await sendBytes(server, path, 0, "12345");
  const gone = await server.request("DELETE", path, { headers: TUS });
  assertEquals(gone.status, 204);
  assertEquals((await lookAt(server, path)).status, 404);
  const more = await sendBytes(server, path, 5, "67890");
  assertEquals([more.status, more.json.code], [404, "not_found"]);
});

Deno.test("the MD5 of a file of more than 64 MiB is computed if it is given or asked for", async () => {
  await using server = await HttpServer.start();
  const bytes = randomBytes(64 * MIB + 1, 1);
  const asked = { "want-repr-digest": "sha-256=3, md5=1" };
  for (const headers of [asked, {}]) {
    const values = { overwrite: "always" };
    const path = await createUpload(server, "large", bytes.length, { headers, values });
    await sendBytes(server, path, 0, bytes.subarray(0, 1000));
    const seen = await lookAt(server, path);
    const isAsked = headers === asked;
    const prefix = isAsked ? digestOf(bytes.subarray(0, 1000)) : undefined;
    assertEquals(seen.headers["upload-prefix-digest"], prefix);
    const digest = { "repr-digest": digestOf(bytes) };
    if (!isAsked) {
      const refused = await sendBytes(server, path, 1000, bytes.subarray(1000), digest);
      assertEquals([refused.status, refused.json.code], [400, "usage"]);
    }
    const rest = bytes.subarray(1000);
    const last = await sendBytes(server, path, 1000, rest, isAsked ? digest : {});
    assertEquals([last.status, last.headers["content-location"]], [204, "/large"]);
    assertEquals(last.headers["repr-digest"], isAsked ? digestOf(bytes) : undefined);
    assertEquals(md5(Deno.readFileSync(server.path("large"))), md5(bytes));
  }
});
