/** The decoder of QR codes: a heavy piece, loaded when a camera is first used. */
import jsQR from 'jsqr';

export type Picture = Pick<ImageData, 'data' | 'width' | 'height'>;

/** The text of a QR code in a picture, or null where there is none that can be read. Codes are printed dark on light. */
export function read({ data, width, height }: Picture): string | null {
  return jsQR(data, width, height, { inversionAttempts: 'dontInvert' })?.data || null;
}
