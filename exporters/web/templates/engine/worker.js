// Computes cut-outs beside the page, which never waits: answers every message {id, task, ...} with
// {id, answer} or {id, error}. engine.js asks for one thing after the other.

import { cutOut } from './foreground.js';
import { Network } from './network.js';
import { encodePng } from './png.js';
import { refine } from './refining.js';

const FINEST = 1536; // pixels of the longer side at which a photo's foreground is estimated
const FINEST_LIVE = 256; // and a frame's
const MEGAPIXELS = 64; // of a photo, at most

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
    cutOut(pixels, await (await opened).matte(pixels, size), size, FINEST_LIVE);
    return { pixels, size };
  },
};

/** The pixels of a bitmap, RGBA, what is transparent on white as the library does it. */
function read(bitmap) {
  const { width, height } = bitmap;
  if (width * height > MEGAPIXELS * 1e6) {
    bitmap.close();
    throw new Error(`The photo is too large: ${width}x${height}, more than ${MEGAPIXELS} megapixels.`);
  }
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  const context = canvas.getContext('2d', { willReadFrequently: true });
  context.fillStyle = 'white';
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return { pixels: context.getImageData(0, 0, width, height).data, size: [height, width] };
}

self.onmessage = async ({ data: { id, task, ...rest } }) => {
  try {
    const answer = await tasks[task](rest);
    self.postMessage({ id, answer }, answer.pixels ? [answer.pixels.buffer] : []);
  } catch (error) {
    self.postMessage({ id, error: error.message });
  }
};
