import { assertEquals } from "@std/assert";
import { md5, MIB } from "../../../../support/bytes.ts";
import { CEPH } from "../../../../support/engines/ceph.ts";
import { testWithEngine } from "../../../../support/engines/engine.ts";
import { randomBytes } from "../../../../support/random_file.ts";
import { TwoServers } from "../../../../support/two_servers.ts";

testWithEngine(
  CEPH,
  "of PUTs at two servers over one bucket that create a file, one succeeds",
  async () => {
    await using servers = await TwoServers.start();
    const { one, two } = servers;
    const headers = { "if-none-match": "*" };
    for (const size of [5, 9 * MIB]) {
      const bodies = [randomBytes(size, 1), randomBytes(size, 2)];
      const put = (server: typeof one, at: number) =>
        server.request("PUT", `/d/${size}`, { headers, body: bodies[at]! });
      const responses = await Promise.all([put(one, 0), put(two, 1)]);
      assertEquals(responses.map(({ status }) => status).sort(), [201, 412]);
      const won = responses.findIndex(({ status }) => status === 201);
      const stored = await two.request("GET", `/d/${size}`);
      assertEquals(md5(stored.bytes), md5(bodies[won]!));
      assertEquals(responses[won]!.headers.etag, `"${md5(bodies[won]!)}"`);
    }
  },
);

testWithEngine(
  CEPH,
  "of PUTs at two servers over one bucket that replace a version, one succeeds",
  async () => {
    await using servers = await TwoServers.start();
    const { one, two } = servers;
    await one.request("PUT", "/file", { body: "old" });
    const headers = { "if-match": `"${md5("old")}"` };
    const responses = await Promise.all(
      [one, two].map((server, at) =>
        server.request("PUT", "/file", { headers, body: `new ${at}` })
      ),
    );
    assertEquals(responses.map(({ status }) => status).sort(), [200, 412]);
    const won = responses.findIndex(({ status }) => status === 200);
    assertEquals((await one.request("GET", "/file")).text, `new ${won}`);
    const stale = await one.request("DELETE", "/file", { headers });
    const fresh = { "if-match": String(responses[won]!.headers.etag) };
    const removed = await two.request("DELETE", "/file", { headers: fresh });
    assertEquals([stale.status, removed.status], [412, 204]);
  },
);

testWithEngine(
  CEPH,
  "a PUT of unknown size is stored in a bucket, and one that is wrong is not",
  async () => {
    await using servers = await TwoServers.start();
    const { one, two } = servers;
    const bytes = randomBytes(20 * MIB + 3, 3);
    const body = [bytes.subarray(0, 9 * MIB), bytes.subarray(9 * MIB)];
    const stored = await one.request("PUT", "/stream", { body });
    assertEquals([stored.status, stored.headers.etag], [201, `"${md5(bytes)}"`]);
    assertEquals(md5((await two.request("GET", "/stream")).bytes), md5(bytes));
    const wrong = { "content-md5": "XUFAKrxLKna5cZ2REBfFkg==" };
    const refused = await one.request("PUT", "/wrong", { headers: wrong, body });
    assertEquals(refused.status, 422);
    assertEquals((await two.request("HEAD", "/wrong")).status, 404);
  },
);
