/**
 * The system calls by which a process changes files and sends replies, as strace(1) has logged them, with all bytes.
 *
 * @module
 */

/** The calls that change files, flush them, open and close descriptors, or send something. */
const CALLS = [
  ...["open", "openat", "creat", "close", "dup", "dup2", "dup3", "fcntl", "lseek"],
  ...["write", "pwrite64", "writev", "pwritev", "pwritev2", "sendto", "sendmsg"],
  ...["truncate", "ftruncate", "fallocate", "copy_file_range", "sendfile", "splice"],
  ...["fsync", "fdatasync", "sync_file_range", "syncfs", "sync"],
  ...["link", "linkat", "rename", "renameat", "renameat2", "unlink", "unlinkat"],
  ...["mkdir", "mkdirat", "rmdir", "symlink", "symlinkat", "io_uring_setup"],
];

/** More bytes than any call has, so that none are left out. */
const MOST_BYTES = 64 * 1024 * 1024;

/** The command that runs another one in this process, and logs its calls from the start on. */
export function recording(log: string): string[] {
  const calls = CALLS.map((call) => `?${call}`).join();
  return [
    ...["strace", "-D", "-f", "--seccomp-bpf", "-qq", "-xx", "-s", String(MOST_BYTES)],
    ...["-e", "signal=none", "-e", `trace=${calls}`, "-o", log],
  ];
}

/** A call that has succeeded. */
export interface RecordedCall {
  /** Its name. */
  readonly name: string;
  /** Its arguments as strace writes them, but for texts. */
  readonly args: string;
  /** The bytes of the texts among its arguments, in their order. */
  readonly texts: readonly Uint8Array[];
  /** What it has returned. */
  readonly result: number;
  /** The line of the log in which it began, and the one in which it ended: calls of several threads overlap. */
  readonly began: number;
  readonly ended: number;
}

/** The calls in a log, in the order in which they ended. */
export function* recordedCalls(log: string): Generator<RecordedCall> {
  const begun = new Map<string, { text: string; began: number }>();
  for (const [at, line] of Deno.readTextFileSync(log).split("\n").entries()) {
    const [, thread = "", said = ""] = /^(\d+) +(.*)$/.exec(line) ?? [];
    const cut = / ?<unfinished \.\.\.>$/.exec(said);
    if (cut) {
      begun.set(thread, { text: said.slice(0, cut.index), began: at });
      continue;
    }
    const resumed = /^<\.\.\. \w+ resumed>/.exec(said);
    const before = resumed && begun.get(thread);
    const text = before ? before.text + said.slice(resumed[0].length) : said;
    const call = /^(\w+)\((.*)\) += (\d+)/.exec(text);
    if (!call) continue;
    const texts: Uint8Array[] = [];
    const args = call[2]!.replace(/"((?:\\x..)*)"/g, (_, hex: string) => {
      texts.push(Uint8Array.fromHex(hex.replaceAll("\\x", "")));
      return '""';
    });
    const [name, result] = [call[1]!, Number(call[3])];
    yield { name, args, texts, result, began: before?.began ?? at, ended: at };
  }
}
