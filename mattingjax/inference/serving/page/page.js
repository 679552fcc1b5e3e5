// The page: who is asked for what, and what is shown when. Whatever computes is in engine.js.

import * as engine from './engine.js';
import { allowBlur, chooseLast, onBackground } from './backgrounds.js';
import { closeCamera, hasSeveralCameras, openCamera, shoot, turnCamera } from './camera.js';
import { matteClip, play, stopClip } from './clips.js';
import { find, say, setState, showProgress } from './dom.js';
import { createCounter, matteLive } from './live.js';
import { PREVIEW, pixelsOf, readPicture } from './pictures.js';
import { copy, download, save } from './saving.js';
import { isClip, onFile } from './sources.js';
import * as stage from './stage.js';

// What is on screen beside the sources of photos, by what is worked at.
const PARTS = {
  nothing: ['camera'],
  photo: ['result', 'frame', 'controls', 'saving', 'zoom', 'show-compare', 'format', 'copy', 'refining', 'camera'],
  clip: ['result', 'clip', 'controls', 'saving', 'camera'],
  viewfinder: ['viewfinder', 'shots'],
  live: ['result', 'frame', 'controls', 'zoom', 'show-compare', 'shots', 'speed'],
};
const ALL_PARTS = new Set(Object.values(PARTS).flat());

const opening = engine.open();
let has = null; // what the engine has, once it is known
let mode = 'nothing';
let job = new AbortController(); // what is computed or shown live; a newer one ends it
let subject = null; // the photo that is computed or shown: {source, reading}
let shown = null; // the last result: {source, file}, and {reading, photo, cutout} of a photo
let liveVideo = null; // what photos are taken of: the camera, or a clip that plays
let pair = {}; // the last live frame and its cut-out

// Data for tests. Photos larger than the screen's pictures are as large as those.
window.matting = {
  get photo() { return pixelsOf(shown?.photo); },
  get cutout() { return shown?.file; },
  get frame() { return pixelsOf(pair.photo); },
  get result() { return pair.result; },
};

function setMode(newMode) {
  mode = newMode;
  document.body.dataset.mode = mode; // for the style sheet
  for (const id of ALL_PARTS) find(id).hidden = !PARTS[mode].includes(id);
  find('copy').hidden ||= !navigator.clipboard?.write;
  find('start').hidden = true;
  if (mode === 'clip' && stage.shownView() === 'compare') stage.setKind(stage.shownKind());
  updateFormat();
}

/** Only what is opaque can be a JPEG. */
function updateFormat() {
  find('format').hidden = mode !== 'photo' || stage.shownKind() === 'cutout';
}

/** Ends the older job, the camera and a clip; gives the signal of the new one. */
function begin() {
  job.abort();
  closeCamera();
  stopClip();
  job = new AbortController();
  return job.signal;
}

/** Does a job, and says what went wrong unless a newer one has begun. */
async function attempt(signal, work) {
  try {
    await opening;
    await work();
  } catch (error) {
    if (!signal.aborted) fail(error.message);
  }
}

function fail(message) {
  begin(); // a camera may be on
  restore();
  setState('error');
  say(message, true);
}

/** Shows the last result again, or nothing. */
function restore() {
  subject = shown?.cutout ? shown : null;
  if (subject) {
    showPhoto();
  } else {
    setMode(shown ? 'clip' : 'nothing');
    if (shown) play(shown.file);
  }
}

function showPhoto() {
  allowBlur(Boolean(shown.photo));
  setMode('photo');
  stage.show(shown);
}

function take(file) {
  scrollTo(0, 0); // on phones one chooses far below what is looked at
  return isClip(file) ? takeClip(file) : takePhoto(file);
}

function takePhoto(source) {
  const reading = readPicture(source, PREVIEW).then(({ canvas }) => canvas, () => null);
  subject = { source, reading };
  const computing = computeSubject();
  const { signal } = job;
  reading.then((photo) => {
    if (!photo || signal.aborted || document.body.dataset.state !== 'working') return;
    setMode('photo');
    stage.show({ photo, cutout: null });
  });
  return computing;
}

function computeSubject() {
  const signal = begin();
  setState('working');
  showProgress('Finding the people in the photo…');
  return attempt(signal, () => computePhoto(subject, signal));
}

async function computePhoto({ source, reading }, signal) {
  const started = performance.now();
  const file = await engine.cutOut(source, {
    network: find('network').value,
    refine: find('refine').checked,
    signal,
    onProgress: (text, share) => signal.aborted || showProgress(text, share),
  });
  const seconds = (performance.now() - started) / 1000;
  const [photo, { canvas: cutout, width, height }] = await Promise.all([
    reading, readPicture(file, PREVIEW),
  ]);
  signal.throwIfAborted();
  shown = { source, reading, file, photo, cutout };
  showPhoto();
  setState('done');
  say(`Done in ${seconds.toFixed(1)} s, ${width} × ${height} pixels.`);
}

async function takeClip(file) {
  const signal = begin();
  subject = null;
  setState('working');
  showProgress('Reading the clip…');
  allowBlur(true);
  setMode('clip');
  play(file);
  await attempt(signal, () => {
    if (has.clips === 'none') throw new Error('Clips cannot be matted here, only photos.');
    return has.clips === 'live' ? runLive(find('clip'), signal) : computeClip(file, signal);
  });
}

async function computeClip(source, signal) {
  const file = await matteClip(engine, source, {
    network: find('network').value, limits: has.limits, signal,
  });
  signal.throwIfAborted();
  shown = { source, file, kind: stage.shownKind() };
  setMode('clip');
  play(file);
  setState('done');
  say('Done: the clip plays.');
}

async function startCamera() {
  scrollTo(0, 0);
  const signal = begin();
  const video = find('sight');
  liveVideo = video;
  await attempt(signal, async () => {
    await openCamera(video, signal, () => fail('The camera has stopped.'));
    const several = await hasSeveralCameras();
    signal.throwIfAborted();
    find('turn').hidden = !several;
    subject = null;
    if (has.live) return runLive(video, signal);
    setMode('viewfinder');
    setState('live');
    say('The camera is on.');
    find('shoot').focus();
  });
}

async function runLive(video, signal) {
  liveVideo = video;
  const count = createCounter();
  allowBlur(true);
  say('Starting…');
  const cutOut = (frame, onFree) =>
    engine.cutOutFrame(frame, { network: find('network').value, onFree });
  await matteLive(video, cutOut, (layers, result) => {
    pair = { ...layers, result };
    if (mode !== 'live') {
      setMode('live');
      setState('live');
      say('Live.');
      find('shoot').focus({ preventScroll: true }); // what was pressed is gone
    }
    stage.show(layers);
    find('speed').textContent = `${count()} frames/s`;
  }, signal);
}

/** Ends what is live or computed; the last result is shown again. */
function stop() {
  begin();
  restore();
  setState(shown ? 'done' : 'empty');
  say('');
  find('camera').focus({ focusVisible: false }); // the button that was pressed is gone
}

/** The network or a setting is another: a photo is matted by it, also one that is being matted. */
function computeAgain() {
  showNote();
  offerClip();
  if (subject) computeSubject();
}

/** A clip takes long: it is matted again when somebody says so. */
function offerClip() {
  if (mode !== 'clip' || document.body.dataset.state === 'working') return;
  find('start').hidden = false;
  say('Press “Matte again” to see the change.');
}

function showNote() {
  const chosen = has?.networks.find(({ name }) => name === find('network').value);
  find('network-note').textContent = chosen?.note ?? '';
}

function chooseView(view) {
  stage.setKind(view);
  if (view === 'composite' && stage.shownBackground().kind === 'none') chooseLast();
  updateFormat();
  offerClip();
}

/** A choice of background is seen at once, whatever the view was. */
function changeBackground(background) {
  stage.setBackground(background);
  const view = stage.shownView();
  if (background.kind === 'none') {
    if (view === 'composite') stage.setKind('cutout');
  } else if (view === 'alpha' || view === 'cutout') {
    stage.setKind('composite');
  }
  updateFormat();
  offerClip();
}

async function saveShown() {
  try {
    if (shown.cutout) await download(shown);
    else save(shown.file, shown.source.name, shown.kind);
  } catch (error) {
    say(error.message, true);
  }
}

async function start() {
  try {
    has = await opening;
  } catch (error) {
    return fail(error.message);
  }
  find('network').replaceChildren(...has.networks.map(({ name, title }) => new Option(title, name)));
  find('network').value = has.defaultNetwork;
  find('where').textContent = has.where;
  if (has.clips !== 'none') {
    find('file').accept += ',video/*';
    find('kinds').textContent = 'photos and clips';
  }
  showNote();
}

onFile(take);
onBackground(changeBackground);
for (const button of document.querySelectorAll('[data-view]')) {
  button.addEventListener('click', () => chooseView(button.dataset.view));
}
find('network').addEventListener('change', computeAgain);
find('refine').addEventListener('change', computeAgain);
find('camera').addEventListener('click', startCamera);
find('turn').addEventListener('click', () => { turnCamera(); startCamera(); });
find('shoot').addEventListener('click', async () => take(await shoot(liveVideo)));
find('stop').addEventListener('click', stop);
find('start').addEventListener('click', () => takeClip(shown.source));
find('download').addEventListener('click', saveShown);
find('copy').addEventListener('click', () => copy(shown).catch((error) => say(error.message, true)));
find('controls').addEventListener('submit', (event) => event.preventDefault());
document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape' && ['live', 'working'].includes(document.body.dataset.state)) stop();
});
start();
