/**
 * The values of options: texts, numbers, sizes and times, as people write them.
 *
 * @module
 */

import { FerryError, quote } from "../core/errors.ts";
import type { OptionSpec } from "./command_spec.ts";
import { didYouMean } from "./suggestion.ts";

/**
 * Parses the value of an option.
 *
 * @param text the value as written; `true` for a flag that is given, several texts for a list
 * @throws {FerryError} `usage`, naming the option and the values that it accepts
 */
export function parseOptionValue(
  name: string,
  spec: OptionSpec,
  text: string | boolean | string[],
): unknown {
  if (spec.kind === "list") {
    const items = Array.isArray(text) ? text : [text];
    return items.map((item) => parseOptionValue(name, { ...spec, kind: "text" }, item));
  }
  if (typeof text === "boolean") return text;
  const value = String(text);
  const wrong = (wanted: string, candidates: readonly string[] = []) => {
    const meant = didYouMean(value, candidates);
    return new FerryError("usage", `--${name} takes ${wanted}, not ${quote(value)}${meant}`);
  };
  const within = (number: number | undefined, { range = [0, Infinity] } = spec) =>
    number !== undefined && number >= range[0] && number <= range[1] ? number : undefined;
  // A number is a value of it, also 0 and 1.
  if (spec.implied !== undefined && !/^\d/.test(value)) {
    const isGiven = parseFlag(value);
    if (isGiven === false) return undefined;
    if (isGiven) return parseOptionValue(name, spec, spec.implied);
  }
  switch (spec.kind) {
    case "flag":
      return parseFlag(value) ?? raise(wrong("true or false"));
    case "text":
      if (spec.choices && !spec.choices.includes(value)) {
        throw wrong(spec.choices.join(", "), spec.choices);
      }
      return value;
    case "count":
      if (spec.auto && value === "auto") return undefined;
      return within(parseCount(value)) ?? raise(wrong(countText(spec)));
    case "size":
      return within(parseSize(value)) ??
        raise(wrong(`a size${leastText(spec)} such as 500k, 2M or 1GiB`));
    case "time":
      return within(parseTime(value)) ??
        raise(wrong(`a time${timesText(spec)} such as 500ms, 30s, 5m, 2h or 7d`));
  }
}

/** What a text makes of a flag; undefined if it is neither true nor false. */
export function parseFlag(text: string): boolean | undefined {
  if (/^(0|false|no|off)$/i.test(text)) return false;
  return /^(1|true|yes|on)$/i.test(text) || undefined;
}

function parseCount(text: string): number | undefined {
  return /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}

function countText({ range, auto }: OptionSpec): string {
  const number = range ? `a whole number from ${range.join(" to ")}` : "a whole number";
  return auto ? `auto, or ${number}` : number;
}

function leastText({ range }: OptionSpec): string {
  return range ? ` of at least ${range[0]} byte,` : "";
}

function timesText({ range }: OptionSpec): string {
  return range ? ` from ${range.map(formatTime).join(" to ")},` : "";
}

/** A time in its largest unit, rounded down. */
function formatTime(ms: number): string {
  const [unit = "ms", size = 1] = Object.entries(TIME_UNITS).findLast(([, size]) => ms >= size) ??
    [];
  return `${Math.floor(ms / size)}${unit}`;
}

/** Throws an error, where only an expression can stand. */
export function raise(error: Error): never {
  throw error;
}

const SIZE_UNITS: Readonly<Record<string, number>> = {
  "": 1,
  k: 1e3,
  m: 1e6,
  g: 1e9,
  t: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
};

const TIME_UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** Parses a size, such as `500`, `64k` or `1.5MiB`, to bytes. Undefined if the text is not a size. */
export function parseSize(text: string): number | undefined {
  const size = parseQuantity(text, SIZE_UNITS);
  return size === undefined ? undefined : Math.floor(size);
}

/**
 * Parses a duration, such as `500ms`, `1.5s`, `2h` or `0`, to milliseconds. Undefined if the text is not a duration.
 */
export function parseTime(text: string): number | undefined {
  if (/^0+$/.test(text)) return 0;
  return parseQuantity(text, TIME_UNITS);
}

function parseQuantity(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const match = /^(\d{1,15}(?:\.\d{1,9})?) ?([a-z]*)$/i.exec(text);
  if (!match) return undefined;
  const [, number, suffix = ""] = match;
  const unit = suffix.toLowerCase().replace(/(?<=^[kmgt])b$/, "");
  return Object.hasOwn(units, unit) ? Number(number) * units[unit]! : undefined;
}
