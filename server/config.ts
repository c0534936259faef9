/**
 * The options of `ferryd`.
 *
 * @module
 */

import type { CommandSpec } from "../lib/command_line.ts";
import { FRAMINGS } from "../lib/classic.ts";
import { completionsSpec } from "../lib/completions.ts";
import { DURABILITIES } from "../lib/staging.ts";

/** What `ferryd` takes on its command line. */
export const FERRYD = {
  name: "ferryd",
  usage: "[--root DIR] [--listen HOST:PORT]",
  summary: "Serve the files of a directory, and take files into it",
  details:
    `On standard output it says where it listens, then "ferryd: ready". The log goes to standard
error. SIGTERM and SIGINT let transfers under way finish; a second one does not.

ferryd completions SHELL prints what lets bash, zsh or fish complete its command line.`,
  arguments: { min: 0, max: 0 },
  options: {
    root: {
      kind: "text",
      value: "DIR",
      completes: "directories",
      default: ".",
      help: "the directory to serve",
    },
    listen: {
      kind: "text",
      value: "HOST:PORT",
      default: "127.0.0.1:9900",
      help: "where to listen; port 0 picks a free one",
    },
    anonymous: {
      kind: "text",
      value: "SCOPES",
      help:
        "what anybody may do: read,write,delete,exec,echo; needed where others than this machine can connect",
    },
    "allow-exec": {
      kind: "list",
      value: "COMMAND",
      help: "a command that clients may run: a name on PATH, or an absolute path (may be repeated)",
    },
    "allow-shell": {
      kind: "flag",
      help: "let clients hand lines to the shell, and so run anything",
    },
    "classic-exec": {
      kind: "text",
      value: "HOST:PORT",
      help: "where to take lines for the shell in the classic protocol; needs --allow-shell",
    },
    framing: {
      kind: "text",
      value: "json|length|raw",
      choices: FRAMINGS,
      default: "json",
      help: "what stands in front of the output there",
    },
    "exec-timeout": {
      kind: "time",
      value: "TIME",
      default: "60s",
      help: "kill a command, and all that it has started, after that time",
    },
    "exec-output-limit": {
      kind: "size",
      value: "SIZE",
      default: "64MiB",
      help: "kill a command that writes more than that",
    },
    "tcp-echo": {
      kind: "text",
      value: "HOST:PORT",
      help: "where to answer bytes over TCP with the same in upper case",
    },
    "udp-echo": {
      kind: "text",
      value: "HOST:PORT",
      help: "where to answer datagrams with the same in upper case",
    },
    verbatim: {
      kind: "flag",
      help: "let the echoes change nothing, and answer ports below 1024 too (RFC 862)",
    },
    "echo-rate": {
      kind: "count",
      value: "N",
      default: "1000",
      help: "send no more packets a second to one source of datagrams elsewhere; 0: any number",
    },
    "max-file-size": {
      kind: "size",
      value: "SIZE",
      help: "refuse larger files, announced or not",
    },
    quota: {
      kind: "size",
      value: "SIZE",
      help: "how much all files may take, those that are being uploaded among them",
    },
    durability: {
      kind: "text",
      value: "full|none",
      choices: DURABILITIES,
      default: "full",
      help: "whether an acknowledged file survives a loss of power",
    },
    "idle-timeout": {
      kind: "time",
      value: "TIME",
      default: "60s",
      help: "disconnect a peer that moves no byte for that long",
    },
    "min-rate": {
      kind: "size",
      value: "RATE",
      default: "100",
      help:
        "disconnect a peer that moves fewer bytes a second in the middle of a message; 0 for none",
    },
    "drain-timeout": {
      kind: "time",
      value: "TIME",
      default: "10s",
      help: "how long transfers under way may go on after SIGTERM",
    },
    "partial-ttl": {
      kind: "time",
      value: "TIME",
      default: "7d",
      help: "how long uploads that were cut are kept, to be gone on with",
    },
    log: {
      kind: "text",
      value: "text|json",
      choices: ["text", "json"],
      default: "text",
      help: "how the log is written",
    },
    verbose: { kind: "flag", short: "v", help: "log connections too" },
    config: { kind: "text", value: "FILE", help: "a TOML file with options, one a line" },
    help: { kind: "flag", short: "h", help: "show this text" },
    version: { kind: "flag", help: "show the version" },
  },
} as const satisfies CommandSpec;

/** `ferryd completions` */
export const COMPLETIONS = completionsSpec("ferryd");
