/** Generations of actor keys: one is live, and a replay of everything builds another. Keys of an old one never come back. */
import type { Checkpoint } from "../journal/subscription.ts";
import { generationPrefixes, type Key, piecePrefixes } from "../store/keys.ts";
import type { Range, Store } from "../store/store.ts";

/** How far a rebuild is. */
export interface Rebuild extends Checkpoint {
  generation: number;
}

/** Readers of the old generation have begun anew by then. */
export const GRACE_MS = 3_000;

/** Bounds of deleting a generation. */
export const GENERATION_LIMITS = {
  /** Keys deleted by one operation. */
  generationDeletes: 300,
};
export type GenerationLimits = typeof GENERATION_LIMITS;

/** The generations of actors of which anything is there. */
export async function generationsIn(store: Store): Promise<number[]> {
  const found = new Set<number>();
  for (const prefix of [...generationPrefixes(0), ...piecePrefixes(0)].map((key) => key.slice(0, -1))) {
    for (let next: number | undefined = 0; next !== undefined;) {
      const range: Range = { prefix, start: [...prefix, next] };
      next = undefined;
      for await (const { key } of store.list(range, { limit: 1 })) {
        const generation = key[prefix.length] as number;
        found.add(generation);
        next = generation + 1;
      }
    }
  }
  return [...found].sort((a, b) => a - b);
}

/** Deletes all keys of a generation of actors that nothing uses any more. */
export async function deleteGeneration(
  store: Store,
  generation: number,
  { write, limits }: { write(writes: { deletes: Key[] }): Promise<void>; limits: GenerationLimits },
): Promise<void> {
  for (const prefix of [...generationPrefixes(generation), ...piecePrefixes(generation)]) {
    let deletes: Key[] = [];
    for await (const { key } of store.list({ prefix }, { batchSize: 200 })) {
      deletes.push(key);
      if (deletes.length < limits.generationDeletes) continue;
      await write({ deletes });
      deletes = [];
    }
    if (deletes.length > 0) await write({ deletes });
  }
}
