/**
 * The program `ferryd`: runs a command, or serves the files of a directory or a bucket until a signal ends it. Only
 * this module decides which storage is used.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { formatAddress, isLoopback, type Listening } from "../lib/core/address.ts";
import { ALL_BUFFERS } from "../lib/core/buffer_budget.ts";
import { ENVIRONMENT, giveUp } from "../lib/cli/permissions.ts";
import { onInterrupt } from "../lib/cli/signals.ts";
import { type FerryError, quote, toFerryError } from "../lib/core/errors.ts";
import { VERSION } from "../lib/core/version.ts";
import { PLATFORM } from "../lib/core/platform.ts";
import type { Runtime } from "../lib/runtime/runtime.ts";
import { Admin } from "./admin/admin.ts";
import type { SocketPlace } from "./admin/admin_socket.ts";
import { TrafficCounter } from "./admin/traffic_counter.ts";
import { type BucketRoot, bucketRoot } from "./cli/bucket_root.ts";
import { COMMANDS } from "./cli/commands/all.ts";
import { SERVE, type ServeValues } from "./cli/serve_spec.ts";
import { LogFiles } from "./observe/log_files.ts";
import {
  readKeyPair,
  readTokens,
  reload,
  type Reloadable,
  watchTokens,
} from "./cli/credentials.ts";
import { runCommandLine } from "./cli/run.ts";
import { ServiceManager } from "./cli/service_manager.ts";
import { settingsFrom } from "./configuration/settings_from.ts";
import type { UploadHooks } from "./hooks/upload_hooks.ts";
import { guarded } from "./observe/failures.ts";
import { openAdmin } from "./open_admin.ts";
import { LineWriter } from "./observe/line_writer.ts";
import { logUncaught } from "./observe/log.ts";
import { recordsOf } from "./records_of_storage.ts";
import type { Scrub } from "./scrub/scrub.ts";
import type { FsStorage } from "./storage/fs/fs_storage.ts";
import type { S3StorageOptions } from "./storage/s3/s3_storage.ts";
import type { Storage } from "./storage/storage.ts";

const logger = getLogger(["ferry", "server"]);

/** How often expired partial uploads are discarded, in milliseconds. */
const EXPIRE_EVERY_MS = 10 * 60 * 1000;

/** How long the program waits at its end for its output to be written, in milliseconds. */
const LAST_OUTPUT_MS = 1000;

/** The exit status of `--check-config` if there is a problem: that of wrong options. */
const WRONG_CONFIGURATION = 2;

/** The output of a server. Writing it never waits for a reader. */
const output: { stdout: LineWriter; stderr: LineWriter; logs?: LogFiles } = {
  stdout: new LineWriter(Deno.stdout),
  stderr: new LineWriter(Deno.stderr),
};

/** Serves until a signal ends it. */
async function run(options: ServeValues): Promise<void> {
  const logs = await LogFiles.open(options, output.stderr);
  output.logs = logs;
  if (PLATFORM.reopen !== undefined) Deno.addSignalListener(PLATFORM.reopen, () => logs.reopen());
  logUncaught();
  const settings = settingsFrom(options);
  using manager = ServiceManager.from(ENVIRONMENT);
  const root = bucketRoot(options);
  const bucket = root && await accessTo(root);
  // ferryd is started with the permissions for all its options.
  const runsPrograms = settings.exec !== undefined || hasHooks(options);
  giveUp(runsPrograms ? ["ffi"] : ["env", "ffi", "run"], Object.values(options));
  // Loaded on demand: it is half of the program, and other commands do not need it.
  const { serve } = await import("./serve.ts");
  let reported: readonly string[] = [];
  const onBack = () => {
    const { shortcomings = [] } = storage;
    if (`${shortcomings}` !== `${reported}`) {
      for (const each of shortcomings) logger.warn(each);
    }
    reported = shortcomings;
  };
  const runtime = await runtimeFor(options, bucket);
  const directory = bucket ? undefined : await openDirectory(options, runtime, onBack);
  const storage: OpenedStorage = directory ??
    await openBucket({ ...bucket!, maxFileSize: options["max-file-size"], runtime });
  await using _storage = storage;
  await using hooks = await openHooks(options, directory, runtime);
  let tokens = readTokens(options);
  const counter = new TrafficCounter();
  await using scrub = await startScrub(options, storage, runtime);
  const server = await serve({
    storage,
    runtime,
    observers: [counter, ...logs.audit ? [logs.audit] : [], ...hooks?.observers ?? []],
    ...settings,
    scrubbed: scrub && (() => scrub.state),
    tokens,
    tls: await readKeyPair(options),
    beforeStore: hooks?.beforeStore,
  });
  const expire = () => {
    const ttl = options["partial-ttl"];
    guarded("remove old partial uploads", () => storage.partialUploads?.expire(ttl));
    guarded("remove old staged directories", () => storage.stagedTrees?.expire(ttl));
  };
  expire();
  Deno.unrefTimer(setInterval(expire, EXPIRE_EVERY_MS));
  /** How long transfers may go on, in milliseconds. */
  const stop = Promise.withResolvers<number>();
  onInterrupt(() => stop.resolve(options["drain-timeout"]), () => Deno.exit(1));
  const admin = new Admin({
    server,
    storage,
    root: storage.root ?? options.root,
    counter,
    nameOf: (token) => tokens?.records.get(token)?.name,
    drain: (timeout = options["drain-timeout"]) => stop.resolve(timeout),
    clock: runtime.clock,
  });
  await using _socket = await openAdmin(admin, { path: options["admin-socket"], storage });
  const reloadable: Reloadable = {
    reload(changed) {
      server.reload(changed);
      tokens = changed.tokens ?? tokens;
    },
  };
  using _watch = tokens && watchTokens(reloadable, options, tokens);
  const serving = `Serving ${quote(options.root)}`;
  if (PLATFORM.reload !== undefined) {
    Deno.addSignalListener(PLATFORM.reload, () => {
      guarded("read the tokens and the certificate anew", async () => {
        await manager?.reloading();
        await reload(reloadable, options);
        logs.audit?.note("reloaded");
        await manager?.ready(serving);
      });
    });
  }
  logs.audit?.note("started", { version: VERSION, pid: Deno.pid, root: options.root });
  for (const { kind, ...address } of server.addresses) {
    output.stdout.write(`ferryd: listening ${kind} ${formatAddress(address)}\n`);
  }
  if (server.addresses.some(isOpenAndPlain)) {
    output.stderr.write(
      "ferryd: others can connect, and nothing is encrypted: see ferryd cert --help\n",
    );
  }
  reported = storage.shortcomings ?? [];
  for (const shortcoming of reported) output.stderr.write(`ferryd: ${shortcoming}\n`);
  output.stdout.write("ferryd: ready\n");
  await manager?.ready(serving);
  const drainTimeout = await stop.promise;
  admin.draining();
  await manager?.stopping(drainTimeout);
  await Promise.all([server.close({ drainTimeout }), hooks?.stop(drainTimeout)]);
  logs.audit?.note("stopped");
}

/** Starts to read all files in the background, if that is wanted. */
async function startScrub(
  { scrub: interval, "scrub-rate": rate }: ServeValues,
  storage: Storage,
  runtime: Runtime,
): Promise<Scrub | undefined> {
  if (!interval) return undefined;
  const { Scrub } = await import("./scrub/scrub.ts");
  const records = recordsOf(storage, runtime, "What scrubbing has found");
  return Scrub.start({ storage, runtime, records, interval, rate });
}

/** Says what would keep a server with these options from starting, and ends the program. */
async function check(options: ServeValues, problems: readonly FerryError[]): Promise<void> {
  const { checkConfiguration } = await import("./configuration/check.ts");
  const found = await checkConfiguration(options, ENVIRONMENT);
  const all = [...problems, ...found.problems];
  for (const { message } of all) output.stderr.write(`ferryd: ${message}\n`);
  for (const warning of found.warnings) output.stderr.write(`ferryd: warning: ${warning}\n`);
  if (all.length > 0) return await exit(WRONG_CONFIGURATION);
  output.stdout.write("ferryd: the configuration is good\n");
}

/** Whether others can connect to a listener that takes tokens, and nothing is encrypted there. */
function isOpenAndPlain({ kind, ...address }: Listening): boolean {
  return (kind === "tcp" || kind === "http") && !isLoopback(address);
}

/** A storage that may have a place for the socket of the operator. */
type OpenedStorage = Storage & { readonly socketPlace?: SocketPlace | undefined };

/** Where a bucket is, and the keys to it. */
type BucketAccess = Omit<S3StorageOptions, "maxFileSize" | "runtime">;

/** Reads from the environment how to get at a bucket. */
async function accessTo(root: BucketRoot): Promise<BucketAccess> {
  const { credentialsFrom, regionFrom } = await import("./storage/s3/credentials.ts");
  const credentials = credentialsFrom(ENVIRONMENT);
  return { ...root, region: root.region ?? await regionFrom(ENVIRONMENT), credentials };
}

/** Files of this size in bytes and larger ones are digested by threads, of which several transfers share each. */
const THREADED_BYTES = 16 * 1024 * 1024;

/** What a server and its storage share. */
async function runtimeFor(
  { threads = navigator.hardwareConcurrency }: ServeValues,
  bucket: BucketAccess | undefined,
): Promise<Runtime> {
  const { createRuntime } = await import("../lib/runtime/runtime.ts");
  // What is with a thread is in a buffer: in small ones, each message to a thread has little to digest.
  const bufferBytes = bucket
    ? (await import("./storage/s3/s3_storage.ts")).BUFFER_BYTES
    : ALL_BUFFERS * threads;
  // One thread beside the main one would leave that idle.
  const digestThreads = threads > 1 ? threads : 0;
  return createRuntime({ bufferBytes, digestThreads, threadedBytes: THREADED_BYTES });
}

/** Opens a bucket, in which the server keeps files. */
async function openBucket(options: S3StorageOptions): Promise<Storage> {
  const { S3Storage } = await import("./storage/s3/s3_storage.ts");
  return await S3Storage.open(options);
}

/**
 * Opens a directory, in which the server keeps files.
 *
 * @param onBack called when the directory is back, where another file system may be mounted now, which keeps less or
 * more
 */
async function openDirectory(
  options: ServeValues,
  runtime: Runtime,
  onBack: () => void,
): Promise<FsStorage> {
  const { FsStorage } = await import("./storage/fs/fs_storage.ts");
  const { untilAnswered } = await import("./storage/fs/state_directory.ts");
  await untilAnswered(options.root, () => {
    output.stderr.write(
      `ferryd: waiting for the file system of ${
        quote(options.root)
      }: it may take a minute to give ` +
        "up another machine that used the directory and has ended\n",
    );
  });
  return FsStorage.open(options.root, {
    runtime,
    durability: options.durability,
    maxFileSize: options["max-file-size"],
    quota: options.quota,
    together: options.together,
    links: options["allow-links"],
    onRoot: (state) => {
      logRootState(state, options.root);
      if (state === "back") onBack();
    },
    onMount: logMountState,
    onWaiting: (ms) =>
      output.stderr.write(
        `ferryd: watching for ${ms / 1000} s whether the ferryd still runs that served ` +
          `${quote(options.root)} by another path or on another machine\n`,
      ),
  });
}

/** Logs that the served directory is gone, or is back. */
function logRootState(state: "lost" | "back", root: string): void {
  if (state === "back") return logger.info("{root} is back: files are served again", { root });
  logger.error(
    "{root} is not the directory that was opened: it was renamed, removed or unmounted. " +
      "Nothing is served until it is back",
    { root },
  );
}

/** Logs that a file system below the served directory is gone, or is back. */
function logMountState(state: "lost" | "back", path: string): void {
  if (state === "back") return logger.info("A file system is mounted at {path} again", { path });
  logger.error(
    "The file system that was mounted at {path} is gone. Nothing is served there until one is " +
      "mounted again",
    { path },
  );
}

/** Whether programs are run before or after uploads. */
function hasHooks(options: ServeValues): boolean {
  return options["on-stored"] !== undefined || options["before-store"] !== undefined;
}

/**
 * Opens the programs that are run before and after uploads; undefined if there are none.
 *
 * @param directory the storage, if that is a directory
 */
async function openHooks(
  options: ServeValues,
  directory: FsStorage | undefined,
  { clock }: Runtime,
): Promise<UploadHooks | undefined> {
  if (!hasHooks(options)) return undefined;
  const { UploadHooks } = await import("./hooks/upload_hooks.ts");
  return await UploadHooks.open(options, {
    root: directory?.root,
    durable: options.durability === "full",
    ownDirectory: directory && (() => directory.ownDirectory("hooks")),
    unwritable: directory?.unwritable,
    clock,
  });
}

async function exit(status: number): Promise<never> {
  const { stdout, stderr, logs } = output;
  await Promise.all([stdout, stderr, logs].map((lines) => lines?.flush(LAST_OUTPUT_MS)));
  Deno.exit(status);
}

if (import.meta.main) {
  try {
    await runCommandLine(Deno.args, { commands: COMMANDS, serve: SERVE, run, check });
    // The signal listeners would keep the process running.
    await exit(0);
  } catch (error) {
    const { message, exitStatus } = toFerryError(error);
    output.stderr.write(`ferryd: ${message}\n`);
    await exit(exitStatus);
  }
}
