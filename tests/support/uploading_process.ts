/**
 * A process that uploads a file into a bucket, for tests that kill or stop it. Its arguments are the place of the
 * bucket, the name of the file and the path of its content.
 *
 * It goes on with a partial upload, or begins a new one. Before each chunk it waits for a byte on its standard input,
 * unless that has ended. It prints a line for each chunk, and at the end `committed` or the code of the error.
 *
 * @module
 */

import { toFerryError } from "../../lib/core/errors.ts";
import { parseFileName } from "../../lib/core/remote_name.ts";
import { type BucketPlace, Instance, TestFile } from "./served_bucket.ts";

/** What the process is told. */
export interface Uploading {
  /** Where to. */
  readonly place: BucketPlace;
  /** The name of the file. */
  readonly filename: string;
  /** The path of its content. */
  readonly path: string;
  /** Whether it must replace nothing. */
  readonly never: boolean;
  /** What the engine can do, as an instance found out. */
  readonly abilities: Instance["served"]["engine"];
}

/** Starts the process. */
export function startUploading(uploading: Uploading): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-check", "-A", import.meta.filename!, JSON.stringify(uploading)],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
}

async function upload({ place, filename, path, never, abilities }: Uploading): Promise<string> {
  const file = new TestFile(await Deno.readFile(path));
  const name = parseFileName(filename);
  const { size } = file;
  await using instance = await Instance.open(place, { abilities });
  const { partialUploads } = instance.writes;
  const [partial] = await partialUploads.find(name, { size });
  await using write = partial && await partialUploads.resume(partial.id, { algorithm: "md5" }) ||
    await partialUploads.create(name, { size, replace: !never });
  try {
    await file.writeTo(write, size, async (at) => {
      console.log(at);
      await Deno.stdin.read(new Uint8Array(1));
    });
    await write.commit({ checksum: file.md5, replace: !never });
    return "committed";
  } catch (error) {
    return toFerryError(error).code;
  }
}

if (import.meta.main) console.log(await upload(JSON.parse(Deno.args[0]!)));
