// Where photos and clips come from: a file, a drop, the clipboard, an example.

import { find, say } from './dom.js';

const CLIP = /\.(mp4|m4v|mov|webm|mkv|avi)$/i;

export const isClip = (file) => file.type.startsWith('video/') || CLIP.test(file.name);

/** Calls `take` with every file that somebody gives. */
export function onFile(take) {
  const input = find('file');
  input.addEventListener('change', () => {
    if (input.files[0]) take(input.files[0]);
    input.value = ''; // the same file may be chosen again
  });
  document.addEventListener('paste', (event) => {
    const file = event.clipboardData?.files[0];
    if (!file) return;
    event.preventDefault();
    take(file);
  });
  takeDrops(take);
  for (const button of document.querySelectorAll('[data-photo]')) {
    button.addEventListener('click', () => takeExample(button.dataset.photo, take));
  }
}

function takeDrops(take) {
  const mark = (dragging) => document.body.classList.toggle('dragging', dragging);
  document.addEventListener('dragover', (event) => {
    event.preventDefault(); // or the browser opens the file
    mark(true);
  });
  document.addEventListener('dragleave', (event) => event.relatedTarget ?? mark(false));
  document.addEventListener('drop', (event) => {
    event.preventDefault();
    mark(false);
    const file = event.dataTransfer.files[0];
    if (file) take(file);
    else say('Only files can be dropped here: save the picture first.', true);
  });
}

async function takeExample(path, take) {
  try {
    const answer = await fetch(path);
    if (!answer.ok) throw new Error(answer.statusText);
    const blob = await answer.blob();
    take(new File([blob], path.split('/').pop(), { type: blob.type }));
  } catch {
    say('The example cannot be loaded.', true);
  }
}
