/**
 * Temporary files that have no name.
 *
 * @module
 */

/**
 * Makes a file that is gone when it is closed, also where nobody gets to close it.
 *
 * @throws what the runtime throws
 */
export async function openNameless(): Promise<Deno.FsFile> {
  const path = await Deno.makeTempFile({ prefix: "ferryd-" });
  try {
    return await Deno.open(path, { read: true, write: true });
  } finally {
    await Deno.remove(path);
  }
}
