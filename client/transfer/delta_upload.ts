/**
 * How a file is uploaded of which the server has another version: as a recipe, which takes from that version what both
 * have in common.
 *
 * @module
 */

import { FerryError } from "../../lib/core/errors.ts";
import type { Copies } from "../../lib/delta/copies.ts";
import { planPut, planPutInPieces } from "../../lib/delta/plan.ts";
import { RecipeSource } from "../../lib/delta/recipe.ts";
import { recipeInPieces } from "../../lib/delta/recipe_in_pieces.ts";
import type { SignatureRequest } from "../../lib/delta/signature.ts";
import type { Digest } from "../../lib/digest/digest.ts";
import type { PutReply } from "../../lib/wire/operations/put.ts";
import type { Connection } from "../net/connection.ts";
import { putRecipe, putRecipeInPieces } from "../net/delta_requests.ts";
import type { FileToPut } from "../net/file_requests.ts";
import { Signatures } from "../net/signatures.ts";
import { SourceReaders } from "./source_readers.ts";
import type { SizedSource } from "./source.ts";
import type { UploadPlan } from "./upload_plan.ts";
import { WholeDigest } from "./whole_digest.ts";

/** Of files of this size in bytes, the server makes the new version while they are searched. */
const MEANWHILE_BYTES = 128 * 1024 * 1024;

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
  behind: Behind,
): Promise<DeltaUpload | undefined> {
  const upload = (side?: Connection) => {
    return uploadWith({ connection, side }, plan, request, source, behind);
  };
  if (behind.offset > 0 || source.size < MEANWHILE_BYTES) return await upload();
  const side = await sideConnection(connection);
  if (!side) return await upload();
  try {
    // Between two questions the server hears that this side is still at work.
    return await side.channel.converse(() => upload(side));
  } finally {
    side.close();
  }
}

/** @param side a connection for questions while the other one is used; undefined if there is none */
async function uploadWith(
  { connection, side }: { connection: Connection; side: Connection | undefined },
  plan: UploadPlan,
  request: FileToPut,
  source: SizedSource,
  { offset, digest, reserve }: Behind,
): Promise<DeltaUpload | undefined> {
  const { size } = source;
  const { algorithm, filename, basis = filename } = plan;
  const { runtime } = connection;
  await using stack = new AsyncDisposableStack();
  const readers = new SourceReaders(source);
  const meanwhile = side !== undefined;
  const whole = request.checksum === null
    ? stack.use(
      await WholeDigest.start(readers, { algorithm, behind: digest, offset, runtime, meanwhile }),
    )
    : undefined;
  const required = plan.basis !== undefined;
  const signatures = stack.use(new Signatures(side ?? connection, basis, { required }));
  const resumed = offset > 0 ? { resumedFrom: offset } : {};
  let reported = 0;
  const report = (bytes: number) => {
    reported = Math.max(reported, Math.min(bytes, size));
    plan.onProgress?.({ filename, bytes: reported, total: size, ...resumed });
  };
  const onBytes = whole?.take;
  let over = false;
  const assertWanted = () => {
    if (over || !connection.usable) throw new FerryError("closed", "it was given up");
  };
  const planOptions = {
    fetch: (request: SignatureRequest) => {
      assertWanted();
      return signatures.fetch(request);
    },
    ...(onBytes ? { onBytes } : {}),
    onFound: (bytes: number) => {
      assertWanted();
      report(Math.max(offset, bytes));
    },
  };
  const checksum = () => whole?.checksum() ?? Promise.resolve(request.checksum!);
  let copies: Copies;
  if (meanwhile) {
    const pieces = stack.use(planPutInPieces(readers.reader(), planOptions));
    // Before that: a search that is no longer wanted ends, and so does what is still read of a signature.
    stack.defer(() => {
      over = true;
      side.close();
    });
    const first = (await pieces.next()).value!;
    if (first.to < size) {
      let reused = 0;
      const recipe = recipeInPieces(withFirst(first, pieces), readers.reader(), (piece) => {
        reused += piece.copies.size;
        report(piece.to);
      });
      const version = { filename: basis, version: signatures.version };
      const reply = await putRecipeInPieces(connection, request, version, recipe, {
        whole: checksum,
        assertUnchanged: (whole) => readers.reader().assertUnchanged(whole),
      });
      return { reply, transferred: size - reused, reused };
    }
    copies = first.copies;
  } else {
    copies = await planPut(readers.reader(), { ...planOptions, offset });
  }
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
    { length: recipe.size, whole: checksum(), onBytes: (count) => report(sent += count) },
  );
  return { reply, transferred, reused };
}

/** Another connection to the server, for questions while the first one is used; undefined where there cannot be one. */
async function sideConnection({ another }: Connection): Promise<Connection | undefined> {
  try {
    return await another?.();
  } catch {
    return undefined;
  }
}

async function* withFirst<T>(first: T, others: AsyncIterable<T>): AsyncGenerator<T, void, void> {
  yield first;
  yield* others;
}
