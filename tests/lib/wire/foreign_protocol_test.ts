import { assertEquals } from "@std/assert";
import { foreignProtocol } from "../../../lib/wire/foreign_protocol.ts";

Deno.test("foreignProtocol() knows a protocol by how it begins", () => {
  const text = (text: string) => new TextEncoder().encode(text);
  const table: [Uint8Array, string | undefined][] = [
    [text("HTTP/1.1 400 Bad Request"), "HTTP"],
    [text("GET / HTTP/1.1"), "HTTP"],
    [text("SSH-2.0-OpenSSH"), "SSH"],
    [Uint8Array.of(0x15, 3, 3, 0, 2), "TLS"],
    [Uint8Array.of(0x16, 3, 1, 2, 0), "TLS"],
    [Uint8Array.of(0x17, 3, 3, 0), undefined],
    [Uint8Array.of(40, 0, 0, 0), undefined],
    [text("220 mx.example.org ESMTP"), "SMTP or FTP"],
    [text("+OK ready"), "POP3"],
    [text("* OK IMAP4rev1"), "IMAP"],
    [text("-ERR unknown command"), "Redis"],
    [text("2201 smtp"), undefined],
    [text("HT"), undefined],
    [new Uint8Array(), undefined],
  ];
  for (const [bytes, protocol] of table) assertEquals(foreignProtocol(bytes), protocol);
});
