/**
 * Uploads by tus-js-client in Chromium, from a page of another web site that may make them.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { md5, MIB } from "../support/bytes.ts";
import { testInChromium } from "../support/chromium.ts";
import { FaultProxy } from "../support/fault_proxy.ts";
import { HttpServer } from "../support/http_server.ts";

/** The program for browsers that is in the package of tus-js-client. */
function program(): string {
  const entry = new URL(import.meta.resolve("tus-js-client"));
  return Deno.readTextFileSync(new URL("../../dist/tus.min.js", entry));
}

testInChromium("a page of an allowed origin uploads, through interruptions", async (browsing) => {
  await using site = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, () => {
    return new Response("<!doctype html>", { headers: { "content-type": "text/html" } });
  });
  const origin = `http://app.example:${site.addr.port}`;
  await using server = await HttpServer.start({ httpOrigins: [origin] });
  let patches = 0;
  await using proxy = FaultProxy.start(server.url, ({ method }) => {
    if (method !== "PATCH") return undefined;
    patches++;
    if (patches === 2) return { cutRequest: 400_001 };
    return patches === 4 ? { loseAnswer: true } : undefined;
  });
  const page = await browsing.empty();
  await page.goto(`${origin}/`);
  await page.addScriptTag({ content: program() });
  const size = 5 * MIB + 1;
  const uploading = `new Promise((resolve, reject) => {
    const bytes = new Uint8Array(${size}).map((_, at) => at * 31 >>> 3);
    const upload = new tus.Upload(new Blob([bytes]), {
      endpoint: "${proxy.url}/.tus/",
      chunkSize: ${MIB},
      retryDelays: Array(20).fill(50),
      metadata: { filename: "from a page.bin" },
      onError: (error) => reject(String(error)),
      onSuccess: ({ lastResponse }) => resolve(lastResponse.getHeader("ETag")),
    });
    upload.start();
  })`;
  const bytes = new Uint8Array(size).map((_, at) => at * 31 >>> 3);
  assertEquals(await page.evaluate(uploading), `"${md5(bytes)}"`);
  assert(patches > 6, `${patches}`);
  assertEquals(md5(Deno.readFileSync(server.path("from a page.bin"))), md5(bytes));
});
