/**
 * ferry moves files over TCP and proves that they arrived.
 *
 * `connect` gives a client, `serve` a server over a `Storage`: `FsStorage` keeps files in a directory,
 * `S3Storage` in a bucket of an object store, `MemoryStorage` in memory, for tests. The programs `ferry` and `ferryd` are thin shells over these.
 *
 * @example A server and a client in one program
 * ```ts
 * import { connect, FsStorage, serve } from "@ferry/ferry";
 *
 * const root = await Deno.makeTempDir();
 * await using storage = FsStorage.open(root);
 * await using server = await serve({ storage, listen: "127.0.0.1:0" });
 * await using client = await connect(`127.0.0.1:${server.addresses[0]!.port}`);
 *
 * const { checksum } = await client.put(new TextEncoder().encode("hello\n"), { as: "greeting.txt" });
 * console.log(checksum); // b1946ac92492d2347c6235b4d2611184
 * for await (const entry of client.list()) console.log(entry.filename, entry.size);
 * ```
 *
 * @example A server that reports its events, and is stopped by a signal
 * ```ts
 * import { connect, MemoryStorage, serve } from "@ferry/ferry";
 *
 * const stop = new AbortController();
 * await using storage = new MemoryStorage({ files: { "conf/motd.txt": "welcome\n" } });
 * const server = await serve({
 *   storage,
 *   listen: "127.0.0.1:0",
 *   signal: stop.signal,
 *   onListen: ({ kind, port }) => console.log(`listening ${kind} ${port}`),
 *   onStored: ({ filename, checksum }, { peer, token }) =>
 *     console.log(`${token?.name ?? "somebody"} at ${peer.hostname} stored ${filename}: ${checksum}`),
 *   onError: ({ code, message }, { op }) => console.error(`${op}: ${message} (${code})`),
 * });
 * {
 *   await using client = await connect(`127.0.0.1:${server.addresses[0]!.port}`);
 *   await client.put(new TextEncoder().encode("hello\n"), { as: "greeting.txt" });
 * }
 * console.log(storage.bytes("greeting.txt").length); // 6
 * stop.abort();
 * await server.finished;
 * ```
 *
 * @example Every form of bytes, both ways
 * ```ts
 * import { connect, MemoryStorage, serve } from "@ferry/ferry";
 *
 * await using storage = new MemoryStorage();
 * await using server = await serve({ storage, listen: "127.0.0.1:0" });
 * await using client = await connect(`127.0.0.1:${server.addresses[0]!.port}`);
 *
 * // A path, a file: URL, a File, a Blob, bytes, a stream, an async iterable.
 * await client.put(new File(["hello"], "greeting.txt"));
 * await client.put(new Response("hello").body!, { as: "copy.txt", size: 5 });
 *
 * // Bytes, text, a stream; or `out`, which is a path, a file: URL or a WritableStream.
 * console.log(await client.get("greeting.txt").text()); // hello
 * await client.put(client.get("copy.txt").stream(), { as: "copy of the copy.txt" });
 *
 * // A range.
 * console.log(await client.get("greeting.txt", { offset: 1, length: 3 }).text()); // ell
 *
 * // Requests inside of a loop over a list.
 * for await (const { filename } of client.list()) {
 *   console.log(filename, (await client.stat(filename)).checksum);
 * }
 * await client.close(); // what is asked for from now on fails with the code `closed`
 * ```
 *
 * @example From a checkout instead of a registry
 *
 * With this in the deno.json of a project next to the checkout, `@ferry/ferry` is the mod.ts of the checkout, and its
 * imports are resolved, too:
 *
 * ```json
 * { "links": ["../ferry"], "imports": { "@ferry/ferry": "jsr:@ferry/ferry@^0.1.0" } }
 * ```
 *
 * @module
 */

export { Client } from "./client/api/client.ts";
export type {
  Deleted,
  DeleteOptions,
  GetOptions,
  GetTreeOptions,
  Pass,
  Progress,
  Published,
  PutOptions,
  PutTreeOptions,
  RequestOptions,
  TransferOptions,
  Transferred,
  TreeOptions,
  WatchTreeOptions,
} from "./client/transfer/options.ts";
export type { Command, ExecOptions, ExecResult } from "./client/api/exec.ts";
export type {
  ConfirmOptions,
  StoredFileFacts,
  Verified,
  VerifyOptions,
} from "./client/api/proof.ts";
export type { Receipt, SignedReceipt } from "./lib/core/receipt.ts";
export type { Verdict } from "./lib/core/verdict.ts";
export { Download } from "./client/api/download.ts";
export type { Source } from "./client/transfer/source.ts";
export { Filter, type FilteredType, type FilterOptions } from "./client/transfer/filter.ts";
export type { OmissionHandlers, SkippedEntry } from "./client/transfer/omissions.ts";
export { connect, type ConnectOptions, type TlsOptions } from "./client/api/connect.ts";
export type { NamedReply } from "./client/net/named_reply.ts";
export type { Retry, RetryPolicy } from "./client/net/retry.ts";
export type { Address } from "./lib/core/address.ts";
export type { Digest } from "./lib/digest/digest.ts";
export {
  PrefixDigest,
  type PrefixDigestOptions,
  type PrefixFacts,
  type SavedPrefix,
} from "./lib/digest/prefix_digest.ts";
export type { Algorithm, Checksum } from "./lib/core/checksum.ts";
export type { Framing } from "./lib/line_exec/framing.ts";
export {
  type ErrorCode,
  FerryError,
  type FerryErrorOptions,
  type Place,
} from "./lib/core/errors.ts";
export type { FileSystem } from "./lib/file_system/file_system.ts";
export { type FileName, parseDirectoryName, parseFileName } from "./lib/core/remote_name.ts";
export type { PingReply } from "./lib/wire/operations/ping.ts";
export type { HelloReply } from "./lib/wire/operations/hello.ts";
export type { SharedLink, ShareWishes } from "./lib/core/share_link.ts";
export type { Entry, Listed, Omission, Omitted, PartEntry, Unkept } from "./lib/core/entry.ts";
export type { Overwrite } from "./lib/core/overwrite.ts";
export type { Durability } from "./lib/files/durability.ts";
export type {
  AnnouncedAttributes,
  Bounds,
  ChangeOptions,
  CreateOptions,
  CreateResumableOptions,
  DescribedUpload,
  DiscardOptions,
  FindOptions,
  ListOptions,
  LookOptions,
  MoveOptions,
  PartialUpload,
  PartialUploads,
  PendingWrite,
  RemoveOptions,
  ResumableWrite,
  ResumeOptions,
  Storage,
  StoredFile,
  StoreOptions,
  WithinOptions,
} from "./server/storage/storage.ts";
export type { Amount, StorageUsage, TellsUsage } from "./server/storage/usage.ts";
export type { BlockHashes, FileRange } from "./server/storage/stored_file.ts";
export type { PieceTarget, StoredPiece } from "./lib/files/stored_pieces.ts";
export type {
  PublishedTree,
  PublishOptions,
  StagedTree,
  StagedTrees,
  StagedTreeState,
  WriteTarget,
} from "./server/storage/staged_trees.ts";
export type {
  CreateLinkOptions,
  LinkOrOther,
  SymbolicLinks,
} from "./server/storage/symbolic_links.ts";
export type { Link } from "./lib/core/link_target.ts";
export type {
  DirectoryLimit,
  DirectoryQuotas,
  LimitsDirectories,
  QuotaUsage,
} from "./server/storage/quotas.ts";
export type { ContentFinder, FoundContent, WantedContent } from "./server/storage/contents.ts";
export type { CommitOptions, Committed, Condition } from "./lib/files/commit.ts";
export type { ByteSink, ByteSource } from "./lib/core/bytes.ts";
export type { OnMount } from "./server/storage/fs/mount_points.ts";
export type { OnRoot } from "./server/storage/fs/root_directory.ts";
export {
  MemoryStorage,
  type MemoryStorageOptions,
} from "./server/storage/memory/memory_storage.ts";
export { FsStorage } from "./server/storage/fs/fs_storage.ts";
export type { FsStorageOptions } from "./server/storage/fs/served_root.ts";
export { S3Storage, type S3StorageOptions } from "./server/storage/s3/s3_storage.ts";
export {
  type Credentials,
  credentialsFrom,
  type CredentialSource,
  type Environment,
} from "./server/storage/s3/credentials.ts";
export type { S3LocationOptions } from "./server/storage/s3/s3_location.ts";
export type { MadeRequest, Operation, S3Patience } from "./server/storage/s3/s3_requests.ts";
export { VERSION } from "./lib/core/version.ts";
export { createRuntime, type Runtime, type RuntimeOptions } from "./lib/runtime/runtime.ts";
export type { Clock, Timer } from "./lib/core/clock.ts";
export type { ListenerKind } from "./lib/core/address.ts";
export type { Listening } from "./lib/core/address.ts";
export type { ScramVerifier } from "./lib/security/scram.ts";
export { type GrantedDirectory as Prefix, type Grants, parseGrants } from "./server/auth/grants.ts";
export type { Scope } from "./lib/core/scope.ts";
export type { ExecPolicy } from "./server/exec/allowed_commands.ts";
export type { FailedRequest, ServerHooks } from "./server/observe/hooks.ts";
export type {
  BeforeStore,
  ContentCount,
  EndedOperation,
  Observer,
  OpenConnection,
  OperationKind,
  OperationSubject,
  Refusal,
  Requester,
  RunningOperation,
} from "./server/observe/operation.ts";
export type { ScrubFindings, ScrubPass } from "./server/observe/metrics/scrub_metrics.ts";
export type { HttpServeOptions, ServerSettings } from "./server/configuration/settings.ts";
export type { ProposedUpload, PublishedDirectory, StoredUpload } from "./server/files/upload.ts";
export { type ReloadOptions, serve, type ServeOptions, type Server } from "./server/serve.ts";
export type { KeyPair } from "./server/net/tls_listener.ts";
export { TokenFile } from "./server/auth/token_file.ts";
export {
  type Challenge,
  type NewToken,
  newToken,
  type NewTokenOptions,
  type TokenRecord,
  type TokenTable,
  tokenTable,
} from "./server/auth/token_table.ts";
