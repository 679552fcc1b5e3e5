"""Photos on the page: their mattes, backgrounds and downloads."""

import base64

import numpy as np
import pytest
from PIL import Image

import mattingjax
from tests.inference.serving.page.pages import (
    ADMIRAL,
    ASTRONAUT,
    alpha_of,
    cutout_of,
    difference,
    download,
    give,
    opened,
    pixels_of,
    wait_for,
)


@pytest.mark.parametrize('suffix', ['png', 'jpg'])
def test_a_photo_gets_the_alpha_of_the_predictor(page, tmp_path, suffix):
    photo = tmp_path / f'photo.{suffix}'
    Image.open(ASTRONAUT).save(photo)
    give(page, photo)
    alpha = alpha_of(photo)
    assert alpha.shape == (512, 512)
    assert difference(alpha, cutout_of(page)[..., 3]) <= 2
    page.click('#show-alpha')
    shown = pixels_of(page)
    assert difference(alpha, shown[..., 0]) <= 2
    assert (shown[..., :3] == shown[..., :1]).all()
    assert (shown[..., 3] == 255).all()
    before = pixels_of(page, 'window.matting.photo')[..., :3].astype(int)
    # Browsers round the colours of JPEG files in their own way.
    assert np.abs(before - mattingjax.load_image(photo)).max() <= 4


def test_a_rotated_photo_is_upright(page, tmp_path):
    upright = Image.open(ASTRONAUT).crop((0, 0, 512, 400))
    exif = Image.Exif()
    exif[0x0112] = 6  # what is stored is turned clockwise to be looked at
    path = tmp_path / 'rotated.jpg'
    upright.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif, quality=95)
    give(page, path)
    assert difference(alpha_of(path), cutout_of(page)[..., 3]) <= 2
    before = pixels_of(page, 'window.matting.photo')[..., :3].astype(int)
    assert before.shape == (400, 512, 3)
    assert np.abs(before - np.asarray(upright)).mean() < 3


DROP = """([name, text, kind]) => {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const files = new DataTransfer();
  files.items.add(new File([bytes], name, { type: 'image/jpeg' }));
  const options = { bubbles: true, cancelable: true };
  document.getElementById('drop').dispatchEvent(kind === 'drop'
    ? new DragEvent('drop', { ...options, dataTransfer: files })
    : new ClipboardEvent('paste', { ...options, clipboardData: files }));
}"""


@pytest.mark.parametrize('kind', ['drop', 'paste'])
def test_a_photo_is_dropped_or_pasted(page, kind):
    text = base64.b64encode(ADMIRAL.read_bytes()).decode()
    page.evaluate(DROP, ['admiral.jpg', text, kind])
    wait_for(page, 'done')
    assert cutout_of(page).shape == (600, 512, 4)
    name, picture = download(page)
    assert (name, picture.size) == ('admiral_cutout.png', (512, 600))


def test_backgrounds_ask_no_engine(page, tmp_path):
    give(page, ASTRONAUT)
    cutout = cutout_of(page)
    requests = []
    page.on('request', lambda request: requests.append(request.url))
    nobody, somebody = cutout[..., 3] == 0, cutout[..., 3] == 255
    assert nobody.sum() > 10_000
    assert somebody.sum() > 10_000

    def check(colours):
        shown = pixels_of(page)[..., :3]
        assert (shown[nobody] == colours[nobody]).all()
        assert (shown[somebody] == cutout[somebody, :3]).all()

    page.click('#show-composite')  # on white, where nothing else was chosen
    check(np.full((512, 512, 3), 255))
    page.check('input[value="#00b140"]')
    check(np.full((512, 512, 3), [0x00, 0xB1, 0x40]))
    page.fill('#background', '#123456')
    check(np.full((512, 512, 3), [0x12, 0x34, 0x56]))
    edges = (cutout[..., 3] > 100) & (cutout[..., 3] < 155)
    alpha = cutout[edges, 3:] / 255
    expected = alpha * cutout[edges, :3] + (1 - alpha) * [0x12, 0x34, 0x56]
    assert np.abs(pixels_of(page)[edges, :3] - expected).max() <= 2

    columns = np.tile(np.arange(512, dtype=np.uint8)[None, :, None] // 2, (512, 1, 3))
    Image.fromarray(columns).save(tmp_path / 'beach.png')
    page.set_input_files('#background-picture', tmp_path / 'beach.png')
    page.wait_for_selector('#background-picture[aria-current=true]')
    assert page.get_attribute('#background', 'aria-current') is None
    check(columns)

    page.check('input[value=blur]')
    blurred = pixels_of(page)[..., :3].astype(float)
    assert (blurred[somebody] == cutout[somebody, :3]).all()
    photo = pixels_of(page, 'window.matting.photo')[..., :3].astype(float)
    flag = np.s_[20:220, 20:90]  # far from the astronaut
    assert np.abs(blurred[flag].mean((0, 1)) - photo[flag].mean((0, 1))).max() < 8
    assert np.abs(np.diff(photo[flag], axis=1)).max() > 50
    assert np.abs(np.diff(blurred[flag], axis=1)).max() < 8

    page.check('input[value=none]')
    assert page.locator('#show-cutout').get_attribute('aria-pressed') == 'true'
    assert not [url for url in requests if not url.startswith('blob:')]


def test_another_network_computes_anew(page):
    give(page, ASTRONAUT)
    page.select_option('#network', 'mmnet_0.5')
    wait_for(page, 'done')
    assert difference(alpha_of(ASTRONAUT, 'mmnet_0.5'), cutout_of(page)[..., 3]) <= 2
    assert 'fastest' in page.text_content('#network-note')


def test_a_download_is_what_is_shown(page):
    give(page, ASTRONAUT)
    cutout = cutout_of(page)
    name, picture = download(page)
    assert name == 'astronaut_cutout.png'
    assert page.text_content('#status') == 'Saved astronaut_cutout.png.'
    assert (np.asarray(picture) == cutout).all()
    page.click('#show-alpha')
    name, picture = download(page)
    assert name == 'astronaut_alpha.png'
    assert (np.asarray(picture.convert('L')) == cutout[..., 3]).all()
    page.check('input[value="#3f7fd6"]')
    shown = pixels_of(page)
    name, picture = download(page)
    assert name == 'astronaut_composite.png'
    assert (np.asarray(picture.convert('RGBA')) == shown).all()
    page.select_option('#format', 'jpeg')
    name, picture = download(page)
    assert (name, picture.format, picture.size) == ('astronaut_composite.jpg', 'JPEG', (512, 512))


def test_a_large_photo_is_shown_smaller_and_downloaded_whole(page, tmp_path):
    Image.open(ASTRONAUT).resize((3000, 2600)).save(tmp_path / 'large.jpg')
    give(page, tmp_path / 'large.jpg')
    page.check('input[value="#000000"]')
    page.click('#show-composite')
    assert pixels_of(page).shape == (1775, 2048, 4)
    assert download(page)[1].size == (3000, 2600)


def test_a_copy_says_when_it_begins_and_when_it_is_done(browser, address):
    allowed = ['clipboard-read', 'clipboard-write']
    with opened(browser, address, permissions=allowed) as page:
        give(page, ASTRONAUT)
        page.click('#copy')
        assert page.text_content('#status') in {'Copying…', 'Copied.'}
        page.wait_for_selector('#status:text-is("Copied.")')
        size = page.evaluate(
            """async () => {
              const [item] = await navigator.clipboard.read();
              const { width, height } = await createImageBitmap(await item.getType('image/png'));
              return [width, height];
            }"""
        )
        assert size == [512, 512]
        download(page)
        assert page.text_content('#status') == 'Saved astronaut_cutout.png.'
