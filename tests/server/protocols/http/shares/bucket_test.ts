import { assertEquals } from "@std/assert";
import { SYSTEM_CLOCK } from "../../../../../lib/core/clock.ts";
import { createRuntime, S3Storage } from "../../../../../mod.ts";
import { CEPH } from "../../../../support/engines/ceph.ts";
import { Engine, testWithEngine } from "../../../../support/engines/engine.ts";
import { HttpServer } from "../../../../support/http_server.ts";
import { makeLink } from "../../../../support/share_links.ts";

testWithEngine(
  CEPH,
  "all servers of a bucket know its links, and count downloads together",
  async () => {
    const engine = await Engine.shared(CEPH);
    const { endpoint, region, accessKeyId, secretAccessKey } = engine;
    const credentials = { accessKeyId, secretAccessKey };
    const bucket = await engine.bucket();
    const open = () => S3Storage.open({ endpoint, region, bucket, credentials });
    const late = { by: 0 };
    const clock = { ...SYSTEM_CLOCK, monotonic: () => SYSTEM_CLOCK.monotonic() + late.by };
    const runtime = createRuntime({ clock });
    await using storages = new AsyncDisposableStack();
    const start = async () => {
      const storage = storages.use(await open());
      return storages.use(await HttpServer.start({ wrap: () => storage, runtime }));
    };
    const [one, other] = [await start(), await start()];
    assertEquals((await one.request("PUT", "/docs/f", { body: "content" })).status, 201);
    const { id, path } = await makeLink(one, { name: "docs/f", downloads: 5 });
    const gets = Array.from({ length: 10 }, (_, at) => (at % 2 ? one : other).request("GET", path));
    const responses = await Promise.all(gets);
    assertEquals(responses.filter(({ text }) => text === "content").length, 5);
    assertEquals(responses.filter(({ status }) => status === 410).length, 5);
    const { json } = await other.request("GET", "/.ferry/shares");
    assertEquals(json.shares.map(({ id, downloads }: Record<string, unknown>) => [id, downloads]), [
      [id, { most: 5, taken: 5 }],
    ]);

    const box = await makeLink(other, { name: "docs", upload: true });
    const put = await one.request("PUT", `${box.prefix}/new`, { body: "new" });
    assertEquals([put.status, (await other.request("GET", "/docs/new")).text], [201, "new"]);
    assertEquals((await other.request("DELETE", `/.ferry/shares/${box.id}`)).status, 204);
    // What a server knows of a link counts for two seconds.
    late.by = 2000;
    assertEquals((await one.request("GET", `${box.prefix}/.ferry/share`)).status, 410);
    assertEquals((await one.request("PUT", `${box.prefix}/late`, { body: "x" })).status, 410);
  },
);
