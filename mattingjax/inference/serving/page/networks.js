// The choice of a network.

import { find } from './dom.js';

const select = find('network');
let networks = [];

/** Offers the networks that the engine has; one alone is only named. */
export function offerNetworks(found, chosen) {
  networks = found;
  select.replaceChildren(...networks.map(({ name, title }) => new Option(title, name)));
  select.value = chosen;
  select.hidden = networks.length === 1;
  find('network-name').textContent = select.hidden ? networks[0].title : '';
  showNote();
}

export const chosenNetwork = () => select.value;

/** Calls `listener` when another network is chosen. */
export function onNetwork(listener) {
  select.addEventListener('change', () => {
    showNote();
    listener();
  });
}

function showNote() {
  const chosen = networks.find(({ name }) => name === select.value);
  find('network-note').textContent = chosen?.note ?? '';
}
