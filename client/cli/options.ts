/**
 * The commands of `ferry` and their options.
 *
 * @module
 */

import { ALGORITHMS } from "../../lib/core/checksum.ts";
import type { CommandSpec, OptionTable } from "../../lib/cli/command_line.ts";
import { FRAMINGS } from "../../lib/line_exec/framing.ts";
import { completionsSpec } from "../../lib/cli/completions.ts";
import { OVERWRITE_POLICIES } from "../../lib/core/overwrite.ts";
import { DURABILITIES } from "../../lib/files/durability.ts";

/** Options of every command. */
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
    help: "give up on a server that gives no sign of life for that long",
  },
  "connect-timeout": {
    kind: "time",
    value: "TIME",
    // The program begins before it, and all of it is to take less than ten seconds.
    default: "8s",
    help: "give up on a server that cannot be reached in that time",
  },
  retries: {
    kind: "count",
    value: "N",
    default: "5",
    help: "repeat so often what failed for a reason that may pass; counts anew when bytes moved",
  },
  "limit-rate": {
    kind: "size",
    value: "RATE",
    help: "move no more than so many bytes a second, as 500k or 2MiB",
  },
  json: { kind: "flag", help: "print one JSON object a line instead" },
  quiet: { kind: "flag", short: "q", help: "print errors only" },
  config: { kind: "text", value: "FILE", help: "a TOML file with options, one a line" },
  help: { kind: "flag", short: "h", help: "show this text" },
} as const satisfies OptionTable;

/**
 * Options of the commands that transfer nothing. To repeat such a command is easy, so it says at once that a server
 * cannot be reached.
 */
const ASKING = { ...COMMON, retries: { ...COMMON.retries, default: "0" } } as const;

/** What people write who have used other programs; it changes nothing. */
const RECURSIVE_ANYWAY = {
  kind: "flag",
  short: "r",
  help: "changes nothing: of a directory, all that is in it is transferred in any case",
} as const;

const OVERWRITE = {
  kind: "text",
  value: "WHEN",
  choices: OVERWRITE_POLICIES,
  default: "never",
  help: "when the name is taken: never, always, newer, different; an identical file is no conflict",
} as const;

const PRESERVE = {
  kind: "flag",
  short: "p",
  help: "keep the modification time and the permission bits",
} as const;

const TREE = {
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
} as const;

const JOBS = {
  kind: "count",
  value: "N",
  range: [1, 64],
  default: "1",
  help: "transfer so many files at a time, each over a connection of its own",
} as const;

const CHECKSUM = {
  kind: "text",
  value: "md5|sha256|xxh128",
  choices: ALGORITHMS,
  default: "md5",
  help: "what files are checked with: sha256 holds against attackers too, xxh128 is the quickest",
} as const;

const NO_RESUME = {
  kind: "flag",
  help: "begin at the start, also where a part of an earlier try is there",
} as const;

const PROGRESS = { kind: "flag", help: "show progress even where stderr is no terminal" } as const;

/** `ferry put` */
export const PUT = {
  name: "ferry put",
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
    overwrite: OVERWRITE,
    preserve: PRESERVE,
    checksum: CHECKSUM,
    jobs: JOBS,
    "no-resume": NO_RESUME,
    ...TREE,
    recursive: RECURSIVE_ANYWAY,
    follow: {
      kind: "flag",
      help: "in a directory, follow symbolic links; they are skipped otherwise",
    },
    "checksum-compare": {
      kind: "flag",
      help: "in a directory, compare checksums, not sizes and times, to find what is there",
    },
    "hash-first": {
      kind: "flag",
      help: "read a large file once more to tell its checksum in advance",
    },
    progress: PROGRESS,
    ...COMMON,
  },
} as const satisfies CommandSpec;

/** `ferry get` */
export const GET = {
  name: "ferry get",
  usage: "NAME... [--out PATH]",
  summary: "Download files",
  details:
    `A NAME may be a directory, or a pattern: "*" and "?" stand for what is between slashes, "**" for
directories.

--out PATH is what a file or a directory becomes, whether it is there or not: so the same command
goes on where it was cut. --out PATH/, with the slash, is the directory that it goes into, as are .
and .., and PATH itself for several names or a pattern. A single file goes into a directory that is
there, as with cp. Missing directories are made. A device, a named pipe or /dev/stdout is written
into; - is standard output. What is written there is verified only at its end: see the exit status.

For each file a line of md5sum's format goes to standard output: its md5 (or the
other checksum that was asked for), as verified here, and its local path.
"ferry get NAME | md5sum -c" checks it once more.`,
  arguments: { min: 1, max: Infinity },
  options: {
    out: {
      kind: "text",
      short: "o",
      value: "PATH",
      help: "what it becomes; PATH/ is what it goes into; - is standard output",
    },
    overwrite: OVERWRITE,
    preserve: PRESERVE,
    checksum: CHECKSUM,
    jobs: JOBS,
    "no-resume": NO_RESUME,
    ...TREE,
    recursive: RECURSIVE_ANYWAY,
    durability: {
      kind: "text",
      value: "full|none",
      choices: DURABILITIES,
      default: "full",
      help: "whether a reported file survives a loss of power",
    },
    progress: PROGRESS,
    ...COMMON,
  },
} as const satisfies CommandSpec;

/** `ferry upload`, for those who look for it. */
export const UPLOAD = {
  ...PUT,
  name: "ferry upload",
  summary: "The same as ferry put",
} as const satisfies CommandSpec;

/** `ferry download`, likewise. */
export const DOWNLOAD = {
  ...GET,
  name: "ferry download",
  summary: "The same as ferry get",
} as const satisfies CommandSpec;

/** `ferry cat` */
export const CAT = {
  name: "ferry cat",
  usage: "NAME...",
  summary: "Write files to standard output: ferry get NAME... --out -",
  details: "What is written is verified only at its end: see the exit status.",
  arguments: { min: 1, max: Infinity },
  options: { checksum: CHECKSUM, progress: PROGRESS, ...COMMON },
} as const satisfies CommandSpec;

/** `ferry ls` */
export const LS = {
  name: "ferry ls",
  usage: "[NAME...] [-R]",
  summary: "List directories of the server, or files",
  details:
    `Without a NAME, or with ".", it lists all that is served. A NAME may be a pattern: "*" and "?" stand
for what is between slashes, "**" for directories. Times are those of this machine's time zone.`,
  arguments: { min: 0, max: Infinity },
  options: {
    recursive: { kind: "flag", short: "R", help: "list what is in its directories too" },
    human: { kind: "flag", short: "h", help: "show sizes in units: 1.5 KiB, 20 MiB" },
    long: { kind: "flag", short: "l", help: "changes nothing: the list is long in any case" },
    partial: {
      kind: "flag",
      help: "list the uploads that were cut and can be gone on with instead",
    },
    ...ASKING,
    help: { kind: "flag", help: COMMON.help.help },
  },
} as const satisfies CommandSpec;

/** `ferry stat` */
export const STAT = {
  name: "ferry stat",
  usage: "NAME...",
  summary: "Show size, times and checksum of files on the server",
  details: "A NAME may be a pattern, as for ferry ls.",
  arguments: { min: 1, max: Infinity },
  options: { checksum: CHECKSUM, ...ASKING },
} as const satisfies CommandSpec;

/** `ferry rm` */
export const RM = {
  name: "ferry rm",
  usage: "NAME... [-r] [--partial]",
  summary: "Delete files on the server",
  details: `A NAME may be a pattern, as for ferry ls.

With --partial no file is deleted, but what is left of uploads that were cut: of the file NAME, of those that
match a pattern, with -r of all below the directory NAME. Only your own go: those of the same token. An upload
that is under way stays, and is an error.`,
  arguments: { min: 1, max: Infinity },
  options: {
    recursive: { kind: "flag", short: "r", help: "delete directories and what is in them too" },
    partial: {
      kind: "flag",
      help: "delete what the server keeps of uploads that were cut (ferry ls --partial) instead",
    },
    ...ASKING,
  },
} as const satisfies CommandSpec;

/** `ferry mv` */
export const MV = {
  name: "ferry mv",
  usage: "FROM... TO",
  summary: "Rename or move files and directories on the server",
  details:
    `FROM gets the name TO; where TO is a directory, or ends with a slash, it goes into that one, and
several always do. FROM may be a pattern, as for ferry ls.`,
  arguments: { min: 2, max: Infinity },
  options: {
    overwrite: {
      kind: "text",
      value: "WHEN",
      choices: ["never", "always"],
      default: "never",
      help: "whether a file of the new name is replaced: never, always",
    },
    ...ASKING,
  },
} as const satisfies CommandSpec;

/** `ferry mkdir` */
export const MKDIR = {
  name: "ferry mkdir",
  usage: "DIR",
  summary: "Make a directory on the server, and those above it",
  arguments: { min: 1, max: 1 },
  options: ASKING,
} as const satisfies CommandSpec;

/** `ferry exec` */
export const EXEC = {
  name: "ferry exec",
  usage: "[--stdin] [--timeout TIME] -- COMMAND [ARG...]",
  summary: "Run a command on the server, where it allows that",
  details:
    `The command gets its arguments as they are; no shell sees them. Its output comes as it is written,
standard error on standard error, and ferry ends with its exit status: 128 and the number of the signal
where one ended it, 124 where its time was up, 255 where ferry itself failed. Options of ferry stand
in front of the command.

  ferry exec --shell LINE hands a line to the server's shell, where it allows that.
  ferry exec --classic HOST:PORT [--framing F] [--encoding E] [LINE] speaks to a server of the
  classic protocol; without LINE it asks for one after the other.`,
  arguments: { min: 0, max: Infinity },
  verbatim: true,
  failureStatus: 255,
  options: {
    ...ASKING,
    stdin: { kind: "flag", help: "hand standard input on to the command" },
    shell: { kind: "text", value: "LINE", help: "a line for the server's shell" },
    timeout: {
      kind: "time",
      value: "TIME",
      argumentOnly: true,
      help:
        "kill the command, and all that it has started, after that time; the server has a limit, too",
    },
    classic: { kind: "text", value: "HOST:PORT", help: "a server of the classic protocol" },
    framing: {
      kind: "text",
      value: "json|length|raw",
      choices: FRAMINGS,
      default: "json",
      help: "what stands in front of a classic server's output",
    },
    encoding: {
      kind: "text",
      value: "NAME",
      help: "what a classic server writes in, such as gbk; the output is shown in UTF-8",
    },
  },
} as const satisfies CommandSpec;

/** `ferry ping` */
export const PING = {
  name: "ferry ping",
  usage: "",
  summary: "See whether the server answers and can serve, and how fast",
  arguments: { min: 0, max: 0 },
  options: ASKING,
} as const satisfies CommandSpec;

/** `ferry echo` */
export const ECHO = {
  name: "ferry echo",
  usage: "--udp HOST:PORT | --tcp HOST:PORT [--count N] [TEXT]",
  summary: "See whether an echo answers, how fast and how surely",
  details:
    `With TEXT it sends that and prints what comes back. With --count, --interval or --size it sends
one after the other, prints a line for each reply, and at the end or at Ctrl-C how many came back and
how long they took. With none of these it asks for lines.

The exit status is 6 where nothing came back, and 7 where something came back that is no echo: the same
bytes, or the same with ASCII letters in upper case.`,
  arguments: { min: 0, max: 1 },
  options: {
    udp: { kind: "text", value: "HOST:PORT", help: "an echo over UDP" },
    tcp: { kind: "text", value: "HOST:PORT", help: "an echo over TCP" },
    count: { kind: "count", short: "c", value: "N", help: "send so many; 0: until Ctrl-C" },
    interval: {
      kind: "time",
      short: "i",
      value: "TIME",
      help: "from one to the next (default: 1s); 0: as replies come, 64 at once, without lines",
    },
    size: { kind: "size", value: "BYTES", help: "how much to send each time (default: 64)" },
    timeout: {
      kind: "time",
      value: "TIME",
      default: "2s",
      help: "give up a reply that has not come in that time",
    },
    "connect-timeout": COMMON["connect-timeout"],
    json: COMMON.json,
    quiet: COMMON.quiet,
    config: COMMON.config,
    help: COMMON.help,
  },
} as const satisfies CommandSpec;

/** `ferry completions` */
export const COMPLETIONS = completionsSpec("ferry");

/** `ferry` without a command */
export const FERRY = {
  name: "ferry",
  usage: "COMMAND [ARGUMENTS]",
  summary: "Move files to and from a ferryd, and prove that they arrived",
  arguments: { min: 1, max: Infinity },
  options: { help: COMMON.help, version: { kind: "flag", short: "V", help: "show the version" } },
} as const satisfies CommandSpec;

/** Every option of every command: what a config file may set. */
export const CONFIGURABLE: OptionTable = {
  ...ECHO.options,
  ...PUT.options,
  ...GET.options,
  ...LS.options,
  ...RM.options,
  ...EXEC.options,
};
