/**
 * Requests to publish a directory as one.
 *
 * @module
 */

import type { Algorithm } from "../../lib/core/checksum.ts";
import type { Overwrite } from "../../lib/core/overwrite.ts";
import { encodeLines } from "../../lib/wire/lines.ts";
import {
  decodeManifestReply,
  encodeManifestLine,
  type ManifestLine,
  type ManifestReply,
} from "../../lib/wire/manifest.ts";
import { OPERATIONS } from "../../lib/wire/operations/operations.ts";
import type { PublishReply } from "../../lib/wire/operations/publish.ts";
import type { StageReply } from "../../lib/wire/operations/stage.ts";
import type { Connection } from "./connection.ts";

/** A staged tree, in requests about the files for it. */
export interface Into {
  /** The directory, by the name that it will have. */
  readonly filename: string;
  /** The id of the staged tree. */
  readonly stage: string;
}

/** The wish to publish a directory. */
export interface StageWish {
  /** The directory, by the name that it will have. */
  readonly filename: string;
  /** Whether it may replace a directory. */
  readonly replace: boolean;
  /** The staged tree that the client works on already. */
  readonly stage?: string | undefined;
  /** Whether this only asks if the directory could be published. Default: false. */
  readonly ask?: boolean | undefined;
}

/** Begins to put a directory together, or goes on with that. */
export async function stage(connection: Connection, wish: StageWish): Promise<StageReply> {
  connection.assertFeature("atomic", "the publishing of a directory as one");
  const { filename, replace, stage, ask = false } = wish;
  const header = {
    ...{ op: "stage", filename, replace },
    ...(stage === undefined ? {} : { stage }),
    ...(ask ? { ask } : {}),
  };
  return await connection.channel.ask(OPERATIONS.stage.reply, header);
}

/**
 * Asks which of many files have to be sent to a staged tree; see {@linkcode Connection.compare}. The others are part of
 * the tree then.
 */
export function compareInto(
  connection: Connection,
  { filename, stage }: Into,
  files: AsyncIterable<ManifestLine> | Iterable<ManifestLine>,
  { overwrite, content, algorithm }: {
    overwrite: Overwrite;
    content: boolean;
    algorithm: Algorithm;
  },
): AsyncGenerator<ManifestReply[], void, void> {
  const header = { op: "compare", overwrite, content, filename, stage };
  const lines = encodeLines(files, encodeManifestLine);
  return connection.channel.exchange(header, lines, { decode: decodeManifestReply, algorithm });
}

/** Makes names of the directory that is replaced part of a staged tree, as they are. Yields those that cannot be. */
export function keepIn(
  connection: Connection,
  { filename, stage }: Into,
  names: readonly string[],
  algorithm: Algorithm,
): AsyncGenerator<ManifestReply[], void, void> {
  const header = { op: "compare", overwrite: "never", filename, stage, keep: true };
  const files = names.map((filename) => ({ filename, size: 0, mtime: 0, checksum: null }));
  const lines = encodeLines(files, encodeManifestLine);
  return connection.channel.exchange(header, lines, { decode: decodeManifestReply, algorithm });
}

/** Publishes a directory that was put together. */
export async function publish(
  connection: Connection,
  { filename, stage, replace }: Into & Pick<StageWish, "replace">,
): Promise<PublishReply> {
  const header = { op: "publish", filename, stage, replace };
  return await connection.channel.ask(OPERATIONS.publish.reply, header);
}
