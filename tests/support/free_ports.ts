/**
 * Ports for servers of tests that have to be known before they start.
 *
 * @module
 */

/** Below the ports that systems give to connections by themselves. */
const PORTS = { from: 10_000, to: 32_000 } as const;

/** The first of so many consecutive ports of 127.0.0.1 on which nobody listens. */
export function freePorts(count: number): number {
  for (;;) {
    const blocks = Math.floor((PORTS.to - PORTS.from) / count);
    const first = PORTS.from + count * Math.floor(Math.random() * blocks);
    try {
      using stack = new DisposableStack();
      for (let port = first; port < first + count; port++) {
        stack.use(Deno.listen({ hostname: "127.0.0.1", port }));
      }
      return first;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
}
