/** The last of many numbered things: a late reader knows how many are gone. */

/** A ring of things. */
export type Ring<T> = ReturnType<typeof createRing<T>>;

/** Creates a ring of the last `most` things. */
export function createRing<T>(most: number) {
  let items: T[] = [];
  let end = 0;
  return {
    push(more: readonly T[]): void {
      end += more.length;
      items = [...items, ...more].slice(-most);
    },
    /** The things in the ring, and the number of the first. */
    all: (): { items: readonly T[]; first: number } => ({ items, first: end - items.length }),
    /** The number of the next. */
    end: () => end,
    /** The things from a number on, and how many of them are gone. */
    from(number: number): { items: T[]; lost: number } {
      const found = items.slice(Math.max(0, items.length - (end - number)));
      return { items: found, lost: end - number - found.length };
    },
    clear(): void {
      items = [];
    },
  };
}
