/**
 * Fault injection: all calls that a server makes are counted, and one of them fails.
 *
 * @module
 */

import type {
  Bounds,
  PartialUploads,
  PendingWrite,
  ResumableWrite,
  Storage,
  StoredFile,
} from "../../server/storage/storage.ts";

/** The error of a call that fails in a way that the code does not expect. */
export class InjectedFault extends Error {
  override readonly name = "InjectedFault";
}

/** Counts calls, and makes one of them fail. */
export class Faults {
  #at = 0;
  #make: () => Error = () => new InjectedFault("injected");
  /** How many calls were made. */
  count = 0;
  /** The name of the call that has failed; undefined before that. */
  struck: string | undefined;

  /** Makes the `at`th call from now on fail; none for 0. */
  arm(at: number, make: () => Error = () => new InjectedFault("injected")): void {
    this.#at = at;
    this.#make = make;
    this.count = 0;
    this.struck = undefined;
  }

  /** Counts a call, and throws if it is the chosen one. */
  hit(call: string): void {
    if (++this.count !== this.#at) return;
    this.struck = call;
    throw this.#make();
  }
}

/** A method that may be replaced by another one. */
// deno-lint-ignore no-explicit-any -- whatever it takes
type Method = (...args: any[]) => any;

/** An object with some methods and properties overridden; the others are its own. */
function override<T extends object>(
  target: T,
  methods: Partial<Record<keyof T, Method>>,
  properties: Partial<T> = {},
): T {
  return new Proxy(target, {
    get(target, key) {
      const method = methods[key as keyof T] ?? properties[key as keyof T];
      if (method) return method;
      const value = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
    set: (target, key, value) => Reflect.set(target, key, value, target),
  });
}

/** Wraps the methods of the given names, so that they can fail before they have done anything. */
function before<T extends object>(
  faults: Faults,
  target: T,
  what: string,
  names: readonly (keyof T)[],
): Partial<Record<keyof T, Method>> {
  return Object.fromEntries(names.map((name) => [name, (...args: unknown[]) => {
    const run = target[name] as Method;
    // Like the real methods, these fail with a rejected promise where they return a promise.
    const fail = (error: unknown) => {
      if (SYNCHRONOUS.includes(String(name))) throw error;
      return Promise.reject(error);
    };
    try {
      faults.hit(`${what}.${String(name)}`);
    } catch (error) {
      return fail(error);
    }
    return run.apply(target, args);
  }])) as Partial<Record<keyof T, Method>>;
}

/** Methods that throw instead of rejecting a promise. */
const SYNCHRONOUS = ["keep", "seek", "setNoDelay"];

/** A connection of `Deno.listen` with faults. */
function faultyConn(conn: Deno.TcpConn, faults: Faults): Deno.TcpConn {
  return override(conn, {
    ...before(faults, conn, "connection", ["read", "write", "closeWrite", "setNoDelay"]),
    // close() always closes; otherwise the fault would be Deno's.
    close() {
      conn.close();
      faults.hit("connection.close");
    },
  });
}

/**
 * A storage with faults. Objects that it returns can fail only after the caller has them: they cannot be lost on the
 * way.
 */
export function faultyStorage(storage: Storage, faults: Faults): Storage {
  const names = [
    "stat",
    "find",
    "findAll",
    "open",
    "checksum",
    "assertFits",
    "create",
    "remove",
    "move",
    "mkdir",
  ] as const;
  const methods = before(faults, storage, "storage", names);
  const partialUploads = faultyPartialUploads(storage.partialUploads!, faults);
  const links = storage.links &&
    override(
      storage.links,
      before(faults, storage.links, "links", ["find", "assertKept", "create"]),
    );
  return override(storage, {
    ...methods,
    within: (bounds: Bounds) => faultyStorage(storage.within(bounds), faults),
    internal: wrapping(
      before(faults, storage, "storage", ["internal"]).internal!,
      (internal: Storage) => faultyStorage(internal, faults),
    ),
    open: wrapping(methods.open!, (file: StoredFile) => faultyFile(file, faults)),
    create: wrapping(methods.create!, (pending: PendingWrite) => faultyWrite(pending, faults)),
    async *list(...args: Parameters<Storage["list"]>) {
      faults.hit("storage.list");
      for await (const entry of storage.list(...args)) {
        yield entry;
        faults.hit("storage.list, going on");
      }
    },
  }, { partialUploads, links });
}

function faultyPartialUploads(partials: PartialUploads, faults: Faults): PartialUploads {
  const names = ["create", "find", "list", "resume", "discard"] as const;
  const methods = before(faults, partials, "partialUploads", names);
  const wrap = (write: ResumableWrite) => faultyResumable(write, faults);
  return override(partials, {
    ...methods,
    create: wrapping(methods.create!, wrap),
    resume: wrapping(methods.resume!, wrap),
  });
}

/** A method whose result, if any, is wrapped. */
function wrapping<T>(method: Method, wrap: (what: T) => T): Method {
  return async (...args: unknown[]) => {
    const made = await method(...args);
    return made && wrap(made);
  };
}

function faultyFile(file: StoredFile, faults: Faults): StoredFile {
  return override(file, {
    ...before(faults, file, "file", [
      "read",
      "seek",
      "assertUnchanged",
      "expected",
      "remember",
      "findHashes",
      "rememberHashes",
      "forgetHashes",
    ]),
    [Symbol.asyncDispose]: disposal(file, "file", faults),
  });
}

function faultyResumable(write: ResumableWrite, faults: Faults): ResumableWrite {
  const methods = before(faults, write, "write", ["checkpoint", "keep"]);
  return override(faultyWrite(write, faults), methods);
}

function faultyWrite<Write extends PendingWrite>(pending: Write, faults: Faults): Write {
  const { commit, ...methods } = before<PendingWrite>(faults, pending, "write", [
    "write",
    "commit",
  ]);
  return override<PendingWrite>(pending, {
    ...methods,
    async commit(...args: Parameters<PendingWrite["commit"]>) {
      const committed = await commit!(...args);
      faults.hit("write.commit, done");
      return committed;
    },
    [Symbol.asyncDispose]: disposal(pending, "write", faults),
  }) as Write;
}

/** A disposal that fails after it has done its work. */
function disposal(target: AsyncDisposable, what: string, faults: Faults): () => Promise<void> {
  return async () => {
    await target[Symbol.asyncDispose]();
    faults.hit(`${what}.dispose`);
  };
}

/** Injects faults into the listeners that are opened until this is disposed of. */
export function faultyListeners(faults: Faults): Disposable {
  const listen = (options: Deno.TcpListenOptions) => {
    const listener = real.listen(options);
    return override(listener, { accept: async () => faultyConn(await listener.accept(), faults) });
  };
  const listenDatagram = (...args: Parameters<typeof Deno.listenDatagram>) => {
    const conn = real.listenDatagram(...args);
    return override(conn, {
      ...before(faults, conn, "datagrams", ["send"]),
      async receive(buffer: Uint8Array) {
        const got = await conn.receive(buffer);
        faults.hit("datagrams.receive");
        return got;
      },
      close() {
        conn.close();
        faults.hit("datagrams.close");
      },
    });
  };
  return replaced({ listen, listenDatagram });
}

/** Injects faults into the commands that are started until this is disposed of. */
export function faultyCommands(faults: Faults): Disposable {
  class Command {
    readonly #command: Deno.Command;

    constructor(...args: ConstructorParameters<typeof Deno.Command>) {
      this.#command = new real.Command(...args);
    }

    spawn(): Deno.ChildProcess {
      faults.hit("command.spawn");
      return faultyChild(this.#command.spawn(), faults);
    }
  }
  return replaced({ Command });
}

const real = {
  listen: Deno.listen,
  listenDatagram: Deno.listenDatagram,
  Command: Deno.Command,
};

/** Replaces members of `Deno` until this is disposed of. */
function replaced(fakes: Readonly<Record<string, unknown>>): Disposable {
  Object.assign(Deno, fakes);
  return { [Symbol.dispose]: () => void Object.assign(Deno, real) };
}

function faultyChild(child: Deno.ChildProcess, faults: Faults): Deno.ChildProcess {
  const status = child.status.then((status) => {
    faults.hit("child.status");
    return status;
  });
  // Deno's own `status` promise does not count as unhandled either.
  status.catch(() => {});
  const through = (name: "stdout" | "stderr") =>
    override(child[name], {
      getReader(...args: unknown[]) {
        const reader = (child[name].getReader as Method)(...args);
        return override(reader, before(faults, reader, `child.${name}`, ["read", "cancel"]));
      },
    });
  const stdin = () =>
    override(child.stdin, {
      getWriter() {
        const writer = child.stdin.getWriter();
        return override(writer, before(faults, writer, "child.stdin", ["write", "close", "abort"]));
      },
    });
  const streams = { stdout: through("stdout"), stderr: through("stderr") };
  return new Proxy(child, {
    get(target, key) {
      if (key === "status") return status;
      if (key === "stdout" || key === "stderr") return streams[key];
      if (key === "stdin") return stdin();
      const value = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
