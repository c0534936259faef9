/**
 * Temporary files without a name.
 *
 * @module
 */

/**
 * Opens a new file that is removed when it is closed, or when the process ends.
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
