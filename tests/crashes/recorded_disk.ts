/**
 * What a process has done to the files of a directory, step by step, and which disks a loss of power may leave: the
 * bytes and the names that were flushed are there, and of the others some or none.
 *
 * @module
 */

import { type RecordedCall, recordedCalls } from "./recorded_calls.ts";

/** A file or a directory, whatever its names are. */
export class Inode {
  /** The names in it; undefined for a file. */
  readonly entries: Map<string, Inode> | undefined;

  /** A new and empty one. */
  constructor(kind: "file" | "directory") {
    this.entries = kind === "directory" ? new Map() : undefined;
  }
}

/** A name in a directory. */
export interface Place {
  readonly directory: Inode;
  readonly name: string;
}

/** A change of names. */
interface Names {
  /** The name that is taken away. */
  readonly from?: Place | undefined;
  /** The name that is given, and what it is given to. */
  readonly to?: Place & { readonly inode: Inode } | undefined;
}

/** Something that the process has done. */
export type Step =
  | {
    readonly kind: "data";
    readonly inode: Inode;
    readonly at: number;
    readonly bytes: Uint8Array;
  }
  | { readonly kind: "size"; readonly inode: Inode; readonly size: number }
  | { readonly kind: "names" } & Names
  /**
   * `since` is the number of the first step that may have come too late for the flush; `way` has the inode and the
   * directories above it.
   */
  | {
    readonly kind: "flush";
    readonly inode: Inode;
    readonly since: number;
    readonly way: readonly Inode[];
  }
  | { readonly kind: "reply"; readonly text: string };

/** A descriptor: what it leads to, and where the next write goes. Duplicates share it. */
interface Opened {
  readonly inode: Inode;
  offset: number;
}

const latin = new TextDecoder("latin1");
const utf8 = new TextDecoder();

/** Follows the calls of a process. */
export class RecordedDisk {
  /** The directory. */
  readonly root = new Inode("directory");
  /** What was done. */
  readonly steps: Step[] = [];
  readonly #path: string;
  readonly #descriptors = new Map<number, Opened>();
  /** The number of steps that had been made at each line of the log. */
  readonly #stepsAt: number[] = [];

  /** Reads a log of a process that has found the directory at `path` empty. */
  static read(log: string, path: string): RecordedDisk {
    const disk = new RecordedDisk(path);
    for (const call of recordedCalls(log)) disk.#follow(call);
    return disk;
  }

  private constructor(path: string) {
    this.#path = path;
  }

  /** The inode at a path, and its place; undefined outside of the directory. */
  #at(path: Uint8Array): { place: Place | undefined; inode: Inode | undefined } | undefined {
    const text = utf8.decode(path);
    // Directories are held open, and paths in them go by their descriptors.
    const held = /^(?:\/proc\/self|\/tmp\/ferry-fd-[^/]+)\/fd\/(\d+)(?:\/(.*))?$/.exec(text);
    const top = held ? this.#descriptors.get(Number(held[1]))?.inode : this.root;
    const inside = text === this.#path || text.startsWith(`${this.#path}/`);
    if (!top || !held && !inside) return undefined;
    const names = (held ? held[2] ?? "" : text.slice(this.#path.length)).split("/").filter(Boolean);
    const name = names.pop();
    if (name === undefined) return { place: undefined, inode: top };
    let directory: Inode | undefined = top;
    for (const each of names) directory = directory?.entries?.get(each);
    return directory?.entries &&
      { place: { directory, name }, inode: directory.entries.get(name) };
  }

  #follow(call: RecordedCall): void {
    const { name, args, texts, result } = call;
    const number = Number(/^(\d+)/.exec(args)?.[1]);
    const opened = this.#descriptors.get(number);
    this.#stepsAt[call.ended] = this.steps.length;
    switch (name) {
      case "open":
      case "openat":
      case "creat":
        return this.#open(call);
      case "close":
        this.#descriptors.delete(number);
        return;
      case "dup":
      case "dup2":
      case "dup3":
      case "fcntl":
        if (opened && (name !== "fcntl" || /F_DUPFD/.test(args))) {
          this.#descriptors.set(result, opened);
        }
        return;
      case "lseek":
        if (opened) opened.offset = result;
        return;
      case "write":
      case "writev": {
        if (!opened) return;
        this.#data(opened.inode, opened.offset, texts, result);
        opened.offset += result;
        return;
      }
      case "pwrite64":
      case "pwritev":
      case "pwritev2":
        if (opened) this.#data(opened.inode, Number(/, (\d+)$/.exec(args)![1]), texts, result);
        return;
      case "sendto":
      case "sendmsg":
        this.steps.push({ kind: "reply", text: texts.map((each) => latin.decode(each)).join("") });
        return;
      case "ftruncate": {
        const size = Number(/, (\d+)$/.exec(args)![1]);
        if (opened) this.steps.push({ kind: "size", inode: opened.inode, size });
        return;
      }
      case "fsync":
      case "fdatasync":
        if (opened) this.#flush(opened.inode, call);
        return;
      case "link":
      case "linkat": {
        const [from, to] = texts.map((path) => this.#at(path));
        if (to?.place) this.#name({ to: { ...to.place, inode: from!.inode! } });
        return;
      }
      case "rename":
      case "renameat":
      case "renameat2": {
        const [from, to] = texts.map((path) => this.#at(path));
        if (!to?.place || !from?.place) return;
        this.#name({ from: from.place, to: { ...to.place, inode: from.inode! } });
        return;
      }
      case "unlink":
      case "unlinkat":
      case "rmdir": {
        const from = this.#at(texts[0]!)?.place;
        if (from) this.#name({ from });
        return;
      }
      case "mkdir":
      case "mkdirat": {
        const to = this.#at(texts[0]!)?.place;
        if (to) this.#name({ to: { ...to, inode: new Inode("directory") } });
        return;
      }
      default:
        if (opened || texts.some((path) => this.#at(path))) {
          throw new Error(`${name}(${args}) is not understood: let this module follow it`);
        }
    }
  }

  #open({ args, texts, result }: RecordedCall): void {
    this.#descriptors.delete(result);
    const found = this.#at(texts[0]!);
    if (!found) return;
    let { inode } = found;
    if (!inode && found.place && /O_CREAT/.test(args)) {
      inode = new Inode("file");
      this.#name({ to: { ...found.place, inode } });
    }
    if (!inode) throw new Error(`${utf8.decode(texts[0]!)} was opened, and nobody has made it`);
    if (/O_TRUNC/.test(args)) this.steps.push({ kind: "size", inode, size: 0 });
    this.#descriptors.set(result, { inode, offset: 0 });
  }

  #data(inode: Inode, at: number, texts: readonly Uint8Array[], count: number): void {
    let left = count;
    for (const text of texts) {
      const bytes = text.subarray(0, left);
      this.steps.push({ kind: "data", inode, at: at + count - left, bytes });
      left -= bytes.length;
    }
  }

  #name(change: Names): void {
    apply(change, entriesOf);
    this.steps.push({ kind: "names", ...change });
  }

  #flush(inode: Inode, { began }: RecordedCall): void {
    // What was done while the flush ran may be in it or not.
    let line = began;
    while (this.#stepsAt[line] === undefined) line++;
    const way = wayTo(this.root, inode) ?? [inode];
    this.steps.push({ kind: "flush", inode, since: this.#stepsAt[line]!, way });
  }
}

/** The files that a loss of power leaves, by their paths. */
export type Left = Map<string, Uint8Array<ArrayBuffer>>;

/** The entries of a directory. */
type Entries = (directory: Inode) => Map<string, Inode>;

const entriesOf: Entries = ({ entries }) => entries!;

/** An inode and the directories above it; undefined if it has no name. */
function wayTo(top: Inode, inode: Inode): Inode[] | undefined {
  if (top === inode) return [top];
  for (const below of top.entries?.values() ?? []) {
    const way = wayTo(below, inode);
    if (way) return [...way, top];
  }
  return undefined;
}

/** Changes names, as a whole. */
function apply({ from, to }: Names, entriesOf: Entries): void {
  if (from) entriesOf(from.directory).delete(from.name);
  if (to) entriesOf(to.directory).set(to.name, to.inode);
}

/** How a file system writes changes of names: see {@linkcode leftAfter}. */
export type FileSystemKind = "journal" | "log";

/**
 * The files on the disk after a loss of power right before a step. Of bytes that were not flushed, each write is there
 * or not. Changes of names are there up to some point, as the system writes them from time to time, all in their order.
 * Beyond that point there are those that were flushed: with a journal (ext4, XFS) everything before the last flush of
 * anything, with a log (btrfs) what was done to the directories that were flushed, and the way to them.
 *
 * @param least the step up to which everything has been on the disk for long
 */
export function leftAfter(
  { root, steps }: RecordedDisk,
  count: number,
  { kind, least, random }: {
    kind: FileSystemKind;
    least: number;
    random: (limit: number) => number;
  },
): Left {
  const certain = certainSteps(steps.slice(0, count), kind);
  const written = least + random(count - least + 1);
  const names = new Map<Inode, Map<string, Inode>>();
  const entries: Entries = (directory) => {
    const known = names.get(directory) ?? new Map();
    names.set(directory, known);
    return known;
  };
  const contents = new Map<Inode, Uint8Array<ArrayBuffer>>();
  /** Of each file: whether all, none or some of the writes are there that were not flushed. */
  const chances = new Map<Inode, number>();
  for (const [at, step] of steps.slice(0, count).entries()) {
    if (step.kind === "names") {
      if (at < written || certain.has(at)) apply(step, entries);
    } else if (step.kind === "data" || step.kind === "size") {
      const { inode } = step;
      const chance = chances.get(inode) ?? random(3);
      chances.set(inode, chance);
      const isThere = at < least || certain.has(at) || chance === 2 || chance === 1 && random(2);
      if (isThere) contents.set(inode, changed(contents.get(inode), step));
    }
  }
  const left: Left = new Map();
  const walk = (directory: Inode, path: string) => {
    for (const [name, inode] of entries(directory)) {
      if (inode.entries) walk(inode, `${path}${name}/`);
      else left.set(path + name, contents.get(inode) ?? new Uint8Array());
    }
  };
  walk(root, "");
  return left;
}

function changed(content = new Uint8Array(), step: Step): Uint8Array<ArrayBuffer> {
  if (step.kind === "size") {
    const cut = new Uint8Array(step.size);
    cut.set(content.subarray(0, step.size));
    return cut;
  }
  if (step.kind !== "data") return content;
  const { at, bytes } = step;
  const grown = new Uint8Array(Math.max(content.length, at + bytes.length));
  grown.set(content);
  grown.set(bytes, at);
  return grown;
}

/**
 * What was done too early, in the order of the steps: a name was given to what was not flushed, or an operation was
 * acknowledged before its changes of names were, or while something of it was in the staging area.
 *
 * @param acknowledged the numbers of the steps that acknowledge an operation
 */
export function* tooEarly(
  { root, steps }: RecordedDisk,
  acknowledged: readonly number[],
): Generator<string> {
  /** The number of the step that has changed the bytes or the names of an inode, if that was not flushed since. */
  const dirty = new Map<Inode, number>();
  const names = new Map<Inode, Map<string, Inode>>([[root, new Map()]]);
  const entries: Entries = (directory) => {
    if (!names.has(directory)) names.set(directory, new Map());
    return names.get(directory)!;
  };
  const paths = (directory: Inode, path = ""): [string, Inode][] =>
    [...entries(directory)].flatMap(([name, inode]): [string, Inode][] => [
      [path + name, inode],
      ...(inode.entries ? paths(inode, `${path}${name}/`) : []),
    ]);
  const isOwn = (path: string) => /^\.ferry(\/|$)/.test(path);
  for (const [at, step] of steps.entries()) {
    if (step.kind === "data" || step.kind === "size") dirty.set(step.inode, at);
    if (step.kind === "flush" && (dirty.get(step.inode) ?? 0) < step.since) {
      dirty.delete(step.inode);
    }
    if (step.kind === "names") {
      apply(step, entries);
      for (const place of [step.from, step.to]) if (place) dirty.set(place.directory, at);
      for (const [path, inode] of paths(root)) {
        const isFile = !inode.entries;
        if (isFile && !isOwn(path) && dirty.has(inode)) {
          yield `${path} has its name before its bytes`;
        }
      }
    }
    if (!acknowledged.includes(at)) continue;
    if (dirty.has(root)) yield "a reply comes before the flush of the root";
    for (const [path, inode] of paths(root)) {
      if (!isOwn(path) && dirty.has(inode)) yield `a reply comes before the flush of ${path}`;
      if (/\.(part|tree|json)$/.test(path) && path.startsWith(".ferry/staging/")) {
        yield `a reply comes before ${path} is gone`;
      }
    }
  }
}

/** The numbers of the steps that are on the disk for certain after some others. */
function certainSteps(steps: readonly Step[], kind: FileSystemKind): Set<number> {
  const certain = new Set<number>();
  for (const { inode, since, way } of steps.filter((step) => step.kind === "flush")) {
    for (const [at, step] of steps.slice(0, since).entries()) {
      const isHere = step.kind === "names"
        ? kind === "journal" || step.from?.directory === inode || step.to?.directory === inode ||
          step.to !== undefined && way.includes(step.to.inode)
        : (step.kind === "data" || step.kind === "size") && step.inode === inode;
      if (isHere) certain.add(at);
    }
  }
  return certain;
}
