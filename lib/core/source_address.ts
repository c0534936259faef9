/**
 * The sources of connections: addresses that are counted together, for example for connection limits.
 *
 * Addresses are parsed here and not by a library, since the UDP echo does it for each datagram: ipaddr.js 2.5.0 takes
 * at least three times as long (`deno task bench` prints the figures).
 *
 * @module
 */

/**
 * The source of an address: an IPv4 address itself, or the /64 network of an IPv6 address, since whoever has one
 * address of such a network has all of them.
 *
 * @param hostname a valid IP address, as the runtime writes it
 */
export function sourceOf(hostname: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(hostname);
  if (mapped) return mapped[1]!;
  if (!hostname.includes(":")) return hostname;
  const [head = "", tail] = hostname.replace(/%.*$/, "").split("::");
  const groups = head === "" ? [] : head.split(":");
  const behind = tail ? tail.split(":") : [];
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - groups.length - behind.length);
  const all = [...groups, ...Array<string>(zeros).fill("0"), ...behind];
  return all.slice(0, 4).map((group) => group.toLowerCase().replace(/^0+(?=.)/, "")).join(":") +
    "::/64";
}
