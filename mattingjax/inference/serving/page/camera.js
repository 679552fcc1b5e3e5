// The camera: its picture in a <video>, and photos of it.

import { stem } from './dom.js';
import { newCanvas, toFile } from './pictures.js';

const PROBLEMS = {
  NotAllowedError: 'The camera may not be used: allow it in the browser, then try again.',
  NotFoundError: 'No camera was found.',
  NotReadableError: 'The camera is in use by another program.',
};
let stream = null;
let facing = 'user';

/**
 * Shows the camera in a video; rejects with an Error that says what is missing. A camera that is
 * allowed after the signal has aborted is off again at once. `onLost` is called if it is pulled out.
 */
export async function openCamera(video, signal, onLost) {
  if (!navigator.mediaDevices) {
    throw new Error('Browsers give the camera to pages of https and of localhost only.');
  }
  let opened;
  try {
    opened = await navigator.mediaDevices.getUserMedia({
      video: { facingMode: facing, width: { ideal: 1920 }, height: { ideal: 1080 } },
    });
  } catch (error) {
    throw new Error(PROBLEMS[error.name] ?? `The camera does not start: ${error.message}`);
  }
  if (signal.aborted) return end(opened);
  stream = opened;
  stream.getVideoTracks()[0].onended = onLost;
  video.srcObject = stream;
  // One sees oneself as in a mirror; photos are as others see one.
  video.classList.toggle('mirrored', facing === 'user');
  await video.play();
}

export function closeCamera() {
  end(stream);
  stream = null;
}

const end = (opened) => opened?.getTracks().forEach((track) => track.stop());

/** Phones have a second camera. */
export async function hasSeveralCameras() {
  const devices = await navigator.mediaDevices.enumerateDevices();
  return devices.filter(({ kind }) => kind === 'videoinput').length > 1;
}

export function turnCamera() {
  facing = facing === 'user' ? 'environment' : 'user';
}

/** The frame that a video shows, as a photo; it is named for the file of a clip. */
export async function shoot({ video, file }) {
  const canvas = newCanvas(video.videoWidth, video.videoHeight);
  canvas.getContext('2d').drawImage(video, 0, 0);
  const name = `${file ? stem(file.name) : 'camera'}.jpg`;
  return new File([await toFile(canvas, 'image/jpeg', 0.95)], name, { type: 'image/jpeg' });
}
