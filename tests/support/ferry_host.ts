/**
 * A process that runs command lines of `ferry` one after the other, each as if it were a process of its own: to start
 * one takes much longer than what most commands do. See {@linkcode runInHost} in host_pool.ts.
 *
 * It serves one connection at a time, which brings one command line, and exits when none has come for a while. Its
 * argument is the port at which its own port is expected.
 *
 * @module
 */

import { runProgram } from "../../client/program.ts";
import { textFrom } from "./host_pool.ts";

/** A command line, and what surrounds it. */
export interface HostedCommand {
  /** The arguments. */
  readonly argv: readonly string[];
  /** The working directory. */
  readonly cwd: string;
  /** The environment variables. */
  readonly env: Readonly<Record<string, string>>;
}

/** What became of a command line. */
export interface HostedOutcome {
  /** The exit status. */
  readonly code: number;
  /** Standard output. */
  readonly stdout: string;
  /** Standard error. */
  readonly stderr: string;
}

/** How long the process waits for a command line, in milliseconds. */
const IDLE_MS = 10_000;

/** Collects what is written to standard output or standard error until {@linkcode Written.end}. */
class Written {
  readonly #stream: typeof Deno.stdout;
  readonly #real: Pick<typeof Deno.stdout, "write" | "writeSync">;
  readonly #pieces: Uint8Array<ArrayBuffer>[] = [];

  constructor(stream: typeof Deno.stdout) {
    this.#stream = stream;
    this.#real = { write: stream.write, writeSync: stream.writeSync };
    stream.writeSync = (bytes) => {
      this.#pieces.push(bytes.slice());
      return bytes.length;
    };
    stream.write = (bytes) => Promise.resolve(stream.writeSync(bytes));
  }

  /** What was written. */
  async end(): Promise<string> {
    Object.assign(this.#stream, this.#real);
    return new TextDecoder().decode(await new Blob(this.#pieces).arrayBuffer());
  }
}

async function run({ argv, cwd, env }: HostedCommand): Promise<HostedOutcome> {
  Deno.chdir(cwd);
  const stdout = new Written(Deno.stdout);
  const stderr = new Written(Deno.stderr);
  const { signal } = new AbortController();
  const code = await runProgram(argv, () => ({ env: (name) => env[name], signal }));
  // A directory that somebody works in cannot be unmounted.
  Deno.chdir("/");
  return { code, stdout: await stdout.end(), stderr: await stderr.end() };
}

async function serve(conn: Deno.Conn): Promise<void> {
  // Whoever gets no byte knows that nothing was run.
  await conn.write(new TextEncoder().encode("\n"));
  const command: HostedCommand = JSON.parse(await textFrom(conn));
  const outcome = new TextEncoder().encode(JSON.stringify(await run(command)));
  for (let done = 0; done < outcome.length;) done += await conn.write(outcome.subarray(done));
}

if (import.meta.main) {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  {
    using expecting = await Deno.connect({ hostname: "127.0.0.1", port: Number(Deno.args[0]) });
    await expecting.write(new TextEncoder().encode(`${listener.addr.port}`));
  }
  const exit = () => Deno.exit();
  let timer = setTimeout(exit, IDLE_MS);
  for await (const conn of listener) {
    clearTimeout(timer);
    await serve(conn).finally(() => conn.close());
    timer = setTimeout(exit, IDLE_MS);
  }
}
