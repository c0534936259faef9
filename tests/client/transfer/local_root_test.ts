import { assertEquals } from "@std/assert";
import { Filter, type PutTreeOptions } from "../../../mod.ts";
import { assertCode } from "../../support/assertions.ts";
import { namesIn } from "../../support/directories.ts";
import { InProcess } from "../../support/in_process.ts";

/** Accepts everything. Something happens when the first entry is about to be looked at. */
class During extends Filter {
  #happens: (() => void) | undefined;

  constructor(happens: () => void) {
    super();
    this.#happens = happens;
  }

  override accepts(...args: Parameters<Filter["accepts"]>): boolean {
    this.#happens?.();
    this.#happens = undefined;
    return super.accepts(...args);
  }
}

/** A server that has what is in the local directory `t`. */
async function served() {
  const p = await InProcess.start();
  const local = p.dir.join("t");
  Deno.mkdirSync(local);
  for (const name of ["t/a", "t/b"]) p.dir.write(name, "content");
  await p.client.putTree(local, { as: "t" });
  return { p, local, aside: p.dir.join("aside") };
}

for (const how of ["moved away", "replaced"] as const) {
  const code = how === "replaced" ? "io" : "not_found";
  const modes: Record<string, PutTreeOptions> = {
    "mirrored": { delete: true },
    "published as one": { atomic: true, overwrite: "different" },
    "taken for uploaded": {},
  };
  for (const [mode, options] of Object.entries(modes)) {
    Deno.test(`a directory that is ${how} while it is read is not ${mode}`, async () => {
      const { p, local, aside } = await served();
      await using _p = p;
      const filter = new During(() => {
        Deno.renameSync(local, aside);
        if (how === "replaced") Deno.mkdirSync(local);
      });
      const put = () => p.client.putTree(local, { as: "t", ...options, filter });
      const { place } = await assertCode(code, put);
      assertEquals(place, { side: "here", path: local });
      assertEquals(namesIn(p.served("t")), ["a", "b"]);
      assertEquals(namesIn(p.dir.join("root")), [".ferry", "t"]);
    });
  }
}

Deno.test("a mirror deletes nothing once its directory was moved away, though all of it was read", async () => {
  const { p, local, aside } = await served();
  await using _p = p;
  // The link is there and not transferred, so that what has its name on the server stays.
  Deno.removeSync(`${local}/b`);
  Deno.symlinkSync("a", `${local}/b`);
  p.dir.write("t/c", "new");
  const onFile = ({ filename }: { filename: string }) => {
    if (filename === "t/c") Deno.renameSync(local, aside);
  };
  await assertCode("not_found", () => p.client.putTree(local, { as: "t", delete: true, onFile }));
  assertEquals(namesIn(p.served("t")), ["a", "b", "c"]);
});
