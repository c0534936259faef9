import { assertEquals } from "@std/assert";
import { decodeListLine } from "../../lib/wire/list_lines.ts";
import { decodeHeader } from "../../lib/wire/codec.ts";
import { MAX_DRAIN_BYTES } from "../../lib/wire/body.ts";
import { EmptyServer, readRaw } from "../support/empty_server.ts";
import { BAD, bytesOf, firstHeader } from "../support/vectors.ts";
import { CONVERSATIONS } from "../fuzz/conversations.ts";
import { OPERATIONS } from "../../lib/wire/operations/operations.ts";

Deno.test("the fuzzer has a conversation for every operation", () => {
  const said = new Set(
    CONVERSATIONS.flatMap(({ parts }) => parts.map((part) => "op" in part ? part.op : undefined)),
  );
  assertEquals(Object.keys(OPERATIONS).filter((op) => !said.has(op)), []);
});

Deno.test("serve() answers every bad vector with its code, and goes on where it may", async () => {
  await using server = new EmptyServer();
  for (const { name, hex, code, ends } of BAD) {
    using peer = await server.connect();
    await peer.send(bytesOf(hex));
    if (code !== "closed") await peer.send({ op: "ping" });
    await peer.end();
    const codes: string[] = [];
    for (;;) {
      const reply = await readRaw(peer);
      if (!reply) break;
      const header = decodeHeader(firstHeader(reply));
      codes.push(header.status === "ok" ? "ok" : String(header.code));
    }
    // A valid message before the invalid one is answered as well.
    const good = name.startsWith("garbage") ? ["ok"] : [];
    // Where the connection ended before a message began, there is nothing to refuse.
    const refused = code === "closed" && /^cut-(in-length|behind-length|in-header)$/.test(name)
      ? []
      : [code];
    assertEquals(codes, [...good, ...refused, ...(ends ? [] : ["ok"])], name);
  }
  // None of them has left a file, except the valid one.
  using peer = await server.connect();
  await peer.send({ op: "list", recursive: true });
  const opening = await peer.receive();
  assertEquals(opening?.header.status, "ok");
  const piece = await peer.receive();
  const names = new TextDecoder().decode(piece!.body).trim().split("\n")
    .map((line) => decodeListLine("entry", line).filename);
  assertEquals(names, ["whole"]);
});

Deno.test("serve() keeps the connection where at most 1 MiB of a refused body is left", async () => {
  await using server = new EmptyServer();
  const limit = Number(MAX_DRAIN_BYTES);
  const put = { op: "put", filename: "../outside", md5: "0".repeat(32) };
  using kept = await server.connect();
  await kept.send({ ...put, total_size: limit }, new Uint8Array(limit), { op: "ping" });
  assertEquals([await kept.code(), await kept.code()], ["bad_name", "ok"]);

  using ended = await server.connect();
  // The refusal arrives although the body was not sent.
  await ended.send({ ...put, total_size: limit + 1 });
  assertEquals([await ended.code(), await ended.code()], ["bad_name", "ended"]);
});
