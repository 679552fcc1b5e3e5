// Live matting: frames of a playing video, each given to the engine when it may have one.

import { newCanvas } from './pictures.js';

const LONGEST = 1280; // pixels of a frame's long side

/**
 * Mattes frames until the signal aborts. `cutOutFrame` gets a frame, and a function that it may call
 * as soon as it can take another; two are computed at a time at most.
 * `onPair` gets the layers, two canvases that stay as they are until its next call, the cut-out's
 * pixels, and the video's time in seconds.
 */
export async function matteLive(video, cutOutFrame, onPair, signal) {
  const photos = [0, 1, 2].map(() => newCanvas(1, 1)); // the one shown, and those that are matted
  const cutout = newCanvas(1, 1);
  const show = (photo, result, time) => {
    if (signal.aborted) return;
    setSize(cutout, result.width, result.height);
    cutout.getContext('2d').putImageData(result, 0, 0);
    onPair({ photo, cutout }, result, time);
  };
  let shown = null; // once the last frame is
  let coming = nextFrame(video, signal);
  for (;;) {
    await coming;
    if (signal.aborted) return;
    if (video.error) throw new Error('This browser cannot play this clip.');
    const photo = photos.shift();
    photos.push(photo);
    const time = video.currentTime;
    grab(video, photo);
    coming = nextFrame(video, signal); // one that comes while this is matted is not waited for
    const bitmap = await createImageBitmap(photo);
    const before = shown;
    await new Promise((resolve, reject) => {
      shown = cutOutFrame(bitmap, resolve).then((result) => show(photo, result, time));
      shown.then(resolve, reject);
    });
    await before;
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

/**
 * Waits for a new frame, or for what says that there will be none. A paused video and a hidden page
 * have none, and cost nothing.
 */
function nextFrame(video, signal) {
  return new Promise((resolve) => {
    const end = () => {
      signal.removeEventListener('abort', end); // or they gather, one a frame
      video.removeEventListener('error', end);
      resolve();
    };
    signal.addEventListener('abort', end);
    video.addEventListener('error', end);
    if (video.error) end();
    else if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(end);
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
