import { assertEquals } from "@std/assert";
import { type Client, connect } from "../../mod.ts";
import { bucketRootArgs } from "../support/bucket_root.ts";
import { MIB, patterned } from "../support/bytes.ts";
import { CEPH } from "../support/engines/ceph.ts";
import { Engine, testWithEngine } from "../support/engines/engine.ts";
import { FaultProxy } from "../support/fault_proxy.ts";
import { Ferryd } from "../support/programs.ts";
import { RawBucket } from "../support/raw_bucket.ts";
import { rows, section } from "./documents.ts";

const PAGE = "docs/object_stores.md";

/** How many objects are in the directory that is listed and removed. */
const MANY = 2500;

const SMALL = patterned(1000);
const LARGE = patterned(64 * MIB);

/** The operations of the table, in its order. Each is done once before, with another name, as a server does all day. */
const OPERATIONS:
  readonly (readonly [what: string, run: (client: Client, n: number) => unknown])[] = [
    ["ping", (client) => client.ping()],
    ["put of a new file of up to 8 MiB", (client, n) => client.put(SMALL, { as: `d/new${n}` })],
    ["put of a file that is there already, unchanged", (client) => {
      return client.put(SMALL, { as: "d/there" });
    }],
    ["put --overwrite always of a file of up to 8 MiB", (client, n) => {
      return client.put(patterned(500 + n), { as: "d/replaced", overwrite: "always" });
    }],
    ["put of a new file of 64 MiB", (client, n) => client.put(LARGE, { as: `d/large${n}` })],
    ["get of a file of up to 1 MiB", (client) => client.get("d/there").bytes()],
    ["get of a file of 64 MiB", (client) => client.get("d/large").bytes()],
    ["stat of a file", (client) => client.stat("d/there")],
    ["ls of a directory of 2500 files", (client) => Array.fromAsync(client.list("many"))],
    ["ls -R of a tree of 2500 files", (client) => {
      return Array.fromAsync(client.list("many", { recursive: true }));
    }],
    ["mkdir", (client, n) => client.mkdir(`made${n}`)],
    ["mv of a file", (client, n) => client.move(`d/move${n}`, `d/moved${n}`)],
    ["rm of a file", (client, n) => client.remove(`d/remove${n}`)],
    ["rm -r of a directory of 2500 files", (client, n) => {
      return client.remove(n === 0 ? "few" : "many", { recursive: true });
    }],
  ];

testWithEngine(CEPH, "object_stores.md says how many requests each operation takes", async () => {
  const engine = await Engine.shared(CEPH);
  const bucket = await engine.bucket();
  const raw = new RawBucket(engine, bucket);
  const names = ["there", "replaced", "move0", "move1", "remove0", "remove1"].map((name) =>
    `d/${name}`
  );
  for (let n = 0; n < MANY; n++) names.push(`many/${n}`);
  while (names.length > 0) {
    await Promise.all(names.splice(0, 32).map((name) => raw.put(name, SMALL)));
  }
  await raw.put("few/one", SMALL);
  await using proxy = FaultProxy.start(engine.endpoint);
  const { root, args, env } = bucketRootArgs({ ...plain(engine), endpoint: proxy.url }, bucket);
  await using server = await Ferryd.start(root, [...args], { env });
  await using client = await connect(server.address);
  await client.put(LARGE, { as: "d/large" });
  const counted = new Map<string, number>();
  for (const [what, run] of OPERATIONS) {
    await run(client, 0);
    const before = proxy.requests.length;
    await run(client, 1);
    counted.set(what, proxy.requests.length - before);
  }
  const documented = new Map(
    rows(section(PAGE, "## Requests")).map(([what, most]) => [what!, Number(most)]),
  );
  assertEquals([...documented.keys()], [...counted.keys()]);
  const more = [...counted].filter(([what, count]) => !(count <= documented.get(what)!));
  assertEquals(more, [], "these take more requests than the table says");
});

function plain({ endpoint, region, accessKeyId, secretAccessKey }: Awaited<
  ReturnType<typeof Engine.shared>
>) {
  return { endpoint, region, accessKeyId, secretAccessKey };
}
