/** The longest round distance that fits the scale bar (px at most `room`), at a latitude and zoom. */
export function clampScale(lat: number, zoom: number, room = 96): { px: number; metres: number } {
  const metresPerPx = (40_075_016.686 * Math.cos((lat * Math.PI) / 180)) / (512 * 2 ** zoom);
  const most = metresPerPx * room;
  const ten = 10 ** Math.floor(Math.log10(most));
  const step = [5, 2, 1].find((n) => n * ten <= most) ?? 1;
  const metres = step * ten;
  return { px: Math.round(metres / metresPerPx), metres };
}
