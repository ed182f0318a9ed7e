import type { CustomLayerInterface, Map as MapLibre } from 'maplibre-gl';
import type { ObjectState, PositionRow } from '../api/types';
import { OBJECT_STATES } from '../live/positions';
import type { MapPalette } from './palette';

const SIZE_PX: Record<ObjectState, number> = {
  ended: 15,
  normal: 20,
  silent: 22,
  info: 20,
  warn: 24,
  high: 25,
  critical: 30,
};
const UNKNOWN_COURSE = -100;
const FLOATS = 4;

const VERTEX = `#version 300 es
precision highp float;
in vec4 a_mark; // x, y from the anchor in mercator units; state; course in radians
uniform vec2 u_shift, u_scale;
uniform float u_size[7], u_ratio;
flat out int v_state;
flat out float v_course, v_px;
void main() {
  v_state = int(a_mark.z + 0.5);
  v_course = a_mark.w;
  v_px = u_size[v_state] * u_ratio;
  gl_PointSize = v_px;
  gl_Position = vec4(u_shift + a_mark.xy * u_scale, 0.0, 1.0);
}`;

// Each state has a shape of its own, so that it can be told without its colour: an arrow, a dot, a
// triangle, a diamond, an octagon with a ring, a crossed circle, a small square.
const FRAGMENT = `#version 300 es
precision highp float;
flat in int v_state;
flat in float v_course, v_px;
uniform vec3 u_colour[7], u_edge;
out vec4 colour;
float arrow(vec2 p) {
  p.x = abs(p.x);
  float side = dot(p - vec2(0.0, -0.82), vec2(0.931, -0.366));
  float notch = (p.y - 0.28 - p.x * 0.6) * 0.857;
  return max(side, notch);
}
float triangle(vec2 p) {
  p.y += 0.12;
  p.x = abs(p.x);
  return max(dot(p - vec2(0.0, -0.62), vec2(0.88, -0.475)), p.y - 0.5);
}
void main() {
  vec2 p = gl_PointCoord * 2.0 - 1.0;
  bool turns = v_course > -50.0;
  float c = cos(v_course), s = sin(v_course);
  vec2 q = turns ? vec2(c * p.x + s * p.y, -s * p.x + c * p.y) : p;
  float r = length(p), d, hole = 1.0;
  if (v_state == 0) { d = max(abs(p.x), abs(p.y)) - 0.5; hole = -(d + 0.26); }
  else if (v_state == 1) d = turns ? arrow(q) : r - 0.42;
  else if (v_state == 2) {
    d = r - 0.58; hole = -(d + 0.24);
    float slash = abs(p.x - p.y) * 0.7071 - 0.11;
    if (slash < 0.0 && d < 0.0) hole = max(hole, -slash);
  }
  else if (v_state == 3) d = r - 0.46;
  else if (v_state == 4) d = triangle(p);
  else if (v_state == 5) d = (abs(p.x) + abs(p.y)) * 0.7071 - 0.46;
  else {
    vec2 a = abs(p);
    d = max(max(a.x, a.y), (a.x + a.y) * 0.7071) - 0.44;
    float ring = abs(r - 0.78) - 0.07;
    d = min(d, ring);
  }
  float aa = 2.2 / v_px;
  // Where it heads: a small nib outside the shape, for the states whose shape does not turn.
  if (turns && v_state > 2 && v_state < 6) {
    vec2 n = vec2(abs(q.x), q.y + 0.98);
    d = min(d, max(n.x * 0.8 - n.y * 0.62, n.y - 0.3));
  }
  float body = smoothstep(aa, -aa, d) * (hole > 0.0 ? 1.0 : smoothstep(-aa, aa, hole + aa));
  float edge = smoothstep(aa, -aa, d - 0.13) * 0.85;
  vec3 ink = mix(u_edge, u_colour[v_state], body);
  float alpha = max(body, edge);
  colour = vec4(ink * alpha, alpha);
}`;

export function mercator(lon: number, lat: number): [number, number] {
  const clamped = Math.max(-85.051129, Math.min(85.051129, lat));
  const rad = (clamped * Math.PI) / 180;
  return [(lon + 180) / 360, (1 - Math.log(Math.tan(rad) + 1 / Math.cos(rad)) / Math.PI) / 2];
}

function rgb(hex: string): [number, number, number] {
  const n = Number.parseInt(hex.slice(1), 16);
  return [(n >> 16) / 255, ((n >> 8) & 255) / 255, (n & 255) / 255];
}

/**
 * Draws every moving object as one point with a shape, straight from typed arrays: one upload and one
 * draw call per update, so that ten thousand cost the main thread a few milliseconds. North is always
 * up and the map never tilts, which makes the projection a shift and a scale; both are computed in
 * double precision around an anchor near the middle, so marks do not tremble when zoomed far in.
 */
export class MarksLayer implements CustomLayerInterface {
  readonly id = 'vehicles';
  readonly type = 'custom' as const;
  #map: MapLibre | null = null;
  #program: WebGLProgram | null = null;
  #buffer: WebGLBuffer | null = null;
  #array: WebGLVertexArrayObject | null = null;
  #at: Record<string, WebGLUniformLocation | null> = {};
  #data = new Float32Array(0);
  #rows: PositionRow[] = [];
  #count = 0;
  #stale = false;
  #anchor: [number, number] = [0.5, 0.5];
  #palette: MapPalette;

  constructor(palette: MapPalette) {
    this.#palette = palette;
  }

  setPalette(palette: MapPalette): void {
    this.#palette = palette;
    this.#map?.triggerRepaint();
  }

  onAdd(map: MapLibre, gl: WebGL2RenderingContext): void {
    this.#map = map;
    const program = gl.createProgram();
    for (const [kind, text] of [
      [gl.VERTEX_SHADER, VERTEX],
      [gl.FRAGMENT_SHADER, FRAGMENT],
    ] as const) {
      const shader = gl.createShader(kind);
      if (!shader) throw new Error('the graphics context was lost while the map was set up');
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
      if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS))
        throw new Error(`vehicle marks: ${gl.getShaderInfoLog(shader) ?? 'shader refused'}`);
    }
    gl.bindAttribLocation(program, 0, 'a_mark');
    gl.linkProgram(program);
    for (const name of ['u_shift', 'u_scale', 'u_size', 'u_ratio', 'u_colour', 'u_edge'])
      this.#at[name] = gl.getUniformLocation(program, name);
    this.#program = program;
    this.#buffer = gl.createBuffer();
    this.#array = gl.createVertexArray();
    gl.bindVertexArray(this.#array);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.#buffer);
    gl.enableVertexAttribArray(0);
    gl.vertexAttribPointer(0, FLOATS, gl.FLOAT, false, 0, 0);
    gl.bindVertexArray(null);
  }

  onRemove(_map: MapLibre, gl: WebGL2RenderingContext): void {
    gl.deleteProgram(this.#program);
    gl.deleteBuffer(this.#buffer);
    gl.deleteVertexArray(this.#array);
    this.#map = null;
  }

  /** Takes the whole picture. Calm objects are laid down first, so that trouble lies on top. */
  setRows(rows: Iterable<PositionRow>, count: number): void {
    const map = this.#map;
    if (!map) return;
    const middle = map.getCenter();
    const [ax, ay] = (this.#anchor = mercator(middle.lng, middle.lat));
    if (this.#data.length < count * FLOATS) this.#data = new Float32Array(Math.ceil(count * 1.5) * FLOATS);
    const buckets: PositionRow[][] = OBJECT_STATES.map(() => []);
    for (const row of rows) buckets[Math.max(0, OBJECT_STATES.indexOf(row[6]))]!.push(row);
    const drawn: PositionRow[] = [];
    let i = 0;
    buckets.forEach((bucket, state) => {
      for (const row of bucket) {
        const [x, y] = mercator(row[3], row[2]);
        const dx = x - ax;
        this.#data[i] = dx > 0.5 ? dx - 1 : dx < -0.5 ? dx + 1 : dx;
        this.#data[i + 1] = y - ay;
        this.#data[i + 2] = state;
        this.#data[i + 3] =
          row[4] === null || (row[5] !== null && row[5] < 0.5) ? UNKNOWN_COURSE : (row[4] * Math.PI) / 180;
        i += FLOATS;
        drawn.push(row);
      }
    });
    this.#rows = drawn;
    this.#count = drawn.length;
    this.#stale = true;
    map.triggerRepaint();
  }

  /** The object nearest to a point of the screen, at most `reach` px away; what lies on top wins. */
  pick(x: number, y: number, reach = 14): PositionRow | null {
    const map = this.#map;
    if (!map) return null;
    const centre = map.getCenter();
    const [cx, cy] = mercator(centre.lng, centre.lat);
    const world = 512 * 2 ** map.getZoom();
    const box = map.getCanvas();
    const [w, h] = [box.clientWidth / 2, box.clientHeight / 2];
    let best = reach * reach;
    let found: PositionRow | null = null;
    for (let i = 0; i < this.#count; i += 1) {
      const px = (this.#data[i * FLOATS]! + this.#anchor[0] - cx) * world + w - x;
      const py = (this.#data[i * FLOATS + 1]! + this.#anchor[1] - cy) * world + h - y;
      const far = px * px + py * py;
      if (far <= best) {
        best = far;
        found = this.#rows[i] ?? null;
      }
    }
    return found;
  }

  render(context: WebGLRenderingContext | WebGL2RenderingContext): void {
    const gl = context as WebGL2RenderingContext;
    const map = this.#map;
    if (!map || !this.#count) return;
    const box = map.getCanvas();
    const [w, h] = [box.clientWidth, box.clientHeight];
    const centre = map.getCenter();
    const [cx, cy] = mercator(centre.lng, centre.lat);
    const world = 512 * 2 ** map.getZoom();
    const [sx, sy] = [(2 * world) / w, (-2 * world) / h];
    let dx = this.#anchor[0] - cx;
    if (dx > 0.5) dx -= 1;
    if (dx < -0.5) dx += 1;
    gl.useProgram(this.#program);
    gl.bindVertexArray(this.#array);
    if (this.#stale) {
      gl.bindBuffer(gl.ARRAY_BUFFER, this.#buffer);
      gl.bufferData(gl.ARRAY_BUFFER, this.#data.subarray(0, this.#count * FLOATS), gl.DYNAMIC_DRAW);
      this.#stale = false;
    }
    gl.uniform2f(this.#at['u_shift']!, dx * sx, (this.#anchor[1] - cy) * sy);
    gl.uniform2f(this.#at['u_scale']!, sx, sy);
    gl.uniform1f(this.#at['u_ratio']!, box.width / w);
    // Seen from afar marks shrink a little, so that a region stays readable.
    const grow = Math.max(0.6, Math.min(1, 0.6 + (map.getZoom() - 7) * 0.1));
    gl.uniform1fv(this.#at['u_size']!, OBJECT_STATES.map((state) => SIZE_PX[state] * grow));
    gl.uniform3fv(this.#at['u_colour']!, OBJECT_STATES.flatMap((state) => rgb(this.#palette.state[state])));
    gl.uniform3fv(this.#at['u_edge']!, rgb(this.#palette.halo));
    gl.disable(gl.DEPTH_TEST);
    gl.disable(gl.STENCIL_TEST);
    gl.drawArrays(gl.POINTS, 0, this.#count);
    gl.bindVertexArray(null);
  }
}
