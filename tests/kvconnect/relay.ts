/** Hands bytes on between clients and a server of 127.0.0.1, late where it is told so, and breaks connections on demand. */

/** A relay that listens. */
export interface Relay {
  url: string;
  /** Breaks the connection that the server knows by this port of its peer. */
  breakOff(port: number): void;
  /** Breaks all connections, and takes no more. */
  close(): Promise<void>;
}

/** How a relay is made. */
export interface RelayOptions {
  /** Where it listens; default: a free port. */
  onPort?: number;
  /** What each direction takes in ms, as a distance does: however much is under way. */
  delayMs?: number;
}

/** Starts a relay to a port. */
export function startRelay(toPort: number, { onPort = 0, delayMs = 0 }: RelayOptions = {}): Relay {
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
      late(client.readable, delayMs).pipeTo(server.writable, { signal }).catch(() => {}),
      late(server.readable, delayMs).pipeTo(client.writable, { signal }).catch(() => {}),
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

/** The same bytes, each so many ms later, in their order. */
function late(bytes: Bytes, delayMs: number): Bytes {
  if (delayMs === 0) return bytes;
  let last = Promise.resolve();
  // Bytes that are under way hold up no others: all of them are read at once.
  const underWay = new CountQueuingStrategy({ highWaterMark: Infinity });
  return bytes.pipeThrough(
    new TransformStream(
      {
        transform(chunk, controller) {
          last = new Promise((resolve) => {
            setTimeout(() => {
              try {
                controller.enqueue(chunk);
              } catch {
                // The connection was broken meanwhile.
              }
              resolve();
            }, delayMs);
          });
        },
        flush: () => last,
      },
      underWay,
      underWay,
    ),
  );
}

type Bytes = ReadableStream<Uint8Array<ArrayBuffer>>;
