// Live matting: frames of a playing video, each given to the engine when it has done the last one.

import { newCanvas } from './pictures.js';

const LONGEST = 1280; // pixels of a frame's long side

/**
 * Mattes frames until the signal aborts.
 * `onPair` gets the layers, two canvases that stay as they are until its next call, and the cut-out's pixels.
 */
export async function matteLive(video, cutOutFrame, onPair, signal) {
  const photos = [newCanvas(1, 1), newCanvas(1, 1)]; // the one shown, and the one that is matted
  const cutout = newCanvas(1, 1);
  while (!signal.aborted) {
    await nextFrame(video, signal);
    const photo = photos.reverse()[0];
    grab(video, photo);
    const result = await cutOutFrame(await createImageBitmap(photo));
    if (signal.aborted) return;
    setSize(cutout, result.width, result.height);
    cutout.getContext('2d').putImageData(result, 0, 0);
    onPair({ photo, cutout }, result);
  }
}

function grab(video, canvas) {
  const scale = Math.min(1, LONGEST / Math.max(video.videoWidth, video.videoHeight));
  setSize(canvas, Math.round(video.videoWidth * scale), Math.round(video.videoHeight * scale));
  const context = canvas.getContext('2d');
  const mirrored = video.classList.contains('mirrored');
  context.setTransform(mirrored ? -1 : 1, 0, 0, 1, mirrored ? canvas.width : 0, 0);
  context.drawImage(video, 0, 0, canvas.width, canvas.height);
}

/** Setting a size, even the same one, clears a canvas and takes time. */
function setSize(canvas, width, height) {
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
}

/** Waits for a new frame; a paused video and a hidden page have none, and cost nothing. */
function nextFrame(video, signal) {
  return new Promise((resolve) => {
    const end = () => {
      signal.removeEventListener('abort', end); // or they gather, one a frame
      resolve();
    };
    signal.addEventListener('abort', end);
    if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(end);
    else requestAnimationFrame(end);
  });
}

/** Counts frames: call the result once a frame; it gives those of the last second. */
export function createCounter() {
  let times = [];
  return () => {
    const now = performance.now();
    times = [...times.filter((time) => now - time < 1000), now];
    return times.length;
  };
}
