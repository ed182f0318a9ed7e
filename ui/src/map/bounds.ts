/** The smallest box around geometries, [west, south, east, north]; null if there is nothing to see. */
export function boundsOf(geometries: GeoJSON.Geometry[]): [number, number, number, number] | null {
  let [west, south, east, north] = [Infinity, Infinity, -Infinity, -Infinity];
  const visit = (coordinates: unknown): void => {
    if (!Array.isArray(coordinates)) return;
    const [x, y] = coordinates as unknown[];
    if (typeof x === 'number' && typeof y === 'number') {
      [west, east] = [Math.min(west, x), Math.max(east, x)];
      [south, north] = [Math.min(south, y), Math.max(north, y)];
      return;
    }
    for (const part of coordinates) visit(part);
  };
  for (const geometry of geometries) if (geometry && 'coordinates' in geometry) visit(geometry.coordinates);
  return west <= east ? [west, south, east, north] : null;
}

/**
 * The box in which most points lie: without the outermost 4 % at each side, so that one vehicle far
 * away does not make all the others small. Null for fewer than 20 points.
 */
export function centreOf(points: GeoJSON.MultiPoint[]): [number, number, number, number] | null {
  const all = points.flatMap((one) => one.coordinates);
  if (all.length < 20) return null;
  const [xs, ys] = [0, 1].map((axis) => all.map((point) => point[axis] ?? 0).sort((a, b) => a - b));
  const cut = Math.floor(all.length * 0.04);
  const [low, high] = [cut, all.length - 1 - cut];
  return [xs![low]!, ys![low]!, xs![high]!, ys![high]!];
}

/** West and east within -180 to 180: west > east crosses the antimeridian; the whole world if it is seen. */
export function wrapped(west: number, east: number): { west: number; east: number } {
  if (east - west >= 360) return { west: -180, east: 180 };
  const turn = (lon: number) => ((((lon + 180) % 360) + 360) % 360) - 180;
  return { west: turn(west), east: turn(east) };
}
