/**
 * Connections to destinations. A host is resolved, each of its addresses is checked, and the connection goes to a checked
 * one: an answer of DNS that changes in between changes nothing. `fetch` cannot do this, so requests go through undici.
 */
import { lookup } from "node:dns/promises";
import { isIP, type Socket } from "node:net";
import type { Agent, buildConnector } from "undici";
import { addressesOfLiteral, type AllowList, plainHost, refusalOf } from "../../domain/forwarding/address.ts";

/** Thrown for a host that has a forbidden address. No socket was opened. */
export class ForbiddenAddress extends Error {
  override name = "ForbiddenAddress";
}

/** Thrown for a host without an address. */
export class UnknownHost extends Error {
  override name = "UnknownHost";
}

/** What connections are made with: tests hand in a resolver, and see what would be connected to. */
export interface ConnectionOptions {
  allow: AllowList;
  /** The addresses of a name. Throws if there are none. */
  resolve?(host: string): Promise<string[]>;
  /** Called with each checked address just before it is connected to; throws to prevent that. */
  onConnect?(address: string, port: number): void;
}

/** Checked connections. */
export type Connections = ReturnType<typeof createConnections>;

/** Longest time until a connection is there. */
const CONNECT_MS = 10_000;

/** Connections of one destination that are kept open. */
const KEPT_OPEN = 8;

/** Makes connections that obey a list of allowed networks. */
export function createConnections({ allow, resolve = resolveByDns, onConnect }: ConnectionOptions) {
  /** The addresses of a host, all allowed. Throws {@link ForbiddenAddress} and {@link UnknownHost}. */
  async function addressesOf(host: string): Promise<string[]> {
    const addresses = addressesOfLiteral(host) ?? await resolve(plainHost(host)).catch(() => []);
    if (addresses.length === 0) throw new UnknownHost(`${plainHost(host)} has no address`);
    for (const address of addresses) {
      const refusal = refusalOf(address, host, allow);
      if (refusal !== undefined) throw new ForbiddenAddress(`${plainHost(host)}: ${refusal}`);
    }
    return addresses;
  }

  return {
    addressesOf,
    /** Why a destination at a URL must not be saved; `undefined` if it may, also where its host is unknown now. */
    async refusalOf(url: string): Promise<string | undefined> {
      try {
        await addressesOf(hostOf(url));
        return undefined;
      } catch (error) {
        if (error instanceof ForbiddenAddress) return error.message;
        if (error instanceof UnknownHost) return undefined;
        throw error;
      }
    },
    /** Tells that a checked address is about to be connected to. */
    announce: (address: string, port: number) => onConnect?.(address, port),
    /** An agent of undici, all of whose connections are checked. */
    async agent(): Promise<Agent> {
      const { Agent, buildConnector } = await import("undici");
      const open = buildConnector({ timeout: CONNECT_MS });
      return new Agent({
        connections: KEPT_OPEN,
        pipelining: 1,
        connect: (options, callback) => void connect(options, callback),
      });

      async function connect(
        options: buildConnector.Options,
        callback: buildConnector.Callback,
      ): Promise<void> {
        try {
          const socket = await firstOf(await addressesOf(options.hostname), options, open);
          callback(null, socket as Socket);
        } catch (error) {
          callback(error as Error, null);
        }
      }
    },
  };

  async function firstOf(
    addresses: readonly string[],
    options: buildConnector.Options,
    open: buildConnector.connector,
  ): Promise<unknown> {
    const host = plainHost(options.hostname);
    const isTls = options.protocol === "https:";
    const port = Number(options.port) || (isTls ? 443 : 80);
    let failed: unknown;
    for (const address of addresses) {
      onConnect?.(address, port);
      const pinned = {
        ...options,
        hostname: address,
        // The certificate is checked for the name, not for the address.
        ...isTls && isIP(host) === 0 && { servername: host },
      };
      try {
        return await new Promise((resolve, reject) =>
          open(pinned, (...[error, socket]) => error === null ? resolve(socket) : reject(error))
        );
      } catch (error) {
        failed = error;
      }
    }
    throw failed;
  }
}

/** The host of a URL of any scheme. */
export function hostOf(url: string): string {
  return URL.parse(url)?.hostname ?? "";
}

async function resolveByDns(host: string): Promise<string[]> {
  return (await lookup(host, { all: true })).map(({ address }) => address);
}
