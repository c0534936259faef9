/**
 * Checks whether an echo service answers: with one text, with lines from standard input, or with many probes.
 *
 * @module
 */

import { formatAddress } from "../../lib/core/address.ts";
import { FerryError, toFerryError } from "../../lib/core/errors.ts";
import { mismatch } from "../../lib/udp/echo_reply.ts";
import { type Destination, Payload } from "../echo/carrier.ts";
import { probe, type ProbeResult } from "../echo/echo.ts";
import { type Exchange, openExchange } from "../echo/exchange.ts";
import type { Context } from "./command.ts";
import {
  replyEvent,
  replyLine,
  roundMilliseconds,
  safeReply,
  summaryEvent,
  summaryText,
} from "./echo_output.ts";
import { promptLines } from "./prompt.ts";

const DEFAULT_INTERVAL_MS = 1000;

/** One run of `ferry echo`. Its public methods return the exit status. */
export class EchoCheck {
  readonly #context: Context;
  readonly #destination: Destination;
  readonly #timeout: number;

  /** A check of one echo service. A reply that does not arrive within `timeout` milliseconds counts as lost. */
  constructor(context: Context, destination: Destination, { timeout }: { timeout: number }) {
    this.#context = context;
    this.#destination = destination;
    this.#timeout = timeout;
  }

  /**
   * Sends one text and prints the reply.
   *
   * @throws {FerryError} `timeout`, `unreachable`, `closed`
   */
  async once(bytes: Uint8Array): Promise<number> {
    using exchange = openExchange(this.#destination, this.#timeout);
    return await this.#during(() => this.#ask(exchange, bytes));
  }

  /**
   * Sends each line of standard input and prints the replies. Lines without a reply are reported.
   *
   * @throws {FerryError} `too_large` for a line of more than `maxBytes`
   */
  async converse(maxBytes: number): Promise<number> {
    const { output, signal } = this.#context;
    const { quiet } = output;
    using exchange = openExchange(this.#destination, this.#timeout);
    let answers = 0;
    let failed = 0;
    let lost = 0;
    return await this.#during(async () => {
      for await (const line of promptLines({ maxBytes, quiet, signal })) {
        if (line.length === 0 && this.#destination.protocol === "tcp") continue;
        try {
          const status = await this.#ask(exchange, line);
          failed ||= status;
          answers++;
        } catch (error) {
          if (signal.aborted) throw error;
          const status = this.#report(toFerryError(error));
          lost ||= status;
        }
      }
      return failed || (answers === 0 ? lost : 0);
    });
  }

  /**
   * Sends probes, prints what comes back for each, and a summary.
   *
   * @param content the bytes of each probe, or its size in bytes
   * @param options.count the number of probes; 0: until the user interrupts. Default: 0.
   * @param options.interval milliseconds between probes; 0: the next one is sent as replies arrive. Default: 1000.
   * @throws {FerryError} `timeout`, `unreachable` where the echo cannot be reached
   */
  async probe(
    content: Uint8Array | number,
    { count = 0, interval = DEFAULT_INTERVAL_MS }: {
      count?: number | undefined;
      interval?: number | undefined;
    },
  ): Promise<number> {
    const { output, signal } = this.#context;
    const destination = this.#destination;
    const from = formatAddress(destination.address);
    const result = await this.#during(() =>
      probe({
        ...destination,
        payload: typeof content === "number" ? Payload.sized(content) : Payload.of(content),
        count: count === 0 ? Infinity : count,
        interval,
        timeout: this.#timeout,
        ...(interval === 0 ? {} : {
          onReply: (reply) => output.say(replyLine(from, reply), replyEvent(reply)),
          onLost: (sequence, { code, message }) => {
            const event = { event: "lost", op: "echo", sequence, code, message };
            output.say(`seq=${sequence}: ${message}`, event);
          },
        }),
      })
    );
    output.say(summaryText(destination, result), summaryEvent(destination, result));
    const error = failureOf(result, signal);
    return error ? this.#report(error) : 0;
  }

  async #ask(exchange: Exchange, bytes: Uint8Array): Promise<number> {
    const { bytes: reply, rtt } = await exchange.ask(bytes);
    this.#context.output.say(Deno.stdout.isTerminal() ? safeReply(reply) : reply, {
      event: "reply",
      op: "echo",
      text: new TextDecoder().decode(reply),
      bytes: reply.length,
      rtt_ms: roundMilliseconds(rtt),
    });
    const wrongAt = mismatch(bytes, reply);
    if (wrongAt === undefined) return 0;
    const message = `the reply is no echo from byte ${wrongAt} on`;
    return this.#report(new FerryError("checksum_mismatch", message));
  }

  /** Reports a failure and returns its exit status. */
  #report(error: FerryError): number {
    const failure = this.#named(error);
    this.#context.output.error("echo", failure);
    return failure.exitStatus;
  }

  /** Names the echo service in errors. */
  async #during<T>(run: () => Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (error) {
      if (this.#context.signal.aborted) throw error;
      throw this.#named(toFerryError(error));
    }
  }

  #named(error: FerryError): FerryError {
    return error.during(`get an echo from ${formatAddress(this.#destination.address)}`);
  }
}

function failureOf(result: ProbeResult, { aborted }: AbortSignal): FerryError | undefined {
  const { sent, received, late, damaged, cut, unsent } = result;
  if (damaged > 0) {
    return new FerryError("checksum_mismatch", `${damaged} of the replies were no echo`);
  }
  if (cut) return cut;
  if (received + late > 0 || sent === 0 && aborted) return undefined;
  return new FerryError("timeout", unsent?.reason ?? "nothing came back");
}
