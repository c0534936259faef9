import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { Readable } from "node:stream";
import { nameOf, uploadSourceOf } from "../../../client/transfer/source.ts";
import { type Client, FerryError, type Progress, type Source } from "../../../mod.ts";
import { InProcess } from "../../support/in_process.ts";
import { md5, patterned, utf8 } from "../../support/bytes.ts";
import { assertCode } from "../../support/assertions.ts";

/** A stream, one that gives its bytes on demand, in pieces of 100,000. */
function streamOf(bytes: Uint8Array<ArrayBuffer>, type?: "bytes"): ReadableStream<Uint8Array> {
  let at = 0;
  const source = {
    pull(controller: ReadableStreamDefaultController | ReadableByteStreamController) {
      if (at < bytes.length) controller.enqueue(bytes.slice(at, at += 100_000));
      else controller.close();
    },
  };
  return type ? new ReadableStream({ type, ...source }) : new ReadableStream<Uint8Array>(source);
}

async function* piecesOf(bytes: Uint8Array) {
  for (let at = 0; at < bytes.length; at += 100_000) yield bytes.subarray(at, at + 100_000);
}

/** Every kind of source, of the same bytes. */
const SOURCES: Readonly<
  Record<string, (bytes: Uint8Array<ArrayBuffer>, path: string) => Source>
> = {
  "a path": (_, path) => path,
  "a file: URL": (_, path) => new URL(`file://${path}`),
  "a Blob": (bytes) => new Blob([bytes]),
  "a File": (bytes) => new File([bytes], "f"),
  "a Uint8Array": (bytes) => bytes,
  "a part of a buffer": (bytes) => {
    const larger = new Uint8Array(bytes.length + 20);
    larger.set(bytes, 10);
    return larger.subarray(10, 10 + bytes.length);
  },
  "an ArrayBuffer": (bytes) => bytes.buffer,
  "a DataView": (bytes) => new DataView(bytes.buffer),
  "bytes that are shared": (bytes) => {
    const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
    shared.set(bytes);
    return shared;
  },
  "a stream": (bytes) => streamOf(bytes),
  "a stream of bytes": (bytes) => streamOf(bytes, "bytes"),
  "the body of a response": (bytes) => new Response(bytes).body!,
  "a generator": (bytes) => piecesOf(bytes),
  "a stream of Node's": (bytes) => Readable.from(piecesOf(bytes)),
};

Deno.test("Client.put() stores every kind of source, of any size", async (t) => {
  await using p = await InProcess.start();
  for (const size of [0, 1, 64 * 1024, 3_000_000, 9 * 1024 * 1024]) {
    const bytes = patterned(size);
    const path = p.dir.write("f", bytes);
    for (const [kind, sourceOf] of Object.entries(SOURCES)) {
      await t.step(`${kind}, ${size} bytes`, async () => {
        let last: Progress | undefined;
        const put = await p.client.put(sourceOf(bytes, path), {
          as: "d/f",
          overwrite: "always",
          delta: false,
          onProgress: (progress) => last = progress,
        });
        assertEquals([put.checksum, put.size, put.transferred], [md5(bytes), size, size]);
        assertEquals(md5(Deno.readFileSync(p.served("d/f"))), md5(bytes));
        if (size > 0) assertEquals(last?.bytes, size);
      });
    }
  }
});

Deno.test("Client.put() names what has a name of its own, and asks for one of the rest", async () => {
  await using p = await InProcess.start();
  const path = p.dir.write("a b.txt", "x");
  const url = new URL(`file://${p.dir.path}/a%20b.txt`);
  for (const source of [path, url, new File(["x"], "a b.txt")]) {
    assertEquals((await p.client.put(source)).filename, "a b.txt");
  }
  for (const [kind, sourceOf] of Object.entries(SOURCES)) {
    if (["a path", "a file: URL", "a File"].includes(kind)) continue;
    const source = sourceOf(patterned(1), path);
    const error = await assertCode("usage", () => p.client.put(source));
    assertStringIncludes(error.message, "needs one: the option `as`", kind);
  }
  assertEquals(nameOf(new File([], "")), undefined);
});

Deno.test("Client.put() of a File keeps its time where times are kept", async () => {
  await using p = await InProcess.start();
  const file = new File(["x"], "f", { lastModified: 1_700_000_000_000 });
  await p.client.put(file, { preserve: true });
  assertEquals((await p.client.stat("f")).mtime, 1_700_000_000_000);
  const older = new File(["older"], "f", { lastModified: 1_600_000_000_000 });
  assertEquals((await p.client.put(older, { overwrite: "newer" })).skipped, true);
});

Deno.test("Client.put() of a large Blob, and of bytes, goes on where it was cut", async (t) => {
  await using p = await InProcess.start();
  // More than the buffers of both sides and of the system take, so that a part is kept.
  const bytes = patterned(40 * 1024 * 1024);
  for (const source of [new Blob([bytes]), bytes]) {
    await t.step(source.constructor.name, async () => {
      const as = source.constructor.name;
      const controller = new AbortController();
      const reason = new Error("cut");
      const cut = p.client.put(source, {
        as,
        signal: controller.signal,
        onProgress: (progress) => progress.bytes > 32_000_000 && controller.abort(reason),
      });
      assertEquals(await assertRejects(() => cut, Error), reason);
      await p.uploadsEnded();
      const { checksum, resumedFrom } = await p.client.put(source, { as });
      assertEquals(checksum, md5(bytes));
      assert(resumedFrom > 0);
    });
  }
});

function detached(): Uint8Array {
  const bytes = patterned(10);
  structuredClone(bytes, { transfer: [bytes.buffer] });
  return bytes;
}

Deno.test("Client.put() refuses what it cannot upload, and names it", async (t) => {
  await using p = await InProcess.start();
  const locked = streamOf(patterned(1));
  locked.getReader();
  const read = streamOf(patterned(200_000));
  const reader = read.getReader();
  await reader.read();
  reader.releaseLock();
  const empty = streamOf(patterned(0));
  assertEquals(await Array.fromAsync(empty), []);
  const file = await Deno.open(p.dir.write("f", "x"));
  await using _file = { [Symbol.asyncDispose]: () => file.readable.cancel() };
  const table: [string, unknown, string][] = [
    ["an array of texts", ["a", "b"], "an array cannot be uploaded"],
    ["an array of bytes", [1, 2, 3], "an array cannot be uploaded"],
    ["an address", new URL("http://example.org/f"), '"http://example.org/f" is no file: URL'],
    ["a data: URL", new URL("data:,x"), '"data:,x" is no file: URL'],
    ["a locked stream", locked, "the stream is locked"],
    ["a stream that was begun", read, "the stream has been read from"],
    ["a stream that was read to its end", empty, "the stream has been read from"],
    [
      "a response",
      new Response("x"),
      "a Response cannot be uploaded, though its body can: give a path",
    ],
    ["an open file", file, "a FsFile cannot be uploaded, though its readable can: "],
    ["the empty path", "", "the path is empty"],
    ["a number", 7, "a number cannot be uploaded"],
    ["nothing", undefined, "undefined cannot be uploaded"],
    ["null", null, "null cannot be uploaded"],
    ["an object", { path: "f" }, "an object cannot be uploaded"],
    ["an object without a class", Object.create(null), "an object cannot be uploaded"],
    ["a form", new FormData(), "a FormData cannot be uploaded"],
    ["a function", () => "f", "a function cannot be uploaded"],
    ["bytes that were given away", detached(), "the bytes are here no longer"],
  ];
  for (const [what, source, words] of table) {
    await t.step(what, async () => {
      const error = await assertCode("usage", () => p.client.put(source as Source, { as: "g" }));
      assertStringIncludes(error.message, `Cannot put "g": ${words}`);
    });
  }
  for (const size of [-1, 1.5, NaN, Infinity]) {
    await assertCode("usage", () => p.client.put(streamOf(patterned(1)), { as: "g", size }));
  }
  await assertCode("not_found", () => p.client.stat("g"));
  await p.client.ping();
});

Deno.test("put and get refuse paths that no file system takes", async () => {
  await using p = await InProcess.start();
  await p.client.put(patterned(1), { as: "f" });
  const path = p.dir.join("a\0b");
  await assertCode("bad_name", () => p.client.put(path, { as: "g" }));
  await assertCode("bad_name", () => p.client.get("f", { out: path }));
  await assertCode("bad_name", () => p.client.putTree(path));
  await assertCode("bad_name", () => p.client.getTree("", { out: path }));
});

Deno.test("Client.put() refuses pieces that are no bytes, and stores nothing", async (t) => {
  await using p = await InProcess.start();
  const text = new Blob(["hello"]).stream().pipeThrough(new TextDecoderStream());
  async function* mixed() {
    yield utf8.encode("a");
    yield "b";
  }
  async function* numbers() {
    yield 1;
  }
  const table: [string, unknown, string][] = [
    ["a stream of text", text, "gives a string where"],
    ["bytes and text", mixed(), "gives a string where"],
    ["numbers", numbers(), "gives a number where"],
    ["buffers", streamOfBuffers(), "gives an ArrayBuffer where"],
  ];
  for (const [what, source, words] of table) {
    await t.step(what, async () => {
      const error = await assertCode("usage", () => p.client.put(source as Source, { as: "g" }));
      assertStringIncludes(error.message, words);
    });
  }
  await assertCode("not_found", () => p.client.stat("g"));
  assertEquals(p.staged(), []);
});

function streamOfBuffers(): ReadableStream {
  return new ReadableStream({
    start(controller) {
      controller.enqueue(new ArrayBuffer(3));
      controller.close();
    },
  });
}

Deno.test("Client.put() holds every source to its size", async (t) => {
  await using p = await InProcess.start();
  for (const size of [3, 2_500_000]) {
    const bytes = patterned(size);
    const path = p.dir.write("f", bytes);
    for (const [kind, sourceOf] of Object.entries(SOURCES)) {
      await t.step(`${kind}, ${size} bytes`, async () => {
        for (const told of [size - 1, size + 1]) {
          const put = () => p.client.put(sourceOf(bytes, path), { as: "f", size: told });
          const error = await assertCode("io", put);
          assertStringIncludes(error.message, `${told}`);
          await assertCode("not_found", () => p.client.stat("f"));
        }
        const totals = new Set<number | null>();
        await p.client.put(sourceOf(bytes, path), {
          as: "f",
          size,
          onProgress: ({ total }) => totals.add(total),
        });
        assertEquals([...totals], [size]);
        await p.client.remove("f");
      });
    }
  }
  assertEquals(p.staged(), []);
});

Deno.test("Client.put() of a stream with a size asks first, and does not send in vain", async () => {
  await using p = await InProcess.start();
  await p.client.put(patterned(5), { as: "f" });
  let cancelled: unknown;
  let pulled = 0;
  const stream = new ReadableStream<Uint8Array>({
    pull(controller) {
      pulled++;
      controller.enqueue(patterned(1000));
    },
    cancel: (reason) => void (cancelled = reason),
  });
  const error = await assertCode("exists", () => p.client.put(stream, { as: "f", size: 2 ** 40 }));
  assertEquals(cancelled, error);
  assertEquals(pulled <= 1, true, "only what a stream reads by itself");
});

/** A source that breaks, or that waits forever, behind some bytes; `ended` tells what it was ended with. */
function endless(kind: string, behind: () => Promise<void>): { source: Source; ended: unknown[] } {
  const ended: unknown[] = [];
  let given = false;
  const next = async () => {
    if (given) await behind();
    given = true;
    return patterned(200_000);
  };
  if (kind === "stream") {
    return {
      ended,
      source: new ReadableStream<Uint8Array>({
        async pull(controller) {
          controller.enqueue(await next());
        },
        cancel: (reason) => void ended.push(reason),
      }),
    };
  }
  async function* generator() {
    try {
      for (;;) yield await next();
    } finally {
      ended.push("returned");
    }
  }
  const iterator = {
    next: async () => ({ done: false as const, value: await next() }),
    return(reason: unknown) {
      ended.push(reason);
      return Promise.resolve({ done: true as const, value: undefined });
    },
  };
  const source = kind === "generator" ? generator() : { [Symbol.asyncIterator]: () => iterator };
  return { source: source as AsyncIterable<Uint8Array>, ended };
}

Deno.test("Client.put() throws what a source fails with as it is, and stores nothing", async (t) => {
  await using p = await InProcess.start();
  const failures = [new Error("broken"), new FerryError("closed", "broken"), "a text", undefined];
  for (const kind of ["stream", "generator", "iterator"]) {
    for (const failure of failures) {
      await t.step(`${kind}, ${failure}`, async () => {
        const { source } = endless(kind, () => Promise.reject(failure));
        const put = () => p.client.put(source, { as: "f" });
        assertEquals(await put().then(() => "stored", (error) => error), failure);
        // The connection is good for the next one.
        await assertCode("not_found", () => p.client.stat("f"));
      });
    }
  }
  const failure = new Error("no iterator");
  const source = {
    [Symbol.asyncIterator]: () => {
      throw failure;
    },
  };
  assertEquals(await assertRejects(() => p.client.put(source, { as: "f" }), Error), failure);
  assertEquals(p.staged(), []);
});

Deno.test("Client.put() that is given up ends its source, also one that never answers", async (t) => {
  await using p = await InProcess.start();
  for (const kind of ["stream", "generator", "iterator"]) {
    await t.step(kind, async () => {
      const waiting = Promise.withResolvers<void>();
      const never = new Promise<void>(() => {});
      const { source, ended } = endless(kind, () => {
        waiting.resolve();
        return never;
      });
      const controller = new AbortController();
      const put = p.client.put(source, { as: "f", signal: controller.signal });
      await waiting.promise;
      const reason = new Error("enough");
      controller.abort(reason);
      assertEquals(await assertRejects(() => put, Error), reason);
      // A generator ends when it has come to its next yield.
      if (kind !== "generator") assertEquals(ended, [reason]);
      if (source instanceof ReadableStream) assertEquals(source.locked, false);
      await assertCode("not_found", () => p.client.stat("f"));
    });
  }
  while (p.staged().length > 0) await p.client.ping();
});

Deno.test("Client.put() ends its source where it fails before it takes anything", async () => {
  await using p = await InProcess.start();
  for (const kind of ["stream", "generator", "iterator"]) {
    const { source, ended } = endless(kind, () => Promise.resolve());
    const put = p.client.put(source, { as: "f", signal: AbortSignal.abort("no") });
    assertEquals(await put.catch((reason) => reason), "no");
    if (kind !== "generator") assertEquals(ended, ["no"]);
    if (source instanceof ReadableStream) assertEquals(source.locked, false);
  }
});

Deno.test("Client.put() takes a stream for itself at once", async () => {
  await using p = await InProcess.start();
  const stream = streamOf(patterned(300_000));
  const put = p.client.put(stream, { as: "f" });
  assert(stream.locked);
  await assertCode("usage", () => p.client.put(stream, { as: "g" }));
  assertEquals((await put).checksum, md5(patterned(300_000)));
  assertEquals(stream.locked, false);
});

Deno.test("Client.put() with dryRun reads a stream, and changes nothing", async () => {
  await using p = await InProcess.start();
  const bytes = patterned(300_000);
  const dryRun = { as: "f", dryRun: true };
  assertEquals((await p.client.put(streamOf(bytes), dryRun)).size, 300_000);
  await assertCode("not_found", () => p.client.stat("f"));
  await p.client.put(new Blob([bytes]), { as: "f" });
  for (
    const sourceOf of [streamOf, piecesOf, (bytes: Uint8Array<ArrayBuffer>) => new Blob([bytes])]
  ) {
    assertEquals((await p.client.put(sourceOf(bytes), dryRun)).skipped, true);
  }
  await assertCode("io", () => p.client.put(streamOf(bytes), { ...dryRun, size: 1 }));
});

Deno.test("putTree() and getTree() take URLs", async () => {
  await using p = await InProcess.start();
  Deno.mkdirSync(p.dir.join("tree"));
  p.dir.write("tree/a", "x");
  await p.client.putTree(new URL(`file://${p.dir.path}/tree`));
  await p.client.getTree("tree", { out: new URL(`file://${p.dir.path}/copy`) });
  assertEquals(Deno.readTextFileSync(p.dir.join("copy/a")), "x");
  await assertCode("usage", () => p.client.putTree(new URL("http://example.org/")));
  const out = new URL("http://example.org/");
  await assertCode("usage", () => p.client.getTree("tree", { out }));
});

Deno.test("uploadSourceOf() reads nothing before it is asked", () => {
  const asked: string[] = [];
  const given = uploadSourceOf({
    [Symbol.asyncIterator]() {
      return {
        next:
          () => (asked.push("next"), Promise.resolve({ done: true as const, value: undefined })),
      };
    },
  });
  assertEquals(given.kind === "pieces" && given.pieces.untouched, true);
  assertEquals(asked, []);
});

/** What the types refuse; `deno check` fails where they take any of it. */
export function assertTypes(client: Client, text: ReadableStream<string>, file: Deno.FsFile): void {
  // @ts-expect-error: an array of texts
  client.put(["a", "b"], { as: "f" });
  // @ts-expect-error: a stream of text
  client.put(text, { as: "f" });
  // @ts-expect-error: an open file, whose `readable` is a source
  client.put(file, { as: "f" });
  // @ts-expect-error: a number of bytes
  client.put(7, { as: "f" });
  // @ts-expect-error: the write() of an open file may take some of the bytes only
  client.get("f", { out: file });
  // @ts-expect-error: the bytes are in the file then
  client.get("f", { out: "f" }).bytes();
  // @ts-expect-error: a directory has no range
  client.getTree("d", { offset: 1 });
}
