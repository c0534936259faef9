/**
 * Dates in header fields (RFC 9110, section 5.6.7).
 *
 * @module
 */

/** The form that is sent: `Sun, 06 Nov 1994 08:49:37 GMT`. */
const FIXED = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/;

/** Two forms that old programs send: `Sunday, 06-Nov-94 08:49:37 GMT` and `Sun Nov  6 08:49:37 1994`. */
const OLD = /^[A-Z][a-z]+, \d{2}-[A-Z][a-z]{2}-\d{2} \d{2}:\d{2}:\d{2} GMT$/;
const OLDEST = /^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2} \d{4}$/;

/** Formats a time, in milliseconds since 1970, as a header field has it: without the part of a second. */
export function formatHttpDate(time: number): string {
  return new Date(time).toUTCString();
}

/** Parses a date, in milliseconds since 1970; undefined if it has none of the forms, so that it is to be ignored. */
export function parseHttpDate(text: string): number | undefined {
  const said = OLDEST.test(text) ? `${text} GMT` : text;
  if (said === text && !FIXED.test(text) && !OLD.test(text)) return undefined;
  const time = Date.parse(said);
  return Number.isNaN(time) ? undefined : time;
}
