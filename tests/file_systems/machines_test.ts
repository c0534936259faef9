import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { FerryError } from "../../lib/core/errors.ts";
import { Lease, LEASE_MS } from "../../server/storage/fs/lease.ts";
import { Directory } from "../../server/storage/fs/open_directory.ts";
import { testWithMount } from "../support/mount.ts";
import { ferry, Ferryd, TempDir } from "../support/programs.ts";
import { Mounted } from "./mounted.ts";
import { FILE_SYSTEMS } from "./mounts.ts";

for (const system of FILE_SYSTEMS.filter(({ twice }) => twice)) {
  testWithMount(
    `a second ferryd on another machine is refused on ${system.name}, and reads are whole`,
    async () => {
      await using dir = new TempDir();
      await using mounted = await Mounted.open(system);
      const [root, other] = [mounted.path, await mounted.mountAgain() ?? ""];
      await using server = await Ferryd.start(root);
      const { message } = await assertRejects(() => Ferryd.start(other), Error);
      assertStringIncludes(message, "another ferryd serves it");

      // As if the lock were granted to both: the lease alone has to tell.
      using leases = Directory.open(`${other}/.ferry/leases`);
      const waits: number[] = [];
      const take = () => Lease.take(leases, { onWaiting: (ms) => void waits.push(ms) });
      assertEquals(assertThrows(take, FerryError, "another ferryd serves it").code, "busy");
      assertEquals(waits, [LEASE_MS]);
      leases.close();

      const [before, after] = ["a", "b"].map((letter) => letter.repeat(200_000)) as [
        string,
        string,
      ];
      dir.write("file", before);
      const run = (...args: string[]) => ferry(args, { cwd: dir.path, server: server.address });
      assertEquals((await run("put", "file")).code, 0);
      assertEquals((await run("stat", "file")).code, 0);
      Deno.writeTextFileSync(`${other}/new`, after);
      Deno.renameSync(`${other}/new`, `${other}/file`);
      const { code, stdout, stderr } = await run("cat", "file");
      assertEquals([code, stderr], [0, ""]);
      assert(stdout === before || stdout === after, "a mixture was read");
    },
    system.needs,
  );
}
