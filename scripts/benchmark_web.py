"""Times an export's page in headless Chromium against the library with ONNX Runtime.

  python scripts/benchmark_web.py --page export/web --photo PHOTO

Both matte one photo in turn on the same cores: the network alone, one frame as the camera and clips
have it, a cut-out in a PNG. Chromium is that on PATH, driven by Playwright; the page is visited
twice, as it has threads from the second visit on (--nothreads: once). Each figure is the median of
--rounds runs.
"""

import base64
import functools
import http.server
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from absl import flags

from mattingjax.process import command_line

_PAGE = flags.DEFINE_string('page', None, 'The folder web of an export.', required=True)
_PHOTO = flags.DEFINE_string('photo', None, 'The photo.', required=True)
_THREADS = flags.DEFINE_bool('threads', True, 'Let the page have threads.')
_ROUNDS = flags.DEFINE_integer('rounds', 10, 'Timed runs of each.', lower_bound=1)
_CHROMIUM = ('--no-sandbox', '--disable-gpu', '--disable-background-networking')
_PREPARE = """async (text) => {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const photo = new Blob([bytes]);
  const engine = await import(new URL('engine.js', document.baseURI));
  const { Network } = await import(new URL('engine/network.js', document.baseURI));
  const network = await Network.open(new URL('./', document.baseURI));
  const bitmap = await createImageBitmap(photo);
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext('2d');
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height);
  window.runs = {
    alpha: () => network.matte(data, [bitmap.height, bitmap.width]),
    frame: async () => engine.cutOutFrame(await createImageBitmap(photo)),
    cutout: () => engine.cutOut(photo),
  };
  return (await engine.open()).where;
}"""
_RUN = 'async (name) => { await runs[name](); }'


def main() -> None:
    import mattingjax
    from mattingjax.errors import MattingError
    from mattingjax.process.timing import time_in_turn

    folder = Path(_PAGE.value)
    predictor = mattingjax.create_predictor(folder / 'model.onnx')
    mattingjax.load_image(_PHOTO.value)  # so that the error names the file
    photo = Path(_PHOTO.value).read_bytes()
    runs = _list_library_runs(predictor, photo)
    chromium = next(filter(None, map(shutil.which, ('chromium', 'google-chrome'))), None)
    if chromium is None:
        raise MattingError('expected chromium on PATH, found none')
    with _open_page(folder, chromium) as page:
        print(page.evaluate(_PREPARE, base64.b64encode(photo).decode()))
        for name, run in runs.items():
            browser = functools.partial(page.evaluate, _RUN, name)
            times = time_in_turn({'library': run, 'browser': browser}, _ROUNDS.value)
            ratio = times['browser'] / times['library']
            print(
                f'  {name:8}{times["browser"] * 1000:8.1f} ms in the browser'
                f'{times["library"] * 1000:8.1f} ms by the library{ratio:8.2f}'
            )


def _list_library_runs(predictor: Any, photo: bytes) -> dict[str, Callable[[], Any]]:
    """What the page does, done by the library."""
    import mattingjax
    from mattingjax.images import encode_png

    pixels = mattingjax.load_image(photo)

    def cut_out(image: Any, finest: int) -> Any:
        image = mattingjax.load_image(image)
        alpha = predictor(image)
        foreground = mattingjax.estimate_foreground(image, alpha, finest=finest)
        return mattingjax.cut_out(foreground, alpha)

    return {
        'alpha': lambda: predictor(pixels),
        'frame': lambda: cut_out(photo, 256),
        'cutout': lambda: encode_png(cut_out(photo, 1536)),
    }


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def _open_page(folder: Path, chromium: str) -> Iterator[Any]:
    """Serves the folder, and opens it in Chromium."""
    from playwright.sync_api import sync_playwright

    handler = functools.partial(_Handler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with server, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=_CHROMIUM)
        page = browser.new_page()
        page.goto(f'http://127.0.0.1:{server.server_port}/')
        if _THREADS.value:
            page.evaluate('async () => { await navigator.serviceWorker.ready; }')
            page.reload()
        yield page
        browser.close()
        server.shutdown()


if __name__ == '__main__':
    command_line.run()
