// Clips: playing them, and having the engine make a video of one.

import { find, showProgress } from './dom.js';
import { chosenNetwork } from './networks.js';
import { setShape, shownBackground, shownKind } from './stage.js';

const clip = find('clip');
let address = null;

/** Plays a clip in the element of clips; the last one's memory is given back. */
export function play(file) {
  stopClip();
  address = URL.createObjectURL(file);
  clip.src = address;
  clip.loop = true;
  clip.onloadedmetadata = () => setShape(clip.videoWidth || 16, clip.videoHeight || 9);
  clip.play().catch(() => {}); // a browser that does not let it play leaves the controls
}

export function stopClip() {
  clip.pause();
  clip.removeAttribute('src');
  clip.load();
  if (address) URL.revokeObjectURL(address);
  address = null;
}

/** How a clip is to look, as the network, the view and the background say. */
export function chooseLook() {
  const kind = shownKind();
  const background = kind === 'composite' ? shownBackground() : { kind: 'none' };
  return {
    network: chosenNetwork(),
    kind,
    background: background.kind === 'blur' ? 'blur' : background.colour ?? null,
    backgroundPicture: background.file ?? null,
  };
}

export const sameLook = (a, b) => Object.keys(a).every((name) => a[name] === b[name]);

/** The video that shows a clip with that look. */
export async function matteClip(engine, file, look, { limits, signal }) {
  await checkLength(file, limits?.clipSeconds);
  signal.throwIfAborted();
  showProgress('Matting the clip. This takes longer than the clip itself…');
  return engine.cutOutClip(file, {
    ...look,
    signal,
    onProgress: (text, share) => signal.aborted || showProgress(text, share),
  });
}

/** Saves an upload that would only be refused. */
async function checkLength(file, most) {
  const seconds = most ? await lengthOf(file) : 0;
  if (seconds > most + 1) {
    throw new Error(`The clip has ${Math.round(seconds)} s; up to ${most} s are taken.`);
  }
}

/** A clip's seconds; 0 where the browser cannot play it: the engine may still read it. */
function lengthOf(file) {
  const video = document.createElement('video');
  const url = URL.createObjectURL(file);
  return new Promise((resolve) => {
    video.onloadedmetadata = () => resolve(Number.isFinite(video.duration) ? video.duration : 0);
    video.onerror = () => resolve(0);
    video.preload = 'metadata';
    video.src = url;
  }).finally(() => URL.revokeObjectURL(url));
}
