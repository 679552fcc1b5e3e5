// The page: who is asked for what, and what is shown when. Whatever computes is in engine.js.

import * as engine from './engine.js';
import { allowBlur, chooseLast, onBackground } from './backgrounds.js';
import { closeCamera, hasSeveralCameras, openCamera, shoot, turnCamera } from './camera.js';
import { chooseLook, matteClip, play, sameLook, stopClip } from './clips.js';
import { clearProblem, find, say, sayError, setState, showProgress, state } from './dom.js';
import { createCounter, matteLive } from './live.js';
import { chosenNetwork, offerNetworks, onNetwork } from './networks.js';
import { nameShots, showParts } from './parts.js';
import { PREVIEW, pixelsOf, readPicture } from './pictures.js';
import { addFrame, canRecord, record, RECORDING, recordedKind } from './recording.js';
import { copy, download, offerFormats } from './saving.js';
import { isClip, onFile } from './sources.js';
import * as stage from './stage.js';

const opening = engine.open();
let has = null; // what the engine has, once it is known
let mode = 'nothing';
let job = new AbortController(); // what is computed or shown live; a newer one ends it
let subject = null; // the photo that is computed or shown: {source, reading}
let shown = null; // the last result: {source, file}, {reading, photo, cutout} or {kind, look}
let live = {}; // what photos are taken of: {video} of the camera, {video, file} of a clip
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
  showParts(mode);
  if (mode === 'clip' && stage.shownView() === 'compare') stage.setKind(stage.shownKind());
  offerFormats(mode);
  offerClip();
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
    if (!signal.aborted) fail(error);
  }
}

function fail(error) {
  begin(); // a camera may be on
  setState('error');
  restore();
  sayError(error);
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
  if (file.size === 0) return fail(new Error(`${file.name} is empty.`));
  return isClip(file) ? takeClip(file) : takePhoto(file);
}

function takePhoto(source) {
  const reading = readPicture(source, PREVIEW).then(({ canvas }) => canvas, () => null);
  subject = { source, reading };
  const computing = computeSubject();
  const { signal } = job;
  reading.then((photo) => {
    if (!photo || signal.aborted || state() !== 'working') return;
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
    network: chosenNetwork(),
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
  setState('done');
  showPhoto();
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
    return has.clips === 'live' ? runLive(find('clip'), signal, file) : computeClip(file, signal);
  });
}

async function computeClip(source, signal) {
  const look = chooseLook();
  const file = await matteClip(engine, source, look, { limits: has.limits, signal });
  signal.throwIfAborted();
  showClip({ source, file, kind: look.kind, look });
}

function showClip(made) {
  shown = made;
  setState('done');
  say('Done: the clip plays.');
  setMode('clip');
  play(shown.file);
}

async function startCamera() {
  scrollTo(0, 0);
  const signal = begin();
  const video = find('sight');
  await attempt(signal, async () => {
    await openCamera(video, signal, () => fail(new Error('The camera has stopped.')));
    const several = await hasSeveralCameras();
    signal.throwIfAborted();
    find('turn').hidden = !several;
    subject = null;
    if (has.live) return runLive(video, signal);
    setLive(video);
    setMode('viewfinder');
    setState('live');
    say('The camera is on.');
    find('shoot').focus();
  });
}

/** Photos are taken of the camera, or of the clip of that file. */
function setLive(video, file = null) {
  live = { video, file };
  nameShots(Boolean(file), canRecord);
}

async function runLive(video, signal, file) {
  setLive(video, file);
  const count = createCounter();
  allowBlur(true);
  say('Starting…');
  const cutOut = (frame, onFree) =>
    engine.cutOutFrame(frame, { network: chosenNetwork(), onFree });
  await matteLive(video, cutOut, (layers, result, time) => {
    pair = { ...layers, result };
    if (mode !== 'live') {
      setMode('live');
      setState('live');
      say(file ? `Live. ${RECORDING}` : 'Live.');
      const next = find(file && canRecord ? 'record' : 'shoot');
      next.focus({ preventScroll: true }); // what was pressed is gone
    }
    stage.show(layers);
    addFrame(layers, time);
    find('speed').textContent = `${count()} frames/s`;
  }, signal);
}

async function recordLive() {
  const { signal } = job;
  setState('recording');
  find('stop').focus({ preventScroll: true, focusVisible: false }); // the others are gone
  showProgress('Recording while the clip plays once: keep this page in front.', 0);
  await attempt(signal, async () => {
    const file = await record(live.video, signal, (share) => { find('progress').value = share; });
    begin();
    showClip({ source: live.file, file, kind: recordedKind(), look: chooseLook() });
  });
}

/** Ends what is live or computed; the last result is shown again. */
function stop() {
  begin();
  setState(shown ? 'done' : 'empty');
  say('');
  restore();
  find('camera').focus({ focusVisible: false }); // the button that was pressed is gone
}

/** The network or a setting is another: a photo is matted by it, also one that is being matted. */
function computeAgain() {
  offerClip();
  if (subject) computeSubject();
}

/** A clip takes long: where it should look otherwise, it is matted again when somebody says so. */
function offerClip() {
  const done = mode === 'clip' && state() !== 'working' && shown?.look;
  const old = Boolean(done) && !sameLook(shown.look, chooseLook());
  const told = !find('start').hidden;
  find('start').hidden = !old;
  find('download').textContent = old ? 'Download as it was' : 'Download';
  if (old) say('The clip has the look that was chosen before.');
  else if (told) say('');
}

function chooseView(view) {
  stage.setKind(view);
  if (view === 'composite' && stage.shownBackground().kind === 'none') chooseLast();
  offerFormats(mode);
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
  offerFormats(mode);
  offerClip();
}

async function start() {
  try {
    has = await opening;
  } catch (error) {
    return fail(error);
  }
  offerNetworks(has.networks, has.defaultNetwork);
  find('where').textContent = has.where;
  if (has.clips !== 'none') {
    find('file').accept += ',video/*';
    find('kinds').textContent = 'photos and clips';
  }
}

onFile(take);
onBackground(changeBackground);
for (const button of document.querySelectorAll('[data-view]')) {
  button.addEventListener('click', () => chooseView(button.dataset.view));
}
onNetwork(computeAgain);
find('refine').addEventListener('change', computeAgain);
find('camera').addEventListener('click', startCamera);
find('turn').addEventListener('click', () => { turnCamera(); startCamera(); });
find('shoot').addEventListener('click', async () => take(await shoot(live)));
find('record').addEventListener('click', recordLive);
find('cancel').addEventListener('click', stop);
find('stop').addEventListener('click', stop);
find('start').addEventListener('click', () => takeClip(shown.source));
find('download').addEventListener('click', () => download(shown).catch(sayError));
find('copy').addEventListener('click', () => copy(shown).catch(sayError));
for (const name of ['click', 'input']) find('controls').addEventListener(name, clearProblem, true);
find('controls').addEventListener('submit', (event) => event.preventDefault());
document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape' && ['live', 'recording', 'working'].includes(state())) stop();
});
start();
