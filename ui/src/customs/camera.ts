/** Codes read by this device's own camera, in the browser: no picture leaves it. */

export interface Camera {
  stop: () => void;
}

/** The rest between two looks; a look takes a phone some tens of milliseconds. */
const REST_MS = 120;
/** The longer side of the picture that is looked at: enough for a code of 2.5 cm that fills a third of it. */
const LOOK_AT_PX = 800;

/** Why there is no camera, in the catalogue's words. */
export type NoCamera = 'insecure' | 'denied' | 'none' | 'failed';
export class CameraTrouble extends Error {
  constructor(readonly why: NoCamera, cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause));
  }
}

function troubleOf(error: unknown): CameraTrouble {
  const name = error instanceof DOMException ? error.name : '';
  if (name === 'NotAllowedError' || name === 'SecurityError') return new CameraTrouble('denied', error);
  if (name === 'NotFoundError' || name === 'OverconstrainedError') return new CameraTrouble('none', error);
  return new CameraTrouble('failed', error);
}

/** Shows the rear camera in `video` and tells of every code seen, each time it is seen. Raises CameraTrouble. */
export async function watch(video: HTMLVideoElement, onCode: (text: string) => void): Promise<Camera> {
  if (!navigator.mediaDevices?.getUserMedia) throw new CameraTrouble('insecure', 'no secure context');
  let stream: MediaStream;
  try {
    const size = { width: { ideal: 1280 }, height: { ideal: 720 } };
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment', ...size }, audio: false });
  } catch (error) {
    throw troubleOf(error);
  }
  const end = () => stream.getTracks().forEach((track) => track.stop());
  try {
    const { read } = await import('./decoder');
    video.srcObject = stream;
    await video.play();
    const canvas = document.createElement('canvas');
    const paper = canvas.getContext('2d', { willReadFrequently: true });
    if (!paper) throw new CameraTrouble('failed', 'no canvas');
    let timer: ReturnType<typeof setTimeout>;
    const look = () => {
      timer = setTimeout(look, REST_MS);
      if (!video.videoWidth || document.hidden) return;
      const scale = Math.min(1, LOOK_AT_PX / Math.max(video.videoWidth, video.videoHeight));
      canvas.width = Math.round(video.videoWidth * scale);
      canvas.height = Math.round(video.videoHeight * scale);
      paper.drawImage(video, 0, 0, canvas.width, canvas.height);
      const text = read(paper.getImageData(0, 0, canvas.width, canvas.height));
      if (text) onCode(text);
    };
    look();
    return {
      stop: () => {
        clearTimeout(timer);
        end();
        video.srcObject = null;
      },
    };
  } catch (error) {
    end();
    throw error instanceof CameraTrouble ? error : troubleOf(error);
  }
}
