/**
 * Logins over HTTP where several `ferryd` serve one bucket.
 */

import { assertEquals } from "@std/assert";
import { parseGrants } from "../../server/auth/grants.ts";
import { TokenFile } from "../../server/auth/token_file.ts";
import { bucketRootArgs } from "../support/bucket_root.ts";
import { CEPH } from "../support/engines/ceph.ts";
import { Engine, testWithEngine } from "../support/engines/engine.ts";
import { send } from "../support/http_server.ts";
import { Ferryd, TempDir } from "../support/programs.ts";

const SESSION = "/.ferry/session";

testWithEngine(
  CEPH,
  "a session is known to every ferryd over a bucket, until it is over",
  async () => {
    const engine = await Engine.shared(CEPH);
    const { root, args, env } = bucketRootArgs(engine, await engine.bucket());
    await using dir = new TempDir();
    const tokens = new TokenFile(dir.join("tokens"));
    const grants = parseGrants(["read"], []);
    const { token } = await tokens.create({ name: "laptop", grants, expires: null });
    const options = ["--http", "127.0.0.1:0", "--token-file", dir.join("tokens")];
    const start = () => Ferryd.start(root, [...args, ...options], { env });
    await using one = await start();
    await using two = await start();
    const ask = (server: Ferryd, method: string, headers: Record<string, string>, body = "") =>
      send(server.portOf("http"), method, SESSION, { headers, body });
    const json = { "content-type": "application/json" };
    const { status, headers } = await ask(one, "POST", json, JSON.stringify({ token }));
    assertEquals(status, 200);
    const [cookie = ""] = String(headers["set-cookie"]).split(";");
    const isKnown = async (server: Ferryd) =>
      (await ask(server, "GET", { cookie })).json.by === "cookie";
    // At one of them it is shown for the first time when it is over.
    assertEquals(await isKnown(one), true);
    await using three = await start();
    assertEquals(await isKnown(three), true);
    assertEquals((await ask(one, "DELETE", { cookie })).status, 204);
    assertEquals([await isKnown(one), await isKnown(two)], [false, false]);
  },
);
