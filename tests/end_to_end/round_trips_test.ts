import { assert, assertEquals } from "@std/assert";
import { connect, FsStorage, serve } from "../../mod.ts";
import { Lockstep } from "../support/lockstep.ts";
import { TempDir } from "../support/programs.ts";

const FILES = 1000;

/** The limit is 20 round trips, of two crossings each. */
const MOST_CROSSINGS = 2 * 20;

/** A directory of small files and an empty root, a server behind a proxy, and a client. */
class Distant extends TempDir {
  storage!: FsStorage;
  server!: Awaited<ReturnType<typeof serve>>;
  network!: Lockstep;
  client!: Awaited<ReturnType<typeof connect>>;

  static async start(): Promise<Distant> {
    const distant = new Distant();
    Deno.mkdirSync(distant.join("root"));
    Deno.mkdirSync(distant.join("local/sub"), { recursive: true });
    for (let file = 0; file < FILES; file++) {
      const name = file % 2 === 0 ? `local/${file}` : `local/sub/${file}`;
      distant.write(name, `${file}`.padEnd(4096));
    }
    distant.storage = FsStorage.open(distant.join("root"), { durability: "none" });
    distant.server = await serve({ storage: distant.storage, listen: "127.0.0.1:0" });
    distant.network = Lockstep.start(distant.server.addresses[0]!.port);
    distant.client = await connect(distant.network.address);
    return distant;
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await this.client[Symbol.asyncDispose]();
    await this.network[Symbol.asyncDispose]();
    await this.server[Symbol.asyncDispose]();
    await this.storage[Symbol.asyncDispose]();
    await super[Symbol.asyncDispose]();
  }
}

function count(directory: string): number {
  return [...Deno.readDirSync(directory)].reduce((sum, { name, isDirectory }) => {
    return name === ".ferry" ? sum : sum + (isDirectory ? count(`${directory}/${name}`) : 1);
  }, 0);
}

Deno.test("Client.putTree() and getTree() wait for few of 1000 small files", async () => {
  await using distant = await Distant.start();
  const { client, network } = distant;
  assertEquals(network.crossings, 2, "a greeting there and back");
  await client.putTree(distant.join("local"), { as: "tree" });
  assertEquals(count(distant.join("root/tree")), FILES);
  const up = network.crossings;
  assert(up <= MOST_CROSSINGS, `the upload waited for ${up} crossings`);

  await client.getTree("tree", { out: distant.join("back"), durability: "none" });
  assertEquals(count(distant.join("back")), FILES);
  const down = network.crossings - up;
  assert(down <= MOST_CROSSINGS, `the download waited for ${down} crossings`);

  const skipped: string[] = [];
  await client.putTree(distant.join("local"), {
    as: "tree",
    onFile: ({ filename, skipped: there }) => there && skipped.push(filename),
  });
  assertEquals(skipped.length, FILES);
  const again = network.crossings - up - down;
  assertEquals(again, 2, "one exchange compares all files");
});
