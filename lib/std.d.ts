// deno-std publishes the sources of @std/* without their types, and so do negotiator, tar-stream and the single modules of
// prom-client: what ferry uses of them, declared.

declare module "@std/assert" {
  export function assert(condition: unknown, message?: string): asserts condition;
  export function assertEquals<T>(actual: T, expected: T, message?: string): void;
  export function assertStringIncludes(actual: string, expected: string, message?: string): void;
  export function assertMatch(actual: string, expected: RegExp, message?: string): void;
  export function assertThrows<E extends Error>(
    run: () => unknown,
    errorClass: new (...args: never[]) => E,
    messageIncludes?: string,
  ): E;
  export function assertRejects<E extends Error>(
    run: () => PromiseLike<unknown>,
    errorClass: new (...args: never[]) => E,
    messageIncludes?: string,
  ): Promise<E>;
}

declare module "@std/async/abortable" {
  export function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T>;
}

declare module "@std/async/delay" {
  export function delay(ms: number, options?: { signal?: AbortSignal }): Promise<void>;
}

declare module "@std/bytes/equals" {
  export function equals(a: Uint8Array, b: Uint8Array): boolean;
}

declare module "@std/cli/parse-args" {
  export function parseArgs(args: readonly string[], options: {
    alias?: Record<string, string>;
    boolean?: readonly string[];
    string?: readonly string[];
    collect?: readonly string[];
    negatable?: readonly string[];
    stopEarly?: boolean;
    "--"?: boolean;
    unknown?: (arg: string, key?: string, value?: unknown) => unknown;
  }): { _: (string | number)[]; "--"?: string[]; [key: string]: unknown };
}

declare module "@std/cli/prompt-secret" {
  export function promptSecret(message?: string, options?: {
    mask?: string;
    clear?: boolean;
  }): string | null;
}

declare module "@std/crypto/timing-safe-equal" {
  export function timingSafeEqual(a: Uint8Array, b: Uint8Array): boolean;
}

declare module "@std/encoding/base64" {
  export function decodeBase64(text: string): Uint8Array<ArrayBuffer>;
  export function encodeBase64(data: Uint8Array | string): string;
}

declare module "@std/encoding/base64url" {
  export function decodeBase64Url(text: string): Uint8Array<ArrayBuffer>;
  export function encodeBase64Url(data: Uint8Array | string): string;
}

declare module "@std/encoding/hex" {
  export function decodeHex(text: string): Uint8Array<ArrayBuffer>;
  export function encodeHex(bytes: Uint8Array): string;
}

declare module "@std/fmt/bytes" {
  export function format(bytes: number, options?: {
    binary?: boolean;
    minimumFractionDigits?: number;
    maximumFractionDigits?: number;
  }): string;
}

declare module "@std/path/from-file-url" {
  export function fromFileUrl(url: string | URL): string;
}

declare module "@std/path/is-glob" {
  export function isGlob(text: string): boolean;
}

declare module "@std/path/posix/basename" {
  export function basename(path: string): string;
}

declare module "@std/path/posix/dirname" {
  export function dirname(path: string): string;
}

declare module "@std/path/posix/from-file-url" {
  export function fromFileUrl(url: string | URL): string;
}

declare module "@std/path/posix/glob-to-regexp" {
  export function globToRegExp(glob: string): RegExp;
}

declare module "@std/path/posix/is-absolute" {
  export function isAbsolute(path: string): boolean;
}

declare module "@std/path/posix/join" {
  export function join(...parts: string[]): string;
}

declare module "@std/path/posix/parse" {
  export function parse(path: string): { root: string };
}

declare module "@std/path/windows/basename" {
  export function basename(path: string): string;
}

declare module "@std/path/windows/dirname" {
  export function dirname(path: string): string;
}

declare module "@std/path/windows/from-file-url" {
  export function fromFileUrl(url: string | URL): string;
}

declare module "@std/path/windows/glob-to-regexp" {
  export function globToRegExp(glob: string): RegExp;
}

declare module "@std/path/windows/is-absolute" {
  export function isAbsolute(path: string): boolean;
}

declare module "@std/path/windows/join" {
  export function join(...parts: string[]): string;
}

declare module "@std/path/windows/parse" {
  export function parse(path: string): { root: string };
}

declare module "@std/streams/text-line-stream" {
  export class TextLineStream extends TransformStream<string, string> {
    constructor(options?: { allowCR?: boolean });
  }
}

declare module "@std/text/levenshtein-distance" {
  export function levenshteinDistance(a: string, b: string): number;
}

declare module "@std/toml/parse" {
  export function parse(text: string): Record<string, unknown>;
}

declare module "@std/yaml/parse" {
  export function parse(text: string): unknown;
}

declare module "negotiator" {
  export default class Negotiator {
    constructor(
      request: { headers: Readonly<Record<string, string | readonly string[] | undefined>> },
    );
    mediaType(available: readonly string[]): string | undefined;
    encoding(available: readonly string[]): string | undefined;
  }
}

declare module "tar-stream/headers" {
  interface TarHeader {
    name: string;
    type: "file" | "directory" | "pax-header";
    size: number;
    mode: number;
    mtime: Date;
    uid: number;
    gid: number;
  }
  export function encode(header: TarHeader): Uint8Array<ArrayBuffer> | null;
  export function encodePax(
    options: { name?: string; pax?: Record<string, string> },
  ): Uint8Array<ArrayBuffer>;
}

declare module "prom-client/registry" {
  export default class Registry {
    readonly contentType: string;
    metrics(): Promise<string>;
  }
}

declare module "prom-client/counter" {
  export default class Counter<Label extends string = never> {
    constructor(options: import("prom-client/gauge").MetricOptions<Label>);
    inc(labels: Readonly<Record<Label, string>>, by?: number): void;
    inc(by?: number): void;
  }
}

declare module "prom-client/gauge" {
  interface MetricOptions<Label extends string> {
    name: string;
    help: string;
    labelNames?: readonly Label[];
    registers: readonly import("prom-client/registry").default[];
  }
  export default class Gauge<Label extends string = never> {
    constructor(options: MetricOptions<Label>);
    set(labels: Readonly<Record<Label, string>>, value: number): void;
    set(value: number): void;
    reset(): void;
    remove(): void;
  }
}

declare module "prom-client/histogram" {
  export default class Histogram<Label extends string = never> {
    constructor(
      options: import("prom-client/gauge").MetricOptions<Label> & { buckets: readonly number[] },
    );
    observe(labels: Readonly<Record<Label, string>>, value: number): void;
    observe(value: number): void;
  }
}
