// Keeps the page's files for when there is no network, and gives them the headers with which a page
// may use threads on any static host. Where there is a network, every file comes from there.

importScripts('files.js'); // sets EXPORT: its version, and the names of its files

const PREFIX = `${self.registration.scope} `;
const NAME = PREFIX + EXPORT.version;
const HEADERS = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

self.addEventListener('install', (event) => event.waitUntil(keep()));
self.addEventListener('activate', (event) => event.waitUntil(forgetOlder()));
self.addEventListener('fetch', (event) => {
  const { request } = event;
  const own = request.url.startsWith(self.registration.scope);
  if (own && request.method === 'GET' && !request.headers.has('Range')) {
    event.respondWith(answer(request));
  }
});

async function keep() {
  const cache = await caches.open(NAME);
  await cache.addAll(EXPORT.files.map((file) => new Request(file, { cache: 'no-cache' })));
  await self.skipWaiting();
}

async function forgetOlder() {
  const names = await caches.keys();
  const older = names.filter((name) => name.startsWith(PREFIX) && name !== NAME);
  await Promise.all(older.map((name) => caches.delete(name)));
}

async function answer(request) {
  let response;
  try {
    response = await fetch(request, { cache: 'no-cache' }); // files of two exports never mix
  } catch (error) {
    const cache = await caches.open(NAME);
    response = await cache.match(request, { ignoreSearch: true, ignoreVary: true });
    if (!response) throw error;
  }
  if (!response.status) return response; // a redirection, for the browser to follow
  const headers = new Headers(response.headers);
  for (const [name, value] of Object.entries(HEADERS)) headers.set(name, value);
  const { status, statusText } = response;
  // These have no content, not even an empty one.
  const body = [204, 205, 304].includes(status) ? null : response.body;
  return new Response(body, { status, statusText, headers });
}
