import { assertRejects } from "@std/assert";
import { parsePin } from "../../../lib/security/certificate_pin.ts";
import { TlsClient } from "../../../client/net/tls.ts";
import { Fixture, MINE } from "../../support/tls_servers.ts";

Deno.test("a handshake that fails takes the pinned certificate from no other connection", async () => {
  await using server = await Fixture.start();
  using closing = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { signal } = new AbortController();
  const address = { hostname: "127.0.0.1", port: server.port };
  const tls = new TlsClient({ pins: [parsePin(MINE.pin)] });
  const pinned = await tls.prepare(address, signal);

  // Another connection, to a server that is ending.
  const other = await Deno.connect({ hostname: "127.0.0.1", port: closing.addr.port });
  (await closing.accept()).close();
  await assertRejects(() => tls.secure(other, address, { pinned, signal }), Error);

  using conn = await tls.secure(await Deno.connect(address), address, { pinned, signal });
  await conn.handshake();
});
