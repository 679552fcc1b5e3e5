"""The page by keyboard, on a phone, and without the rest of the world."""

import re

import pytest

from tests.browsers import pump_until
from tests.inference.serving.page.pages import (
    ADMIRAL,
    ASTRONAUT,
    PAGE,
    cutout_of,
    give,
    opened,
    pixels_of,
    wait_for,
)


def test_the_slider_moves_by_keyboard_and_by_the_picture(page):
    give(page, ASTRONAUT)
    before, cutout = pixels_of(page, 'window.matting.photo'), cutout_of(page)

    def check(at):
        shown, edge = pixels_of(page), round(512 * at / 100)
        assert (shown[:, :edge] == before[:, :edge]).all()
        assert (shown[:, edge:, 3] == cutout[:, edge:, 3]).all()

    check(50)
    page.focus('#slider')
    page.keyboard.press('ArrowLeft')
    check(49)
    page.keyboard.press('Home')
    check(0)
    page.keyboard.press('End')
    check(100)
    box = page.locator('#view').bounding_box()
    middle = box['y'] + box['height'] / 2
    page.mouse.move(box['x'] + box['width'] * 0.9, middle)
    page.mouse.down()
    page.mouse.move(box['x'] + box['width'] * 0.25, middle)
    page.mouse.up()
    check(25)
    page.click('#show-cutout')
    assert page.locator('#slider').is_disabled()


def test_by_keyboard_from_the_start_to_the_download(page):
    choosers = []
    page.on('filechooser', lambda chooser: choosers.append(chooser))
    for _ in range(10):
        page.keyboard.press('Tab')
        if page.evaluate('document.activeElement.dataset.photo') == 'examples/astronaut.jpg':
            break
    page.keyboard.press('Enter')
    wait_for(page, 'done')
    visited = []
    for _ in range(30):
        page.keyboard.press('Shift+Tab')
        visited.append(page.evaluate('document.activeElement.id'))
        if visited[-1] == 'slider':
            break
    assert {'file', 'camera', 'download', 'network', 'show-alpha', 'slider'} <= set(visited)
    page.focus('#download')
    with page.expect_download():
        page.keyboard.press('Enter')
    page.focus('#file')
    page.keyboard.press('Enter')
    pump_until(page, lambda: len(choosers) == 1)


def test_every_control_has_a_name(page):
    give(page, ASTRONAUT)
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('button, input, select')].filter((control) =>
          !(control.getAttribute('aria-label') || control.textContent.trim()
            || [...(control.labels ?? [])].some((label) => label.textContent.trim())
            || control.querySelector('img[alt]'))).map((control) => control.outerHTML)"""
    )
    assert nameless == []


@pytest.mark.parametrize(('scheme', 'width'), [('light', 320), ('dark', 360)])
def test_a_phone_has_no_overflow(browser, address, scheme, width):
    size = {'width': width, 'height': 740}
    with opened(
        browser, address, viewport=size, color_scheme=scheme, is_mobile=True, has_touch=True
    ) as page:
        widths = 'document.documentElement.scrollWidth'
        assert page.evaluate(widths) == width
        page.evaluate('scrollTo(0, 1000)')
        give(page, ADMIRAL)
        assert page.evaluate(widths) == width
        box = page.locator('#view').bounding_box()
        assert box['x'] >= 0
        assert box['x'] + box['width'] <= width
        assert 0 < box['y'] < box['y'] + box['height'] < 740
        outside = page.evaluate(
            """() => {
              const edge = document.getElementById('controls').getBoundingClientRect().right - 16;
              return [...document.querySelectorAll('#controls :is(button, label, select, span)')]
                .filter((found) => found.offsetParent && !found.matches('#zoom, .hidden')
                  && found.getBoundingClientRect().right > edge + 1)
                .map((found) => found.outerHTML);
            }"""
        )
        assert outside == []
        small = page.evaluate(
            """() => [...document.querySelectorAll('button, select, label')].filter(
              (found) => found.offsetParent && found.offsetHeight < 40
                && !found.matches('[for]')).map((found) => found.outerHTML)"""
        )
        assert small == []
        page.evaluate('scrollTo(0, 1000)')
        give(page, ASTRONAUT)
        assert page.evaluate('scrollY') == 0, 'what is chosen below is seen above'


def test_the_page_asks_nobody_else():
    for path in PAGE.rglob('*'):
        if path.suffix in {'.html', '.css', '.js'}:
            text = path.read_text()
            assert not re.search(r'(https?:)?//[a-z]+\.[a-z]', text), path
            assert len(text.splitlines()) < 300
    assert not re.search(r'<script>|<style| style=| on[a-z]+=', (PAGE / 'index.html').read_text())


def test_zoom_shows_a_part_twice_as_large(page):
    give(page, ASTRONAUT)
    view = page.locator('#view')
    width = view.bounding_box()['width']
    page.click('#zoom')
    assert view.bounding_box()['width'] == pytest.approx(2 * width, abs=1)
    assert page.evaluate("document.getElementById('pane').scrollTop") > 0
    assert page.evaluate('document.documentElement.scrollWidth <= innerWidth')
    page.click('#zoom')
    assert view.bounding_box()['width'] == pytest.approx(width, abs=1)
