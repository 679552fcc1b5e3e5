// Pictures on canvases: reading them, and drawing what is made of a photo and its cut-out.
//
// Layers are {photo, cutout}: two canvases of one size; photo is null where the browser cannot read
// it. A background is {kind: 'none'}, {kind: 'colour', colour}, {kind: 'picture', picture, file} or
// {kind: 'blur'}.

// On screen pictures are no larger than this, however large the photo: drawing stays smooth.
// Downloads have the photo's own size.
export const PREVIEW = 2048; // pixels of the long side

const BLURRED = 28; // pixels of the short side that are left of a blurred photo

export function newCanvas(width, height) {
  const canvas = document.createElement('canvas');
  canvas.width = Math.max(1, Math.round(width));
  canvas.height = Math.max(1, Math.round(height));
  return canvas;
}

/**
 * Reads a picture, upright, and shrinks it to a long side of at most `longest` pixels.
 * Rejects where the browser does not read the format. Gives the picture's own size too.
 */
export async function readPicture(file, longest = Infinity) {
  const bitmap = await createImageBitmap(file);
  const { width, height } = bitmap;
  const scale = Math.min(1, longest / Math.max(width, height));
  const canvas = newCanvas(width * scale, height * scale);
  const context = canvas.getContext('2d');
  context.imageSmoothingQuality = 'high';
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return { canvas, width, height };
}

/** Draws the cut-out, the alpha or the composite over the whole of a canvas. */
export function draw(canvas, kind, layers, background) {
  const context = canvas.getContext('2d');
  const { width, height } = canvas;
  context.clearRect(0, 0, width, height);
  if (kind === 'composite') drawBackground(context, background, layers);
  context.drawImage(layers.cutout, 0, 0, width, height);
  if (kind === 'alpha') {
    // White wherever something is, as far as it is there, and black under it: grey levels of alpha.
    fill(context, '#fff', 'source-in');
    fill(context, '#000', 'destination-over');
  }
}

function fill(context, colour, operation) {
  context.save();
  context.globalCompositeOperation = operation;
  context.fillStyle = colour;
  context.fillRect(0, 0, context.canvas.width, context.canvas.height);
  context.restore();
}

function drawBackground(context, background, layers) {
  const { width, height } = context.canvas;
  if (background.kind === 'colour') {
    fill(context, background.colour, 'source-over');
  } else if (background.kind === 'picture') {
    drawCovering(context, background.picture);
  } else if (background.kind === 'blur' && layers.photo) {
    context.drawImage(blurBackground(layers), 0, 0, width, height);
  }
}

/** Draws the middle of a picture, as large as the canvas needs it. */
function drawCovering(context, picture) {
  const { width, height } = context.canvas;
  const scale = Math.min(picture.width / width, picture.height / height);
  const [w, h] = [width * scale, height * scale];
  context.imageSmoothingQuality = 'high';
  context.drawImage(
    picture, (picture.width - w) / 2, (picture.height - h) / 2, w, h, 0, 0, width, height,
  );
}

/**
 * The photo's background, blurred without the person, whose colours would glow around them.
 * Shrinking and enlarging blurs in every browser, and quickly; the filter 'blur' does neither.
 */
function blurBackground({ photo, cutout }) {
  const others = newCanvas(photo.width, photo.height);
  const context = others.getContext('2d');
  context.drawImage(photo, 0, 0);
  context.globalCompositeOperation = 'destination-out';
  context.drawImage(cutout, 0, 0, photo.width, photo.height);
  const small = shrink(others);
  const smallContext = small.getContext('2d');
  // Near the person the background is faint by now: laid over itself it becomes opaque again.
  for (let i = 0; i < 5; i++) smallContext.drawImage(small, 0, 0);
  smallContext.globalCompositeOperation = 'destination-over';
  smallContext.drawImage(shrink(photo), 0, 0);
  return enlarge(small, photo.width / 2);
}

/** Halves a picture as often as possible, so that every pixel counts, and then once more by less. */
function shrink(picture) {
  const scale = Math.min(1, BLURRED / Math.min(picture.width, picture.height));
  const [width, height] = [picture.width * scale, picture.height * scale];
  let last = picture;
  while (last.width / 2 > width && last.height / 2 > height) last = resize(last, 0.5);
  return resize(last, width / last.width);
}

/** Doubles a picture until it is wide enough: smoother than one step. */
function enlarge(picture, width) {
  let last = picture;
  while (last.width < width) last = resize(last, 2);
  return last;
}

function resize(picture, scale) {
  const canvas = newCanvas(picture.width * scale, picture.height * scale);
  canvas.getContext('2d').drawImage(picture, 0, 0, canvas.width, canvas.height);
  return canvas;
}

/** The pixels of a canvas, or null of none. */
export const pixelsOf = (canvas) =>
  canvas && canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);

/** A canvas as a file. */
export async function toFile(canvas, type, quality) {
  const file = await new Promise((resolve) => canvas.toBlob(resolve, type, quality));
  if (!file) throw new Error('This browser cannot hold a picture of this size.');
  return file;
}
