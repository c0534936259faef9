import { UnharmedServer } from "../../../support/unharmed_server.ts";
import { assertEquals } from "@std/assert";
import { delay } from "@std/async/delay";
import { frame } from "../../../support/raw_peer.ts";
import { md5 } from "../../../support/bytes.ts";

Deno.test("session: a client that leaves in the middle", async (t) => {
  await using f = await UnharmedServer.start();
  const openings: Record<string, (Uint8Array | Record<string, unknown> | string)[]> = {
    "nothing sent": [],
    "inside the length": [new Uint8Array([9, 0])],
    "inside the header": [frame({ op: "ping" }).subarray(0, 9)],
    "inside a small body": [{ op: "put", filename: "x", md5: md5("x"), total_size: 1000 }, "part"],
    "inside a large body": [
      { op: "put", filename: "x", md5: null, total_size: 1e9 },
      new Uint8Array(3_000_000),
    ],
    "in front of the closing header": [
      { op: "put", filename: "x", md5: null, total_size: 4 },
      "part",
    ],
    "inside a stream": [{ op: "put", filename: "x", total_size: null }, { total_size: 4 }, "part"],
    "in front of the reply": [{ op: "get", filename: "old.txt" }],
  };
  for (const [name, send] of Object.entries(openings)) {
    await t.step(name, async () => {
      {
        using peer = await f.connect();
        await peer.send(...send);
      }
      await f.assertUnharmed();
    });
  }
});

Deno.test("session: a refused body is read over where it is small, and ends the connection otherwise", async () => {
  await using f = await UnharmedServer.start();
  using patient = await f.connect();
  const small = new Uint8Array(1024 * 1024);
  const refused = { op: "put", filename: "../x", md5: null };
  const closing = { end: true, md5: md5(small), size: small.length };
  await patient.send({ ...refused, total_size: small.length }, small, closing);
  assertEquals(await patient.code(), "bad_name");
  assertEquals(await patient.ask({ op: "ping" }), "ok");
  await patient.send({ ...refused, total_size: small.length + 1 });
  assertEquals(await patient.code(), "bad_name");
  assertEquals(await patient.code(), "ended");
  await f.assertUnharmed();
});
Deno.test("session: a silent peer is disconnected, wherever it falls silent", async (t) => {
  await using f = await UnharmedServer.start(["--idle-timeout", "200ms"]);
  const openings: Record<string, (Uint8Array | Record<string, unknown> | string)[]> = {
    "between requests": [],
    "inside a header": [frame({ op: "ping" }).subarray(0, 9)],
    "inside a body": [{ op: "put", filename: "x", md5: md5("x"), total_size: 100 }, "abc"],
    "inside a large body": [{ op: "put", filename: "x", md5: null, total_size: 1e9 }, "abc"],
    "inside a body that has no use": [{ op: "ping", total_size: 100 }, "abc"],
  };
  for (const [name, send] of Object.entries(openings)) {
    await t.step(name, async () => {
      using peer = await f.connect();
      assertEquals(await peer.ask({ op: "ping" }), "ok");
      await peer.send(...send);
      // It is told why where there was a request, and disconnected in any case.
      while (await peer.code() !== "ended");
      await f.assertUnharmed();
    });
  }
});

Deno.test("session: a peer that sends a byte now and then is disconnected", async (t) => {
  await using f = await UnharmedServer.start(["--idle-timeout", "300ms", "--min-rate", "1M"]);
  const openings: Record<string, (Uint8Array | Record<string, unknown> | string)[]> = {
    "of a header": [frame({ op: "ping", pad: "x".repeat(60_000) }).subarray(0, 9)],
    "of a body": [{ op: "put", filename: "x", md5: null, total_size: 1e9 }, "abc"],
  };
  for (const [name, send] of Object.entries(openings)) {
    await t.step(name, async () => {
      using peer = await f.connect();
      await peer.send(...send);
      const ended = (async () => {
        while (await peer.code() !== "ended");
      })();
      let over = false;
      void ended.then(() => over = true);
      while (!over) {
        // By then the server may have gone.
        await peer.send(" ").catch(() => {});
        await delay(20);
      }
      await ended;
      await f.assertUnharmed();
    });
  }
});
