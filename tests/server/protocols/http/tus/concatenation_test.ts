import { assert, assertEquals } from "@std/assert";
import { tokenTable } from "../../../../../server/auth/token_table.ts";
import { md5 } from "../../../../support/bytes.ts";
import { type HttpResponse, HttpServer } from "../../../../support/http_server.ts";
import { stagedIn } from "../../../../support/programs.ts";
import { noise } from "../../../../support/stored_files.ts";
import { token } from "../../../../support/token_server.ts";
import { createUpload, lookAt, metadata, sendBytes, TUS } from "../../../../support/tus.ts";

const PART = { "upload-concat": "partial", "upload-metadata": [] };

/** Uploads parts, and returns their paths. */
async function uploadParts(
  server: HttpServer,
  pieces: readonly Uint8Array[],
  { at, headers = {} }: { at?: string; headers?: Record<string, string> } = {},
): Promise<string[]> {
  return await Promise.all(pieces.map(async (piece) => {
    const place = at === undefined ? {} : { at };
    const path = await createUpload(server, "", piece.length, {
      ...place,
      headers: { ...PART, ...headers },
    });
    const half = Math.floor(piece.length / 2);
    await sendBytes(server, path, 0, piece.subarray(0, half), headers);
    const last = await sendBytes(server, path, half, piece.subarray(half), headers);
    assertEquals([last.status, last.headers["content-location"]], [204, undefined]);
    return path;
  }));
}

function putTogether(
  server: HttpServer,
  parts: readonly string[],
  values: Record<string, string>,
  headers: Record<string, string> = {},
): Promise<HttpResponse> {
  return server.request("POST", "/.tus/", {
    headers: {
      ...TUS,
      "upload-concat": `final;${parts.join(" ")}`,
      "upload-metadata": metadata(values),
      ...headers,
    },
  });
}

Deno.test("parts that were uploaded at the same time become one file", async () => {
  await using server = await HttpServer.start();
  const bytes = noise(10_000_001, 1);
  const pieces = [
    bytes.subarray(0, 9_000_000),
    bytes.subarray(9_000_000, 9_000_001),
    bytes.subarray(9_000_001),
  ];
  const parts = await uploadParts(server, pieces);
  const seen = await lookAt(server, parts[0]!);
  assertEquals(seen.headers["upload-concat"], "partial");
  assertEquals([seen.headers["upload-offset"], seen.headers["upload-length"]], [
    "9000000",
    "9000000",
  ]);
  const listed = await server.request("GET", "/", { headers: { accept: "application/json" } });
  assertEquals(listed.json.entries, []);
  const links = [`${server.url}${parts[0]}`, parts[1]!, parts[2]!];
  const whole = await putTogether(server, links, { filename: "d/f", md5: md5(bytes) });
  assertEquals([whole.status, whole.headers["content-location"]], [201, "/d/f"], whole.text);
  assertEquals(whole.headers.etag, `"${md5(bytes)}"`);
  assertEquals(md5(Deno.readFileSync(server.path("d/f"))), md5(bytes));
  const path = whole.headers.location as string;
  const sum = await lookAt(server, path);
  assertEquals(sum.headers["upload-concat"], `final;${parts.join(" ")}`);
  assertEquals(sum.headers["upload-length"], String(bytes.length));
  assertEquals(sum.headers["upload-offset"], String(bytes.length));
  assertEquals((await sendBytes(server, path, bytes.length, "x")).status, 409);
  // A client that did not get the answer asks again.
  const again = await putTogether(server, parts, { filename: "d/f", md5: md5(bytes) });
  assertEquals([again.status, again.headers.location], [201, path]);
  assertEquals(stagedIn(server.path("")), []);
  assertEquals([...Deno.readDirSync(server.path(".ferry/records/parts"))], []);
});

Deno.test("parts that are not complete, or of another owner, are not put together", async () => {
  const [mine, other] = [await token("write"), await token("write")];
  const tokens = tokenTable([mine.record, other.record]);
  await using server = await HttpServer.start({ tokens });
  const headers = { authorization: `Bearer ${mine.token}` };
  const theirs = { authorization: `Bearer ${other.token}` };
  const parts = await uploadParts(server, [noise(100, 2)], { headers });
  const begun = await createUpload(server, "", 10, { headers: { ...PART, ...headers } });
  await sendBytes(server, begun, 0, "12345", headers);
  const file = await createUpload(server, "file", 1, { headers });
  await sendBytes(server, file, 0, "x", headers);
  const code = async (paths: string[], by = headers) => {
    const { status, json } = await putTogether(server, paths, { filename: "f" }, by);
    return [status, json.code];
  };
  assertEquals(await code([...parts, begun]), [400, "usage"]);
  assertEquals(await code([...parts, file]), [400, "usage"]);
  assertEquals(await code(parts, theirs), [404, "not_found"]);
  assertEquals((await putTogether(server, parts, { filename: "f" }, headers)).status, 201);
});

Deno.test("a sum that is not what was announced leaves its parts alone", async () => {
  await using server = await HttpServer.start();
  const bytes = noise(200_000, 3);
  const parts = await uploadParts(server, [bytes.subarray(0, 100), bytes.subarray(100)]);
  const wrong = await putTogether(server, parts, { filename: "f", md5: "0".repeat(32) });
  assertEquals([wrong.status, wrong.json.code], [422, "checksum_mismatch"]);
  server.write("f", "another file");
  const taken = await putTogether(server, parts, { filename: "f" });
  assertEquals([taken.status, taken.json.code], [412, "exists"]);
  const right = await putTogether(server, parts, { filename: "f", overwrite: "always" });
  assertEquals([right.status, right.headers.etag], [201, `"${md5(bytes)}"`]);
});

Deno.test("a part is discarded as any upload is, complete or not", async () => {
  await using server = await HttpServer.start();
  const [part] = await uploadParts(server, [noise(100, 4)]);
  const begun = await createUpload(server, "", 10, { headers: PART });
  await sendBytes(server, begun, 0, "12345");
  for (const path of [part!, begun]) {
    assertEquals((await server.request("DELETE", path, { headers: TUS })).status, 204);
    assertEquals((await lookAt(server, path)).status, 404);
  }
  assertEquals(stagedIn(server.path("")), []);
  assertEquals([...Deno.readDirSync(server.path(".ferry/records/parts"))], []);
});

Deno.test("a token for some directories uploads parts in one of these", async () => {
  const inbox = await token("write", "inbox");
  await using server = await HttpServer.start({ tokens: tokenTable([inbox.record]) });
  const headers = { authorization: `Bearer ${inbox.token}` };
  const at = "/.tus/inbox/";
  const refused = await server.request("POST", "/.tus/", {
    headers: { ...TUS, ...headers, "upload-length": "1", "upload-concat": "partial" },
  });
  assertEquals([refused.status, refused.json.code], [403, "denied"]);
  const parts = await uploadParts(server, [noise(100, 5)], { at, headers });
  const outside = await putTogether(server, parts, { filename: "f" }, headers);
  assertEquals(outside.status, 403);
  const inside = await putTogether(server, parts, { filename: "inbox/f" }, headers);
  assertEquals([inside.status, inside.headers["content-location"]], [201, "/inbox/f"]);
  assert(Deno.statSync(server.path("inbox/f")).isFile);
});
