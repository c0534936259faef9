import { assertEquals, assertThrows } from "@std/assert";
import { FerryError } from "../../../lib/core/errors.ts";
import { decodeHeader, encodeHeader } from "../../../lib/wire/codec.ts";
import { errorReply, throwReported } from "../../../lib/wire/error_reply.ts";
import { assertRefuses, header } from "../../support/headers.ts";

Deno.test("throwReported() throws what errorReply() reports", () => {
  const error = new FerryError("no_space", "it is full", { action: 'put "f"' });
  const reply = decodeHeader(encodeHeader(errorReply(error)));
  const thrown = assertThrows(() => throwReported(reply), FerryError);
  assertEquals([thrown.code, thrown.message], ["no_space", 'it is full (on the other side, "f")']);
});

Deno.test("throwReported() takes a code that is not known for internal", () => {
  const reply = header({ status: "error", code: "out_of_paper", message: "the tray is empty" });
  assertRefuses(() => throwReported(reply), "internal", "the tray is empty");
  assertRefuses(() => throwReported(header({ status: "error" })), "internal", "gave no reason");
});

Deno.test("throwReported() lets everything else pass", () => {
  for (const status of ["ok", undefined, 1]) throwReported(header({ status, code: "io" }));
});
