/**
 * Limits a map to a number of entries, by forgetting the oldest: an eighth at once, since a map whose first entry is
 * deleted again and again steps over all deleted ones.
 */
export function forgetOldest(map: Map<unknown, unknown>, most: number): void {
  if (map.size <= most) return;
  const left = most - Math.floor(most / 8);
  for (const key of map.keys()) {
    if (map.size <= left) return;
    map.delete(key);
  }
}
