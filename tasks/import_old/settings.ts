/**
 * Everything of a database of version 0.3 beside its events: write keys, contracts with their versions, suppressions and
 * receipts of erasures. Each write can be repeated.
 */
import { Buffer } from "node:buffer";
import {
  addition,
  ALWAYS,
  countOfRecords,
  SUPPRESSION_LIMITS,
} from "../../actors/erasure/suppressed_records.ts";
import type { Receipt } from "../../actors/erasure/requests.ts";
import {
  contractKey,
  CONTRACTS_CHANGED,
  contractVersionKey,
  erasedKey,
  type Key,
  WRITE_KEYS_CHANGED,
  writeKeyKey,
  writeKeyUsedKey,
} from "../../actors/store/keys.ts";
import type { Store } from "../../actors/store/store.ts";
import { BATCH_LIMITS, createOperations } from "../../actors/store/write_batch.ts";
import * as old from "./format.ts";

/** How much of each was imported. */
export interface ImportedSettings {
  writeKeys: number;
  contracts: number;
  suppressed: number;
  receipts: number;
}

/** Bytes of a contract in an operation: its largest, so that none is too large. */
const CONTRACT_SIZE = { mutations: 1, bytes: 64_000, keyBytes: 300 };

/** Imports the settings from one store into another. `newId` gives the marks that tell running servers of a change. */
export async function importSettings(
  from: Store,
  into: Store,
  newId: () => string,
): Promise<ImportedSettings> {
  const operations = createOperations(async ({ sets, deletes }) => {
    await into.commit({ checks: [], sets, deletes });
  }, BATCH_LIMITS);
  /** Sets each value of a prefix under its new key, and gives their number. */
  async function move<T>(
    prefix: Key,
    keyOf: (key: Key) => Key,
    { change = (value: T): unknown => value, size }: { change?(value: T): unknown; size?: Size } = {},
  ): Promise<number> {
    let count = 0;
    for await (const { key, value } of from.list<T>({ prefix })) {
      await operations.add({ sets: [[keyOf(key), change(value!)]], deletes: [] }, size);
      count++;
    }
    return count;
  }
  const text = (part: Key[number] | undefined) => String(part);

  const writeKeys = await move(old.WRITE_KEYS, ([, id]) => writeKeyKey(text(id)));
  await move(old.WRITE_KEYS_USED, ([, id]) => writeKeyUsedKey(text(id)));
  const contracts = await move(old.CONTRACTS, ([, name]) => contractKey(text(name)), { size: CONTRACT_SIZE });
  await move(
    old.CONTRACT_VERSIONS,
    ([, name, version]) => contractVersionKey(text(name), version as number),
    { size: CONTRACT_SIZE },
  );
  const receipts = await move(old.RECEIPTS, ([, digest]) => erasedKey(text(digest)), { change: receiptOf });
  await operations.add({ sets: [[WRITE_KEYS_CHANGED, newId()], [CONTRACTS_CHANGED, newId()]], deletes: [] });
  await operations.flush();
  return { writeKeys, contracts, receipts, suppressed: await importSuppressed(from, into) };
}

type Size = typeof CONTRACT_SIZE;

/** Requests are numbered anew, so a receipt names none of the old ones; their sums stay. */
function receiptOf({ at, suppressed, erased }: old.Receipt): Receipt {
  return { at, suppressed, erased, wishes: [] };
}

/** Adds the suppressed digests that an earlier attempt has not added yet, and gives the number of all. */
async function importSuppressed(from: Store, into: Store): Promise<number> {
  const { value } = await from.get<{ count: number }>(old.SUPPRESSED);
  const count = value?.count ?? 0;
  for (let next = await countOfRecords(into); next < count;) {
    const { value: page } = await from.get<Uint8Array>(
      old.suppressedPage(Math.floor(next / old.PAGE_DIGESTS)),
    );
    const hex = Buffer.from(page ?? []).toString("hex");
    const digits = old.DIGEST_BYTES * 2;
    const digests: string[] = [];
    const end = Math.min(old.PAGE_DIGESTS, count - next + next % old.PAGE_DIGESTS);
    for (let at = next % old.PAGE_DIGESTS; at < end; at++) {
      digests.push(hex.slice(at * digits, (at + 1) * digits));
    }
    const records = digests.map((digest) => ({ digest, span: ALWAYS }));
    const { checks, sets } = await addition({ store: into, limits: SUPPRESSION_LIMITS }, records);
    await into.commit({ checks, sets });
    next = await countOfRecords(into);
  }
  return count;
}
