import { assertEquals } from "@std/assert";
import { md5 } from "../../../../support/bytes.ts";
import { HttpServer } from "../../../../support/http_server.ts";

const OLD = `"${md5("old")}"`;
const OTHER = `"${md5("other")}"`;
/** When the file of these tests was modified. */
const MTIME = new Date("2026-01-02T03:04:05.678Z");
const LATER = "Fri, 02 Jan 2026 03:04:05 GMT";
const EARLIER = "Fri, 02 Jan 2026 03:04:04 GMT";

type Case = [headers: Record<string, string>, there: boolean, absent: boolean];

/** Whether a change is made where the file is there, and where it is absent. */
const CASES: readonly Case[] = [
  [{ "if-none-match": "*" }, false, true],
  [{ "if-none-match": OLD }, false, true],
  [{ "if-none-match": `W/${OLD}` }, false, true],
  [{ "if-none-match": `${OTHER}, ${OLD}` }, false, true],
  [{ "if-none-match": OTHER }, true, true],
  [{ "if-match": "*" }, true, false],
  [{ "if-match": OLD }, true, false],
  [{ "if-match": `${OTHER} , ${OLD},` }, true, false],
  [{ "if-match": OTHER }, false, false],
  [{ "if-match": `W/${OLD}` }, false, false],
  [{ "if-unmodified-since": LATER }, true, true],
  [{ "if-unmodified-since": EARLIER }, false, true],
  [{ "if-unmodified-since": "not a date" }, true, true],
  [{ "if-unmodified-since": EARLIER, "if-match": OLD }, true, false],
  [{ "if-match": OLD, "if-none-match": "*" }, false, false],
];

Deno.test("a PUT is made only if its preconditions hold", async () => {
  await using server = await HttpServer.start();
  for (const [headers, there, absent] of CASES) {
    const named = JSON.stringify(headers);
    server.write("file", "old");
    Deno.utimeSync(server.path("file"), MTIME, MTIME);
    const replaced = await server.request("PUT", "/file", { headers, body: "new" });
    assertEquals(
      [replaced.status, server.read("file")],
      there ? [200, "new"] : [412, "old"],
      named,
    );
    await Deno.remove(server.path("file"));
    const created = await server.request("PUT", "/file", { headers, body: "new" });
    assertEquals(created.status, absent ? 201 : 412, named);
  }
});

Deno.test("a DELETE is made only if its preconditions hold, and without a file is not found", async () => {
  await using server = await HttpServer.start();
  for (const [headers, there] of CASES) {
    const named = JSON.stringify(headers);
    server.write("file", "old");
    Deno.utimeSync(server.path("file"), MTIME, MTIME);
    const { status } = await server.request("DELETE", "/file", { headers });
    assertEquals(status, there ? 204 : 412, named);
    if (there) assertEquals((await server.request("DELETE", "/file", { headers })).status, 404);
  }
});

Deno.test("a PUT with If-None-Match: * does not succeed for a file that is the same", async () => {
  await using server = await HttpServer.start();
  const request = { headers: { "if-none-match": "*" }, body: "same" };
  const statuses = await Promise.all(
    Array.from({ length: 4 }, async () => (await server.request("PUT", "/file", request)).status),
  );
  assertEquals(statuses.sort(), [201, 412, 412, 412]);
});

Deno.test("of several PUTs with the same If-Match, one replaces the file", async () => {
  await using server = await HttpServer.start();
  server.write("file", "old");
  const bodies = ["1", "2", "3", "4"];
  const headers = { "if-match": OLD };
  const responses = await Promise.all(
    bodies.map((body) => server.request("PUT", "/file", { headers, body })),
  );
  assertEquals(responses.map(({ status }) => status).sort(), [200, 412, 412, 412]);
  const won = responses.findIndex(({ status }) => status === 200);
  assertEquals(server.read("file"), bodies[won]);
});

Deno.test("a POST makes a directory only if its preconditions hold", async () => {
  await using server = await HttpServer.start();
  const headers = { "if-none-match": "*" };
  const statuses = [];
  for (const _ of [1, 2]) statuses.push((await server.request("POST", "/d/", { headers })).status);
  assertEquals(statuses, [201, 412]);
});
