/**
 * Options that several commands of `ferry` share. Those of a single command are in its own file.
 *
 * @module
 */

import { ALGORITHMS } from "../../lib/core/checksum.ts";
import type { OptionTable, OptionValues } from "../../lib/cli/command_spec.ts";
import { MAX_TIMEOUT_MS } from "../../lib/core/number_options.ts";
import { OVERWRITE_POLICIES } from "../../lib/core/overwrite.ts";
import { MAX_STREAMS } from "../net/stream_count.ts";

/** Options of every command that connects to a ferryd. */
export const COMMON = {
  server: {
    kind: "text",
    short: "s",
    value: "HOST:PORT",
    default: "127.0.0.1:9900",
    help: "the server",
  },
  "token-file": {
    kind: "text",
    value: "FILE",
    help: "a file with a token, that only you can read; FERRY_TOKEN may hold one instead",
  },
  tls: { kind: "flag", help: "encrypt the connection; --ca and --pin do so too" },
  ca: {
    kind: "text",
    value: "FILE",
    help: "certificates in PEM to trust, of authorities or of the server itself",
  },
  pin: {
    kind: "list",
    value: "sha256:HEX",
    help: "trust only a server with the certificate of that fingerprint (may be repeated)",
  },
  timeout: {
    kind: "time",
    value: "TIME",
    default: "60s",
    range: [1, MAX_TIMEOUT_MS],
    help: "give up on a server that gives no sign of life for that long",
  },
  "connect-timeout": {
    kind: "time",
    value: "TIME",
    // A command has to end within ten seconds where no server answers, the start of the program included.
    default: "8s",
    range: [1, MAX_TIMEOUT_MS],
    help: "give up on a server that cannot be reached in that time",
  },
  retries: {
    kind: "count",
    value: "N",
    default: "5",
    help: "repeat so often what failed for a reason that may pass; counts anew when bytes moved",
  },
  compress: {
    kind: "count",
    short: "z",
    value: "LEVEL",
    implied: "3",
    range: [1, 19],
    help: "compress what crosses the line, both ways; a level of 1 to 19 (3 if none is given)",
  },
  "limit-rate": {
    kind: "size",
    value: "RATE",
    range: [1, Infinity],
    help: "move no more than so many bytes a second, as 500k or 2MiB",
  },
  json: { kind: "flag", help: "print one JSON object a line instead" },
  quiet: { kind: "flag", short: "q", help: "print errors only" },
  verbose: {
    kind: "flag",
    short: "v",
    help: "tell each reply of the server, with the request id that the server's log has",
  },
  config: { kind: "text", value: "FILE", help: "a TOML file with options, one a line" },
  help: { kind: "flag", short: "h", argumentOnly: true, help: "show this text" },
} as const satisfies OptionTable;

/**
 * {@linkcode COMMON} for commands that transfer no files. A user can easily repeat them, so by default they report an
 * unreachable server at once, without retries.
 */
export const COMMON_WITHOUT_RETRIES = {
  ...COMMON,
  retries: { ...COMMON.retries, default: "0" },
} as const satisfies OptionTable;

/** `--checksum` */
export const CHECKSUM = {
  kind: "text",
  value: "md5|sha256|xxh128",
  choices: ALGORITHMS,
  default: "md5",
  help: "what files are checked with: sha256 holds against attackers too, xxh128 is the quickest",
} as const;

/** `--progress` */
export const PROGRESS = {
  kind: "flag",
  help: "show progress even where stderr is no terminal",
} as const;

/** Options of the commands that transfer files in either direction. */
export const TRANSFER = {
  overwrite: {
    kind: "text",
    value: "WHEN",
    choices: OVERWRITE_POLICIES,
    help: "when the name is taken: never (the default), always, newer, different (that of " +
      "--delete); an identical file is no conflict",
  },
  preserve: {
    kind: "flag",
    short: "p",
    help: "keep the modification time and the permission bits",
  },
  checksum: CHECKSUM,
  jobs: {
    kind: "count",
    value: "N",
    range: [1, 64],
    default: "1",
    help: "transfer so many files at a time, each over a connection of its own",
  },
  streams: {
    kind: "count",
    value: "N|auto",
    range: [1, MAX_STREAMS],
    auto: true,
    default: "1",
    help: "move a large file in pieces over so many connections at once; auto: as many as help",
  },
  "no-resume": {
    kind: "flag",
    help: "begin at the start, also where a part of an earlier try is there",
  },
  "no-delta": {
    kind: "flag",
    help: "transfer whole files, also where the receiver has an older version",
  },
  include: {
    kind: "list",
    value: "PATTERN",
    help: "of a directory, only files that match (as in .gitignore; may be repeated)",
  },
  exclude: {
    kind: "list",
    value: "PATTERN",
    help: "of a directory, not what matches (as in .gitignore; may be repeated)",
  },
  "dry-run": {
    kind: "flag",
    short: "n",
    help: "show what would be transferred, and change nothing on either side",
  },
  links: {
    kind: "flag",
    help: "of a directory, keep symbolic links that stay in it; the server has to allow that",
  },
  sparse: {
    kind: "flag",
    help: "make holes, which take no space on the disk, of runs of zeros of 64 KiB and more",
  },
  // Accepted since users of cp and scp write it.
  recursive: {
    kind: "flag",
    short: "r",
    help: "changes nothing: of a directory, all that is in it is transferred in any case",
  },
} as const satisfies OptionTable;

/** Options that make the target of a directory the same as its source. */
export const MIRROR = {
  delete: {
    kind: "flag",
    help: "of a directory, delete at the target what the source does not have, once all went well",
  },
  "delete-excluded": {
    kind: "flag",
    help: "delete what --include and --exclude leave out, too, which stays otherwise",
  },
  "max-delete": {
    kind: "count",
    value: "N",
    help: "delete nothing if more than N files and directories would be",
  },
  backup: {
    kind: "text",
    value: "DIR",
    help: "keep what is deleted or replaced in that directory, which is where the target is",
  },
  force: {
    kind: "flag",
    help: "delete even if something failed or could not be read; --max-delete still holds",
  },
} as const satisfies OptionTable;

/** The values of {@linkcode COMMON}, and of other options that apply to every command that has them. */
export type CommonValues =
  & OptionValues<typeof COMMON>
  & Partial<
    OptionValues<
      {
        progress: typeof PROGRESS;
        "dry-run": { kind: "flag"; help: string };
        watch: { kind: "flag"; help: string };
      }
    >
  >;
