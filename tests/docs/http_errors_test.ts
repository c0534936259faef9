import { assertEquals } from "@std/assert";
import { type ErrorCode, FerryError, isErrorCode } from "../../lib/core/errors.ts";
import { problemOf } from "../../server/protocols/http/exchange/problem.ts";
import { HttpServer } from "../support/http_server.ts";
import { rows, section } from "./documents.ts";

const ERRORS = section("docs/http.md", "## Errors");

Deno.test("docs/http.md has the status of each error code", () => {
  const described = rows(ERRORS).map(([code, status]) => [code, Number(status)]);
  const codes = rows(section("docs/protocol/core.md", "### Error codes"))
    .map(([code]) => code).filter(isErrorCode);
  const actual = codes.map((
    code: ErrorCode,
  ) => [code, problemOf(new FerryError(code, "x")).status]);
  const sorted = (table: unknown[][]) => table.map(String).sort();
  assertEquals(sorted(described), sorted(actual));
});

Deno.test("the problem in docs/http.md is the one of a file that is missing", async () => {
  const [, example] = /```json\n(.*?)```/s.exec(ERRORS)!;
  await using server = await HttpServer.start();
  const { status, headers, json } = await server.request("GET", "/missing");
  assertEquals(json, JSON.parse(example!));
  assertEquals([status, headers["content-type"]], [404, "application/problem+json"]);
});

Deno.test("a problem says nothing of what was not foreseen", () => {
  const { detail } = problemOf(new FerryError("internal", "at /secret/path"));
  assertEquals(detail.includes("secret"), false);
});
