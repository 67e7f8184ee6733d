/**
 * How much memory a server takes under load, and whether it goes on growing: batches over a real port, on Linux.
 *
 * deno task bench:memory [--events N] [--users N]
 *
 * The resident memory of the server's process is read each second, as the kernel tells it.
 */
import type { Outcome } from "./load/report.ts";
import type { Server } from "./load/server.ts";
import { startTarget, WRITE_KEY } from "./load/target.ts";
import {
  figure,
  outcome,
  percentile,
  row,
  runBench,
  sendAll,
  type Stage,
  timed,
  trackJson,
  untilSettled,
} from "./replay.ts";
import { StorageUnavailable } from "../actors/store/errors.ts";

const HELP = `deno task bench:memory [--events N] [--users N]

Sends batches of 500 events over 8 connections to a server started as by hand, and watches its memory (Linux only).

  --events N   events sent (1000000)
  --users N    users they are spread over (200000)
  --help       this text`;

const SIZES = { events: 1_000_000, users: 200_000 };

/** The most memory that a server may take. */
const BAR_MB = 500;

/** Rows of the table: memory at one moment rises and falls with the collector, so it is averaged over each. */
const STEPS = 10;

const SAMPLE_MS = 1_000;

/** What a server held at a moment, and how much it had answered. */
interface Sample {
  events: number;
  rssMb: number;
}

/** The one process that this one has started. */
function childPid(): number {
  for (const { name } of Deno.readDirSync("/proc/self/task")) {
    const [pid] = Deno.readTextFileSync(`/proc/self/task/${name}/children`).split(" ").map(Number);
    if (pid) return pid;
  }
  throw new Error("the server's process is not there");
}

/** Resident memory of a process: proc(5), /proc/pid/status. */
function rssMb(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`))![1]) / 1024;
}

/** A sender of batches: throws {@link StorageUnavailable} where the server asks to come again. */
function senderTo({ port }: Server) {
  const headers = { authorization: `Basic ${btoa(`${WRITE_KEY}:`)}`, "content-type": "application/json" };
  return async (batch: string[]): Promise<void> => {
    const url = `http://127.0.0.1:${port}/api/v1/events/batch`;
    const response = await fetch(url, { method: "POST", headers, body: `{"batch":[${batch.join()}]}` });
    const text = await response.text();
    if (response.status === 503) throw new StorageUnavailable(text);
    if (!response.ok) throw new Error(`the server answered ${response.status}: ${text}`);
  };
}

/** The mean of the samples taken while the n-th part of all events was sent, counted from 0; NaN where none was. */
function meanMb(samples: Sample[], step: number, events: number): number {
  const size = events / STEPS;
  const mine = samples.filter((sample) => sample.events > step * size && sample.events <= (step + 1) * size);
  return mine.reduce((sum, sample) => sum + sample.rssMb, 0) / mine.length;
}

/** What a load gave. */
interface Load {
  samples: Sample[];
  answersMs: number[];
  /** Batches that the server asked to send again. */
  again: number;
  /** The time of the load, and of settling what was left then. */
  loadMs: number;
  settleMs: number;
}

/** Sends all events to a server, watches its memory, and waits until all is settled. */
async function load(server: Server, pid: number, { events, users }: typeof SIZES): Promise<Load> {
  const send = senderTo(server);
  const samples: Sample[] = [];
  const answersMs: number[] = [];
  let [sent, again] = [0, 0];
  const timer = setInterval(() => samples.push({ events: sent, rssMb: rssMb(pid) }), SAMPLE_MS);
  try {
    const loadMs = await timed(() =>
      sendAll({
        count: events,
        make: () => trackJson(`user_${Math.floor(Math.random() * users)}`, Date.now()),
        async send(batch) {
          const ms = await timed(() => send(batch)).catch((error) => {
            again++;
            throw error;
          });
          answersMs.push(ms);
          sent += batch.length;
        },
      })
    );
    return { samples, answersMs, again, loadMs, settleMs: await timed(() => untilSettled(server)) };
  } finally {
    clearInterval(timer);
  }
}

async function main({ sizes, dir, atEnd }: Stage<typeof SIZES>): Promise<Outcome[]> {
  if (Deno.build.os !== "linux") {
    console.log("bench:memory needs Linux: other systems have no /proc to read a process's memory from");
    return [];
  }
  const { events, users } = sizes;
  const server = await startTarget("signalfold", { dir, shape: "memory", cluster: undefined });
  atEnd.defer(server.stop);
  const pid = childPid();
  row("at the start", `${figure(rssMb(pid))} MB`);
  const { samples, answersMs, again, loadMs, settleMs } = await load(server, pid, sizes);
  const means = Array.from({ length: STEPS }, (_, step) => meanMb(samples, step, events));
  for (const [step, mb] of means.entries()) {
    if (!Number.isNaN(mb)) row(`to ${figure(events * (step + 1) / STEPS)} events`, `${figure(mb)} MB`);
  }
  row("settled", `${figure(rssMb(pid))} MB`, `${figure(settleMs / 1000, 1)} s after`);
  const peakMb = server.peakRssMb();
  row("at the most", `${figure(peakMb)} MB`);
  row(
    `${figure(users)} users, settling included`,
    `${figure(events / (loadMs + settleMs) * 1000)} events/s`,
    `${figure(percentile(answersMs, 0.5))} ms p50`,
    `${figure(percentile(answersMs, 0.99))} ms p99`,
    `${again} sent again`,
  );
  console.log(
    "\nEach line is a mean over a tenth of the events; half way is the fifth, the end is the last.",
  );
  const growth = means[STEPS - 1]! / means[STEPS / 2 - 1]!;
  return [
    outcome(`peak memory: ${BAR_MB} MB`, peakMb / BAR_MB, { atMost: 1 }),
    // A short run has no sample in some of its tenths.
    ...Number.isNaN(growth) ? [] : [outcome("memory at the end: half way", growth, { atMost: 1.1 })],
  ];
}

if (import.meta.main) await runBench({ help: HELP, sizes: SIZES }, main);
