/**
 * Over how many connections at once a file is moved.
 *
 * @module
 */

/** How many streams a file is moved over: a number, or `auto` for as many as make it faster. */
export type StreamCount = number | "auto";

/** The most streams of one file. */
export const MAX_STREAMS = 64;
