/**
 * Where the page is: which directory it shows, and whether it came there by a share link.
 *
 * @module
 */

/** A directory as the page sees it. */
export interface Place {
  /** What precedes each path: "" or, inside a share link, `/.ferry/s/LINK`. */
  readonly prefix: string;
  /** The name of the directory without a slash at either end; "" is the root. */
  readonly directory: string;
}

/** The place that the path of an address means. A path without a slash at its end is that of a file. */
export function placeOf(pathname: string): Place {
  const [prefix = ""] = /^\/\.ferry\/s\/[^/]+/.exec(pathname) ?? [];
  const inner = pathname.slice(prefix.length).replace(/^\/|\/$/g, "");
  return { prefix, directory: inner.split("/").map(decoded).join("/") };
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    // The server says what is wrong with it.
    return segment;
  }
}

/** The path of an address that means a file. */
export function filePath(prefix: string, name: string): string {
  return `${prefix}/${name.split("/").map(encodeURIComponent).join("/")}`;
}

/** The path of an address that means a directory. */
export function directoryPath(prefix: string, name: string): string {
  return name === "" ? `${prefix}/` : `${filePath(prefix, name)}/`;
}

/** The name of an entry of a directory. */
export function nameIn(directory: string, name: string): string {
  return directory === "" ? name : `${directory}/${name}`;
}

/** The directory that a name is in; "" is the root. */
export function directoryOf(name: string): string {
  return name.slice(0, Math.max(0, name.lastIndexOf("/")));
}

/** The last part of a name. */
export function lastOf(name: string): string {
  return name.slice(name.lastIndexOf("/") + 1);
}

/** The directories on the way to a directory, the root first: their names, and what the last part of each is. */
export function pathTo(directory: string): { name: string; last: string }[] {
  const parts = directory === "" ? [] : directory.split("/");
  return [
    { name: "", last: "" },
    ...parts.map((last, i) => ({ name: parts.slice(0, i + 1).join("/"), last })),
  ];
}

/**
 * A way of {@linkcode pathTo} whose middle is left out if it is long: `…` stands for the lowest directory of those that
 * are left out.
 *
 * @param above how many parts there are at most before the last one
 */
export function shortened(way: ReturnType<typeof pathTo>, above: number): typeof way {
  if (way.length - 1 <= above) return way;
  const first = above > 1 ? way.slice(0, 1) : [];
  const from = way.length - above + first.length;
  return [...first, { name: way[from - 1]!.name, last: "…" }, ...way.slice(from)];
}
