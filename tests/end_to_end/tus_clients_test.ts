/**
 * Clients of tus that are in use, with a real `ferryd` and interruptions.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import { Readable } from "node:stream";
import Uppy from "@uppy/core";
import Tus from "@uppy/tus";
import { FaultProxy, type HttpFault } from "../support/fault_proxy.ts";
import { md5, MIB } from "../support/bytes.ts";
import { freePorts } from "../support/free_ports.ts";
import { Ferryd, TempDir } from "../support/programs.ts";
import { randomBytes } from "../support/random_file.ts";
import { uploadByTus } from "../support/tus_client.ts";

/** A client that takes longer than this, in milliseconds, waits for what never comes: the test fails then. */
const STUCK_MS = 180_000;

/** Registers a test. The clients leave timers behind, with which they tell their progress. */
function test(name: string, fn: (t: Deno.TestContext) => Promise<void>): void {
  const inTime = async (t: Deno.TestContext) => {
    const { promise, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => reject(new Error("the client is stuck")), STUCK_MS);
    await Promise.race([fn(t), promise]).finally(() => clearTimeout(timer));
  };
  Deno.test({ name, fn: inTime, sanitizeOps: false, sanitizeResources: false });
}

/**
 * Starts a proxy after each of whose answers a client makes a new connection: on one that has carried a request before,
 * `node:http` of Deno 2.9 may never report that the next one was cut.
 */
function startProxy(
  target: string,
  faultOf: (method: string) => HttpFault | undefined,
): FaultProxy {
  const change = { connection: () => "close" };
  return FaultProxy.start(target, ({ method }) => ({ ...faultOf(method), change }));
}

function md5Of(path: string): string {
  return md5(Deno.readFileSync(path));
}

test("tus-js-client goes on after cut requests, lost responses and kills of the server", async () => {
  await using dir = new TempDir();
  const root = dir.join("root");
  Deno.mkdirSync(root);
  const port = freePorts(1);
  const start = () => Ferryd.start(root, ["--http", `127.0.0.1:${port}`]);
  let server = await start();
  const bytes = randomBytes(40 * MIB + 1, 1);
  let patches = 0;
  let killed: Promise<unknown> | undefined;
  try {
    await using proxy = startProxy(`http://127.0.0.1:${port}`, (method) => {
      if (method !== "PATCH") return undefined;
      switch (++patches) {
        case 2:
          return { cutRequest: 3_000_001 };
        case 4:
          return { loseAnswer: true };
        case 6:
          killed = server.stop("SIGKILL").then(async () => server = await start());
          return { cutRequest: 6_000_000 };
        default:
          return undefined;
      }
    });
    const { url, last, looks } = await uploadByTus(bytes, {
      endpoint: `${proxy.url}/.tus/`,
      chunkSize: 8 * MIB,
      metadata: { filename: "d/large.bin", md5: md5(bytes) },
    });
    await killed;
    assert(looks >= 3 && patches >= 7, `${looks} ${patches}`);
    assertEquals(last.header("etag"), `"${md5(bytes)}"`);
    assertEquals(md5Of(`${root}/d/large.bin`), md5(bytes));
    // A page that was closed before it knew goes on with what it remembers.
    const again = await uploadByTus(bytes, { uploadUrl: url });
    assertEquals([again.looks, again.url], [1, url]);
  } finally {
    await killed;
    await server[Symbol.asyncDispose]();
  }
});

test("tus-js-client uploads with all that it can do", async (t) => {
  await using dir = new TempDir();
  await using server = await Ferryd.start(dir.path, ["--http", "127.0.0.1:0"]);
  const endpoint = `http://127.0.0.1:${server.portOf("http")}/.tus/`;
  const bytes = randomBytes(12 * MIB + 5, 2);
  await t.step("parts at the same time", async () => {
    const metadata = { filename: "parallel.bin", md5: md5(bytes) };
    await uploadByTus(bytes, { endpoint, parallelUploads: 4, metadata });
    assertEquals(md5Of(dir.join("parallel.bin")), md5(bytes));
  });
  await t.step("a stream of unknown length", async () => {
    const pieces = Array.from(
      { length: 130 },
      (_, i) => bytes.subarray(i * 100_000, (i + 1) * 100_000),
    );
    await uploadByTus(Readable.from(pieces), {
      endpoint,
      uploadLengthDeferred: true,
      chunkSize: 5 * MIB,
      metadata: { filename: "stream.bin" },
    });
    assertEquals(md5Of(dir.join("stream.bin")), md5(bytes));
  });
  await t.step("the first bytes with the creation", async () => {
    await uploadByTus(bytes, {
      endpoint,
      uploadDataDuringCreation: true,
      chunkSize: 5 * MIB,
      metadata: { filename: "early.bin" },
    });
    assertEquals(md5Of(dir.join("early.bin")), md5(bytes));
  });
  await t.step("an empty file", async () => {
    await uploadByTus(new Uint8Array(), { endpoint, metadata: { filename: "empty" } });
    assertEquals(Deno.statSync(dir.join("empty")).size, 0);
  });
  await t.step("an upload that is given up", async () => {
    const begun = Promise.withResolvers<void>();
    let given: Promise<void> | undefined;
    const { promise, reject } = Promise.withResolvers<never>();
    const uploading = uploadByTus(bytes, {
      endpoint,
      chunkSize: MIB,
      retryDelays: [],
      metadata: { filename: "given-up.bin" },
      onBegun(upload) {
        upload.options.onChunkComplete = () => {
          given ??= upload.abort(true).then(begun.resolve, reject);
        };
      },
    });
    await Promise.race([begun.promise, promise, uploading]);
    assertEquals([...Deno.readDirSync(dir.join(".ferry/staging"))].filter((e) => e.isFile), []);
    assert(!Array.from(Deno.readDirSync(dir.path)).some(({ name }) => name === "given-up.bin"));
  });
  await t.step("a file that is there", async () => {
    const failed = await uploadByTus(bytes.slice(1), {
      endpoint,
      metadata: { filename: "early.bin" },
    })
      .then(() => "", String);
    assert(failed.includes("412") && failed.includes('"code":"exists"'), failed);
  });
});

test("Uppy uploads files and folders, and goes on after interruptions", async () => {
  await using dir = new TempDir();
  await using server = await Ferryd.start(dir.path, ["--http", "127.0.0.1:0"]);
  let patches = 0;
  await using proxy = startProxy(
    `http://127.0.0.1:${server.portOf("http")}`,
    (method) => {
      if (method !== "PATCH") return undefined;
      patches++;
      if (patches % 5 === 2) return { cutRequest: 1_000_001 };
      return patches % 5 === 4 ? { loseAnswer: true } : undefined;
    },
  );
  const uppy = new Uppy();
  uppy.use(Tus, {
    endpoint: `${proxy.url}/.tus/shared/`,
    chunkSize: 3_000_000,
    limit: 2,
    retryDelays: Array(20).fill(50),
    storeFingerprintForResuming: false,
  });
  const contents = new Map<string, Uint8Array>();
  for (
    const [name, relativePath] of [["a.bin", null], ["b.bin", "folder/b.bin"], [
      "ä 漢.txt",
      "folder/sub/ä 漢.txt",
    ]] as const
  ) {
    const bytes = randomBytes(8_000_001, contents.size);
    contents.set(relativePath ?? name, bytes);
    const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    // deno-lint-ignore no-explicit-any -- its types know only what browsers have
    uppy.addFile({ name, type: "", data: data as any, meta: { relativePath } as any });
  }
  const result = await uppy.upload();
  uppy.destroy();
  assertEquals(result?.failed?.map(({ error }) => error), []);
  assert(patches > 9, `${patches}`);
  for (const [name, bytes] of contents) {
    assertEquals(md5Of(dir.join(`shared/${name}`)), md5(bytes), name);
  }
});
