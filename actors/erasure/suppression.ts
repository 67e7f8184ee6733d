/**
 * Who is suppressed: whose later events are refused. What is kept of them is a digest. The digests stand in pages that are
 * only added to, and in the memory of each process, which reads a mark now and then and the new pages when it has moved:
 * no event costs a read.
 */
import { Buffer } from "node:buffer";
import { DIGEST_BYTES, digestOf, wordsOfHex } from "../journal/chunk.ts";
import { createDigestSet } from "../journal/digest_set.ts";
import type { Clock } from "../store/clock.ts";
import type { Fence } from "../store/lease.ts";
import type { Settled } from "../journal/journal_state.ts";
import { type Key, SECRET, SUPPRESSED, suppressedKey } from "../store/keys.ts";
import type { Store, Write } from "../store/store.ts";
import { createWatched } from "../store/cached_config.ts";
import type { Person } from "./requests.ts";
import { NotServing, StorageFault, StorageUnavailable, TooManySuppressed } from "../store/errors.ts";

/** Whose events are refused, as this process knows it: never older than 5 s once `fresh` has resolved. */
export interface Suppression {
  /** Whether the person whose event it is (by user id, else by anonymous id) is suppressed. Reads nothing. */
  isSuppressed(names: { userId?: string; anonymousId?: string }): boolean;
  /** Call it before each request is judged: a promise where what is known is too old, which seldom is. */
  fresh(): Promise<void> | undefined;
  refresh(): Promise<void>;
  /** Suppresses a person: at once in this process, elsewhere within 5 s. Throws {@link TooManySuppressed}. */
  add(person: Person): Promise<void>;
}

/** Most digests: each process holds all, a million in 34 MB. */
export const MAX_SUPPRESSED = 1_000_000;

/** Bounds of the pages. A database is read with the bounds that it is written with. */
export const SUPPRESSION_LIMITS = {
  /** Digests in a page: 48 KB. */
  pageDigests: 3_000,
};
export type SuppressionLimits = typeof SUPPRESSION_LIMITS;

/** The pages of a store. */
interface Pages {
  store: Store;
  limits: SuppressionLimits;
}

/** A change that another process overtakes is tried again so often. */
const TRIES = 20;

/** What the mark says. */
interface Mark {
  count: number;
}

/** The digest of a person, in hex: what stays of who was erased. */
export function personDigest({ kind, id }: Person, secret: string): string {
  return digestOf(`${kind}/${id}`, secret);
}

/** The write that adds digests (hex), as far as there is room: with what it must check. */
async function addition(
  { store, limits }: Pages,
  digests: string[],
): Promise<Pick<Write, "checks" | "sets">> {
  const mark = await store.get<Mark>(SUPPRESSED);
  const before = mark.value?.count ?? 0;
  const added = digests.slice(0, Math.max(0, MAX_SUPPRESSED - before));
  const count = before + added.length;
  const sets: [Key, unknown][] = [[SUPPRESSED, { count } satisfies Mark]];
  for (let next = before; next < count;) {
    const page = Math.floor(next / limits.pageDigests);
    const inPage = next % limits.pageDigests;
    const some = added.slice(next - before, next - before + limits.pageDigests - inPage);
    // Beyond what the mark counts a page holds nothing.
    const old = inPage === 0 ? null : (await store.get<Uint8Array>(suppressedKey(page))).value;
    sets.push([
      suppressedKey(page),
      new Uint8Array(Buffer.concat([old ?? new Uint8Array(), Buffer.from(some.join(""), "hex")])),
    ]);
    next += some.length;
  }
  return { checks: [{ key: SUPPRESSED, stamp: mark.stamp }], sets };
}

/** Suppresses people in an operation of the fence, as far as there is room. */
export async function suppressUnder(fence: Fence<Settled>, pages: Pages, people: Person[]): Promise<void> {
  if (people.length === 0) return;
  const { store, limits } = pages;
  const { value: secret } = await store.get<string>(SECRET);
  // An operation has room for some pages.
  for (let from = 0; from < people.length; from += limits.pageDigests) {
    const some = people.slice(from, from + limits.pageDigests).map((person) =>
      personDigest(person, secret ?? "")
    );
    await fence.write(await addition(pages, some));
  }
}

/** Opens the set of who is suppressed. */
export async function openSuppression(
  store: Store,
  { clock, secret, limits }: { clock: Clock; secret: string; limits: SuppressionLimits },
): Promise<Suppression> {
  const digests = createDigestSet(0);
  let known = 0;
  const watched = createWatched(store, { clock, mark: SUPPRESSED, load });

  /** What was added: digests never go. */
  async function load(): Promise<void> {
    const count = (await store.get<Mark>(SUPPRESSED)).value?.count ?? 0;
    const from = Math.floor(known / limits.pageDigests);
    const pages = Math.ceil(count / limits.pageDigests) - from;
    const keys = Array.from({ length: Math.max(0, pages) }, (_, n) => suppressedKey(from + n));
    for (const { value } of await store.getMany<Uint8Array>(keys)) {
      const words = wordsOfHex((value ?? new Uint8Array()).toHex());
      for (let at = 0; at * DIGEST_BYTES < (value?.length ?? 0); at++) digests.add(words, at);
    }
    known = count;
  }

  const has = (person: Person) => digests.has(wordsOfHex(personDigest(person, secret)), 0);

  await watched.refresh();
  return {
    isSuppressed({ userId, anonymousId }) {
      if (digests.size() === 0) return false;
      if (userId !== undefined) return has({ kind: "user", id: userId });
      return anonymousId !== undefined && has({ kind: "anonymous", id: anonymousId });
    },
    fresh: watched.fresh,
    refresh: watched.refresh,
    async add(person) {
      let hasFailed = false;
      for (let tries = 0; tries < TRIES; tries++) {
        await watched.refresh();
        if (has(person)) return;
        if (known >= MAX_SUPPRESSED) throw new TooManySuppressed(`${MAX_SUPPRESSED} people are suppressed`);
        const write = await addition({ store, limits }, [personDigest(person, secret)]);
        // Whether it was written the next look tells; of a full disk the caller is told at once.
        await store.commit(write).catch((error) => {
          if (!(error instanceof StorageUnavailable) || error instanceof StorageFault) throw error;
          hasFailed = true;
        });
      }
      if (hasFailed) throw new StorageUnavailable("storage did not take who is to be suppressed");
      throw new NotServing("Other processes keep changing who is suppressed.", "contention");
    },
  };
}
