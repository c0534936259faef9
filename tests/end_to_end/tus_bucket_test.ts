/**
 * Uploads by tus to two `ferryd` over one bucket of a real object store, of which one is killed.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { bucketRootArgs } from "../support/bucket_root.ts";
import { md5, MIB } from "../support/bytes.ts";
import { CEPH } from "../support/engines/ceph.ts";
import { Engine, testWithEngine } from "../support/engines/engine.ts";
import { send } from "../support/http_server.ts";
import { Ferryd } from "../support/programs.ts";
import { randomBytes } from "../support/random_file.ts";
import { BYTES, createUpload, lookAt, sendBytes, type TusServer } from "../support/tus.ts";

testWithEngine(CEPH, "an upload whose server was killed goes on at another one", async () => {
  const engine = await Engine.shared(CEPH);
  const { root, args, env } = bucketRootArgs(engine, await engine.bucket());
  const start = () => Ferryd.start(root, [...args, "--http", "127.0.0.1:0"], { env });
  await using killed = await start();
  await using other = await start();
  const clientOf = (server: Ferryd): TusServer => ({
    request: (method, target, options) => send(server.portOf("http"), method, target, options),
  });
  const bytes = randomBytes(40 * MIB + 3, 1);
  const path = await createUpload(clientOf(killed), "f", bytes.length);
  await sendBytes(clientOf(killed), path, 0, bytes.subarray(0, 100_001));

  // The server is killed while it stores the parts of a PATCH that has not ended.
  const conn = await Deno.connect({ hostname: "127.0.0.1", port: killed.portOf("http") });
  const fields = { ...BYTES, host: "127.0.0.1", "upload-offset": "100001" };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`).join("");
  const length = bytes.length - 100_001;
  const head = `PATCH ${path} HTTP/1.1\r\n${lines}content-length: ${length}\r\n\r\n`;
  await conn.write(new TextEncoder().encode(head));
  const sent = 30 * MIB;
  for (let at = 100_001; at < sent;) at += await conn.write(bytes.subarray(at, sent));
  let known = 0;
  while (known < 8 * MIB) {
    const { headers } = await lookAt(clientOf(other), path);
    known = Number(headers["upload-offset"]);
  }
  await killed.stop("SIGKILL");
  conn.close();

  const { headers } = await lookAt(clientOf(other), path);
  const offset = Number(headers["upload-offset"]);
  assert(offset >= known && offset <= sent, `${offset}`);
  // Until its lease has ended, the server that was killed might still be there.
  let last;
  do last = await sendBytes(clientOf(other), path, offset, bytes.subarray(offset)); while (
    last.status === 423
  );
  assertEquals([last.status, last.headers.etag], [204, `"${md5(bytes)}"`], last.text);
  const file = await clientOf(other).request("GET", "/f");
  assertEquals(md5(file.bytes), md5(bytes));
});
