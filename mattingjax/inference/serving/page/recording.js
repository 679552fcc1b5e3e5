// Recording what a live clip shows, with the clip's sound.

import { draw, newCanvas } from './pictures.js';
import { shownBackground, shownKind } from './stage.js';

// Chromium's VP8 has luma of the full range, and cannot say so: other players show too much contrast.
const TYPES = ['video/webm;codecs=vp9,opus', 'video/webm', 'video/mp4'];
const TYPE = TYPES.find((type) => window.MediaRecorder?.isTypeSupported(type));
const WHITE = { kind: 'colour', colour: '#ffffff' };

/** Whether this browser records what a canvas shows. */
export const canRecord = Boolean(TYPE && HTMLCanvasElement.prototype.captureStream);

/** What is told of it. */
export const RECORDING = canRecord
  ? '“Record” saves the clip, on white where no background is chosen.'
  : 'Clips are shown here, but this browser cannot save them.';

/** What a recording holds: few browsers record what is transparent, so a cut-out is on something. */
export const recordedKind = () => (shownKind() === 'alpha' ? 'alpha' : 'composite');

let film = null; // what is recorded: its canvas, the time it begins at, and `start` to call then

/** Adds a matted frame, the clip's at that time, to what is recorded, if anything is. */
export function addFrame(layers, time) {
  if (!film) return;
  const { canvas, start } = film;
  const { width, height } = layers.cutout;
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  const background = shownBackground();
  draw(canvas, recordedKind(), layers, background.kind === 'none' ? WHITE : background);
  if (time <= film.begin) start();
}

/**
 * Plays a clip that is matted live once, from its beginning, and gives a Blob of the film; `addFrame`
 * must get its frames meanwhile. `onProgress` is called with the share in [0, 1] that is played.
 */
export async function record(clip, signal, onProgress) {
  const canvas = newCanvas(1, 1);
  canvas.getContext('2d'); // or Firefox has no stream of it
  clip.pause();
  clip.loop = false;
  await new Promise((resolve, reject) => {
    film = { canvas, start: resolve, begin: 0 };
    signal.addEventListener('abort', () => {
      film = null;
      reject(signal.reason);
    });
    // Browsers may land beside it.
    const landed = () => { if (film) film.begin = clip.currentTime; };
    clip.addEventListener('seeked', landed, { once: true, signal });
    clip.currentTime = 0;
  });
  const sound = clip.captureStream?.().getAudioTracks() ?? [];
  const stream = new MediaStream([...canvas.captureStream().getVideoTracks(), ...sound]);
  const recorder = new MediaRecorder(stream, { mimeType: TYPE });
  const parts = [];
  recorder.addEventListener('dataavailable', ({ data }) => parts.push(data));
  const stopped = new Promise((resolve, reject) => {
    recorder.addEventListener('stop', resolve);
    recorder.addEventListener('error', () => reject(new Error('This browser cannot record it.')));
  });
  const ended = new AbortController();
  const stop = () => recorder.state !== 'inactive' && recorder.stop();
  const listen = (target, name, hear) => target.addEventListener(name, hear, { signal: ended.signal });
  listen(clip, 'timeupdate', () => onProgress(clip.currentTime / clip.duration));
  listen(clip, 'ended', stop);
  listen(signal, 'abort', stop);
  recorder.start();
  await clip.play();
  await stopped.finally(() => ended.abort());
  film = null;
  signal.throwIfAborted();
  return new Blob(parts, { type: TYPE });
}
