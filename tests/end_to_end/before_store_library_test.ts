import { assertEquals, assertRejects } from "@std/assert";
import {
  type BeforeStore,
  connect,
  FerryError,
  MemoryStorage,
  type Observer,
  serve,
  type ServeOptions,
  type Server,
} from "../../mod.ts";
import { utf8 } from "../support/bytes.ts";
import { token } from "../support/token_server.ts";
import { tokenTable } from "../../server/auth/token_table.ts";

function addressOf(server: Server): string {
  return `127.0.0.1:${server.addresses[0]!.port}`;
}

/** Serves memory on a free port. */
function start(options: Partial<ServeOptions>): Promise<Server> {
  return serve({ storage: new MemoryStorage(), listen: "127.0.0.1:0", ...options });
}

Deno.test("beforeStore knows what is proposed and by whom, and refuses it by failing", async () => {
  const ci = await token("write", "");
  const asked: unknown[] = [];
  const beforeStore: BeforeStore = async ({ filename, size }, by, id) => {
    asked.push([filename, size, by.token?.name, /^[0-9a-f]{12}\.\d+$/.test(id)]);
    if (filename === "broken") throw new Error("of the user");
    await Promise.resolve();
    if (filename === "no") throw new FerryError("denied", "not on a Sunday");
  };
  const storage = new MemoryStorage();
  await using server = await start({ storage, tokens: tokenTable([ci.record]), beforeStore });
  await using client = await connect(addressOf(server), { token: ci.token, retries: 0 });
  const put = (name: string) => client.put(utf8.encode("hello"), { as: name });
  await put("yes");
  const refused = await assertRejects(() => put("no"), FerryError, "not on a Sunday");
  const broken = await assertRejects(() => put("broken"), FerryError);
  assertEquals([refused.code, broken.code], ["denied", "internal"]);
  const { name } = ci.record;
  assertEquals(asked, ["yes", "no", "broken"].map((filename) => [filename, 5, name, true]));
  const there = await Array.fromAsync(storage.list("", { recursive: true }));
  assertEquals(there.map(({ filename }) => filename), ["yes"]);
});

Deno.test("an upload is acknowledged when the observers know of it", async () => {
  const known = Promise.withResolvers<void>();
  const told = Promise.withResolvers<void>();
  const order: string[] = [];
  const observer: Observer = {
    stored({ filename }) {
      order.push(`stored ${filename}`);
      told.resolve();
      return known.promise;
    },
    ended({ op }) {
      if (op === "put") order.push("ended");
    },
  };
  await using server = await start({ observers: [observer] });
  await using client = await connect(addressOf(server));
  const put = client.put(utf8.encode("hello"), { as: "f" }).then(() => order.push("acknowledged"));
  await told.promise;
  // The server answers another client meanwhile.
  await using other = await connect(addressOf(server));
  await other.list("");
  order.push("released");
  known.resolve();
  await put;
  assertEquals(order, ["stored f", "released", "ended", "acknowledged"]);
});
