/**
 * How a file is uploaded of which the server has another version: as a recipe, which takes from that version what both
 * have in common.
 *
 * @module
 */

import { planPut } from "../../lib/delta/plan.ts";
import { RecipeSource } from "../../lib/delta/recipe.ts";
import type { Digest } from "../../lib/digest/digest.ts";
import type { PutReply } from "../../lib/wire/operations/put.ts";
import type { Connection } from "../net/connection.ts";
import { putRecipe } from "../net/delta_requests.ts";
import type { FileToPut } from "../net/file_requests.ts";
import { Signatures } from "../net/signatures.ts";
import { SourceReaders } from "./source_readers.ts";
import type { SizedSource } from "./source.ts";
import type { UploadPlan } from "./upload_plan.ts";
import { WholeDigest } from "./whole_digest.ts";

/** The first bytes of a file that the server has from an earlier attempt. */
export interface Behind {
  /** How many. */
  readonly offset: number;
  /** Their digest; undefined where there are none. */
  readonly digest: Digest | undefined;
  /** Reserves them for the next request. Fails where they are no longer what the server has. */
  reserve(): Promise<void>;
}

/** What a delta has come to. */
export interface DeltaUpload {
  /** The server's reply. */
  readonly reply: PutReply;
  /** How many bytes of the file have crossed the network. */
  readonly transferred: number;
  /** How many bytes the server has taken from the other version. */
  readonly reused: number;
}

/**
 * Uploads a file by what it does not have in common with another one on the server.
 *
 * @param request its checksum is null where it is not known; then it is computed at the same time
 * @returns undefined where the two have nothing in common
 * @throws {FerryError} what the server or the source fails with; `checksum_mismatch` where two parts were taken for the
 * same and are not
 */
export async function uploadDelta(
  connection: Connection,
  plan: UploadPlan,
  request: FileToPut,
  source: SizedSource,
  { offset, digest, reserve }: Behind,
): Promise<DeltaUpload | undefined> {
  const { size } = source;
  const { algorithm, filename, basis = filename } = plan;
  const { runtime } = connection;
  const readers = new SourceReaders(source);
  await using whole = request.checksum === null
    ? await WholeDigest.start(readers, { algorithm, behind: digest, offset, runtime })
    : undefined;
  const required = plan.basis !== undefined;
  await using signatures = new Signatures(connection, basis, { required });
  const resumed = offset > 0 ? { resumedFrom: offset } : {};
  const report = (bytes: number) => {
    plan.onProgress?.({ filename, bytes: Math.min(bytes, size), total: size, ...resumed });
  };
  const onBytes = whole?.take;
  const copies = await planPut(readers.reader(), {
    fetch: (request) => signatures.fetch(request),
    offset,
    ...(onBytes ? { onBytes } : {}),
    onFound: (bytes) => report(Math.max(offset, bytes)),
  });
  let reused = 0;
  for (const copy of copies.behind(offset)) reused += copy.size;
  if (reused === 0) return undefined;
  const recipe = new RecipeSource(copies, readers.reader(), offset);
  const transferred = size - offset - reused;
  // Of the recipe all but a few bytes are the file's.
  let sent = size - recipe.size;
  if (offset > 0) await reserve();
  const reply = await putRecipe(
    connection,
    { ...request, offset },
    { filename: basis, version: signatures.version },
    recipe,
    {
      length: recipe.size,
      whole: whole?.checksum() ?? Promise.resolve(request.checksum!),
      onBytes: (count) => report(sent += count),
    },
  );
  return { reply, transferred, reused };
}
