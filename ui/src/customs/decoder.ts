/** The decoder of QR codes and of Code 128: a heavy piece, loaded when a camera is first used. */
import BinaryBitmap from '@zxing/library/esm/core/BinaryBitmap';
import HybridBinarizer from '@zxing/library/esm/core/common/HybridBinarizer';
import Exception from '@zxing/library/esm/core/Exception';
import Code128Reader from '@zxing/library/esm/core/oned/Code128Reader';
import QRCodeReader from '@zxing/library/esm/core/qrcode/QRCodeReader';
import type Reader from '@zxing/library/esm/core/Reader';
import RGBLuminanceSource from '@zxing/library/esm/core/RGBLuminanceSource';

export type Picture = Pick<ImageData, 'data' | 'width' | 'height'>;

/** 0 to 255 a pixel, as the decoder takes them (ITU-R BT.601 weights). */
export function greys({ data, width, height }: Picture): Uint8ClampedArray {
  const found = new Uint8ClampedArray(width * height);
  for (let i = 0, p = 0; i < found.length; i += 1, p += 4)
    found[i] = (data[p]! * 77 + data[p + 1]! * 150 + data[p + 2]! * 29) >> 8;
  return found;
}

/** A function that gives the text of a code in a picture, or null where there is none that can be read. */
export function reader(): (picture: Picture) => string | null {
  const readers: Reader[] = [new QRCodeReader(), new Code128Reader()];
  return (picture) => {
    const bitmap = new BinaryBitmap(new HybridBinarizer(new RGBLuminanceSource(greys(picture), picture.width, picture.height)));
    for (const one of readers) {
      const text = attempt(one, bitmap);
      if (text) return text;
    }
    return null;
  };
}

/** Most pictures hold no code, and some hold half of one: the decoder tells both by an exception of its own. */
function attempt(one: Reader, bitmap: BinaryBitmap): string | null {
  try {
    return one.decode(bitmap).getText();
  } catch (error) {
    if (error instanceof Exception) return null;
    throw error;
  } finally {
    one.reset();
  }
}
