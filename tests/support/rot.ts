/**
 * Damage of a stored file that no program has done: a byte is another one, and the modification time is the same.
 *
 * @module
 */

/** Changes a byte of a file. Its modification time stays as it was, to the nanosecond. */
export function rot(path: string, at = 0): void {
  const reference = Deno.makeTempFileSync();
  touch(reference, path);
  {
    using file = Deno.openSync(path, { read: true, write: true });
    const byte = new Uint8Array(1);
    file.seekSync(at, Deno.SeekMode.Start);
    file.readSync(byte);
    byte[0]! ^= 1;
    file.seekSync(at, Deno.SeekMode.Start);
    file.writeSync(byte);
  }
  touch(path, reference);
  Deno.removeSync(reference);
}

/** Gives a file the modification time of another one. */
function touch(path: string, like: string): void {
  const { success } = new Deno.Command("touch", { args: ["-r", like, path] }).outputSync();
  if (!success) throw new Error(`the time of ${path} could not be set`);
}
