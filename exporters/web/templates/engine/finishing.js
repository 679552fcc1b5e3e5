// Finishes live frames in a worker of its own, while worker.js has the next one: answers every
// message {id, pixels, alpha, size} with {id, answer}.

import { cutOut } from './foreground.js';

const FINEST = 256; // pixels of the longer side at which a frame's foreground is estimated

self.onmessage = ({ data: { id, pixels, alpha, size } }) => {
  cutOut(pixels, alpha, size, FINEST);
  self.postMessage({ id, answer: { pixels, size } }, [pixels.buffer]);
};
