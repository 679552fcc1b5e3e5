// The engine of a server: photos and clips go to it, by addresses relative to the page's.
//
// A page of another origin, or without any server, has another file of this name with the same
// functions. Errors have a message that a person understands; a cancelled job ends by AbortError.
// onProgress is called with a line and, where it is known, the share in [0, 1] that is done.

const RETRIES = 2;
const LONGEST_WAIT = 30; // seconds
let most = {}; // megabytes of a photo and of a clip, megapixels of both, seconds of a clip

/** What the engine has. Rejects with an Error where it cannot be used. */
export async function open() {
  const answer = await ask('networks', {});
  const { default: defaultNetwork, networks, limits: found, videos } = await answer.json();
  most = {
    photo: found.megabytes,
    clip: found.clip_megabytes,
    megapixels: found.megapixels,
    seconds: found.clip_seconds,
  };
  return {
    networks: networks.map(({ name, use }) => ({
      name,
      title: name,
      note: use.split(';')[0], // the rest is about commands
    })),
    defaultNetwork,
    live: false,
    clips: videos ? 'file' : 'none',
    limits: {
      megabytes: found.megabytes,
      megapixels: found.megapixels,
      clipSeconds: found.clip_seconds,
    },
    where: 'Computed on this server',
  };
}

/** Cuts the people out of a photo: a Blob of any format → a Blob, RGBA PNG of the photo's size. */
export async function cutOut(photo, { network, refine, signal, onProgress }) {
  const query = new URLSearchParams({ kind: 'cutout', format: 'png', network, refine: Boolean(refine) });
  checkSize(photo, most.photo);
  const answer = await ask(`matte?${query}`, { body: photo, signal, onProgress });
  return answer.blob();
}

/**
 * Mattes a clip: a Blob → a Blob of video.
 * kind is cutout, alpha or composite; background a CSS colour or 'blur', or null where
 * backgroundPicture, a Blob, is given.
 */
export async function cutOutClip(
  clip,
  { network, kind, background, backgroundPicture, signal, onProgress },
) {
  checkSize(clip, most.clip);
  const query = new URLSearchParams({ network, kind, format: kind === 'cutout' ? 'webm' : 'mp4' });
  let body = clip;
  if (backgroundPicture) {
    body = new FormData();
    body.append('video', clip);
    body.append('background', backgroundPicture);
  } else if (background) {
    query.set('background', background);
  }
  const answer = await ask(`video?${query}`, { body, signal, onProgress });
  return answer.blob();
}

/**
 * Cuts the people out of a frame: an ImageBitmap, which is closed → ImageData of its size. It is
 * asked for { network, onFree }, and may call onFree when it can take another frame meanwhile.
 * Frames are not sent to a server: `live` is false.
 */
export async function cutOutFrame() {
  throw new Error('This engine mattes no live frames.');
}

/** Saves an upload that would only be refused. */
function checkSize(file, megabytes) {
  if (file.size > megabytes * 1e6) {
    const found = (file.size / 1e6).toFixed(1);
    throw new Error(`The file is too large: it has ${found} MB, and ${megabytes} MB are taken.`);
  }
}

/** Posts a body, or gets an answer where there is none; waits and tries again while it is busy. */
async function ask(path, { body, signal, onProgress }) {
  for (let attempt = 0; ; attempt++) {
    const answer = await send(path, body, signal);
    if (answer.ok) return answer;
    if (answer.status !== 429 || attempt === RETRIES) throw await describe(answer);
    const asked = Number(answer.headers.get('Retry-After')) || 2;
    const seconds = Math.ceil(Math.min(asked, LONGEST_WAIT));
    onProgress?.(`The server is busy; trying again in ${seconds} s…`);
    await wait(seconds, signal);
  }
}

async function send(path, body, signal) {
  try {
    return await fetch(path, body ? { method: 'POST', body, signal } : { signal });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Error('The server cannot be reached. Is it still running?');
  }
}

/** The Error of an answer: first what it means, and the server's own words as its `detail`. */
async function describe(answer) {
  const { status, statusText } = answer;
  if (status === 429) return new Error('The server is busy: try again later.');
  const said = await answer.json().then(({ detail }) => detail, () => null);
  const meaning = explain(status, String(said ?? ''));
  const error = new Error(meaning ?? `The server failed (${status} ${statusText}).`);
  if (typeof said === 'string') error.detail = `The server says: ${said}`;
  return error;
}

/** What a refusal means to somebody who only chose a file; null of any other status. */
function explain(status, said) {
  const what = said.startsWith('video') ? 'clip' : 'photo';
  const [, width, height] = said.match(/got (\d+)x(\d+)/) ?? [];
  const size = width ? `: ${width} × ${height} pixels` : '';
  if (said.startsWith('background')) return 'This background cannot be used.';
  if (status === 400) return 'The file did not arrive whole: try again.';
  if (status === 413 && size) {
    return `This ${what} is too large${size}, and up to ${most.megapixels} megapixels are taken.`;
  }
  if (status === 413 && / seconds?,/.test(said)) {
    return `This clip is too long: up to ${most.seconds} s are taken.`;
  }
  if (status === 413) return 'The file is too large for the server.';
  if (status === 408) return 'The file came too slowly: try again.';
  if (status === 503) return 'This took too long for the server.';
  if (status === 415) return 'This file is no picture or clip that the server can read.';
  if (status !== 422) return null;
  if (size) return `This ${what} is too small or too thin${size}.`;
  if (/cannot be read|damaged/.test(said)) return `This ${what} is damaged.`;
  return 'The server cannot do this.';
}

function wait(seconds, signal) {
  return new Promise((resolve, reject) => {
    setTimeout(resolve, 1000 * seconds);
    signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}
