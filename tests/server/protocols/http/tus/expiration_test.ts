import { assertEquals } from "@std/assert";
import { createRuntime, MemoryStorage } from "../../../../../mod.ts";
import { Records } from "../../../../../server/files/records.ts";
import { expireAddressedUploads } from "../../../../../server/files/upload_expiry.ts";
import { UploadLocks } from "../../../../../server/files/upload_locks.ts";
import { HttpServer } from "../../../../support/http_server.ts";
import { MovableClock } from "../../../../support/movable_clock.ts";
import { listed } from "../../../../support/stored_files.ts";
import { createUpload, lookAt, sendBytes } from "../../../../support/tus.ts";

const MINUTE = 60_000;

/** A server on a clock, that keeps uploads for 20 minutes, and looks through them every hour. */
async function start() {
  const clock = new MovableClock();
  const runtime = createRuntime({ clock });
  const storage = new MemoryStorage({ runtime });
  const partialTtl = 20 * MINUTE;
  const server = await HttpServer.start({ wrap: () => storage, runtime, partialTtl });
  return { clock, runtime, storage, server };
}

Deno.test("an upload expires when nothing has come for it for some time", async () => {
  const { clock, storage, server } = await start();
  await using _server = server;
  const path = await createUpload(server, "f", 10);
  const part = await createUpload(server, "", 1, {
    headers: { "upload-concat": "partial", "upload-metadata": [] },
  });
  await sendBytes(server, part, 0, "x");
  clock.advance(15 * MINUTE);
  await sendBytes(server, path, 0, "12345");
  clock.advance(15 * MINUTE);
  const seen = await lookAt(server, path);
  assertEquals([seen.status, seen.headers["upload-offset"]], [200, "5"]);
  const expires = Date.parse(seen.headers["upload-expires"] as string);
  assertEquals(Math.round((expires - clock.now()) / MINUTE), 5);
  assertEquals((await lookAt(server, part)).status, 410);
  clock.advance(10 * MINUTE);
  assertEquals((await lookAt(server, path)).status, 410);
  const more = await sendBytes(server, path, 5, "67890");
  assertEquals([more.status, more.json.code], [410, "not_found"]);
  assertEquals((await storage.partialUploads.list()).length, 1);
  clock.advance(21 * MINUTE);
  for (const gone of [path, part]) {
    while ((await lookAt(server, gone)).status === 410);
    assertEquals((await lookAt(server, gone)).status, 404);
  }
  assertEquals(await listed(await storage.internal()), ["parts", "uploads"]);
  assertEquals(await storage.partialUploads.list(), []);
});

Deno.test("what is remembered of a complete upload expires, and the file stays", async () => {
  const { clock, storage, server } = await start();
  await using _server = server;
  const path = await createUpload(server, "f", 5);
  await sendBytes(server, path, 0, "hello");
  clock.advance(19 * MINUTE);
  assertEquals((await lookAt(server, path)).headers["content-location"], "/f");
  clock.advance(2 * MINUTE);
  assertEquals((await lookAt(server, path)).status, 410);
  clock.advance(40 * MINUTE);
  while ((await lookAt(server, path)).status === 410);
  assertEquals(await listed(storage), ["f"]);
});

Deno.test("expireAddressedUploads() leaves alone what somebody works on", async () => {
  const { clock, runtime, storage, server } = await start();
  await using _server = server;
  const path = await createUpload(server, "f", 10);
  await sendBytes(server, path, 0, "12345");
  const records = new Records(() => storage.internal(), runtime);
  const locks = new UploadLocks();
  const options = { storage, records, locks, ttl: 20 * MINUTE, clock };
  const [partial] = await storage.partialUploads.list();
  clock.advance(30 * MINUTE);
  {
    await using write = (await storage.partialUploads.resume(partial!.id, { algorithm: "md5" }))!;
    write.keep();
    await expireAddressedUploads(options);
  }
  {
    using _lock = await locks.take(`addressed/${path.slice("/.tus/".length)}`);
    await expireAddressedUploads(options);
  }
  assertEquals((await storage.partialUploads.list()).length, 1);
  await expireAddressedUploads(options);
  assertEquals(await storage.partialUploads.list(), []);
  assertEquals((await lookAt(server, path)).status, 404);
});
