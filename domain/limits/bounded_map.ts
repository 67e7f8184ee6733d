/**
 * Keeps a map to so many entries, by forgetting those that were put in first: an eighth at once, since a map whose first
 * entry is deleted again and again steps over all that were before.
 */
export function forgetOldest(map: Map<unknown, unknown>, most: number): void {
  if (map.size <= most) return;
  const left = most - Math.floor(most / 8);
  for (const key of map.keys()) {
    if (map.size <= left) return;
    map.delete(key);
  }
}
