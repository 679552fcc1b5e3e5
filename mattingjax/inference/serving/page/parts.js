// What is on screen beside the sources of photos, by what is worked at.

import { find } from './dom.js';

const PARTS = {
  nothing: ['camera'],
  photo: ['result', 'frame', 'controls', 'saving', 'zoom', 'show-compare', 'format', 'copy', 'refining', 'camera'],
  clip: ['result', 'clip', 'controls', 'saving', 'camera'],
  viewfinder: ['viewfinder', 'shots'],
  live: ['result', 'frame', 'controls', 'zoom', 'show-compare', 'shots', 'speed'],
};
const ALL = new Set(Object.values(PARTS).flat());

export function showParts(mode) {
  document.body.dataset.mode = mode; // for the style sheet
  for (const id of ALL) find(id).hidden = !PARTS[mode].includes(id);
  find('copy').hidden ||= !navigator.clipboard?.write;
}

/** A clip that is shown live can be recorded where the browser records. */
export function nameShots(isClip, canRecord) {
  find('shoot').textContent = isClip ? 'Take this frame' : 'Take photo';
  find('record').hidden = !(isClip && canRecord);
}
