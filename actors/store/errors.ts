/** The errors of all rooms. */
import type { SchemaProblem } from "../../domain/contract/schema.ts";

/** Thrown when storage does not answer in time: nothing was acknowledged, and a retry is safe. Only for that: see {@link NotServing}. */
export class StorageUnavailable extends Error {
  override name = "StorageUnavailable";
  constructor(message: string, readonly retryAfterS = 1, options?: ErrorOptions) {
    super(message, options);
  }
}

/**
 * Thrown when storage answers that it can't: the disk is full, the file read-only or damaged. Another try at once helps
 * nothing; nothing was acknowledged, and a later retry is safe.
 */
export class StorageFault extends StorageUnavailable {
  override name = "StorageFault";
  constructor(message: string, options?: ErrorOptions) {
    super(message, FAULT_RETRY_S, options);
  }
}

/** A disk that is full stays so for a while, in s. */
const FAULT_RETRY_S = 5;

/**
 * Reasons for which a process refuses work although storage answers, and the seconds after which a retry makes sense.
 */
const NOT_SERVING = {
  /** A list or an index is being built. */
  building: 1,
  /** The clock of this process was moved, or is behind the newest event. */
  clock_moved: FAULT_RETRY_S,
  /** Other processes changed the same keys first, again and again. */
  contention: 1,
  /** An erasure takes longer than a request. */
  erasure_under_way: FAULT_RETRY_S,
  /** Too much is waiting. */
  overloaded: 1,
  /** Settling is too far behind for the request. */
  settling: 1,
  /** Settling has failed again and again. */
  settling_fails: FAULT_RETRY_S,
  /** The process is about to end. */
  stopping: 1,
} as const;

/** A code of {@link NotServing}. */
export type NotServingCode = keyof typeof NOT_SERVING;

/** Every code of {@link NotServing}. */
export const NOT_SERVING_CODES = Object.keys(NOT_SERVING) as NotServingCode[];

/**
 * Thrown if this process cannot do its work for a reason other than storage. `code` and message are for the answer;
 * nothing was acknowledged. Clients retry it like an outage of storage.
 */
export class NotServing extends StorageUnavailable {
  override name = "NotServing";
  constructor(message: string, readonly code: NotServingCode) {
    super(message, NOT_SERVING[code]);
  }
}

/** Thrown for a request whose events compress to more than one atomic operation can hold: the sender must send fewer. */
export class BatchTooLarge extends RangeError {
  override name = "BatchTooLarge";
}

/** Thrown for a cursor that was not made by the page before. */
export class InvalidCursor extends RangeError {
  override name = "InvalidCursor";
}

/** Thrown at the limit of write keys. */
export class TooManyWriteKeys extends RangeError {
  override name = "TooManyWriteKeys";
}

/** Thrown at the limit of suppressed people. */
export class TooManySuppressed extends RangeError {
  override name = "TooManySuppressed";
}

/** Thrown at the limit of contracts. */
export class TooManyContracts extends RangeError {
  override name = "TooManyContracts";
}

/** Thrown if a version of a contract has a schema that is no longer supported. */
export class UnsupportedSchema extends Error {
  override name = "UnsupportedSchema";
  constructor(readonly problem: SchemaProblem) {
    super(problem.message);
  }
}

/** Thrown at the limit of transformations. */
export class TooManyTransformations extends RangeError {
  override name = "TooManyTransformations";
}

/** Thrown if a transformation, compressed, is larger than a value of the store. */
export class TransformationTooLarge extends RangeError {
  override name = "TransformationTooLarge";
}

/** Thrown if a transformation cannot be deleted: destinations use it. */
export class TransformationInUse extends Error {
  override name = "TransformationInUse";
  constructor(readonly destinations: readonly string[]) {
    super(`used by ${destinations.join(", ")}`);
  }
}

/** Thrown at the limit of listeners. */
export class TooManyListeners extends RangeError {
  override name = "TooManyListeners";
}
