import { assertEquals } from "@std/assert";
import { parseFileName as name } from "../../../lib/core/remote_name.ts";
import type { Scope } from "../../../lib/core/scope.ts";
import { grantEverywhere } from "../../../server/auth/grants.ts";
import { OpenStages } from "../../../server/files/stage_service.ts";
import { FsStorage } from "../../../server/storage/fs/fs_storage.ts";
import { assertCode } from "../../support/assertions.ts";
import { FileClient } from "../../support/file_client.ts";
import { TempDir } from "../../support/programs.ts";
import { listed } from "../../support/stored_files.ts";

/** Publishes `d` for a client with these scopes. A directory with a file gets the name while that is under way. */
async function publishLate(storage: FsStorage, dir: TempDir, scopes: Scope[]) {
  await using open = new OpenStages();
  const client = new FileClient(storage, { grants: grantEverywhere(scopes) });
  const wish = { filename: "d", replace: true };
  const { tree } = await client.stages({ op: "stage", filename: "d" }, open).begin(wish);
  await tree.mkdir(name("d/new"));
  const publish = tree.publish.bind(tree);
  tree.publish = (options) => {
    Deno.mkdirSync(dir.join("d"));
    dir.write("d/old", "of somebody else");
    return publish(options);
  };
  const stages = client.stages({ op: "publish", filename: "d" }, open);
  return await stages.publish({ ...wish, stage: tree.id });
}

Deno.test("publish() replaces a directory that comes late only for a client that may remove it", async () => {
  await using dir = new TempDir();
  await using storage = FsStorage.open(dir.path, { durability: "none" });
  await assertCode("exists", () => publishLate(storage, dir, ["read", "write"]));
  assertEquals(await listed(storage), ["d", "d/old"]);
  Deno.removeSync(dir.join("d"), { recursive: true });
  const { replaced } = await publishLate(storage, dir, ["read", "write", "delete"]);
  assertEquals(replaced, true);
  assertEquals(await listed(storage), ["d", "d/new"]);
});

Deno.test("a staged tree is joined by its id, for its name alone", async () => {
  await using dir = new TempDir();
  await using storage = FsStorage.open(dir.path, { durability: "none" });
  const client = new FileClient(storage);
  const stages = (op: "stage" | "mkdir" | "publish", filename: string, open: OpenStages) =>
    client.stages({ op, filename }, open);
  await using first = new OpenStages();
  const wish = { filename: "p/d", replace: false };
  const { tree: { id } } = await stages("stage", "p/d", first).begin(wish);
  for (const [filename, code] of [["p/e", "bad_name"], ["p/d", undefined]] as const) {
    await using other = new OpenStages();
    const made = () => stages("mkdir", filename, other).mkdir(id, `${filename}/made`);
    if (code) await assertCode(code, made);
    else await made();
    await assertCode("not_found", () => stages("mkdir", filename, other).mkdir("none", filename));
  }
  await using second = new OpenStages();
  const another = { filename: "p/e", replace: false, stage: id };
  await assertCode("not_found", () => stages("publish", "p/e", second).publish(another));
  const begun = await stages("stage", "p/e", second).begin(another);
  assertEquals([begun.tree.name, begun.tree.id === id], [name("p/e"), false]);
  await stages("publish", "p/d", second).publish({ ...wish, stage: id });
  assertEquals(await listed(storage), ["p", "p/d", "p/d/made"]);
});
