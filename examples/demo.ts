/**
 * Transfers a file to a server and back, with both real programs, and prints the results.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { runInterruptibly, succeed } from "../tests/support/interruptible.ts";
import { Ferryd, spawnFerry, TempDir } from "../tests/support/programs.ts";
import { writeRandomFile } from "../tests/support/random_file.ts";

const MIB = 1024 * 1024;
const SIZE = 256 * MIB;

/** Programs that print the md5 of a file, and their arguments. */
const MD5_PROGRAMS: readonly (readonly [string, ...string[]])[] = [
  ["md5sum"],
  ["md5", "-q"],
  ["openssl", "md5", "-r"],
];

async function demo(signal: AbortSignal): Promise<number> {
  await using dir = new TempDir();
  const root = dir.join("server");
  Deno.mkdirSync(root);
  await using server = await Ferryd.start(root);
  const ferry = (args: string[], address = server.address) =>
    succeed(`ferry ${args[0]}`, spawnFerry(args, { server: address }), signal);

  console.log(`ferry: ${SIZE / MIB} MiB to a server and back\n`);
  line("server", `ferryd, process ${server.pid}, on ${server.address}, serves ${root}`);

  const small = dir.write("hello.txt", "hello\n");
  await using recorder = new Recorder(server.port);
  await ferry(["put", small], recorder.address);
  console.log("\nA small upload, recorded between client and server:");
  for (const message of await recorder.messages()) console.log(`  ${message}`);

  const source = dir.join("source.bin");
  const download = dir.join("download.bin");
  await writeRandomFile(source, SIZE, { signal });
  console.log("\nThe large file, durable on the disk when the command ends:");
  const put = await timed(() => ferry(["put", source, "--as", "demo.bin"]));
  line("ferry put", speed(put.seconds));
  const get = await timed(() => ferry(["get", "demo.bin", "--out", download]));
  line("ferry get", speed(get.seconds));

  const md5s = {
    "source": await md5OfFile(source, signal),
    "on the server": await md5OfFile(`${root}/demo.bin`, signal),
    "download": await md5OfFile(download, signal),
  };
  const { by } = md5s.source;
  console.log(by ? `\nThe md5s, computed by ${by}:` : `\n${NO_MD5_PROGRAM}`);
  for (const [label, { md5 }] of Object.entries(md5s)) line(label, md5);
  const [printed = ""] = put.result.stdout.split(" ", 1);
  line("said by ferry", printed);

  const same = new Set([printed, ...Object.values(md5s).map(({ md5 }) => md5)]).size === 1;
  const whole = Deno.statSync(download).size === SIZE;
  console.log(
    same && whole ? "\nAll the same: every byte arrived." : "\nNOT the same: something is wrong.",
  );
  return same && whole ? 0 : 1;
}

const NO_MD5_PROGRAM = `The md5s, computed by this program: none of ${
  MD5_PROGRAMS.map(([name]) => name).join(", ")
} is installed here.`;

function line(label: string, text: string): void {
  console.log(`  ${label.padEnd(14)} ${text}`);
}

async function timed<T>(run: () => Promise<T>): Promise<{ result: T; seconds: number }> {
  const started = performance.now();
  const result = await run();
  return { result, seconds: (performance.now() - started) / 1000 };
}

function speed(seconds: number): string {
  const rate = SIZE / MIB / seconds;
  return `${SIZE / MIB} MiB in ${seconds.toFixed(2)} s, ${rate.toFixed(0)} MiB/s`;
}

/** The md5 of a file, by a program that is independent of ferry where there is one. */
async function md5OfFile(
  path: string,
  signal: AbortSignal,
): Promise<{ md5: string; by: string | undefined }> {
  for (const [program, ...args] of MD5_PROGRAMS) {
    let child: Deno.ChildProcess;
    try {
      child = new Deno.Command(program, {
        args: [...args, path],
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
      }).spawn();
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) continue;
      throw error;
    }
    const { stdout } = await succeed(program, child, signal);
    const md5 = /[0-9a-f]{32}/.exec(stdout)?.[0];
    if (md5) return { md5, by: program };
  }
  const hash = createHash("md5");
  using file = await Deno.open(path);
  const piece = new Uint8Array(MIB);
  for (let count; (count = await file.read(piece)) !== null;) {
    signal.throwIfAborted();
    hash.update(piece.subarray(0, count));
  }
  return { md5: hash.digest("hex"), by: undefined };
}

/** A proxy between one client and the server, which passes everything on and records it. */
class Recorder implements AsyncDisposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #passed: Promise<[client: Uint8Array, server: Uint8Array]>;
  /** The address for the client to connect to. */
  readonly address = `127.0.0.1:${this.#listener.addr.port}`;

  constructor(port: number) {
    this.#passed = this.#passOn(port);
    this.#passed.catch(() => {});
  }

  async #passOn(port: number): Promise<[Uint8Array, Uint8Array]> {
    using client = await this.#listener.accept();
    using server = await Deno.connect({ hostname: "127.0.0.1", port });
    return await Promise.all([pump(client, server), pump(server, client)]);
  }

  /** The recorded messages, as lines to print; to be called when the connection has ended. The two sides took turns. */
  async messages(): Promise<string[]> {
    const [client, server] = (await this.#passed).map((bytes) => [...messagesIn(bytes)]);
    return client!.flatMap((message, turn) => [
      `client  ${message}`,
      ...(server![turn] === undefined ? [] : [`server  ${server![turn]}`]),
    ]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#passed.catch(() => {});
  }
}

async function pump(from: Deno.Conn, to: Deno.Conn): Promise<Uint8Array> {
  const seen: number[] = [];
  const buffer = new Uint8Array(64 * 1024);
  for (let count; (count = await from.read(buffer)) !== null;) {
    seen.push(...buffer.subarray(0, count));
    for (let done = 0; done < count;) done += await to.write(buffer.subarray(done, count));
  }
  // The other side may have closed the connection first.
  await to.closeWrite().catch(() => {});
  return Uint8Array.from(seen);
}

/** The messages that one side sent: four bytes of length, that many bytes of JSON, total_size bytes of body. */
function* messagesIn(bytes: Uint8Array): Generator<string> {
  for (let at = 0; at < bytes.length;) {
    const length = new DataView(bytes.buffer, at).getInt32(0, true);
    const json = new TextDecoder().decode(bytes.subarray(at + 4, at + 4 + length));
    const hex = [...bytes.subarray(at, at + 4)].map((byte) => byte.toString(16).padStart(2, "0"));
    const { total_size: size = 0 } = JSON.parse(json);
    const body = size > 0 ? ` + ${size} bytes of body` : "";
    yield `${hex.join(" ")}  ${json}${body}`;
    at += 4 + length + size;
  }
}

if (import.meta.main) await runInterruptibly("demo", demo);
