/** The errors of all rooms. */

/** Thrown when storage does not answer in time: nothing was acknowledged, and a retry is safe. */
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

/** Thrown where this process can't do its work for a reason that it can name: `code` and message are for the answer. */
export class NotServing extends StorageUnavailable {
  override name = "NotServing";
  constructor(message: string, readonly code: "clock_moved" | "settling_fails" | "erasure_under_way") {
    super(message, FAULT_RETRY_S);
  }
}

/** A disk that is full stays so for a while, in s. */
const FAULT_RETRY_S = 5;

/** Thrown for a request whose events compress to more than one atomic operation can hold: the sender must send fewer. */
export class BatchTooLarge extends RangeError {
  override name = "BatchTooLarge";
}

/** Thrown for a cursor that was not made by the page before. */
export class InvalidCursor extends RangeError {
  override name = "InvalidCursor";
}

/** Thrown where there are as many write keys as there may be. */
export class TooManyWriteKeys extends RangeError {
  override name = "TooManyWriteKeys";
}

/** Thrown where as many people are suppressed as there may be. */
export class TooManySuppressed extends RangeError {
  override name = "TooManySuppressed";
}

/** Thrown where there are as many contracts as there may be. */
export class TooManyContracts extends RangeError {
  override name = "TooManyContracts";
}

/** Thrown where as many listen as may. */
export class TooManyListeners extends RangeError {
  override name = "TooManyListeners";
}
