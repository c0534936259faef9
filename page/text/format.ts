/**
 * Sizes and times as people read them.
 *
 * @module
 */

const UNITS = ["", "kilobyte", "megabyte", "gigabyte", "terabyte", "petabyte"];

/** A size with at most three digits: `1.5 MB`. */
export function sizeText(bytes: number, locale: string): string {
  let unit = 0;
  let value = bytes;
  // What would be rounded to 1000 is 1 of the next unit.
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  // The short name of a byte would be "byte", whatever the number.
  if (unit === 0) return `${new Intl.NumberFormat(locale).format(bytes)} B`;
  const digits = value >= 99.95 ? 0 : 1;
  return new Intl.NumberFormat(locale, {
    style: "unit",
    unit: UNITS[unit]!,
    unitDisplay: "short",
    maximumFractionDigits: digits,
  }).format(value);
}

/** Formats of times are slow to make: one for each locale is kept. */
const times = new Map<string, Intl.DateTimeFormat>();

/** A time, to the minute. */
export function timeText(milliseconds: number, locale: string): string {
  let format = times.get(locale);
  if (!format) {
    format = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" });
    times.set(locale, format);
  }
  return format.format(milliseconds);
}

/** Characters that are not seen, or change the order of others: a name could look like another one with them. */
const HIDDEN = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu;

/** A name as it is shown: what would not be seen is escaped, as the programs do. */
export function shownName(name: string): string {
  return name.replace(HIDDEN, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
