import type { GeometryCollection, Topology } from 'topojson-specification';
import { feature } from 'topojson-client';

export type Box = [west: number, south: number, east: number, north: number];
type Point = [number, number];

export interface Outline {
  land: GeoJSON.Polygon[];
  /** Lines that only one country has: the shore. */
  coast: Point[][];
  /** Lines that two countries share. */
  borders: Point[][];
  names: { name: string; at: Point; size: number }[];
}

export type CountriesTopology = Topology<{
  countries: GeometryCollection<{ name: string }>;
  land: GeometryCollection;
}>;

/** Every arc as a line, told apart by how many countries use it. */
export function readOutline(topology: CountriesTopology): Outline {
  const uses = new Map<number, number>();
  const count = (arcs: unknown): void => {
    if (typeof arcs === 'number') {
      const arc = arcs < 0 ? ~arcs : arcs;
      uses.set(arc, (uses.get(arc) ?? 0) + 1);
    } else if (Array.isArray(arcs)) for (const one of arcs) count(one);
  };
  for (const country of topology.objects.countries.geometries)
    if ('arcs' in country) count(country.arcs);

  const { scale, translate } = topology.transform ?? { scale: [1, 1], translate: [0, 0] };
  const coast: Point[][] = [];
  const borders: Point[][] = [];
  topology.arcs.forEach((arc, i) => {
    let [x, y] = [0, 0];
    const line = arc.map((step): Point => {
      x += step[0] ?? 0;
      y += step[1] ?? 0;
      return [x * scale[0] + translate[0], y * scale[1] + translate[1]];
    });
    // The seam at 180° and the polar edge are no shore.
    if (line.every(([lon]) => Math.abs(lon) > 179.99) || line.every(([, lat]) => lat < -89.9)) return;
    (uses.get(i) === 1 ? coast : borders).push(line);
  });

  const land = feature(topology, topology.objects.land);
  const shapes = land.features.map((one) => one.geometry);
  const countries = feature(topology, topology.objects.countries);
  return {
    land: shapes.flatMap((shape) => polygonsOf(shape)),
    coast,
    borders,
    names: countries.features.flatMap((country) => {
      const middle = middleOf(polygonsOf(country.geometry));
      return middle ? [{ name: country.properties?.name ?? '', ...middle }] : [];
    }),
  };
}

function polygonsOf(geometry: GeoJSON.Geometry): GeoJSON.Polygon[] {
  if (geometry.type === 'Polygon') return [geometry];
  if (geometry.type !== 'MultiPolygon') return [];
  return geometry.coordinates.map((coordinates) => ({ type: 'Polygon', coordinates }));
}

/** The middle of the largest piece, where a name is written. */
function middleOf(pieces: GeoJSON.Polygon[]): { at: Point; size: number } | null {
  let best: { at: Point; size: number } | null = null;
  for (const piece of pieces) {
    let [area, x, y] = [0, 0, 0];
    const ring = piece.coordinates[0] ?? [];
    for (let i = 0; i + 1 < ring.length; i += 1) {
      const [x0 = 0, y0 = 0] = ring[i] ?? [];
      const [x1 = 0, y1 = 0] = ring[i + 1] ?? [];
      const cross = x0 * y1 - x1 * y0;
      area += cross / 2;
      x += (x0 + x1) * cross;
      y += (y0 + y1) * cross;
    }
    if (area && Math.abs(area) > (best?.size ?? 0))
      best = { at: [x / (6 * area), y / (6 * area)], size: Math.abs(area) };
  }
  return best;
}

/** A ring cut to a box (Sutherland and Hodgman): the part inside, closed; empty if none is. */
export function clipRing(ring: readonly GeoJSON.Position[], box: Box): GeoJSON.Position[] {
  let points = ring.slice(0, -1);
  const sides: [axis: 0 | 1, at: number, sign: 1 | -1][] = [
    [0, box[0], 1],
    [0, box[2], -1],
    [1, box[1], 1],
    [1, box[3], -1],
  ];
  for (const [axis, at, sign] of sides) {
    const kept: GeoJSON.Position[] = [];
    const inside = (point: GeoJSON.Position) => ((point[axis] ?? 0) - at) * sign >= 0;
    points.forEach((point, i) => {
      const before = points[(i + points.length - 1) % points.length]!;
      if (inside(point) !== inside(before)) {
        const [a, b] = [before[axis] ?? 0, point[axis] ?? 0];
        const share = (at - a) / (b - a);
        const other = axis === 0 ? 1 : 0;
        const cut: GeoJSON.Position = [0, 0];
        cut[axis] = at;
        cut[other] = (before[other] ?? 0) + share * ((point[other] ?? 0) - (before[other] ?? 0));
        kept.push(cut);
      }
      if (inside(point)) kept.push(point);
    });
    points = kept;
    if (!points.length) return [];
  }
  return [...points, points[0]!];
}

/** The runs of a line that touch the box; a run keeps one point beyond each end. */
export function clipLine(line: readonly Point[], box: Box): Point[][] {
  const runs: Point[][] = [];
  let run: Point[] | null = null;
  for (let i = 1; i < line.length; i += 1) {
    const [a, b] = [line[i - 1]!, line[i]!];
    const apart =
      Math.max(a[0], b[0]) < box[0] || Math.min(a[0], b[0]) > box[2] ||
      Math.max(a[1], b[1]) < box[1] || Math.min(a[1], b[1]) > box[3];
    if (apart) run = null;
    else if (run) run.push(b);
    else runs.push((run = [a, b]));
  }
  return runs;
}

const lines = (all: Point[][]): GeoJSON.FeatureCollection => ({
  type: 'FeatureCollection',
  features: [{ type: 'Feature', geometry: { type: 'MultiLineString', coordinates: all }, properties: {} }],
});

export interface Drawn {
  land: GeoJSON.FeatureCollection;
  coast: GeoJSON.FeatureCollection;
  borders: GeoJSON.FeatureCollection;
  names: GeoJSON.FeatureCollection;
}

/** What of the outline lies in a box, ready to draw. */
export function drawn(outline: Outline, box: Box): Drawn {
  return {
    land: {
      type: 'FeatureCollection',
      features: outline.land.flatMap((polygon) => {
        const rings = polygon.coordinates.map((ring) => clipRing(ring, box)).filter((ring) => ring.length > 3);
        return rings.length
          ? [{ type: 'Feature' as const, geometry: { type: 'Polygon' as const, coordinates: rings }, properties: {} }]
          : [];
      }),
    },
    coast: lines(outline.coast.flatMap((line) => clipLine(line, box))),
    borders: lines(outline.borders.flatMap((line) => clipLine(line, box))),
    names: {
      type: 'FeatureCollection',
      features: outline.names.map(({ name, at, size }) => ({
        type: 'Feature',
        geometry: { type: 'Point', coordinates: at },
        properties: { name, size },
      })),
    },
  };
}
