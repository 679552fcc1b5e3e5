"""The page of `mattingjax serve` on any static host, with the browser's engine."""

import io

import cv2
import numpy as np
import pytest
import skimage.data
from PIL import Image

from mattingjax import create_predictor
from mattingjax.images.compositing import to_uint8
from tests.browsers import chromium, pump_until
from tests.exporters.web.conftest import serving
from tests.exporters.web.passing import HELPERS, from_text, save

NAME = 'mmnet_0.5'
ASTRONAUT = cv2.resize(skimage.data.astronaut(), (320, 240))
LIVE_PAIR = """async () => {
  const described = async ({ width, data }) => [width, await textOf(data)];
  return Promise.all([matting.frame, matting.result].map(described));
}"""


@pytest.fixture(scope='module')
def page(pages, tmp_path_factory):
    """The page with a camera that sees the astronaut."""
    film = tmp_path_factory.mktemp('camera') / 'astronaut.y4m'
    frame = b'FRAME\n' + cv2.cvtColor(ASTRONAUT, cv2.COLOR_RGB2YUV_I420).tobytes()
    film.write_bytes(b'YUV4MPEG2 W320 H240 F10:1 Ip A1:1 C420\n' + 2 * frame)
    arguments = (
        '--use-fake-device-for-media-stream',
        '--use-fake-ui-for-media-stream',
        f'--use-file-for-fake-video-capture={film}',
    )
    with chromium(*arguments) as browser, serving(pages / NAME) as address:
        page = browser.new_page(service_workers='block')
        problems: list[str] = []
        requests: list[str] = []
        page.on('pageerror', lambda error: problems.append(str(error)))
        page.on('request', lambda request: requests.append(request.url))
        page.goto(address)
        page.evaluate(HELPERS)
        yield page
        assert problems == []
        assert [url for url in requests if not url.startswith((address, f'blob:{address}'))] == []


def assert_live_pair_fits(page, pages):
    frame, result = (
        np.frombuffer(from_text(text), np.uint8).reshape(-1, width, 4)
        for width, text in page.evaluate(LIVE_PAIR)
    )
    assert frame.shape == result.shape
    alpha = create_predictor(pages / NAME / 'model.onnx')(np.ascontiguousarray(frame[..., :3]))
    assert 0.1 < alpha.mean() < 0.9
    np.testing.assert_allclose(result[..., 3], to_uint8(alpha), atol=2)


def test_photos(page, pages):
    file = {'name': 'photo.png', 'mimeType': 'image/png', 'buffer': save(ASTRONAUT)}
    page.set_input_files('#file', file)
    page.wait_for_selector('body[data-state=done]')
    assert page.inner_text('#where').startswith('In this browser, ')
    assert page.locator('#network').is_hidden(), 'there is no choice'
    assert page.inner_text('#network-name') == NAME == page.input_value('#network')
    note = 'the smallest devices: the fastest, the weakest mattes; 0.4 MB'
    assert page.inner_text('#network-note') == note
    content = from_text(page.evaluate('() => textOf(matting.cutout)'))
    alpha = create_predictor(pages / NAME / 'model.onnx')(ASTRONAUT)
    result = np.asarray(Image.open(io.BytesIO(content)))
    np.testing.assert_allclose(result[..., 3], to_uint8(alpha), atol=2)


def test_the_camera_runs_live(page, pages):
    page.click('#camera')
    page.wait_for_selector('body[data-state=live]')
    page.wait_for_selector('#speed:has-text("frames/s")')
    assert_live_pair_fits(page, pages)
    page.click('#stop')


def test_clips_run_live(page, pages):
    av = pytest.importorskip('av', reason='PyAV is not installed')
    film = io.BytesIO()
    with av.open(film, 'w', format='webm') as container:
        stream = container.add_stream('libvpx', rate=10)
        stream.width, stream.height, stream.pix_fmt = 320, 240, 'yuv420p'
        for _ in range(10):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(ASTRONAUT)))
        container.mux(stream.encode())
    page.evaluate('() => { pair = matting.result; }')
    file = {'name': 'clip.webm', 'mimeType': 'video/webm', 'buffer': film.getvalue()}
    page.set_input_files('#file', file)
    page.wait_for_selector('body[data-state=live]')
    pump_until(page, lambda: page.evaluate('matting.result !== pair'))
    assert_live_pair_fits(page, pages)
