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
export const HELP = { kind: "flag", short: "h", help: "show this text" } as const;

/** `--token-file` of the commands for tokens. */
export const TOKEN_FILE = { kind: "text", value: "FILE", help: "the file of tokens" } as const;
