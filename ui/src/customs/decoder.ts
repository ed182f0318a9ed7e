/** The decoder of QR codes, Data Matrix and Code 128: a heavy piece, loaded when a camera is first used. */
import {
  BarcodeFormat,
  BinaryBitmap,
  DecodeHintType,
  HybridBinarizer,
  MultiFormatReader,
  NotFoundException,
  RGBLuminanceSource,
} from '@zxing/library';

const FORMATS = [BarcodeFormat.QR_CODE, BarcodeFormat.DATA_MATRIX, BarcodeFormat.CODE_128];

/** 0 to 255 a pixel, as the decoder takes them (ITU-R BT.601 weights). */
export function greys({ data, width, height }: Pick<ImageData, 'data' | 'width' | 'height'>): Uint8ClampedArray {
  const found = new Uint8ClampedArray(width * height);
  for (let i = 0, p = 0; i < found.length; i += 1, p += 4)
    found[i] = (data[p]! * 77 + data[p + 1]! * 150 + data[p + 2]! * 29) >> 8;
  return found;
}

/** A function that gives the text of a code in a picture, or null where there is none that can be read. */
export function reader(): (picture: Pick<ImageData, 'data' | 'width' | 'height'>) => string | null {
  const multi = new MultiFormatReader();
  multi.setHints(new Map<DecodeHintType, unknown>([[DecodeHintType.POSSIBLE_FORMATS, FORMATS]]));
  return (picture) => {
    const source = new RGBLuminanceSource(greys(picture), picture.width, picture.height);
    try {
      return multi.decodeWithState(new BinaryBitmap(new HybridBinarizer(source))).getText();
    } catch (error) {
      if (isUnreadable(error)) return null;
      throw error;
    } finally {
      multi.reset();
    }
  };
}

/** Most pictures hold no code, and some hold half of one: the decoder tells both by an exception. */
function isUnreadable(error: unknown): boolean {
  if (error instanceof NotFoundException) return true;
  const kind = (error as { getKind?: () => string }).getKind?.() ?? '';
  return kind === 'ChecksumException' || kind === 'FormatException' || kind === 'NotFoundException';
}
