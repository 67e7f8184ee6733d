/**
 * A small KV Connect server (protocol version 3; `proto/kv-connect.md` of denoland/denokv) on a port of 127.0.0.1, to
 * which and from which requests are lost, delayed and doubled. Deno's own client speaks with it.
 *
 * How it works: clients connect to a relay of bytes, and that to the server. So a connection can be broken at any moment
 * of a request, which a server can't do by itself; all requests that share the connection are then lost, as they are
 * where a cable is pulled. Not there: `watch`, which nothing here uses, and mutations other than set and delete.
 */
import { BadRequest, type Database } from "./database.ts";
import type { Fault, Faults } from "./faults.ts";
import {
  decodeAtomicWrite,
  decodeSnapshotRead,
  encodeAtomicWriteOutput,
  encodeSnapshotReadOutput,
} from "./messages.ts";
import { startRelay } from "./relay.ts";

/** The access token of every KV Connect server of the tests. */
export const ACCESS_TOKEN = "kv_connect_access_token";

/** The version of the protocol, where its data path is, and the id of the only database. */
const VERSION = "3";
const DATA_PATH = "/v3";
const DATABASE_ID = "00000000-0000-0000-0000-000000000000";

/** A server that listens. */
export interface KvConnectServer extends AsyncDisposable {
  url: string;
  /** Requests of the data path so far: those that came, writes done, and writes that were done a second time. */
  seen: { requests: number; writes: number; doneTwice: number };
}

/** Where a server's data is, and what befalls its requests. */
export interface KvConnectOptions {
  database: Database;
  faults?: Faults;
}

/** Starts a server. */
export function startKvConnect({ database, faults }: KvConnectOptions): KvConnectServer {
  const seen = { requests: 0, writes: 0, doneTwice: 0 };
  const late = new Set<ReturnType<typeof setTimeout>>();
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request, info) => {
    const received = await request.arrayBuffer().catch(() => undefined);
    // A process that was killed has sent half of it.
    if (received === undefined) return new Response(null, { status: 400 });
    const body = new Uint8Array(received);
    const { pathname } = new URL(request.url);
    const refusal = refusalOf(request, pathname);
    if (refusal !== undefined) return refusal;
    if (pathname === "/") return metadata();
    const method = pathname.slice(DATA_PATH.length + 1);
    seen.requests++;
    try {
      const fault = faults?.next(method === "atomic_write");
      return await live(fault, { method, body, port: info.remoteAddr.port });
    } catch (error) {
      if (error instanceof BadRequest) return new Response(error.message, { status: 400 });
      throw error;
    }
  });
  const relay = startRelay(server.addr.port);

  /** Does what a request asks for, and gives the answer's bytes. */
  function perform(method: string, body: Uint8Array): Uint8Array<ArrayBuffer> {
    if (method === "snapshot_read") return encodeSnapshotReadOutput(database.read(decodeSnapshotRead(body)));
    const versionstamp = database.write(decodeAtomicWrite(body));
    if (versionstamp !== null) seen.writes++;
    return encodeAtomicWriteOutput(versionstamp);
  }

  /** Lives through a request and what befalls it; `port` tells its connection. */
  async function live(
    fault: Fault | undefined,
    { method, body, port }: { method: string; body: Uint8Array; port: number },
  ): Promise<Response> {
    if (fault === "refused") return unavailable();
    if (fault === "dropped" || fault === "late") {
      if (fault === "late") later(() => perform(method, body));
      relay.breakOff(port);
      return unavailable();
    }
    if (fault === "delayed") await sleep(faults!.delayMs());
    let bytes = perform(method, body);
    if (fault === "answer refused") return unavailable();
    if (fault === "answer dropped") {
      relay.breakOff(port);
      return unavailable();
    }
    if (fault === "answer delayed") await sleep(faults!.delayMs());
    if (fault === "doubled") {
      const { writes } = seen;
      bytes = perform(method, body);
      if (seen.writes > writes) seen.doneTwice++;
    }
    const headers = { "content-type": "application/x-protobuf" };
    return new Response(fault === "answer cut" ? cut(bytes, () => relay.breakOff(port)) : bytes, { headers });
  }

  function later(act: () => void): void {
    const timer = setTimeout(() => {
      late.delete(timer);
      act();
    }, faults!.delayMs());
    late.add(timer);
  }

  return {
    url: relay.url,
    seen,
    async [Symbol.asyncDispose]() {
      for (const timer of late) clearTimeout(timer);
      await relay.close();
      await server.shutdown();
    },
  };
}

/** Why a request is not served, as `denokv` says it. */
function refusalOf({ headers }: Request, path: string): Response | undefined {
  const refuse = (status: number, text: string) => new Response(text, { status });
  if (headers.get("authorization") !== `Bearer ${ACCESS_TOKEN}`) return refuse(401, "Invalid access token.");
  if (path === "/") return undefined;
  if (!/^\/v3\/(snapshot_read|atomic_write)$/.test(path)) return refuse(404, "Resource not found.");
  if (headers.get("x-denokv-version") !== VERSION) return refuse(400, "Invalid protocol version.");
  if (headers.get("x-denokv-database-id") !== DATABASE_ID) return refuse(400, "Invalid database id.");
  return undefined;
}

function metadata(): Response {
  return Response.json({
    version: Number(VERSION),
    databaseId: DATABASE_ID,
    endpoints: [{ url: DATA_PATH, consistency: "strong" }],
    token: ACCESS_TOKEN,
    expiresAt: new Date(Date.now() + 86_400_000).toISOString(),
  });
}

function unavailable(): Response {
  return new Response("The server is temporarily unavailable, try again later.", { status: 503 });
}

/** An answer of which half comes, and then something else befalls. */
function cut(bytes: Uint8Array<ArrayBuffer>, then: () => void): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream({
    start: (controller) => controller.enqueue(bytes.slice(0, bytes.length / 2)),
    pull: then,
  });
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
