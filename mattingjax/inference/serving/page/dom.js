// What every module needs of the document.

export const find = (id) => document.getElementById(id);

/** Says in one line how things are; screen readers read it out. */
export function say(text, problem = false) {
  const status = find('status');
  status.textContent = text;
  status.classList.toggle('problem', problem);
}

/** One of empty, working, done, live and error; the style sheet and the tests read it. */
export function setState(state) {
  document.body.dataset.state = state;
  const working = state === 'working';
  find('progress').hidden = !working;
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
