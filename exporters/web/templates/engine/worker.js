// Computes cut-outs of photos and alphas of frames beside the page, which never waits: answers every
// message {id, task, ...} with {id, answer} or {id, error}. engine.js asks for one thing after the
// other.

import { cutOut } from './foreground.js';
import { Network } from './network.js';
import { encodePng } from './png.js';
import { refine } from './refining.js';

const FINEST = 1536; // pixels of the longer side at which a photo's foreground is estimated
const MEGAPIXELS = 64; // of a photo, at most
const BAND = 2 ** 22; // pixels of the canvas, at most: iPhones allow it four times as many

const opened = Network.open(new URL('../', import.meta.url));
const canvas = new OffscreenCanvas(1, 1);

const tasks = {
  async open() {
    return (await opened).description;
  },

  async photo({ photo, refined }) {
    let bitmap;
    try {
      bitmap = await createImageBitmap(photo); // upright
    } catch {
      throw new Error(
        `The file is no picture that this browser can read (${photo.type || 'of no known type'}).`,
      );
    }
    const { pixels, size } = read(bitmap);
    const network = await opened;
    const alpha = await network.matte(pixels, size);
    if (refined) refine(pixels, alpha, size, network.sees(size));
    cutOut(pixels, alpha, size, FINEST);
    return encodePng(pixels, size);
  },

  async frame({ frame }) {
    const { pixels, size } = read(frame);
    return { pixels, alpha: await (await opened).matte(pixels, size), size };
  },
};

/** The pixels of a bitmap, RGBA, what is transparent on white as the library does it. */
function read(bitmap) {
  const { width, height } = bitmap;
  if (width * height > MEGAPIXELS * 1e6) {
    bitmap.close();
    throw new Error(`The photo is too large: ${width}x${height}, more than ${MEGAPIXELS} megapixels.`);
  }
  const most = Math.min(height, Math.max(1, Math.floor(BAND / width)));
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== most) canvas.height = most;
  const context = canvas.getContext('2d', { willReadFrequently: true });
  context.fillStyle = 'white';
  const pixels = new Uint8ClampedArray(4 * width * height);
  for (let top = 0; top < height; top += most) {
    context.fillRect(0, 0, width, most);
    context.drawImage(bitmap, 0, -top);
    const { data } = context.getImageData(0, 0, width, Math.min(most, height - top));
    pixels.set(data, 4 * width * top);
  }
  bitmap.close();
  return { pixels, size: [height, width] };
}

self.onmessage = async ({ data: { id, task, ...rest } }) => {
  try {
    const answer = await tasks[task](rest);
    const arrays = Object.values(answer).filter(ArrayBuffer.isView);
    self.postMessage({ id, answer }, arrays.map(({ buffer }) => buffer));
  } catch (error) {
    self.postMessage({ id, error: error.message });
  }
};
