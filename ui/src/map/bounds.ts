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
