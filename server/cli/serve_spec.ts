/**
 * `ferryd` without a command, which serves files.
 *
 * @module
 */

import type { CommandSpec, OptionValues } from "../../lib/cli/command_spec.ts";
import { MAX_TIMEOUT_MS } from "../../lib/core/number_options.ts";
import { DURABILITIES } from "../../lib/files/durability.ts";
import { FRAMINGS } from "../../lib/line_exec/framing.ts";
import { ADMIN_SOCKET, CONFIG, HELP, ROOT } from "./options.ts";

/** `ferryd` without a command: its options and its help text. `server/main.ts` runs it. */
export const SERVE = {
  name: "ferryd",
  usage: "[--root DIR|s3://BUCKET/PREFIX] [--listen HOST:PORT]",
  summary: "Serve the files of a directory or a bucket, and take files into it",
  details:
    `On standard output it says where it listens, then "ferryd: ready". The log goes to standard
error; where nobody reads it, lines are dropped and counted. SIGTERM and SIGINT let transfers under
way finish; a second one does not. SIGHUP reads the certificate anew, and the tokens, which are also
read when their file changes; connections stay open. SIGUSR1 opens the files of --log-file and
--audit anew.

Any number of ferryds may serve one bucket of an S3-compatible object store. The keys to it are
taken from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or from the profile
AWS_PROFILE of ~/.aws/credentials (AWS_SHARED_CREDENTIALS_FILE), which is read anew when it changes.
ferryd then uses up to 64 MiB for parts of files that it reads ahead or uploads side by side.

ferryd token and ferryd cert make tokens and a certificate, which it needs to serve other machines.
ferryd doctor finds out what ferryd can promise here; ferryd status, kick and drain ask one that runs.
ferryd completions SHELL prints what lets bash, zsh or fish complete its command line.`,
  arguments: { min: 0, max: 0 },
  options: {
    root: ROOT,
    "s3-endpoint": {
      kind: "text",
      value: "URL",
      help: "where the object store of the bucket is: https://s3.example.org",
    },
    "s3-region": {
      kind: "text",
      value: "REGION",
      help: "its region, if it is neither that of AWS_REGION and ~/.aws/config nor us-east-1",
    },
    "s3-path-style": {
      kind: "flag",
      help: "name the bucket in the path of requests, as is done for all stores but AWS",
    },
    listen: {
      kind: "text",
      value: "HOST:PORT",
      default: "127.0.0.1:9900",
      help: "where to listen; a port alone is one of 127.0.0.1; port 0 picks a free one",
    },
    http: {
      kind: "text",
      value: "HOST:PORT",
      help:
        "where to serve the same files to browsers and to programs that speak HTTP, curl for one",
    },
    "http-host": {
      kind: "list",
      value: "NAME",
      help:
        "a name by which that is known: files.example.org; needed where anybody may do something " +
        "and nothing is encrypted (may be repeated)",
    },
    "http-url": {
      kind: "text",
      value: "URL",
      help:
        "the address by which clients reach that, if a proxy is in front: https://files.example.org",
    },
    "http-origin": {
      kind: "list",
      value: "URL",
      help:
        "a web site elsewhere whose pages may use that: https://app.example.org (may be repeated)",
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
      help:
        "a command that clients may run: a name on PATH, or an absolute path, not in the root " +
        "(may be repeated)",
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
    "on-stored": {
      kind: "text",
      value: "COMMAND",
      help:
        "run a program with its arguments, without a shell, after each upload, at least once; " +
        "it gets JSON",
    },
    "before-store": {
      kind: "text",
      value: "COMMAND",
      help:
        "run one before the content of each upload comes; an exit status other than 0 refuses " +
        "the upload, and the first line of output says why",
    },
    "hook-jobs": {
      kind: "count",
      value: "N",
      range: [1, 64],
      default: "2",
      help: "run no more of each of these two at a time",
    },
    "hook-timeout": {
      kind: "time",
      value: "TIME",
      default: "60s",
      help: "kill it, and all that it has started, after that time",
    },
    "hook-attempts": {
      kind: "count",
      value: "N",
      default: "30",
      help:
        "run --on-stored no more than N times for an upload until it succeeds, first after half " +
        "a second, in the end every hour; 0: any number of times",
    },
    "hook-queue": {
      kind: "text",
      value: "DIR",
      completes: "directories",
      help:
        "where the queue of --on-stored is kept; needed for a bucket (default: .ferry/hooks in " +
        "the root)",
    },
    "hook-queue-limit": {
      kind: "count",
      value: "N",
      range: [1, 1_000_000],
      default: "100000",
      help: "how many uploads may wait there; --on-stored is not run for further ones",
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
    "token-file": {
      kind: "text",
      value: "FILE",
      help: "the tokens that clients may show to do more; see ferryd token --help",
    },
    "tls-cert": {
      kind: "text",
      value: "FILE",
      help: "encrypt connections with this certificate in PEM; see ferryd cert --help",
    },
    "tls-key": { kind: "text", value: "FILE", help: "the key of that certificate, in PEM" },
    "handshake-timeout": {
      kind: "time",
      value: "TIME",
      default: "10s",
      range: [1, MAX_TIMEOUT_MS],
      help: "disconnect a peer that takes longer for the TLS handshake, or to begin after that",
    },
    "max-connections": {
      kind: "count",
      value: "N",
      default: "4096",
      help: "take no more connections at a time; 0 for any number",
    },
    "max-connections-per-source": {
      kind: "count",
      value: "N",
      default: "256",
      help: "take no more of them from one address elsewhere; 0 for any number",
    },
    "allow-links": {
      kind: "flag",
      help: "let clients make symbolic links that stay in the directory that they may write to",
    },
    "max-compressed": {
      kind: "count",
      value: "N",
      default: "64",
      help: "compress no more of them at a time, for clients that ask for it; 0 for none",
    },
    together: {
      kind: "flag",
      help:
        "serve the directory and the ports together with other ferryds on this machine that are " +
        "given this option, for loads that one does not stand; only on Linux",
    },
    threads: {
      kind: "count",
      value: "N|auto",
      auto: true,
      range: [1, 64],
      help: "compute md5 of large files on so many threads beside the main one; 1: on the main " +
        "one; auto (the default): one for each processor",
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
      range: [1, MAX_TIMEOUT_MS],
      help: "disconnect a peer that gives no sign of life for that long",
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
    scrub: {
      kind: "time",
      value: "TIME",
      default: "0",
      help: "read all files once in that time (7d) in the background and compare them with their " +
        "checksums, to find what the disk has damaged; 0: never",
    },
    "scrub-rate": {
      kind: "size",
      value: "RATE",
      default: "16MiB",
      help: "read no more bytes a second for that; 0: any number, in a fifth of the time",
    },
    metrics: {
      kind: "text",
      value: "HOST:PORT",
      help:
        "where to answer monitoring systems over HTTP: /metrics for Prometheus, /healthz, /readyz",
    },
    log: {
      kind: "text",
      value: "text|json",
      choices: ["text", "json"],
      default: "text",
      help: "how the log is written",
    },
    "log-file": {
      kind: "text",
      value: "FILE",
      help: "append the log to this file; SIGUSR1 opens it anew once it was renamed",
    },
    audit: {
      kind: "text",
      value: "FILE",
      help: "append to this file, as JSON, who logged in, was refused, ran or changed what",
    },
    verbose: {
      kind: "flag",
      short: "v",
      help: "log connections too, and each step of an operation",
    },
    "admin-socket": ADMIN_SOCKET,
    config: CONFIG,
    "check-config": {
      kind: "flag",
      argumentOnly: true,
      help:
        "only look for what would keep it from starting, in all options and the files that they name; " +
        "it listens nowhere, and leaves all as it is",
    },
    help: HELP,
    version: { kind: "flag", short: "V", argumentOnly: true, help: "show the version" },
  },
} as const satisfies CommandSpec;

/** The values of its options. */
export type ServeValues = OptionValues<typeof SERVE.options>;
