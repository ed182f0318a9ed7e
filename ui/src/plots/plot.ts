import type uPlot from 'uplot';

/** One quantity over time: x in seconds since 1970, gaps where nothing was measured. */
export interface Series {
  key: 'seal' | 'battery' | 'speed' | 'temperature';
  unit: string;
  values: (number | null)[];
  stepped?: boolean;
  range?: [number, number];
  ticks?: [at: number, name: string][];
}

export interface PlotInk {
  line: string;
  text: string;
  grid: string;
  cursor: string;
}

/** The options of one small plot; `moment` gives the replay's second, drawn as an upright line. */
export function plotOptions(
  series: Series,
  ink: PlotInk,
  width: number,
  height: number,
  syncKey: string,
  last: boolean,
  locale: string,
  moment: () => number | null,
  stepped: uPlot.Series.PathBuilder | undefined,
): uPlot.Options {
  const font = '11px -apple-system, "Segoe UI", "Noto Sans", "Liberation Sans", sans-serif';
  const time = new Intl.DateTimeFormat(locale, { hour: '2-digit', minute: '2-digit', hour12: false });
  const axis = {
    stroke: ink.text,
    font,
    grid: { stroke: ink.grid, width: 1 },
    ticks: { show: false },
  };
  return {
    width,
    height,
    padding: [8, 10, 0, 0],
    legend: { show: false },
    cursor: {
      sync: { key: syncKey },
      drag: { x: false, y: false },
      points: { size: 6, fill: ink.line },
      y: false,
    },
    scales: { x: { time: true }, y: series.range ? { range: series.range } : {} },
    axes: [
      {
        ...axis,
        size: last ? 22 : 4,
        values: last ? (_u, ticks) => ticks.map((tick) => time.format(tick * 1_000)) : () => [],
        space: 80,
      },
      {
        ...axis,
        size: 62,
        space: 24,
        ...(series.ticks
          ? {
              splits: () => series.ticks!.map(([at]) => at),
              values: (_u: uPlot, ticks: number[]) =>
                ticks.map((tick) => series.ticks!.find(([at]) => at === tick)?.[1] ?? ''),
            }
          : {
              values: (_u: uPlot, ticks: number[]) =>
                ticks.map((tick) => `${new Intl.NumberFormat(locale).format(tick)} ${series.unit}`),
            }),
      },
    ],
    series: [
      {},
      {
        stroke: ink.line,
        width: 1.5,
        spanGaps: false,
        points: { show: false },
        ...(stepped ? { paths: stepped } : {}),
      },
    ],
    hooks: {
      draw: [
        (u) => {
          const at = moment();
          if (at === null) return;
          const { left, width: room } = u.bbox;
          const x = Math.min(left + room - 1, Math.max(left + 1, u.valToPos(at, 'x', true)));
          u.ctx.save();
          u.ctx.strokeStyle = ink.cursor;
          u.ctx.lineWidth = 1.5 * devicePixelRatio;
          u.ctx.beginPath();
          u.ctx.moveTo(x, u.bbox.top);
          u.ctx.lineTo(x, u.bbox.top + u.bbox.height);
          u.ctx.stroke();
          u.ctx.restore();
        },
      ],
    },
  };
}
