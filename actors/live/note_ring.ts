/** The last of many things, which are numbered: a reader who comes late knows how many are gone. */

/** A ring of things. */
export type Ring<T> = ReturnType<typeof createRing<T>>;

/** Makes a ring that holds the last `most` things. */
export function createRing<T>(most: number) {
  let items: T[] = [];
  let end = 0;
  return {
    push(more: readonly T[]): void {
      end += more.length;
      items = [...items, ...more].slice(-most);
    },
    /** What is held, and the number of the first. */
    all: (): { items: readonly T[]; first: number } => ({ items, first: end - items.length }),
    /** The number of the next. */
    end: () => end,
    /** What is held from a number on, and how many of it are gone. */
    from(number: number): { items: T[]; lost: number } {
      const found = items.slice(Math.max(0, items.length - (end - number)));
      return { items: found, lost: end - number - found.length };
    },
    clear(): void {
      items = [];
    },
  };
}
