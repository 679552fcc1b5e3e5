// Foreground colours, which a photo mixes with the background in hair and edges:
// mattingjax/images/foreground.py, whose docstring tells how and from where, in JavaScript.

import { cubic, linear, resize, sample } from './resizing.js';

const TRANSPARENT = 0.5 / 255;
const OPAQUE = 1 - TRANSPARENT;
const COARSEST = 8; // pixels of the coarsest level's sides at most
const SMALL = 64; // levels of up to 64 pixels a side are gone through ten times
const PASSES = 10;
const LEAST_WEIGHT = 1e-3; // a window without foreground keeps the colour of the coarser level
const MOSAIC = 128; // squares along the longer side of what is transparent

/**
 * Writes a cut-out over the photo, `pixels`, opaque RGBA [height, width]: colours that are not
 * premultiplied, and `alpha`, [height, width] in [0, 1]. Colours are estimated at a longer side of
 * `finest` pixels at most, and corrected at the photo's own size.
 */
export function cutOut(pixels, alpha, size, finest) {
  const { foreground, background, coarse } = estimate(pixels, alpha, size, finest);
  const square = makeMosaic(foreground, coarse, size);
  const words = new Uint32Array(pixels.buffer, pixels.byteOffset, pixels.length / 4);
  const sides = { rows: linear(coarse[0], size[0]), columns: linear(coarse[1], size[1]) };
  const front = new Float32Array(3);
  const back = new Float32Array(3);
  const [height, width] = size;
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at++) {
      const a = alpha[at];
      if (a > OPAQUE) continue; // as the photo is
      if (a < TRANSPARENT) {
        words[at] = square(y, x);
        continue;
      }
      const pixel = 4 * at;
      pixels[pixel + 3] = 255 * a; // clamped and rounded
      sample(foreground, 3, coarse[1], sides, y, x, front);
      sample(background, 3, coarse[1], sides, y, x, back);
      const rest = 1 - a;
      const share = a / (a * a + rest * rest);
      for (let c = 0; c < 3; c++) {
        const missing = pixels[pixel + c] - a * front[c] - rest * back[c];
        pixels[pixel + c] = front[c] + share * missing;
      }
    }
  }
}

/** Foreground and background at the finest level, [h, w, 3] each, and its size. */
function estimate(pixels, alpha, size, finest) {
  const scale = Math.min(1, finest / Math.max(...size));
  let shape = size.map((side) => Math.max(1, Math.round(scale * side)));
  const photo = resize(pixels, size, shape, cubic, 3, 4);
  for (let i = 0; i < photo.length; i++) photo[i] = Math.round(photo[i]);
  const levels = [{ photo, alpha: resize(alpha, size, shape, cubic, 1), shape }];
  while (Math.max(...shape) > COARSEST) {
    const { photo, alpha, shape: before } = levels.at(-1);
    shape = before.map((side) => (side + 1) >> 1);
    levels.push({
      photo: resize(photo, before, shape, linear, 3),
      alpha: resize(alpha, before, shape, cubic, 1),
      shape,
    });
  }
  let foreground = mean(photo, levels[0].alpha);
  let background = mean(photo, inverse(levels[0].alpha));
  let before = [1, 1];
  for (const level of levels.reverse()) {
    foreground = resize(foreground, before, level.shape, linear, 3);
    background = resize(background, before, level.shape, linear, 3);
    const rest = inverse(level.alpha);
    const passes = Math.max(...level.shape) <= SMALL ? PASSES : 1;
    for (let pass = 0; pass < passes; pass++) {
      correct(foreground, background, level.photo, level.alpha);
      average(foreground, level.alpha, level.shape);
      average(background, rest, level.shape);
    }
    before = level.shape;
  }
  return { foreground, background, coarse: before };
}

/** A loop takes a quarter of the time that map takes. */
function inverse(values) {
  const result = new Float32Array(values.length);
  for (let i = 0; i < result.length; i++) result[i] = 1 - values[i];
  return result;
}

/** The mean colour, weighted by the square. */
function mean(photo, weight) {
  const sums = [0, 0, 0];
  let total = 0;
  for (let i = 0; i < weight.length; i++) {
    const w = weight[i] * weight[i] + 1e-9; // for a photo without any
    total += w;
    for (let c = 0; c < 3; c++) sums[c] += w * photo[3 * i + c];
  }
  return Float32Array.from(sums, (sum) => sum / total);
}

/** Moves both colours to the nearest pair that mixes to the photo's, but for clipping. */
function correct(foreground, background, photo, alpha) {
  for (let i = 0; i < alpha.length; i++) {
    const a = alpha[i];
    const rest = 1 - a;
    const scale = 1 / (a * a + rest * rest);
    for (let at = 3 * i; at < 3 * i + 3; at++) {
      const missing = (photo[at] - a * foreground[at] - rest * background[at]) * scale;
      foreground[at] = Math.min(Math.max(foreground[at] + a * missing, 0), 255);
      background[at] = Math.min(Math.max(background[at] + rest * missing, 0), 255);
    }
  }
}

/** Averages colours over 3x3 pixels, weighted by the square; beyond the border comes its mirror. */
function average(colours, weight, [height, width]) {
  const sums = [0, 1, 2].map(() => new Float32Array(4 * width));
  const weighted = new Float32Array(4 * (width + 2));
  const prepare = (y) => {
    for (let x = 0, at = y * width, i = 4; x < width; x++, at++, i += 4) {
      const w = weight[at] * weight[at] + LEAST_WEIGHT;
      weighted[i] = w * colours[3 * at];
      weighted[i + 1] = w * colours[3 * at + 1];
      weighted[i + 2] = w * colours[3 * at + 2];
      weighted[i + 3] = w;
    }
    const inner = [1, width - 2].map((x) => 4 + 4 * mirrored(x, width));
    weighted.copyWithin(0, inner[0], inner[0] + 4);
    weighted.copyWithin(4 * (width + 1), inner[1], inner[1] + 4);
    const row = sums[y % 3];
    for (let i = 0; i < row.length; i++) {
      row[i] = weighted[i] + weighted[i + 4] + weighted[i + 8];
    }
  };
  prepare(0);
  for (let y = 0; y < height; y++) {
    if (y + 1 < height) prepare(y + 1); // before this row is written over
    const above = sums[mirrored(y - 1, height) % 3];
    const here = sums[y % 3];
    const below = sums[mirrored(y + 1, height) % 3];
    for (let x = 0, at = 3 * y * width; x < width; x++, at += 3) {
      const i = 4 * x;
      const share = 1 / (above[i + 3] + here[i + 3] + below[i + 3]);
      colours[at] = (above[i] + here[i] + below[i]) * share;
      colours[at + 1] = (above[i + 1] + here[i + 1] + below[i + 1]) * share;
      colours[at + 2] = (above[i + 2] + here[i + 2] + below[i + 2]) * share;
    }
  }
}

function mirrored(place, length) {
  const last = length - 1;
  return last ? last - Math.abs(last - Math.abs(place)) : 0;
}

/** Squares of one colour: a function that gives the pixel, RGBA in a word, of the place (y, x). */
function makeMosaic(foreground, coarse, size) {
  const scale = Math.min(1, MOSAIC / Math.max(...coarse));
  const shape = coarse.map((side) => Math.max(1, Math.round(scale * side)));
  const squares = resize(foreground, coarse, shape, linear, 3);
  const pixels = new Uint8ClampedArray(4 * shape[0] * shape[1]); // transparent
  squares.forEach((value, i) => { pixels[4 * Math.floor(i / 3) + (i % 3)] = value; });
  const words = new Uint32Array(pixels.buffer);
  const [rows, columns] = shape.map((count, axis) =>
    Int32Array.from({ length: size[axis] }, (_, at) => Math.floor((at * count) / size[axis])),
  );
  return (y, x) => words[rows[y] * shape[1] + columns[x]];
}
