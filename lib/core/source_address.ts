/**
 * Which addresses count as one source, where connections or failures are counted for each.
 *
 * @module
 */

/**
 * The source that an address is of: an IPv4 address by itself; of an IPv6 address the network of 64 bits, since
 * whoever has one address of a network has all of them.
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
