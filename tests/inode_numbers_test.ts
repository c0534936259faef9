import { assertEquals } from "@std/assert";
import { numberedDevice } from "../lib/inode_numbers.ts";
import { TempDir } from "./programs.ts";

// twins_test.ts asks it about a file system that shows two directories under one number.
Deno.test("numberedDevice() gives the device of a directory, and none for what is not there", async () => {
  await using dir = new TempDir();
  const device = numberedDevice(dir.path);
  // Temporary files may be on a file system that shows others' files.
  if (device !== undefined) assertEquals(device, Deno.statSync(dir.path).dev);
  assertEquals(numberedDevice(dir.join("missing")), undefined);
});
