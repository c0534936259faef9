/**
 * What reading a stored file again shows.
 *
 * @module
 */

/**
 * What reading a file again has shown: it has the bytes whose checksum was recorded (`intact`), it has others although
 * no program changed it (`damaged`), or there was no record of it to compare with (`unrecorded`), as of a file that
 * another program has written. From now on there is one, where the server can keep it.
 */
export type Verdict = "intact" | "damaged" | "unrecorded";

/** The values of {@linkcode Verdict}. */
export const VERDICTS: readonly Verdict[] = ["intact", "damaged", "unrecorded"];
