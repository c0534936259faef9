import { assertEquals } from "@std/assert";
import { replyEvent, replyLine, safeReply } from "../../../client/cli/echo_output.ts";
import type { EchoReply } from "../../../client/echo/echo.ts";
import { utf8 } from "../../support/bytes.ts";

const REPLY: EchoReply = {
  sequence: 3,
  size: 64,
  wrongAt: undefined,
  at: 0,
  kind: "first",
  rtt: 1.23456789,
  outOfOrder: false,
};

Deno.test("replyLine(), replyEvent() show what a reply was", () => {
  const table: [Partial<EchoReply>, string, Record<string, unknown>][] = [
    [{}, "seq=3 time=1.235 ms", {}],
    [{ kind: "late", outOfOrder: true }, "seq=3 time=1.235 ms (late, out of order)", {
      kind: "late",
      out_of_order: true,
    }],
    [{ wrongAt: 7 }, "seq=3 time=1.235 ms (no echo from byte 7 on)", { damaged: true }],
    [{ kind: "unknown" }, "a reply to nothing that is remembered", {
      kind: "unknown",
      sequence: null,
      rtt_ms: null,
    }],
    [{ kind: "unknown", wrongAt: 0 }, "no echo from byte 0 on", {
      kind: "unknown",
      sequence: null,
      rtt_ms: null,
      damaged: true,
    }],
  ];
  for (const [part, line, event] of table) {
    const reply = { ...REPLY, ...part };
    assertEquals(replyLine("[::1]:7", reply), `64 bytes from [::1]:7: ${line}`);
    assertEquals(replyEvent(reply), {
      event: "reply",
      op: "echo",
      sequence: 3,
      bytes: 64,
      rtt_ms: 1.234568,
      kind: "first",
      out_of_order: false,
      damaged: false,
      ...event,
    });
  }
});

Deno.test("safeReply() escapes control characters, and keeps the bytes of other encodings", () => {
  assertEquals(safeReply(utf8.encode("A\tB\n\x1b[2J\x7f中\x9b")), "A\tB\n\\x1b[2J\\x7f中\\x9b");
  assertEquals(
    safeReply(Uint8Array.of(0x41, 0x1b, 0xff, 0x9b)),
    Uint8Array.of(0x41, ...utf8.encode("\\x1b"), 0xff, 0x9b),
  );
});
