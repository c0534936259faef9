import { assertEquals } from "@std/assert";
import { md5, MIB } from "../../../../support/bytes.ts";
import { CEPH } from "../../../../support/engines/ceph.ts";
import { testWithEngine } from "../../../../support/engines/engine.ts";
import { randomBytes } from "../../../../support/random_file.ts";
import { TwoServers } from "../../../../support/two_servers.ts";
import { createUpload, lookAt, metadata, sendBytes, TUS } from "../../../../support/tus.ts";

testWithEngine(CEPH, "an upload goes on at another server over the same bucket", async () => {
  await using servers = await TwoServers.start();
  const { one, two } = servers;
  const bytes = randomBytes(20 * MIB + 7, 1);
  for (const size of [bytes.length, null]) {
    const name = size === null ? "told later" : "told at once";
    const deferred = { "upload-length": [], "upload-defer-length": "1" };
    const headers = size === null ? deferred : {};
    const path = await createUpload(one, name, bytes.length, { headers });
    let offset = 0;
    // The second ends where a part ends, the last but one where nothing but the end is missing.
    const pieces = [3_000_001, 16 * MIB - 3_000_001, 1, 4 * MIB, 6];
    for (const [at, count] of pieces.entries()) {
      const server = at % 2 === 0 ? one : two;
      const isLast = at === pieces.length - 1;
      const told = isLast && size === null ? { "upload-length": String(bytes.length) } : {};
      const piece = bytes.subarray(offset, offset + count);
      const sent = await sendBytes(server, path, offset, piece, told);
      offset += count;
      assertEquals([sent.status, sent.headers["upload-offset"]], [204, String(offset)], sent.text);
      const seen = await lookAt(server === one ? two : one, path);
      assertEquals(seen.headers["upload-offset"], String(offset));
    }
    for (const server of [one, two]) {
      assertEquals((await lookAt(server, path)).headers.etag, `"${md5(bytes)}"`);
      assertEquals(
        md5((await server.request("GET", `/${encodeURIComponent(name)}`)).bytes),
        md5(bytes),
      );
    }
  }
});

testWithEngine(CEPH, "parts at several servers over a bucket become one file", async () => {
  await using servers = await TwoServers.start();
  const { one, two } = servers;
  const bytes = randomBytes(20 * MIB + 7, 2);
  const middle = 9 * MIB + 1;
  const parts = await Promise.all([one, two].map(async (server, i) => {
    const piece = i === 0 ? bytes.subarray(0, middle) : bytes.subarray(middle);
    const headers = { "upload-concat": "partial", "upload-metadata": [] };
    const path = await createUpload(server, "", piece.length, { headers });
    assertEquals((await sendBytes(server, path, 0, piece)).status, 204);
    return path;
  }));
  const sum = await one.request("POST", "/.tus/", {
    headers: {
      ...TUS,
      "upload-concat": `final;${parts.join(" ")}`,
      "upload-metadata": metadata({ filename: "d/sum" }),
    },
  });
  assertEquals([sum.status, sum.headers.etag], [201, `"${md5(bytes)}"`], sum.text);
  for (const server of [one, two]) {
    assertEquals(md5((await server.request("GET", "/d/sum")).bytes), md5(bytes));
    assertEquals((await lookAt(server, sum.headers.location as string)).status, 200);
  }
});

testWithEngine(
  CEPH,
  "a file that could not be published yet is published by another server",
  async () => {
    await using servers = await TwoServers.start();
    const { one, two } = servers;
    for (const size of [3 * MIB + 5, 20 * MIB + 5, 16 * MIB]) {
      const bytes = randomBytes(size, size);
      const path = await createUpload(one, "f", bytes.length);
      await sendBytes(one, path, 0, bytes.subarray(0, size - 1000));
      assertEquals((await two.request("PUT", "/f", { body: "another" })).status, 201);
      const last = await sendBytes(two, path, size - 1000, bytes.subarray(size - 1000));
      assertEquals([last.status, last.json.code], [412, "exists"]);
      assertEquals((await two.request("DELETE", "/f")).status, 204);
      const seen = await lookAt(one, path);
      assertEquals([seen.status, seen.headers.etag], [200, `"${md5(bytes)}"`]);
      assertEquals(md5((await two.request("GET", "/f")).bytes), md5(bytes));
      assertEquals((await two.request("DELETE", "/f")).status, 204);
    }
  },
);
