"""What can go wrong on the page, and what cancels what."""

import io

import pytest
from PIL import Image

from tests.browsers import pump_until
from tests.inference.serving.page.pages import (
    ADMIRAL,
    ASTRONAUT,
    cutout_of,
    download,
    give,
    wait_for,
)


def test_a_file_that_is_no_picture(page, tmp_path):
    (tmp_path / 'text.txt').write_text('no picture')
    give(page, tmp_path / 'text.txt', 'error')
    assert 'no picture or clip' in page.text_content('#status')
    assert page.locator('#result').is_hidden()
    give(page, ASTRONAUT)
    give(page, tmp_path / 'text.txt', 'error')
    assert page.locator('#view').is_visible(), 'the last result stays'
    assert download(page)[0] == 'astronaut_cutout.png'


def test_a_format_that_only_the_server_reads(page, tmp_path):
    Image.open(ASTRONAUT).save(tmp_path / 'photo.tiff')  # as HEIC in most browsers
    give(page, tmp_path / 'photo.tiff')
    assert cutout_of(page).shape == (512, 512, 4)
    assert page.locator('#slider').is_disabled()
    assert page.locator('input[value=blur]').is_disabled()
    assert 'cannot show' in page.text_content('#note')


def test_a_busy_server_is_asked_again(page):
    answers = []

    def refuse_once(route):
        answers.append(route)
        if len(answers) > 1:
            route.continue_()
        else:
            route.fulfill(status=429, headers={'Retry-After': '1'}, json={'detail': 'busy'})

    page.route('**/matte?*', refuse_once)
    page.set_input_files('#file', ASTRONAUT)
    page.wait_for_selector('#status:has-text("trying again in 1 s")')
    wait_for(page, 'done')
    assert len(answers) == 2


@pytest.mark.parametrize(
    ('answer', 'told'),
    [
        (None, 'The server cannot be reached'),
        ({'status': 413, 'body': 'too large'}, 'The file is too large for the server.'),
        ({'status': 500, 'body': 'oh'}, 'The server failed (500 Internal Server Error).'),
        ({'status': 400, 'json': {'detail': 'a damaged form'}}, 'The file did not arrive whole'),
        ({'status': 422, 'json': {'detail': 'network: got x'}}, 'The server cannot do this.'),
    ],
)
def test_what_a_server_can_do_wrong(page, answer, told):
    def reply(route):
        if answer is None:
            route.abort()
        else:
            route.fulfill(**answer)

    page.route('**/matte?*', reply)
    give(page, ASTRONAUT, 'error')
    assert page.text_content('#status').startswith(told)


def test_photos_that_the_server_refuses(page, tmp_path):
    def refused(size, part=1.0):
        file = io.BytesIO()
        Image.new('RGB', size).save(file, 'JPEG')
        content = file.getvalue()
        (tmp_path / 'photo.jpg').write_bytes(content[: int(part * len(content))])
        give(page, tmp_path / 'photo.jpg', 'error')
        assert 'The server says: ' in (page.text_content('#status small') or '')
        return page.evaluate("document.getElementById('status').firstChild.textContent")

    large = 'This photo is too large: 9000 × 9000 pixels, and up to 50 megapixels are taken.'
    assert refused((9000, 9000)) == large
    assert refused((8, 8)) == 'This photo is too small or too thin: 8 × 8 pixels.'
    assert refused((600, 600), 0.5) == 'This photo is damaged.'
    (tmp_path / 'empty.jpg').write_bytes(b'')
    page.set_input_files('#file', tmp_path / 'empty.jpg')
    page.wait_for_selector('#status:text-is("empty.jpg is empty.")')


def test_a_background_that_is_no_picture_is_told_until_another_is_chosen(page, tmp_path):
    (tmp_path / 'text.txt').write_text('no picture')
    give(page, ASTRONAUT)
    page.set_input_files('#background-picture', tmp_path / 'text.txt')
    page.wait_for_selector('#status.problem')
    page.check('input[value="#00b140"]')
    assert page.text_content('#status') == ''
    assert page.locator('#status.problem').count() == 0


def test_a_file_that_is_too_large_is_not_sent(page, tmp_path):
    (tmp_path / 'large.jpg').write_bytes(bytes(33_000_000))
    give(page, tmp_path / 'large.jpg', 'error')
    assert 'it has 33.0 MB, and 32 MB are taken' in page.text_content('#status')


def test_a_newer_photo_cancels_an_older_one(page):
    stalled, failed = [], []
    page.on('requestfailed', lambda request: failed.append(request.url))
    page.route('**/matte?*', lambda route: stalled.append(route))
    page.set_input_files('#file', ASTRONAUT)
    wait_for(page, 'working')
    page.wait_for_selector('#view', state='visible')  # the photo is looked at meanwhile
    pump_until(page, lambda: stalled)
    page.unroute('**/matte?*')
    page.set_input_files('#file', ADMIRAL)
    wait_for(page, 'done')
    assert cutout_of(page).shape == (600, 512, 4)
    pump_until(page, lambda: len([url for url in failed if '/matte' in url]) == 1)
    assert len(stalled) == 1


def test_escape_ends_the_wait(page):
    page.route('**/matte?*', lambda route: None)
    page.set_input_files('#file', ASTRONAUT)
    wait_for(page, 'working')
    page.keyboard.press('Escape')
    wait_for(page, 'empty')
    assert page.locator('#result').is_hidden()


def test_what_takes_long_can_be_cancelled(page):
    failed = []
    page.on('requestfailed', lambda request: failed.append(request.url))
    give(page, ADMIRAL)
    stalled = []
    page.route('**/matte?*', lambda route: stalled.append(route))
    page.set_input_files('#file', ASTRONAUT)
    wait_for(page, 'working')
    assert page.locator('#cancel').is_hidden()
    pump_until(page, lambda: stalled)
    page.click('#cancel')  # when it shows
    wait_for(page, 'done')
    assert page.locator('#cancel').is_hidden()
    assert cutout_of(page).shape == (600, 512, 4), 'the last result is back'
    pump_until(page, lambda: len([url for url in failed if '/matte' in url]) == 1)
