// Downloads, and the clipboard: what is shown, at the photo's own size.

import { find, say, stem } from './dom.js';
import { draw, newCanvas, readPicture, toFile } from './pictures.js';
import { shownBackground, shownKind } from './stage.js';

const SUFFIXES = { 'image/png': 'png', 'image/jpeg': 'jpg', 'video/mp4': 'mp4', 'video/webm': 'webm' };
const KEPT = 60_000; // milliseconds after which a download has surely begun

/** Only a photo that is shown opaque can be a JPEG. */
export function offerFormats(mode) {
  find('format').hidden = mode !== 'photo' || shownKind() === 'cutout';
}

/** The picture that is shown, as a file of its own; a cut-out is the engine's file, untouched. */
export async function makeFile(shown, type) {
  const kind = shownKind();
  if (kind === 'cutout') return shown.file;
  const { canvas: cutout } = await readPicture(shown.file);
  let background = shownBackground();
  if (background.kind === 'picture') {
    background = { ...background, picture: (await readPicture(background.file)).canvas };
  }
  const canvas = newCanvas(cutout.width, cutout.height);
  // What is blurred needs no more pixels than are on screen.
  draw(canvas, kind, { photo: shown.photo, cutout }, background);
  return toFile(canvas, type, 0.95);
}

/** Has the browser save a file. */
function save(file, name, kind) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(file);
  link.download = `${stem(name)}_${kind}.${SUFFIXES[file.type.split(';')[0]] ?? 'png'}`;
  link.click();
  say(`Saved ${link.download}.`);
  setTimeout(() => URL.revokeObjectURL(link.href), KEPT);
}

/** Downloads the photo as it is shown, or the clip as it was matted. */
export async function download(shown) {
  if (shown.cutout) {
    say('Saving…');
    const file = await makeFile(shown, `image/${find('format').value}`);
    save(file, shown.source.name, shownKind());
  } else {
    save(shown.file, shown.source.name, shown.kind);
  }
}

export async function copy(shown) {
  say('Copying…');
  // Safari wants the promise, not the file: it asks for the permission at once.
  const item = new ClipboardItem({ 'image/png': makeFile(shown, 'image/png') });
  await navigator.clipboard.write([item]);
  say('Copied.');
}
