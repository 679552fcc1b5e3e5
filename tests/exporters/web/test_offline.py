"""The service worker: files without network, threads on any host, and nothing stale."""

import json

import pytest
import skimage.data

from tests.browsers import chromium, pump_until
from tests.exporters.web.conftest import serving, write_shipped
from tests.exporters.web.passing import HELPERS, save, to_text

SMALL = save(skimage.data.astronaut()[::3, ::3])
MATTE = """async (text) => {
  const { cutOut, open } = await import(new URL('engine.js', document.baseURI));
  const { where, networks } = await open();
  const { type } = await cutOut(new Blob([bytesOf(text)]), {});
  return { where, type, title: networks[0].title };
}"""
KEPT = """async () => {
  await navigator.serviceWorker.ready;
  return (await caches.keys()).map((name) => name.split(' ')[1]);
}"""


@pytest.fixture(scope='module')
def browser():
    with chromium() as found:
        yield found


@pytest.fixture
def folder(tmp_path, onnxruntime_web):
    write_shipped(tmp_path / 'web', 'mmnet_0.5', onnxruntime_web)
    return tmp_path / 'web'


def version(folder):
    text = (folder / 'files.js').read_text()
    return json.loads(text.removeprefix('const EXPORT = ').removesuffix(';\n'))['version']


def matte(page):
    page.evaluate(HELPERS)
    return page.evaluate(MATTE, to_text(SMALL))


def test_after_the_first_visit_no_network_is_needed(browser, folder):
    page = browser.new_context().new_page()
    with serving(folder) as address:
        page.goto(address)
        assert not page.evaluate('crossOriginIsolated')
        assert matte(page)['type'] == 'image/png'
        assert page.evaluate(KEPT) == [version(folder)]
    page.reload()  # there is no server any more
    threads = min(4, page.evaluate('navigator.hardwareConcurrency'))
    described = '1 thread' if threads == 1 else f'{threads} threads'
    assert page.evaluate('crossOriginIsolated')
    assert matte(page) == {
        'where': f'In this browser, {described}',
        'type': 'image/png',
        'title': 'mmnet_0.5',
    }
    page.context.close()


def test_a_damaged_network_is_told(browser, folder):
    model = folder / 'model.onnx'
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)
    page = browser.new_context().new_page()
    with serving(folder) as address:
        page.goto(address)
        page.evaluate(HELPERS)
        told = page.evaluate(f'(text) => ({MATTE})(text).catch((error) => error.message)', '')
        assert told == f'{address}model.onnx is damaged, or of another export.'
    page.context.close()


def test_a_new_export_replaces_what_is_kept(browser, folder, onnxruntime_web):
    page = browser.new_context().new_page()
    with serving(folder) as address:
        page.goto(address)
        matte(page)
        first = page.evaluate(KEPT)
        write_shipped(folder, 'mmnet', onnxruntime_web)
        assert [version(folder)] != first
        page.reload()
        assert matte(page)['title'] == 'mmnet'  # at once, where there is a network
        pump_until(page, lambda: page.evaluate(KEPT) == [version(folder)])
    page.reload()
    assert matte(page)['title'] == 'mmnet'
    page.context.close()


def test_missing_files_are_told(browser, folder):
    page = browser.new_context(service_workers='block').new_page()
    (folder / 'model.onnx').unlink()
    with serving(folder) as address:
        page.goto(address)
        with pytest.raises(Exception, match=r'model\.onnx cannot be loaded \(status 404\)'):
            matte(page)
    (folder / 'onnxruntime' / 'ort.wasm.min.mjs').unlink()
    with serving(folder) as address:
        page.goto(address)
        with pytest.raises(Exception, match='This browser cannot run the network'):
            matte(page)
    page.context.close()
