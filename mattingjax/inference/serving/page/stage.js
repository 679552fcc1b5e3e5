// The picture that is looked at: its view, its background, and the slider of before and after.

import { find } from './dom.js';
import { draw, newCanvas } from './pictures.js';

const view = find('view');
const slider = find('slider');
const frame = find('frame');
const pane = find('pane');
const after = newCanvas(1, 1); // the right side of the comparison, drawn once for all positions
const buttons = [...document.querySelectorAll('[data-view]')];

let layers = null;
let kind = 'compare';
let background = { kind: 'none' };

/** What a download holds: the comparison's is its right side. */
export function shownKind() {
  if (kind !== 'compare') return kind;
  return background.kind === 'none' ? 'cutout' : 'composite';
}

export const shownView = () => kind;

export const shownBackground = () => background;

/** Shows a photo, and its cut-out once there is one. */
export function show(newLayers) {
  layers = newLayers;
  const { width, height } = layers.cutout ?? layers.photo;
  for (const canvas of [view, after]) {
    // To set a size clears a canvas, and takes time, also where it stays the same.
    if (canvas.width !== width) canvas.width = width;
    if (canvas.height !== height) canvas.height = height;
  }
  setShape(width, height);
  paint();
}

/** The shape of what is shown; the style sheet makes it as large as the window lets it. */
export function setShape(width, height) {
  find('result').style.setProperty('--width', width);
  find('result').style.setProperty('--height', height);
}

export function setKind(newKind) {
  kind = newKind;
  for (const button of buttons) {
    button.setAttribute('aria-pressed', String(button.dataset.view === kind));
  }
  paint();
}

export function setBackground(newBackground) {
  background = newBackground;
  paint();
}

function paint() {
  if (!layers) return;
  const comparing = kind === 'compare' && Boolean(layers.photo && layers.cutout);
  frame.classList.toggle('comparing', comparing);
  slider.disabled = !comparing;
  find('note').textContent =
    kind === 'compare' && layers.cutout && !layers.photo
      ? 'This browser cannot show photos of this format, so there is no “before”.' : '';
  if (comparing) {
    draw(after, shownKind(), layers, background);
    paintComparison();
  } else if (layers.cutout) {
    draw(view, shownKind(), layers, background);
  } else {
    const context = view.getContext('2d');
    context.clearRect(0, 0, view.width, view.height);
    context.drawImage(layers.photo, 0, 0);
  }
}

function paintComparison() {
  const context = view.getContext('2d');
  const { width, height } = view;
  const edge = Math.round((width * slider.value) / 100);
  context.clearRect(0, 0, width, height);
  if (edge > 0) context.drawImage(layers.photo, 0, 0, edge, height, 0, 0, edge, height);
  if (edge < width) {
    context.drawImage(after, edge, 0, width - edge, height, edge, 0, width - edge, height);
  }
  frame.style.setProperty('--at', `${slider.value}%`);
  slider.setAttribute('aria-valuetext', `${slider.value} % before`);
}

function slideTo(event) {
  const { left, width } = view.getBoundingClientRect();
  slider.value = (100 * (event.clientX - left)) / width;
  paintComparison();
}

/** Shows the middle of the upper half, where faces are, twice as large or pixel by pixel. */
function toggleZoom() {
  const zoomed = pane.classList.toggle('zoomed');
  find('zoom').setAttribute('aria-pressed', String(zoomed));
  pane.tabIndex = zoomed ? 0 : -1; // the arrow keys scroll it
  pane.scrollTo((pane.scrollWidth - pane.clientWidth) / 2, (pane.scrollHeight - pane.clientHeight) / 4);
}

find('zoom').addEventListener('click', toggleZoom);
slider.addEventListener('input', () => !slider.disabled && paintComparison());

frame.addEventListener('pointerdown', (event) => {
  if (slider.disabled || event.button !== 0) return;
  event.preventDefault(); // no selection, and the arrow keys go on where the pointer left off
  slider.focus({ preventScroll: true, focusVisible: false });
  frame.setPointerCapture(event.pointerId);
  slideTo(event);
});

frame.addEventListener('pointermove', (event) => {
  if (frame.hasPointerCapture(event.pointerId) && !slider.disabled) slideTo(event);
});
