import { assertEquals } from "@std/assert";
import { failureOf, whyUnsent } from "../../../page/upload/exchange.ts";

function failure(status: number, text: string, fields: Record<string, string> = {}) {
  const { code, message, retryAfter, passes } = failureOf({
    status,
    text,
    header: (name) => fields[name] ?? null,
  });
  return { code, message, retryAfter, passes };
}

Deno.test("a problem tells its code, and when to try again", () => {
  const text = JSON.stringify({ code: "busy", title: "Busy", detail: "another one is writing" });
  const { code, retryAfter, passes } = failure(503, text, { "retry-after": "2" });
  assertEquals([code, retryAfter, passes], ["busy", 2000, true]);
});

Deno.test("a response without a problem is known by its status", () => {
  const codes = [401, 403, 404, 507, 418].map((status) => failure(status, "").code);
  assertEquals(codes, ["auth_required", "denied", "not_found", "no_space", "internal"]);
  assertEquals(failure(502, "<html>a proxy</html>"), {
    code: "internal",
    message: "",
    retryAfter: undefined,
    passes: true,
  });
});

Deno.test("a file that cannot be read any more is not taken for a network that is away", async () => {
  const changed = {
    slice: () => ({ arrayBuffer: () => Promise.reject(new DOMException("", "NotReadableError")) }),
  } as unknown as Blob;
  const bodies = [undefined, new Blob([]), new Blob(["bytes"]), changed];
  const codes = await Promise.all(bodies.map(async (body) => (await whyUnsent(body)).code));
  assertEquals(codes, ["offline", "offline", "offline", "unreadable"]);
});
