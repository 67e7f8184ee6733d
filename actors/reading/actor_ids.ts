/** The ids of users and groups in order: what `?prefix=` and exports of profiles list. */
import type { ActorKind } from "../../domain/profile/fact.ts";
import type { Journal } from "../journal/journal_state.ts";
import type { Settling } from "../settling/backpressure.ts";
import { type ActorHead, readHead } from "../settling/snapshot.ts";
import { decodeCursor, encodeCursor } from "../store/cursor.ts";
import { InvalidCursor } from "../store/errors.ts";
import { actorIdRange, type Key } from "../store/keys.ts";
import type { Store } from "../store/store.ts";

/** A page of ids. */
export interface IdsPage {
  ids: string[];
  cursor: string | null;
}

/** Which ids. */
export interface IdsQuery {
  limit: number;
  prefix?: string | undefined;
  cursor?: string | undefined;
}

/** A read of ids waits this long for settling. */
const SETTLE_MS = 10_000;

/** Values that are looked at for one page: with a prefix, ids that stand in keys as digests are all looked at. */
const MAX_LOOKED_AT = 10_000;

/** Creates the list of ids. It includes every acknowledged event: it waits until they are settled. */
export function createActorIds(
  { store, journal, settling }: { store: Store; journal: Journal; settling: Settling },
) {
  /** Throws {@link InvalidCursor}. Ids come in the order of their keys; a page may be short although there is a cursor. */
  return async function idsOf(kind: ActorKind, { limit, prefix = "", cursor }: IdsQuery): Promise<IdsPage> {
    const after = cursor === undefined ? undefined : keyPart(cursor);
    await journal.sync();
    if (journal.settledNow().position < journal.end()) await settling.until(journal.end(), SETTLE_MS);
    const { generation } = journal.settledNow();
    const ids: string[] = [];
    let looked = 0;
    let last: string | undefined;
    for (const range of actorIdRange(generation, kind, { prefix, after })) {
      for await (const entry of store.list<Uint8Array>(range, { batchSize: 100 })) {
        if (ids.length === limit || looked++ === MAX_LOOKED_AT) return { ids, cursor: encodeCursor(last) };
        last = (entry.key as Key).at(-1) as string;
        const { head } = readHead<ActorHead>(entry);
        if (head?.id.startsWith(prefix)) ids.push(head.id);
      }
    }
    return { ids, cursor: null };
  };
}

function keyPart(cursor: string): string {
  const value = decodeCursor(cursor);
  if (typeof value === "string" && value !== "") return value;
  throw new InvalidCursor("Invalid cursor.");
}
