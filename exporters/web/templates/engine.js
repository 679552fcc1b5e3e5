// What computes for the page, in the browser alone; page.js asks this module for everything.

const toNetwork = useWorker('engine/worker.js');
const toFinishing = useWorker('engine/finishing.js');
let last = Promise.resolve(); // of the network's tasks, which are done one after the other
let count = 0;

/** Loads the network; returns what the page shows of it. */
export async function open() {
  const { name, title, note, threads } = await ask('open', {});
  keepForOffline();
  return {
    networks: [{ name, title, note }],
    defaultNetwork: name,
    live: true,
    clips: 'live',
    limits: null,
    where: `In this browser, ${threads} ${threads === 1 ? 'thread' : 'threads'}`,
  };
}

/** A photo, a Blob, becomes a cut-out: an RGBA PNG of its size, colours not premultiplied. */
export async function cutOut(photo, { refine = false, signal } = {}) {
  return ask('photo', { photo, refined: refine }, [], signal);
}

/**
 * A frame, an ImageBitmap that is closed afterwards, becomes a cut-out: ImageData of its size.
 * `onFree` is called when the network may have the next one.
 */
export async function cutOutFrame(frame, { onFree } = {}) {
  const matted = await ask('frame', { frame }, [frame]);
  onFree?.();
  const { pixels, size } = await toFinishing(matted, [matted.pixels.buffer, matted.alpha.buffer]);
  return new ImageData(pixels, size[1], size[0]);
}

/** Has the worker do a task after those before it; one that was aborted by then is left out. */
function ask(task, content, transfer = [], signal = undefined) {
  const answer = last.then(() => {
    signal?.throwIfAborted();
    return toNetwork({ task, ...content }, transfer);
  });
  last = answer.catch(() => {});
  if (!signal) return answer;
  const aborted = new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  return Promise.race([answer, aborted]);
}

/** A function that posts a message to the worker of that path, and gives its answer. */
function useWorker(path) {
  let worker = null;
  return (message, transfer) => new Promise((resolve, reject) => {
    const id = ++count;
    worker ??= new Worker(new URL(path, import.meta.url), { type: 'module' });
    const ended = new AbortController();
    const listen = (name, hear) => worker.addEventListener(name, hear, { signal: ended.signal });
    listen('message', ({ data }) => {
      if (data.id !== id) return;
      ended.abort();
      if ('error' in data) reject(new Error(data.error));
      else resolve(data.answer);
    });
    listen('error', (event) => {
      ended.abort();
      worker?.terminate(); // all that it was asked for fails
      worker = null; // another may do better
      reject(new Error(`This browser cannot run the network (${event.message || 'no worker'}).`));
    });
    worker.postMessage({ id, ...message }, transfer);
  });
}

/**
 * From the second visit on the page works without network, and with threads: offline.js. Browsers
 * that refuse it, or plain http, lose nothing else.
 */
function keepForOffline() {
  if (!window.isSecureContext) return;
  navigator.serviceWorker
    ?.register(new URL('offline.js', import.meta.url), { updateViaCache: 'none' })
    .catch(() => {});
}
