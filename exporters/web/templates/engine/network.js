// The network in ONNX Runtime Web, fed with photos as mattingjax/images/preprocessing.py and
// mattingjax/inference/predictor.py do it.

import * as ort from '../onnxruntime/ort.wasm.min.mjs';
import { cubic, flat, resize } from './resizing.js';

const MIN_SIDE = 16; // pixels of a photo's short side
const MAX_ASPECT = 16; // the long side over the short one
const MOST_THREADS = 4; // more hardly help a network of this size, and phones have slow cores

export class Network {
  /** Loads the network of the export whose files lie at the address `base`. */
  static async open(base) {
    const description = await (await get(new URL('model.json', base))).json();
    const address = new URL('model.onnx', base);
    const model = await (await get(address)).arrayBuffer();
    await check(model, description.sha256, address);
    ort.env.wasm.wasmPaths = new URL('onnxruntime/', base).href;
    // Threads share memory, for which browsers demand an isolated page.
    const threads = self.crossOriginIsolated ? navigator.hardwareConcurrency : 1;
    ort.env.wasm.numThreads = Math.min(threads, MOST_THREADS);
    const session = await ort.InferenceSession.create(model, { executionProviders: ['wasm'] });
    return new Network(description, session);
  }

  constructor(description, session) {
    this.description = { ...description, threads: ort.env.wasm.numThreads };
    this.session = session;
  }

  /** Height and width at which the network sees a photo of that height and width. */
  sees(size) {
    return networkSize(size, this.description.signature);
  }

  /** The alpha of a photo, RGBA [height, width]: a Float32Array [height, width] in [0, 1]. */
  async matte(pixels, size) {
    const { signature } = this.description;
    const seen = this.sees(size);
    const input = resize(pixels, size, seen, flat, 3, 4);
    if (!signature.scaling_inside) normalise(input, signature.preprocessing);
    const tensor = new ort.Tensor('float32', input, [1, ...seen, 3]);
    const results = await this.session.run({ [signature.input_name]: tensor });
    const output = results[signature.output_name];
    const alpha = resize(output.data, seen, size, cubic, 1);
    output.dispose();
    for (let i = 0; i < alpha.length; i++) alpha[i] = Math.min(Math.max(alpha[i], 0), 1);
    return alpha;
  }
}

async function get(address) {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address} cannot be loaded (status ${response.status}).`);
  return response;
}

/** Throws unless a file is the one that was exported; browsers compute hashes where https is. */
async function check(content, expected, address) {
  if (!self.crypto.subtle) return;
  const digest = new Uint8Array(await self.crypto.subtle.digest('SHA-256', content));
  const found = Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
  if (found !== expected) throw new Error(`${address} is damaged, or of another export.`);
}

function networkSize([height, width], { input_size: inputSize, preprocessing }) {
  const multiple = preprocessing.multiple_of;
  const [short, long] = height <= width ? [height, width] : [width, height];
  if (short < MIN_SIDE || long > MAX_ASPECT * short) {
    throw new Error(
      `The photo must have ${MIN_SIDE} pixels a side or more and be no thinner than ` +
        `1:${MAX_ASPECT}; it has ${width}x${height} pixels.`,
    );
  }
  if (preprocessing.resize === 'exact') return [inputSize, inputSize];
  let sides = [short, long];
  if (long < inputSize || short > inputSize) {
    sides = [inputSize, Math.trunc((long / short) * inputSize)];
  }
  sides = sides.map((side) => side - (side % multiple));
  if (sides[0] < multiple) {
    throw new Error(
      `The photo's short side must have ${multiple} pixels or more where the long one has ` +
        `${inputSize}; it has ${width}x${height} pixels.`,
    );
  }
  return height <= width ? sides : sides.reverse();
}

function normalise(input, { mean, std }) {
  for (let i = 0; i < input.length; i++) input[i] = (input[i] - mean[i % 3]) / std[i % 3];
}
