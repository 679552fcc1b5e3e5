"""What browsers compute is what the library computes."""

import io

import cv2
import numpy as np
import pytest
import skimage.data
from PIL import Image

from mattingjax import create_predictor, cut_out, estimate_foreground, load_image
from mattingjax.images import resize
from mattingjax.images.compositing import to_uint8
from tests.browsers import chromium
from tests.exporters.web.conftest import NETWORKS, serving
from tests.exporters.web.passing import HELPERS, from_text, save, to_text

ASTRONAUT = skimage.data.astronaut()


@pytest.fixture(scope='module')
def page(pages):
    """A page of the host, with every request noted and none but to the host."""
    with chromium() as browser, serving(pages) as address:
        page = browser.new_page(service_workers='block')
        requests = []
        page.on('request', lambda request: requests.append(request.url))
        page.goto(address)
        page.evaluate(HELPERS)
        for name in NETWORKS:
            page.evaluate(
                """async (name) => {
                  const engine = await import(`/${name}/engine.js`);
                  (window.engines ??= {})[name] = engine;
                  (window.opened ??= {})[name] = await engine.open();
                }""",
                name,
            )
        yield page
        assert [url for url in requests if not url.startswith((address, f'blob:{address}'))] == []
        assert any(url.endswith('.wasm') for url in requests)


def cut_out_in_browser(page, name, content, refine=False):
    """RGBA of a picture file's content."""
    text = page.evaluate(
        """async ([name, text, refine]) => {
          const photo = new Blob([bytesOf(text)]);
          return textOf(await engines[name].cutOut(photo, { network: name, refine }));
        }""",
        [name, to_text(content), refine],
    )
    picture = Image.open(io.BytesIO(from_text(text)))
    assert (picture.format, picture.mode) == ('PNG', 'RGBA')
    return np.asarray(picture)


def assert_equals_the_library(result, photo, alpha):
    expected = cut_out(estimate_foreground(photo, alpha), alpha)
    np.testing.assert_allclose(result[..., 3], expected[..., 3], atol=2)
    far = np.abs(result[..., :3].astype(int) - expected[..., :3]) > 2
    assert far.mean() < 1e-5  # an alpha of half a level may count as none, and have another colour
    opaque = result[..., 3] == 255
    assert opaque.any()
    np.testing.assert_array_equal(result[opaque, :3], photo[opaque])


@pytest.mark.parametrize(
    ('name', 'size'),
    [
        ('modnet_p', (640, 512)),
        ('modnet_p', (203, 151)),
        ('modnet_p', (1801, 1203)),  # beyond the finest level of the foreground
        ('modnet_p', (480, 301)),  # keeps its size but for the stride
        ('mmnet_0.5', (2300, 1901)),  # its pixels are read in more than one piece
        ('mmnet_0.5', (203, 401)),  # one side grows, the other shrinks
    ],
    ids=lambda value: 'x'.join(map(str, value)) if isinstance(value, tuple) else value,
)
def test_cut_outs_equal_the_library(page, pages, name, size):
    """Larger than the network's input and smaller, of odd sides."""
    photo = cv2.resize(ASTRONAUT, size, interpolation=cv2.INTER_AREA)
    alpha = create_predictor(pages / name / 'model.onnx')(photo)
    assert_equals_the_library(cut_out_in_browser(page, name, save(photo)), photo, alpha)


@pytest.mark.parametrize('size', [(1801, 1203), (512, 512), (203, 151)], ids=str)
def test_refined_edges_equal_the_library(page, pages, size):
    photo = cv2.resize(ASTRONAUT, size, interpolation=cv2.INTER_AREA)
    predictor = create_predictor(pages / 'mmnet_0.5' / 'model.onnx')
    alpha = predictor(photo, refine=True)
    assert np.abs(alpha - predictor(photo)).max() > 0.1
    result = cut_out_in_browser(page, 'mmnet_0.5', save(photo), refine=True)
    assert_equals_the_library(result, photo, alpha)


def test_photos_are_turned_upright(page, pages):
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: to be turned by a quarter
    turned = np.rot90(ASTRONAUT[:, 40:460])
    content = save(turned, 'JPEG', quality=100, subsampling=0, exif=exif)
    photo = load_image(content)
    assert photo.shape[:2] == (512, 420)
    result = cut_out_in_browser(page, 'mmnet_0.5', content)
    alpha = create_predictor(pages / 'mmnet_0.5' / 'model.onnx')(photo)
    assert result.shape[:2] == (512, 420)
    np.testing.assert_allclose(result[..., 3], to_uint8(alpha), atol=2)


def test_what_is_transparent_lies_on_white(page, pages):
    opacity = np.broadcast_to(
        np.linspace(0, 255, 512).astype(np.uint8)[:, None, None], (512, 512, 1)
    )
    content = save(np.dstack([ASTRONAUT, opacity]))
    alpha = create_predictor(pages / 'mmnet_0.5' / 'model.onnx')(content)
    result = cut_out_in_browser(page, 'mmnet_0.5', content)
    np.testing.assert_allclose(result[..., 3], to_uint8(alpha), atol=2)
    opaque = result[..., 3] == 255
    np.testing.assert_allclose(result[opaque, :3], load_image(content)[opaque], atol=1)


def test_frames_equal_onnx_runtime(page, pages):
    """Their pixels come and go as they are, the bitmap is given back, and two are on their way."""
    photo = cv2.resize(ASTRONAUT, (640, 480))
    opaque = np.dstack([photo, np.full(photo.shape[:2], 255, np.uint8)])
    text = page.evaluate(
        """async ([name, text]) => {
          const frame = new ImageData(new Uint8ClampedArray(bytesOf(text)), 640, 480);
          const bitmap = await createImageBitmap(frame);
          const { cutOutFrame } = engines[name];
          let next = null;
          const onFree = () => { next = createImageBitmap(frame).then(cutOutFrame); };
          const result = await cutOutFrame(bitmap, { network: name, onFree });
          if (!next) throw new Error('the next one came too late');
          const same = (value, i) => value === result.data[i];
          if (!(await next).data.every(same)) throw new Error('the frames were mixed up');
          if (bitmap.width) throw new Error('the frame is still open');
          if (!(result instanceof ImageData) || result.width !== 640) throw new Error('no frame');
          return textOf(result.data);
        }""",
        ['modnet_p', to_text(opaque.tobytes())],
    )
    result = np.frombuffer(from_text(text), np.uint8).reshape(480, 640, 4)
    alpha = create_predictor(pages / 'modnet_p' / 'model.onnx')(photo)
    np.testing.assert_allclose(result[..., 3], to_uint8(alpha), atol=2)
    np.testing.assert_array_equal(result[alpha == 1, :3], photo[alpha == 1])
    expected = estimate_foreground(photo, alpha, finest=256)
    np.testing.assert_allclose(result[..., :3], expected, atol=2)


@pytest.mark.parametrize(
    ('name', 'interpolation'),
    [('cubic', cv2.INTER_CUBIC), ('flat', cv2.INTER_AREA), ('linear', cv2.INTER_LINEAR)],
)
def test_resizing_is_opencvs(page, name, interpolation):
    rng = np.random.default_rng(3)
    sides = [(1, 1, 7, 2), (6, 8, 3, 4), (64, 64, 64, 64), *rng.integers(1, 90, (30, 4)).tolist()]
    for height, width, new_height, new_width in sides:
        image = rng.uniform(0, 255, (height, width, 3)).astype(np.float32)
        text = page.evaluate(
            """async ([name, text, from, to]) => {
              const resizing = await import('/modnet_p/engine/resizing.js');
              const values = new Float32Array(bytesOf(text).buffer);
              return textOf(resizing.resize(values, from, to, resizing[name], 3));
            }""",
            [name, to_text(image.tobytes()), [height, width], [new_height, new_width]],
        )
        result = np.frombuffer(from_text(text), np.float32)
        expected = resize(image, new_height, new_width, interpolation)
        np.testing.assert_allclose(result.reshape(expected.shape), expected, atol=2e-3)


def test_pngs_are_exact(page):
    """Colours too where alpha is small, which a canvas would lose."""
    pixels = np.random.default_rng(4).integers(0, 256, (37, 23, 4)).astype(np.uint8)
    pixels[::2, :, 3] //= 64
    text = page.evaluate(
        """async (text) => {
          const { encodePng } = await import('/modnet_p/engine/png.js');
          return textOf(await encodePng(new Uint8ClampedArray(bytesOf(text)), [37, 23]));
        }""",
        to_text(pixels.tobytes()),
    )
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(from_text(text)))), pixels)


def test_the_page_is_told_what_there_is(page):
    opened = page.evaluate('opened.modnet_p')
    (network,) = opened['networks']
    assert (network['name'], network['title']) == ('modnet_p', 'modnet_p')
    assert network['note'] == 'the best mattes; 5.3 MB'
    assert opened['defaultNetwork'] == 'modnet_p'
    assert (opened['live'], opened['clips'], opened['limits']) == (True, 'live', None)
    assert opened['where'] == 'In this browser, 1 thread'


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'no picture', 'The file is no picture that this browser can read'),
        (save(ASTRONAUT[:15]), 'must have 16 pixels a side or more'),
        (save(ASTRONAUT[:16, :300]), '1:16; it has 300x16 pixels'),
    ],
    ids=['text', 'small', 'thin'],
)
def test_photos_that_cannot_be_matted_are_told(page, content, message):
    with pytest.raises(Exception, match=message):
        cut_out_in_browser(page, 'modnet_p', content)


def test_jobs_that_are_cancelled_end_at_once_and_others_go_on(page):
    names = page.evaluate(
        """async (text) => {
          const photo = new Blob([bytesOf(text)]);
          const stop = new AbortController();
          const { cutOut } = engines['mmnet_0.5'];
          const signals = [stop.signal, stop.signal, undefined];
          const jobs = signals.map((signal) => cutOut(photo, { signal }));
          stop.abort();
          const ended = await Promise.allSettled(jobs);
          const after = cutOut(photo, { signal: stop.signal }).catch((error) => error);
          const found = ended.map(({ value, reason }) => reason?.name ?? value.type);
          return [...found, (await after).name];
        }""",
        to_text(save(ASTRONAUT)),
    )
    assert names == ['AbortError', 'AbortError', 'image/png', 'AbortError']
