"""The page in Chromium, and what is on it."""

import base64
import contextlib
import io

import numpy as np
from PIL import Image

import mattingjax
from tests.forked import ROOT

PAGE = ROOT / 'mattingjax/inference/serving/page'
ASTRONAUT = PAGE / 'examples/astronaut.jpg'
ADMIRAL = PAGE / 'examples/grace_hopper.jpg'


@contextlib.contextmanager
def opened(browser, address, engine=None, **options):
    """A page that says nothing on its console: no error, and nothing that its policy forbids."""
    context = browser.new_context(**options)
    page = context.new_page()
    page.set_default_timeout(30_000)
    said = []
    page.on('console', lambda message: message.type == 'error' and said.append(message.text))
    page.on('pageerror', lambda error: said.append(str(error)))
    if engine is not None:
        page.route(
            '**/engine.js', lambda route: route.fulfill(body=engine, content_type='text/javascript')
        )
    page.goto(address)
    page.wait_for_selector('#network option', state='attached')
    yield page
    context.close()
    # An answer that is an error is told to the console by the browser itself.
    assert [line for line in said if 'Failed to load resource' not in line] == []


def wait_for(page, state):
    page.wait_for_selector(f'body[data-state={state}]')


def give(page, file, state='done'):
    page.set_input_files('#file', file)  # until it is 'working'
    wait_for(page, state)


def cutout_of(page):
    """The engine's cut-out, uint8 [H, W, 4]."""
    text = page.evaluate(
        """async () => {
          const bytes = new Uint8Array(await window.matting.cutout.arrayBuffer());
          let text = '';
          for (const byte of bytes) text += String.fromCharCode(byte);
          return btoa(text);
        }"""
    )
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))))


def pixels_of(page, expression="document.getElementById('view')"):
    """The pixels of a canvas or an ImageData in the page, uint8 [H, W, 4]."""
    width, height, text = page.evaluate(
        f"""() => {{
          const found = {expression};
          const {{ width, height }} = found;
          const {{ data }} = found.data ? found
            : found.getContext('2d').getImageData(0, 0, width, height);
          let text = '';
          for (const value of data) text += String.fromCharCode(value);
          return [width, height, btoa(text)];
        }}"""
    )
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(height, width, 4)


def download(page):
    """The name of the file that the button downloads, and its picture."""
    with page.expect_download() as download:
        page.click('#download')
    return download.value.suggested_filename, Image.open(download.value.path())


def alpha_of(photo, network='modnet_p'):
    return mattingjax.create_predictor(network)(photo)


def difference(alpha, values):
    return np.abs(alpha * 255.0 - values.astype(float)).max()
