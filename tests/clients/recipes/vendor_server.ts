/** A server that stands for a vendor's: it keeps what a client sends, and takes everything. */
import { Buffer } from "node:buffer";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { gunzipSync } from "node:zlib";
import { missing } from "../../needs.ts";
import type { Packages } from "../packages.ts";
import type { Sent } from "./differences.ts";

/** What is missing for the clients of vendors on this machine, in words. */
export const missingForVendors = missing("node", "openssl");

const PROXIES = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];

/** A program ends long before. */
const PROGRAM_MS = 60_000;

/** A key and a certificate for loopback: some clients speak HTTPS only. They are written to the folder of the clients. */
export async function makeCertificate({ path }: Packages): Promise<{ key: string; cert: string }> {
  const subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"];
  const made = ["-nodes", "-days", "2", "-keyout", "key.pem", "-out", "cert.pem"];
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
  const args = ["req", "-x509", ...curve, ...subject, ...made];
  const { success, stderr } = await new Deno.Command("openssl", { args, cwd: path, stdin: "null" }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  const [key, cert] = await Promise.all(
    ["key", "cert"].map((name) => Deno.readTextFile(`${path}/${name}.pem`)),
  );
  return { key: key!, cert: cert! };
}

/** Sends events (as JSON) by a vendor's client, and gives the requests that it made, in order of arrival. */
export async function sendByVendor(
  { path }: Packages,
  vendor: string,
  { events, certificate }: {
    events: string;
    certificate?: { key: string; cert: string };
  },
): Promise<Sent[]> {
  const requests: Sent[] = [];
  const answer = (request: IncomingMessage, response: ServerResponse) => keep(requests, request, response);
  const server = certificate === undefined ? createServer(answer) : createTlsServer(certificate, answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const scheme = certificate === undefined ? "http" : "https";
  try {
    const child = new Deno.Command("node", {
      args: ["vendors.mjs", vendor],
      cwd: path,
      env: {
        // Some clients would go by a proxy, even to this machine.
        ...Object.fromEntries(PROXIES.flatMap((name) => [[name, ""], [name.toLowerCase(), ""]])),
        VENDOR_URL: `${scheme}://127.0.0.1:${port}`,
        ...certificate && { NODE_EXTRA_CA_CERTS: `${path}/cert.pem` },
      },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
      signal: AbortSignal.timeout(PROGRAM_MS),
    }).spawn();
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(events));
    await writer.close();
    const { success, stderr } = await child.output();
    if (!success) {
      throw new Error(`${vendor}: ${new TextDecoder().decode(stderr)}`);
    }
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
  return requests;
}

function keep(
  requests: Sent[],
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const chunks: Buffer[] = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    const body = Buffer.concat(chunks);
    const isZipped = request.headers["content-encoding"] === "gzip";
    requests.push({
      method: request.method!,
      url: request.url!,
      headers: request.headers as Record<string, string>,
      body: (isZipped ? gunzipSync(body) : body).toString(),
    });
    response.setHeader("content-type", "application/json");
    // Mixpanel's says 1 where it takes what it gets, and the others look at the status.
    response.end(
      /^\/(import|track|engage|groups)/.test(request.url!) ? "1" : `{"status": 1, "code": 200}`,
    );
  });
}
