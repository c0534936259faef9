import { assertEquals, assertThrows } from "@std/assert";
import { FerryError } from "../../../../lib/core/errors.ts";
import { MountPoints } from "../../../../server/storage/fs/mount_points.ts";
import { TempDir } from "../../../support/programs.ts";

/** A directory that was a mount point, and what was told of it. */
async function withPoint(run: (mounts: MountPoints, path: string, told: string[]) => void) {
  await using dir = new TempDir();
  const mounts = new MountPoints();
  const told: string[] = [];
  mounts.onMount = (state, path) => told.push(`${state} ${path === dir.path}`);
  mounts.assertMounted("2:1", dir.path, "1:1");
  run(mounts, dir.path, told);
}

Deno.test("MountPoints.assertMounted() fails where the file system is gone, until one is there again", async () => {
  await withPoint((mounts, path, told) => {
    for (let turn = 0; turn < 2; turn++) {
      const error = assertThrows(() => mounts.assertMounted("1:2", path, "1:1"), FerryError);
      assertEquals(error.code, "io");
    }
    assertEquals(told, ["lost true"]);
    mounts.assertMounted("3:1", path, "1:1");
    mounts.assertMounted("3:1", path, "1:1");
    assertEquals(told, ["lost true", "back true"]);
  });
});

Deno.test("MountPoints.assertMounted() knows a directory that was made in the place of a mount point", async () => {
  const { now } = Date;
  // The mount point was seen long before the directory was made.
  Date.now = () => now() - 3_600_000;
  try {
    await withPoint((mounts, path, told) => {
      Date.now = now;
      mounts.assertMounted("1:2", path, "1:1");
      assertEquals(told, []);
    });
  } finally {
    Date.now = now;
  }
});

Deno.test("MountPoints.mountOf() names a mount for as long as something is open there", () => {
  const mounts = new MountPoints();
  assertEquals(mounts.mountOf(1), undefined);
  mounts.opened(1);
  mounts.opened(1);
  const id = mounts.mountOf(1);
  mounts.closed(1);
  assertEquals([mounts.mountOf(1), mounts.mountOf(2)], [id, undefined]);
  mounts.closed(1);
  assertEquals(mounts.mountOf(1), undefined);
  mounts.opened(1);
  assertEquals(mounts.mountOf(1) !== undefined && mounts.mountOf(1) !== id, true);
});
