/**
 * The types that describe share links: on the wire and in the library.
 *
 * @module
 */

/** A share link, as its creator sees it. */
export interface SharedLink {
  /** Identifies the link; not secret. */
  id: string;
  /** The link itself. Whoever knows it can use it. */
  url: string;
  /** The name of the file or directory; "" is the root. */
  filename: string;
  /** What that is. */
  type: "file" | "directory";
  /** Whether it lets upload into the directory, and see nothing of it. */
  upload: boolean;
  /** When it was made, in milliseconds since 1970. */
  created: number;
  /** When it ends, in milliseconds since 1970; null where it does not. */
  expires: number | null;
  /** How many downloads it allows; null where they are not counted. */
  downloads: number | null;
  /** How many of them were begun; null where they are not counted. */
  taken: number | null;
}

/** What a client wants of a share link. */
export interface ShareWishes {
  /** Whether the link is to upload into the directory, and shows nothing of it. Default: false, it is to download. */
  upload?: boolean | undefined;
  /** How long it is valid, in milliseconds; null for ever. Default: 604800000, 7 days. */
  expiresIn?: number | null | undefined;
  /** How many downloads it allows, at most 10000; null for any number. Default: null. */
  downloads?: number | null | undefined;
}
