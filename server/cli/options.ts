/**
 * Options that several commands of `ferryd` share. Those of a single command are in its own file.
 *
 * @module
 */

/** `--config` */
export const CONFIG = {
  kind: "text",
  value: "FILE",
  help: "a TOML file with options, one a line",
} as const;

/** `--help` */
export const HELP = {
  kind: "flag",
  short: "h",
  argumentOnly: true,
  help: "show this text",
} as const;

/** `--token-file` of the commands for tokens. */
export const TOKEN_FILE = { kind: "text", value: "FILE", help: "the file of tokens" } as const;

/** `--root` */
export const ROOT = {
  kind: "text",
  value: "DIR",
  completes: "directories",
  default: ".",
  help: "the directory to serve, or s3://BUCKET/PREFIX",
} as const;

/** `--admin-socket` of a server. */
export const ADMIN_SOCKET = {
  kind: "text",
  value: "PATH",
  help: "where ferryd status, kick and drain reach it (default: in .ferry of the directory; none " +
    "for a bucket)",
} as const;

/** Options by which the commands for a running server find it. */
export const RUNNING = {
  root: { ...ROOT, help: "the directory that it serves" },
  "admin-socket": { ...ADMIN_SOCKET, help: "the socket that it was given by this option" },
  pid: {
    kind: "count",
    value: "N",
    help: "only the one with that process id, where several serve together",
    argumentOnly: true,
  },
  config: { ...CONFIG, help: "the TOML file that it was given, with its root" },
  help: HELP,
} as const;
