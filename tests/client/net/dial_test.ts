import { dial } from "../../../client/net/dial.ts";
import { TlsClient } from "../../../client/net/tls.ts";
import { assertCode } from "../../support/assertions.ts";

Deno.test("a connection that is given up, and closed by what has given it up, is no error of anybody", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const closed = Promise.withResolvers<void>();
  const tls = new class extends TlsClient {
    override async secure(conn: Deno.TcpConn) {
      await late.promise;
      conn.close();
      closed.resolve();
      return conn as unknown as Deno.TlsConn;
    }
  }();
  const late = Promise.withResolvers<void>();
  const dialing = dial({ hostname: "127.0.0.1", port }, { timeout: 20, tls });
  await assertCode("timeout", () => dialing);
  late.resolve();
  await closed.promise;
  // An error that nobody handles would be reported by the next turn of the event loop.
  await new Promise((resolve) => setTimeout(resolve));
});
