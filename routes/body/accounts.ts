/** Accounts of what senders may cost over time: token buckets by name, of which a bounded number is remembered. */
import { forgetOldest } from "../../domain/limits/bounded_map.ts";
import { type Bucket, fullBucket, refilled, secondsUntil } from "../../domain/limits/token_bucket.ts";

/** Accounts remembered at once, some 10 MB; beyond them the oldest are forgotten, which then have all that there is. */
export const MAX_ACCOUNTS = 50_000;

/** What each account can hold, and what comes back each second. */
export interface AccountLimits {
  most: number;
  perSecond: number;
}

/** Accounts by name. */
export interface Accounts {
  /** What an account holds; 0 or less where it is in debt. */
  level(name: string): number;
  /** Takes an amount where all of it is there. */
  take(name: string, amount: number): boolean;
  /** Takes an amount, into debt where it must, and tells whether this is what put the account into debt. */
  charge(name: string, amount: number): boolean;
  /** Whole seconds, at least 1, until the account holds so much. */
  secondsUntil(name: string, amount: number): number;
  /** How many accounts are remembered. */
  size(): number;
  /** How many of them are in debt now. */
  inDebt(): number;
}

/** Makes accounts; a debt is never more than an account holds. */
export function createAccounts({ most, perSecond }: AccountLimits, now: () => number): Accounts {
  const buckets = new Map<string, Bucket>();
  const limit = { burst: most, perSecond };

  function current(name: string): Bucket {
    const bucket = buckets.get(name);
    return bucket === undefined
      ? fullBucket(limit, now())
      : refilled(bucket, { perSecond, most, now: now() });
  }

  function keep(name: string, bucket: Bucket): void {
    buckets.set(name, bucket);
    forgetOldest(buckets, MAX_ACCOUNTS);
  }

  return {
    level: (name) => buckets.has(name) ? current(name).level : most,
    take(name, amount) {
      const { level, at } = current(name);
      if (level < amount) return false;
      keep(name, { level: level - amount, at });
      return true;
    },
    charge(name, amount) {
      const { level, at } = current(name);
      keep(name, { level: Math.max(-most, level - amount), at });
      return level > 0 && level - amount <= 0;
    },
    secondsUntil: (name, amount) => secondsUntil(current(name), Math.min(amount, most), perSecond),
    size: () => buckets.size,
    inDebt() {
      let count = 0;
      for (const name of buckets.keys()) if (current(name).level <= 0) count++;
      return count;
    },
  };
}
