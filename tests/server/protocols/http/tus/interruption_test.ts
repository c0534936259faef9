import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { connect, MemoryStorage } from "../../../../../mod.ts";
import { tokenTable } from "../../../../../server/auth/token_table.ts";
import { md5 } from "../../../../support/bytes.ts";
import { HttpServer } from "../../../../support/http_server.ts";
import { stagedIn } from "../../../../support/programs.ts";
import { noise } from "../../../../support/stored_files.ts";
import { token } from "../../../../support/token_server.ts";
import { BYTES, createUpload, lookAt, sendBytes, TUS } from "../../../../support/tus.ts";

/** A PATCH whose body is sent piece by piece. */
async function beginPatch(
  server: HttpServer,
  path: string,
  { offset, length, headers = {} }: {
    offset: number;
    length: number;
    headers?: Record<string, string>;
  },
): Promise<Deno.TcpConn> {
  const conn = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
  const fields = { ...BYTES, host: "127.0.0.1", "content-length": length, ...headers };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`).join("");
  const head = `PATCH ${path} HTTP/1.1\r\nupload-offset: ${offset}\r\n${lines}\r\n`;
  await writeAll(conn, new TextEncoder().encode(head));
  return conn;
}

async function writeAll(conn: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) done += await conn.write(bytes.subarray(done));
}

/** Asks for an upload until it has come so far. */
async function awaitOffset(server: HttpServer, path: string, offset: number): Promise<void> {
  for (;;) {
    const { headers } = await lookAt(server, path);
    if (headers["upload-offset"] === String(offset)) return;
  }
}

Deno.test("every byte counts of a PATCH that dies", async () => {
  await using server = await HttpServer.start();
  const bytes = noise(1_000_000, 1);
  const path = await createUpload(server, "f", bytes.length);
  using conn = await beginPatch(server, path, { offset: 0, length: bytes.length });
  await writeAll(conn, bytes.subarray(0, 300_001));
  conn.close();
  await awaitOffset(server, path, 300_001);
  const last = await sendBytes(server, path, 300_001, bytes.subarray(300_001));
  assertEquals([last.status, last.headers.etag], [204, `"${md5(bytes)}"`]);
});

Deno.test("no byte counts of a PATCH with a checksum that dies, or whose checksum is wrong", async () => {
  await using server = await HttpServer.start();
  const bytes = noise(5_000_000, 2);
  const path = await createUpload(server, "f", bytes.length);
  const sha1 = new Uint8Array(await crypto.subtle.digest("SHA-1", bytes.slice(1000)));
  const checked = { "upload-checksum": `sha1 ${sha1.toBase64()}` };
  await sendBytes(server, path, 0, bytes.subarray(0, 1000));
  const length = bytes.length - 1000;
  {
    const conn = await beginPatch(server, path, { offset: 1000, length, headers: checked });
    await writeAll(conn, bytes.subarray(1000, 4_900_000));
    conn.close();
  }
  const damaged = bytes.slice(1000);
  damaged[4_500_000]! ^= 1;
  for (;;) {
    const refused = await sendBytes(server, path, 1000, damaged, checked);
    // The server may still be reading what the other connection has sent.
    if (refused.status === 423) continue;
    assertEquals([refused.status, refused.json.code], [460, "checksum_mismatch"]);
    break;
  }
  assertEquals((await lookAt(server, path)).headers["upload-offset"], "1000");
  const last = await sendBytes(server, path, 1000, bytes.subarray(1000), checked);
  assertEquals([last.status, last.headers.etag], [204, `"${md5(bytes)}"`]);
});

Deno.test("a PATCH that has stalled gives way, and nothing that it has sent is lost", async () => {
  await using server = await HttpServer.start();
  const bytes = noise(1_000_000, 3);
  const path = await createUpload(server, "f", bytes.length);
  using stalled = await beginPatch(server, path, { offset: 0, length: bytes.length });
  await writeAll(stalled, bytes.subarray(0, 300_001));
  await awaitOffset(server, path, 300_001);
  assertEquals(await stalled.read(new Uint8Array(1)).catch(() => null), null);
  const last = await sendBytes(server, path, 300_001, bytes.subarray(300_001));
  assertEquals([last.status, last.headers.etag], [204, `"${md5(bytes)}"`]);
});

Deno.test("a PATCH that goes on keeps the upload to itself", async () => {
  await using server = await HttpServer.start();
  const bytes = noise(1_000_000, 4);
  const path = await createUpload(server, "f", bytes.length);
  using first = await beginPatch(server, path, { offset: 0, length: bytes.length });
  await writeAll(first, bytes.subarray(0, 1000));
  let sent = 1000;
  const others = Promise.all([
    sendBytes(server, path, 0, bytes),
    server.request("DELETE", path, { headers: TUS }),
    lookAt(server, path),
  ]);
  let answered = false;
  others.finally(() => answered = true);
  while (!answered) {
    await writeAll(first, bytes.subarray(sent, ++sent));
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const [second, removal, seen] = await others;
  assertEquals([second.status, second.json.code], [423, "busy"]);
  assertEquals([removal.status, removal.json.code], [423, "busy"]);
  assertEquals(seen.status, 200);
  await writeAll(first, bytes.subarray(sent));
  const answer = new Uint8Array(1000);
  const count = await first.read(answer);
  assertStringIncludes(new TextDecoder().decode(answer.subarray(0, count!)), "HTTP/1.1 204");
  assertEquals(md5(Deno.readFileSync(server.path("f"))), md5(bytes));
});

Deno.test("one of two PATCHes at once that begin an upload wins, and the file is whole", async () => {
  await using server = await HttpServer.start();
  const bytes = noise(3_000_000, 5);
  const path = await createUpload(server, "f", bytes.length);
  const both = await Promise.all([1, 2].map(() => sendBytes(server, path, 0, bytes)));
  const statuses = both.map(({ status }) => status).sort();
  // The other one may have been answered only when the first had ended.
  assertEquals([statuses[0], [409, 423].includes(statuses[1]!)], [204, true], `${statuses}`);
  assertEquals(md5(Deno.readFileSync(server.path("f"))), md5(bytes));
});

Deno.test("a file that is not what was announced is never published, and its upload is gone", async () => {
  await using server = await HttpServer.start();
  const wrong = `md5=:${btoa("0123456789abcdef")}:`;
  for (const large of [false, true]) {
    const bytes = large ? noise(9_000_000, 6) : noise(100, 6);
    const half = Math.floor(bytes.length / 2);
    for (const by of ["metadata", "repr-digest"]) {
      const values = by === "metadata" ? { md5: "0".repeat(32) } : {};
      const path = await createUpload(server, "f", bytes.length, { values });
      await sendBytes(server, path, 0, bytes.subarray(0, half));
      const headers = by === "metadata" ? {} : { "repr-digest": wrong };
      const last = await sendBytes(server, path, half, bytes.subarray(half), headers);
      assertEquals([last.status, last.json.code], [422, "checksum_mismatch"]);
      assertEquals((await lookAt(server, path)).status, 404);
    }
  }
  assertEquals([...Deno.readDirSync(server.path(""))].map(({ name }) => name), [".ferry"]);
  assertEquals(stagedIn(server.path("")), []);
});

Deno.test("a file that could not be published is published when that has become possible", async () => {
  await using server = await HttpServer.start();
  const bytes = noise(9_000_000, 7);
  const path = await createUpload(server, "f", bytes.length);
  await sendBytes(server, path, 0, bytes.subarray(0, 5_000_000));
  server.write("f", "another file has got the name");
  const last = await sendBytes(server, path, 5_000_000, bytes.subarray(5_000_000));
  assertEquals([last.status, last.json.code], [412, "exists"]);
  // It does not say that everything is there: clients would take the file for stored.
  assertEquals((await lookAt(server, path)).status, 412);
  assertEquals((await sendBytes(server, path, bytes.length, "")).status, 412);
  Deno.removeSync(server.path("f"));
  const seen = await lookAt(server, path);
  assertEquals([seen.status, seen.headers.etag], [200, `"${md5(bytes)}"`]);
  assertEquals(md5(Deno.readFileSync(server.path("f"))), md5(bytes));
});

Deno.test("an upload for which there is no room goes on when there is some", async () => {
  const storage = new MemoryStorage({ quota: 100_000 });
  await using server = await HttpServer.start({ wrap: () => storage });
  const refused = await server.request("POST", "/.tus/", {
    headers: { ...TUS, "upload-length": "200000", "upload-metadata": "filename Zg==" },
  });
  assertEquals([refused.status, refused.json.code], [507, "quota"]);
  const bytes = noise(60_000, 8);
  const path = await createUpload(server, "f", bytes.length);
  await sendBytes(server, path, 0, bytes.subarray(0, 20_000));
  const other = await createUpload(server, "g", 60_000);
  assertEquals((await sendBytes(server, other, 0, bytes)).status, 204);
  const full = await sendBytes(server, path, 20_000, bytes.subarray(20_000));
  assertEquals([full.status, full.json.code], [507, "quota"]);
  assertEquals((await lookAt(server, path)).headers["upload-offset"], "20000");
  await server.request("DELETE", "/g");
  const last = await sendBytes(server, path, 20_000, bytes.subarray(20_000));
  assertEquals(last.status, 204, last.text);
  assertEquals(md5(storage.bytes("f")), md5(bytes));
});

Deno.test("a token that is taken back ends a PATCH, and another one of the same token goes on", async () => {
  const { token: text, record } = await token("write");
  await using server = await HttpServer.start({ tokens: tokenTable([record]) });
  const headers = { authorization: `Bearer ${text}` };
  const bytes = noise(6_000_000, 9);
  assertEquals((await server.request("POST", "/.tus/", { headers: TUS })).status, 400);
  const anonymous = await server.request("POST", "/.tus/", {
    headers: { ...TUS, "upload-length": "1", "upload-metadata": "filename Zg==" },
  });
  assertEquals([anonymous.status, anonymous.json.code], [401, "auth_required"]);
  const path = await createUpload(server, "f", bytes.length, { headers });
  using conn = await beginPatch(server, path, { offset: 0, length: bytes.length, headers });
  await writeAll(conn, bytes.subarray(0, 5_000_001));
  // The record is written when 4 MiB have come.
  while (!stagedIn(server.path("")).some((name) => name.endsWith(".json"))) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  server.server.reload({ tokens: tokenTable([]) });
  const answer = new Uint8Array(1000);
  const count = await conn.read(answer);
  assertStringIncludes(new TextDecoder().decode(answer.subarray(0, count!)), "HTTP/1.1 401");
  assertEquals((await lookAt(server, path)).status, 401);
  server.server.reload({ tokens: tokenTable([record]) });
  const seen = await lookAt(server, path, headers);
  const offset = Number(seen.headers["upload-offset"]);
  assert(offset >= 4_194_304, `${offset}`);
  const last = await sendBytes(server, path, offset, bytes.subarray(offset), headers);
  assertEquals([last.status, last.headers.etag], [204, `"${md5(bytes)}"`]);
});

Deno.test("an upload is its owner's alone", async () => {
  const [mine, other] = [await token("write"), await token("write")];
  const inbox = await token("write", "inbox");
  const records = [mine, other, inbox].map(({ record }) => record);
  await using server = await HttpServer.start({ tokens: tokenTable(records) });
  const as = ({ token }: { token: string }) => ({ authorization: `Bearer ${token}` });
  const path = await createUpload(server, "f", 10, { headers: as(mine) });
  for (const stranger of [other, inbox]) {
    const { status } = await sendBytes(server, path, 0, "1234567890", as(stranger));
    assertEquals(status, stranger === other ? 404 : 403);
    const headers = { ...TUS, ...as(stranger) };
    assertEquals((await server.request("DELETE", path, { headers })).status, status);
    assertEquals((await server.request("HEAD", path, { headers })).status, status);
  }
  const outside = await server.request("POST", "/.tus/", {
    headers: { ...TUS, ...as(inbox), "upload-length": "1", "upload-metadata": "filename Zg==" },
  });
  assertEquals([outside.status, outside.json.code], [403, "denied"]);
  const inside = await createUpload(server, "f", 1, { at: "/.tus/inbox/", headers: as(inbox) });
  assertEquals((await sendBytes(server, inside, 0, "x", as(inbox))).status, 204);
});

Deno.test("ferry's own client goes on with an upload that began by tus", async () => {
  await using server = await HttpServer.start();
  const bytes = noise(9_500_001, 10);
  const path = await createUpload(server, "f", bytes.length);
  await sendBytes(server, path, 0, bytes.subarray(0, 5_000_001));
  const address = server.server.addresses.find(({ kind }) => kind === "tcp")!;
  await using client = await connect(`127.0.0.1:${address.port}`);
  const [partial] = await Array.fromAsync(client.listParts());
  assertEquals([partial?.filename, partial?.received], ["f", 5_000_001]);
  const result = await client.put(new Blob([bytes as BlobPart]), { as: "f" });
  assertEquals([result.resumedFrom, result.checksum], [5_000_001, md5(bytes)]);
  // To whoever began it, the upload looks as if nothing had come: the file that is there makes up for that.
  assertEquals((await lookAt(server, path)).headers["upload-offset"], "0");
  assertEquals((await sendBytes(server, path, 0, bytes)).status, 204);
});
