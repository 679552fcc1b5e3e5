// Resizes arrays of pixels as mattingjax/images/pixels.py does with OpenCV: by area where a side
// shrinks; where it grows, as the caller says. Everything is linear, so each side has its weights.

/**
 * A side's weights: entry i of the result is the sum of weights[k] * values[places[k]] for k from
 * starts[i] to starts[i + 1], an even number of times: loops take two at a time, which is faster.
 */
function collect(to, taps) {
  const starts = new Int32Array(to + 1);
  const places = [];
  const weights = [];
  for (let at = 0; at < to; at++) {
    taps(at, (place, weight) => {
      places.push(place);
      weights.push(weight);
    });
    if (places.length % 2) {
      places.push(places.at(-1));
      weights.push(0);
    }
    starts[at + 1] = places.length;
  }
  return { starts, places: Int32Array.from(places), weights: Float32Array.from(weights) };
}

/** The share that each pixel has in a cell of the new one's size. */
function byArea(from, to) {
  const scale = 1 / (to / from);
  return collect(to, (at, add) => {
    const begin = at * scale;
    const cell = Math.min(scale, from - begin);
    const last = Math.min(Math.floor(begin + scale), from - 1);
    const first = Math.min(Math.ceil(begin), last);
    if (first - begin > 1e-3) add(first - 1, (first - begin) / cell);
    for (let place = first; place < last; place++) add(place, 1 / cell);
    const rest = begin + scale - last;
    if (rest > 1e-3) add(last, Math.min(rest, 1, cell) / cell);
  });
}

/** Between the two nearest pixels; `find` tells the first of them, and how far from it. */
function betweenTwo(from, to, find) {
  return collect(to, (at, add) => {
    let [place, part] = find(at);
    if (place < 0) [place, part] = [0, 0];
    if (place >= from - 1) [place, part] = [from - 1, 0];
    add(place, 1 - part);
    if (part) add(place + 1, part);
  });
}

function centre(at, scale) {
  const where = Math.fround((at + 0.5) * scale - 0.5);
  const place = Math.floor(where);
  return [place, where - place];
}

/** OpenCV's INTER_LINEAR. */
export function linear(from, to) {
  return betweenTwo(from, to, (at) => centre(at, 1 / (to / from)));
}

/** OpenCV's INTER_AREA where a side grows. */
export function flat(from, to) {
  const scale = 1 / (to / from);
  return betweenTwo(from, to, (at) => {
    const place = Math.floor(at * scale);
    const part = Math.fround(at + 1 - (place + 1) * (to / from));
    return [place, part <= 0 ? 0 : part - Math.floor(part)];
  });
}

/** OpenCV's INTER_CUBIC, which may exceed the range of the values. */
export function cubic(from, to) {
  const A = -0.75;
  const near = (x) => ((A + 2) * x - (A + 3)) * x * x + 1;
  return collect(to, (at, add) => {
    const [place, part] = centre(at, 1 / (to / from));
    const far = ((A * (part + 1) - 5 * A) * (part + 1) + 8 * A) * (part + 1) - 4 * A;
    const weights = [far, near(part), near(1 - part)];
    weights.push(1 - weights[0] - weights[1] - weights[2]);
    weights.forEach((weight, i) => {
      if (weight) add(Math.min(Math.max(place - 1 + i, 0), from - 1), weight);
    });
  });
}

/**
 * Resizes `pixels`, [height, width, stride] of any type, of which the first `channels`, 1 or 3, are
 * read. Returns a Float32Array, [newHeight, newWidth, channels].
 */
export function resize(pixels, [height, width], [newHeight, newWidth], enlarge, channels, stride) {
  stride ??= channels;
  if (newHeight > height && newWidth !== width) {
    // The fewer rows, the less there is to be done for each.
    const rows = resize(pixels, [height, width], [height, newWidth], enlarge, channels, stride);
    return resize(rows, [height, newWidth], [newHeight, newWidth], enlarge, channels);
  }
  const weigh = (from, to) => (to <= from ? byArea : enlarge)(from, to);
  const [down, across] = [weigh(height, newHeight), weigh(width, newWidth)];
  const finished = newWidth === width && stride === channels;
  const row = new Float32Array(width * stride);
  const result = new Float32Array(newHeight * newWidth * channels);
  for (let y = 0; y < newHeight; y++) {
    const to = result.subarray(y * newWidth * channels, (y + 1) * newWidth * channels);
    mixRows(pixels, down, y, finished ? to : row);
    if (finished) continue;
    if (channels === 3) mixColours(row, stride, across, to);
    else mixValues(row, stride, across, to);
  }
  return result;
}

/** The rows that make the new row `y`. */
function mixRows(pixels, { starts, places, weights }, y, result) {
  const { length } = result;
  result.fill(0);
  for (let k = starts[y]; k < starts[y + 1]; k += 2) {
    const first = places[k] * length;
    const second = places[k + 1] * length;
    const weight = weights[k];
    const other = weights[k + 1];
    for (let i = 0; i < length; i++) {
      result[i] += weight * pixels[first + i] + other * pixels[second + i];
    }
  }
}

/** The columns of a row: of one channel, and of three. */
function mixValues(row, stride, { starts, places, weights }, result) {
  for (let at = 0; at < result.length; at++) {
    let sum = 0;
    for (let k = starts[at]; k < starts[at + 1]; k += 2) {
      sum += weights[k] * row[places[k] * stride] + weights[k + 1] * row[places[k + 1] * stride];
    }
    result[at] = sum;
  }
}

function mixColours(row, stride, { starts, places, weights }, result) {
  for (let at = 0, to = 0; to < result.length; at++, to += 3) {
    let red = 0;
    let green = 0;
    let blue = 0;
    for (let k = starts[at]; k < starts[at + 1]; k += 2) {
      const first = places[k] * stride;
      const second = places[k + 1] * stride;
      const weight = weights[k];
      const other = weights[k + 1];
      red += weight * row[first] + other * row[second];
      green += weight * row[first + 1] + other * row[second + 1];
      blue += weight * row[first + 2] + other * row[second + 2];
    }
    result[to] = red;
    result[to + 1] = green;
    result[to + 2] = blue;
  }
}

/**
 * The values of one place of the new size, by the weights of both sides, to `result`: what `resize`
 * gives there. `values` is [height, width, channels].
 */
export function sample(values, channels, width, { rows, columns }, y, x, result) {
  for (let c = 0; c < channels; c++) result[c] = 0;
  for (let i = rows.starts[y]; i < rows.starts[y + 1]; i++) {
    for (let j = columns.starts[x]; j < columns.starts[x + 1]; j++) {
      const weight = rows.weights[i] * columns.weights[j];
      const from = channels * (rows.places[i] * width + columns.places[j]);
      for (let c = 0; c < channels; c++) result[c] += weight * values[from + c];
    }
  }
}
