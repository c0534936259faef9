import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import {
  connect,
  FerryError,
  FsStorage,
  type GetOptions,
  type Progress,
  type PutOptions,
  serve,
  type Server,
} from "../../../mod.ts";
import { InProcess } from "../../support/in_process.ts";
import { TempDir, unrecorded } from "../../support/programs.ts";
import { md5 } from "../../support/bytes.ts";
import { assertCode } from "../../support/assertions.ts";

/** An address of this machine that nobody listens on. */
function freeAddress(): string {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return `127.0.0.1:${listener.addr.port}`;
}

Deno.test("Client.put() takes bytes and Client.get() stores them, with progress", async () => {
  await using p = await InProcess.start();
  const bytes = new Uint8Array(3_000_000).fill(7);
  const seen: Progress[] = [];
  const onProgress = (progress: Progress) => void seen.push(progress);
  const put = await p.client.put(bytes, { as: "d/f", onProgress });
  assertEquals(put, {
    filename: "d/f",
    checksum: md5(bytes),
    size: 3_000_000,
    skipped: false,
    transferred: 3_000_000,
    resumedFrom: 0,
  });
  assertEquals(seen.at(-1), { filename: "d/f", bytes: 3_000_000, total: 3_000_000 });
  assert(seen.length > 1);
  const out = p.dir.join("copy");
  assertEquals((await p.client.get("d/f", { out })).checksum, md5(bytes));
  assertEquals(Deno.readFileSync(out), bytes);
});

Deno.test("Client takes requests that are made at the same time", async () => {
  await using p = await InProcess.start();
  const names = Array.from({ length: 50 }, (_, n) => `f${n}`);
  await Promise.all(
    names.map((name) => p.client.put(new TextEncoder().encode(name), { as: name })),
  );
  const entries = await Promise.all(names.map((name) => p.client.stat(name)));
  assertEquals(entries.map((entry) => entry.checksum), names.map((name) => md5(name)));
  const listed = [];
  for await (const entry of p.client.list()) listed.push(entry.filename);
  assertEquals(listed, [...names].sort());
});

Deno.test("Client.list() that is left early leaves the connection usable", async () => {
  await using p = await InProcess.start();
  for (const name of ["a", "b", "c"]) await p.client.put(new Uint8Array(1), { as: name });
  for await (const entry of p.client.list()) {
    assertEquals(entry.filename, "a");
    break;
  }
  await p.client.ping();
});

Deno.test("Client goes on after an error of the server", async () => {
  await using p = await InProcess.start();
  const error = await assertCode("not_found", () => p.client.stat("nope"));
  assertEquals(error.message, 'Cannot stat "nope": no such file or directory (on the server)');
  await assertCode("bad_name", () => p.client.put(new Uint8Array(9), { as: "../x" }));
  await assertCode("not_found", () => p.client.get("nope", { out: p.dir.join("x") }));
  await p.client.ping();
});

Deno.test("Client.put() of a file that grows while it is sent fails and changes nothing", async () => {
  await using p = await InProcess.start();
  const path = p.dir.write("growing", new Uint8Array(20_000_000));
  let grown = false;
  const error = await assertCode("io", () =>
    p.client.put(path, {
      as: "f",
      onProgress() {
        if (!grown) Deno.writeFileSync(path, new Uint8Array(1), { append: true });
        grown = true;
      },
    }));
  assertStringIncludes(
    error.message,
    "it changed while it was sent: 20000000 bytes before, 20000001",
  );
  await assertCode("not_found", () => p.client.stat("f"));
  assertEquals(p.staged(), []);
});

Deno.test("Client.put() of a file that shrinks while it is sent fails and changes nothing", async () => {
  await using p = await InProcess.start();
  const path = p.dir.write("shrinking", new Uint8Array(40_000_000));
  const error = await assertCode(
    "io",
    () => p.client.put(path, { as: "f", onProgress: () => Deno.truncateSync(path, 1000) }),
  );
  assertStringIncludes(error.message, "it shrank while it was sent");
  await using again = await p.connect();
  await assertCode("not_found", () => again.stat("f"));
  // The server throws the part away when it sees the end, and answers on other connections meanwhile.
  while (p.staged().length > 0) await again.ping();
});

Deno.test("Client.put() and get() can be aborted", async () => {
  await using p = await InProcess.start();
  const path = p.dir.write("f", new Uint8Array(30_000_000));
  await p.client.put(path, { as: "there" });
  const reason = new Error("enough");
  for (const direction of ["put", "get"] as const) {
    await using client = await p.connect();
    const controller = new AbortController();
    const options = { signal: controller.signal, onProgress: () => controller.abort(reason) };
    const error = await assertRejects(
      () =>
        direction === "put"
          ? client.put(path, { as: "aborted", ...options })
          : client.get("there", { out: p.dir.join("aborted"), ...options }),
      Error,
    );
    assertEquals(error, reason);
    // The connection ended, and the next request makes another.
    await client.ping();
  }
  await assertCode("not_found", () => p.client.stat("aborted"));
  // Of the download a part is kept, if some of it had come.
  const left = [...Deno.readDirSync(p.dir.path)].map(({ name }) => name).sort();
  assertEquals(left.filter((name) => !name.startsWith(".ferry-")), ["f", "root"]);
  assertEquals(unrecorded(p.dir.path), []);
});

Deno.test("Client.get() and put() tell from where they go on", async () => {
  await using p = await InProcess.start();
  const size = 32 * 1024 * 1024;
  const here = p.dir.write("f", new Uint8Array(size));
  p.dir.write("root/f", new Uint8Array(size));
  const transfers = {
    get: (options: GetOptions) => p.client.get("f", { ...options, out: p.dir.join("copy") }),
    put: (options: PutOptions) => p.client.put(here, { ...options, as: "g" }),
  };
  for (const [op, transfer] of Object.entries(transfers)) {
    const controller = new AbortController();
    const cut = transfer({
      signal: controller.signal,
      onProgress({ bytes, resumedFrom }) {
        assertEquals(resumedFrom, undefined);
        if (bytes > size / 2) controller.abort(new FerryError("closed", "enough"));
      },
    });
    await assertCode("closed", () => cut);
    await p.uploadsEnded();
    const seen = new Set<number | undefined>();
    const { resumedFrom } = await transfer({ onProgress: (p) => void seen.add(p.resumedFrom) });
    assertEquals([...seen], [resumedFrom], op);
    assert(resumedFrom > 0, op);
  }
});

Deno.test("Client.get() refuses to replace another local file, whatever happens meanwhile", async () => {
  await using p = await InProcess.start();
  const out = p.dir.join("out");
  await p.client.put(new Uint8Array(2_000_000), { as: "f" });
  let planted = false;
  await assertCode("exists", () =>
    p.client.get("f", {
      out,
      onProgress() {
        if (!planted) Deno.writeTextFileSync(out, "mine");
        planted = true;
      },
    }));
  assertEquals(Deno.readTextFileSync(out), "mine");
  assertEquals([...Deno.readDirSync(p.dir.path)].map(({ name }) => name).sort(), ["out", "root"]);
});

Deno.test("connect() says what is wrong with an address, and can be given up", async () => {
  await assertCode("usage", () => connect("a b"));
  await assertCode("unreachable", () => connect("127.0.0.1:1", { retries: 0 }));
  const reason = new Error("enough");
  const error = await assertRejects(
    () => connect("127.0.0.1:1", { signal: AbortSignal.abort(reason) }),
    Error,
  );
  assertEquals(error, reason);
});

Deno.test("connect() tries again where the server is not there yet", async () => {
  await using dir = new TempDir();
  await using storage = FsStorage.open(dir.path);
  const address = freeAddress();
  let server: Server | undefined;
  const starting = Promise.withResolvers<void>();
  const tries: [code: string, attempt: number][] = [];
  await using client = await connect(address, {
    retries: 1,
    onRetry({ error, attempt }) {
      tries.push([error.code, attempt]);
      serve({ storage, listen: address }).then((it) => server = it).then(() => starting.resolve());
    },
  });
  await starting.promise;
  await using _server = server!;
  await client.ping();
  assertEquals(tries, [["unreachable", 1]]);
});

Deno.test("serve() refuses a public address that nobody was allowed to use", async () => {
  await using dir = new TempDir();
  await using storage = FsStorage.open(dir.path);
  const error = await assertCode("usage", () => serve({ storage, listen: "0.0.0.0:0" }));
  assertStringIncludes(error.message, "Cannot listen on 0.0.0.0:0: ");
  await using server = await serve({ storage, listen: "0.0.0.0:0", anonymous: ["read"] });
  await using client = await connect(`127.0.0.1:${server.addresses[0]!.port}`);
  await assertCode("denied", () => client.put(new Uint8Array(1), { as: "x" }));
});

Deno.test("Server.close() ends idle connections and can be repeated", async () => {
  await using p = await InProcess.start();
  await p.client.ping();
  await Promise.all([p.server.close(), p.server.close()]);
  await assertCode("closed", () => p.client.ping());
  await assertCode("unreachable", () => p.client.ping());
});

Deno.test("Server.close() waits for what is under way no longer than it is told", async () => {
  await using p = await InProcess.start();
  const conn = await Deno.connect({ port: p.server.addresses[0]!.port, hostname: "127.0.0.1" });
  const header = new TextEncoder().encode(`{"op":"put","filename":"f","total_size":10}`);
  await conn.write(new Uint8Array([header.length, 0, 0, 0, ...header, 1]));
  while (p.staged().length === 0) await p.client.ping();
  await p.server.close({ drainTimeout: 50 });
  assertEquals(p.staged(), []);
  conn.close();
});
