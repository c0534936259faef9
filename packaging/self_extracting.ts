/**
 * Self-extracting executables: a program and the Deno that runs it in one file, for where `deno compile` cannot get its
 * base binary. The file contains the Deno that makes it, so it runs on systems of the same kind.
 *
 * On Windows npm:@appthreat/caxa makes it. On other systems its executables have three faults: they stay the parent
 * process of the program, so SIGTERM ends them and leaves a server running; two first runs at the same time disturb each
 * other; and they unpack into a directory that any user of the machine can prepare. There, the file is a shell script
 * (launcher.sh), followed by the packed files, which unpacks them and becomes the program by exec.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { FerryError } from "../lib/core/errors.ts";
import { basename, join } from "../lib/core/paths.ts";
import { VERSION } from "../lib/core/version.ts";
import { ENTRY } from "./bundle.ts";
import { type Program, runArguments } from "./program.ts";
import { reasonOf, runDeno } from "./run.ts";
import type { Target } from "./target.ts";
import { fillTemplate } from "./template.ts";

const CAXA = "npm:@appthreat/caxa@3.0.1";

/** The offset of the packed files. The script is padded up to here. */
const SCRIPT_BYTES = 12 * 1024;

/** The number of parts of Deno, which are unpacked in parallel. The launcher expects one digit. */
const DENO_PARTS = 4;

/** The cache directory below the home directory. */
const CACHE = { linux: ".cache", macos: "Library/Caches" } as const;

/** What the executable is made of. */
export interface Contents {
  /** The program. */
  program: Program;
  /** The directory with its bundle. */
  directory: string;
  /** The files of the bundle, in the order in which they are unpacked. */
  files: readonly string[];
  /** The system that it is for: that of the running Deno. */
  target: Target;
  /** The path of the Deno that is packed. Default: the running one. */
  deno?: string | undefined;
}

/**
 * Makes the executable.
 *
 * @param output its path
 * @throws {FerryError} `io` where caxa fails
 * @throws what the runtime throws where a file cannot be read or written
 */
export async function makeSelfExtracting(contents: Contents, output: string): Promise<void> {
  if (contents.target.os === "windows") await packWithCaxa(contents, output);
  else Deno.writeFileSync(output, await packWithLauncher(contents), { mode: 0o755 });
}

/** Makes the executable with caxa, which can do so on any system. */
export async function packWithCaxa(
  { program, directory, files, deno: packed = Deno.execPath() }: Contents,
  output: string,
): Promise<void> {
  const input = Deno.makeTempDirSync({ prefix: "ferry-" });
  try {
    const deno = basename(packed);
    Deno.copyFileSync(packed, join(input, deno));
    for (const name of files) Deno.copyFileSync(join(directory, name), join(input, name));
    const pack = ["--input", input, "--output", output, "--no-include-node"];
    const command = [`{{caxa}}/${deno}`, ...runArguments(program), `{{caxa}}/${ENTRY}`];
    const { success, stderr } = await runDeno(
      ["run", "--quiet", "--no-config", "--no-lock", "-A", CAXA, ...pack, "--", ...command],
    );
    if (!success) throw new FerryError("io", reasonOf(stderr), { action: `pack by ${CAXA}` });
  } finally {
    Deno.removeSync(input, { recursive: true });
  }
}

/** A packed file, or a part of one. */
interface Part {
  /** The SHA-256 of its content. */
  digest: string;
  packed: Uint8Array;
  size: number;
}

async function pack(bytes: Uint8Array<ArrayBuffer>): Promise<Part> {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"));
  const packed = new Uint8Array(await new Response(stream).arrayBuffer());
  const digest = createHash("sha256").update(bytes).digest("hex");
  return { digest, packed, size: bytes.length };
}

/** The parts of each Deno by its path: it is packed once for both programs. */
const denos = new Map<string, Promise<Part[]>>();

function packDeno(path: string): Promise<Part[]> {
  const bytes = Deno.readFileSync(path);
  const step = Math.ceil(bytes.length / DENO_PARTS);
  return Promise.all(
    Array.from(
      { length: DENO_PARTS },
      (_, turn) => pack(bytes.subarray(turn * step, (turn + 1) * step)),
    ),
  );
}

async function packWithLauncher(
  { program, directory, files, target, deno = Deno.execPath() }: Contents,
): Promise<Uint8Array> {
  const packing = denos.get(deno) ?? packDeno(deno);
  denos.set(deno, packing);
  const runtime = await packing;
  const app = await Promise.all(
    files.map((name) => pack(Deno.readFileSync(join(directory, name)))),
  );
  const names = {
    deno: `deno-${Deno.version.deno}-${digestOfAll(runtime).slice(0, 12)}`,
    app: `${program.name}-${VERSION}-${digestOfAll(app, files).slice(0, 12)}`,
  };
  const parts = [...runtime, ...app];
  let offset = SCRIPT_BYTES;
  const places = parts.map(({ packed: { length } }) => {
    const place = `${offset}+${length}`;
    offset += length;
    return place;
  });
  const size = parts.reduce((sum, part) => sum + part.size, 0);
  const template = Deno.readTextFileSync(new URL("launcher.sh", import.meta.url));
  const script = fillTemplate(template, {
    name: program.name,
    version: VERSION,
    target: target.name,
    cache: CACHE[target.os as keyof typeof CACHE],
    deno: names.deno,
    deno_parts: places.slice(0, runtime.length).join(" "),
    app: names.app,
    app_parts: places.slice(runtime.length).join(" "),
    entry: ENTRY,
    files: files.join(" "),
    flags: runArguments(program).slice(1).map((flag) => `'${flag}'`).join(" "),
    unpacked: `Deno ${Deno.version.deno} and ${program.name} (${Math.ceil(size / 1e6)} MB)`,
    size: String(offset),
  });
  return concat([padded(script), ...parts.map(({ packed }) => packed)], offset);
}

/** A digest of the contents and names of parts. */
function digestOfAll(parts: readonly Part[], names: readonly string[] = []): string {
  const hash = createHash("sha256");
  for (const [turn, { digest }] of parts.entries()) hash.update(`${names[turn]} ${digest}\n`);
  return hash.digest("hex");
}

/** The script, padded with empty lines to {@linkcode SCRIPT_BYTES}. */
function padded(text: string): Uint8Array {
  const script = new Uint8Array(SCRIPT_BYTES).fill("\n".charCodeAt(0));
  script.set(new TextEncoder().encode(text));
  return script;
}

function concat(pieces: readonly Uint8Array[], length: number): Uint8Array {
  const whole = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
