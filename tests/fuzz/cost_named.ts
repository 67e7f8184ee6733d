/** How soon the log and the figures of a server name those who flood it. */
import { ADMIN_TOKEN, type Server, sleep } from "../process/server.ts";

/** Rest between two looks, in ms. */
const REST_MS = 500;

const REFUSED = /^signalfold_refused_work_seconds_total\{.*\} (\S+)/gm;

/** What was told of a flood; a time is missing where it was not told. */
export interface Named {
  /** Seconds until a line of the log named one of the senders. */
  logS?: number;
  /** Seconds until the figures showed more refused work. */
  metricsS?: number;
  /** Seconds of the thread that refused requests took, as the figures tell. */
  refusedS: number;
}

/** Looks from now on, until it is told to end. */
export async function watchNames(
  server: Server,
  senders: ReadonlySet<string>,
): Promise<{ end(): Promise<Named> }> {
  const named: Named = { refusedS: 0 };
  const before = await refusedSeconds(server);
  const from = server.written().length;
  const [beganMs, beganAtMs] = [performance.now(), Date.now()];
  let hasEnded = false;
  const passedS = () => Math.round((performance.now() - beganMs) / 100) / 10;

  async function look(): Promise<void> {
    named.refusedS = await refusedSeconds(server) - before;
    // A tenth of a second is more than honest senders and probes cause.
    if (named.refusedS > 0.1) named.metricsS ??= passedS();
    const lines = server.written().slice(from).split("\n").filter((line) => line.includes('"refused_work"'));
    const line = lines.find((each) => senders.has(senderOf(each)));
    if (line !== undefined) named.logS ??= Math.round((writtenAtMs(line) - beganAtMs) / 100) / 10;
  }
  async function again(): Promise<void> {
    while (!hasEnded) {
      await look();
      await sleep(REST_MS);
    }
  }
  const looking = again();
  return {
    async end() {
      hasEnded = true;
      await looking;
      await look();
      return named;
    },
  };
}

async function refusedSeconds({ url }: Server): Promise<number> {
  const response = await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${ADMIN_TOKEN}` } });
  const text = await response.text();
  return [...text.matchAll(REFUSED)].reduce((sum, [, value]) => sum + Number(value), 0);
}

/** When a line of the log was written: under load it is read later. */
function writtenAtMs(line: string): number {
  return Date.parse(/"time":"([^"]+)"/.exec(line)?.[1] ?? "");
}

/** Whom a line of the log names; a line may be cut short by now. */
function senderOf(line: string): string {
  return /"writeKeyId":"([^"]+)"/.exec(line)?.[1] ?? /"network":"([^"]+)"/.exec(line)?.[1] ?? "";
}
