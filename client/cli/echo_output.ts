/**
 * The replies of an echo and their summary, as lines for people and as events of `--json`.
 *
 * @module
 */

import { formatAddress } from "../../lib/core/address.ts";
import type { Destination } from "../echo/carrier.ts";
import type { EchoReply, ProbeResult } from "../echo/echo.ts";
import type { RoundTrips } from "../echo/statistics.ts";
import type { JsonEvent } from "./output.ts";

/** The line of a reply to a probe. */
export function replyLine(
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

/** The event of a reply to a probe. */
export function replyEvent(reply: EchoReply): JsonEvent {
  const { sequence, size, wrongAt, kind, rtt, outOfOrder } = reply;
  return {
    event: "reply",
    op: "echo",
    sequence: kind === "unknown" ? null : sequence,
    bytes: size,
    rtt_ms: kind === "unknown" ? null : roundMilliseconds(rtt),
    kind,
    out_of_order: outOfOrder,
    damaged: wrongAt !== undefined,
  };
}

/** The lines at the end of many probes. */
export function summaryText({ protocol, address }: Destination, result: ProbeResult): string {
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
  if (rtt) lines.push(roundTripsLine(rtt));
  return lines.join("\n");
}

/** The line about the round trips of many probes. */
export function roundTripsLine({ min, avg, max, stddev }: RoundTrips): string {
  const times = [min, avg, max, stddev].map((ms) => ms.toFixed(3)).join("/");
  return `rtt min/avg/max/stddev = ${times} ms`;
}

/** The same as keys of an event; null where there was no reply. */
export function roundTripKeys(rtt: RoundTrips | null): JsonEvent {
  return {
    min_ms: rtt && roundMilliseconds(rtt.min),
    avg_ms: rtt && roundMilliseconds(rtt.avg),
    max_ms: rtt && roundMilliseconds(rtt.max),
    stddev_ms: rtt && roundMilliseconds(rtt.stddev),
  };
}

/** The event at the end of many probes. */
export function summaryEvent({ protocol, address }: Destination, result: ProbeResult): JsonEvent {
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
    ...roundTripKeys(rtt),
    seconds: roundMilliseconds(seconds),
  };
}

/** A time with six decimal places, as `--json` shows it. */
export function roundMilliseconds(value: number): number {
  return Math.round(value * 1e6) / 1e6;
}

/**
 * A reply with its control characters escaped, so that it cannot control the terminal. Bytes that are not UTF-8 are
 * kept: the terminal may use another encoding.
 */
export function safeReply(reply: Uint8Array): string | Uint8Array {
  const escape = (c: string) => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`;
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(reply);
    return text.replace(/[^\P{Cc}\t\n]/gu, escape);
  } catch {
    // Control characters of ASCII (below 0x80) are the same in the other encodings that terminals use.
    const bytes = Array.from(reply, (byte) => String.fromCharCode(byte)).join("");
    const shown = bytes.replace(/[^\P{Cc}\t\n\x80-\x9f]/gu, escape);
    return Uint8Array.from(shown, (c) => c.charCodeAt(0));
  }
}
