/**
 * The program `ferryd`: wires options, storage, server and signals together.
 *
 * @module
 */

import { configure, getJsonLinesFormatter, getTextFormatter } from "@logtape/logtape";
import { formatAddress } from "../lib/address.ts";
import { type OptionValues, parseCommandLine, renderHelp } from "../lib/command_line.ts";
import { renderCompletions, type Shell, specsIn } from "../lib/completions.ts";
import { toFerryError } from "../lib/errors.ts";
import { onInterrupt } from "../lib/interrupts.ts";
import { FsStorage } from "../lib/storage_fs.ts";
import { VERSION } from "../lib/version.ts";
import * as config from "./config.ts";
import { FERRYD } from "./config.ts";
import type { ExecPolicy } from "./exec.ts";
import { parseScopes, serve } from "./listener.ts";

const PREFIX = "FERRYD";

/** How often abandoned partial uploads are looked for. */
const EXPIRE_EVERY_MS = 10 * 60 * 1000;

async function main(argv: readonly string[]): Promise<void> {
  if (argv[0] === "completions") return completions(argv.slice(1));
  if (argv.includes("--help") || argv.includes("-h")) {
    return print(renderHelp(FERRYD, { prefix: PREFIX }));
  }
  if (argv.includes("--version")) return print(`ferryd ${VERSION}\n`);
  const { options } = parseCommandLine(FERRYD, argv, {
    prefix: PREFIX,
    env: (name) => Deno.env.get(name),
    configurable: FERRYD.options,
  });
  await startLog(options.log, options.verbose);
  const storage = FsStorage.open(options.root, {
    durability: options.durability,
    maxFileSize: options["max-file-size"],
    quota: options.quota,
  });
  await using _storage = storage;
  const server = await serve({
    storage,
    listen: options.listen,
    anonymous: options.anonymous === undefined ? undefined : parseScopes(options.anonymous),
    idleTimeout: options["idle-timeout"],
    minRate: options["min-rate"],
    exec: execOptions(options),
    classicExec: options["classic-exec"],
    framing: options.framing,
    tcpEcho: options["tcp-echo"],
    udpEcho: options["udp-echo"],
    verbatim: options.verbatim,
    echoRate: options["echo-rate"],
  });
  const expire = () => void storage.expireParts(options["partial-ttl"]);
  expire();
  Deno.unrefTimer(setInterval(expire, EXPIRE_EVERY_MS));
  const stop = Promise.withResolvers<void>();
  onInterrupt(() => stop.resolve(), () => Deno.exit(1));
  for (const { kind, ...address } of server.addresses) {
    print(`ferryd: listening ${kind} ${formatAddress(address)}\n`);
  }
  if (storage.readOnly) complain(`ferryd: ${options.root} is read-only: nothing can be uploaded\n`);
  print("ferryd: ready\n");
  await stop.promise;
  await server.close({ drainTimeout: options["drain-timeout"] });
}

/** The commands that may be run, if any. */
function execOptions(options: OptionValues<typeof FERRYD.options>): ExecPolicy | undefined {
  const { root, "allow-exec": allow, "allow-shell": shell } = options;
  if (allow.length === 0 && !shell) return undefined;
  return {
    cwd: root,
    allow,
    shell,
    timeout: options["exec-timeout"],
    outputLimit: options["exec-output-limit"],
  };
}

/** `ferryd completions` */
function completions(argv: readonly string[]): void {
  const spec = config.COMPLETIONS;
  if (argv.includes("--help") || argv.includes("-h")) {
    return print(renderHelp(spec, { prefix: PREFIX }));
  }
  const { args: [shell] } = parseCommandLine(spec, argv, {
    prefix: PREFIX,
    env: (name) => Deno.env.get(name),
    configurable: spec.options,
  });
  print(renderCompletions(shell as Shell, "ferryd", specsIn(config)));
}

/** The log goes to standard error, a line at a time. */
async function startLog(format: "text" | "json", verbose: boolean): Promise<void> {
  const formatter = format === "json" ? getJsonLinesFormatter() : getTextFormatter();
  await configure({
    sinks: { stderr: (record) => complain(formatter(record)) },
    loggers: [
      { category: ["ferry"], sinks: ["stderr"], lowestLevel: verbose ? "debug" : "info" },
      { category: ["logtape", "meta"], sinks: ["stderr"], lowestLevel: "warning" },
    ],
  });
}

function print(text: string): void {
  writeAll(Deno.stdout, text);
}

function complain(text: string): void {
  writeAll(Deno.stderr, text);
}

function writeAll(to: { writeSync(bytes: Uint8Array): number }, text: string): void {
  const bytes = new TextEncoder().encode(text);
  try {
    for (let done = 0; done < bytes.length;) done += to.writeSync(bytes.subarray(done));
  } catch {
    // Nobody reads it any more; the server goes on.
  }
}

if (import.meta.main) {
  try {
    await main(Deno.args);
    // Signal listeners would keep the process alive.
    Deno.exit(0);
  } catch (error) {
    const { message, exitStatus } = toFerryError(error);
    complain(`ferryd: ${message}\n`);
    Deno.exit(exitStatus);
  }
}
