import type { StyleSpecification } from 'maplibre-gl';
import fineUrl from 'world-atlas/countries-10m.json?url';
import coarseUrl from 'world-atlas/countries-50m.json?url';
import { drawn, readOutline, type Box, type CountriesTopology, type Drawn, type Outline } from './outline';
import type { MapPalette } from './palette';

/** Where layers go, bottom to top: each layer component puts itself under the mark of its slot. */
export const SLOTS = ['slot-tiles', 'slot-areas', 'slot-lines', 'slot-marks', 'slot-labels'] as const;
export type Slot = (typeof SLOTS)[number];

/** Fonts that are on the reader's machine: no glyph is ever fetched. */
export const MAP_FONT = ['Segoe UI', 'Noto Sans', 'Liberation Sans', 'Helvetica Neue', 'Arial', 'sans-serif'];

const EMPTY: GeoJSON.FeatureCollection = { type: 'FeatureCollection', features: [] };

const read = new Map<string, Promise<Outline>>();

function outlineAt(url: string): Promise<Outline> {
  let found = read.get(url);
  if (!found) {
    found = (async () => {
      const response = await fetch(url);
      if (!response.ok) throw new Error(`${url}: HTTP ${response.status}`);
      return readOutline((await response.json()) as CountriesTopology);
    })();
    found.catch(() => read.delete(url));
    read.set(url, found);
  }
  return found;
}

const FINE_FROM_ZOOM = 5.5;
const WORLD: Box = [-180, -90, 180, 90];

/**
 * The land around what is in view, from the bundled Natural Earth outline: the whole world in its
 * coarse form, or the fine form cut to three times the view, so that the map's worker only ever gets
 * a small piece.
 */
export class Ground {
  #box: Box | null = null;
  #fine = false;

  /** What to draw for a view, or null while the last answer still covers it. */
  async around(zoom: number, view: Box): Promise<Drawn | null> {
    const fine = zoom >= FINE_FROM_ZOOM;
    const [west, south, east, north] = view;
    const held = this.#box;
    const covered =
      held && fine === this.#fine && west >= held[0] && south >= held[1] && east <= held[2] && north <= held[3];
    if (covered) return null;
    const [w, h] = [east - west, north - south];
    const box: Box = fine ? [west - w, Math.max(-90, south - h), east + w, Math.min(90, north + h)] : WORLD;
    this.#box = fine ? box : [-Infinity, -90, Infinity, 90];
    this.#fine = fine;
    try {
      const outline = await outlineAt(fine ? fineUrl : coarseUrl);
      return this.#fine === fine ? drawn(outline, box) : null;
    } catch (error) {
      this.#box = null;
      throw error;
    }
  }
}

/** Lines of latitude and longitude, closer together as one zooms in. */
export function graticule(zoom: number, west: number, south: number, east: number, north: number): GeoJSON.FeatureCollection {
  const step = [30, 30, 30, 15, 10, 5, 2, 1, 0.5, 0.25, 0.1, 0.05, 0.025, 0.01][Math.min(13, Math.max(0, Math.floor(zoom)))] ?? 0.01;
  const features: GeoJSON.Feature[] = [];
  const line = (coordinates: [number, number][]) =>
    features.push({ type: 'Feature', geometry: { type: 'LineString', coordinates }, properties: {} });
  const [s, n] = [Math.max(-85, south - step), Math.min(85, north + step)];
  for (let lon = Math.floor(west / step) * step; lon <= east + step; lon += step) line([[lon, s], [lon, n]]);
  for (let lat = Math.floor(s / step) * step; lat <= n; lat += step)
    line([[west - step, lat], [east + step, lat]]);
  return { type: 'FeatureCollection', features };
}

export function groundStyle(p: MapPalette): StyleSpecification {
  const slot = (id: string) => ({ id, type: 'background' as const, layout: { visibility: 'none' as const } });
  return {
    version: 8,
    sources: {
      land: { type: 'geojson', data: EMPTY, tolerance: 0.2, maxzoom: 12 },
      coast: { type: 'geojson', data: EMPTY, tolerance: 0.2, maxzoom: 12 },
      borders: { type: 'geojson', data: EMPTY, tolerance: 0.2, maxzoom: 12 },
      names: { type: 'geojson', data: EMPTY },
      graticule: { type: 'geojson', data: EMPTY },
    },
    layers: [
      { id: 'sea', type: 'background', paint: { 'background-color': p.sea } },
      { id: 'land', type: 'fill', source: 'land', paint: { 'fill-color': p.land, 'fill-antialias': false } },
      { id: 'graticule', type: 'line', source: 'graticule', paint: { 'line-color': p.graticule, 'line-width': 1 } },
      { id: 'coast', type: 'line', source: 'coast', paint: { 'line-color': p.coast, 'line-width': ['interpolate', ['linear'], ['zoom'], 2, 0.5, 10, 1.2] } },
      { id: 'borders', type: 'line', source: 'borders', paint: { 'line-color': p.border, 'line-width': 1, 'line-dasharray': [4, 2, 1, 2] } },
      slot('slot-tiles'),
      {
        id: 'names', type: 'symbol', source: 'names', maxzoom: 8,
        layout: { 'text-field': ['get', 'name'], 'text-font': MAP_FONT, 'text-size': 11, 'text-letter-spacing': 0.12, 'text-transform': 'uppercase', 'symbol-sort-key': ['-', 0, ['get', 'size']], 'text-max-width': 8 },
        paint: { 'text-color': p.labelFaint, 'text-halo-color': p.halo, 'text-halo-width': 1 },
      },
      slot('slot-areas'),
      slot('slot-lines'),
      slot('slot-marks'),
      slot('slot-labels'),
    ],
  };
}

/** The paint of the ground's own layers, for a change of theme without losing what lies on top. */
export function groundPaint(p: MapPalette): [layer: string, property: string, value: string][] {
  return [
    ['sea', 'background-color', p.sea],
    ['land', 'fill-color', p.land],
    ['coast', 'line-color', p.coast],
    ['borders', 'line-color', p.border],
    ['graticule', 'line-color', p.graticule],
    ['names', 'text-color', p.labelFaint],
    ['names', 'text-halo-color', p.halo],
  ];
}
