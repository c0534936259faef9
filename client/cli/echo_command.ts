/**
 * What `ferry echo` does, given its options.
 *
 * @module
 */

import { type Address, formatAddress, parseServerAddress } from "../../lib/core/address.ts";
import type { OptionValues } from "../../lib/cli/command_line.ts";
import { MAX_DATAGRAM_BYTES } from "../../lib/udp/datagram.ts";
import { mismatch } from "../../lib/udp/echo_reply.ts";
import { FerryError, toFerryError } from "../../lib/core/errors.ts";
import { MAX_TIMEOUT_MS } from "../../lib/core/number_options.ts";
import type { Context, Run } from "./commands.ts";
import type { ECHO } from "./options.ts";
import { type EchoReply, probe, type ProbeResult } from "../echo/echo.ts";
import { type Destination, Payload } from "../echo/carrier.ts";
import { type Exchange, openExchange } from "../echo/exchange.ts";
import { promptLines } from "./prompt.ts";

/** The longest text over TCP, which has no limit of its own, in bytes. */
const MAX_STREAM_BYTES = 16 * 1024 * 1024;

const DEFAULT_SIZE = 64;
const DEFAULT_INTERVAL_MS = 1000;

type Options = OptionValues<typeof ECHO.options>;

/** `ferry echo` */
export const echo: Run<typeof ECHO.options> = async (context, given, [text]) => {
  const timeout = Math.min(given.timeout, MAX_TIMEOUT_MS);
  const interval = given.interval && Math.min(given.interval, MAX_TIMEOUT_MS);
  const options = { ...given, interval, timeout };
  const { count, size } = options;
  const destination = destinationOf(options, context.signal);
  const { protocol } = destination;
  const maxBytes = protocol === "udp" ? MAX_DATAGRAM_BYTES : MAX_STREAM_BYTES;
  const bytes = text === undefined ? undefined : new TextEncoder().encode(text);
  if (bytes && size !== undefined) throw usage("--size is for when there is no TEXT");
  const length = bytes?.length ?? size ?? DEFAULT_SIZE;
  if (length > maxBytes) {
    throw usage(`${bytes ? "TEXT" : "--size"} is ${length} bytes; over ${protocol} ${maxBytes} go`);
  }
  if (length === 0 && protocol === "tcp") throw usage("Over TCP there is no echo of nothing");
  if (timeout === 0) throw usage("--timeout has to be more than 0");
  try {
    if (count !== undefined || interval !== undefined || size !== undefined) {
      const payload = bytes ? Payload.of(bytes) : Payload.sized(length);
      return await ping(context, options, { destination, payload });
    }
    using exchange = openExchange(destination, timeout);
    if (bytes) return await ask(context, destination, exchange, bytes);
    return await converse(context, options, { destination, exchange, maxBytes });
  } catch (error) {
    if (context.signal.aborted) throw error;
    throw toFerryError(error).during(actionOf(destination));
  }
};

function usage(message: string): FerryError {
  return new FerryError("usage", `${message} (see ferry echo --help)`);
}

function destinationOf(options: Options, signal: AbortSignal): Destination {
  const { udp, tcp, "connect-timeout": connectTimeout } = options;
  if ((udp === undefined) === (tcp === undefined)) {
    throw usage("Say where the echo is, with either --udp HOST:PORT or --tcp HOST:PORT");
  }
  const address = parseServerAddress((udp ?? tcp)!, { defaultPort: null });
  return { protocol: udp === undefined ? "tcp" : "udp", address, connectTimeout, signal };
}

function actionOf({ address }: { address: Address }): string {
  return `get an echo from ${formatAddress(address)}`;
}

/** Sends one text and shows what comes back; gives the exit status. */
async function ask(
  { output }: Context,
  destination: Destination,
  exchange: Exchange,
  bytes: Uint8Array,
): Promise<number> {
  const { bytes: reply, rtt } = await exchange.ask(bytes);
  output.say(Deno.stdout.isTerminal() ? harmless(reply) : reply, {
    event: "reply",
    op: "echo",
    text: new TextDecoder().decode(reply),
    bytes: reply.length,
    rtt_ms: milliseconds(rtt),
  });
  const wrongAt = mismatch(bytes, reply);
  if (wrongAt === undefined) return 0;
  const error = noEcho(wrongAt, "the reply").during(actionOf(destination));
  output.error("echo", error);
  return error.exitStatus;
}

function noEcho(wrongAt: number, what: string): FerryError {
  return new FerryError("checksum_mismatch", `${what} is no echo from byte ${wrongAt} on`);
}

/** Asks for lines and shows what comes back for each; gives the exit status. */
async function converse(
  context: Context,
  { quiet }: Options,
  { destination, exchange, maxBytes }: {
    destination: Destination;
    exchange: Exchange;
    maxBytes: number;
  },
): Promise<number> {
  const { output, signal } = context;
  let answers = 0;
  let failed = 0;
  let lost = 0;
  for await (const line of promptLines({ maxBytes, quiet, signal })) {
    if (line.length === 0 && destination.protocol === "tcp") continue;
    try {
      failed ||= await ask(context, destination, exchange, line);
      answers++;
    } catch (error) {
      if (signal.aborted) throw error;
      const failure = toFerryError(error).during(actionOf(destination));
      output.error("echo", failure);
      lost ||= failure.exitStatus;
    }
  }
  return failed || (answers === 0 ? lost : 0);
}

/** Sends probes and shows what becomes of them; gives the exit status. */
async function ping(
  { output, signal }: Context,
  { count = 0, interval = DEFAULT_INTERVAL_MS, timeout }: Options,
  { destination, payload }: { destination: Destination; payload: Payload },
): Promise<number> {
  const from = formatAddress(destination.address);
  const result = await probe({
    ...destination,
    payload,
    count: count === 0 ? Infinity : count,
    interval,
    timeout,
    ...(interval === 0 ? {} : {
      onReply: (reply) => output.say(replyLine(from, reply), replyEvent(reply)),
      onLost: (sequence, { code, message }) =>
        output.say(`seq=${sequence}: ${message}`, {
          event: "lost",
          op: "echo",
          sequence,
          code,
          message,
        }),
    }),
  });
  output.say(summaryText(destination, result), summaryEvent(destination, result));
  const error = failureOf(result, signal)?.during(actionOf(destination));
  if (error) output.error("echo", error);
  return error?.exitStatus ?? 0;
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

function replyLine(
  from: string,
  { sequence, size, wrongAt, kind, rtt, outOfOrder }: EchoReply,
): string {
  const head = `${size} bytes from ${from}:`;
  const wrong = wrongAt === undefined ? [] : [`no echo from byte ${wrongAt} on`];
  if (kind === "unknown") return `${head} ${wrong[0] ?? "a reply to nothing that is remembered"}`;
  const notes = [
    ...(kind === "first" ? [] : [kind]),
    ...(outOfOrder ? ["out of order"] : []),
    ...wrong,
  ];
  const noted = notes.length > 0 ? ` (${notes.join(", ")})` : "";
  return `${head} seq=${sequence} time=${rtt.toFixed(3)} ms${noted}`;
}

function replyEvent(reply: EchoReply): Readonly<Record<string, unknown>> {
  const { sequence, size, wrongAt, kind, rtt, outOfOrder } = reply;
  return {
    event: "reply",
    op: "echo",
    sequence: kind === "unknown" ? null : sequence,
    bytes: size,
    rtt_ms: kind === "unknown" ? null : milliseconds(rtt),
    kind,
    out_of_order: outOfOrder,
    damaged: wrongAt !== undefined,
  };
}

function summaryText({ protocol, address }: Destination, result: ProbeResult): string {
  const { sent, received, duplicates, outOfOrder, late, damaged, rtt, seconds } = result;
  const counts = [
    `${sent} sent`,
    `${received} received`,
    `${Number(result.lossPercent.toFixed(3))}% loss`,
    `${duplicates} duplicates`,
    `${outOfOrder} out of order`,
    ...(late > 0 ? [`${late} late`] : []),
    ...(damaged > 0 ? [`${damaged} no echo`] : []),
  ];
  const lines = [
    `--- ${formatAddress(address)} ${protocol} echo statistics ---`,
    `${counts.join(", ")} in ${seconds.toFixed(3)} s`,
  ];
  if (rtt) {
    const times = [rtt.min, rtt.avg, rtt.max, rtt.stddev].map((ms) => ms.toFixed(3)).join("/");
    lines.push(`rtt min/avg/max/stddev = ${times} ms`);
  }
  return lines.join("\n");
}

function summaryEvent(
  { protocol, address }: Destination,
  result: ProbeResult,
): Readonly<Record<string, unknown>> {
  const { sent, received, duplicates, late, damaged, rtt, seconds } = result;
  return {
    event: "summary",
    op: "echo",
    protocol,
    address: formatAddress(address),
    sent,
    received,
    loss_percent: Number(result.lossPercent.toFixed(3)),
    duplicates,
    out_of_order: result.outOfOrder,
    late,
    damaged,
    min_ms: rtt && milliseconds(rtt.min),
    avg_ms: rtt && milliseconds(rtt.avg),
    max_ms: rtt && milliseconds(rtt.max),
    stddev_ms: rtt && milliseconds(rtt.stddev),
    seconds: milliseconds(seconds),
  };
}

function milliseconds(value: number): number {
  return Math.round(value * 1e6) / 1e6;
}

/**
 * What does not drive a terminal: control characters are escaped. What is no UTF-8 is left to the terminal,
 * whose encoding is that of the person at it.
 */
function harmless(reply: Uint8Array): string | Uint8Array {
  const escape = (c: string) => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`;
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(reply);
    return text.replace(/[^\P{Cc}\t\n]/gu, escape);
  } catch {
    // In other encodings too, bytes below 0x80 are those of ASCII where they are control characters.
    const bytes = Array.from(reply, (byte) => String.fromCharCode(byte)).join("");
    const shown = bytes.replace(/[^\P{Cc}\t\n\x80-\x9f]/gu, escape);
    return Uint8Array.from(shown, (c) => c.charCodeAt(0));
  }
}
