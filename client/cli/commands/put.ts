/**
 * `ferry put`
 *
 * @module
 */

import { FerryError, quote } from "../../../lib/core/errors.ts";
import { isDirectory } from "../../../lib/files/path_lookup.ts";
import { localFailure } from "../../transfer/local_failure.ts";
import { assertDistinctOnServer } from "../../transfer/name_collisions.ts";
import { assertDistinct, nameOnServer, remoteName } from "../../transfer/names.ts";
import type { Progress, Published } from "../../transfer/options.ts";
import { type Command, command } from "../command.ts";
import { COMMON, MIRROR, PROGRESS, TRANSFER } from "../options.ts";
import { secondsSince } from "../output.ts";
import { ReceiptFile } from "../receipt_file.ts";
import { standardInput } from "../stdio.ts";
import { watchReports } from "../watch_output.ts";
import { TransferOutput } from "../transfer_output.ts";
import {
  asksForMirror,
  forEachItem,
  isFile,
  notMirrored,
  streamOptions,
  treeOptions,
} from "../transfers.ts";

/** A local file or directory, and its name on the server. */
interface Source {
  path: string;
  filename: string;
}

/** The command. */
export const put = command({
  name: "ferry put",
  op: "put",
  usage: "PATH... [--to DIR] [--as NAME]",
  summary: "Upload files and directories",
  details:
    `--as NAME is what the file or directory becomes; --as NAME/, with the slash, and --to DIR are
what it goes into. Without them it gets its own name. Of a directory, files that are there with the
same size and modification time are left out; modification times are kept. - is standard input, and
needs --as NAME.

For each file a line of md5sum's format goes to standard output: its md5 (or the other checksum
that was asked for), as the server verified it, and its name there.`,
  arguments: { min: 1, max: Infinity },
  options: {
    to: { kind: "text", value: "DIR", help: "the directory on the server that all go into" },
    as: {
      kind: "text",
      value: "NAME",
      help: "what one file or directory becomes on the server; NAME/ is what it goes into",
    },
    basis: {
      kind: "text",
      value: "NAME",
      help: "send only what one file does not have in common with that one on the server",
    },
    ...TRANSFER,
    ...MIRROR,
    watch: {
      kind: "flag",
      help: "of a directory, go on with what changes in it, until Ctrl-C",
    },
    rescan: {
      kind: "time",
      value: "TIME",
      default: "30s",
      help: "with --watch, how often everything is compared, for changes that are not reported",
    },
    follow: {
      kind: "flag",
      help: "in a directory, follow symbolic links; they are skipped otherwise",
    },
    "checksum-compare": {
      kind: "flag",
      help: "in a directory, compare checksums, not sizes and times, to find what is there",
    },
    atomic: {
      kind: "flag",
      help: "publish a directory as one: nobody sees it before all of it is there",
    },
    receipt: {
      kind: "text",
      value: "FILE",
      argumentOnly: true,
      completes: "files",
      help:
        "add a line for each file to FILE, in which the server says what it has, signed if it " +
        "has a certificate; see ferry verify",
    },
    "hash-first": {
      kind: "flag",
      help: "read a large file once more to tell its checksum in advance",
    },
    progress: PROGRESS,
    ...COMMON,
  },
  async run(context, options, args) {
    const { as, backup, preserve, "hash-first": hashFirst, follow, jobs } = options;
    const { checksum: algorithm, "no-resume": noResume, "dry-run": dryRun, sparse, links } =
      options;
    const { basis, "no-delta": noDelta } = options;
    const { output, signal } = context;
    const { progress } = output;
    if (follow && links) {
      throw new FerryError("usage", "--follow and --links do not go together");
    }
    const mirrors = asksForMirror(options);
    const overwrite = options.overwrite ?? (mirrors || options.watch ? "different" : "never");
    if (options.receipt !== undefined && (dryRun || options.watch)) {
      throw new FerryError("usage", "--receipt does not go with --dry-run and --watch");
    }
    await using receipts = options.receipt === undefined
      ? undefined
      : await ReceiptFile.open(context, options.receipt, { held: options.atomic });
    const transfers = new TransferOutput(output, {
      dryRun,
      deletes: options.delete,
      onTransferred: (result) => receipts?.add(result),
    });
    const began = performance.now();
    const onError = (path: string, error: FerryError) => {
      const failure = localFailure(error, path).during(`put ${quote(path)}`);
      context.failed("put", failure, { filename: path });
    };
    // This module is loaded here, as the client is, since help texts do without it.
    const { expandGlobs } = await import("../../transfer/local_tree.ts");
    const paths = await expandGlobs(args, { onError });
    if (as !== undefined && paths.length > 1) {
      throw new FerryError("usage", "--as gives one name, and several files are to be uploaded");
    }
    const sources = [...new Set(paths)].map((path): Source => {
      return { path, filename: nameOnServer(path, options) };
    });
    assertDistinct(sources.map(({ path, filename }) => [path, filename]));
    const resume = !noResume;
    const delta = !noDelta;
    const streams = streamOptions(context, options.streams);
    const settings = { resume, delta, dryRun, sparse, signal, ...streams };
    const common = { overwrite, preserve, hashFirst, algorithm, ...settings };
    const op = "put";
    const nameOf = ({ filename }: Source) => filename;
    const isTree = ({ path }: Source) => path !== "-" && isDirectory(path);
    const files = sources.filter((source) => !isTree(source));
    if (mirrors && files.length > 0) throw notMirrored("put", files[0]!.path);
    if (options.atomic && files.length > 0) {
      throw isFile("put", files[0]!.path, "--atomic is for directories");
    }
    if (options.watch && (dryRun || sources.length !== 1 || files.length > 0)) {
      throw new FerryError("usage", "--watch follows one directory, and is no dry run");
    }
    if (basis !== undefined && (sources.length > 1 || files.length === 0)) {
      throw new FerryError("usage", "--basis is for one file");
    }
    if (files.length > 1) {
      progress.startMany();
      progress.plan(files.length, files.reduce((sum, { path }) => sum + sizeOf(path), 0));
    }
    await forEachItem(context, files, {
      jobs,
      op,
      nameOf,
      placeOf: dryRun ? undefined : nameOf,
      assertOther: (client, { filename }, before) =>
        assertDistinctOnServer(filename, before, client),
    }, async (client, { path, filename }) => {
      const started = performance.now();
      const onProgress = (state: Progress) => progress.show(state, started);
      const source = path === "-" ? standardInput() : path;
      const result = await client.put(source, { ...common, as: filename, basis, onProgress });
      transfers.transferred(op, result.filename, result, secondsSince(started));
    });
    progress.endMany();
    const trees = sources.filter(isTree);
    let whole = 0;
    // One directory at a time: all jobs work on the same one.
    await forEachItem(context, trees, { jobs: 1, op, nameOf }, async (client, source) => {
      const started = performance.now();
      const tree = await treeOptions(op, context, transfers, options);
      const put = {
        ...common,
        ...tree,
        as: source.filename,
        backup: backup === undefined ? undefined : remoteName(backup),
        follow,
        links,
        checksumCompare: options["checksum-compare"],
        atomic: options.atomic,
        onPublished: (published: Published) => {
          output.event({ event: "published", op, ...published });
          output.notice(`published ${quote(published.filename)}`);
        },
        onProgress: (state: Progress) => progress.show(state, started),
      };
      if (options.watch) {
        const { rescan } = options;
        if (options.atomic) throw new FerryError("usage", "--watch does not go with --atomic");
        await client.watchTree(source.path, {
          ...put,
          rescan,
          ...watchReports(output, source.path),
        });
      }
      await client.putTree(source.path, put);
      whole++;
    });
    progress.endMany();
    await receipts?.finish();
    transfers.summary(secondsSince(began), { trees: whole > 0 });
  },
});

/** `ferry upload` */
export const upload: Command = {
  ...put,
  name: "ferry upload",
  summary: "The same as ferry put",
};

/** The size of a file for the progress display; 0 for pipes, and for files that cannot be read and fail later. */
function sizeOf(path: string): number {
  try {
    return Deno.statSync(path).size;
  } catch {
    return 0;
  }
}
