// Edges at the photo's own resolution: mattingjax/inference/refinement.py, whose docstring tells
// how and from where, in JavaScript. Radii are in the network's pixels.

import { cubic, linear, resize, sample } from './resizing.js';

const LOWEST = 0.03; // the alphas of the network that are soft, both ends included
const HIGHEST = 0.97;
const REACH = 2; // how far the band reaches beyond them
const COLOUR_RADIUS = 4; // of the window whose colours tell foreground from background
const DOUBT_RADIUS = 3; // of the window in which the network's alpha is judged
const NOISE = 4e-4; // variance of a photo's noise, colours in [0, 1]
const LEAST_WEIGHT = 0.02; // mean weight of a side's colours, below which they say little
const DOUBT = 0.25; // variance of an alpha of 0.5 of which the network is not sure
const WIDE = [0.25, 0.55]; // mean of 4 alpha (1 - alpha) about crisp edges, and in hair
const WRONG = [0.02, 0.1]; // difference of mean alphas that is chance, and that is none
const COARSE = [2, 4]; // photo's pixels per network pixel where edges begin to look blurred, and do
const EVIDENCE = 5; // numbers of a pixel: direction, offset and precision, as alpha of a colour

/**
 * Draws the edges of `alpha`, [height, width], anew, in place. `pixels` is the photo, RGBA; `seen`
 * the size at which the network saw it.
 */
export function refine(pixels, alpha, size, seen) {
  const shape = size.map((side, axis) => Math.min(side, seen[axis]));
  const scale = shape.map((side, axis) => side / seen[axis]);
  const small = resize(alpha, size, shape, cubic, 1).map(clip);
  const image = resize(pixels, size, shape, cubic, 3, 4).map((value) => Math.round(value) / 255);
  const soft = Uint8Array.from(small, (value) => value >= LOWEST && value <= HIGHEST);
  const band = dilate(soft, shape, radii(REACH, scale));
  if (!band.includes(1)) return;
  const evidence = weighColours(image, small, shape, dilate(band, shape, [1, 1]), scale);
  const coarseness = Math.max(...size.map((side, axis) => side / seen[axis]));
  const doubt = findDoubt(image, small, shape, evidence, scale);
  for (let i = 0; i < doubt.length; i++) {
    evidence[EVIDENCE * i + 4] *= Math.max(doubt[i], ramp(coarseness, COARSE));
  }
  apply(alpha, pixels, size, evidence, band, shape);
}

function clip(value) {
  return Math.min(Math.max(value, 0), 1);
}

/** 0 up to the first, 1 from the second, straight between them. */
function ramp(value, [low, high]) {
  return clip((value - low) / (high - low));
}

/** A radius in the network's pixels as rows and columns, at least 1; halves become even. */
function radii(radius, scale) {
  return scale.map((each) => {
    const nearest = Math.round(radius * each);
    const up = nearest - radius * each === 0.5 && nearest % 2;
    return Math.max(1, up ? nearest - 1 : nearest);
  });
}

/** The mask with all that a disc, OpenCV's ellipse, reaches from it. */
function dilate(mask, [height, width], [down, across]) {
  const result = new Uint8Array(mask.length);
  for (let dy = -down; dy <= down; dy++) {
    const reach = Math.round(across * Math.sqrt(1 - (dy / down) ** 2));
    for (let y = Math.max(0, -dy); y < Math.min(height, height - dy); y++) {
      for (let x = 0; x < width; x++) {
        if (!mask[y * width + x]) continue;
        const row = (y + dy) * width;
        result.fill(1, row + Math.max(0, x - reach), row + Math.min(width, x + reach + 1));
      }
    }
  }
  return result;
}

/** The mean in a window about each pixel, values [height, width, channels]; borders go on. */
function average(values, [height, width], channels, [down, across]) {
  const row = width * channels;
  const rows = new Float64Array(values.length);
  for (let y = 0; y < height; y++) {
    for (let c = 0; c < channels; c++) slide(values, rows, y * row + c, width, channels, across);
  }
  const result = new Float64Array(values.length);
  for (let at = 0; at < row; at++) slide(rows, result, at, height, row, down);
  return result;
}

/** Means along a line of `length` values that begins at `begin`, `step` apart. */
function slide(values, result, begin, length, step, radius) {
  const at = (place) => begin + Math.min(Math.max(place, 0), length - 1) * step;
  let sum = 0;
  for (let place = -radius; place <= radius; place++) sum += values[at(place)];
  for (let place = 0; place < length; place++) {
    result[at(place)] = sum / (2 * radius + 1);
    sum += values[at(place + radius + 1)] - values[at(place - radius)];
  }
}

/** The linear discriminant of foreground's and background's colours about each pixel in a mask. */
function weighColours(image, alpha, shape, where, scale) {
  const window = radii(COLOUR_RADIUS, scale);
  const foreground = fit(image, alpha, shape, window);
  const background = fit(image, alpha.map((value) => 1 - value), shape, window);
  const evidence = new Float32Array(EVIDENCE * alpha.length);
  for (let i = 0; i < alpha.length; i++) {
    if (!where[i]) continue;
    const [ours, theirs] = [describe(foreground, i), describe(background, i)];
    const covariance = ours.covariance.map((value, k) => (value + theirs.covariance[k]) / 2);
    for (const k of [0, 3, 5]) covariance[k] += NOISE;
    const difference = ours.mean.map((value, c) => value - theirs.mean[c]);
    const normal = solve(covariance, difference);
    const separation = dot(normal, difference); // the squared Mahalanobis distance
    const direction = normal.map((value) => value / Math.max(separation, 1e-6));
    const least = Math.min(ours.weight, theirs.weight);
    evidence.set(direction, EVIDENCE * i);
    evidence[EVIDENCE * i + 3] = -dot(direction, theirs.mean);
    evidence[EVIDENCE * i + 4] = (separation * least) / (least + LEAST_WEIGHT);
  }
  return evidence;
}

/** Mean weights, and weighted means of colours and of their products, [h, w, 10]. */
function fit(image, alpha, shape, window) {
  const planes = new Float64Array(10 * alpha.length);
  for (let i = 0, at = 0; i < alpha.length; i++) {
    const weight = alpha[i] * alpha[i];
    planes[at++] = weight;
    for (let c = 3 * i; c < 3 * i + 3; c++) planes[at++] = weight * image[c];
    for (let c = 3 * i; c < 3 * i + 3; c++) {
      for (let d = c; d < 3 * i + 3; d++) planes[at++] = weight * image[c] * image[d];
    }
  }
  return average(planes, shape, 10, window);
}

/** Mean and covariance of the colours about a pixel; of the matrix the upper half, by rows. */
function describe(planes, i) {
  const [weight, ...sums] = planes.subarray(10 * i, 10 * i + 10);
  const [red, green, blue, ...products] = sums.map((value) => value / (weight + 1e-4));
  const squares = [red * red, red * green, red * blue, green * green, green * blue, blue * blue];
  const covariance = products.map((value, k) => value - squares[k]);
  return { weight, mean: [red, green, blue], covariance };
}

function dot(left, right) {
  return left[0] * right[0] + left[1] * right[1] + left[2] * right[2];
}

/** Solves for a symmetric matrix of three rows, by its cofactors. */
function solve([a, b, c, d, e, f], vector) {
  const first = [d * f - e * e, c * e - b * f, b * e - c * d];
  const second = [first[1], a * f - c * c, b * c - a * e];
  const third = [first[2], second[2], a * d - b * b];
  const determinant = dot([a, b, c], first);
  return [first, second, third].map((row) => dot(row, vector) / determinant);
}

/** How uncertain the network's alpha is by its looks and the colours, in [0, 1]. */
function findDoubt(image, alpha, shape, evidence, scale) {
  const window = radii(DOUBT_RADIUS, scale);
  const wide = average(alpha.map((value) => 4 * value * (1 - value)), shape, 1, window);
  const change = alpha.map((value, i) => {
    const at = EVIDENCE * i;
    let found = evidence[at + 3];
    for (let c = 0; c < 3; c++) found += evidence[at + c] * image[3 * i + c];
    return evidence[at + 4] > 0 ? clip(found) - value : 0;
  });
  const wrong = average(change, shape, 1, window);
  return wide.map((value, i) => Math.max(ramp(value, WIDE), ramp(Math.abs(wrong[i]), WRONG)));
}

/** Combines the alpha of each of the photo's pixels in the band with the evidence. */
function apply(alpha, pixels, size, evidence, band, shape) {
  const sides = { rows: linear(shape[0], size[0]), columns: linear(shape[1], size[1]) };
  const found = new Float32Array(EVIDENCE);
  const [height, width] = size;
  for (let y = 0, at = 0; y < height; y++) {
    const row = Math.floor((y * shape[0]) / height) * shape[1];
    for (let x = 0; x < width; x++, at++) {
      const prior = alpha[at];
      if (prior <= 0 || prior >= 1 || !band[row + Math.floor((x * shape[1]) / width)]) continue;
      sample(evidence, EVIDENCE, shape[1], sides, y, x, found);
      let colour = found[3];
      for (let c = 0; c < 3; c++) colour += (found[c] * pixels[4 * at + c]) / 255;
      // Of the prior's variance to that of the colours.
      const ratio = DOUBT * 4 * prior * (1 - prior) * found[4];
      alpha[at] = prior + (ratio / (1 + ratio)) * (clip(colour) - prior);
    }
  }
}
