// What every module needs of the document.

export const find = (id) => document.getElementById(id);

const LONG = 1000; // milliseconds of work after which one may want to cancel it
let offer = null; // the timer that offers it

/** Says in one line how things are, with a detail below; screen readers read it out. */
export function say(text, problem = false, detail = '') {
  const status = find('status');
  const small = document.createElement('small');
  small.textContent = detail;
  status.replaceChildren(text, ...(detail ? [' ', small] : []));
  status.classList.toggle('problem', problem);
}

/** Says what went wrong; an engine's error may have a `detail`. */
export const sayError = ({ message, detail }) => say(message, true, detail);

/** A problem was read by the time that somebody does something else. */
export function clearProblem() {
  if (find('status').classList.contains('problem')) say('');
}

export const state = () => document.body.dataset.state;

/** One of empty, working, done, live, recording and error; the style sheet and the tests read it. */
export function setState(newState) {
  document.body.dataset.state = newState;
  const working = newState === 'working';
  find('progress').hidden = !working && newState !== 'recording';
  clearTimeout(offer);
  find('cancel').hidden = true;
  if (working) offer = setTimeout(() => { find('cancel').hidden = false; }, LONG);
  for (const id of ['download', 'copy']) find(id).disabled = working;
  find('result').setAttribute('aria-busy', String(working));
}

/** Shows a text, and a share in [0, 1] of the work that is done where it is known. */
export function showProgress(text, share) {
  say(text);
  if (share === undefined) find('progress').removeAttribute('value');
  else find('progress').value = share;
}

/** A file's name without its suffix. */
export const stem = (name) => name.replace(/\.[^.]*$/, '') || 'photo';
