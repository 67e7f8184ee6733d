/**
 * All bounds on the memory and work that senders can cause, in one record. `PROCESS_LIMITS` apply to all senders
 * together, or to one sender over time: processes that share a machine will have to divide them. `BODY_LIMITS` apply to
 * one body, whatever the number of processes.
 */

/** Bounds of one body. */
export interface OneBodyLimits {
  /** Bytes as sent and inflated: the contract's 4 MiB. */
  maxBytes: number;
  /** Bytes of a body without a credential in a header: the contract's 512 KB. */
  maxUnknownBytes: number;
  /** Bytes that are read of a refused body and thrown away, so that its sender gets to read the answer. */
  drainBytes: number;
  /** Time without a byte after which a body is given up. */
  idleMs: number;
  /** Time for a whole body: 4 MiB over a line of 560 kbit/s. */
  totalMs: number;
  /**
   * The least rate of arrival of a body, in bytes per second. A faster beginning extends the time by at most {@link
   * OneBodyLimits.idleMs}, so that a byte now and then does not hold memory for {@link OneBodyLimits.totalMs}.
   */
  minBytesPerS: number;
  /** Objects, arrays and members: 2,500 events with 120 of them each. They cost 80 to 200 ms to parse. */
  maxStructure: number;
  /**
   * Objects, arrays, members and values of a body that holds an integer beyond 2^53: 2,500 events with 108 of them each.
   * They cost 80 to 330 ms.
   */
  maxExactValues: number;
}

/** Bounds of all bodies of a process. */
export interface AllBodiesLimits {
  /** Bytes of bodies that are held, as sent, and inflated while they are parsed. */
  maxHeldBytes: number;
  /** Bytes of large bodies among them: the rest is reserved for small ones. */
  maxLargeBytes: number;
  /** Bytes of large bodies of one write key: other keys find room while the senders of one stall. */
  maxKeyLargeBytes: number;
  /** Bytes of senders without a credential in a header, of large bodies and of small ones. */
  maxUnknownLargeBytes: number;
  maxUnknownSmallBytes: number;
  /** Bytes of small bodies that are read in one go: memory that a stalled one keeps. */
  maxReadingBytes: number;
  /** Bytes of parsed JSON that is not answered yet, of bodies with and without a turn. */
  maxParsedBytes: number;
  maxParsedSmallBytes: number;
  /**
   * Bytes that an event of a batch counts for at least, however small it is: accepting it takes the thread 15 to 20 µs.
   * With {@link AllBodiesLimits.maxParsedBytes} it bounds how long an event waits behind batches that came before.
   */
  eventWeight: number;
  /** Work after which the event loop gets a turn, so that I/O comes between bodies. */
  turnMs: number;
}

/** Bounds on the cost of senders. Load is defined in `load.ts`; a unit of it costs some 0.25 µs. */
export interface ChargeLimits {
  /** Load beyond the free load of its bytes that a write key can send at once: 0.12 s of the thread. */
  loadCredit: number;
  /** The part of it that comes back each second. */
  loadCreditPerS: number;
  /** Time of the thread that refused requests of one network can take at once. A /48 has {@link wideFactor} times it. */
  refusedMs: number;
  /** The part of it that comes back each second: 2.5 % of the thread. */
  refusedMsPerS: number;
  /** A /48 may contain many sites, so it has this many times the allowance of a /64, for failures too. */
  wideFactor: number;
}

/** See {@link OneBodyLimits}. */
export const BODY_LIMITS: OneBodyLimits = {
  maxBytes: 4 * 1024 * 1024,
  maxUnknownBytes: 512 * 1024,
  drainBytes: 16 * 1024 * 1024,
  idleMs: 10_000,
  totalMs: 60_000,
  minBytesPerS: 1024,
  maxStructure: 300_000,
  maxExactValues: 270_000,
};

/** See {@link AllBodiesLimits} and {@link ChargeLimits}. */
export const PROCESS_LIMITS: AllBodiesLimits & ChargeLimits = {
  maxHeldBytes: 48 * 1024 * 1024,
  maxLargeBytes: 40 * 1024 * 1024,
  maxKeyLargeBytes: 30 * 1024 * 1024,
  maxUnknownLargeBytes: 8 * 1024 * 1024,
  maxUnknownSmallBytes: 4 * 1024 * 1024,
  maxReadingBytes: 16 * 1024 * 1024,
  maxParsedBytes: 8 * 1024 * 1024,
  maxParsedSmallBytes: 2 * 1024 * 1024,
  eventWeight: 1024,
  turnMs: 5,
  loadCredit: 500_000,
  loadCreditPerS: 25_000,
  refusedMs: 250,
  refusedMsPerS: 25,
  wideFactor: 10,
};

/** All bounds as one; tests take smaller ones. */
export type Limits = OneBodyLimits & AllBodiesLimits & ChargeLimits;

/** See {@link Limits}. */
export const LIMITS: Limits = { ...BODY_LIMITS, ...PROCESS_LIMITS };
