/** Hands bytes on between clients and a server of 127.0.0.1, and breaks connections on demand. */

/** A relay that listens. */
export interface Relay {
  url: string;
  /** Breaks the connection that the server knows by this port of its peer. */
  breakOff(port: number): void;
  /** Breaks all connections, and takes no more. */
  close(): Promise<void>;
}

/** Starts a relay to a port, on a free one unless another is given. */
export function startRelay(toPort: number, onPort = 0): Relay {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: onPort });
  const open = new Map<number, () => void>();
  const ended: Promise<void>[] = [];
  let isClosed = false;
  const accepting = accept();

  async function accept(): Promise<void> {
    for await (const client of listener) ended.push(join(client));
  }

  async function join(client: Deno.TcpConn): Promise<void> {
    const server = await Deno.connect({ hostname: "127.0.0.1", port: toPort });
    client.setNoDelay();
    server.setNoDelay();
    const { port } = server.localAddr;
    const breaker = new AbortController();
    open.set(port, () => breaker.abort());
    // It may have been on its way to the server when all others were broken.
    if (isClosed) breaker.abort();
    const { signal } = breaker;
    // Whoever closes first closes both: what else is under way on either is lost.
    await Promise.race([
      client.readable.pipeTo(server.writable, { signal }).catch(() => {}),
      server.readable.pipeTo(client.writable, { signal }).catch(() => {}),
    ]);
    breaker.abort();
    open.delete(port);
    for (const connection of [client, server]) {
      try {
        connection.close();
      } catch {
        // Closed already, by the end of its stream.
      }
    }
  }

  return {
    url: `http://127.0.0.1:${listener.addr.port}/`,
    breakOff: (port) => open.get(port)?.(),
    async close() {
      isClosed = true;
      listener.close();
      await accepting;
      for (const breakOff of open.values()) breakOff();
      await Promise.all(ended);
    },
  };
}
