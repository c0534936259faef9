/**
 * Asks a server whether it can serve: once, or again and again.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { formatAddress, parseServerAddress } from "../../lib/core/address.ts";
import { FerryError, printable, toFerryError, wasCut } from "../../lib/core/errors.ts";
import { MAX_TIMEOUT_MS } from "../../lib/core/number_options.ts";
import type { Client } from "../api/client.ts";
import { EchoStatistics } from "../echo/statistics.ts";
import type { Context } from "./command.ts";
import { roundMilliseconds, roundTripKeys, roundTripsLine } from "./echo_output.ts";
import { secondsSince } from "./output.ts";

const DEFAULT_INTERVAL_MS = 1000;

/** What a server says that can serve. */
interface Answer {
  /** Its program and version. */
  agent: string;
  /** What its file system does not keep, for people. */
  shortcomings: readonly string[];
  /** Milliseconds from the question to the answer. */
  rtt: number;
}

/** One run of `ferry ping`. Its public methods return the exit status. */
export class PingCheck {
  readonly #context: Context;
  readonly #server: string;

  /** A check of the server at an address, `HOST:PORT`. */
  constructor(context: Context, server: string) {
    this.#context = context;
    this.#server = server;
  }

  /**
   * Asks once.
   *
   * @throws {FerryError} `io` if it cannot serve; as {@linkcode Context.connected}
   */
  async once(): Promise<number> {
    const { output } = this.#context;
    const { agent, shortcomings, rtt } = await this.#ask(await this.#connected());
    output.done("ping", { seconds: rtt / 1000, server: agent, shortcomings });
    output.line(`${printable(agent)} answered in ${rtt.toFixed(2)} ms`);
    for (const shortcoming of shortcomings) {
      output.notice(`${printable(shortcoming)} (on the server)`);
    }
    return 0;
  }

  /**
   * Asks many times, prints what each answer took, and a summary.
   *
   * @param options.count how many times; 0: until the user interrupts. Default: 0.
   * @param options.interval milliseconds from one question to the next. Default: 1000.
   * @throws {FerryError} where the server cannot be reached at first
   */
  async repeatedly(
    { count = 0, interval = DEFAULT_INTERVAL_MS }: {
      count?: number | undefined;
      interval?: number | undefined;
    },
  ): Promise<number> {
    const { output, signal } = this.#context;
    const address = formatAddress(parseServerAddress(this.#server));
    const statistics = new EchoStatistics();
    const client = await this.#connected();
    const started = performance.now();
    let failure: FerryError | undefined;
    const most = count === 0 ? Infinity : count;
    try {
      while (statistics.sent < most) {
        const due = performance.now() + Math.min(interval, MAX_TIMEOUT_MS);
        failure = await this.#probe(client, address, statistics);
        if (statistics.sent === most) break;
        await delay(Math.max(0, due - performance.now()), { signal });
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
    const { sent, received, lossPercent, rtt } = statistics.summary();
    const seconds = secondsSince(started);
    const lines = [
      `--- ${address} ping statistics ---`,
      `${sent} sent, ${received} answered, ${Number(lossPercent.toFixed(3))}% loss in ` +
      `${seconds.toFixed(3)} s`,
      ...rtt ? [roundTripsLine(rtt)] : [],
    ];
    output.say(lines.join("\n"), {
      event: "summary",
      op: "ping",
      address,
      sent,
      received,
      loss_percent: Number(lossPercent.toFixed(3)),
      ...roundTripKeys(rtt),
      seconds: roundMilliseconds(seconds),
    });
    if (failure && received === 0) throw failure;
    return 0;
  }

  /** Asks one of many times. Returns why there was no answer. */
  async #probe(
    client: Client,
    address: string,
    statistics: EchoStatistics,
  ): Promise<FerryError | undefined> {
    const { output, signal } = this.#context;
    const asked = performance.now();
    const sequence = statistics.send(asked);
    try {
      const { rtt } = await this.#ask(client);
      statistics.reply(sequence, asked + rtt, true);
      output.say(`${address}: seq=${sequence} time=${rtt.toFixed(3)} ms`, {
        event: "reply",
        op: "ping",
        sequence,
        rtt_ms: roundMilliseconds(rtt),
      });
      return undefined;
    } catch (error) {
      statistics.lose(sequence);
      if (signal.aborted) throw error;
      const failure = toFerryError(error);
      const { code, message } = failure;
      output.say(`seq=${sequence}: ${message}`, {
        event: "lost",
        op: "ping",
        sequence,
        code,
        message,
      });
      return failure;
    }
  }

  #connected(): Promise<Client> {
    return this.#context.connected(0, { mayBeNobody: true });
  }

  /**
   * Asks, and measures how long that takes.
   *
   * @throws {FerryError} `io` if the server cannot serve
   */
  async #ask(client: Client): Promise<Answer> {
    try {
      return await this.#timed(client);
    } catch (error) {
      // A server disconnects those that are nobody to it after a while. A new connection is not a part of the time.
      const { auth, scopes } = client.hello;
      if (auth === "none" || scopes.length > 0 || !wasCut(error)) throw error;
      await client.ping(this.#context);
      return await this.#timed(client);
    }
  }

  async #timed(client: Client): Promise<Answer> {
    const started = performance.now();
    const { problem, shortcomings } = await client.ping(this.#context);
    const rtt = performance.now() - started;
    if (problem === undefined) return { agent: client.hello.agent, shortcomings, rtt };
    throw new FerryError("io", `The server answers, but cannot serve: ${problem}`);
  }
}
