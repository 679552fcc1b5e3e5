// The choice of a background.

import { find, say } from './dom.js';
import { PREVIEW, readPicture } from './pictures.js';

const form = find('backgrounds');
const colour = find('background');
const pictureInput = find('background-picture');
const radios = [...form.querySelectorAll('input[type=radio]')];
let lastChosen = { kind: 'colour', colour: '#ffffff' };
let tell = () => {};

/** Calls `listener` with every background that is chosen. */
export function onBackground(listener) {
  tell = listener;
}

/** The background of composites where none is chosen: the last one that was. */
export function chooseLast() {
  const value = lastChosen.kind === 'blur' ? 'blur' : lastChosen.colour;
  mark(radios.find((radio) => radio.value === value) ?? null);
  choose(lastChosen);
}

function chooseNone() {
  mark(radios[0]);
  choose({ kind: 'none' });
}

/** Says whether there is a photo to be blurred. */
export function allowBlur(allowed) {
  const blur = radios.find((radio) => radio.value === 'blur');
  blur.disabled = !allowed;
  if (!allowed && blur.checked) chooseNone();
}

function choose(background) {
  if (background.kind !== 'none') lastChosen = background;
  tell(background);
}

/** Shows which of the controls holds the background. */
function mark(control) {
  for (const radio of radios) radio.checked = radio === control;
  for (const input of [colour, pictureInput]) {
    // These cannot be checked as a radio button can.
    if (input === control) input.setAttribute('aria-current', 'true');
    else input.removeAttribute('aria-current');
  }
}

async function choosePicture(file) {
  try {
    const { canvas } = await readPicture(file, PREVIEW);
    mark(pictureInput);
    choose({ kind: 'picture', picture: canvas, file });
  } catch {
    say(`${file.name}: this browser cannot read it as a picture.`, true);
  }
}

function chooseColour() {
  mark(colour);
  choose({ kind: 'colour', colour: colour.value });
}

for (const radio of radios) {
  // Only the script may set a style here: the page allows no inline ones.
  if (radio.value.startsWith('#')) {
    radio.nextElementSibling.style.setProperty('--colour', radio.value);
  }
  radio.addEventListener('change', () => {
    mark(radio);
    const kind = radio.value.startsWith('#') ? 'colour' : radio.value;
    choose(kind === 'colour' ? { kind, colour: radio.value } : { kind });
  });
}
colour.addEventListener('input', chooseColour);
colour.addEventListener('click', chooseColour); // its colour may be the wanted one already
pictureInput.addEventListener('change', () => {
  if (pictureInput.files[0]) choosePicture(pictureInput.files[0]);
  pictureInput.value = '';
});
