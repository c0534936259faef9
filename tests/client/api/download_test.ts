import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { type Client, FerryError, type GetOptions } from "../../../mod.ts";
import { downloadInto } from "../../support/downloading_process.ts";
import { InProcess, withFiles } from "../../support/in_process.ts";
import { concat } from "../../support/vectors.ts";
import { md5, patterned } from "../../support/bytes.ts";
import { assertCode } from "../../support/assertions.ts";
import { keptStream } from "../../support/kept_stream.ts";

/** Every kind of destination: what comes of a file there. */
const DESTINATIONS: Readonly<
  Record<
    string,
    (client: Client, path: string, options?: GetOptions) => Promise<Uint8Array<ArrayBuffer>>
  >
> = {
  async "a path"(client, out, options) {
    await client.get("f", { ...options, out, overwrite: "always" });
    return Deno.readFileSync(out);
  },
  async "a file: URL"(client, path, options) {
    const out = new URL(`file://${path}`);
    await client.get("f", { ...options, out, overwrite: "always" });
    return Deno.readFileSync(path);
  },
  async "bytes()"(client, _, options) {
    return await client.get("f", { ...options, out: undefined }).bytes();
  },
  async "stream()"(client, _, options) {
    return concat(await Array.fromAsync(client.get("f", { ...options, out: undefined }).stream()));
  },
  async "stream(), with memory of its reader's"(client, _, options) {
    const stream = client.get("f", { ...options, out: undefined }).stream();
    const reader = stream.getReader({ mode: "byob" });
    const pieces: Uint8Array[] = [];
    for (;;) {
      const { done, value } = await reader.read(new Uint8Array(100_000));
      if (done) return concat(pieces);
      pieces.push(value);
    }
  },
  async "a WritableStream"(client, _, options) {
    const { stream, pieces, end } = keptStream();
    await client.get("f", { ...options, out: stream });
    assertEquals([end(), stream.locked], ["closed", false]);
    return concat(pieces);
  },
  async "a TransformStream"(client, _, options) {
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const get = client.get("f", { ...options, out: writable });
    const [pieces] = await Promise.all([Array.fromAsync(readable), get]);
    return concat(pieces);
  },
  async "an open file"(client, path, options) {
    const { writable } = Deno.createSync(path);
    await client.get("f", { ...options, out: writable });
    return Deno.readFileSync(path);
  },
  async "an object that can write()"(client, _, options) {
    const pieces: Uint8Array[] = [];
    const write = (bytes: Uint8Array) => Promise.resolve(void pieces.push(bytes.slice()));
    await client.get("f", { ...options, out: { write } });
    return concat(pieces);
  },
};

Deno.test("Client.get() gives a file to every kind of destination, of any size", async (t) => {
  await using p = await InProcess.start();
  for (const size of [0, 1, 64 * 1024, 1024 * 1024, 5_000_000]) {
    const bytes = patterned(size);
    await p.client.put(bytes, { as: "f", overwrite: "always" });
    for (const [kind, get] of Object.entries(DESTINATIONS)) {
      await t.step(`${kind}, ${size} bytes`, async () => {
        let last = 0;
        const onProgress = ({ bytes }: { bytes: number }) => last = bytes;
        const got = await get(p.client, p.dir.join("out"), { onProgress });
        assertEquals([got.length, md5(got), last], [size, md5(bytes), size]);
      });
    }
  }
});

Deno.test("Client.get() to two destinations at once gives both all of it", async () => {
  await using p = await InProcess.start();
  const bytes = patterned(3_000_000);
  await p.client.put(bytes, { as: "f" });
  const gets = Object.values(DESTINATIONS).flatMap((get, i) => [
    get(p.client, p.dir.join(`a${i}`)),
    get(p.client, p.dir.join(`b${i}`)),
  ]);
  for (const got of await Promise.all(gets)) assertEquals(md5(got), md5(bytes));
});

Deno.test("Client.get() whose bytes are not the file fails everywhere", async (t) => {
  const wrong = "0".repeat(32);
  await using p = await InProcess.start(withFiles((file) => ({
    entry: { ...file.entry, checksum: wrong },
  })));
  await p.client.put(patterned(3_000_000), { as: "f" });
  for (const [kind, get] of Object.entries(DESTINATIONS)) {
    await t.step(kind, async () => {
      const out = p.dir.join("out");
      const error = await assertCode("checksum_mismatch", () => get(p.client, out));
      assertStringIncludes(error.message, 'Cannot get "f": ');
    });
  }
  const { stream, end } = keptStream();
  const error = await assertCode("checksum_mismatch", () => p.client.get("f", { out: stream }));
  assertEquals([end(), stream.locked], [error, false]);
  await assertCode("checksum_mismatch", () => p.client.get("f").text());
});

Deno.test("Client.get() of a file that cannot be read on fails everywhere", async (t) => {
  await using p = await InProcess.start(withFiles((file) => {
    let left = 2_000_000;
    return {
      async read(into) {
        if (left <= 0) throw new FerryError("io", "the disk is broken");
        const count = await file.read(into.subarray(0, left));
        left -= count ?? 0;
        return count;
      },
    };
  }));
  await p.client.put(patterned(3_000_000), { as: "f" });
  for (const [kind, get] of Object.entries(DESTINATIONS)) {
    await t.step(kind, async () => {
      await assertCode("closed", () => get(p.client, p.dir.join("out")));
      await p.client.ping();
    });
  }
});

Deno.test("Client.get() of what is not there fails everywhere, and asks for nothing more", async (t) => {
  await using p = await InProcess.start();
  for (const [kind, get] of Object.entries(DESTINATIONS)) {
    await t.step(kind, async () => {
      await assertCode("not_found", () => get(p.client, p.dir.join("out")));
    });
  }
});

Deno.test("Client.get() refuses what it cannot write to, and names it", async (t) => {
  await using p = await InProcess.start();
  await p.client.put(patterned(1), { as: "f" });
  const locked = keptStream().stream;
  locked.getWriter();
  using file = Deno.createSync(p.dir.join("file"));
  const table: [string, unknown, string][] = [
    ["a locked stream", locked, "the stream is locked"],
    ["an address", new URL("http://example.org/f"), '"http://example.org/f" is no file: URL'],
    // Its write() takes some of the bytes only.
    ["an open file", file, "a FsFile takes no download, though its writable does: give a path"],
    ["a stream to read", new Blob(["x"]).stream(), "a ReadableStream takes no download"],
    ["a number", 1, "a number takes no download"],
    ["null", null, "null takes no download"],
    ["an object", {}, "an object takes no download"],
  ];
  for (const [what, out, words] of table) {
    await t.step(what, async () => {
      const options = { out } as unknown as GetOptions;
      const error = await assertCode("usage", () => p.client.get("f", options));
      assertStringIncludes(error.message, `Cannot get "f": ${words}`);
    });
  }
});

Deno.test("Client.get() throws what a destination fails with as it is", async (t) => {
  await using p = await InProcess.start();
  for (const size of [1000, 5_000_000]) {
    await p.client.put(patterned(size), { as: "f", overwrite: "always" });
    for (
      const failure of [new Error("full"), new FerryError("closed", "full"), "full", undefined]
    ) {
      await t.step(`${failure}, ${size} bytes`, async () => {
        const outs = [
          { write: () => Promise.reject(failure) },
          new WritableStream({ write: () => Promise.reject(failure) }),
        ];
        for (const out of outs) {
          const outcome = p.client.get("f", { out }).then(() => "got it", (error) => error);
          assertEquals(await outcome, failure);
          await p.client.ping();
        }
      });
    }
  }
  const failure = new Error("at the end");
  const out = new WritableStream({ close: () => Promise.reject(failure) });
  assertEquals(await assertRejects(() => p.client.get("f", { out }), Error), failure);
  assertEquals(out.locked, false);
});

Deno.test("Client.get() that is given up or closed waits for no destination that does not end", async (t) => {
  await using p = await InProcess.start();
  await p.client.put(patterned(1000), { as: "f" });
  for (const end of ["signal", "close()"]) {
    await t.step(end, async () => {
      await using client = await p.connect();
      const closing = Promise.withResolvers<void>();
      const out = new WritableStream({
        close() {
          closing.resolve();
          return new Promise(() => {});
        },
      });
      const controller = new AbortController();
      const got = client.get("f", { out, signal: controller.signal });
      got.catch(() => {});
      await closing.promise;
      await client.ping();
      if (end === "signal") {
        const reason = new Error("enough");
        controller.abort(reason);
        assertEquals(await assertRejects(() => got, Error), reason);
      } else {
        await client.close();
        await assertCode("closed", () => got);
      }
      assertEquals(out.locked, false);
    });
  }
});

Deno.test("Download.stream() fails in its reader alone where that wants larger elements than are left", async () => {
  await using p = await InProcess.start();
  await p.client.put(patterned(10), { as: "f" });
  const reader = p.client.get("f").stream().getReader({ mode: "byob" });
  const read = async () => {
    while (!(await reader.read(new Uint32Array(8))).done);
  };
  await assertRejects(read, TypeError);
  await p.client.ping();
});

Deno.test("Download.stream() that is cancelled ends the transfer, and the client goes on", async (t) => {
  await using p = await InProcess.start();
  for (const size of [0, 1000, 20_000_000]) {
    await p.client.put(patterned(size), { as: "f", overwrite: "always" });
    for (const pieces of [0, 1, 3]) {
      await t.step(`${size} bytes, after ${pieces} pieces`, async () => {
        const reader = p.client.get("f").stream().getReader();
        for (let i = 0; i < pieces; i++) await reader.read();
        await reader.cancel("enough");
        await p.client.ping();
      });
    }
  }
  for await (const _ of p.client.get("f").stream()) break;
  assertEquals((await p.client.stat("f")).size, 20_000_000);
});

Deno.test("Download.stream() that is cancelled while the server says nothing ends at once", async () => {
  const reading = Promise.withResolvers<void>();
  const blocked = Promise.withResolvers<void>();
  await using p = await InProcess.start(withFiles((file) => ({
    async read(into) {
      reading.resolve();
      await blocked.promise;
      return await file.read(into);
    },
  })));
  await p.client.put(patterned(3_000_000), { as: "f" });
  const reader = p.client.get("f").stream().getReader();
  const read = reader.read();
  await reading.promise;
  await reader.cancel("enough");
  assertEquals((await read).done, true);
  await p.client.ping();
  blocked.resolve();
});

Deno.test("Download.stream() fails with the signal's reason, also while nobody reads", async () => {
  await using p = await InProcess.start();
  await p.client.put(patterned(20_000_000), { as: "f" });
  const controller = new AbortController();
  const stream = p.client.get("f", { signal: controller.signal }).stream();
  const reader = stream.getReader();
  await reader.read();
  const reason = new Error("enough");
  controller.abort(reason);
  assertEquals(await assertRejects(() => reader.closed, Error), reason);
  await p.client.ping();
});

Deno.test("Download.stream() reads no more of a file than is taken, and a little", async () => {
  let read = 0;
  await using p = await InProcess.start(withFiles((file) => ({
    async read(into) {
      const count = await file.read(into);
      read += count ?? 0;
      return count;
    },
  })));
  await p.client.put(patterned(64 * 1024 * 1024), { as: "f" });
  const reader = p.client.get("f").stream().getReader();
  const { value } = await reader.read();
  assert(value!.length > 0);
  // The buffers of two systems hold some MiB, whatever this side takes.
  await p.client.ping();
  assert(read < 40_000_000, `${read} bytes were read`);
  let size = value!.length;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.length;
  }
  assertEquals(size, 64 * 1024 * 1024);
});

Deno.test("Download.text() gives text, and says where there is none", async () => {
  await using p = await InProcess.start();
  const put = (bytes: Uint8Array) => p.client.put(bytes, { as: "f", overwrite: "always" });
  await put(new TextEncoder().encode("grüße, 世界"));
  assertEquals(await p.client.get("f").text(), "grüße, 世界");
  await put(new Uint8Array());
  assertEquals(await p.client.get("f").text(), "");
  await put(Uint8Array.of(0x61, 0xff));
  const error = await assertCode("io", () => p.client.get("f").text());
  assertStringIncludes(error.message, "it is no text in UTF-8");
});

Deno.test("Client.get() without a destination asks for nothing before it is awaited", async () => {
  await using p = await InProcess.start();
  await p.client.put(patterned(1000), { as: "d/name" });
  assertEquals(await downloadInto(p.dir.path, p.address), {
    before: ["root"],
    size: 1000,
    skipped: false,
    after: ["name", "root"],
    skippedAgain: true,
    code: "not_found",
  });
  assertEquals(Deno.readFileSync(p.dir.join("name")), patterned(1000));
});

Deno.test("Client.get() with dryRun gives nothing to anybody", async () => {
  await using p = await InProcess.start();
  await p.client.put(patterned(1000), { as: "f" });
  const { stream, pieces, end } = keptStream();
  const planned = await p.client.get("f", { out: stream, dryRun: true });
  assertEquals([planned.size, planned.transferred], [1000, 0]);
  assertEquals([pieces.length, end(), stream.locked], [0, "open", false]);
  for (const read of ["bytes", "text"] as const) {
    const error = await assertCode("usage", () => p.client.get("f", { dryRun: true })[read]());
    assertEquals(error.message, 'Cannot get "f": a dry run fetches no bytes');
  }
  await assertCode("usage", () => Array.fromAsync(p.client.get("f", { dryRun: true }).stream()));
});

Deno.test("Download.bytes() begins anew where a connection is lost in its middle", async () => {
  let broken = false;
  await using p = await InProcess.start(withFiles((file) => ({
    async read(into) {
      if (!broken) {
        broken = true;
        const count = await file.read(into);
        // The next read of this file comes too late.
        file.seek(1e9);
        return count;
      }
      return await file.read(into);
    },
  })));
  await p.client.put(patterned(3_000_000), { as: "f" });
  const { connect } = await import("../../../mod.ts");
  await using client = await connect(p.address, { retries: 1 });
  assertEquals(md5(await client.get("f").bytes()), md5(patterned(3_000_000)));
});
