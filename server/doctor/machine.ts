/**
 * Examines what the machine allows a server: open files, ports, the user, and what Deno permits.
 *
 * @module
 */

import { type Address, formatAddress } from "../../lib/core/address.ts";
import { toFerryError } from "../../lib/core/errors.ts";
import type { ServeValues } from "../cli/serve_spec.ts";
import {
  ferryAddress,
  httpTerms,
  lineExecAddress,
  metricsAddress,
  tcpEchoAddress,
  udpEchoAddress,
} from "../configuration/listening.ts";
import type { ServerSettings } from "../configuration/settings.ts";
import { type Finding, ok, problem, warning } from "./findings.ts";

/** How many files a server has open besides those of its connections, and one more for each of those. */
const OWN_FILES = 128;

/** Ports below this are for root, or for programs with CAP_NET_BIND_SERVICE. */
const FIRST_FREE_PORT = 1024;

/**
 * Tries to listen at each address of a server, for a moment.
 *
 * @param options.served whether a `ferryd` serves the directory now, which may be what listens there
 */
export async function* examinePorts(
  settings: ServerSettings,
  { served }: { served: boolean },
): AsyncGenerator<Finding, void, void> {
  const addresses: [kind: "tcp" | "udp", address: Address | undefined][] = [
    ["tcp", attempt(() => ferryAddress({ ...settings, anonymous: settings.anonymous ?? [] }))],
    [
      "tcp",
      attempt(() => httpTerms({ ...settings, anonymous: settings.anonymous ?? [] })?.address),
    ],
    ["tcp", attempt(() => lineExecAddress(settings))],
    ["tcp", attempt(() => tcpEchoAddress(settings))],
    ["tcp", attempt(() => metricsAddress(settings))],
    ["udp", attempt(() => udpEchoAddress(settings))],
  ];
  for (const [kind, address] of addresses) {
    if (address) yield await examinePort(kind, address, served);
  }
}

/** The value; undefined if it cannot be had, which is among the problems of the configuration. */
function attempt<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch {
    return undefined;
  }
}

async function examinePort(
  kind: "tcp" | "udp",
  { hostname, port }: Address,
  served: boolean,
): Promise<Finding> {
  const where = `${kind} ${formatAddress({ hostname, port })}`;
  try {
    if (kind === "tcp") Deno.listen({ hostname, port }).close();
    else await listenForDatagrams(hostname, port);
    return ok("port", `${where} is free`);
  } catch (error) {
    const { code, reason } = toFerryError(error);
    if (error instanceof Deno.errors.AddrInUse || /EADDRINUSE/.test(String(error))) {
      return served
        ? ok("port", `${where} is in use, probably by the ferryd that runs`)
        : problem("port", `${where} is in use by another program: ss -lntup says by which`);
    }
    const remedy = code === "denied" && port < FIRST_FREE_PORT
      ? `: ports below ${FIRST_FREE_PORT} take AmbientCapabilities=CAP_NET_BIND_SERVICE in the unit`
      : "";
    return problem("port", `${where}: ${reason}${remedy}`);
  }
}

async function listenForDatagrams(hostname: string, port: number): Promise<void> {
  const { createSocket } = await import("node:dgram");
  const socket = createSocket(hostname.includes(":") ? "udp6" : "udp4");
  const bound = Promise.withResolvers<void>();
  socket.once("error", bound.reject);
  socket.bind(port, hostname, () => bound.resolve());
  try {
    await bound.promise;
  } finally {
    socket.close();
  }
}

/** Examines open files, the user, and what Deno permits. */
export function* examineMachine(options: ServeValues): Generator<Finding, void, void> {
  yield examineOpenFiles(options);
  const user = userId();
  if (user === 0) {
    yield warning("user", "it is root: give ferryd a user of its own, User= of the unit");
  } else if (user !== undefined) yield ok("user", `the one with the number ${user}`);
  const granted = PERMISSIONS.filter((name) =>
    Deno.permissions.querySync({ name }).state === "granted"
  );
  const { deno } = Deno.version;
  yield ok("Deno", `${deno}, which permits ${granted.join(", ") || "some paths and hosts alone"}`);
}

const PERMISSIONS = ["net", "read", "write", "run", "env", "sys", "ffi"] as const;

/** Compares how many files may be open with how many connections there may be. */
function examineOpenFiles({ "max-connections": most }: ServeValues): Finding {
  const part = "open files";
  const limit = openFilesLimit();
  if (limit === undefined) {
    return ok(part, "the limit is not known here: see ulimit -n, and LimitNOFILE= of the unit");
  }
  // A connection may have a file open.
  const needed = 2 * most + OWN_FILES;
  if (limit >= needed) return ok(part, `${limit} may be open`);
  const remedy = "set LimitNOFILE= of the unit, or ulimit -n, or a lower --max-connections";
  return warning(
    part,
    most === 0
      ? `${limit} may be open, and any number of connections: give --max-connections`
      : `${limit} may be open, and ${most} connections take ${needed}: ${remedy}`,
  );
}

/** How many files this process may have open; undefined where Deno lets nobody read that. */
function openFilesLimit(): number | undefined {
  try {
    const limits = Deno.readTextFileSync("/proc/self/limits");
    const [, limit] = /^Max open files +(\d+|unlimited)/m.exec(limits) ?? [];
    return limit === "unlimited" ? Infinity : limit === undefined ? undefined : Number(limit);
  } catch {
    return undefined;
  }
}

/** The number of the user; undefined where there is none, or Deno may not tell. */
function userId(): number | undefined {
  const { state } = Deno.permissions.querySync({ name: "sys", kind: "uid" });
  return state === "granted" ? Deno.uid() ?? undefined : undefined;
}
