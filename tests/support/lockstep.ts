/**
 * A network whose latency is counted, not timed: a proxy that forwards nothing until both sides are idle, then
 * everything at once.
 *
 * @module
 */

const READ_BYTES = 64 * 1024;

/**
 * After how many turns of the event loop without a byte both sides count as idle. They run in this process, so a busy
 * machine makes the turns longer, not fewer.
 */
const QUIET_TURNS = 25;

/** One direction: the bytes that were received and not forwarded yet. */
interface Line {
  from: Deno.TcpConn;
  to: Deno.TcpConn;
  waiting: Uint8Array[];
  ended: boolean;
}

/** A proxy in front of a server of this process, for clients of this process. */
export class Lockstep implements AsyncDisposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #port: number;
  readonly #lines: Line[] = [];
  readonly #reading: Promise<void>[] = [];
  readonly #running: Promise<unknown>;
  #stopped = false;
  /** Counts everything that is received. */
  #news = 0;
  #crossings = 0;

  private constructor(port: number) {
    this.#port = port;
    this.#running = Promise.all([this.#accept(), this.#pass()]);
  }

  /** Starts one in front of a port. */
  static start(port: number): Lockstep {
    return new Lockstep(port);
  }

  /** `127.0.0.1:PORT` */
  get address(): string {
    return `127.0.0.1:${this.#listener.addr.port}`;
  }

  /**
   * How often everything waited for bytes to cross the network. Each time costs the one-way latency, half of a round
   * trip.
   */
  get crossings(): number {
    return this.#crossings;
  }

  async #accept(): Promise<void> {
    try {
      for await (const client of this.#listener) {
        const server = await Deno.connect({ hostname: "127.0.0.1", port: this.#port });
        for (const [from, to] of [[client, server], [server, client]] as const) {
          const line: Line = { from, to, waiting: [], ended: false };
          this.#lines.push(line);
          this.#reading.push(this.#read(line));
        }
      }
    } catch {
      // The listener was closed.
    }
  }

  async #read(line: Line): Promise<void> {
    const buffer = new Uint8Array(READ_BYTES);
    try {
      for (;;) {
        const count = await line.from.read(buffer);
        this.#news++;
        if (count === null) break;
        line.waiting.push(buffer.slice(0, count));
      }
    } catch {
      // It was closed.
    }
    line.ended = true;
  }

  async #pass(): Promise<void> {
    while (!this.#stopped) {
      const before = this.#news;
      let quiet = 0;
      for (let seen = before; quiet < QUIET_TURNS; quiet++) {
        await new Promise((resolve) => setTimeout(resolve, 1));
        if (this.#news !== seen) quiet = 0;
        seen = this.#news;
      }
      const full = this.#lines.filter(({ waiting }) => waiting.length > 0);
      if (full.length > 0) this.#crossings++;
      await Promise.all(this.#lines.map((line) => deliver(line)));
    }
  }

  /** Closes the proxy and all connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    this.#listener.close();
    for (const { from } of this.#lines) close(from);
    await this.#running;
    await Promise.all(this.#reading);
  }
}

/** Forwards the received bytes, and the end of the stream after them. */
async function deliver(line: Line): Promise<void> {
  const { to, waiting, ended } = line;
  try {
    for (const bytes of waiting.splice(0)) {
      for (let done = 0; done < bytes.length;) done += await to.write(bytes.subarray(done));
    }
    if (ended) await to.closeWrite();
  } catch {
    // It has ended.
  }
}

function close(conn: Deno.TcpConn): void {
  try {
    conn.close();
  } catch {
    // It has ended already.
  }
}
