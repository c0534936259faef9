/**
 * How far a transfer is, as a line of text: a pure function of the state and the width.
 *
 * @module
 */

import { format } from "@std/fmt/bytes";
import stringWidth from "string-width";
import type { Progress } from "./client.ts";

/** A transfer and how long it has been running. */
export interface ProgressState extends Progress {
  /** Seconds since it began. */
  seconds: number;
}

/** One line that is at most `columns` wide: the name, how much, how fast, how long still. */
export function renderProgress(state: ProgressState, columns: number): string {
  const { filename, bytes, total, seconds } = state;
  const percent = total === 0 ? 100 : Math.floor(bytes / total * 100);
  const rate = seconds > 0 ? bytes / seconds : 0;
  const left = rate > 0 ? (total - bytes) / rate : Infinity;
  const facts = [
    `${percent}%`.padStart(4),
    bytesOf(bytes).padStart(10),
    `${bytesOf(rate)}/s`.padStart(12),
    duration(left).padStart(8),
  ].join(" ");
  const room = columns - facts.length - 1;
  if (room < 4) return facts.trimStart().slice(0, Math.max(0, columns));
  return `${fit(filename, room)} ${facts}`;
}

function bytesOf(count: number): string {
  const options = { binary: true, minimumFractionDigits: 1, maximumFractionDigits: 1 };
  return format(Math.round(count), options);
}

function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return "-:--";
  const whole = Math.ceil(seconds);
  const parts = [Math.floor(whole / 60) % 60, whole % 60].map((n) => String(n).padStart(2, "0"));
  const hours = Math.floor(whole / 3600);
  return hours > 0 ? `${hours}:${parts.join(":")}` : parts.join(":");
}

/** The end of a name tells more than its beginning. The result is exactly as wide as it may be. */
function fit(name: string, width: number): string {
  const shown = [...name.replace(/\p{C}/gu, "?")];
  let used = stringWidth(shown.join(""));
  if (used <= width) return shown.join("") + " ".repeat(width - used);
  while (used > width - 1) used -= stringWidth(shown.shift()!);
  return `…${shown.join("")}${" ".repeat(width - 1 - used)}`;
}
