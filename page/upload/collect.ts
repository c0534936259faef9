/// <reference lib="dom" />
/**
 * What somebody has dropped on the page or chosen in a dialog: files with their paths, empty directories, and what a
 * browser cannot send.
 *
 * @module
 */

import { nameIn } from "./names.ts";

/** A file that can be sent. */
export interface Found {
  /** Its path below the directory that it is sent into. */
  readonly path: string;
  readonly file: File;
}

/** Why something cannot be sent, or may be missing. */
export type Flaw =
  /** It cannot be opened or listed. */
  | "unreadable"
  /** Several files have this path for the browser: on the disk, the name of one of them contains a backslash. */
  | "same-path"
  /** Its name on the disk is another one, which the browser does not tell. */
  | "renamed"
  /** Its name on the disk is no Unicode, and browsers open no such file. */
  | "nameless"
  /** In a directory that was dropped, browsers pass over links. */
  | "links"
  /** In a directory chosen in a dialog, browsers pass over empty directories, links, and some directories linked to. */
  | "dialog";

/** Whether a flaw tells of what may be missing, where no page can know whether something is. */
export function isNote(flaw: Flaw): boolean {
  return flaw === "links" || flaw === "dialog";
}

/** What was found. */
export interface Collected {
  readonly files: readonly Found[];
  /** The paths of directories in which nothing is. */
  readonly directories: readonly string[];
  /** What is not sent, or may be missing. */
  readonly flaws: readonly { readonly path: string; readonly flaw: Flaw }[];
}

/** What {@linkcode collect} takes apart: a part of the DOM's `FileSystemEntry`. */
export type Entry = Pick<FileSystemEntry, "name" | "isDirectory">;

/**
 * The entries of a drop. They have to be taken before the handler of the event returns: afterwards the list is empty.
 */
export function entriesOf(items: DataTransferItemList): FileSystemEntry[] {
  return [...items].filter(({ kind }) => kind === "file")
    .map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
}

/** Lists dropped files and directories, with all that is in them. */
export async function collect(entries: readonly Entry[]): Promise<Collected> {
  const files: Found[] = [];
  const directories: string[] = [];
  const flaws: Collected["flaws"][number][] = [];
  const pending = entries.map((entry) => ({ entry, path: entry.name }));
  for (const { name, isDirectory } of entries) {
    if (isDirectory) flaws.push({ path: name, flaw: "links" });
  }
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { entry, path } = next;
    try {
      if (!entry.isDirectory) {
        files.push({ path, file: await fileOf(entry as FileSystemFileEntry) });
        continue;
      }
      const inside = await allIn(entry as FileSystemDirectoryEntry);
      if (inside.length === 0) directories.push(path);
      for (const child of inside) pending.push({ entry: child, path: nameIn(path, child.name) });
    } catch {
      flaws.push({ path, flaw: entry.name === "" ? "nameless" : "unreadable" });
    }
  }
  return withoutDoubles({ files, directories, flaws });
}

function fileOf(entry: FileSystemFileEntry): Promise<File> {
  return new Promise((resolve, reject) => entry.file(resolve, reject));
}

async function allIn(directory: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = directory.createReader();
  const all: FileSystemEntry[] = [];
  for (;;) {
    // Each call gives some of them, and none at the end.
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject)
    );
    if (some.length === 0) return all;
    all.push(...some);
  }
}

/** What was chosen in a dialog for files or for a directory. */
export function chosen(list: readonly File[]): Collected {
  const files = list.map((file) => ({ path: file.webkitRelativePath || file.name, file }));
  const tops = new Set(
    files.filter(({ path }) => path.includes("/")).map(({ path }) => topOf(path)),
  );
  const flaws: Collected["flaws"][number][] = [...tops].map((path) => ({ path, flaw: "dialog" }));
  for (const { path, file } of files) {
    if (!path.endsWith(file.name)) flaws.push({ path, flaw: "renamed" });
  }
  return withoutDoubles({ files, directories: [], flaws });
}

/** The first part of a path. */
export function topOf(path: string): string {
  return path.slice(0, (path.indexOf("/") + 1 || path.length + 1) - 1);
}

/** Of several files with one path, none is sent: nobody could tell which one has arrived. */
function withoutDoubles({ files, directories, flaws }: Collected): Collected {
  const counts = new Map<string, number>();
  for (const { path } of files) counts.set(path, (counts.get(path) ?? 0) + 1);
  const doubles = [...counts].filter(([, count]) => count > 1).map(([path]) => path);
  return {
    files: files.filter(({ path }) => counts.get(path) === 1)
      .sort((one, other) => one.path < other.path ? -1 : 1),
    directories,
    flaws: [...flaws, ...doubles.map((path) => ({ path, flaw: "same-path" as const }))],
  };
}
